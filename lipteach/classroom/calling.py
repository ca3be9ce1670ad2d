"""One call of a student's code: on copies, in its own dtype, its exception with its line."""

from __future__ import annotations

import copy
import dis
import linecache
import re
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

import lipteach
from lipteach.classroom import guard
from lipteach.classroom.hints import Hint, NotTried

_PACKAGES = (*(str(Path(str(m.__file__)).parent) for m in (lipteach, torch)), get_path("stdlib"))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a student's function returns, called with copies of the arguments.

    What it raises becomes a hint of kind "error", with the arguments as its example.
    """
    try:
        return call_with(function, copy.deepcopy(arguments))
    except Hint as hint:
        hint.example = arguments
        raise


def call_with(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The same with the arguments themselves, which the function may change."""
    if is_stub(function):
        raise NotTried
    try:
        with guard.kept_settings():
            result = _with_its_dtype(function, arguments)
    except guard.TimeUp:
        raise
    except BaseException as error:
        text = f"Your code raised {guard.describe(error).rstrip('.')}{_line_of(error)}."
        if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
            text += " Has the cell which defines that name been run?"
        if "Boolean value of Tensor" in text:
            text += " `if` asks one question, and a tensor has many answers: does torch.where fit?"
        raise Hint("error", text) from None
    if result is None:
        raise Hint("type", "Your function returns None: does it end with `return`?")
    if result is Ellipsis:
        raise Hint("type", "Your function returns `...`: which value belongs there?")
    return result


def _with_its_dtype(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The inputs are float64; a network, or code with float32 constants, has its own dtype."""
    if isinstance(function, nn.Module) and (own := _own_dtype(function)):
        return function(*_cast(arguments, own))
    kept = tuple(a if is_float(a) else copy.deepcopy(a) for a in arguments)
    try:
        return function(*arguments)
    except RuntimeError as error:
        if _about_dtypes(error):
            return function(*_cast(kept, torch.float32))
        raise


def _own_dtype(network: nn.Module) -> torch.dtype | None:
    kinds = {p.dtype for p in network.parameters() if p.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 else None


def _about_dtypes(error: RuntimeError) -> bool:
    return "dtype" in str(error) or "scalar type" in str(error)


def _cast(arguments: tuple[Any, ...], dtype: torch.dtype) -> list[Any]:
    return [a.to(dtype) if is_float(a) else a for a in arguments]


def is_stub(function: Any) -> bool:
    """Whether a body is only a docstring, `pass`, `...` or `raise NotImplementedError`."""
    if isinstance(function, (nn.ModuleList, nn.ModuleDict)):
        return False  # it holds layers, and runs none
    if isinstance(function, nn.Module):
        function = type(function).forward
    if function is nn.Module.forward:
        return True
    if type(function) is not FunctionType:
        return False
    names, steps = function.__code__.co_names, list(dis.get_instructions(function))
    constants = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    idle = {"RESUME", "NOP", "COPY_FREE_VARS", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    if names == ("NotImplementedError",) and steps[-1].opname == "RAISE_VARARGS":
        idle |= {"RAISE_VARARGS", "LOAD_GLOBAL", "PUSH_NULL", "PRECALL", "CALL"}
        constants = [None]
    return all(step.opname in idle for step in steps) and constants[-1] in (None, Ellipsis)


def runnable(function: Any, example: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copies of the arguments of a call, in the dtype that the student's code works in."""
    if isinstance(function, nn.Module):
        return tuple(_cast(copy.deepcopy(example), _own_dtype(function) or torch.float64))
    try:
        function(*copy.deepcopy(example))
    except RuntimeError as error:
        if _about_dtypes(error):
            return tuple(_cast(copy.deepcopy(example), torch.float32))
    except guard.TimeUp:
        raise
    except BaseException:  # this is what the hint is about
        pass
    return copy.deepcopy(example)


def is_float(value: Any) -> bool:
    """Whether a value is a tensor that can carry a gradient."""
    return isinstance(value, Tensor) and value.is_floating_point()


def without_line(hint: Hint) -> str:
    """What went wrong, whichever line of whose code it was."""
    return re.sub(r", in line \d+: `.*`", "", hint.text)


def _line_of(error: BaseException) -> str:
    """Where the student's own code raised it: the last line that stands in no package."""
    found, step = (
        "",
        vars(BaseException)["__traceback__"].__get__(error),
    )  # an error may hide its own
    while step is not None:
        name, number = step.tb_frame.f_code.co_filename, step.tb_lineno
        line = "" if name.startswith(_PACKAGES) or "-packages" in name else _read(name, number)
        if line:
            found = f", in line {number}: `{line}`"
        step = step.tb_next
    return found


def _read(name: str, number: int) -> str:
    line = linecache.getline(name, number).strip()
    return line if len(line) <= 80 else line[:79] + "…"
