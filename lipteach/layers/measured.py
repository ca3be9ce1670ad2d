"""The copy of a model that is measured: plain, in float64, with the weights as they are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.layers.copies import CHANGES, differences, said_name
from lipteach.layers.export import plain_copy
from lipteach.primitives._torch_private import is_compiled, undisturbed


@undisturbed
@torch.no_grad()
def measured(model: nn.Module, training: bool = False) -> tuple[nn.Module, dict[str, str]]:
    """A plain copy in evaluation mode and float64, of which no module overwrites its input.

    With `training` its weights are those that training mode computes, and nothing is compared.

    Backward hooks are left out: they change no value, but would change what is called its Jacobian.
    A compiled call is not copied, but what had one is still seen to have it. A forward of its own
    may run weights that no copy has: where float64 does not fit them, it is run in their dtype.

    The modules that are not copied as they are come with it, by name, and what is said of them:
    what is measured there is not the model.
    """
    plain = plain_copy(model, training).eval().double()
    unlike = {} if training else _unlike(plain, model)
    dtypes = {p.dtype for p in model.parameters() if p.is_floating_point()} or {torch.float32}
    for parameter in plain.parameters():
        parameter.requires_grad_(False)
    originals = dict(model.named_modules(remove_duplicate=False))
    for name, module in plain.named_modules():
        if name in originals and is_compiled(originals[name]):
            module._compiled_call_impl = module._call_impl
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        if vars(module).get("inplace", False):
            module.inplace = False
            vars(module)["overwrote"] = True  # which matters where its input is used again
        if "forward" in vars(module):
            vars(module)["forward"] = functools.partial(_in_float64, module.forward, dtypes)
    return plain, unlike


def _unlike(plain: nn.Module, model: nn.Module) -> dict[str, str]:
    return {d.path: f"a {d.name} that {d.how}" for d in differences(plain, model)}


def why_none(model: nn.Module, plain: nn.Module, unlike: dict[str, str]) -> str:
    """Why a model has no bound at all, from what is `unlike` in its copy; "" if nothing is."""
    for name, said in unlike.items():
        if said.endswith(CHANGES):
            return f"{type(model).__name__}, which draws random numbers or has {said}"
        return f"{said_name(name, dict(plain.named_modules())[name])}, which has {said}"
    return ""


def _in_float64(forward: Callable[..., Any], dtypes: set[torch.dtype], x: Tensor) -> Any:
    """What a function gives for x, in float64, or in the one of the dtypes that fits it."""
    for dtype in (x.dtype, *dtypes):
        try:
            return forward(x.to(dtype)).to(x.dtype)
        except RuntimeError as error:
            refused = error
    raise refused
