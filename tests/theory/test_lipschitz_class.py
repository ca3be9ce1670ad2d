"""The membership test of Theorem 3's class, against dual norms by hand."""

import math

import pytest
import torch
from lattice_support import largest_gradient, random_network
from support import uniform
from torch import nn

import lipteach as lt


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_members_are_lipschitz(p: float) -> None:
    f = random_network([3, 6, 4, 1], p)
    assert lt.in_lipschitz_class(f, p)
    assert largest_gradient(f, uniform(500, 3, low=-2, high=2), p) <= 1 + 1e-12


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_one_layer_too_large(layer: int) -> None:
    f = random_network([3, 6, 4, 1], 2)
    f[layer].weight.data *= 1 + 1e-9
    assert not lt.in_lipschitz_class(f, 2)
    assert lt.in_lipschitz_class(f, 2, tol=1e-8)


def test_the_first_layer_is_measured_in_the_mixed_norm() -> None:
    f = nn.Sequential(lt.linear([[0.6, 0.8], [0.8, 0.6]]))
    assert [lt.in_lipschitz_class(f, p) for p in (1, 2, 3, math.inf)] == [True, True, False, False]
    later = nn.Sequential(lt.linear(torch.eye(2)), *f)
    assert not lt.in_lipschitz_class(later, 2)  # there the row sums count


def test_what_is_no_member() -> None:
    eye = lt.linear(torch.eye(2))
    assert lt.in_lipschitz_class(nn.Sequential(eye, lt.GroupSort(2), eye), 2)
    others = [nn.ReLU(), lt.GroupSort(1), lt.GroupSort(2, dim=0), lt.MaxMin(dim=0), lt.FullSort()]
    for other in (*others, nn.Conv2d(1, 1, 1)):
        assert not lt.in_lipschitz_class(nn.Sequential(eye, other, eye), 2)
    assert not lt.in_lipschitz_class(nn.Sequential(), 2)
    assert not lt.in_lipschitz_class(nn.Sequential(lt.MaxMin(), eye), 2)
    spoilt = lt.linear(torch.eye(2))
    spoilt.weight.data[0, 0] = math.nan
    assert not lt.in_lipschitz_class(nn.Sequential(spoilt), 2)


def test_sizes_are_counted_by_hand() -> None:
    f = nn.Sequential(lt.linear([[1.0, 0.0], [2.0, 3.0]], [0.0, 1.0]), lt.MaxMin())
    assert lt.network_size(f) == (2, 1, 4)
    nested = nn.Sequential(f, nn.Sequential(lt.Selection([1, 1, 0, 0], 2), lt.MaxMin()))
    assert lt.network_size(nested) == (2, 2, 8)


@pytest.mark.parametrize("p", [1, 1.001, 2, 3, math.inf])
@pytest.mark.parametrize("layer", [0, 2])
def test_norms_that_overflow_or_vanish_make_no_member_false(p: float, layer: int) -> None:
    fifths = [lt.linear(torch.full(shape, 0.2)) for shape in ((4, 3), (1, 4))]
    f = nn.Sequential(fifths[0], lt.MaxMin(), fifths[1])
    f[layer].weight.data.fill_(1e-200)
    assert lt.in_lipschitz_class(f, p)
    for value in (1e160, 1e200, math.inf, -math.inf, math.nan):
        f[layer].weight.data.fill_(0.0)
        f[layer].weight.data[0, 0] = value
        assert not lt.in_lipschitz_class(f, p)
        assert not lt.in_lipschitz_class(f, p, tol=1e100)


def test_a_float32_norm_is_taken_in_float64() -> None:
    """Five times 0.2 is 1 in float32, and more in float64."""
    row = torch.full((1, 5), 0.2)
    excess = float(row.double().sum()) - 1
    f = nn.Sequential(nn.Linear(5, 1, bias=False))
    f[0].weight.data = row
    assert float(row.sum()) == 1
    assert excess > 1e-9
    assert not lt.in_lipschitz_class(f, math.inf)
    assert lt.in_lipschitz_class(f, math.inf, tol=2 * excess)


def test_what_is_not_counted_is_refused() -> None:
    eye = lt.linear(torch.eye(2))
    with pytest.raises(ValueError, match="its weights in linear layers; it has a PReLU"):
        lt.network_size(nn.Sequential(eye, nn.PReLU()))
    with pytest.raises(ValueError, match="it has a DataParallel"):
        lt.network_size(nn.Sequential(eye, nn.DataParallel(eye)))
    hooked = nn.Sequential(eye, lt.MaxMin())
    hooked[1].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="its MaxMin has hooks"):
        lt.network_size(hooked)


def test_a_bias_that_is_no_number_is_in_no_class() -> None:
    layer = lt.linear([[1.0]], [0.0])
    assert lt.in_lipschitz_class(nn.Sequential(layer), 2)
    layer.bias.data.fill_(math.nan)
    assert not lt.in_lipschitz_class(nn.Sequential(layer), 2)


def test_a_complex_weight_is_in_no_class() -> None:
    layer = nn.Linear(1, 1, bias=False, dtype=torch.complex128)
    layer.weight.data.fill_(0.6 + 0.9j)
    assert not lt.in_lipschitz_class(nn.Sequential(layer), math.inf)
