"""The exercises of lesson 03 that ask for a network: ReLU's ceiling, and Theorem 2 repaired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, need_tensor, seeded
from lipteach.primitives import MaxMin
from lipteach.theory.exact_networks import Matrix, linear
from lipteach.theory.theorem2 import theorem2_counterexample

R = math.sqrt(0.5)


def relus(*weights: Matrix) -> nn.Sequential:
    """A ReLU network of these weight matrices, without biases."""
    return _network(nn.ReLU, weights)


def _network(activation: type[nn.Module], weights: Sequence[Matrix]) -> nn.Sequential:
    modules = [module for W in weights for module in (linear(W), activation())]
    return nn.Sequential(*modules[:-1])


def _need_layers(answer: Any, activation: type[nn.Module], layers: int) -> list[Tensor]:
    """The weights of a network of `layers` Linear layers with the activation between them."""
    if isinstance(answer, type) or not isinstance(answer, nn.Module):
        raise Hint("type", f"An nn.Sequential is needed; this is {type(answer).__name__}.")
    leaves = [module for module in answer.modules() if not any(True for _ in module.children())]
    for module in leaves:
        if not isinstance(module, nn.Linear | activation):
            text = f"Only Linear and {activation.__name__} are allowed here"
            raise Hint("type", f"{text}; this network uses {type(module).__name__}.")
    weights = [
        module.weight.detach().double() for module in leaves if isinstance(module, nn.Linear)
    ]
    if len(weights) != layers or len(leaves) != 2 * layers - 1:
        text = f"{layers} Linear layers with an activation between each two are needed"
        raise Hint("shape", f"{text}; this network has {len(weights)} Linear layers.")
    return weights


def _need_norms(weights: Sequence[Tensor]) -> None:
    for k, W in enumerate(weights):
        norm = float(torch.linalg.matrix_norm(W, ord=2))
        if not norm <= 1 + 1e-5:
            raise Hint("constraint", f"Layer {k + 1} has ‖W‖₂ = {norm:.4g}, and 1 is allowed.")


def _gap(answer: nn.Module) -> float:
    points = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    f = need_tensor(call(answer, points), (3, 1)).flatten()
    return float((f[0] + f[2]) / 2 - f[1])


def _judge_half(answer: Any) -> None:
    _need_norms(_need_layers(answer, nn.ReLU, 2))
    gap = _gap(answer)
    if gap < 0.5 - 1e-5:
        turned = " Does the sign of the output weights point upwards?" if gap < 0 else ""
        text = f"The gap is {gap:.4g}, below ½: do both weights use the whole of their norm?"
        raise Hint("value", text + turned)


def _judge_beyond_half(answer: Any) -> None:
    _need_norms(_need_layers(answer, nn.ReLU, 3))
    gap = _gap(answer)
    if gap < 0.5 + 1e-5:
        text = f"The gap is {gap:.4g}, which one hidden layer can do: does W2 mix its two units?"
        raise Hint("value", text)
    if gap < 0.55:
        raise Hint("value", f"The gap is {gap:.4g}, beyond ½ but below 0.55: turn W2 further?")


def _judge_repair(answer: Any) -> None:
    weights = _need_layers(answer, MaxMin, 4)
    shapes = [tuple(W.shape) for W in weights]
    if shapes != [(2, 2), (4, 2), (2, 4), (1, 2)]:
        raise Hint("shape", f"The shapes (2, 2), (4, 2), (2, 4), (1, 2) are needed; got {shapes}.")
    for k, W in enumerate(weights):
        sigma = torch.linalg.svdvals(W)
        if float((sigma - 1).abs().max()) > 1e-5:
            shown = ", ".join(f"{round(s, 3):g}" for s in sigma.tolist())
            raise Hint("constraint", f"W{k + 1} has the singular values {shown}: all must be 1.")
    x = seeded(50, 2) * 3
    got = need_tensor(call(answer, x), (50, 1))[:, 0]
    if torch.allclose(got, x.abs().amax(dim=1), atol=1e-4):
        text = "This is max(|x1|, |x2|): which row of W3 brings |x2| in, and what may stand there?"
        raise Hint("value", text)
    wrong = int((got - x[:, 0].abs()).abs().argmax())
    if abs(float(got[wrong] - x[wrong, 0].abs())) > 1e-4:
        at = f"({x[wrong, 0]:.3g}, {x[wrong, 1]:.3g})"
        raise Hint("value", f"At {at} it gives {got[wrong]:.4g} and not |x1|.")


def rotation(degrees: float) -> list[list[float]]:
    """The matrix [[c, −s], [s, c]]."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [[c, -s], [s, c]]


_c, _s = math.sqrt(2 / 3), math.sqrt(1 / 3)
BEST = relus([[_c], [-_s]], [[_c, -_s], [_s, _c]], [[_s, _c]])
"""Gap 1/√3 = 0.577: we know of no two hidden layers with a larger one."""


def with_third(W: Matrix) -> nn.Sequential:
    """The replaced network of the counterexample, with another third matrix."""
    _, replaced = theorem2_counterexample()
    replaced[4] = linear(W)
    return replaced


_MIXED = [[R, R, 0.0, 0.0], [R, -R, 0.0, 0.0]]

EXERCISES = (
    Exercise(
        name="03.half",
        question="A ReLU network with one hidden layer and gap ½.",
        difficulty=2,
        minutes=8,
        judge=_judge_half,
        solution=relus([[R], [-R]], [[R, R]]),
        right={
            "ReLU itself": relus([[1.0]], [[1.0]]),
            "float32": relus([[R], [-R]], [[R, R]]).float(),
            "uneven": relus([[0.6], [-0.8]], [[0.6, 0.8]]),
            "wide": relus([[0.5], [-0.5], [0.5], [-0.5]], [[0.5] * 4]),
        },
        wrong={
            "|x| by ReLU": (relus([[1.0], [-1.0]], [[1.0, 1.0]]), "‖W‖₂ = 1.414"),
            "halved": (relus([[0.5], [-0.5]], [[0.5, 0.5]]), "gap is 0.25"),
            "downwards": (relus([[R], [-R]], [[-R, -R]]), "point upwards"),
            "MaxMin": (nn.Sequential(linear([[R], [-R]]), MaxMin(), linear([[R, -R]])), "MaxMin"),
            "deeper": (BEST, "3 Linear layers"),
            "a function": (torch.relu, "nn.Sequential is needed"),
        },
    ),
    Exercise(
        name="03.beyond-half",
        question="A ReLU network with two hidden layers and a gap of at least 0.55.",
        difficulty=3,
        minutes=15,
        judge=_judge_beyond_half,
        solution=relus([[R], [-R]], rotation(30), [[R, R]]),
        right={
            "1/√3": BEST,
            "float32": relus([[R], [-R]], rotation(25), [[R, R]]).float(),
            "turned the other way": relus([[-R], [R]], rotation(28), [[R, R]]),
        },
        wrong={
            "not mixed": (relus([[R], [-R]], rotation(0), [[R, R]]), "gap is 0.5, which"),
            "turned a little": (relus([[R], [-R]], rotation(8), [[R, R]]), "below 0.55"),
            "too large": (relus([[1.0], [-1.0]], rotation(30), [[R, R]]), "Layer 1 has"),
            "one hidden layer": (relus([[R], [-R]], [[R, R]]), "2 Linear layers"),
            "not a network": (0.55, "float"),
        },
    ),
    Exercise(
        name="03.repair",
        question="|x1| by a network of the counterexample's shape, all singular values 1.",
        difficulty=3,
        minutes=12,
        judge=_judge_repair,
        solution=with_third(_MIXED),
        right={
            "sign": with_third([_MIXED[0], [-R, R, 0.0, 0.0]]),
            "order": with_third(_MIXED[::-1]),
            "float32": with_third(_MIXED).float(),
        },
        wrong={
            "the original": (theorem2_counterexample()[0], "W1 has the singular values 1, 0"),
            "the replaced": (theorem2_counterexample()[1], "max(|x1|, |x2|)"),
            "a row twice": (with_third([_MIXED[0], _MIXED[0]]), "W3 has the singular values 1.414"),
            "a zero row": (with_third([_MIXED[0], [0.0] * 4]), "W3 has the singular values 1, 0"),
            "other side": (with_third([[0.0, 0.0, R, R], [0.0, 0.0, R, -R]]), "and not |x1|"),
            "short": (
                nn.Sequential(linear([[R, 0.0], [-R, 0.0]]), MaxMin(), linear([[R, -R]])),
                "4 Linear layers",
            ),
        },
    ),
)
