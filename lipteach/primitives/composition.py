"""What a composition runs: the one walker of ``nn.Sequential``, for bounds, proofs and joins alike.

A certificate reads a module by its class. It may do so only where the module computes what its
class does, and a hook, a forward of the instance or a subclass may change that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard, TypeVar

from torch import Tensor, nn

from lipteach.primitives._torch_private import has_hooks, is_compiled
from lipteach.primitives.modules import ChunkedSequential

M = TypeVar("M", bound=nn.Module)

SEQUENCES = (nn.Sequential, ChunkedSequential)
# What a subclass may redefine without changing what a run computes; all else is not believed.
HARMLESS = {
    *("__init__", "__repr__", "_get_name", "extra_repr", "reset_parameters", "__getstate__"),
    *("__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__slots__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__firstlineno__", "__static_attributes__", "__constants__"),
}


def runs_as(module: nn.Module, kinds: type[M] | tuple[type[M], ...]) -> TypeGuard[M]:
    """Whether a module computes what one of these classes does, as far as can be seen.

    Its class is one of them, or a subclass that redefines nothing which a run could reach. The
    module has no hooks (nor has every module, by a global hook), no methods of its own in place of
    the class's, and plain tensors.
    """
    own = type(module).__mro__
    return not alteration(module) and any(
        kind in own and not any(_redefines(cls, kind) for cls in own[: own.index(kind)])
        for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
    )


def alteration(module: nn.Module) -> str:
    """What beside its class has a say in what a module computes, in words; "" if nothing."""
    if has_hooks(module):
        return "hooks"
    if any(callable(getattr(type(module), name, None)) for name in vars(module)):
        return "a forward of its own"
    if is_compiled(module):
        return "a compiled call"
    tensors = (*module._parameters.values(), *module._buffers.values())
    plain = all(type(t) in (Tensor, nn.Parameter, type(None)) for t in tensors)
    return "" if plain else "tensors of another class"


def walk(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that run one after the other, with their names; what stands twice comes twice.

    An ``nn.Sequential`` is opened, at every depth, where it runs as its class; any other module,
    and a Sequential of which that is not sure, comes as it is: `runs_as` tells what it is.
    """
    if runs_as(module, SEQUENCES):
        for key, child in module._modules.items():
            if child is not None:
                yield from walk(child, f"{name}.{key}" if name else key)
    else:
        yield name, module


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """The ``nn.Linear`` layers that run one after the other."""
    return [module for _, module in walk(network) if isinstance(module, nn.Linear)]


def check_sequence(network: Any, name: str = "network") -> None:
    """Require an ``nn.Sequential`` in which no hook or the like changes a module, at any depth."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"{name} must be an nn.Sequential; got {type(network).__name__}.")
    for module in network.modules():
        if said := alteration(module):
            raise ValueError(
                f"{name} must be plain modules; its {type(module).__name__} has {said}."
            )
    if not runs_as(network, SEQUENCES):
        kind = type(network).__name__
        raise ValueError(f"{name} must be a plain nn.Sequential; {kind} has a forward of its own.")


def _redefines(cls: type, kind: type) -> bool:
    return not vars(cls).keys().isdisjoint(set(dir(kind)) - HARMLESS)
