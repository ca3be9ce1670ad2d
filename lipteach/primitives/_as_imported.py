"""Whether torch's modules and ours are still what they were when this package was imported.

What is known of a class is known of the methods that it came with; a library may put others in
their place (``nn.Linear.forward = …``), or in the place of what they call (``F.linear = …``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


def as_imported(cls: type) -> bool:
    """Whether a class is one of those that came with torch, Python or this package, unchanged."""
    return not issubclass(cls, nn.Module) or (cls in _METHODS and methods(cls) == _METHODS[cls])


def is_patched(cls: type) -> bool:
    """Whether a class, one that it inherits from, or a function of torch.nn was replaced."""
    kinds = [kind for kind in cls.__mro__ if kind in _METHODS]
    return any(methods(kind) != _METHODS[kind] for kind in kinds) or any(
        vars(F).get(name) is not function for name, function in _FUNCTIONS.items()
    )


def _runs(value: Any) -> bool:
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))


def _classes(cls: type[nn.Module]) -> Iterator[type[nn.Module]]:
    yield cls
    for kind in cls.__subclasses__():
        yield from _classes(kind)


# Read after all of floor 1: this file is imported through `composition`, by the floors above.
_METHODS = {
    cls: methods(cls)
    for cls in _classes(nn.Module)
    if cls.__module__.partition(".")[0] in ("torch", "lipteach")
}
_FUNCTIONS = {name: value for name, value in vars(F).items() if _runs(value)}
