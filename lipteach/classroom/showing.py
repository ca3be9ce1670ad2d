"""How a hint writes values, shapes and types."""

from __future__ import annotations

from typing import Any

from torch import Tensor

SHORT = 8
"""Entries of a tensor that a hint writes out; of a longer one it names the shape."""


def a_kind(value: Any) -> str:
    """The type of a value with its article, for a sentence."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shape_of(value: Any) -> str:
    """A shape as it is written in Python."""
    return str(tuple(getattr(value, "shape", value)))


def show_values(value: Any, digits: int = 4, most: int = SHORT) -> str:
    """Numbers at four digits, whole ones in full, rounding noise as 0; a long tensor by its shape.

    >>> show_values(torch.tensor([10240.0, -2 / 3, 1e-16]))
    '[10240, -0.6667, 0]'
    """
    if isinstance(value, Tensor):
        if value.numel() > most:
            return f"a tensor of shape {shape_of(value)}"
        return show_values(value.tolist(), digits)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show_values(part, digits) for part in value) + "]"
    if not isinstance(value, float):
        return str(value)
    if digits == 4 and abs(value) < 1e-9:
        value = 0.0
    whole = value.is_integer() and abs(value) < 1e15
    return f"{value:.0f}" if whole else f"{value:.{digits}g}"


def show_apart(one: Any, other: Any) -> tuple[str, str]:
    """Two values with as many digits, four at least, as it takes to see that they differ.

    >>> show_apart(2.12, 3 / 2**0.5), show_apart(1.00004, 1)
    (('2.12', '2.121'), ('1.00004', '1'))
    """
    for digits in range(4, 18):
        shown = show_values(one, digits), show_values(other, digits)
        if shown[0] != shown[1]:
            break
    return shown
