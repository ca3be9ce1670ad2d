"""Building blocks of judges: each raises `Hint` on the first fault it finds.

The `Mistake` in which an answer is recognised turns a general hint into the one it deserves.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipteach.classroom import guard
from lipteach.classroom.checks import Hint, Mistake, NotTried, is_stub

Mistakes = Sequence[Mistake]


def seeded(*shape: int, seed: int = 0) -> Tensor:
    """A float64 tensor of standard normal entries, the same at every call.

    >>> seeded(2, 3).shape
    torch.Size([2, 3])
    """
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a student's function returns; what it raises becomes a hint of kind "error"."""
    try:
        with guard.kept_settings():
            result = _with_its_dtype(function, arguments)
    except guard.TimeUp:
        raise
    except BaseException as error:
        if isinstance(error, NotImplementedError) and "aten::" not in guard.describe(error):
            raise NotTried from None
        raise Hint("error", f"Your code raised {guard.describe(error).rstrip('.')}.") from None
    if result is Ellipsis or (result is None and is_stub(getattr(function, "forward", function))):
        raise NotTried
    if result is None:
        raise Hint("type", "Your function returns None: does it end with `return`?")
    return result


def _with_its_dtype(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The inputs are float64; a network, or code with float32 constants, has its own dtype."""
    if isinstance(function, nn.Module):
        kinds = {p.dtype for p in function.parameters() if p.is_floating_point()}
        if len(kinds) == 1:
            return function(*_cast(arguments, kinds.pop()))
    try:
        return function(*arguments)
    except RuntimeError as error:
        text = str(error)
        if "dtype" in text or "scalar type" in text:
            return function(*_cast(arguments, torch.float32))
        raise


def _cast(arguments: tuple[Any, ...], dtype: torch.dtype) -> list[Any]:
    return [a.to(dtype) if is_float(a) else a for a in arguments]


def is_float(value: Any) -> bool:
    """Whether a value is a tensor that can carry a gradient."""
    return isinstance(value, Tensor) and value.is_floating_point()


def need_number(answer: Any) -> float:
    """The answer as a float: Python and numpy numbers, fractions and one-element tensors."""
    if callable(answer):
        raise Hint("type", "A number is needed, and this is a function: hand in what it returns.")
    if isinstance(answer, (Tensor, np.ndarray)):
        values = need_tensor(answer)
        if values.numel() != 1:
            raise Hint("shape", f"One number is needed; this has shape {shape_of(values)}.")
        return float(values.reshape(()))
    real = isinstance(answer, numbers.Real) and not isinstance(answer, (bool, np.bool_))
    if not real:
        raise Hint("type", f"A number is needed; this is {a_kind(answer)}.")
    try:
        return float(answer)
    except OverflowError:
        raise Hint("value", "This number is far too large: is it a power of a power?") from None


def need_tensor(answer: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """The answer as a detached float64 tensor: tensors, arrays, numbers and lists of numbers."""
    _need_no_pair(answer)
    if isinstance(answer, (list, tuple)):
        answer = _from_list(answer)
    elif not isinstance(answer, (Tensor, np.ndarray, numbers.Real, np.bool_)):
        raise Hint("type", f"A list or tensor of numbers is needed; this is {a_kind(answer)}.")
    values = read(answer, boolean=False).to(torch.float64)
    if shape is not None and tuple(values.shape) != tuple(shape):
        raise Hint("shape", f"The shape is {shape_of(values)}; {shape_of(shape)} is needed.")
    return values


def _from_list(answer: Any) -> Tensor:
    try:
        if any(isinstance(part, Tensor) for part in answer):
            return torch.stack([torch.as_tensor(part) for part in answer])
        return torch.tensor(answer, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Hint("type", "The list holds something that is not a row of numbers.") from None


def _need_no_pair(result: Any) -> None:
    kind = type(result)
    if kind.__module__ == "torch.return_types" and {"values", "indices"} <= set(dir(result)):
        text = (
            f"torch.{kind.__name__} returns a pair (values, indices): which of them is asked for?"
        )
        raise Hint("type", text)


def read(result: Any, boolean: bool) -> Tensor:
    """A real, dense tensor on the CPU from what a student returned."""
    _need_no_pair(result)
    if isinstance(result, (bool, np.bool_)) and not boolean:
        raise Hint("type", "Numbers are needed; this is True or False.")
    if isinstance(result, (numbers.Real, np.ndarray, np.bool_)):
        try:
            result = torch.as_tensor(np.asarray(_plain(result)))
        except (TypeError, ValueError):
            raise Hint("type", "The array holds something that is not a number.") from None
    if not isinstance(result, Tensor):
        more = "."
        if type(result) in (list, tuple):
            more = ": torch.stack makes one tensor of it."
        if type(result) in (list, tuple) and len(result) == 1:
            more = ": is its only entry meant?"
        raise Hint("type", f"A tensor is needed; this is {a_kind(result)}{more}")
    if result.device.type != "cpu":
        raise Hint("type", f"A tensor on the CPU is needed; this is on {result.device.type!r}.")
    if result.is_complex() or (result.dtype == torch.bool and not boolean):
        raise Hint("type", f"Real numbers are needed; the tensor's dtype is {result.dtype}.")
    dense = result if result.layout == torch.strided else result.to_dense()
    return torch.clone(dense.detach())  # the caller may write over a buffer it hands out again


def _plain(result: Any) -> Any:
    """A fraction or a numpy scalar as a float; arrays stay as they are."""
    return result if isinstance(result, (np.ndarray, bool, np.bool_)) else float(result)


def a_kind(value: Any) -> str:
    """The type of a value with its article, for a sentence."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shape_of(value: Any) -> str:
    """A shape as it is written in Python."""
    return str(tuple(getattr(value, "shape", value)))


def show_values(value: Any) -> str:
    """Numbers at four digits, whole ones in full, rounding noise as 0; a long tensor by its shape.

    >>> show_values(torch.tensor([10240.0, -2 / 3, 1e-16]))
    '[10240, -0.6667, 0]'
    """
    if isinstance(value, Tensor):
        if value.numel() > 8:
            return f"a tensor of shape {shape_of(value)}"
        return show_values(value.tolist())
    if isinstance(value, list):
        return "[" + ", ".join(show_values(part) for part in value) + "]"
    if not isinstance(value, float):
        return str(value)
    value = 0.0 if abs(value) < 1e-9 else value
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


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
    answer: Any, value: float, *, tol: float = 1e-6, mistakes: Mistakes = ()
) -> None:
    """The answer is the number ``value``, up to ``tol`` absolutely and relatively."""
    got = need_number(answer)

    def near(number: Any) -> bool:
        return bool(np.isclose(got, float(number), rtol=tol, atol=tol))

    if not near(value):
        alike = show_values(got) == show_values(value)  # at four digits
        said = f"{got:.8g} is near, but" if alike else f"{show_values(got)} is"
        raise fault("value", f"{said} not the number we look for.", mistakes, recogniser(near, got))


def compare_tensor(
    answer: Any, value: Any, *, tol: float | None = None, mistakes: Mistakes = ()
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
        raise fault(
            "value", f"The shape is right, but {text}: is it?", mistakes, recogniser(same, got)
        )


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
