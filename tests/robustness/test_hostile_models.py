"""Models made to deceive: settings, tensors and functions that are not what they seem."""

import functools
import math
import types
from abc import ABC
from collections import OrderedDict

import numpy as np
import pytest
import torch
from alterations import Sevens
from support import normal, uniform
from torch import nn

import lipteach as lt
from lipteach.primitives import activations, modules
from lipteach.primitives.composition import runs_as


def identity() -> nn.Linear:
    return lt.linear(torch.eye(4), [0.0] * 4)


class Multiplies:
    """No tensor, yet the function that it is given to is sevenfold."""

    @classmethod
    def __torch_function__(cls, function, kinds, args=(), kwargs=None):
        plain = [None if isinstance(value, cls) else value for value in args]
        return 7 * function(*plain, **(kwargs or {}))

    def __deepcopy__(self, memo):
        return self


class Small(float):
    """A number that says that its absolute value is 0."""

    def __abs__(self) -> float:
        return 0.0


class SmallToNumPy(np.float32):
    """The same as a number of NumPy."""

    def __abs__(self) -> float:
        return 0.0


class Windows(tuple):
    """Numbers that are others one by one."""

    def __iter__(self):
        return iter((2, 2))


class Twofaced(str):
    """A text that is equal to every other."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


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


class ByMode(nn.Linear):
    """A weight that is sevenfold where gradients are recorded."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.in_features = self.out_features = 4
        self.held = nn.Parameter(torch.eye(4).double())
        self.register_parameter("bias", None)

    @property
    def weight(self):
        return 7 * self.held if torch.is_grad_enabled() else self.held


def a_plain_weight_of_another_class() -> nn.Linear:
    layer = identity()
    weight = layer.weight.data
    del layer.weight
    layer.weight = weight.as_subclass(Sevens)
    return layer


def a_bias_that_is_no_tensor() -> nn.Linear:
    layer = identity()
    del layer.bias
    layer.bias = Multiplies()
    return layer


def a_slope_that_seems_small() -> nn.LeakyReLU:
    layer = nn.LeakyReLU()
    layer.negative_slope = Small(7.0)
    return layer


@pytest.mark.parametrize("make", [a_bias_that_is_no_tensor, a_slope_that_seems_small, ByMode])
def test_a_setting_that_deceives_has_no_bound(make) -> None:
    with pytest.warns(lt.UnknownBoundWarning, match="none is known for 0 "):
        assert lt.lipschitz_bounds(nn.Sequential(make()), uniform(6, 4)).upper == math.inf


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (nn.LeakyReLU(), "negative_slope", SmallToNumPy(3.0)),
        (nn.Threshold(0, 0), "value", Small(50.0)),
        (nn.MaxPool2d(2), "stride", Windows((1, 1))),
        (nn.MaxPool2d(2), "stride", [1, Small(1)]),
        (nn.Conv2d(1, 1, 1), "padding_mode", Twofaced("circular")),
    ],
)
def test_no_setting_is_another_to_torch(module, name: str, value, capsys) -> None:
    setattr(module, name, value)
    assert lt.audit(nn.Sequential(module)).upper == math.inf
    assert not runs_as(module, type(module))


def test_settings_of_python_and_numpy_are_believed(capsys) -> None:
    for slope in (0.5, np.float32(0.5), np.float64(0.5), 1, True):
        assert lt.audit(nn.Sequential(nn.LeakyReLU(slope))).upper == 1
    for stride in (2, (2, 2), [2, 2], torch.Size([2, 2]), np.int64(2), None):
        assert lt.audit(nn.Sequential(nn.MaxPool2d(2, stride))).upper == 1


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
    "make", [a_plain_weight_of_another_class, a_bias_that_is_no_tensor, ByMode]
)
def test_a_weight_that_deceives_is_of_no_class_and_in_no_proof(make) -> None:
    network = nn.Sequential(make())
    assert not lt.in_lipschitz_class(network, math.inf)
    with pytest.raises(ValueError, match="must be linear layers with MaxMin between"):
        lt.maximum(network, network)
    with pytest.raises(ValueError, match=r"tensors of another class|the network has a ByMode"):
        lt.prove(network, lambda x: list(x), domain=[(-1, 1)] * 4)


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


SORTED = uniform(5, 4).sort(0, descending=True).values


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (lt.FullSort(dim=0), SORTED),
        (lt.FullSort(dim=-2), SORTED),
        (lt.FullSort(dim=0), uniform(1, 4).expand(5, 4)),
        (lt.FullSort(dim=0), uniform(1, 1)),
        (nn.Softmax(0), uniform(1, 4)),
        (nn.Softmax2d(), uniform(1, 3, 3)),
        (nn.Sequential(nn.ReLU(), lt.FullSort(dim=0)), -uniform(5, 4).abs()),
        (nn.Sequential(lt.Scale(1e-9), nn.ConstantPad1d(1, 1.0), lt.FullSort(0)), SORTED),
        (nn.Sequential(lt.linear(torch.eye(4), [1e8] * 4), lt.FullSort(dim=-2)), uniform(5, 4)),
        (nn.Sequential(lt.linear(torch.eye(4), [-30.0] * 4), nn.ReLU(), lt.FullSort(-2)), SORTED),
        (nn.Sequential(lt.Scale(1e-9), nn.ConstantPad1d(1, 1.0), nn.Softmin(-2)), SORTED),
        (nn.Sequential(lt.Scale(1e-9), nn.ConstantPad2d((0, 0, 1, -1), 1.0)), SORTED),
        (nn.Sequential(lt.Scale(0.0), nn.Unflatten(-2, (1, 1))), SORTED),
        (nn.Sequential(lt.Scale(0.0), nn.Flatten(-2), nn.Softmax(-1)), SORTED),
        (nn.Sequential(lt.Scale(0.0), nn.Conv2d(1, 1, 1)), uniform(1, 3, 3)),
        (nn.Sequential(lt.Scale(0.0), nn.Flatten(-3), lt.Maxout(2)), uniform(1, 2, 2)),
    ],
)
def test_samples_that_are_equal_sorted_or_alone_hide_no_mixing(model, x, capsys) -> None:
    with pytest.warns(lt.UnknownBoundWarning):
        assert lt.lipschitz_bounds(model, x).upper == math.inf
    assert lt.audit(model, x).upper == math.inf


def test_the_audit_without_samples_knows_no_sort_along_the_batch(capsys) -> None:
    assert lt.audit(nn.Sequential(lt.FullSort(dim=0))).upper == math.inf
    for dim in (1, -1):
        assert lt.audit(nn.Sequential(lt.FullSort(dim=dim))).upper == 1
    for unsure in (lt.FullSort(dim=-2), nn.Softmax(-3), nn.Flatten(0), nn.Softmax(None)):
        assert lt.audit(nn.Sequential(unsure)).upper == math.inf
    images = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(2), nn.Softmax2d(), nn.Flatten())
    assert lt.audit(images).upper == 1


def test_a_sort_counted_from_the_end_is_known_where_it_is_within_a_sample(capsys) -> None:
    model, x = nn.Sequential(lt.FullSort(dim=-2), nn.Flatten(-2)), uniform(3, 4, 2)
    assert lt.lipschitz_bounds(model, x) == (pytest.approx(1), 1)
    assert lt.audit(model, x).upper == 1


def test_the_padding_that_runs_is_the_padding_that_is_asked(capsys) -> None:
    conv = nn.Conv2d(1, 1, 3, padding=40, padding_mode="circular", bias=False)
    conv.padding = (1, 1)
    for constrain in (lt.orthonormal, lt.spectral):
        with pytest.raises(ValueError, match="padding of the convolution must be the one that it"):
            constrain(conv)
    assert lt.audit(conv).upper == math.inf


def test_a_selection_adds_no_bias() -> None:
    layer = lt.Selection([1, 0], 2)
    layer.bias = nn.Parameter(torch.ones(2).double())
    f = nn.Sequential(layer, nn.Identity(), lt.linear([[0.6, 0.8]]))
    x = normal(5, 2)
    W, b = lt.collapse_affine(f, x)
    assert torch.allclose(x @ W.mT + b, f(x))


class Flip(nn.Module):
    def forward(self, z):
        return z.flip(-1)


def test_one_point_shows_that_an_activation_is_not_element_wise() -> None:
    f = nn.Sequential(lt.linear(torch.eye(2)), Flip(), lt.linear([[0.6, 0.8]]))
    for x in (uniform(1, 2), uniform(1, 2).expand(3, 2)):
        with pytest.raises(lt.HypothesisError, match="Activation 1 is not element-wise"):
            lt.collapse_affine(f, x)
