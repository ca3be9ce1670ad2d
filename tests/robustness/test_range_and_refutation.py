"""Bounds beyond the range of floats, bounds that are refuted, and models that are no functions."""

import math

import pytest
import torch
from support import uniform
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.layers import jacobian_norms, layer_norms
from lipteach.layers.magnitudes import Magnitude, lower_bound

NORMS = (1, 2, math.inf)
SINGLE = torch.tensor([[1.0], [2.0]], dtype=torch.float64)


def chain(*weights: float) -> nn.Sequential:
    return nn.Sequential(*(lt.linear([[w]]) for w in weights))


def scales(*factors: float) -> nn.Sequential:
    return nn.Sequential(*map(lt.Scale, factors))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("make", [chain, scales])
@pytest.mark.parametrize(
    ("weights", "constant"),
    [
        ((1e-200, 1e-200, 1e300, 1e100), 1.0),
        ((1e-200, 1e-120, 1e300, 1e20), 1.0),
        ((1e160, 1e160, 0.0), 0.0),
        ((0.0, 1e300, 1e300), 0.0),
        ((1e308, 10.0, 1e-300), 1e9),
        ((1e160, 1e160), math.inf),
        ((0.1,), 0.1),
    ],
)
def test_products_neither_overflow_nor_vanish(make, weights, constant: float, p: float) -> None:
    network = make(*weights)
    lower, upper = lt.lipschitz_bounds(network, SINGLE, p)
    assert upper == pytest.approx(constant, rel=1e-12)
    assert 0 <= lower <= upper
    found = lt.audit(network, SINGLE)
    assert found.upper == pytest.approx(constant, rel=1e-12)
    assert found.lower <= found.upper


@pytest.mark.parametrize("weights", [(1e-160, 1e-160), (1e-200, 1e-200), (5e-324,), (5e-324, 0.5)])
def test_what_is_below_the_range_is_rounded_up(weights) -> None:
    product = math.prod(weights)
    for network in (chain(*weights), scales(*weights)):
        upper = lt.lipschitz_bounds(network, SINGLE).upper
        assert upper > 0
        assert product <= upper <= product + 1e-323
        assert lt.audit(network).upper > 0


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_the_norm_of_a_layer_scales_with_its_weight(p: float, size: float) -> None:
    """Of Linear layers, and of convolutions by their matrix, by a grid and by row sums."""
    grouped = nn.Conv2d(2, 4, 3, groups=2, bias=False)
    for layer, shape in (
        (nn.Linear(5, 3, bias=False), (5,)),
        (nn.Conv2d(2, 3, 3, bias=False), (2, 5, 5)),
        (nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.AdaptiveAvgPool2d(1)), (2, 40, 40)),
        (nn.Sequential(grouped, nn.AdaptiveAvgPool2d(1)), (2, 40, 40)),
    ):
        layer, x = layer.double(), uniform(1, *shape)
        (weight,) = layer.parameters()
        weight.data = uniform(*weight.shape)
        one = lt.lipschitz_bounds(layer, x, p)
        weight.data *= size
        scaled = lt.lipschitz_bounds(layer, x, p)
        assert scaled.upper == pytest.approx(one.upper * size, rel=1e-9)
        assert scaled.lower == pytest.approx(one.lower * size, rel=1e-9)
        weight.data *= 2.0**-1000 if size > 1 else 2.0**500
        back = nn.Sequential(layer, lt.Scale(2.0**1000 if size > 1 else 2.0**-500))
        assert lt.lipschitz_bounds(back, x, p).upper == pytest.approx(scaled.upper, rel=1e-9)


def test_row_sums_beyond_the_range_are_infinite() -> None:
    layer = lt.linear(torch.full((3, 3), 1e308, dtype=torch.float64))
    for p in NORMS:
        lower, upper = lt.lipschitz_bounds(layer, uniform(2, 3), p)
        assert upper == math.inf
        assert lower < math.inf
        small = nn.Sequential(layer, lt.Scale(1e-300))
        assert lt.lipschitz_bounds(small, uniform(2, 3), p).upper == pytest.approx(3e8)


def test_a_refuted_bound_is_an_error(monkeypatch, capsys) -> None:
    """The norms are made too small; a class that is patched unseen would have the same effect."""
    monkeypatch.setattr(layer_norms, "in_units", lambda W: (W / 7, 0))
    network, x = nn.Sequential(lt.linear(torch.eye(4).double()), nn.ReLU()), uniform(3, 4)
    refuted = r"upper bound 0\.1428571429 is refuted: the Jacobian has norm 1 at a sample"
    for p in NORMS:
        with pytest.raises(RuntimeError, match=refuted):
            lt.lipschitz_bounds(network, x, p)
    with pytest.raises(RuntimeError, match=refuted):
        lt.audit(network, x)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "model",
    [
        nn.Softmax(0),
        lt.FullSort(dim=0),
        nn.Sequential(nn.Linear(4, 4).double(), nn.Flatten(0), nn.Softmax(0)),
        nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 2)), nn.Linear(2, 2)),
    ],
)
def test_a_model_that_mixes_its_samples_has_no_bound(model: nn.Module, capsys) -> None:
    x = uniform(5, 4)
    with pytest.warns(lt.UnknownBoundWarning, match="which mixes the samples of a batch"):
        assert lt.lipschitz_bounds(model, x).upper == math.inf
    assert lt.audit(model, x).upper == math.inf


def test_shapes_that_keep_the_samples_apart_have_one() -> None:
    for module in (nn.Flatten(0), nn.Flatten(2), nn.Softmax(-1), nn.PixelShuffle(1)):
        assert lt.lipschitz_bounds(nn.Sequential(module), uniform(3, 2, 2, 2)).upper == 1


class Draws(nn.Module):
    def forward(self, x):
        return x * torch.rand((), dtype=x.dtype)


@pytest.mark.parametrize("inside", [False, True])
def test_of_a_model_that_draws_numbers_nothing_is_claimed(inside: bool, capsys) -> None:
    layer = lt.orthonormal(nn.Linear(4, 4))
    if inside:
        parametrize.register_parametrization(layer, "weight", Draws())
    model, before = nn.Sequential(layer, nn.ReLU() if inside else Draws()), torch.get_rng_state()
    for x in (uniform(3, 4), 0 * uniform(1, 4)):
        with pytest.warns(lt.UnknownBoundWarning, match="none is known for "):
            assert lt.lipschitz_bounds(model, x) == (0, math.inf)
        assert lt.audit(model, x).upper == math.inf
    assert torch.equal(torch.get_rng_state(), before)
    assert parametrize.is_parametrized(layer)


def test_a_tight_bound_ends_the_search_and_a_large_jacobian_is_not_formed(monkeypatch) -> None:
    formed, original = [], jacobian_norms.jacobians

    def counted(model, x):
        formed.append(len(x))
        return original(model, x)

    monkeypatch.setattr(jacobian_norms, "jacobians", counted)
    shuffle, x = nn.Sequential(nn.PixelShuffle(3)), uniform(250, 18, 6, 6)
    for p in NORMS:
        assert lt.lipschitz_bounds(shuffle, x, p) == (pytest.approx(1), 1)
    assert formed == []
    small = nn.Sequential(nn.Linear(5, 3).double())
    lt.lipschitz_bounds(small, uniform(250, 5))
    assert formed == [1]


@pytest.mark.parametrize("p", NORMS)
def test_large_jacobians_are_bounded_from_below(p: float) -> None:
    model = nn.Sequential(nn.Linear(70, 80), nn.Tanh(), nn.Linear(80, 66))
    model = model.double().requires_grad_(False)
    for i, parameter in enumerate(model.parameters()):
        parameter.data = uniform(*parameter.shape, seed=i) / 8
    x = uniform(5, 70)
    lower, upper = lt.lipschitz_bounds(model, x, p)
    J = torch.func.vmap(torch.func.jacrev(model))(x)
    most = float(torch.linalg.matrix_norm(J, p).max())
    assert 0.9 * most <= lower <= upper
    if p == 2:
        assert lt.audit(model, x).lower == pytest.approx(most)


def test_rounding_is_cut_and_more_than_rounding_is_an_error() -> None:
    one = Magnitude.of(1.0)
    assert lower_bound(1 + 1e-12, one) == 1
    with pytest.raises(RuntimeError, match=r"upper bound 1 is refuted: .* 1\.00001 at"):
        lower_bound(1 + 1e-5, one)
