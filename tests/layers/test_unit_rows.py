"""Rows of length 1, and what is certain of logits that are 1-Lipschitz one by one."""

import math

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.robustness.certified_norms import norms_along


def layer_of(m: int, n: int, scale: float = 1.0) -> nn.Linear:
    layer = nn.Linear(n, m).double()
    layer.weight.data.copy_(scale * uniform(m, n))
    return lt.unit_rows(layer)


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_each_row_has_length_one_and_its_direction(scale: float) -> None:
    layer, W = layer_of(5, 3, scale), uniform(5, 3)
    torch.testing.assert_close(layer.weight, W / W.norm(dim=1, keepdim=True))
    layer.weight = 2 * W.flip(0)
    torch.testing.assert_close(layer.weight, (W / W.norm(dim=1, keepdim=True)).flip(0))
    assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) > 1.1
    assert float(lt.mixed_norm(layer.weight.detach(), 2)) == pytest.approx(1)
    state = layer.state_dict()
    other = layer_of(5, 3)
    other.load_state_dict(state)
    assert torch.equal(other.weight, layer.weight)


def test_gradients_stay_tangent() -> None:
    W = uniform(4, 3).requires_grad_()
    make = layer_of(4, 3).parametrizations.weight[0]
    assert torch.autograd.gradcheck(make, W)
    assert torch.autograd.gradgradcheck(make, W)
    (gradient,) = torch.autograd.grad((make(W) * uniform(4, 3, seed=2)).sum(), W)
    torch.testing.assert_close((gradient * W).sum(1), torch.zeros(4).double())


def test_half_the_margin_is_certain_and_no_more() -> None:
    """Two opposite rows reach the bound: the margin moves by 2 per unit of length."""
    layer = lt.unit_rows(nn.Linear(2, 3, bias=False).double())
    layer.weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]).double()
    network, x = nn.Sequential(lt.orthonormal(nn.Linear(2, 2)).double(), layer), uniform(50, 2)
    radius = lt.certified_radius(network(x).detach(), 1.0, p=math.inf)
    ways = nn.functional.normalize(uniform(400, 2, seed=3), dim=1)
    before = network(x).argmax(1)
    with torch.no_grad():
        for way in ways:
            assert torch.equal(network(x + 0.999 * radius[:, None] * way).argmax(1), before)
    Z = torch.tensor([[0.8, -0.8, -2.0]]).double()
    assert float(lt.certified_radius(Z, 1.0, p=math.inf)) == pytest.approx(0.8)
    assert norms_along(network, x, 2)[math.inf] == pytest.approx(1, abs=1e-4)
    assert lt.lipschitz_bounds(network, x).upper == pytest.approx(math.sqrt(2), abs=1e-4)


def test_a_row_that_becomes_zero_is_said() -> None:
    layer = layer_of(3, 2)
    layer.parametrizations.weight.original.data[1] = 0.0
    with pytest.raises(ValueError, match="must have a direction"):
        layer(uniform(1, 2))
    plain = lt.export(layer_of(3, 2), uniform(4, 2))
    assert type(plain) is nn.Linear
    assert lt.unit_rows(nn.Linear(2, 3, device="meta")).weight.is_meta
