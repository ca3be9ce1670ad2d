"""Checks of arguments, shared by the public functions: what came and what is needed."""

from __future__ import annotations

import functools
import math
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from lipteach.primitives._torch_private import is_exporting, is_fake, transforms_active

F = TypeVar("F", bound=Callable[..., Any])
NORMS = (1, 2, math.inf)
MOST = torch.finfo(torch.float64).max
MOST_INTEGER = torch.iinfo(torch.int64).max
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def transforming() -> bool:
    """Whether torch.func or torch.compile is at work, where no branch may ask for data."""
    return torch.compiler.is_compiling() or transforms_active()


def exporting(x: Any) -> bool:
    """Whether the way of x is written down as a graph, for its values, and batches of any size.

    By torch.export (and by it for ONNX), by torch.jit.trace, or by torch.fx.
    """
    if isinstance(x, Proxy) or is_exporting():
        return True
    return not torch.compiler.is_compiling() and torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def leaf_of_fx(function: F) -> F:
    """Let torch.fx write a call of the function of a tensor down as one step, unopened."""

    @functools.wraps(function)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, Proxy):
            return x.tracer.create_proxy("call_function", call, (x, *args), kwargs)
        return function(x, *args, **kwargs)

    return cast(F, call)


def check_tensor(x: Any, name: str = "x", min_dim: int = 1, finite: bool = True) -> None:
    """Require a floating-point tensor with at least `min_dim` dimensions, not empty, and finite."""
    check_dense(x, name)
    if x.dtype not in FLOATS:
        need = "a floating-point dtype from float16 to float64"
        raise TypeError(f"{name} must have {need}; got {x.dtype}.")
    if x.ndim < min_dim:
        dims = "dimension" if min_dim == 1 else "dimensions"
        shape = tuple(x.shape)
        raise ValueError(f"{name} must have at least {min_dim} {dims}; got shape {shape}.")
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty; got shape {tuple(x.shape)}.")
    if finite:
        check_numbers(x, name)
        if not transforming() and not _all_finite(x):
            raise ValueError(f"{name} must be finite; it holds NaN or infinity.")


def check_dense(x: Any, name: str) -> None:
    """Require a tensor with one number at each place, of whatever dtype."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(x).__name__}.")
    if isinstance(x, (UninitializedParameter, UninitializedBuffer)):  # these answer nothing else
        raise TypeError(f"{name} has no shape yet; run its lazy module once.")
    if x.is_nested or isinstance(x, torch.masked.MaskedTensor):
        kind = "nested" if x.is_nested else "masked"
        raise TypeError(f"{name} must be a dense tensor; got a {kind} one.")
    if x.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor; got layout {x.layout}.")


def has_data(x: Tensor) -> bool:
    """Whether x has entries to look at: on the meta device, or fake, it is a shape only."""
    return not (x.is_meta or is_fake(x))


def check_numbers(x: Tensor, name: str) -> None:
    """Require a tensor that can be read (`has_data`)."""
    if not has_data(x) and not transforming():
        kind = "on the meta device" if x.is_meta else f"a {type(x).__name__}"
        raise TypeError(f"{name} must hold numbers; it is {kind} and has a shape only.")


def _all_finite(x: Tensor) -> bool:
    # One sum is the cheapest look at every entry; it may overflow, and then each is asked.
    x = x.detach()
    return math.isfinite(x.sum().item()) or bool(torch.isfinite(x).all())


def check_integer(value: Any, name: str, low: float = 1) -> int:
    """Require a Python integer (not a bool) of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer; got {shown(value)} ({type(value).__name__}).")
    if value < low:
        raise ValueError(f"{name} must be at least {low}; got {shown(value)}.")
    if abs(value) > MOST_INTEGER:
        raise ValueError(f"{name} must be less than 2⁶³; got {shown(value)}.")
    return value


def shown(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an integer of more than 4300 digits"
    return text if len(text) <= 60 else f"{text[:40]}…"


def first_line(error: BaseException) -> str:
    """The first line of what an error says, cut where it is long, or its name."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def raised_in(model: Any, error: Exception) -> str:
    """The class and the text of what a stranger's code raised, and the innermost module it is in.

    That module is one of the model's whose method was running: its first argument tells.
    """
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    named = {id(module): (name, type(module).__name__) for name, module in modules.items()}
    name, kind = "", "it"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        first = frame.f_code.co_varnames[0] if frame.f_code.co_argcount else ""
        name, kind = named.get(id(frame.f_locals.get(first)), (name, kind))
    said = f": {first_line(error)}" if str(error) else ""
    return f"{f'{name} ({kind})' if name else kind} raises {type(error).__name__}{said}"


def axis(x: Tensor, dim: Any, name: str = "x") -> int:
    """Return `dim` counted from the front, and require that x has it."""
    if not -x.ndim <= check_integer(dim, "dim", -math.inf) < x.ndim:
        raise ValueError(f"dim must be in [{-x.ndim}, {x.ndim - 1}] for this {name}; got {dim}.")
    return int(dim % x.ndim)


def check_real(
    value: Any, name: str, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> float:
    """Require a finite real number in [low, high] that is greater than `above`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kind = type(value).__name__
        raise TypeError(f"{name} must be a real number; got {shown(value)} ({kind}).")
    if not abs(value) <= MOST:
        raise ValueError(f"{name} must be finite; got {shown(value)}.")
    if not low <= value <= high:
        limits = f"at least {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be {limits}; got {value}.")
    if value <= above:
        raise ValueError(f"{name} must be greater than {above}; got {value}.")
    return float(value)


def check_norm(p: Any) -> None:
    """Require p to be 1, 2 or math.inf."""
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"p must be 1, 2 or math.inf; got {shown(p)} ({type(p).__name__}).")
    if p not in NORMS:
        raise ValueError(f"p must be 1, 2 or math.inf; got {shown(p)}.")


def in_float64(x: Tensor) -> Tensor:
    """Return x in float64, where sums and squares of float32 neither overflow nor vanish."""
    return x if x.device.type == "mps" else x.double()  # MPS has no float64


def plain_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast off: a constraint computed in half precision would not hold."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
