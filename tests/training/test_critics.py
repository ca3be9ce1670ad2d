"""Critics: what each keeps while it trains, and that a claim is held to exact transport."""

import copy

import pytest
import torch
from support import generator, normal, uniform
from torch import nn

import lipteach as lt
from lipteach.training import (
    CRITICS,
    clip_weights_,
    gradient_penalty,
    make_critic_network,
    measure_critic,
    points_between,
)

X, Y = (uniform(24, 1, 14, 14, low=0.0, high=1.0, seed=k).float() for k in (0, 1))


def trained(name: str, steps: int = 4):
    """The plain critic of that name, after some steps at a rate that leaves no weight in place."""
    row, source = CRITICS[name], generator()
    network = make_critic_network(1, 14, 4, row.activation, source)
    network = row.scheme.prepare(network, source)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(steps):
        loss = -lt.wasserstein_dual(network, X, Y)
        between = (points_between(X, Y, source),)
        row.scheme.step(network, row.scheme.add_penalty(loss, network, between, {}), optimizer)
    return row.scheme.finish(network)


@pytest.mark.parametrize("name", [name for name in CRITICS if name.startswith("Lipschitz")])
def test_a_lipschitz_critic_never_claims_more_than_there_is(name: str) -> None:
    found = measure_critic(trained(name), X, Y)
    assert found["lower"] <= found["upper"] <= 1 + 1e-9
    assert 0 < found["claimed"] <= found["exact"] * (1 + 1e-9)
    assert CRITICS[name].scheme.constant == 1


def test_a_steep_critic_claims_more_and_its_constant_shows_it() -> None:
    steep = nn.Sequential(trained("Lipschitz, MaxMin"), lt.Scale(50))
    found = measure_critic(steep, X, Y)
    assert found["claimed"] > 2 * found["exact"]
    assert found["claimed"] <= found["upper"] * found["exact"]
    assert found["lower"] > 2


def test_a_clipped_critic_keeps_its_box_and_the_bound_that_it_gives() -> None:
    critic = trained("clipped")
    known = 1.0
    for module in critic:
        for parameter in module.parameters():
            assert float(parameter.detach().abs().max()) <= 0.01 * (1 + 1e-6)
        if isinstance(module, nn.Linear):
            known *= 0.01 * module.weight.numel() ** 0.5
        elif isinstance(module, nn.Conv2d):  # its operator sees each tap by itself
            known *= 0.01 * module.weight.numel() ** 0.5 * 4
    found = measure_critic(critic, X, Y)
    assert 0 < found["lower"] <= found["upper"] <= known
    assert CRITICS["clipped"].scheme.constant is None


def test_clipping_is_the_nearest_point_of_the_box() -> None:
    layer = nn.Linear(3, 2).double()
    with torch.no_grad():
        for values in layer.parameters():
            values.copy_(torch.linspace(-0.5, 0.5, values.numel()).view_as(values))
    before = copy.deepcopy(layer)
    clip_weights_(layer, 0.1)
    for now, was in zip(layer.parameters(), before.parameters(), strict=True):
        assert torch.equal(now, was.clamp(-0.1, 0.1))
        assert not torch.equal(now, was)


@pytest.mark.parametrize("name", [name for name in CRITICS if name.startswith("penalty")])
def test_the_penalty_is_that_of_the_jacobian_and_its_gradient_that_of_differences(name) -> None:
    network = make_critic_network(1, 4, 2, CRITICS[name].activation, generator()).double()
    x = normal(3, 1, 4, 4)
    slopes = [torch.autograd.functional.jacobian(network, one[None]).norm() for one in x]
    wanted = sum((float(slope) - 1) ** 2 for slope in slopes) / 3
    penalty = gradient_penalty(network, x)
    assert float(penalty.detach()) == pytest.approx(wanted, rel=1e-12)
    assert float(CRITICS[name].scheme.add_penalty(0 * penalty, network, (x,), {}).detach()) == (
        pytest.approx(10 * wanted)
    )
    penalty.backward()
    slope = float(network[2].weight.grad[0, 0, 1, 1])
    values = []
    for step in (1e-6, -1e-6):
        moved = copy.deepcopy(network)
        with torch.no_grad():
            moved[2].weight[0, 0, 1, 1] += step
        values.append(float(gradient_penalty(moved, x).detach()))
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_a_penalty_can_be_taken_without_gradients_and_leaves_the_points_alone() -> None:
    x = normal(3, 1)
    with torch.no_grad():
        assert float(gradient_penalty(lt.Scale(3), x)) == pytest.approx(4)
    assert not x.requires_grad


def test_points_between_lie_on_the_lines_at_uniform_shares() -> None:
    x, y = torch.zeros(4000, 2), torch.stack([torch.ones(4001), 2 * torch.ones(4001)], dim=1)
    z = points_between(x, y, generator())
    assert torch.allclose(z[:, 1], 2 * z[:, 0])
    sorted_shares = z[:, 0].sort().values
    assert float((sorted_shares - torch.linspace(0, 1, 4000)).abs().max()) < 0.04
