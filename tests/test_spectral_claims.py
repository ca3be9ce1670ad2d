"""What lesson 06 says of spectral normalization and of convolutions, against singular values."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import lipteach as lt
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import convolution_matrix
from lipteach.training import orthonormal_network


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(W: Tensor) -> float:
    return float(torch.linalg.svdvals(W.detach())[0])


def normalized_by_torch(W: Tensor, seed: int = 0) -> nn.Linear:
    """A layer under PyTorch's spectral normalization, which draws from the global generator."""
    layer = lt.linear(W)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return parametrizations.spectral_norm(layer)


def test_dividing_by_an_estimate_leaves_a_norm_above_1() -> None:
    """The example of the map, by PyTorch's own class: diag(2, 1), one step from (1, 1)/√2."""
    W = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    u = torch.full((2,), math.sqrt(0.5), dtype=torch.float64)
    layer = normalized_by_torch(W)
    layer.parametrizations.weight[0]._v.copy_(u)
    assert norm(layer.weight) == pytest.approx(1.08465, abs=5e-6)
    estimate = lt.power_iteration(W, steps=1, u=u)[0]
    assert float(estimate) == pytest.approx(1.84391, abs=5e-6)
    assert norm(W / estimate) == pytest.approx(1.08465, abs=5e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (64, 64), (64, 32), (20, 200)])
def test_torch_is_never_below_1_in_training_mode(shape: tuple[int, int], seed: int) -> None:
    layer = normalized_by_torch(gaussian(*shape, seed=seed), seed)
    read = [norm(layer.weight) for _ in range(20)]
    assert min(read) >= 1 - 1e-12
    assert all(two <= one + 1e-12 for one, two in pairwise(read))
    if shape == (64, 64):
        assert read[0] > 1.0005


@pytest.mark.parametrize("seed", range(5))
def test_torch_is_far_from_1_after_a_replacement_and_lt_spectral_is_not(seed: int) -> None:
    first, second = gaussian(2, 64, 64, seed=seed)
    layer = normalized_by_torch(first, seed).eval()
    layer.weight = second
    assert norm(layer.weight) > 3
    ours = lt.spectral(lt.linear(first)).eval()
    assert norm(ours.weight) == pytest.approx(1, abs=1e-9)
    ours.weight = second
    assert norm(ours.weight) == pytest.approx(1, abs=1e-9)


def test_the_cone_has_gradient_norm_1_but_at_its_apex_and_distance_1() -> None:
    def cone(x: Tensor) -> Tensor:
        return 1 - torch.linalg.vector_norm(x, dim=-1)

    for n in (1, 2, 8):
        points = gaussian(100, n)
        x = points.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cone(x).sum(), x)
        assert torch.allclose(gradient.norm(dim=1), torch.ones(100, dtype=torch.float64))
        sphere = points / points.norm(dim=1, keepdim=True)
        assert float(cone(torch.zeros(n)) - cone(sphere).mean()) == pytest.approx(1)
        for sign in (1, -1):  # no linear function falls in a direction and in its opposite
            assert torch.allclose(cone(sign * 1e-3 * sphere) - 1, torch.tensor(-1e-3).double())


def train_to_the_cone(kind: str, steps: int = 80) -> nn.Sequential:
    """A network 4–16–16–1 that starts orthonormal, on the dual objective of the cone."""
    generator = torch.Generator().manual_seed(0)
    network = orthonormal_network([4, 16, 16, 1], lt.MaxMin, generator)
    for layer in network[::2]:
        (lt.spectral if kind == "spectral" else lt.orthonormal)(layer)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        y = torch.randn(64, 4, generator=generator, dtype=torch.float64)
        loss = network(y / y.norm(dim=1, keepdim=True)).mean() - network(torch.zeros_like(y)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def test_training_loses_gradient_norm_under_spectral_normalization_only() -> None:
    x = gaussian(200, 4)
    for kind, lost in (("spectral", True), ("orthonormal", False)):
        network = train_to_the_cone(kind)
        sigma = torch.linalg.svdvals(network[2].weight.detach())
        assert float(sigma[0]) == pytest.approx(1, abs=1e-5)
        assert bool(sigma[-1] < 0.8) == lost
        norms = lt.gradient_norms(network, x).mean(dim=1)
        assert bool(norms[3] - norms[2] > 1e-3) == lost  # what the square layer takes
        assert norms[3] - norms[2] > -1e-5


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_a_kernel_of_flattened_norm_1_has_operator_norm_up_to_3(size: int) -> None:
    kernel = torch.full((1, 1, 3, 3), 1 / 3, dtype=torch.float64)
    assert norm(kernel.flatten(1)) == pytest.approx(1)
    exact = (1 + 2 * math.cos(math.pi / (size + 1))) ** 2 / 3
    assert norm(convolution_matrix(kernel, size)) == pytest.approx(exact)
    assert exact < 3


@pytest.mark.parametrize("seed", range(5))
def test_no_kernel_exceeds_three_times_its_flattened_norm(seed: int) -> None:
    kernel = gaussian(3, 2, 3, 3, seed=seed)
    matrix = convolution_matrix(kernel, 6)
    x = gaussian(1, 2, 6, 6, seed=seed + 100)
    by_torch = nn.functional.conv2d(x, kernel, padding=1).flatten()
    assert torch.allclose(matrix @ x.flatten(), by_torch)
    assert norm(matrix) <= 3 * norm(kernel.flatten(1))
    for constrain in (lt.orthonormal, lt.spectral):
        layer = constrain(nn.Conv2d(2, 3, 3, padding=1, bias=False).double())
        layer.weight = kernel
        assert 0.8 < norm(convolution_matrix(layer.weight.detach(), 8)) <= 1 + 1e-6
