"""Exercises of lesson 03 at the edge of the theorems: not-monotone, repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    NEARLY,
    call,
    nearly,
    need_tensor,
    seeded,
    show_apart,
)
from lipteach.classroom.lessons.l03_why_relu_is_linear.exercises.layers import (
    R,
    need_layers,
    one_activation,
)
from lipteach.primitives import MaxMin
from lipteach.theory.frozen import Matrix, linear
from lipteach.theory.theorem2 import theorem2_counterexample

# --- 03.not-monotone

_STEPS = torch.linspace(-1, 1, 2001, dtype=torch.float64)
_OUTSIDE = torch.cat(
    [1 + torch.arange(2000) / 100, torch.logspace(1.4, 30, 600, dtype=torch.float64)]
).double()


def _near(step: int) -> str:
    return f"Near x = {_STEPS[step]:z.2f}"  # z: no minus before a zero


def _two(slope: float) -> str:
    """Two decimals, or as many as it takes to tell it from 1."""
    return f"{slope:z.2f}" if abs(slope) < 0.99 else show_apart(slope, float(round(slope)))[0]


def _judge_not_monotone(answer: Any) -> None:
    """Slope ±1 almost everywhere on [−1, 1], 1-Lipschitz, entry by entry, and not affine."""
    if isinstance(answer, type):
        raise Hint("type", f"This is the class {answer.__name__}: hand in an instance of it.")
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.relu.")
    got = need_tensor(call(answer, _STEPS.clone()))
    if got.shape != _STEPS.shape:
        raise Hint("shape", "An activation works entry by entry: one output for every input.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the outputs on [−1, 1] are not finite.")
    mixed = seeded(len(_STEPS)).argsort()  # a symmetric order would hide what depends on it
    alone = "alone each gives something else"  # a part has another mean, and another length
    for some, said in ((mixed, "yours depends on the others"), (mixed[:700], alone)):
        again = need_tensor(call(answer, _STEPS[some]), tuple(some.shape))
        if not torch.allclose(again, got[some], atol=1e-5):
            raise Hint("layout", f"An activation works entry by entry; {said}.")
    slope = got.diff() / _STEPS.diff()
    steep = int(slope.abs().argmax())
    if (rise := float(slope[steep].abs())) > 1.001:
        how = "it jumps" if rise > 100 else f"the slope is ±{rise:.4g}"
        text = f"{_near(steep)} {how}: is it 1-Lipschitz?"
        raise Hint("constraint", text, (_STEPS[steep : steep + 2],))
    for outside in (_OUTSIDE, -_OUTSIDE):
        values = need_tensor(call(answer, outside.clone()), tuple(outside.shape))
        rises = (values.diff() / outside.diff()).abs()
        if not bool((rises <= 1.001).all()):  # NaN too
            k = int((~(rises <= 1.001)).nonzero()[0])
            text = f"Right on [−1, 1]; near x = {float(outside[k]):.4g} the slope is"
            text += f" ±{float(rises[k]):.4g}: is it 1-Lipschitz there?"
            raise Hint("constraint", text, (outside[k : k + 2],))
    flat = slope.abs() < 0.999
    if bool((flat[1:] & flat[:-1]).any()):  # a kink spoils one step, a flat piece two in a row
        flattest = int(slope.abs().argmin())
        text = f"{_near(flattest)} the slope is {_two(float(slope[flattest]))}"
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


_E = torch.eye(4).tolist()


def with_layer(k: int, W: Matrix, third: Matrix = _KEPT) -> nn.Sequential:
    """The replaced network with another k-th module, and perhaps another third layer."""
    network = with_third(third)
    network[k] = linear(W)
    return network


def _judge_repair(answer: Any) -> None:
    layers = need_layers(answer, MaxMin, 4)
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
    changed = _changed(layers)
    wrong = int((got - x[:, 0].abs()).abs().argmax())
    if abs(float(got[wrong] - x[wrong, 0].abs())) > 1e-4:
        at = f"({x[wrong, 0]:.3g}, {x[wrong, 1]:.3g})"
        given, right = show_apart(float(got[wrong]), float(x[wrong, 0].abs()))
        row = f"which row of {' or '.join(changed)} makes the difference?"
        text = f"At {at} it gives {given}, and |x1| is {right}: {row}"
        raise Hint("value", _what_it_is(got, x, changed) or text, (x[wrong : wrong + 1],))
    if len(changed) > 1:
        text = f"This is |x1|, and {' and '.join(changed)} were changed: which one is enough?"
        raise Hint("constraint", text)


def _changed(layers: Sequence[nn.Linear]) -> list[str]:
    """The matrices that are not those of the replaced network."""
    before = need_layers(theorem2_counterexample()[1], MaxMin, 4)
    pairs = enumerate(zip(layers, before, strict=True))
    return [f"W{k + 1}" for k, (new, old) in pairs if not _equal(new.weight, old.weight)]


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.double(), other.double(), atol=1e-5)


def _what_it_is(got: Tensor, x: Tensor, changed: Sequence[str]) -> str:
    """The function that was built instead of |x1|, with its question, or ""."""
    a, b = x.abs().T
    more = "which row of W3 brings |x2| in, and what may stand there?"
    if not changed:
        more = "none of its matrices was changed. Which one lets |x2| in?"
    elif changed != ["W3"]:
        more = f"{' and '.join(changed)} changed, and |x2| is still in. Which matrix lets it in?"
    known = (
        (torch.maximum(a, b), f"max(|x1|, |x2|): {more}"),
        (b, "|x2|: which units behind the second MaxMin hold |x1|?"),
        (-a, "−|x1|: which sign is turned?"),
        (torch.minimum(a, b), "min(|x1|, |x2|): which entry of a pair does the last row take?"),
        (R * a, "|x1|/√2: two units hold it, and which row adds them up?"),
        (R * torch.maximum(a, b), "max(|x1|, |x2|)/√2: which units are left out, or cancelled?"),
        (-torch.maximum(a, b), "−max(|x1|, |x2|): what turns the sign, and what lets |x2| in?"),
        (-torch.minimum(a, b), "−min(|x1|, |x2|): which signs turn, and which entry is taken?"),
        (R * (a + b), "(|x1| + |x2|)/√2: where are the two added, and which is asked for?"),
        (R * (a - b).abs(), "||x1| − |x2||/√2: where is one taken from the other?"),
        (torch.maximum(a, R * b), "max(|x1|, |x2|/√2): what may stand beside |x1| at most?"),
        (torch.zeros_like(a), f"0 everywhere: what cancels in {' or '.join(changed)}?"),
    )
    return next((f"This is {said}" for f, said in known if torch.allclose(got, f, atol=1e-4)), "")


EXERCISES = (
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
            "steep beyond 1": (
                lambda x: torch.where(x.abs() <= 1, x.abs(), 5 * x.abs() - 4),
                "near x = 1 the slope is ±5",
            ),
            "a square far out": (
                lambda x: torch.where(x.abs() <= 1e12, x.abs(), x.square() / 1e12),
                "is it 1-Lipschitz there",
            ),
            "a little too steep": (lambda x: 1.005 * x.abs(), "slope is ±1.005"),
            "a little too flat": (lambda x: 0.995 * x.abs(), "the slope is 0.995"),
            "from the mean": (lambda x: (x - x.mean()).abs(), "alone each"),
            "a class": (nn.ReLU, "the class ReLU"),
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
            "the replaced": (theorem2_counterexample()[1], "none of its matrices"),
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
            "other side": (with_third([[0.0, 0.0, R, R], [0.0, 0.0, R, -R]]), "This is |x2|"),
            "minus": (with_layer(6, [[-1.0, 0.0]], _MIXED), "which sign is turned"),
            "the lesser": (with_layer(6, [[0.0, 1.0]]), "This is min("),
            "single units": (with_third([_E[0], _E[1]]), "This is |x1|/√2"),
            "one unit each": (with_third([_E[0], _E[2]]), "|x2|)/√2"),
            "a minus in the row": (with_third([[-R, -R, 0.0, 0.0], _MIXED[1]]), "This is 0"),
            "both signs": (with_layer(6, [[-1.0, 0.0]]), "This is −max("),
            "the rest in one unit": (with_third([_KEPT[0], _E[2]]), "beside |x1|"),
            "columns mixed": (
                with_third([[R, 0.0, R, 0.0], [0.0, R, 0.0, R]]),
                "which row of W3 makes the difference",
            ),
            "W1 alone": (with_layer(0, [[0.0, 1.0], [1.0, 0.0]]), "where are the two added"),
            "a difference": (with_layer(6, [[R, -R]]), "taken from the other"),
            "W2 alone": (with_layer(2, torch.eye(4)[:, :2]), "which row of W2 makes"),
            "rows exchanged": (with_third(_KEPT[::-1]), "which row of W3 brings"),
            "rows of W1 exchanged": (with_layer(0, [[-R, R], [R, R]]), "W1 changed, and"),
            "two matrices": (with_layer(0, [[-R, R], [R, R]], _MIXED), "which one is enough"),
            "short": (
                nn.Sequential(linear([[R, 0.0], [-R, 0.0]]), MaxMin(), linear([[R, -R]])),
                "this network is Linear, MaxMin, Linear.",
            ),
        },
    ),
)
