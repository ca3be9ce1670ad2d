"""All that is private to PyTorch, as it stands in versions 2.9 to 2.13.

Where a later version has moved it, the answer is the careful one: values and gradients stay right,
and what is lost is speed or the look for NaN.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

F = TypeVar("F", bound=Callable[..., Any])
BACKWARD_HOOKS = ("backward_hooks", "backward_pre_hooks")
HOOKS = ("forward_hooks", "forward_pre_hooks", *BACKWARD_HOOKS)


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


def modes_active() -> bool:
    """Whether a mode watches, and may change, each operation; that of a default device does not."""
    try:
        from torch.overrides import _get_current_function_mode_stack as functions
        from torch.utils._device import DeviceContext
        from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as dispatch
    except ImportError:
        return True
    active = [*functions(), *dispatch()]  # type: ignore[no-untyped-call]
    return any(type(mode) is not DeviceContext for mode in active)


def undisturbed(function: F) -> F:
    """Run a function without what surrounds a call and would change a value or a Jacobian of it.

    These are autocast, inference mode, hooks on the backward pass of every module and hooks on
    what is saved for it.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            for kind in ("cpu", "cuda", "mps"):
                if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            stack.enter_context(_without_backward_hooks())
            stack.enter_context(_without_saved_tensor_hooks())
            return function(*args, **kwargs)

    return run  # type: ignore[return-value]


@contextmanager
def _without_backward_hooks() -> Iterator[None]:
    everywhere = [
        getattr(torch.nn.modules.module, f"_global_{kind}", {}) for kind in BACKWARD_HOOKS
    ]
    kept = [dict(hooks) for hooks in everywhere]
    for hooks in everywhere:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, before in zip(everywhere, kept, strict=True):
            hooks.update(before)


@contextmanager
def _without_saved_tensor_hooks() -> Iterator[None]:
    stack: Any = getattr(torch._C, "_autograd", None)
    found = []
    try:
        while pair := stack._top_saved_tensors_default_hooks(True):
            found.append(pair)
            stack._pop_saved_tensors_default_hooks()
    except AttributeError:
        pass
    try:
        yield
    finally:
        for pair in reversed(found):
            stack._push_saved_tensors_default_hooks(*pair)


@contextmanager
def parametrize_cache_kept() -> Iterator[None]:
    """What ``parametrize.cached`` holds, as it was: what is read meanwhile is not added to it."""
    cache: Any = getattr(parametrize, "_cache", {})
    before = dict(cache)
    try:
        yield
    finally:
        cache.clear()
        cache.update(before)


def print_options() -> Any:
    """Copy the settings of torch.set_printoptions; None where they cannot be read."""
    return copy.copy(getattr(getattr(torch, "_tensor_str", None), "PRINT_OPTS", None))


def restore_print_options(options: Any) -> None:
    """Put back what `print_options` copied."""
    if options is not None:
        torch._tensor_str.PRINT_OPTS = options
