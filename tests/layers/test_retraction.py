"""Retraction: back on the orthonormal matrices after a step, in place."""

import math

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt

METHODS = ("polar", "qr")


def model() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(8, 12), lt.MaxMin(), nn.Linear(12, 12), nn.Linear(12, 3)).double()
    for i, p in enumerate(net.parameters()):
        p.data = uniform(*p.shape, seed=i)
    return net


def worst(net: nn.Module) -> float:
    """The largest distance of a singular value from 1."""
    sigma = [torch.linalg.svdvals(p.detach()) for p in net.parameters() if p.ndim == 2]
    return float(torch.cat(sigma).sub(1).abs().max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tol", [1e-3, 1e-6])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.1, 10.0])
def test_every_singular_value_is_near_one(method: str, tol: float, noise: float) -> None:
    net = lt.retract_(model(), tol=1e-9)
    for i, p in enumerate(net.parameters()):
        p.data += noise * uniform(*p.shape, seed=30 + i)
    assert lt.retract_(net, method=method, tol=tol) is net
    assert worst(net) <= tol


def test_polar_is_the_nearest_and_qr_that_of_householder() -> None:
    W = model()[0].weight.detach().clone()
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    polar = lt.retract_(model(), tol=1e-10)[0].weight
    assert torch.allclose(polar, U @ Vh, atol=1e-9)
    Q, R = torch.linalg.qr(W)
    qr = lt.retract_(model(), method="qr")[0].weight
    assert torch.allclose(qr, Q * R.diagonal().sign(), atol=1e-9)


def test_more_steps_come_nearer() -> None:
    errors = []
    for steps in (1, 2, 3):
        net = lt.retract_(model(), tol=1e-9)
        net[0].weight.data += 0.02 * uniform(12, 8, seed=9)
        errors.append(worst(lt.retract_(net, steps=steps, tol=1e-2)))
    assert errors[0] > errors[1] > errors[2] or errors[1] < 1e-12


@pytest.mark.parametrize("shape", [(200, 170), (160, 180), (5, 4)])
def test_the_first_step_is_what_the_tolerance_asks_and_each_further_one_bjorcks(shape) -> None:
    """From 160 columns on the polar factor is not exact, so that one step too many would show."""
    Q = torch.linalg.qr(uniform(max(shape), min(shape), seed=7))[0]
    W = (Q if shape[0] > shape[1] else Q.T) + 3e-3 * uniform(*shape, seed=8)
    want, tol = None, 1e-2
    for steps in (1, 2, 3):
        want = lt.polar(W, tol * (2 - tol)) if want is None else lt.bjorck(want, steps=1)
        layer = nn.Linear(*shape[::-1]).double()
        layer.weight.data = W.clone()
        assert torch.equal(lt.retract_(layer, steps=steps, tol=tol).weight, want)
        assert steps > 2 or min(shape) < 160 or worst(layer) > 1e-14


def test_a_tolerance_that_the_dtype_holds_is_not_warned_of() -> None:
    """|σ² − 1| may be twice |σ − 1|: in float32, 200 columns hold the first to 1.7e-6."""
    layer = nn.Linear(200, 200)
    layer.weight.data = torch.linalg.qr(uniform(200, 200))[0].float()
    assert worst(lt.retract_(layer, tol=1e-6).double()) <= 1e-6


def test_qr_of_ill_conditioned_weights_falls_back() -> None:
    """Cholesky loses the orthogonality at condition numbers from 10³ on, and fails at 10⁵."""
    for smallest in (1e-2, 1e-3, 5e-4, 2e-4, 1e-5):
        net = nn.Sequential(nn.Linear(40, 60))
        U, _, Vh = torch.linalg.svd(uniform(60, 40), full_matrices=False)
        sigma = torch.logspace(0, math.log10(smallest), 40, dtype=torch.float64)
        W = (U * sigma @ Vh).float()
        net[0].weight.data = W.clone()
        lt.retract_(net, method="qr")
        assert worst(net) <= 1e-3
        R = net[0].weight.detach().T @ W
        assert R.tril(-1).abs().max() < 1e-3
        assert (R.diagonal() > 0).all()


@pytest.mark.parametrize("tol", [1e-3, 1e-4, 1e-5])
def test_qr_keeps_the_tolerance_where_cholesky_just_fails_it(tol: float) -> None:
    """In float32 Cholesky leaves about 1e-7 κ²; here it passes the tolerance on the way."""
    for log in torch.linspace(-3.5, 0, 15).tolist():
        layer = nn.Linear(40, 60)
        U, _, Vh = torch.linalg.svd(uniform(60, 40), full_matrices=False)
        layer.weight.data = (U * torch.logspace(0, log, 40, dtype=torch.float64) @ Vh).float()
        assert worst(lt.retract_(layer, method="qr", tol=tol).double()) <= tol


def test_in_place_with_optimizer_state_and_everything_else_kept() -> None:
    net = model()
    net.append(lt.orthonormal(nn.Linear(3, 3).double()))
    net.append(nn.BatchNorm1d(3).double())
    tied = nn.Sequential(net, net[2])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    parameters = list(net.parameters())
    others = [p.detach().clone() for p in parameters[1:2] + parameters[6:]]
    x = uniform(16, 8, seed=50)
    for _ in range(5):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
        others = [p.detach().clone() for p in parameters[1:2] + parameters[6:]]
        lt.retract_(tied)
        assert worst(net[:4]) <= 1e-3
        for before, after in zip(others, parameters[1:2] + parameters[6:], strict=True):
            assert torch.equal(before, after)
    assert all(p is q for p, q in zip(parameters, net.parameters(), strict=True))
    assert all(p.grad is not None and p.requires_grad for p in parameters[:6])
    assert optimizer.state[parameters[0]]["step"] == 5


def test_convolutions_go_back_to_orthogonal_ones() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3, stride=2), nn.Conv2d(4, 4, 2, 2))
    lt.retract_(net, tol=1e-6)
    kept = [conv.weight.detach().clone() for conv in net]
    for method in METHODS:
        lt.retract_(net, method=method, tol=1e-6)
        for conv, K in zip(net, kept, strict=True):
            assert torch.allclose(conv.weight, K, atol=1e-5)
            low, high = lt.convolution_norm_bounds(conv.weight.detach(), conv.stride)
            assert 1 - 1e-5 < low <= high < 1 + 1e-5
    for conv in net:
        conv.weight.data += 1e-3 * uniform(*conv.weight.shape).float()
    for conv, K in zip(lt.retract_(net), kept, strict=True):
        assert (conv.weight - K).norm() < 0.2
        assert lt.convolution_norm_bounds(conv.weight.detach(), conv.stride)[1] < 1 + 2e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weight", [torch.ones(3, 3), uniform(6, 3) @ uniform(3, 5, seed=1)])
def test_rank_deficient_weights_are_said_with_the_layer(method: str, weight) -> None:
    """Also where rounding leaves no exact zero."""
    net = nn.Sequential(nn.Identity(), nn.Linear(*reversed(weight.shape)))
    net[1].weight.data = weight.clone().float()
    with pytest.warns(lt.RankWarning, match=r"^1: "):
        lt.retract_(net, method=method)
    assert worst(net) < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 1)])
@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "zero matrix"), (math.nan, "finite"), (math.inf, "finite")]
)
def test_a_weight_without_direction_is_refused(method: str, layer, value: float, text: str) -> None:
    layer.weight.data.fill_(value)
    with pytest.raises(ValueError, match=f"cannot be retracted: .*{text}"):
        lt.retract_(layer, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_is_computed_in_single(method: str) -> None:
    net = nn.Linear(6, 6).bfloat16()
    assert lt.retract_(net, method=method).weight.dtype == torch.bfloat16
    assert (torch.linalg.svdvals(net.weight.detach().float()) - 1).abs().max() < 0.02
