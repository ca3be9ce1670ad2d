"""What a judge says: the hint of a fault, and the mistakes that it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KINDS = (
    "type",
    "shape",
    "mutation",
    "value",
    "layout",
    "ties",
    "gradient",
    "constraint",
    "error",
    "time",
)


class Hint(Exception):
    """What a judge raises at the first fault: its kind, and the sentence the student reads.

    ``example`` holds the arguments of the call that shows the fault, where a call does.
    """

    def __init__(self, kind: str, text: str, example: tuple[Any, ...] | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"the kind of a hint is one of {', '.join(KINDS)}; got {kind!r}")
        super().__init__(text)
        self.kind, self.text, self.example = kind, text, example

    def at(self, *arguments: Any) -> Hint:
        """The same with the call that shows it."""
        self.example = arguments
        return self


class NotTried(Exception):
    """The answer is still the stub."""


@dataclass(frozen=True, eq=False)
class Mistake:
    """A plausible wrong answer and the hint that it deserves, as a judge sees it.

    The judge recognises the mistake in an answer that is equal to ``answer`` (for functions and
    networks: that does the same), or for which ``when`` is true: ``when(got)`` for values,
    ``when(got, want, *arguments)`` for the wrong calls of a function: it must be false for none of
    them and true for one, and is None where a call says nothing. ``got`` and ``want`` are
    float64 tensors (a float in `compare_number`, the answer itself in `compare_choice`); a ``when``
    that raises does not match. Of several mistakes the first that matches speaks. Equal is meant at
    the judge's tolerance; a number is recognised with too few digits, too.
    """

    label: str
    answer: Any
    hint: str
    when: Callable[..., Any] | None = None
