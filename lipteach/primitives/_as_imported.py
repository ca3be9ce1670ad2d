"""Whether torch's modules and ours are still what they were when this package was imported.

What is known of a class is known of the methods that it came with; a library may put others in
their place (``nn.Linear.forward = …``), or in the place of what they call (``F.linear = …``).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

# What may be defined anew without changing what a run computes; all else is not believed.
HARMLESS = {
    *("__init__", "__repr__", "_get_name", "extra_repr", "reset_parameters"),
    *("__getstate__", "__setstate__"),  # torch.compile replaces one, a parametrization the other
    *("__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__slots__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__firstlineno__", "__static_attributes__", "__constants__"),
}


def methods(cls: type) -> dict[str, Any]:
    """What the body of a class defines that a run could reach."""
    held = vars(cls).items()
    return {name: value for name, value in held if name not in HARMLESS and _runs(value)}


def _as_it_is(cls: type) -> dict[str, Any]:
    """The same with the code of its functions, which may be put in the place of another."""
    return {name: (value, _code(value)) for name, value in methods(cls).items()}


def _code(value: Any) -> Any:
    return getattr(value, "__code__", None)


def as_imported(cls: type) -> bool:
    """Whether a class is one of those that came with torch, Python or this package, unchanged."""
    return not issubclass(cls, nn.Module) or (cls in _METHODS and _as_it_is(cls) == _METHODS[cls])


def is_patched(cls: type) -> bool:
    """Whether a class, one that it inherits from, or a function that modules call was replaced."""
    kinds = [kind for kind in cls.__mro__ if kind in _METHODS]
    if any(_as_it_is(kind) != _METHODS[kind] for kind in kinds):
        return True
    if any(held.get(name) is not value for held, name, value in _GLOBALS):
        return True
    for place, name, value, code in _FUNCTIONS:
        found = getattr(place, name, None)
        if found is not value or _code(found) is not code:
            return True
    return False


def _runs(value: Any) -> bool:
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))


def _classes(cls: type[nn.Module]) -> Iterator[type[nn.Module]]:
    yield cls
    for kind in cls.__subclasses__():
        yield from _classes(kind)


def _is_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType)


def _stands_in(place: Any, name: str) -> bool:
    return any(name in vars(part) for part in getattr(place, "__mro__", (place,)))


def called(values: Any) -> set[str]:
    """What the functions among these values call or read by name."""
    return {name for f in values if _is_function(f) for name in f.__code__.co_names}


# Read after all of floor 1: this file is imported through `composition`, by the floors above.
_METHODS = {
    cls: _as_it_is(cls)
    for cls in _classes(nn.Module)
    if cls.__module__.partition(".")[0] in ("torch", "lipteach")
}
_OURS = [m for name, m in sys.modules.items() if name.startswith("lipteach.primitives.")]
_CALLED = {
    *(f"__{name}__" for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "neg")),
    *("__lt__", "__gt__", "__getitem__"),
    *called([*vars(F).values(), *(f for held in _METHODS.values() for f, _ in held.values())]),
    *called(value for module in _OURS for value in vars(module).values()),
}
_PLACES = [
    *((F, name, value) for name, value in vars(F).items() if _runs(value)),
    *((module, n, f) for module in _OURS for n, f in vars(module).items() if _is_function(f)),
    *(
        (place, name, value)
        for place in (torch, torch.Tensor, torch._C._nn)
        for name in sorted(_CALLED - {"manual_seed"})  # which torch's compiler replaces
        if _stands_in(place, name)  # else torch would import a module of that name
        and callable(value := getattr(place, name))
        and value is getattr(place, name)  # one that is made anew at each look cannot be compared
    ),
]
_FUNCTIONS = [(place, name, value, _code(value)) for place, name, value in _PLACES]
_GLOBALS = [  # the modules and functions that methods find by a name of their file, such as F
    (held, name, held[name])
    for held, name in {
        (id(f.__globals__), name): (f.__globals__, name)
        for methods_of in _METHODS.values()
        for f, _ in methods_of.values()
        if _is_function(f)
        for name in f.__code__.co_names
        if callable(f.__globals__.get(name))
        or isinstance(f.__globals__.get(name), types.ModuleType)
    }.values()
]
