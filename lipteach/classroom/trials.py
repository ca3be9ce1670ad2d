"""One call of a student's function beside the reference, and what can be said about it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Hint, Mistake
from lipteach.classroom.compare import (
    Mistakes,
    call,
    close,
    close_entries,
    fault,
    read,
    shape_of,
    show_values,
)


@dataclass
class Trial:
    """One call: its arguments, what was got (a tensor, or the hint of its fault) and wanted."""

    arguments: tuple[Any, ...]
    got: Tensor | Hint
    want: Tensor
    mutated: bool

    def wanted(self, *_arguments: Any) -> Tensor:
        """The reference's result, as a function of the same arguments."""
        return self.want

    def matches(self, other: Tensor | Hint, tol: float | None) -> bool:
        """Whether another outcome is the same: equal values, or the same fault."""
        if isinstance(self.got, Hint) or isinstance(other, Hint):
            return isinstance(self.got, Hint) and str(self.got) == str(other)
        return close(self.got, other, tol)


def _observe(function: Callable[..., Any], arguments: Iterable[Any], boolean: bool) -> Any:
    """The output as a tensor, or the hint of what went wrong."""
    try:
        given = [a.detach() if isinstance(a, Tensor) else a for a in arguments]
        return read(call(function, *given), boolean)
    except Hint as hint:
        return hint


def attempt(answer: Any, reference: Callable[..., Any], inputs: Any) -> Trial:
    """Call both on one input: a tensor, or a tuple of arguments; the answer gets copies of them."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    want = torch.as_tensor(reference(*arguments)).detach().clone()  # it may be a view of them
    given = copy.deepcopy(arguments)  # an answer that is stopped midway may leave anything there
    got = _observe(answer, given, want.dtype == torch.bool)
    pairs = zip(given, arguments, strict=True)
    mutated = any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in pairs)
    return Trial(arguments, got, want, mutated)


def matcher(trials: Sequence[Trial], tol: float | None) -> Callable[[Mistake], bool]:
    """Whether a mistake explains what the answer did in these trials."""

    def matches(mistake: Mistake) -> bool:
        if mistake.when:
            wrong = [t for t in trials if not t.matches(t.want, tol)]
            return bool(wrong) and all(
                isinstance(t.got, Tensor)
                and mistake.when(t.got.to(torch.float64), t.want, *t.arguments)
                for t in wrong
            )
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
            raise fault(got.kind, f"{on}: {got.text}", mistakes, matches)
        if got.shape != trial.want.shape:
            text = f"{on} the result has shape {shape_of(got)}; {shape_of(trial.want)} is needed."
            raise fault("shape", text, mistakes, matches)
    if any(trial.mutated for trial in trials):
        text = "Your function changes its input: work on a copy, or build a new tensor."
        raise Hint("mutation", text)


def judge_value(trials: Sequence[Trial], mistakes: Mistakes, tol: float | None) -> None:
    """Every entry, at the first trial where one is wrong."""
    for trial in trials:
        if isinstance(trial.got, Tensor) and not close(trial.got, trial.want, tol):
            raise fault("value", _difference(trial, trial.got, tol), mistakes, matcher(trials, tol))


def _on(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else None
    if not isinstance(first, Tensor):
        return "Called as the check calls it"
    return f"On an input of shape {shape_of(first)}"


def _short(*values: Any) -> bool:
    return all(not isinstance(v, Tensor) or v.numel() <= 8 for v in values)


def _difference(trial: Trial, got: Tensor, tol: float | None) -> str:
    want = trial.want
    if _short(want, *trial.arguments):
        given = ", ".join(show_values(a) for a in trial.arguments)
        return f"For {given} the result is {show_values(got)}; {show_values(want)} is right."
    place = tuple((~close_entries(got, want, tol)).nonzero()[0].tolist())  # the first wrong entry
    return _in_the_row(trial.arguments, got, want, place) or (
        f"{_on(trial.arguments)} the shape is right, but an entry is "
        f"{show_values(got[place].item())} instead of {show_values(want[place].item())}."
    )


def _in_the_row(
    arguments: tuple[Any, ...], got: Tensor, want: Tensor, place: tuple[int, ...]
) -> str:
    """What a batch gives at the place, shown with its own row of the input; "" if that is long."""
    batch = max((a for a in arguments if isinstance(a, Tensor)), key=lambda a: a.ndim, default=want)
    lead = batch.shape[:-1]
    if not lead or want.shape[: len(lead)] != lead:
        return ""
    row = place[: len(lead)]
    given = [a[row] if isinstance(a, Tensor) and a.shape[:-1] == lead else a for a in arguments]
    mine, right = got[row], want[row]
    if not _short(right, *given):
        return ""
    if len(given) == 1 and given[0].numel() == right.numel() == 1:
        x, y, z = (show_values(v.item()) for v in (given[0], mine, right))
        return f"At x = {x} the result is {y}; {z} is right."
    shown = ", ".join(show_values(v) for v in given)
    result = f"the result is {show_values(mine)}; {show_values(right)} is right."
    return f"On an input of shape {shape_of(batch)}, in the row {shown}, {result}"
