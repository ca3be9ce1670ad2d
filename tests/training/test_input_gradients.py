"""Gradients have the direction of cross entropy's, and their measures are what they say."""

import pytest
import torch
from support import generator
from torch import nn

import lipteach as lt
from lipteach.training import initialize_, input_gradients, measure_gradients


@pytest.fixture
def network() -> nn.Sequential:
    return initialize_(nn.Sequential(nn.Linear(9, 8), lt.MaxMin(), nn.Linear(8, 4)), generator())


def test_the_direction_is_that_of_cross_entropy(network: nn.Sequential) -> None:
    network.double()
    x = torch.rand(5, 9, generator=generator(), dtype=torch.float64, requires_grad=True)
    y = torch.arange(5) % 4
    losses = nn.functional.cross_entropy(network(x), y, reduction="none")
    (direct,) = torch.autograd.grad(losses.sum(), x)
    found = input_gradients(network, x, y)
    chance = 1 - torch.exp(-losses.detach())  # of all classes but y
    assert torch.allclose(found * chance[:, None], direct, rtol=1e-9)


def test_it_does_not_vanish_where_cross_entropy_s_does(network: nn.Sequential) -> None:
    sure = nn.Sequential(network, lt.Scale(1e5)).double()
    x = torch.rand(5, 9, generator=generator(), dtype=torch.float64, requires_grad=True)
    y = sure(x).argmax(1)
    (direct,) = torch.autograd.grad(nn.functional.cross_entropy(sure(x), y), x)
    assert (direct == 0).all()
    assert (input_gradients(sure, x, y).norm(dim=1) > 1).all()


def test_noise_has_the_share_and_the_variation_that_are_said() -> None:
    images = torch.zeros(50, 28, 28)
    images[:, 10, 10:20] = 0.5
    images[:, 20, 5] = 0.49
    noise = torch.randn(50, 28, 28, generator=generator(), dtype=torch.float64)
    found = measure_gradients(noise, images)
    assert found["strokes"] == pytest.approx(3 * 12 / 784)
    assert found["on_strokes"] == pytest.approx(3 * 12 / 784, rel=0.1)
    assert found["variation"] == pytest.approx(2 * 2**0.5 * 27 / 28, rel=0.01)
    assert measure_gradients(-7 * noise, images) == pytest.approx(found)


def test_a_gradient_on_the_strokes_alone_and_one_that_is_flat() -> None:
    images = torch.zeros(2, 6, 6)
    images[:, 2, 2] = 1
    gradients = torch.zeros(2, 6, 6)
    gradients[0, 1:4, 1:4] = 2.0
    assert measure_gradients(gradients[:1], images[:1]) == pytest.approx(
        {"on_strokes": 1, "strokes": 0.25, "variation": 12 * 2 / 18}
    )
    gradients[1] = 1.0
    assert measure_gradients(gradients[1:], images[1:])["variation"] == 0
    for steep in (torch.arange(1.0, 7.0), torch.arange(1.0, 7.0)[:, None]):  # along each axis
        gradients[1] = steep
        measured = measure_gradients(gradients[1:], images[1:])
        assert measured["variation"] == pytest.approx(6 * 5 / (6 * 21))
    gradients[1] = 0.0
    assert measure_gradients(gradients, images)["on_strokes"] == 0.5
