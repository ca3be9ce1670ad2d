"""Export: a plain copy of a model, without parametrizations."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def export(model: Model, x: Tensor | None = None) -> Model:
    """Copy a model to plain ``nn.Linear`` and ``nn.Conv2d`` that compute the same.

    Every parametrized tensor becomes a parameter which holds its value, so that the copy can be
    saved whole, and loaded where this package is not. Modules that are shared stay shared; buffers,
    hooks and the training flag are kept. The model itself is left as it is.

    Args:
        model: any module; parametrizations are found at every depth, whoever registered them.
        x: a batch on which the outputs of both, in evaluation mode, must be the same.

    Returns:
        The plain copy.

    Raises:
        RuntimeError: if a weight changes each time it is read, or an output of the copy differs.

    Example:
        >>> layer = lt.orthonormal(nn.Linear(3, 2))
        >>> plain = lt.export(layer)
        >>> type(plain).__name__, bool(torch.equal(plain.weight, layer.weight))
        ('Linear', True)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    if x is not None and not isinstance(x, Tensor):
        raise TypeError(f"x must be a torch.Tensor or None; got {type(x).__name__}.")
    plain = _copied(model)
    flags = [module.training for module in plain.modules()]
    modules = list(plain.modules())
    plain.eval()  # a parametrization with state must not move on while it is read
    for module in modules:
        if parametrize.is_parametrized(module):
            _make_plain(module)
    if x is not None:
        want, got = _copied(model).eval()(x), plain(x)
        if not torch.allclose(want, got, rtol=1e-5, atol=1e-6, equal_nan=True):
            error = float((want - got).abs().max())
            raise RuntimeError(f"The exported model differs on x by {error:.1e}.")
    for module, flag in zip(modules, flags, strict=True):
        module.training = flag
    return plain


def to_measure(model: nn.Module) -> nn.Module:
    """A plain copy in evaluation mode and float64, of which no module overwrites its input.

    Backward hooks are left out: they change no value, but would change what is called its Jacobian.
    A compiled call is not copied, but what had one is still seen to have it.
    """
    plain = export(model).eval().double().requires_grad_(False)
    originals = dict(model.named_modules(remove_duplicate=False))
    for name, module in plain.named_modules():
        if vars(originals[name]).get("_compiled_call_impl") is not None:
            module._compiled_call_impl = module._call_impl
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        if getattr(module, "inplace", False):
            module.inplace = False
    return plain


def _copied(model: Model) -> Model:
    """A deep copy; weights that a hook computes (old weight norm, pruning) are copied by value."""
    held = [value for module in model.modules() for value in vars(module).values()]
    memo: dict[int, Any] = {
        id(t): t.detach().clone() for t in held if isinstance(t, Tensor) and not t.is_leaf
    }
    return copy.deepcopy(model, memo)


def _make_plain(module: Any) -> None:
    """Replace the parametrized tensors of a module by parameters with their values.

    `parametrize.remove_parametrizations` would delete the property of the class, which the copy
    shares with its original: the original would lose its weight. A module whose class was changed
    after that of torch was put in stays as it is: what its class computes is not ours to say.
    """
    if not vars(type(module)).keys() >= module.parametrizations.keys():
        return
    values = {
        name: nn.Parameter(
            getattr(module, name).detach().clone(),
            requires_grad=any(p.requires_grad for p in parametrization.parameters()),
        )
        for name, parametrization in module.parametrizations.items()
    }
    for name, value in values.items():
        if not torch.allclose(value, getattr(module, name), equal_nan=True):
            kind = type(module).__bases__[0].__name__
            raise RuntimeError(f"The {name} of this {kind} changes each time it is read.")
    module.__class__ = type(module).__bases__[0]
    del module.parametrizations
    others = dict(module._parameters)
    module._parameters.clear()
    for name, value in {**values, **others}.items():
        module.register_parameter(name, value)
