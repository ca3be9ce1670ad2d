"""One call of a student's function beside the reference, and what can be said about it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom import guard
from lipteach.classroom.call_slips import (
    argument_slip,
    constant_slip,
    entry_slip,
    factor_slip,
    place_slip,
    shape_slip,
)
from lipteach.classroom.calling import call_with, without_line
from lipteach.classroom.compare import Mistakes, close, close_entries, fault
from lipteach.classroom.hints import Hint, Mistake
from lipteach.classroom.reading import read_like
from lipteach.classroom.showing import shape_of, show_apart, show_values
from lipteach.classroom.slips import slip_of

_SHARE = 0.003  # of the largest entry, up to which digits were cut short


@dataclass
class Trial:
    """One call: its arguments, what was got (a tensor, or the hint of its fault) and wanted."""

    arguments: tuple[Any, ...]
    got: Tensor | Hint
    want: Tensor
    mutated: bool
    reference: Callable[..., Any]

    def wanted(self, *_arguments: Any) -> Tensor:
        """The reference's result, as a function of the same arguments."""
        return self.want

    def matches(self, other: Tensor | Hint, tol: float | None) -> bool:
        """Whether another outcome is the same: equal values, or the same fault."""
        if isinstance(self.got, Hint) and isinstance(other, Hint):
            return without_line(self.got) == without_line(other)
        if isinstance(self.got, Hint) or isinstance(other, Hint):
            return False
        return close(self.got, other, tol)


def attempt(
    answer: Any, reference: Callable[..., Any], inputs: Any, gradient: bool = False
) -> Trial:
    """Call both on one input: a tensor, or a tuple of arguments; each gets copies of them."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    want = torch.as_tensor(reference(*copy.deepcopy(arguments))).detach().clone()
    given = copy.deepcopy(arguments)  # an answer that is stopped midway may leave anything there
    got: Tensor | Hint
    try:
        got = read_like(call_with(answer, _detached(given)), want, gradient)
    except Hint as hint:
        got = hint
    pairs = zip(given, arguments, strict=True)
    mutated = any(_changed(a, b) for a, b in pairs)
    return Trial(arguments, got, want, mutated, reference)


def _changed(given: Any, before: Any) -> bool:
    """Whether a tensor, or a parameter of a network, has another value now."""
    if isinstance(given, nn.Module):
        now, then = given.parameters(), before.parameters()
        return any(_changed(a, b) for a, b in zip(now, then, strict=True))
    return isinstance(given, Tensor) and not torch.equal(given, before)


def _detached(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)


def matcher(trials: Sequence[Trial], tol: float | None) -> Callable[[Mistake], bool]:
    """Whether a mistake explains what the answer did in these trials."""

    def matches(mistake: Mistake) -> bool:
        if mistake.when:
            wrong = [t for t in trials if not t.matches(t.want, tol)]
            says = [
                isinstance(t.got, Tensor)
                and mistake.when(t.got.to(torch.float64), t.want, *copy.deepcopy(t.arguments))
                for t in wrong
            ]
            heard = [bool(one) for one in says if one is not None]
            return bool(heard) and all(heard)
        made = (attempt(mistake.answer, t.wanted, t.arguments).got for t in trials)
        return all(t.matches(got, tol) for t, got in zip(trials, made, strict=True))

    return matches


def off_by_a_constant(got: Tensor, want: Tensor, *_arguments: Any) -> bool:
    """The ``when`` of a `Mistake` in a bias."""
    off = got - want
    return got.shape == want.shape and bool((off - off.mean()).abs().max() < 1e-5)


def judge_form(trials: Sequence[Trial], mistakes: Mistakes, tol: float | None) -> None:
    """Type, shape, and the inputs left as they were."""
    matches = matcher(trials, tol)
    for trial in trials:
        got, on = trial.got, _on(trial.arguments)
        if isinstance(got, Hint):
            text = f"{on}: {got.text}"
            raise fault(got.kind, text, mistakes, matches).at(*trial.arguments)
        if got.shape != trial.want.shape:
            text = f"{on} the result has shape {shape_of(got)}; {shape_of(trial.want)} is needed."
            if got.ndim == 2 and close(got.T, trial.want, tol):
                text += " Transposed, it is right: which dimension comes first?"
            elif got.numel() == trial.want.numel():
                text += " The number of entries fits: which dimension is to go, or to come first?"
            else:
                text += shape_slip(got, trial.want)
            raise fault("shape", text, mistakes, matches).at(*trial.arguments)
    for trial in trials:
        if trial.mutated:
            text = "Your function changes its input: work on a copy, or build a new tensor."
            raise Hint("mutation", text, trial.arguments)


def judge_value(trials: Sequence[Trial], mistakes: Mistakes, tol: float | None) -> None:
    """Every entry, shown at the first trial where one is wrong, a short one if there is."""
    wrong = [t for t in trials if isinstance(t.got, Tensor) and not close(t.got, t.want, tol)]
    if wrong:
        shown = next((t for t in wrong if _short(t.want, *t.arguments)), wrong[0])
        question = _slip(trials, wrong) or "Which of your steps makes the difference?"
        text = f"{_difference(shown, tol)} {question}"
        raise fault("value", text, mistakes, matcher(trials, tol)).at(*shown.arguments)


def _slip(trials: Sequence[Trial], wrong: Sequence[Trial]) -> str:
    """The common slip which explains every call; on the wrong ones, if an edge is right by luck."""
    true_or_false = all(t.want.dtype == torch.bool for t in trials)
    near = all(isinstance(t.got, Tensor) and _near(t.got, t.want) for t in wrong)
    for some in () if true_or_false else (trials, wrong):
        got = torch.cat([t.got.double().flatten() for t in some if isinstance(t.got, Tensor)])
        want = torch.cat([t.want.double().flatten() for t in some if isinstance(t.got, Tensor)])
        if question := slip_of(got, want, share=_SHARE if near else 0.0):
            return question
    pairs = [(t.got, t.want) for t in wrong if isinstance(t.got, Tensor)]
    if not true_or_false and not any(bool(got.any()) for got, _ in pairs):
        return "All of it is 0: what cancels, or is never filled in?"
    inputs = [[a for a in t.arguments if isinstance(a, Tensor)] for t in wrong]
    if all(any(close(got, a) for a in own) for (got, _), own in zip(pairs, inputs, strict=True)):
        return "This is an input as it came: which step is missing?"
    given = [t.arguments for t in wrong]
    everything = [(t.got, t.want) for t in trials if isinstance(t.got, Tensor)]
    if true_or_false:  # what is wrong is the other of two: it takes all calls to say more
        return constant_slip(everything) or entry_slip(everything)
    return (
        constant_slip(everything)
        or entry_slip(pairs)
        or factor_slip(pairs, given)
        or argument_slip(trials[0].reference, pairs, given)
        or place_slip(pairs, given)
    )


def _near(got: Tensor, want: Tensor) -> bool:
    """In its own call: large values of another call would let a wrong one pass for near."""
    off, size = (got.double() - want.double()).abs(), want.double().abs()
    return bool((off <= _SHARE * size.max()).all()) if size.numel() else False


def _on(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else None
    if isinstance(first, Tensor):
        return f"On an input of shape {shape_of(first)}"
    return f"For {', '.join(show_values(a) for a in arguments)}"


def _short(*values: Any) -> bool:
    return all(not isinstance(v, Tensor) or v.numel() <= 8 for v in values)


def _difference(trial: Trial, tol: float | None) -> str:
    got, want = trial.got, trial.want
    if not isinstance(got, Tensor):
        raise TypeError("a value is compared before its form")
    place = tuple((~close_entries(got, want, tol)).nonzero()[0].tolist())  # the first wrong entry
    given = ", ".join(show_values(a, most=16) for a in trial.arguments)
    if _short(want, *trial.arguments):
        mine, right = show_apart(got, want)
        return f"For {given} the result is {mine}; {right} is right."
    mine, right = show_apart(got[place].item(), want[place].item())
    row = _in_the_row(trial, got, place)
    if row:
        return row
    at = f"entry {place[0] if len(place) == 1 else place}" if place else "the result"
    if all(not isinstance(a, Tensor) or a.numel() <= 16 for a in trial.arguments):
        return f"For {given} {at} is {mine}; {right} is right."
    return f"{_on(trial.arguments)} (`example` of the report) {at} is {mine}; {right} is right."


def _in_the_row(trial: Trial, got: Tensor, place: tuple[int, ...]) -> str:
    """What a batch gives at the place, shown with its own row of the input.

    "" where that is long, or the rows of a matrix do not stand for themselves.
    """
    arguments, want = trial.arguments, trial.want
    batch = max((a for a in arguments if isinstance(a, Tensor)), key=lambda a: a.ndim, default=want)
    lead = batch.shape[:-1]
    if not lead or want.shape[: len(lead)] != lead:
        return ""
    row = place[: len(lead)]
    given = [a[row] if isinstance(a, Tensor) and a.shape[:-1] == lead else a for a in arguments]
    mine, right = got[row], want[row]
    if not _short(right, *given) or not _stands_alone(trial.reference, given, right):
        return ""
    if len(given) == 1 and given[0].numel() == right.numel() == 1:
        y, z = show_apart(mine.item(), right.item())
        return f"At x = {show_values(given[0].item())} the result is {y}; {z} is right."
    shown, (y, z) = ", ".join(show_values(v) for v in given), show_apart(mine, right)
    result = f"the result is {y}; {z} is right."
    return f"On an input of shape {shape_of(batch)}, in the row {shown}, {result}"


def _stands_alone(reference: Callable[..., Any], given: Sequence[Any], right: Tensor) -> bool:
    try:
        return close(torch.as_tensor(reference(*copy.deepcopy(given))), right)
    except guard.TimeUp:
        raise
    except Exception:  # it takes no single row
        return False
