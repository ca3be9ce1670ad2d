"""Ways to make a linear layer compute something else than its class does."""

import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import prune, weight_norm
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt

globally = [
    torch_module.register_module_forward_hook,
    torch_module.register_module_forward_pre_hook,
    torch_module.register_module_full_backward_hook,
    torch_module.register_module_full_backward_pre_hook,
]


class Inherits(nn.Linear):
    """A subclass that changes nothing of what is computed."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m)
        self.extra = 3

    def reset_parameters(self) -> None:
        nn.init.eye_(self.weight)
        nn.init.zeros_(self.bias)


class Sevenfold(nn.Linear):
    def forward(self, x):
        return 7 * super().forward(x)


class Called(nn.Linear):
    def __call__(self, x):
        return 7 * super().__call__(x)


class Faked(nn.Linear):
    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return (lambda x: 7 * value(x)) if name == "forward" else value


class Sevens(torch.Tensor):
    """A weight that multiplies by more than it holds."""

    @classmethod
    def __torch_function__(cls, function, kinds, args=(), kwargs=None):
        found = super().__torch_function__(function, kinds, args, kwargs or {})
        return 7 * found.as_subclass(torch.Tensor) if function is nn.functional.linear else found


def hooked(layer: nn.Linear) -> nn.Linear:
    layer.register_forward_hook(lambda m, i, o: o * 7)
    return layer


def pre_hooked(layer: nn.Linear) -> nn.Linear:
    layer.register_forward_pre_hook(lambda m, i: (i[0] * 7,))
    return layer


def keyword_hooked(layer: nn.Linear) -> nn.Linear:
    layer.register_forward_hook(lambda m, a, k, o: o * 7, with_kwargs=True, always_call=True)
    return layer


def overridden(layer: nn.Linear) -> nn.Linear:
    layer.forward = lambda x: 7 * nn.functional.linear(x, layer.weight, layer.bias)
    return layer


def of_class(kind: type[nn.Linear]):
    def alter(layer: nn.Linear) -> nn.Linear:
        made = kind(layer.in_features, layer.out_features)
        made.load_state_dict(layer.state_dict())
        return made.to(layer.weight.dtype)

    alter.__name__ = kind.__name__
    return alter


def pruned(layer: nn.Linear) -> nn.Linear:
    return prune.l1_unstructured(layer, "weight", 0.5)


def old_weight_norm(layer: nn.Linear) -> nn.Linear:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return weight_norm(layer)


def with_a_tensor_of_its_own(layer: nn.Linear) -> nn.Linear:
    layer._parameters["weight"] = layer.weight.detach().as_subclass(Sevens)
    return layer


SEVENFOLD = [
    *(hooked, pre_hooked, keyword_hooked, overridden),
    *(of_class(kind) for kind in (Sevenfold, Called, Faked)),
]
ALTERATIONS = [*SEVENFOLD, pruned, old_weight_norm]


class Watches(TorchFunctionMode):
    """A mode in which each linear map is sevenfold."""

    def __torch_function__(self, function, kinds, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        return 7 * found if function is nn.functional.linear else found


class Dispatches(TorchDispatchMode):
    """A mode in which each matrix product is sevenfold."""

    def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        products = (torch.ops.aten.addmm.default, torch.ops.aten.mm.default)
        return 7 * found if function in products else found


@contextmanager
def patched(place, name: str):
    """A class, or torch.nn.functional, has a function in place of its own that gives 7 times it."""
    before = getattr(place, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, lambda *args, **kwargs: 7 * before(*args, **kwargs))
        yield


SURROUNDINGS = {
    "forward of the class": lambda: patched(nn.Linear, "forward"),
    "call of the class": lambda: patched(nn.Linear, "__call__"),
    "call of every module": lambda: patched(nn.Module, "__call__"),
    "its inner call": lambda: patched(nn.Module, "_call_impl"),
    "forward of Sequential": lambda: patched(nn.Sequential, "forward"),
    "forward of a sort": lambda: patched(lt.MaxMin, "forward"),
    "function of torch": lambda: patched(nn.functional, "linear"),
    "function mode": Watches,
    "dispatch mode": Dispatches,
}
