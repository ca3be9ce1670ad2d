"""What the judge is made of, noted before a student's code runs, and put back after it."""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch

from lipteach.classroom.checks import Exercise

_CONSTANTS = (int, float, str, tuple, frozenset)
_OF_TORCH = {"allclose", "isclose", "equal"}  # others it replaces itself, as for a default dtype
_CALLED = (FunctionType, BuiltinFunctionType)
_CODE = ("__code__", "__defaults__", "__kwdefaults__")


class Seal:
    """The functions, classes and constants of the judge, as they are now.

    It finds what replaces a function in its module or class, or its code. What is patched inside
    torch or the interpreter, or put back before it looks, escapes it.
    """

    def __init__(self, exercises: Mapping[str, Exercise]) -> None:
        self._modules = {
            name: module
            for name, module in sys.modules.items()
            if isinstance(module, ModuleType) and name.partition(".")[0] == "lipteach"
        }
        others = (builtins, math, torch)
        self._names = {id(m): dict(vars(m)) for m in (*self._modules.values(), *others)}
        self._rooms = (*self._modules.values(), *others)
        self._codes = {f: tuple(getattr(f, part) for part in _CODE) for f in self._functions()}
        self._classes = {c: dict(vars(c)) for c in self._own_classes()}
        self._exercises = {e: dict(vars(e)) for e in exercises.values()}

    def _values(self) -> Iterator[Any]:
        for module in self._modules.values():
            yield from list(vars(module).values())

    def _own_classes(self) -> set[type]:
        return {v for v in self._values() if isinstance(v, type) and v.__module__ in self._modules}

    def _functions(self) -> set[FunctionType]:
        inside = (v for c in self._own_classes() for v in vars(c).values())
        own = (*self._values(), *inside)
        return {f for f in own if isinstance(f, FunctionType)}

    def mend(self) -> list[str]:
        """Put back what was changed; return its names."""
        changed = []
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
                changed.append(name)
        for room in self._rooms:
            changed += [f"{room.__name__}.{name}" for name in self._mend_room(room)]
        for function, parts in self._codes.items():
            for part, value in zip(_CODE, parts, strict=True):
                if getattr(function, part) is not value:
                    setattr(function, part, value)
                    changed.append(f"{function.__module__}.{function.__qualname__}")
        for one, members in self._classes.items():
            for name, value in members.items():
                if callable(value) and vars(one).get(name) is not value:
                    setattr(one, name, value)
                    changed.append(f"{one.__module__}.{one.__qualname__}.{name}")
        for exercise, parts_of_it in self._exercises.items():
            if any(vars(exercise).get(name) is not v for name, v in parts_of_it.items()):
                vars(exercise).update(parts_of_it)
                changed.append(f"the exercise {parts_of_it['name']}")
        return list(dict.fromkeys(changed))

    def _mend_room(self, room: ModuleType) -> list[str]:
        noted, now, own = self._names[id(room)], vars(room), room.__name__ in self._modules
        changed = []
        for name, value in noted.items():
            matters = isinstance(value, _CALLED) and (room is not torch or name in _OF_TORCH)
            if own:
                matters = callable(value) or isinstance(value, _CONSTANTS)
            if matters and now.get(name) is not value and not name.startswith("__"):
                now[name] = value
                changed.append(name)
        for name in set(now) - set(noted) if own else ():
            if hasattr(builtins, name) and not name.startswith(
                "__"
            ):  # it would shadow Python's own
                del now[name]
                changed.append(name)
        return changed
