"""The exercises of lesson 03."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    NEARLY,
    a_kind,
    call,
    compare_number,
    nearly,
    need_tensor,
    seeded,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import MaxMin
from lipteach.primitives.composition import walk
from lipteach.theory.frozen import Matrix, linear
from lipteach.theory.theorem2 import theorem2_counterexample

# --- networks, for 03.half, 03.beyond-half and 03.repair

R = math.sqrt(0.5)


def relus(*weights: Matrix) -> nn.Sequential:
    """A ReLU network of these weight matrices, without biases."""
    modules = [module for W in weights for module in (linear(W), nn.ReLU())]
    return nn.Sequential(*modules[:-1])


def one_activation(network: nn.Sequential) -> nn.Sequential:
    """The same network, with its first activation standing in all the places."""
    return nn.Sequential(*[network[1] if k % 2 else m for k, m in enumerate(network)])


def _need_layers(answer: Any, activation: type[nn.Module], count: int) -> list[nn.Linear]:
    """The Linear layers of a network of `count` of them, with the activation between them."""
    if isinstance(answer, type):
        raise Hint("type", f"This is the class {answer.__name__}: hand in an instance of it.")
    if type(answer) is not nn.Sequential:
        raise Hint("type", f"An nn.Sequential is needed, and this is {a_kind(answer)}.")
    leaves = [module for _, module in walk(answer)]
    for module in leaves:
        if not isinstance(module, nn.Linear | activation):
            text = f"Only Linear and {activation.__name__} are allowed here"
            raise Hint("type", f"{text}; this network uses {type(module).__name__}.")
    wanted = [isinstance(module, nn.Linear) for module in leaves]
    if wanted != [k % 2 == 0 for k in range(2 * count - 1)]:
        text = f"{count} Linear layers with a {activation.__name__} between each two are needed"
        names = ", ".join(type(module).__name__ for module in leaves)
        raise Hint("shape", f"{text}; this network is {names or 'empty'}.")
    layers = [module for module in leaves if isinstance(module, nn.Linear)]
    for k, layer in enumerate(layers):
        if not all(bool(torch.isfinite(p).all()) for p in layer.parameters()):
            raise Hint("constraint", f"Layer {k + 1} holds a number that is not finite.")
    return layers


def _need_scalar_network(answer: Any, count: int) -> list[float]:
    """The norms, at most 1, of the layers of a ReLU network from 1 to 1."""
    norms, inputs = [], 1
    for k, layer in enumerate(_need_layers(answer, nn.ReLU, count)):
        W = layer.weight.detach().double()
        if W.shape[1] != inputs:
            text = f"W{k + 1} has the shape {tuple(W.shape)} and gets an input of size {inputs}"
            raise Hint("shape", f"{text}: does it have one row for each of its outputs?")
        norms.append(float(torch.linalg.matrix_norm(W, ord=2)))
        if norms[-1] > 1 + 1e-5:
            shown, ask = show_apart(norms[-1], 1.0)[0], "by what is it divided?"
            if norms[-1] < 1.015:
                ask = NEARLY
            raise Hint("constraint", f"Layer {k + 1} has ‖W‖₂ = {shown}, and 1 is allowed: {ask}")
        inputs = len(W)
    return norms


def _gap(answer: nn.Module) -> float:
    points = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    f = need_tensor(call(answer, points), (3, 1)).flatten()
    return round(float((f[0] + f[2]) / 2 - f[1]), 6) + 0.0  # no minus before a zero


# --- 03.half

_HALF = relus([[R], [-R]], [[R, R]])
_NAN = relus([[1.0]], [[1.0]])
_NAN.get_parameter("2.weight").fill_(math.nan)


class _OwnForward(nn.Sequential):
    """A network that does something else than its layers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs() / 2


def _judge_half(answer: Any) -> None:
    norms = _need_scalar_network(answer, 2)
    gap = _gap(answer)
    if nearly(torch.tensor(gap), torch.tensor(0.5)) and gap < 0.5 - 1e-5:
        raise Hint("value", f"The gap is {show_apart(gap, 0.5)[0]}, below ½. {NEARLY}", (_ENDS,))
    if gap < 0.5 - 1e-5:
        ask = "does each weight use the whole of its norm?"
        if min(norms) > 0.99:
            ask = "does the kink sit at 0, and do all output weights point upwards?"
        raise Hint("value", f"The gap is {gap:.4g}, below ½: {ask}", (_ENDS,))


# --- 03.beyond-half

_c, _s = math.sqrt(2 / 3), math.sqrt(1 / 3)
BEST = relus([[_c], [-_s]], [[_c, -_s], [_s, _c]], [[_s, _c]])
"""Gap 1/√3 = 0.577: we know of no two hidden layers with a larger one."""


def rotation(degrees: float) -> list[list[float]]:
    """The matrix [[c, −s], [s, c]]."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [[c, -s], [s, c]]


def _judge_beyond_half(answer: Any) -> None:
    _need_scalar_network(answer, 3)
    gap = _gap(answer)
    if gap >= 0.55 - 1e-6:
        return
    if gap < 0:
        text = f"The gap is {gap:.4g}: which sign do the output weights have?"
        raise Hint("value", text, (_ENDS,))
    said = f"One hidden layer can do the gap {gap:.4g}, too"
    if gap > 0.5 + 1e-5:
        said = f"The gap is {gap:.4g}, beyond ½ but below 0.55"
    first, second, _ = (copy.deepcopy(one).double() for one in _need_layers(answer, nn.ReLU, 3))
    hidden = first(_ENDS).relu()
    best = _best_last(hidden, second)
    if best >= 0.55:
        ask = f"W1 and W2 would allow {best:.3g}. Which W3 makes the most of them?"
    elif any(layer.bias is not None and bool(layer.bias.any()) for layer in (first, second)):
        ask = "is there a bias which moves the kink away from 0?"
    elif len(hidden[0]) == 2 and max(_best_last(hidden, turn) for turn in _TURNS) < 0.55:
        ask = "no W2 makes 0.55 of this W1. Which share of its norm has x > 0, and which x < 0?"
    elif gap > 0.5 + 1e-5:
        ask = "does a smaller or a larger turn of W2 give more?"
    else:
        ask = "which turn of W2 helps x > 0 more than it costs x < 0?"
    raise Hint("value", f"{said}: {ask}", (_ENDS,))


_ROUND = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in range(0, 360, 3)]
_ENDS = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)


def _best_last(hidden: Tensor, second: nn.Linear) -> float:
    """The largest gap that any last row gives to the first layer's outputs at −1, 0 and 1."""
    h = second(hidden).relu()
    return float(((h[0] + h[2]) / 2 - h[1]).norm())


_TURNS = [linear([[c, k * s], [s, -k * c]]) for c, s in _ROUND for k in (-1, 1)]
"""Rotations of two hidden units, and reflections."""


# --- 03.lost-norm


def lost(w: Tensor, d: Tensor) -> Tensor:
    """‖w‖² − ‖w D‖² for D = diag(d): w of shape (n,), d of shape (…, n)."""
    return ((1 - d.square()) * w.square()).sum(-1)


# --- 03.offset

OFFSET = 0.28 * (-1) + 0.96 * (+1)

# --- 03.mean-norm

MEAN_NORM = (1 + math.sqrt(2)) / 4
"""Over four equal quarters of [−1, 1]² the gradient norm is 1, √½, √½ and 0."""

# --- 03.not-monotone

_STEPS = torch.linspace(-1, 1, 2001, dtype=torch.float64)


def _near(step: int) -> str:
    return f"Near x = {_STEPS[step]:z.2f}"  # z: no minus before a zero


def _judge_not_monotone(answer: Any) -> None:
    """Slope ±1 almost everywhere on [−1, 1], 1-Lipschitz, entry by entry, and not affine."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.relu.")
    got = need_tensor(call(answer, _STEPS.clone()))
    if got.shape != _STEPS.shape:
        raise Hint("shape", "An activation works entry by entry: one output for every input.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the outputs on [−1, 1] are not finite.")
    mixed = seeded(len(_STEPS)).argsort()  # a symmetric order would hide what depends on it
    if not torch.allclose(need_tensor(call(answer, _STEPS[mixed])), got[mixed], atol=1e-5):
        raise Hint("layout", "An activation works entry by entry; yours depends on the others.")
    slope = got.diff() / _STEPS.diff()
    steep = int(slope.abs().argmax())
    if (rise := float(slope[steep].abs())) > 1.01:
        how = "it jumps" if rise > 100 else f"the slope is ±{rise:.3g}"
        text = f"{_near(steep)} {how}: is it 1-Lipschitz?"
        raise Hint("constraint", text, (_STEPS[steep : steep + 2],))
    flat = slope.abs() < 0.99
    if bool((flat[1:] & flat[:-1]).any()):  # a kink spoils one step, a flat piece two in a row
        flattest = int(slope.abs().argmin())
        text = f"{_near(flattest)} the slope is {slope[flattest]:z.2f}"
        text += ": the gradient norm is lost there. Which other slope has norm 1?"
        raise Hint("value", text, (_STEPS[flattest : flattest + 2],))
    if torch.allclose(got, got[0] + slope[1000] * (_STEPS + 1), atol=1e-3):
        raise Hint("value", "This one is affine, as Theorem 1 says: can the slope change its sign?")


# --- 03.repair

_MIXED = [[R, R, 0.0, 0.0], [R, -R, 0.0, 0.0]]
_KEPT = [[R, R, 0.0, 0.0], [0.0, 0.0, R, -R]]


def with_third(W: Matrix, b: Sequence[float] | None = None) -> nn.Sequential:
    """The replaced network of the counterexample, with another third layer."""
    _, replaced = theorem2_counterexample()
    replaced[4] = linear(W, b)
    return replaced


def _judge_repair(answer: Any) -> None:
    layers = _need_layers(answer, MaxMin, 4)
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if shapes != [(2, 2), (4, 2), (2, 4), (1, 2)]:
        raise Hint("shape", f"The shapes (2, 2), (4, 2), (2, 4), (1, 2) are needed; got {shapes}.")
    for k, layer in enumerate(layers):
        sigma = torch.linalg.svdvals(layer.weight.detach().double())
        if float((sigma - 1).abs().max()) > 2e-6:
            shown = show_apart(sigma, torch.ones_like(sigma))[0].strip("[]")
            text = f"W{k + 1} has the singular values {shown}: all must be 1."
            if nearly(sigma, torch.ones_like(sigma)):
                text += f" {NEARLY}"
            raise Hint("constraint", text)
        if layer.bias is not None and bool(layer.bias.any()):
            text = "A bias helps on a bounded domain only: does it still count at 10⁹·x?"
            raise Hint("constraint", text)
    x = seeded(50, 2) * 3
    got = need_tensor(call(answer, x), (50, 1))[:, 0]
    if torch.allclose(got, x.abs().amax(dim=1), atol=1e-4):
        text = "This is max(|x1|, |x2|): which row of W3 brings |x2| in, and what may stand there?"
        raise Hint("value", text)
    wrong = int((got - x[:, 0].abs()).abs().argmax())
    if abs(float(got[wrong] - x[wrong, 0].abs())) > 1e-4:
        at = f"({x[wrong, 0]:.3g}, {x[wrong, 1]:.3g})"
        given, right = show_apart(float(got[wrong]), float(x[wrong, 0].abs()))
        text = (
            f"At {at} it gives {given}, and |x1| is {right}: which row of W3 makes the difference?"
        )
        raise Hint("value", text, (x[wrong : wrong + 1],))


EXERCISES = (
    Exercise(
        name="03.half",
        judge=_judge_half,
        solution=_HALF,
        right={
            "ReLU itself": relus([[1.0]], [[1.0]]),
            "uneven": relus([[0.6], [-0.8]], [[0.6, 0.8]]),
            "nested": nn.Sequential(nn.Sequential(_HALF[0], _HALF[1]), _HALF[2]),
            "wide": relus([[0.5], [-0.5], [0.5], [-0.5]], [[0.5] * 4]),
        },
        wrong={
            "|x| by ReLU": (relus([[1.0], [-1.0]], [[1.0, 1.0]]), "‖W‖₂ = 1.414"),
            "three digits": (relus([[0.707], [-0.707]], [[0.707, 0.707]]), "below ½. Nearly"),
            "rounded up": (relus([[0.7072], [-0.7072]], [[R, R]]), "1 is allowed: Nearly"),
            "halved": (relus([[0.5], [-0.5]], [[0.5, 0.5]]), "gap is 0.25"),
            "downwards": (relus([[R], [-R]], [[-R, -R]]), "gap is -0.5, below"),
            "one downwards": (relus([[R], [-R]], [[R, -R]]), "gap is 0, below"),
            "kink beside 0": (
                nn.Sequential(linear([[1.0]], [0.5]), nn.ReLU(), linear([[1.0]])),
                "kink sit at 0",
            ),
            "a row": (relus([[R, -R]], [[R], [R]]), "W1 has the shape (1, 2)"),
            "not finite": (_NAN, "not finite"),
            "ReLU at the end": (nn.Sequential(*_HALF, nn.ReLU()), "Linear, ReLU, Linear, ReLU."),
            "own forward": (_OwnForward(*_HALF), "a _OwnForward"),
            "a class": (nn.Sequential, "the class Sequential"),
            "MaxMin": (nn.Sequential(linear([[R], [-R]]), MaxMin(), linear([[R, -R]])), "MaxMin"),
            "deeper": (BEST, "ReLU, Linear, ReLU, Linear."),
            "a function": (torch.relu, "a builtin"),
        },
    ),
    Exercise(
        name="03.beyond-half",
        judge=_judge_beyond_half,
        solution=relus([[R], [-R]], rotation(30), [[R, R]]),
        right={
            "1/√3": BEST,
            "float32": relus([[R], [-R]], rotation(25), [[R, R]]).float(),
            "one ReLU twice": one_activation(BEST),
            "turned the other way": relus([[-R], [R]], rotation(28), [[R, R]]),
        },
        wrong={
            "not mixed": (relus([[R], [-R]], rotation(0), [[R, R]]), "the gap 0.5, too"),
            "turned a little": (relus([[R], [-R]], rotation(8), [[R, R]]), "below 0.55"),
            "turned too far": (relus([[R], [-R]], rotation(45), [[R, R]]), "gap is 0.5303"),
            "downwards": (relus([[R], [-R]], rotation(30), [[-R, -R]]), "which sign"),
            "one unit read": (relus([[R], [-R]], rotation(30), [[1.0, 0.0]]), "Which W3"),
            "uneven W3": (relus([[R], [-R]], rotation(30), [[0.8, 0.6]]), "W1 and W2 would allow"),
            "halved W1": (relus([[0.5], [-0.5]], rotation(30), [[R, R]]), "share of its norm"),
            "one-sided W1": (relus([[1.0], [0.0]], rotation(30), [[R, R]]), "no W2 makes"),
            "too large": (relus([[1.0], [-1.0]], rotation(30), [[R, R]]), "Layer 1 has"),
            "one hidden layer": (relus([[R], [-R]], [[R, R]]), "is Linear, ReLU, Linear."),
            "not a network": (0.55, "a float"),
        },
    ),
    Exercise(
        name="03.lost-norm",
        judge=partial(
            compare_function,
            reference=lost,
            inputs=[
                (torch.tensor([0.6, -0.8]).double(), torch.tensor([1.0, 0.5]).double()),
                (seeded(4), seeded(4, seed=2).clamp(-1, 1)),
            ],
            layouts=[
                (seeded(4), seeded(5, 4, seed=1).clamp(-1, 1)),
                (seeded(4), seeded(2, 3, 4, seed=1).clamp(-1, 1)),
            ],
        ),
        solution=lost,
        right={
            "two norms": lambda w, d: w.norm() ** 2 - (w * d).norm(dim=-1) ** 2,
            "a product": lambda w, d: (1 - d**2) @ w**2,
        },
        mistakes={
            "no squares": (
                lambda w, d: ((1 - d) * w).sum(-1),
                "No squares yet: ‖w‖² is a sum of squares, and so is ‖w D‖².",
            ),
            "slope not squared": (
                lambda w, d: ((1 - d) * w**2).sum(-1),
                "The slope enters ‖w D‖² squared as well: (dᵢ wᵢ)² = ?",
            ),
            "norms": (
                lambda w, d: w.norm() - (w * d).norm(dim=-1),
                "This is the difference of the norms; Equation (12) has that of their squares.",
            ),
            "mean": (
                lambda w, d: lost(w, d) / len(w),
                "A mean over the units instead of their sum: which one is a norm made of?",
            ),
            "one number": (
                lambda w, d: ((1 - d**2) * w**2).sum(),
                "All points are in one number: along which dimension do the units lie?",
                lambda got, want, *_: got.ndim < want.ndim,  # however it was summed
            ),
            "over the points": (
                lambda w, d: ((1 - d**2) * w**2).sum(0),
                "For w of shape (4,) and d of shape (5, 4) you return one number for each unit: "
                "which of the two dimensions is summed?",
            ),
            "terms": (
                lambda w, d: (1 - d**2) * w**2,
                "For w and d of shape (2,) you return both terms of (12): what is left to do?",
            ),
            "the square of 1 − d": (
                lambda w, d: ((1 - d) ** 2 * w**2).sum(-1),
                "(1 − d)² is not 1 − d²: for d = ½, what are they?",
            ),
            "w itself": (
                lambda w, d: ((1 - d**2) * w).sum(-1),
                "w is not squared here: which power has it in ‖w‖²?",
            ),
            "all of it": (
                lambda w, d: (w**2).sum().expand(d.shape[:-1]),
                "This is ‖w‖², all there is: which part of it does D keep?",
            ),
            "a square of a sum": (
                lambda w, d: w @ w - (d @ w) ** 2,
                "(Σ dᵢ wᵢ)² is not Σ (dᵢ wᵢ)²: which of them is ‖w D‖²?",
            ),
            "a product of sums": (
                lambda w, d: (1 - d**2).sum(-1) * (w @ w),
                "A product of two sums is not the sum of the products: which is asked for?",
            ),
            "plus": (
                lambda w, d: ((1 + d**2) * w**2).sum(-1),
                "What is kept is added here: what is lost is ‖w‖² minus what?",
            ),
            "the rest": (
                lambda w, d: (w * d).square().sum(-1),
                "This is what is left: what was lost?",
            ),
        },
    ),
    Exercise(
        name="03.offset",
        judge=partial(
            compare_number,
            value=OFFSET,
            otherwise="What is φ(5) − 5, and what is φ(−5) + 5, by softshrink = "
            "nn.Softshrink(1.0)?",
        ),
        solution=OFFSET,
        right={"a row": torch.tensor([0.68]), "sum": -0.28 + 0.96},
        mistakes={
            "the paper": (0, "This is the paper's collapse, which leaves out c: what is φ(5) − 5?"),
            "same side": (-1.24, "The second unit sits below −1: is its offset −1, too?"),
            "both turned": (1.24, "The first unit sits above 1: is φ(z) − z positive there?"),
            "sign": (-OFFSET, "Both signs are turned: φ(z) = z − 1 for z > 1, so c = ?"),
            "f itself": (
                -2.72,
                "This is f itself at z = (5, −5): by how much is it above 0.28 z₁ + 0.96 z₂?",
            ),
            "first unit": (-0.28, "This comes from the first unit: what does the second one add?"),
            "second unit": (0.96, "This comes from the second unit: what does the first one add?"),
        },
        wrong={"weights": ([0.28, 0.96], "A number is needed")},
    ),
    Exercise(
        name="03.mean-norm",
        judge=partial(
            compare_number,
            value=MEAN_NORM,
            decimals=3,
            otherwise="At (½, −½) one unit is on: how long is the gradient there, and in the "
            "other quarters?",
        ),
        solution=MEAN_NORM,
        right={"three digits": 0.604, "four digits": 0.6036},
        mistakes={
            "the positive quadrant": (
                1,
                "This holds on [0, 1]²: what happens to a unit whose input is negative?",
            ),
            "half": (0.5, "Half of the units are active, but is the norm of (1, 0)/√2 one half?"),
            "a quarter": (
                0.25,
                "Only one quarter counts here: is the gradient 0 where one unit is active?",
            ),
            "root mean square": (
                R,
                "This is the root of the mean square: which mean is asked for?",
            ),
            "three quarters": (
                (1 + math.sqrt(2)) / 3,
                "One quarter is left out: where are both units off?",
            ),
            "no factor": (
                (2 + math.sqrt(2)) / 4,
                "Is the factor 1/√2 in every gradient, and are all four quarters in the mean?",
            ),
            "not divided": (
                1 + math.sqrt(2),
                "This is the integral: what is the area of the square?",
            ),
            "one digit": (
                0.6,
                "Nearly: what are its three digits?",
                lambda got: abs(got - MEAN_NORM) < 5e-3,
            ),
        },
        wrong={"a function": (lost, "A number is needed")},
    ),
    Exercise(
        name="03.not-monotone",
        judge=_judge_not_monotone,
        solution=torch.abs,
        right={
            "downwards": lambda x: -x.abs(),
            "shifted": lambda x: (x - 0.3).abs(),
            "the letter W": lambda x: (x.abs() - 0.5).abs(),
            "where": lambda x: torch.where(x > 0.25, x, 0.5 - x),
        },
        wrong={
            "relu": (torch.relu, "slope is 0.00"),
            "clamped": (lambda x: x.clamp(max=0.9), "Near x = 0.90 the slope"),
            "a narrow shrink": (torch.nn.Softshrink(0.02), "Near x = -0.02 the slope"),
            "tanh": (torch.tanh, "slope is 0.42"),
            "identity": (lambda x: x, "affine, as Theorem 1"),
            "too steep": (lambda x: 2 * x.abs(), "slope is ±2"),
            "a jump": (torch.sign, "it jumps"),
            "a number": (lambda x: x.abs().sum(), "one output"),
            "turned": (lambda x: x.flip(0).abs(), "yours depends"),
            "a logarithm": (torch.log, "are not finite"),
            "not a function": (1.0, "A function of a tensor"),
        },
    ),
    Exercise(
        name="03.repair",
        judge=_judge_repair,
        solution=with_third(_MIXED),
        right={
            "sign": with_third([_MIXED[0], [-R, R, 0.0, 0.0]]),
            "order": with_third(_MIXED[::-1]),
            "one MaxMin thrice": one_activation(with_third(_MIXED)),
            "biases of 0": with_third(_MIXED, [0.0, 0.0]),
        },
        wrong={
            "the original": (theorem2_counterexample()[0], "W1 has the singular values 1, 0"),
            "the replaced": (theorem2_counterexample()[1], "max(|x1|, |x2|)"),
            "a large bias": (with_third(_KEPT, [0.0, -1e6]), "bounded domain only"),
            "a row twice": (with_third([_MIXED[0], _MIXED[0]]), "W3 has the singular values 1.414"),
            "three digits": (
                with_third([[0.707, 0.707, 0.0, 0.0], [0.707, -0.707, 0.0, 0.0]]),
                "Nearly",
            ),
            "a zero row": (with_third([_MIXED[0], [0.0] * 4]), "W3 has the singular values 1, 0"),
            "three rows": (
                nn.Sequential(
                    *list(with_third([*_MIXED, _KEPT[1]]))[:6], linear([[1.0, 0.0, 0.0]])
                ),
                "(1, 2) are needed",
            ),
            "other side": (with_third([[0.0, 0.0, R, R], [0.0, 0.0, R, -R]]), "and |x1| is"),
            "short": (
                nn.Sequential(linear([[R, 0.0], [-R, 0.0]]), MaxMin(), linear([[R, -R]])),
                "this network is Linear, MaxMin, Linear.",
            ),
        },
    ),
)
