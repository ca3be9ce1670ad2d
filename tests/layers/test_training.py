"""Training: the constraint after every step, and a training that is resumed."""

import copy
import io

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt

X = uniform(32, 1, 6, 6, seed=40)
Y = X.flatten(1).norm(dim=1, keepdim=True)


def network(constrain) -> nn.Sequential:
    net = nn.Sequential(
        constrain(nn.Conv2d(1, 4, 3, padding=1)),
        lt.MaxMin(1),
        constrain(nn.Conv2d(4, 6, 3, stride=2)),
        nn.Flatten(),
        constrain(nn.Linear(24, 8)),
        lt.MaxMin(),
        constrain(nn.Linear(8, 1)),
    ).double()
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(uniform(*p.shape, seed=i))
    return net


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss = (net(X) - Y).square().mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def violation(constrain, layer: nn.Module) -> float:
    """How far the weight is outside its class."""
    W = layer.weight.detach()
    if constrain is lt.linf:
        return float((W.flatten(1).abs().sum(1).max() - 1).clamp(min=0))
    if W.ndim == 4:
        low, high = lt.convolution_norm_bounds(W, layer.stride)
        return float(max(high - 1.002, 0.998 - low, 0.0))
    sigma = torch.linalg.svdvals(W)
    return float((sigma if constrain is lt.orthonormal else sigma[:1]).sub(1).abs().max())


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_the_constraint_holds_after_every_step_and_the_loss_falls(constrain) -> None:
    net = network(constrain)
    before = [layer.weight.detach().clone() for layer in (net[0], net[2], net[4], net[6])]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    losses = []
    for _ in range(8):
        losses.append(step(net, optimizer))
        for layer in (net[0], net[2], net[4], net[6]):
            assert violation(constrain, layer) < 1.1e-5
    assert losses[-1] < losses[0]
    for layer, W in zip((net[0], net[2], net[4], net[6]), before, strict=True):
        assert not torch.allclose(layer.weight, W, atol=1e-3), "every layer learns"


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_a_resumed_training_is_the_same_training(constrain) -> None:
    net = network(constrain)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    step(net, optimizer)
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    other = network(constrain)
    resumed = torch.optim.Adam(other.parameters(), lr=0.03)
    other.load_state_dict(saved["net"], strict=True)
    resumed.load_state_dict(saved["optimizer"])
    for _ in range(3):
        assert step(net, optimizer) == pytest.approx(step(other, resumed), abs=1e-12)


def test_a_deep_copy_trains_on_its_own() -> None:
    net = network(lt.orthonormal)
    twin = copy.deepcopy(net)
    step(twin, torch.optim.Adam(twin.parameters(), lr=0.1))
    assert not torch.equal(twin[4].weight, net[4].weight)
    assert torch.equal(net[4].weight, network(lt.orthonormal)[4].weight)
