"""Whether a copy of a model is the model: what is bounded, or exported, is a copy.

A class may say itself how it is copied. A parametrized weight may be another each time it is read,
or where gradients are recorded, or in inference mode, or while ``parametrize.cached`` holds one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn.utils import parametrize

from lipteach.primitives._sample_by_sample import untouched
from lipteach.primitives._torch_private import parametrize_cache_kept
from lipteach.primitives._validate import has_data

CHANGES, OTHER = "changes each time it is read", "is another in its copy"
_OF_THE_COPY = {"training", "_compiled_call_impl"}  # a compiled call is not copied
_APART = {"_parameters", "_buffers", "_modules"}
_COMPILED = (GraphModule, torch.jit.ScriptModule)
_SCALARS = (type(None), type, bool, int, float, complex, str, bytes)


class Difference(NamedTuple):
    """What of a module is not as in the copy: the name of a tensor or of a setting, and how."""

    path: str
    copy: nn.Module
    name: str
    how: str


def differences(copy: nn.Module, model: nn.Module) -> Iterator[Difference]:
    """Where a copy in evaluation mode, without parametrizations, is not the model read now."""
    for path, ours, theirs in _pairs(copy, model, "", set()):
        name = _other_setting(ours, theirs)
        if name:
            yield Difference(path, ours, name, OTHER)
            continue
        with evaluating(theirs):
            found = _other_tensor(ours, theirs)
        if found:
            yield Difference(path, ours, *found)


def said_name(path: str, module: nn.Module) -> str:
    """The name and the class of a module, as an answer says them."""
    return f"{path} ({type(module).__name__})" if path else type(module).__name__


def near(y: Tensor, z: Tensor, tol: float) -> bool:
    """Whether no entry of y is farther from that of z than tol times the largest one of z."""
    if y.shape != z.shape or not (has_data(y) and has_data(z)):
        return y.shape == z.shape  # meta tensors are refused elsewhere
    if y.layout is not torch.strided:
        y, z = y.to_dense(), z.to_dense()
    y, z = y.detach(), z.detach()
    if y.dtype == z.dtype and torch.equal(y, z):
        return True
    y, z = (t.to(torch.complex128 if t.is_complex() else torch.float64) for t in (y, z))
    most = float(z.nan_to_num(0.0, 0.0, 0.0).abs().max())
    return torch.allclose(y, z, 0.0, tol * most, equal_nan=True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Give a model the flags of evaluation mode, and afterwards each module its own flag back.

    So a penalty on Jacobians (`spectral_jacobian_penalty`) is taken in the middle of training: a
    batch normalization then uses its running statistics, so that a sample's output depends on no
    other sample, and dropout drops nothing. Only flags are set: an ``eval()`` of a class's own may
    change weights, and nothing would change them back.

    Args:
        model: any module.

    Example:
        >>> network, x = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), torch.ones(3, 2)
        >>> with lt.evaluating(network):
        ...     penalty, u = lt.spectral_jacobian_penalty(network, x)
        >>> penalty.requires_grad, network.training
        (True, True)

    Source: ours; batch normalization in evaluation mode is what makes the Jacobian of appendix F
    that of one sample.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    flags = {module: module.training for module in model.modules()}
    for module in flags:
        module.training = False
    try:
        yield
    finally:
        for module, flag in flags.items():
            module.training = flag


def _pairs(
    ours: nn.Module, theirs: nn.Module, path: str, seen: set[tuple[int, int]]
) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """Each module of a copy with that of the model in the same place, and its path."""
    if (id(ours), id(theirs)) in seen:
        return
    seen.add((id(ours), id(theirs)))
    yield path, ours, theirs
    children = _children(theirs)
    for key, child in _children(ours).items():
        other = children.get(key)
        if child is not None and other is not None:
            yield from _pairs(child, other, f"{path}.{key}" if path else key, seen)


def _children(module: nn.Module) -> dict[str, nn.Module | None]:
    made = parametrize.is_parametrized(module)
    found: Any = module._modules.items()
    return {key: child for key, child in found if not (made and key == "parametrizations")}


def _other_setting(ours: nn.Module, theirs: nn.Module) -> str:
    """The name of what differs beside parameters and buffers; "" if nothing does."""
    kind = _class(theirs)
    if parametrize.is_parametrized(theirs) and not parametrize.is_parametrized(ours):
        kind = kind.__bases__[0]
    if _class(ours) is not kind or type(vars(ours)) is not type(vars(theirs)):
        return "class"
    here, there = _settings(ours), _settings(theirs)
    if here.keys() != there.keys():
        return min(here.keys() ^ there.keys())
    return next((name for name in here if not _alike(here[name], there[name])), "")


def _class(module: nn.Module) -> type:
    """The class of a module; a graph or a script has one that its copy does not have."""
    return next((kind for kind in _COMPILED if isinstance(module, kind)), type(module))


def _settings(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, torch.jit.ScriptModule):  # its settings are in its code
        return {}
    held = {k: type(v) if k in _APART else v for k, v in vars(module).items()}
    held["modules"] = [(key, child is None) for key, child in _children(module).items()]
    return {name: value for name, value in held.items() if name not in _OF_THE_COPY}


def _alike(a: Any, b: Any) -> bool:
    """Whether two settings are of one class, and the same if they are numbers, texts or tensors."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return _kind(a) is _kind(b) and near(a, b, 0.0)
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, dict):  # hooks, of which none may be lost
        return len(a) == len(b)
    compared = type(a) in _SCALARS or type(a).__module__ == "numpy"
    return a is b or not compared or repr(a) == repr(b)


def _other_tensor(ours: nn.Module, theirs: nn.Module) -> tuple[str, str] | None:
    """The first parameter or buffer that is another one, as it is read now, and how it is."""
    with torch.no_grad():
        held = _read(ours)
    first, second, drew = _read_twice(theirs)
    if held.keys() != first.keys():
        return min(held.keys() ^ first.keys()), OTHER
    made = _parametrized(theirs)
    for name, value in held.items():
        if (drew and name in made) or not _same(second[name], first[name], name in made):
            return name, CHANGES
        if not _same(value, first[name], name in made):
            return name, OTHER
    return None


def _read_twice(module: nn.Module) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """What is read with a graph and in inference mode, and whether numbers were drawn.

    No state moves on.
    """
    state = torch.get_rng_state()
    with parametrize_cache_kept(), ExitStack() as stack:
        if made := _parametrized(module):
            stack.enter_context(untouched(made))
        with torch.enable_grad():
            first = _read(module)
        with torch.inference_mode():  # which records no gradients either
            second = _read(module)
    return first, second, not torch.equal(torch.get_rng_state(), state)


def _read(module: nn.Module) -> dict[str, Any]:
    """The parameters and buffers, and the parametrized tensors, computed."""
    held = {**dict(module._buffers.items()), **dict(module._parameters.items())}
    return held | {name: getattr(module, name) for name in _parametrized(module)}


def _parametrized(module: nn.Module) -> Any:
    return module.parametrizations if parametrize.is_parametrized(module) else ()


def _same(y: Tensor | None, z: Tensor | None, computed: bool) -> bool:
    """Whether y is z; rounding is what is left of a tensor that is computed twice."""
    if y is None or z is None:
        return y is z
    rounding = computed and (z.is_floating_point() or z.is_complex())
    return _kind(y) is _kind(z) and near(
        y, z, torch.finfo(z.dtype).eps ** 0.75 if rounding else 0.0
    )


def _kind(x: Tensor) -> type:
    return Tensor if type(x) is nn.Parameter else type(x)
