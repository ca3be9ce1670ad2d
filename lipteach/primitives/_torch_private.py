"""All that is private to PyTorch, as it stands in versions 2.9 to 2.13.

Where a later version has moved it, the answer is the careful one: values and gradients stay right,
and what is lost is speed or the look for NaN.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])
HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")


def transforms_active() -> bool:
    """Whether a transform of torch.func is at work; True where it cannot be told."""
    try:
        return torch._C._are_functorch_transforms_active()
    except AttributeError:
        return True


def is_batched(x: Tensor) -> bool:
    """Whether x stands for many tensors, in torch.func or torch.autograd's own, older vmap."""
    try:
        active = torch._C._are_functorch_transforms_active()
        return active or torch._C._functorch.is_legacy_batchedtensor(x)
    except AttributeError:
        return True


def is_exporting() -> bool:
    """Whether torch.export is at work; torch.compiler.is_exporting takes torch.compile for it."""
    return getattr(getattr(torch, "compiler", None), "_is_exporting_flag", False)


def is_fake(x: Tensor) -> bool:
    """Whether x is a FakeTensor; False if not to be told."""
    kind = getattr(getattr(torch, "_subclasses", None), "FakeTensor", None)
    return kind is not None and isinstance(x, kind)


def assume_constant(function: F) -> F:
    """Do what torch.compiler.assume_constant_result does, without importing the compiler."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of the module runs a hook, its own or a global one; True if not to be told."""
    own = [vars(module).get(f"_{kind}") for kind in HOOKS]
    everywhere = [getattr(torch.nn.modules.module, f"_global_{kind}", None) for kind in HOOKS]
    return any(hooks is None or len(hooks) > 0 for hooks in (*own, *everywhere))


def is_compiled(module: nn.Module) -> bool:
    """Whether ``module.compile()`` has put another call in place of the module's own."""
    return vars(module).get("_compiled_call_impl") is not None


def print_options() -> Any:
    """Copy the settings of torch.set_printoptions; None where they cannot be read."""
    return copy.copy(getattr(getattr(torch, "_tensor_str", None), "PRINT_OPTS", None))


def restore_print_options(options: Any) -> None:
    """Put back what `print_options` copied."""
    if options is not None:
        torch._tensor_str.PRINT_OPTS = options
