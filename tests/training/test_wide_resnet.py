"""Wide residual networks: their shapes, counts and bounds."""

import math
from functools import partial

import pytest
import torch
from support import generator, uniform
from torch import nn

import lipteach as lt
from lipteach.training import wide_resnet

MAXMIN = partial(lt.MaxMin, 1)


@pytest.mark.parametrize(("depth", "width", "millions"), [(16, 4, 2.7), (28, 4, 5.8), (40, 1, 0.6)])
def test_the_number_of_parameters_is_the_published_one(depth, width, millions) -> None:
    """Zagoruyko and Komodakis (2016), Tables 4 and 5."""
    with torch.device("meta"):
        network = wide_resnet(depth, width, nn.ReLU, generator())
    count = sum(p.numel() for p in network.parameters())
    assert round(count / 1e6, 1) == pytest.approx(millions, abs=0.1)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(layers) == depth - 3, "three shortcuts make up the rest"


@pytest.mark.parametrize("activation", [nn.ReLU, MAXMIN])
def test_the_groups_halve_the_image(activation) -> None:
    network = wide_resnet(10, 1, activation, generator(), channels=1, classes=4)
    sizes = []
    for module in network.modules():
        if isinstance(module, lt.Residual):
            module.register_forward_hook(lambda _m, _x, y: sizes.append(tuple(y.shape[1:])))
    assert network(uniform(2, 1, 28, 28).float()).shape == (2, 4)
    assert sizes == [(16, 28, 28), (32, 14, 14), (64, 7, 7)]
    again = wide_resnet(10, 1, activation, generator(), channels=1, classes=4)
    pairs = zip(network.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "the generator decides"


def test_the_weights_have_the_variance_that_is_said() -> None:
    network = wide_resnet(10, 4, nn.ReLU, generator())
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        fan_out = conv.out_channels * math.prod(conv.kernel_size)
        assert float(conv.weight.detach().var()) == pytest.approx(2 / fan_out, rel=0.2)


def test_activations_that_learn_begin_as_their_class_says() -> None:
    network = wide_resnet(10, 1, nn.PReLU, generator())
    slopes = [m.weight.item() for m in network.modules() if isinstance(m, nn.PReLU)]
    assert slopes == [0.25] * len(slopes)


def test_the_bounds_of_a_trained_mode_network_know_all_its_parts() -> None:
    """Sums and normalization leave nothing unknown; one block alone is checked in test_residual."""
    network = wide_resnet(10, 1, MAXMIN, generator(), channels=1)
    network(uniform(8, 1, 8, 8).float())  # statistics of its own
    x = uniform(1, 1, 8, 8)
    found = lt.audit(network, x)
    assert not found.unknown
    assert 0 < found.lower <= found.upper < math.inf
    J = torch.func.jacrev(network.eval().double())(x).reshape(10, 64)
    assert found.lower == pytest.approx(float(torch.linalg.matrix_norm(J.detach(), 2)), rel=1e-6)
