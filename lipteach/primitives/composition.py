"""What a composition runs: the one walker of ``nn.Sequential``, for bounds, proofs and joins alike.

A certificate reads a module by its class. It may do so only where the module computes what its
class does, and a hook, a forward of the instance or a subclass may change that. What is believed
is Python itself and the compiled code of torch, which ``torch.library`` could replace.
"""

from __future__ import annotations

import sys
import types
from abc import ABCMeta
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.primitives._as_imported import (
    HARMLESS,
    as_imported,
    called,
    is_patched,
    methods,
)
from lipteach.primitives._torch_private import has_hooks, is_compiled, modes_active
from lipteach.primitives.modules import ChunkedSequential

M = TypeVar("M", bound=nn.Module)

SEQUENCES = (nn.Sequential, ChunkedSequential)
CONTAINERS = (dict, OrderedDict)
PLAIN = (type(None), bool, int, float, complex, str, bytes, set, torch.Size, *CONTAINERS)
READ_AS = {"__bool__", "__index__", "__float__", "__len__", "__iter__", "__getitem__"}


def runs_as(module: nn.Module, kinds: type[M] | tuple[type[M], ...]) -> TypeGuard[M]:
    """Whether a module computes what one of these classes does, as far as can be seen.

    Its class is one of them, or a subclass in which a run reaches nothing that another class
    defines: neither it, nor one that it inherits from beside the known one. The module has no hooks
    (nor has every module, by a global hook), no methods of its own in place of the class's, and
    plain tensors and settings; and the class is as it was when this package was imported.
    """
    if type(type(module)) not in (type, ABCMeta):  # another metaclass may say what it likes
        return False
    if type(vars(module)) is not dict:
        return False
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if kind in type(module).__mro__ and not _redefines(type(module), kind):
            return not alteration(module)
    return False


def runs_its_forward(module: nn.Module) -> bool:
    """Whether a call of the module runs the forward of its class, whatever that is, and no more.

    Its class and those that it inherits from define nothing else that ``nn.Module`` does, such as a
    call or a look-up of attributes, and nothing beside the class has a say in it. What the forward
    computes is to be found by tracing it; classes of torch are known by name, or not at all.
    """
    if type(type(module)) not in (type, ABCMeta) or type(vars(module)) is not dict:
        return False
    if as_imported(type(module)):
        return False
    reserved = set(dir(nn.Module)) - HARMLESS - {"forward"}
    for base in type(module).__mro__:
        torch_s = issubclass(base, nn.Module) and as_imported(base)
        if base is not object and not torch_s and not reserved.isdisjoint(vars(base)):
            return False
    return isinstance(type(module).forward, types.FunctionType) and not alteration(module)


def alteration(module: nn.Module) -> str:
    """What beside its class has a say in what a module computes, in words; "" if nothing."""
    if has_hooks(module):
        return "hooks"
    if has_own_methods(module):
        return "a forward of its own"
    if is_compiled(module):
        return "a compiled call"
    held = [vars(module).get(f"_{kind}") for kind in ("modules", "parameters", "buffers")]
    if any(type(container) not in CONTAINERS or _has_more(container) for container in held):
        return "containers of another class"
    tensors = (*module._parameters.values(), *module._buffers.values())
    settings = [t for t in vars(module).values() if hasattr(t, "__torch_function__")]
    if any(type(t) not in (Tensor, nn.Parameter, type(None)) for t in (*tensors, *settings)):
        return "tensors of another class"
    if any(may_deceive(value) for value in vars(module).values()):
        return "settings of another class"
    if isinstance(module, SEQUENCES) and None in [*module._modules.values()]:
        return "a module that is None, so that it does not run"
    if is_patched(type(module)):
        return "a class or a function of torch that was replaced"
    return "a mode of torch around it" if modes_active() else ""


def has_own_methods(module: nn.Module) -> bool:
    """Whether an attribute of the module stands in the place of a method of its class."""
    return any(callable(getattr(type(module), name, None)) for name in vars(module))


def made_by_parametrize(module: nn.Module) -> bool:
    """Whether the class of a module is that which torch makes for parametrized tensors, no more.

    It has a property for each of them, and the class beneath it is the one that they had before.
    """
    names: Any = module.parametrizations
    held = methods(type(module))
    held.pop("__deepcopy__", None)
    return held.keys() == set(names) and all(map(_is_of_parametrize, held.values()))


def walk(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that run one after the other, with their names; what stands twice comes twice.

    An ``nn.Sequential`` is opened, at every depth, where it runs as its class; any other module,
    and a Sequential of which that is not sure, comes as it is: `runs_as` tells what it is.
    """
    refuse_cycles(module)
    yield from _walk(module, name)


def _walk(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if runs_as(module, SEQUENCES):
        children: Any = module._modules  # `named_children` leaves out what stands twice
        for key, child in children.items():
            yield from _walk(child, f"{name}.{key}" if name else key)
    else:
        yield name, module


def refuse_cycles(module: nn.Module) -> None:
    """Refuse a module that holds itself, at any depth: no call of it ends."""
    above: set[nn.Module] = set()
    done: set[nn.Module] = set()

    def visit(module: nn.Module) -> None:
        if module in above:
            raise ValueError(f"A module must not hold itself; a {type(module).__name__} does.")
        if module not in done:
            above.add(module)
            for child in module.children():
                visit(child)
            above.remove(module)
            done.add(module)

    visit(module)


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """The ``nn.Linear`` layers that run one after the other."""
    return [module for _, module in walk(network) if isinstance(module, nn.Linear)]


def read(layer: nn.Linear, name: str = "weight") -> Tensor:
    """The weight or the bias of a layer, detached; refuses one that changes at each reading."""
    value: Tensor = getattr(layer, name).detach()
    again: Tensor = getattr(layer, name).detach()
    if not value.is_meta and not torch.equal(value.nan_to_num(), again.nan_to_num()):
        kind = type(layer).__name__
        raise ValueError(
            f"The {name} of a {kind} layer changes each time it is read; call eval() before."
        )
    return value


def check_sequence(network: Any, name: str = "network") -> None:
    """Require an ``nn.Sequential`` in which no hook or the like changes a module, at any depth."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"{name} must be an nn.Sequential; got {type(network).__name__}.")
    refuse_cycles(network)
    for module in network.modules():
        if said := alteration(module):
            raise ValueError(
                f"{name} must be plain modules; its {type(module).__name__} has {said}."
            )
    if not runs_as(network, SEQUENCES):
        kind = type(network).__name__
        raise ValueError(f"{name} must be a plain nn.Sequential; {kind} has a forward of its own.")


def _has_more(container: Any) -> bool:
    """Whether an OrderedDict has attributes of its own, in place of its methods."""
    return bool(getattr(container, "__dict__", None))


def may_deceive(value: Any) -> bool:
    """Whether a setting, or an entry of one, may be one number to Python and another to torch.

    It has the methods of a number or of a sequence, and its class is none of Python or NumPy.
    """
    kind = type(value)
    if kind in (tuple, list):
        return any(map(may_deceive, value))
    numpy = sys.modules.get("numpy")
    known = numpy is not None and vars(numpy).get(kind.__name__) is kind
    if known or kind in PLAIN or isinstance(value, (nn.Module, Tensor)):
        return False
    return not READ_AS.isdisjoint(dir(kind))


def _redefines(cls: type, kind: type) -> bool:
    """Whether a class has a method other than the kind's, or a property in place of a setting."""
    held: dict[str, Any] = {}  # what is found in the class, and not in the kind
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if base in kind.__mro__:
                held.pop(name, None)
            else:
                held[name] = value
    if not held.keys().isdisjoint(set(dir(kind)) - HARMLESS):
        return True
    if not isinstance(held.get("__dict__"), (type(None), types.GetSetDescriptorType)):
        return True  # a property, which may hide what stands there
    read = called(value for base in kind.__mro__ for value in vars(base).values())
    return any(
        hasattr(type(held[name]), "__get__") and not _is_of_parametrize(held[name])
        for name in (held.keys() & read) - HARMLESS
    )


def _is_of_parametrize(value: Any) -> bool:
    """Whether a property is one that torch makes for a parametrized tensor."""
    code = getattr(getattr(value, "fget", None), "__code__", None)
    return isinstance(value, property) and getattr(code, "co_filename", "") == parametrize.__file__
