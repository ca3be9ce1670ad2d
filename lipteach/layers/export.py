"""Export: a plain copy of a model, without parametrizations."""

from __future__ import annotations

import copy
import dis
import functools
import types
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.copies import CHANGES, differences, evaluating, near, said_name
from lipteach.layers.parametrizations import laid_out
from lipteach.primitives._as_imported import as_imported
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import first_line, raised_in
from lipteach.primitives.composition import has_own_methods, made_by_parametrize, refuse_cycles
from lipteach.primitives.jacobian import check_initialized, run_on

Model = TypeVar("Model", bound=nn.Module)
_EMPTY = types.CellType()


@undisturbed
@torch.no_grad()
def export(model: Model, x: Tensor | None = None) -> Model:
    """Copy a model to plain ``nn.Linear``, ``nn.Conv2d`` and so on that compute the same.

    Every parametrized tensor becomes a parameter which holds its value, so that the copy can be
    saved whole, and loaded where this package is not. Modules that are shared stay shared, and
    weights that were tied and have the same value stay one parameter; buffers, hooks and the
    training flag are kept, a compiled call is not. The model itself is left as it is.

    Args:
        model: any module; parametrizations are found at every depth, whoever registered them.
        x: a batch on which the outputs of both, in evaluation mode, must be the same.

    Returns:
        The plain copy.

    Raises:
        ValueError: if a module has a forward of its own, or if a function leads to a part of the
            model: the copy would run with the model's weights. Looked at are the functions, methods
            and partials among the attributes of each module (hooks are) and of its class, in their
            closures, defaults and the global names that they use themselves; and lists and
            dictionaries of these. What code reaches in other ways (through a class, a static method
            or a property, an inner function, a weak reference, an object or a module that a name
            stands for) is not seen: such a model must be given x and compared after training.
        RuntimeError: if a weight changes each time it is read, if a tensor or a setting of the copy
            is not that of the model (a class may say itself how it is copied), or if an output
            differs by more than 1e-5 of the largest one.

    Example:
        >>> layer = lt.orthonormal(nn.Linear(3, 2))
        >>> plain = lt.export(layer)
        >>> type(plain).__name__, bool(torch.equal(plain.weight, layer.weight))
        ('Linear', True)
    """
    if x is not None and not isinstance(x, Tensor):
        raise TypeError(f"x must be a torch.Tensor or None; got {type(x).__name__}.")
    plain = plain_copy(model)
    _refuse_functions(plain, model)
    for path, module, name, how in differences(plain, model):
        if how == CHANGES:
            raise RuntimeError(f"The {name} of this {type(module).__name__} {how}.")
        place = said_name(path, module)
        raise RuntimeError(f"{place} is not copied as it is: its {name} {how}.")
    if x is not None:
        with evaluating(model), evaluating(plain):
            want, got = _output(model, x), _output(plain, x)
        if not near(got, want, 1e-5):
            error = float((want - got).abs().max())
            raise RuntimeError(f"The exported model differs on x by {error:.1e}.")
    return plain


def plain_copy(model: Model, training: bool = False) -> Model:
    """A copy in which no tensor is parametrized, as far as that is ours to do.

    The tensors are those of evaluation mode, or those that training mode computes.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    refuse_cycles(model)
    check_initialized(model, "model")
    plain = _copied(model)
    tied: dict[Any, nn.Parameter] = {}
    with evaluating(plain):  # a parametrization with state must not move on while it is read
        modules = list(plain.modules())
        for module in modules:
            module.training = training
        for module in modules:
            if parametrize.is_parametrized(module):
                _make_plain(module, tied)
    return plain


def _copied(model: Model) -> Model:
    """A deep copy; weights that a hook computes (old weight norm, pruning) are copied by value."""
    held = [value for module in model.modules() for value in vars(module).values()]
    memo: dict[int, Any] = {
        id(t): t.detach().clone() for t in held if isinstance(t, Tensor) and not t.is_leaf
    }
    try:
        found = copy.deepcopy(model, memo)
    except Exception as error:  # whatever a class does that says itself how it is copied
        usual = isinstance(error, (RuntimeError, TypeError, copy.Error))
        said = first_line(error) if usual else raised_in(model, error)
        raise TypeError(f"model must be one that can be copied: {said}") from error
    for module in found.modules():
        vars(module).pop("_compiled_call_impl", None)  # it would run the model itself
    return found


def _make_plain(module: Any, tied: dict[Any, nn.Parameter]) -> None:
    """Replace the parametrized tensors of a module by parameters with their values.

    `parametrize.remove_parametrizations` would delete the property of the class, which the copy
    shares with its original: the original would lose its weight. A module whose class was changed
    after that of torch was put in stays as it is: what its class computes is not ours to say.
    """
    if not made_by_parametrize(module):
        return
    values = {
        name: _value(parametrization, tied)
        for name, parametrization in module.parametrizations.items()
    }
    module.__class__ = type(module).__bases__[0]
    del module.parametrizations
    others = dict(module._parameters)
    module._parameters.clear()
    for name, value in {**values, **others}.items():
        module.register_parameter(name, value)


def _value(made: Any, tied: dict[Any, nn.Parameter]) -> nn.Parameter:
    """The parametrized tensor as a parameter; one made of the same parameters alike is the same.

    It is computed, not read: `parametrize.cached` may hold what is no longer true.
    """
    value = made().detach()
    value = laid_out(value, value).clone()
    sources = (*made._parameters.values(), *made._buffers.values())
    key = (*map(type, made), *map(id, sources))
    same = tied.get(key)
    if same is None or not torch.equal(same, value):
        trained = any(parameter.requires_grad for parameter in made.parameters())
        same = tied[key] = nn.Parameter(value, requires_grad=trained)
    return same


def _output(model: nn.Module, x: Tensor) -> Tensor:
    y = run_on(model, x, "model", x.shape)
    if not isinstance(y, Tensor):
        raise TypeError(f"model must return a torch.Tensor; got {type(y).__name__}.")
    return y


def _refuse_functions(plain: nn.Module, model: nn.Module) -> None:
    """Refuse what is no plain copy: a function is not copied, and may hold the model's weights."""
    ours = {id(part) for part in (*model.modules(), *model.parameters(), *model.buffers())}
    for name, module in plain.named_modules():
        called = said_name(name, module)
        if has_own_methods(module):
            raise ValueError(f"{called} has a forward of its own, which no plain copy has.")
        theirs = [vars(cls) for cls in type(module).__mro__ if not as_imported(cls)]
        if any(
            _holds(f, ours, set()) for held in (vars(module), *theirs) for f in _functions(held)
        ):
            raise ValueError(
                f"{called} has a function, such as a hook, that holds a part of the model: the "
                "copy would run with the model's weights."
            )


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """The functions among the attributes of a module or a class, which a deep copy shares."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, types.MethodType):
        yield from _functions(value.__func__)
    elif isinstance(value, functools.partial):
        yield from _functions(value.func)
    elif isinstance(value, (dict, types.MappingProxyType)):
        for part in value.values():
            yield from _functions(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _functions(part)


def _holds(value: Any, ours: set[int], seen: set[int]) -> bool:
    """Whether a value leads to one of the objects with these ids."""
    if id(value) in ours:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    parts: Any = ()
    if isinstance(value, types.FunctionType):
        used = {step.argval for step in dis.get_instructions(value) if step.opname == "LOAD_GLOBAL"}
        parts = [value.__globals__[name] for name in used if name in value.__globals__]
        parts += [cell.cell_contents for cell in value.__closure__ or () if cell != _EMPTY]
        parts += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    elif isinstance(value, types.MethodType):
        parts = (value.__self__, value.__func__)
    elif isinstance(value, functools.partial):
        parts = (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, (dict, nn.Module)):
        parts = (value if isinstance(value, dict) else vars(value)).values()
    elif isinstance(value, (list, tuple, set)):
        parts = value
    return any(_holds(part, ours, seen) for part in parts)
