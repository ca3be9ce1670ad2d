"""The slips that show in whole results: their order, their ends, an argument taken for another."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom import guard

Pair = tuple[Tensor, Tensor]
"""What was got and what is right, of one shape."""


def _same(one: Tensor, other: Tensor, tol: float = 1e-4) -> bool:
    if one.shape != other.shape or not bool(one.isfinite().all()):
        return False
    one, other = one.double(), other.double()
    return torch.allclose(one, other, rtol=tol, atol=tol * min(1.0, float(other.abs().max())))


def entry_slip(pairs: Sequence[Pair]) -> str:
    """One question for a slip in the entries that explains all pairs, or "".

    >>> entry_slip([(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([2.0, 1.0, 3.0]))])
    'The numbers are right, and their order is not, but reversed: at which end is the first?'
    """
    if any(not want.numel() or got.shape != want.shape for got, want in pairs):
        return ""
    if all(want.dtype == torch.bool for _, want in pairs):
        turned = all(_same(got, (~want).double()) for got, want in pairs)
        return "Just the other way round: what does True stand for?" if turned else ""
    pairs = [(got.double(), want.double()) for got, want in pairs]

    def every(matches: Callable[[Tensor, Tensor], bool]) -> bool:
        return all(matches(got, want) for got, want in pairs)

    found = next((question for matches, question in _ENTRIES if every(matches)), "")
    if not found and len(pairs) > 1:  # one alone may be wrong there by chance
        found = next((question for matches, question in _ENDS if every(matches)), "")
    return found


def _rolled(got: Tensor, want: Tensor) -> bool:
    return any(_same(got, want.roll(k, d)) for d in range(want.ndim) for k in (1, -1))


def _rounded(got: Tensor, want: Tensor) -> bool:
    return any(bool((got - want.round(decimals=d)).abs().max() < 1e-9) for d in range(4))


def _wrong(got: Tensor, want: Tensor) -> Tensor:
    """Which entries differ."""
    far = (got - want).abs() > 1e-4 * want.abs().max()
    return far | ~got.isfinite()


def _only_at(place: int) -> Callable[[Tensor, Tensor], bool]:
    """Whether all that is wrong stands at one end of a dimension of 3 entries or more."""

    def matches(got: Tensor, want: Tensor) -> bool:
        wrong = _wrong(got, want)
        for dim, size in enumerate(want.shape):
            others = [d for d in range(want.ndim) if d != dim]
            hit = wrong.any(dim=others) if others else wrong
            end = hit[place] and int(hit.sum()) == 1
            if size >= 3 and bool(end):
                return True
        return False

    return matches


def _cut(got: Tensor, want: Tensor) -> bool:
    """Whether results beyond a bound have become the bound; most must lie within."""
    inside = int((~_wrong(got, want)).sum())
    return inside >= 2 and _same(got, want.clamp(got.min(), got.max()))


_ENTRIES: tuple[tuple[Callable[[Tensor, Tensor], bool], str], ...] = (
    (
        lambda got, want: want.ndim == 2 and _same(got.mT, want),
        "Transposed, it is right: which dimension comes first?",
    ),
    (
        lambda got, want: any(_same(got, want.flip(d)) for d in range(want.ndim)),
        "The numbers are right, and their order is not, but reversed: at which end is the first?",
    ),
    (_rolled, "Right, but moved by one place: where does it begin?"),
    (
        lambda got, want: (
            want.ndim > 0 and _same(got.flatten().sort()[0], want.flatten().sort()[0])
        ),
        "The numbers are right, and their order is not: which comes first?",
    ),
    (_rounded, "This is rounded to few decimals: is a rounding asked for?"),
    (
        lambda got, want: want.numel() > 1 and _same(got, want.clamp(min=0)),
        "What is negative has become 0: which step cuts it off?",
    ),
    (_cut, "Beyond some bound all results are equal: which step cuts them off?"),
    (
        lambda got, want: want.numel() > 1 and _same(got.abs(), want.abs()),
        "The sizes are right, and some signs are not: what decides the sign?",
    ),
)
_ENDS: tuple[tuple[Callable[[Tensor, Tensor], bool], str], ...] = (
    (_only_at(-1), "Only the last one is wrong: how far does your loop or slice go?"),
    (_only_at(0), "Only the first one is wrong: where does your loop or slice begin?"),
)


def constant_slip(pairs: Sequence[Pair]) -> str:
    """Whether calls with different right results have all got the same one."""
    (got, want), *others = pairs
    alike = all(_same(one, got) for one, _ in others)
    if others and alike and any(not _same(right, want) for _, right in others):
        return "The result is the same for every input: which argument is not used?"
    return ""


def factor_slip(pairs: Sequence[Pair], arguments: Sequence[tuple[Any, ...]]) -> str:
    """Whether each result is a multiple of the right one, and what its factor is."""
    factors = []
    for got, want in pairs:
        factor = float((got.double() * want.double()).sum() / want.double().square().sum())
        if want.dtype == torch.bool or factor == 0 or not _same(got, factor * want.double()):
            return ""
        factors.append(factor)
    if max(factors) - min(factors) < 1e-3 * abs(factors[0]):
        return ""  # one factor for all: said elsewhere
    shapes = [_first_shape(given) for given in arguments]
    for said, size in _SIZES if all(shapes) else ():
        for power, how in _POWERS.items():
            if _same(torch.tensor(factors), torch.tensor([size(s) ** power for s in shapes])):
                return f"This is what is right {how} the number of {said}: how does that get in?"
    if all(want.numel() > 2 for _, want in pairs):
        return "Each result is a multiple of the right one: by what is it divided or multiplied?"
    return ""


def _first_shape(given: tuple[Any, ...]) -> tuple[int, ...]:
    return next((tuple(a.shape) for a in given if isinstance(a, Tensor)), ())


_SIZES: tuple[tuple[str, Callable[[tuple[int, ...]], float]], ...] = (
    ("entries", lambda shape: float(math.prod(shape))),
    ("rows", lambda shape: float(shape[0])),
    ("columns", lambda shape: float(shape[-1])),
)
_POWERS = {1: "times", -1: "divided by", 0.5: "times the root of", -0.5: "divided by the root of"}


def argument_slip(
    reference: Callable[..., Any], pairs: Sequence[Pair], arguments: Sequence[tuple[Any, ...]]
) -> str:
    """Whether all results are right for other arguments: exchanged, transposed or changed."""
    questions = [question for question, _ in _altered(arguments[0])]
    for question in questions:
        both = zip(pairs, arguments, strict=True)
        if all(_right_for(reference, question, pair, given) for pair, given in both):
            return question
    return ""


def _right_for(
    reference: Callable[..., Any], question: str, pair: Pair, given: tuple[Any, ...]
) -> bool:
    altered = dict(_altered(given)).get(question)
    if altered is None:
        return False
    try:
        other = torch.as_tensor(reference(*copy.deepcopy(altered)))
    except guard.TimeUp:
        raise
    except Exception:  # the reference does not take them
        return False
    return _same(pair[0], other.detach())


_CHANGES: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("the transpose of", lambda a: a.mT if a.ndim == 2 else a.new_zeros(0)),
    ("minus", lambda a: -a),
    ("the absolute values of", lambda a: a.abs()),
    ("twice", lambda a: 2 * a),
    ("half of", lambda a: a / 2),
    ("the squares of", lambda a: a**2),
    ("the reverse of", lambda a: a.flip(-1) if a.ndim else a.new_zeros(0)),
)
_PLACES = ("first", "second", "third", "fourth")


def _altered(given: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Questions with the arguments that would make the result right."""
    for j, b in enumerate(given[: len(_PLACES)]):
        for i, a in enumerate(given[:j]):
            kinds = [isinstance(v, Tensor) for v in (a, b)]
            if kinds[0] == kinds[1] and (kinds[0] or type(a) is type(b)):
                swapped = list(given)
                swapped[i], swapped[j] = b, a
                said = f"the {_PLACES[i]} and the {_PLACES[j]} argument exchanged"
                yield f"Right with {said}: which is which?", tuple(swapped)
    for i, a in enumerate(given[: len(_PLACES)]):
        if isinstance(a, Tensor) and a.is_floating_point():
            for change, make in _CHANGES:
                said = f"{change} the {_PLACES[i]} argument" if len(given) > 1 else f"{change} x"
                altered = (*given[:i], make(a), *given[i + 1 :])
                yield f"Right for {said}: where is it changed?", altered


def place_slip(pairs: Sequence[Pair], arguments: Sequence[tuple[Any, ...]]) -> str:
    """Whether all that is wrong stands where an input of the same shape has one sign."""
    wrong, entries = [], []
    for (got, want), given in zip(pairs, arguments, strict=True):
        like = [a for a in given if isinstance(a, Tensor) and a.shape == want.shape and a.ndim]
        if len(like) != 1:
            return ""
        wrong.append(_wrong(got.double(), want.double()).flatten())
        entries.append(like[0].flatten())
    bad, x = torch.cat(wrong), torch.cat(entries)
    for said, where in (("negative", x < 0), ("positive", x > 0), ("0", x == 0)):
        if int(bad.sum()) >= 2 and int((~bad).sum()) >= 2 and torch.equal(bad, where):
            return f"Wrong just where the input is {said}: what does your code do there?"
    return ""


def shape_slip(got: Tensor, want: Tensor) -> str:
    """A sum, mean or extremum too many or too few, if that makes the difference of the shapes."""
    for whole, part in ((want, got), (got, want)):
        if part.ndim >= whole.ndim or not whole.numel():
            continue
        for dim in ("all", *range(whole.ndim)):
            over = tuple(range(whole.ndim)) if dim == "all" else (dim,)
            for name, reduce in _REDUCTIONS:
                if not _same(reduce(whole.double(), over), part.double()):
                    continue
                where = "all entries" if dim == "all" else f"dimension {dim}"
                if whole is want:
                    return f" This is the {name} of it over {where}: is one asked for?"
                return f" Its {name} over {where} is right: which step is missing?"
    return ""


_REDUCTIONS: tuple[tuple[str, Callable[[Tensor, Any], Tensor]], ...] = (
    ("sum", lambda x, over: x.sum(over)),
    ("mean", lambda x, over: x.mean(over)),
    ("largest entry", lambda x, over: x.amax(over)),
    ("smallest entry", lambda x, over: x.amin(over)),
    ("length", lambda x, over: x.square().sum(over).sqrt()),
)
