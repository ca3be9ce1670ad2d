"""Models made to deceive: settings, tensors and functions that are not what they seem."""

import math

import numpy as np
import pytest
import torch
from alterations import Sevens
from support import normal, uniform
from torch import nn

import lipteach as lt
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
