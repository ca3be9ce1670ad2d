"""13.tight and 13.certify: the factor 2 of the ∞-norm, and √2 of the 2-norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import call, need_tensor, seeded, shape_of, show_apart
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import need_own_code
from lipteach.robustness import certified_radius

TOL = 1e-6

# --- 13.tight


def _judge_tight(answer: Any) -> None:
    W = need_tensor(answer)
    if W.ndim == 1:
        text = f"One row of {len(W)} numbers: each of the two logits has a row of its own"
        raise Hint("shape", f"{text}. Which are the two?")
    if W.ndim != 2 or W.shape[0] != 2 or not 1 <= W.shape[1] <= 4:
        text = f"The shape is {shape_of(W)}; (2, n) is needed, n at most 4"
        ask = "is it transposed?" if W.ndim == 2 and W.shape[1] == 2 else "what has each logit?"
        raise Hint("shape", f"{text}: {ask}")
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "An entry is not finite.")
    sums = W.abs().sum(1)
    if float(sums.max()) > 1 + TOL:
        raise Hint("constraint", _too_large(W, sums))
    moved = float((W[0] - W[1]).abs().sum())
    if moved < 2 - 4 * TOL:
        raise Hint("value", _too_small(W, sums, moved))


def _too_large(W: Tensor, sums: Tensor) -> str:
    row = int(sums.argmax())
    text = f"The absolute values of row {row} add up to {show_apart(float(sums[row]), 1.0)[0]}"
    if bool((W.norm(dim=1) <= 1 + 1e-3).all()):
        return f"{text}, and in the 2-norm the rows are at most 1: which norm of a row is in ‖W‖_∞?"
    if float(W.abs().sum(0).max()) <= 1 + TOL:
        return f"{text}, and those of each column to at most 1: does ‖W‖_∞ add up rows or columns?"
    if float(W.abs().max()) <= 1 + TOL:
        return f"{text}, and each entry is at most 1: what may a row add up to?"
    return f"{text}: how large may ‖W‖_∞ be, and how is it taken?"


def _too_small(W: Tensor, sums: Tensor, moved: float) -> str:
    size = show_apart(moved, 2.0)[0]
    text = f"Within ‖δ‖_∞ ≤ ε the difference changes by {size} ε, not by 2 ε"
    if not bool(W.any()):
        return "Here no logit moves at all: how far may each of them?"
    if torch.allclose(W[0], W[1]):
        return "Both rows are the same, so both logits move together: what is their difference?"
    if float(sums.min()) < TOL:
        return f"{text}: one of the logits never moves. How far may it, and which way?"
    if float(sums.min()) < 0.999:
        short = int(sums.argmin())
        shown = show_apart(float(sums[short]), 1.0)[0]
        same = bool((W[0] * W[1] > 0).any())
        ask = ", and some pixel moves both logits the same way" * same
        return f"{text}: row {short} adds up to {shown} only{ask}. What may it add up to?"
    if bool((sums < 1 - TOL).any()):
        return f"{text}: were digits cut short? Which numbers add up to 1 exactly?"
    if float(W[0] @ W[1]) == 0:
        ask = "a right angle does not keep a pixel from moving both logits the same way"
        return f"{text}: {ask}. Which pixel does?"
    if bool((W * W.flip(0) >= 0).all()):
        return f"{text}: every pixel moves both logits the same way. Which signs drive them apart?"
    return f"{text}: some pixel moves both logits the same way. Which one, and what if it did not?"


_OPPOSED = [[1.0], [-1.0]]


# --- 13.certify


def _gap(logits: Tensor, places: tuple[int, int] = (0, 1)) -> Tensor:
    """The difference of two logits, by their rank."""
    ranked = logits.sort(dim=1, descending=True).values
    return ranked[:, places[0]] - ranked[:, places[1]]


def _factor(p: float) -> float:
    return 2.0 if p == math.inf else 2**0.5


def radius(logits: Tensor, L: float, p: float) -> Tensor:
    """The certified radius of each row."""
    return _gap(logits) / (_factor(p) * L)


def _over(factor: Callable[[float, float], float]) -> Callable[..., Tensor]:
    """The right gap over something else."""
    return lambda logits, L, p: _gap(logits) / factor(L, p)


def _of(gap: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Something else over the right denominator."""
    return lambda logits, L, p: gap(logits) / (_factor(p) * L)


def _by_loop(logits: Tensor, L: float, p: float) -> Tensor:
    found = []
    for row in logits.tolist():
        last, first = sorted(row)[-2:]
        found.append((first - last) / (2 ** (1 - 1 / p) * L))
    return logits.new_tensor(found)


def _by_mask(logits: Tensor, L: float, p: float) -> Tensor:
    best = logits.max(dim=1)
    rest = logits.scatter(1, best.indices[:, None], -math.inf).amax(1)
    return (best.values - rest) / L / (math.sqrt(2) if p == 2 else 2)


def _to_label_0(logits: Tensor) -> Tensor:
    return logits[:, 0] - logits[:, 1:].amax(1)


def _along_the_batch(logits: Tensor, L: float, p: float) -> Tensor:
    first, second = logits.topk(2, dim=0).values.unbind(0)
    return (first - second) / (_factor(p) * L)


_LOGITS = (
    torch.tensor([[0.25, 1.25, 0.0], [-1.0, -3.0, -2.5]]).double(),
    3 * seeded(5, 4, seed=1),
    seeded(3, 3, seed=2) - 4,
    2 * seeded(4, 2, seed=3),
    10 * seeded(2, 10, seed=4),
)
_GIVEN = [
    (logits, L, p)
    for logits, L in zip(_LOGITS, (1.0, 4.0, 0.5, 10.0, 3.0), strict=True)
    for p in (2, math.inf)
]
_TIES = [
    (torch.tensor([[2.0, 2.0, 1.0], [0.0, -1.0, 0.0]]).double(), 2.0, p) for p in (2, math.inf)
]


def _which_part(answer: Any) -> str:
    """Whether the gap is right, and only its denominator is not."""
    factors = [call(answer, *given) / radius(*given) for given in _GIVEN]
    if all(float(one.max() - one.min()) < 1e-4 * float(one.abs().max()) for one in factors):
        return "The gaps are right: by which multiple of L are they divided, for each p?"
    return "It is not the gap of the two largest that is divided: which numbers are in it?"


_ASK = "Which of your steps makes the difference?"


def _judge_certify(answer: Any, mistakes: Sequence[Mistake]) -> None:
    try:
        compare_function(answer, radius, _GIVEN, ties=_TIES, mistakes=mistakes)
    except Hint as hint:
        if _ASK not in hint.text or not hint.example:
            raise
        text = hint.text.replace(_ASK, _which_part(answer))
        raise Hint(hint.kind, text, hint.example) from None
    need_own_code(answer, _GIVEN[:1], "write the formula yourself.")


EXERCISES = (
    Exercise(
        name="13.tight",
        judge=_judge_tight,
        solution=_OPPOSED,
        right={
            "shared": torch.tensor([[0.5, -0.5], [-0.5, 0.5]]),
            "the identity": [[1, 0], [0, 1]],
            "three": ((0.25, -0.5, 0.25), (-0.5, 0.5, 0)),
            "thirds": torch.tensor([[1, 1, 1], [-1, -1, -1]]) / 3,
        },
        wrong={
            "the same": ([[1, 0], [1, 0]], "Both rows are the same"),
            "orthogonal": ([[0.5, 0.5], [0.5, -0.5]], "a right angle"),
            "one row 0": ([[1, 0], [0, 0]], "one of the logits never moves"),
            "nothing": ([[0, 0], [0, 0]], "no logit moves at all"),
            "rows of 2": ([[1, 1], [-1, -1]], "each entry is at most 1"),
            "of 2-norm 1": (
                torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5,
                "in the 2-norm the rows",
            ),
            "columns": ([[0.9, 0.9], [0.1, -0.1]], "does ‖W‖_∞ add up"),
            "too large": ([[2], [-2]], "add up to 2: how large"),
            "halves": ([[0.5], [-0.5]], "adds up to 0.5 only. What"),
            "halves, one way": ([[0.5, 0.0], [0.5, 0.5]], "only, and some pixel"),
            "few digits": ([[0.9999], [-0.9999]], "cut short"),
            "one way": ([[0.75, 0.25], [0.25, 0.75]], "every pixel moves both"),
            "in part": (
                [[0.75, 0.25], [-0.5, 0.5]],
                "some pixel moves both logits the same way. W",
            ),
            "a row": ([1, -1], "One row of 2 numbers"),
            "transposed": ([[1, 0], [-1, 0], [0, 0]], "is it transposed"),
            "three rows": ([[1, 0, 0]] * 3, "what has each logit"),
            "not finite": ([[math.nan], [1]], "not finite"),
            "a name": ("MaxMin", "a str"),
        },
    ),
    Exercise(
        name="13.certify",
        judge=_judge_certify,
        solution=lambda logits, L, p: _of(
            lambda z: z.topk(2, dim=1).values @ z.new_tensor([1, -1])
        )(logits, L, p),
        right={"row by row": _by_loop, "by a mask": _by_mask, "sorted": radius},
        mistakes={
            "2 for both": (
                _over(lambda L, _p: 2 * L),
                "Both norms get the factor 2: in the 2-norm, can two logits both move by L ε?",
            ),
            "√2 for both": (
                _over(lambda L, _p: 2**0.5 * L),
                "Both norms get √2: in the ∞-norm, can two logits move by L ε each?",
            ),
            "swapped": (
                _over(lambda L, p: 2 * 2**0.5 * L / _factor(p)),
                "√2 and 2 are exchanged: in which norm may each logit take the whole L?",
            ),
            "no factor": (
                _over(lambda L, _p: L),
                "This is the gap over L: one logit moves by L ε, and the other one?",
            ),
            "no factor for ∞": (
                _over(lambda L, p: L if p == math.inf else 2**0.5 * L),
                "p = 2 is right, and p = ∞ has the factor 1, as in 2^(1/p): how many logits move?",
            ),
            "no factor for 2": (
                _over(lambda L, p: 2 * L if p == math.inf else L),
                "p = ∞ is right, and p = 2 has no factor: how long is e_y − e_k?",
            ),
            "2 √2": (
                _over(lambda L, p: 2 * 2**0.5 * L if p == 2 else 2 * L),
                "p = ∞ is right, and p = 2 has 2 √2: is the gap halved twice?",
            ),
            "halved twice": (
                _over(lambda L, p: 2 * _factor(p) * L),
                "All of it is half: is it the way to a tie that counts, or half of that?",
            ),
            "√2 L²": (
                _over(lambda L, p: _factor(p) * L**2),
                "L enters twice: how often is the network passed?",
            ),
            "squared factors": (
                _over(lambda L, p: _factor(p) ** 2 * L),
                "The factors are 2 and 4, the squares of the right ones: which power of 2 belongs "
                "to each p?",
            ),
            "by the rows": (
                lambda logits, L, _p: _gap(logits) / (len(logits) ** 0.5 * L),
                "The factor is the root of the number of rows: how many logits stand in a gap?",
            ),
            "a place": (
                _of(lambda z: z.amax(1) - z.argsort(1, descending=True)[:, 1]),
                "The place of the second logit is taken for its value: which part of topk or sort "
                "has the values?",
            ),
            "their mean": (
                _of(lambda z: _gap(z) / 2 + z.topk(2, dim=1).values[:, 1]),
                "This is the mean of the two largest: how far apart are they?",
            ),
            "powers of e": (
                _of(lambda z: _gap(z.exp())),
                "This is the gap of e^Z: of what is L a Lipschitz constant?",
            ),
            "p L": (
                _over(lambda L, p: p * L),
                "The gap is divided by p L: is the factor p itself, and what is left of it for ∞?",
            ),
            "the root of L": (
                _over(lambda L, p: _factor(p) * L**0.5),
                "L stands under a root: how fast can a logit move?",
            ),
            "2 and classes": (
                lambda logits, L, p: (
                    _gap(logits) / (L * (2 if p == math.inf else logits.shape[1] ** 0.5))
                ),
                "For p = 2 the factor is the root of the number of classes: how many logits stand "
                "in a gap?",
            ),
            "the first for all": (
                lambda logits, L, p: radius(logits, L, p)[:1].expand(len(logits)),
                "All rows get the radius of the first: which line takes one row?",
            ),
            "neighbours": (
                _of(lambda z: z.diff(dim=1).amax(1)),
                "These are gaps of classes that stand side by side: is the row sorted?",
            ),
            "cut at 0": (
                _of(lambda z: _gap(z.relu())),
                "The logits are cut off at 0 first: may the largest one not be below 0?",
            ),
            "to the median": (
                _of(lambda z: z.amax(1) - z.median(1).values),
                "This is the largest minus the median: which class is the nearest rival?",
            ),
            "root of 2 L": (
                _over(lambda L, p: (2 * L) ** 0.5 if p == 2 else 2 * L),
                "L stands under the root: √(2 L), or √2 · L?",
            ),
            "times L": (
                lambda logits, L, p: _gap(logits) * L / _factor(p),
                "The gap is multiplied by L: does a steeper network certify more?",
            ),
            "times all": (
                lambda logits, L, p: _gap(logits) * L * _factor(p),
                "The gap is multiplied by the slope: does a steeper network certify more?",
            ),
            "times the factor": (
                lambda logits, L, p: _gap(logits) * _factor(p) / L,
                "The factor √2 or 2 multiplies: does it lengthen a radius, or shorten it?",
            ),
            "without L": (
                lambda logits, _L, p: _gap(logits) / _factor(p),
                "L is missing: how fast can a logit move?",
            ),
            "the gap": (
                lambda logits, _L, _p: _gap(logits),
                "This is the gap alone: over which slope is it a radius?",
            ),
            "by the classes": (
                lambda logits, L, _p: _gap(logits) / (logits.shape[1] ** 0.5 * L),
                "The factor is the root of the number of classes: how many logits stand in a gap?",
            ),
            "two columns": (
                _of(lambda z: z[:, 0] - z[:, 1]),
                "This is Z₀ − Z₁ in every row: which two are the largest?",
            ),
            "two columns, in size": (
                _of(lambda z: (z[:, 0] - z[:, 1]).abs()),
                "This is |Z₀ − Z₁| in every row: which two are the largest?",
            ),
            "label 0": (
                _of(_to_label_0),
                "Class 0 is taken for the predicted one in every row: which one has the largest "
                "logit?",
            ),
            "the last label": (
                _of(lambda z: z[:, -1] - z[:, :-1].amax(1)),
                "The last class is taken for the predicted one: is the row sorted?",
            ),
            "to the smallest": (
                _of(lambda z: z.amax(1) - z.amin(1)),
                "This is the largest minus the smallest: which class is the nearest rival?",
            ),
            "to the mean": (
                _of(lambda z: z.amax(1) - z.mean(1)),
                "This is the largest minus the mean: which class is the nearest rival?",
            ),
            "to 0": (
                _of(lambda z: z.amax(1)),
                "This is the largest logit alone: where is its rival?",
            ),
            "to the third": (
                _of(lambda z: _gap(z, (0, min(2, z.shape[1] - 1)))),
                "This is the largest minus the third: do the places begin with 0?",
            ),
            "the smallest two": (
                _of(lambda z: _gap(z, (z.shape[1] - 2, z.shape[1] - 1))),
                "These are the two smallest: which way does sort go?",
            ),
            "turned": (
                _of(lambda z: -_gap(z)),
                "The radii are below 0: which logit is taken from which?",
            ),
            "sizes": (
                _of(lambda z: _gap(z.abs())),
                "The sizes of the logits are ranked: may a logit be below 0?",
            ),
            "probabilities": (
                _of(lambda z: _gap(z.softmax(1))),
                "This is the gap of probabilities: of what is L a Lipschitz constant?",
            ),
            "along the batch": (
                _along_the_batch,
                "The two largest are taken along the batch, class by class: over which dimension "
                "are the classes?",
            ),
            "the whole batch": (
                lambda logits, L, p: radius(logits.reshape(1, -1), L, p),
                "The two largest of the whole batch are taken: how many radii has a batch?",
            ),
            "the smallest radius": (
                lambda logits, L, p: radius(logits, L, p).amin(),
                "This is the smallest radius of the batch: is one for each row not asked for?",
            ),
            "mean": (
                lambda logits, L, p: radius(logits, L, p).mean(),
                "This is the mean of the radii: how many has a batch?",
            ),
            "a column": (
                lambda logits, L, p: radius(logits, L, p)[:, None],
                "The result is a column, (batch, 1): is there a keepdim, or a slice for an index?",
            ),
            "every gap": (
                lambda logits, L, p: (logits.amax(1, keepdim=True) - logits) / (_factor(p) * L),
                "This is a radius for each class, (batch, classes): which one is the nearest?",
            ),
        },
        wrong={
            "another factor": (
                _over(lambda L, p: L + _factor(p)),
                "by which multiple of L are they divided",
            ),
            "another gap": (
                _of(lambda z: _gap(z.tanh())),
                "not the gap of the two largest",
            ),
            "a list": (
                lambda logits, L, p: [(logits, L, p)],
                "holds something",
            ),
            "numbers for p": (
                lambda logits, L, p: radius(logits, L, p) / {2: 1}[p],
                "KeyError",
            ),
            "topk": (lambda logits, _L, _p: logits.topk(2, dim=1), "a pair (values, indices)"),
            "in place": (
                lambda logits, L, p: radius(logits.sub_(logits[:, :1]), L, p),
                "changes its input",
            ),
            "the package's": (
                lambda logits, L, p: certified_radius(logits, L, p),
                "lt.certified_radius",
            ),
            "a number": (0.5, "A function is needed"),
        },
    ),
)
