"""The equivalences of A.3, their errata, and the adversarial points that random tests miss."""

import itertools
import math

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt
from lipteach import linear


def chunking(gaps: list[float], descending: bool = True) -> nn.Sequential:
    """FullSort(x + b) − b with the given biases: what a reader of A.3 might build."""
    b = torch.tensor(gaps, dtype=torch.float64)
    n = len(gaps)
    sort = lt.GroupSort(n) if descending else _Ascending()
    return nn.Sequential(linear(torch.eye(n), b), sort, linear(torch.eye(n), -b))


class _Ascending(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return lt.full_sort(x, descending=False)


@pytest.mark.parametrize("n", [2, 4, 6, 8, 64])
@pytest.mark.parametrize("bound", [0.5, 1.0, 3.0])
def test_maxmin_from_full_sort(n: int, bound: float) -> None:
    network = lt.maxmin_from_full_sort(n, bound)
    x = uniform(2000, n, low=-bound, high=bound)
    x[:100] = x[:100].sign() * bound  # corners, where chunks touch
    torch.testing.assert_close(network(x), lt.maxmin(x), rtol=0, atol=1e-13 * n)
    for layer in (network[0], network[2]):
        assert torch.equal(layer.weight, torch.eye(n).double())


@pytest.mark.parametrize("gap", [1.0, 1.5, 1.9, 1.99])
def test_chunking_with_a_smaller_gap_is_wrong_by_the_rest(gap: float) -> None:
    """Erratum 6: x = (−1, −1, 1, 1) is wrong by exactly 2 − g for a gap g from 1 to 2."""
    x = torch.tensor([-1.0, -1.0, 1.0, 1.0]).double()
    error = (chunking([gap, gap, 0, 0])(x) - lt.maxmin(x)).abs().max()
    assert error == pytest.approx(2 - gap, abs=1e-14)


def test_random_points_miss_a_gap_slightly_too_small() -> None:
    """The trap: 2,000 random points accept the gap 1.99; the adversarial point does not."""
    x = uniform(2000, 4)
    torch.testing.assert_close(chunking([1.99, 1.99, 0, 0])(x), lt.maxmin(x))


def test_direction_of_the_biases() -> None:
    """Descending biases with a descending sort: MaxMin. Ascending with ascending: MinMax."""
    x = torch.tensor([0.3, -0.2, 0.9, -0.7]).double()
    expected = {
        (True, True): [0.3, -0.2, 0.9, -0.7],
        (False, False): [-0.2, 0.3, -0.7, 0.9],
        (False, True): [2.9, 1.3, -1.7, -2.2],
    }
    for (falling, descending), value in expected.items():
        b = [3.5, 3.5, 1.5, 1.5] if falling else [1.5, 1.5, 3.5, 3.5]
        assert chunking(b, descending)(x).tolist() == pytest.approx(value)


def test_the_papers_gap_fails_at_its_own_biases() -> None:
    x = torch.tensor([1.0, 1.0, -1.0, -1.0]).double()
    assert chunking([1.5, 1.5, 2.5, 2.5], descending=False)(x).tolist() == [0, 0, 0, 0]


def test_chunking_in_float32_loses_bits() -> None:
    """The trap: at n = 1024 the biases reach 1022 and float32 keeps about 3e-5."""
    x = uniform(200, 1024)
    network = lt.maxmin_from_full_sort(1024, 1.0)
    double = (network(x) - lt.maxmin(x)).abs().max()
    single = (network.float()(x.float()) - lt.maxmin(x.float())).abs().max()
    assert double < 2e-13
    assert 1e-5 < single < 1e-4


@pytest.mark.parametrize("n", [2, 4, 6, 8, 10, 12, 16])
def test_full_sort_from_maxmin_sorts_every_zero_one_input(n: int) -> None:
    """By the 0–1 principle a network that sorts these 2ⁿ inputs sorts every input."""
    network = lt.full_sort_from_maxmin(n).float()
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))
    with torch.no_grad():
        assert torch.equal(network(bits), bits.sort(dim=-1, descending=True).values)


@pytest.mark.parametrize("n", [2, 4, 6, 14, 32, 50])
def test_full_sort_from_maxmin_on_random_inputs(n: int) -> None:
    network = lt.full_sort_from_maxmin(n)
    x = uniform(300, n)
    x[:100] = (3 * x[:100]).round()  # ties
    assert torch.equal(network(x), x.sort(dim=-1, descending=True).values)
    for W in (layer.weight for layer in network if isinstance(layer, nn.Linear)):
        assert torch.equal(W @ W.T, torch.eye(n).double())  # a permutation …
        assert all(lt.operator_norm(W, p) == 1 for p in (1, math.inf))  # … of norm 1 everywhere


@pytest.mark.parametrize(("n", "layers"), [(2, 1), (4, 3), (8, 6), (16, 10), (32, 15), (6, 6)])
def test_depth_of_the_sorting_network(n: int, layers: int) -> None:
    """m(m + 1)/2 layers of MaxMin for n = 2ᵐ, n for every other even n."""
    network = lt.full_sort_from_maxmin(n)
    assert sum(isinstance(layer, lt.MaxMin) for layer in network) == layers


@pytest.mark.parametrize("bound", [0.5, 2.0, 100.0])
def test_maxmin_from_abs(bound: float) -> None:
    network = lt.maxmin_from_abs(bound)
    z = uniform(2000, 2, low=-bound, high=bound)
    z[:4] = bound * torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    z[4] = 0
    torch.testing.assert_close(network(z), lt.maxmin(z), rtol=0, atol=1e-14 * bound)
    outside = torch.tensor([-1.5, -1.5]).double() * bound
    assert (network(outside) - lt.maxmin(outside)).abs().max() > 0.5 * bound
    for layer in (network[0], network[2]):
        assert lt.is_orthonormal(layer.weight, tol=1e-15)
        assert lt.operator_norm(layer.weight, math.inf) == pytest.approx(math.sqrt(2))


def test_the_literal_text_of_maxmin_from_abs_shifts_the_minimum() -> None:
    """Erratum 8: subtracting (B, 0) gives (max, min + B)."""
    network = lt.maxmin_from_abs(2.0)
    literal = nn.Sequential(network[0], network[1], linear(network[2].weight.detach(), [-2.0, 0.0]))
    z = torch.tensor([0.5, -1.0]).double()
    assert literal(z).tolist() == pytest.approx([0.5, -1.0 + 2.0])


@pytest.mark.parametrize(
    ("B", "z", "wrong"), [(1.9, (-2.0, -2.0), (-1.8, -1.8)), (-1.0, (0.8, 0.8), (1.2, 1.2))]
)
def test_b_must_cover_the_domain(
    B: float, z: tuple[float, float], wrong: tuple[float, float]
) -> None:
    """Item 9: where x + y + 2B < 0 the value is wrong, also where 2x + √2 B > 0 holds."""
    M = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double() / math.sqrt(2)
    shift = torch.tensor([math.sqrt(2) * B, 0]).double()
    value = M @ (M @ torch.tensor(z).double() + shift).abs() - B
    assert value.tolist() == pytest.approx(wrong)


def test_abs_from_maxmin() -> None:
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]
    torch.testing.assert_close(lt.abs_from_maxmin()(x), x.abs(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_abs_networks_without_bias_are_even_and_maxmin_is_not(seed: int) -> None:
    """Why some bound is needed: with biases the network is even in the limit of large inputs."""
    A, B, b = uniform(5, 2, seed=seed), uniform(2, 5, seed=seed + 10), uniform(5, seed=seed + 20)
    z = uniform(100, 2, seed=seed)
    even = nn.Sequential(linear(A), lt.Abs(), linear(B))
    torch.testing.assert_close(even(-z), even(z))
    biased = nn.Sequential(linear(A, b), lt.Abs(), linear(B))
    far = [biased(t * z) / t for t in (1e9, -1e9)]
    torch.testing.assert_close(far[0], -far[1], rtol=0, atol=1e-6)
    assert (lt.maxmin(-z) - lt.maxmin(z)).abs().max() > 0.5
