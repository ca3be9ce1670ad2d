"""Building blocks of judges: each raises `Hint` on the first fault it finds.

The `Mistake` in which an answer is recognised turns a general hint into the one it deserves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom import guard
from lipteach.classroom.call_slips import entry_slip
from lipteach.classroom.calling import call
from lipteach.classroom.hints import Hint, Mistake
from lipteach.classroom.reading import need_number, need_tensor
from lipteach.classroom.showing import a_kind, shape_of, show_apart, show_values
from lipteach.classroom.slips import NEARLY, SHARE, count_slip, nearly, slip_of

__all__ = [  # judges import their blocks from here
    "NEARLY",
    "Mistakes",
    "a_kind",
    "call",
    "close",
    "close_entries",
    "compare_choice",
    "compare_number",
    "compare_tensor",
    "fault",
    "nearly",
    "need_number",
    "need_tensor",
    "recogniser",
    "seeded",
    "shape_of",
    "show_apart",
    "show_values",
]

Mistakes = Sequence[Mistake]


def seeded(*shape: int, seed: int = 0) -> Tensor:
    """A float64 tensor of standard normal entries, the same at every call.

    >>> seeded(2, 3).shape
    torch.Size([2, 3])
    """
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close_entries(got: Tensor, want: Tensor, tol: float | None = None) -> Tensor:
    """Which entries are equal, at the precision of the answer's dtype."""
    coarse = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
    tol = coarse.get(got.dtype, 1e-5) if tol is None else tol
    return torch.isclose(got.to(torch.float64), want.to(torch.float64), rtol=tol, atol=tol)


def close(got: Tensor, want: Tensor, tol: float | None = None) -> bool:
    """Equal shapes, and equal values at the precision of the answer's dtype."""
    return got.shape == want.shape and bool(close_entries(got, want, tol).all())


def recogniser(same: Callable[[Any], bool], *seen: Any) -> Callable[[Mistake], bool]:
    """A test of a mistake: its ``when(*seen)`` if it has one, else ``same(its answer)``."""
    return lambda mistake: bool(mistake.when(*seen)) if mistake.when else same(mistake.answer)


def fault(kind: str, general: str, mistakes: Mistakes, matches: Callable[[Mistake], bool]) -> Hint:
    """The hint of the first mistake that matches, else the general one."""
    for mistake in mistakes:
        try:
            if matches(mistake):
                return Hint(kind, mistake.hint)
        except guard.TimeUp:
            raise
        except Exception:  # a mistake that cannot be compared with this answer does not match
            continue
    return Hint(kind, general)


def compare_number(
    answer: Any,
    value: float,
    *,
    tol: float = 1e-6,
    decimals: int | None = None,
    mistakes: Mistakes = (),
    otherwise: str = "",
) -> None:
    """The answer is the number ``value``, up to ``tol`` absolutely and relatively.

    With ``decimals`` it may be rounded to so many. ``otherwise`` is the hint of an answer in which
    no mistake is recognised: what the student can try, and a question.
    """
    got = need_number(answer)
    half_a_digit = 0 if decimals is None else 0.5 * 10**-decimals

    def near(number: Any) -> bool:
        return bool(np.isclose(got, float(number), rtol=tol, atol=tol))

    if near(value) or abs(got - value) <= half_a_digit + 1e-6 * abs(value):
        return
    hint = fault("value", "", mistakes, recogniser(near, got))
    if hint.text:
        raise hint
    one, other = torch.tensor(got).double(), torch.tensor(value).double()
    # All decimals that are asked for, and not only the last one is another: none is cut short.
    apart = decimals is not None and round(got, decimals - 1) != got
    apart = apart and abs(got - value) > 4 * half_a_digit
    if nearly(one, other) and not apart:
        text = NEARLY if decimals is None else f"Nearly: {decimals} decimals are asked for. Which?"
        if float(value).is_integer():
            text = f"Nearly: {got:.10g} is not whole. Which whole number is meant?"
        raise Hint("value", text)
    plain = [mistake for mistake in mistakes if mistake.when is None]
    rounded = recogniser(lambda answer: nearly(one, torch.tensor(float(answer)).double()))
    side = "large" if got > value else "small"
    text = f"{show_values(got)} is not the number we look for{f', but too {side}' * (got == got)}."
    whole = float(value).is_integer()
    counted = whole and got.is_integer()
    slip = (
        count_slip(got, float(value))
        if counted
        else slip_of(one, other, tol=5e-3, share=0.0 if apart else SHARE)
    )
    text = slip or f"{text} {otherwise}".rstrip()
    raise fault("value", text, plain, rounded)


def compare_tensor(
    answer: Any,
    value: Any,
    *,
    tol: float | None = None,
    mistakes: Mistakes = (),
    otherwise: str = "",
) -> None:
    """The answer is the tensor ``value``: tensors, arrays and nested lists are read."""
    want, got = need_tensor(value), need_tensor(answer)
    own = answer.dtype if isinstance(answer, Tensor) else torch.float64

    def same(values: Any) -> bool:
        return close(got.to(own), need_tensor(values), tol)

    matches = recogniser(same, got)
    if got.shape != want.shape:
        text = f"The shape is {shape_of(got)}; {shape_of(want)} is needed."
        raise fault("shape", text, mistakes, matches)
    if not same(want):
        where = int((got - want).abs().nan_to_num(torch.inf).argmax()) if got.numel() else 0
        place = tuple(int(i) for i in np.unravel_index(where, tuple(got.shape)))
        at = f"entry {where + 1} of {len(got)}" if got.ndim == 1 else f"the entry at index {place}"
        text = f"{at if place else 'the value'} is {show_values(got.flatten()[where].item())}"
        more = entry_slip([(got, want)]) or otherwise
        text = f"The shape is right, but {text}{f'. {more}' if more else ': is it?'}"
        slip = slip_of(got, want) if bool(got.isfinite().all()) else ""  # the entry says it
        hint = fault("value", slip or text, mistakes, matches)
        if hint.text == text:  # none of them, but perhaps one with few digits
            plain = [mistake for mistake in mistakes if mistake.when is None]
            rounded = recogniser(lambda values: nearly(got, need_tensor(values)))
            hint = fault("value", text, plain, rounded)
        raise hint


def compare_choice(
    answer: Any, value: str | bool, choices: Iterable[str | bool], *, mistakes: Mistakes = ()
) -> None:
    """The answer is the right one of ``choices``; case and outer blanks do not matter."""
    options = list(choices)

    def plain(choice: Any) -> Any:
        return choice.strip().casefold() if isinstance(choice, str) else bool(choice)

    known = isinstance(answer, (str, bool, np.bool_))
    if not known or plain(answer) not in [plain(option) for option in options]:
        listed = ", ".join(repr(option) for option in options)
        raise Hint("type", f"The answer is one of {listed}.")
    if plain(answer) != plain(value):
        matches = recogniser(lambda choice: bool(plain(choice) == plain(answer)), answer)
        raise fault("value", "Not this one.", mistakes, matches)
