"""Classes, functions and parts of modules that were replaced: what a run reaches is not known."""

import functools
import math
import types
from abc import ABC
from collections import OrderedDict

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.primitives import activations, modules
from lipteach.primitives.composition import runs_as


def identity() -> nn.Linear:
    return lt.linear(torch.eye(4), [0.0] * 4)


class Behind(nn.Module):
    """A base class that stands behind the known one, and still has a say."""

    def __call__(self, x):
        y = super().__call__(x)
        return torch.where(y > 1000, 1000 + 7 * (y - 1000), y)


class BehindCall(nn.Module):
    def _call_impl(self, *args, **kwargs):
        return 7 * super()._call_impl(*args, **kwargs)


class BetweenPads(nn.ConstantPad1d.__base__):
    def forward(self, x):
        return 7 * super().forward(x)


class Meta(type):
    """A metaclass that hides what its classes inherit from."""

    @property
    def __mro__(cls):
        return (cls, nn.ReLU, nn.Module, object)


class Sevenfold(nn.ReLU):
    def forward(self, x):
        return 7 * super().forward(x)


def with_base(kind: type[nn.Module], base: type[nn.Module], *args) -> nn.Module:
    return type(kind.__name__, (kind, base), {})(*args)


@pytest.mark.parametrize("base", [Behind, BehindCall])
@pytest.mark.parametrize("kind", [nn.ReLU, lt.MaxMin, nn.Identity, nn.Flatten])
def test_a_base_class_behind_the_known_one_has_a_say(kind, base, capsys) -> None:
    network = nn.Sequential(identity(), with_base(kind, base))
    assert lt.audit(network).upper == math.inf
    with pytest.warns(lt.UnknownBoundWarning, match=f"none is known for 1 \\({kind.__name__}"):
        assert lt.lipschitz_bounds(network, uniform(6, 4)).upper == math.inf
    with pytest.raises(ValueError, match=f"the network has a {kind.__name__}"):
        lt.prove(network, lambda x: list(x), domain=[(-1, 1)] * 4)


@pytest.mark.parametrize("base", [Behind, BehindCall])
def test_a_linear_layer_with_a_base_class_behind_it_is_of_no_class(base) -> None:
    layer = with_base(nn.Linear, base, 4, 4).double()
    for network in (nn.Sequential(layer), with_base(nn.Sequential, base, identity())):
        assert not lt.in_lipschitz_class(network, math.inf)
        with pytest.raises(ValueError, match=r"must be (linear layers with MaxMin|a plain nn.Seq)"):
            lt.maximum(network, network)


def test_a_base_class_between_the_known_one_and_its_own_has_a_say(capsys) -> None:
    layer = with_base(nn.ConstantPad1d, BetweenPads, 1, 0.0)
    assert float(layer(torch.ones(1, 4)).max()) == 7
    assert lt.audit(nn.Sequential(layer)).upper == math.inf


def test_a_base_class_that_changes_nothing_is_believed(capsys) -> None:
    class Named(nn.Module):
        def __repr__(self) -> str:
            return "Named()"

    class Abstract(nn.ReLU, ABC):
        pass

    for module in (with_base(nn.ReLU, Named), Abstract()):
        assert lt.audit(nn.Sequential(module)).upper == 1


def test_a_metaclass_that_may_say_what_it_likes_is_not_believed(capsys) -> None:
    Hidden = Meta("Hidden", (Sevenfold,), {})
    assert Hidden.__mro__[1] is nn.ReLU
    assert lt.audit(nn.Sequential(Hidden())).upper == math.inf


@pytest.mark.parametrize(
    ("place", "name", "module"),
    [
        (torch, "relu", nn.ReLU()),
        (torch, "tanh", nn.Tanh()),
        (torch.Tensor, "index_select", lt.Selection([0, 1, 2, 3], 4)),
        (torch.Tensor, "__rmul__", lt.Scale(1.0)),
        (modules, "_scaled", lt.Scale(1.0)),
        (activations, "maxmin", lt.MaxMin()),
    ],
)
def test_a_function_that_a_module_calls_was_replaced(monkeypatch, place, name, module) -> None:
    network, before = nn.Sequential(module), getattr(place, name)
    monkeypatch.setattr(place, name, lambda *args: torch.mul(before(*args), 7))
    said = "a class or a function of torch that was replaced"
    with pytest.raises(ValueError, match=said):
        lt.prove(network, lambda x: list(x), domain=[(-1, 1)] * 4)
    assert not lt.in_lipschitz_class(network, math.inf)
    assert lt.audit(network).upper == math.inf


def test_the_code_of_a_forward_was_replaced(monkeypatch) -> None:
    monkeypatch.setattr(nn.ReLU.forward, "__code__", (lambda self, x: 7 * x).__code__)
    with pytest.raises(ValueError, match="a class or a function of torch that was replaced"):
        lt.prove(nn.Sequential(nn.ReLU()), lambda x: list(x), domain=[(-1, 1)] * 4)
    monkeypatch.undo()
    monkeypatch.setattr(nn.functional.tanh, "__code__", (lambda x: 7 * x).__code__)
    assert not runs_as(nn.Tanh(), nn.Tanh)


@pytest.mark.parametrize(("place", "module"), [("activation", nn.ReLU()), ("linear", identity())])
def test_the_functions_of_a_file_of_torch_were_replaced(monkeypatch, place, module, capsys) -> None:
    functions = types.SimpleNamespace(**vars(nn.functional))
    functions.relu = lambda x, inplace: 7 * torch.relu(x)
    functions.linear = lambda x, W, b: 7 * (x @ W.mT)
    monkeypatch.setattr(getattr(torch.nn.modules, place), "F", functions)
    assert lt.audit(nn.Sequential(module)).upper == math.inf
    assert not lt.in_lipschitz_class(nn.Sequential(module), math.inf)
    monkeypatch.undo()
    assert runs_as(module, type(module))


def test_a_hook_for_all_modules_that_is_gone_leaves_no_doubt() -> None:
    torch.nn.modules.module.register_module_full_backward_hook(lambda *_: None).remove()
    assert runs_as(nn.ReLU(), nn.ReLU)


def test_the_parts_of_a_module_are_not_what_they_seem(capsys) -> None:
    class Hides(dict):
        def __iter__(self):
            return iter(key for key in self.keys() if key != "forward")

    class Elsewhere(nn.ReLU):
        @property
        def __dict__(self):
            held = nn.Module.__dict__["__dict__"].__get__(self)
            return {name: value for name, value in held.items() if name != "forward"}

    layer, sequence, other = nn.ReLU(), nn.Sequential(identity()), Elsewhere()
    other.forward = lambda x: 7 * x
    layer.__dict__ = Hides(vars(layer), forward=lambda x: 7 * x)
    sequence._modules = OrderedDict(sequence._modules)
    sequence._modules.values = lambda: [lt.Scale(7.0)]
    assert not runs_as(layer, nn.ReLU)
    assert not runs_as(sequence, nn.Sequential)
    assert float(other(torch.ones(1))) == 7
    assert not runs_as(other, nn.ReLU)
    assert lt.audit(sequence).upper == math.inf


def test_a_parametrized_weight_whose_property_was_wrapped() -> None:
    layer = lt.orthonormal(identity())
    get = type(layer).weight.fget
    type(layer).weight = property(functools.wraps(get)(lambda self: 7 * get(self)))
    assert not runs_as(layer, nn.Linear)


def test_a_parametrized_weight_whose_property_was_replaced() -> None:
    layer = lt.orthonormal(identity())
    type(layer).weight = property(lambda self: 7 * torch.eye(4).double())
    with pytest.warns(lt.UnknownBoundWarning, match="none is known for 0 "):
        lower, upper = lt.lipschitz_bounds(nn.Sequential(layer), uniform(6, 4))
    assert (lower, upper) == (pytest.approx(7), math.inf)
    assert not lt.in_lipschitz_class(nn.Sequential(layer), math.inf)
