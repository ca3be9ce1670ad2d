"""Householder activations, centring, mixtures and bounded normalizations."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt

MODULES = {
    "Householder": (lambda: turned(lt.Householder(6)), (6,)),
    "Householder of channels": (lambda: turned(lt.Householder(4, dim=1)), (4, 3)),
    "Centering": (lambda: lt.Centering((1, 2)), (4, 3)),
    "ConvexCombination": (lambda: lt.ConvexCombination(lt.Abs(), share=0.3).double(), (5,)),
    "BoundedBatchNorm": (lambda: lt.BoundedBatchNorm(3).double().eval(), (3, 2)),
}
every = pytest.mark.parametrize("name", MODULES)


def turned(module: lt.Householder) -> lt.Householder:
    module = module.double().requires_grad_(False)
    module.angle.copy_(uniform(len(module.angle), low=-4.0, high=4.0, seed=5))
    return module


@given(st.floats(-10, 10), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_householder_reflects_what_lies_behind_its_line(theta: float, seed: int) -> None:
    z, angle = uniform(50, 2, seed=seed), torch.tensor([theta], dtype=torch.float64)
    v = torch.tensor([math.cos(theta), math.sin(theta)], dtype=torch.float64)
    H = torch.eye(2, dtype=torch.float64) - 2 * torch.outer(v, v)
    want = torch.where((z @ v >= 0)[:, None], z, z @ H)
    got = lt.householder(z, angle)
    torch.testing.assert_close(got, want)
    assert bool((got @ v >= -1e-12).all()), "all lie in front of it"
    J = torch.func.vmap(torch.func.jacrev(lambda t: lt.householder(t, angle)))(z)
    eye = torch.eye(2, dtype=torch.float64).expand(50, 2, 2)
    torch.testing.assert_close(J @ J.mT, eye)
    on_the_line = torch.func.jacrev(lambda t: lt.householder(t, angle))(torch.zeros(2).double())
    torch.testing.assert_close(on_the_line, eye[0])


def test_maxmin_and_the_absolute_value_are_householder_activations() -> None:
    x = uniform(40, 3, 8)
    torch.testing.assert_close(lt.Householder(8).double()(x), lt.maxmin(x))
    torch.testing.assert_close(
        lt.Householder(8, dim=-1)(x.float()).double(), lt.maxmin(x), atol=1e-6, rtol=1e-6
    )
    turned_round = torch.full((4,), 3 * math.pi / 4).double()
    torch.testing.assert_close(
        lt.householder(x, turned_round), lt.maxmin(x).unflatten(-1, (4, 2)).flip(-1).flatten(-2)
    )
    want = torch.where(torch.arange(8) % 2 == 0, x.abs(), x)
    torch.testing.assert_close(lt.householder(x, torch.zeros(4).double()), want)
    channels = lt.householder(x.mT, torch.zeros(4).double(), dim=1)
    assert torch.equal(channels, lt.householder(x, torch.zeros(4).double()).mT)


def test_centring_is_a_projection() -> None:
    x = uniform(3, 4, 5)
    for dim, dims in ((1, [1]), ((1, 2), [1, 2]), ((-1, -2), [1, 2])):
        y = lt.Centering(dim)(x)
        torch.testing.assert_close(y, x - x.mean(dims, keepdim=True))
        torch.testing.assert_close(lt.Centering(dim)(y), y)
    torch.testing.assert_close(
        lt.Centering(1)(x)[..., 0],
        nn.functional.layer_norm(x.mT, [4], eps=1e3).mT[..., 0]
        * (x.var(1, correction=0) + 1e3).sqrt()[:, :1],
    )


def test_a_convex_combination_learns_its_share() -> None:
    x, body, skip = uniform(5, 3), lt.Abs(), lt.Scale(-2.0)
    block = lt.ConvexCombination(body, skip, share=0.25).double()
    torch.testing.assert_close(block(x), 0.25 * x.abs() - 1.5 * x, atol=1e-7, rtol=1e-6)
    block(x).sum().backward()
    slope = 0.25 * 0.75 * float((body(x) - skip(x)).sum())
    assert float(block.a.grad) == pytest.approx(slope, rel=1e-6)
    block.a.data.fill_(900.0)
    assert float(block.share.detach()) == 1
    torch.testing.assert_close(block(x), x.abs())


def test_a_bounded_normalization_is_one_where_channels_are_wide() -> None:
    x = 3 * uniform(40, 3, 4) * torch.tensor([0.01, 1.0, 9.0]).double()[:, None]
    ours, theirs = lt.BoundedBatchNorm(3).double(), nn.BatchNorm1d(3).double()
    got, want = ours(x), theirs(x)
    torch.testing.assert_close(got[:, 1:], want[:, 1:])
    torch.testing.assert_close(got[:, 0], x[:, 0] - x[:, 0].mean())
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    for _ in range(200):
        ours(x)
    torch.testing.assert_close(ours.eval()(x)[:, 1:], want[:, 1:], rtol=1e-2, atol=1e-2)
    ours.weight.data.fill_(-100.0)
    torch.testing.assert_close(ours(x)[0, 1] - ours(x)[1, 1], x[1, 1] - x[0, 1])
    assert lt.lipschitz_bounds(ours, x).upper == 1
    ours.bound = 0.5
    assert lt.lipschitz_bounds(nn.Sequential(ours), x).upper == 0.5
    with pytest.raises(ValueError, match="bound must be greater than 0"):
        ours.bound = 0.0


@every
def test_gradients_and_transforms(name: str) -> None:
    module, shape = MODULES[name][0](), MODULES[name][1]
    x = uniform(3, *shape).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)
    if name != "BoundedBatchNorm":
        batched = torch.func.vmap(lambda t: module(t[None])[0])(x)
        torch.testing.assert_close(batched, module(x))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), module(x))
    for half in (torch.float16, torch.bfloat16, torch.float32):
        assert module.to(half)(x.to(half)).dtype == half


def test_an_angle_learns() -> None:
    x, angle = uniform(4, 6), uniform(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: lt.householder(x, t), angle)
