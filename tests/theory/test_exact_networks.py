"""Each exact network: its values on grids, at ties and far out, and the norm of each layer."""

import math

import pytest
import torch
from torch import Tensor, nn

import lipteach as lt

GRID = torch.linspace(-5, 5, 2001, dtype=torch.float64)[:, None]  # holds 0, ±1 and the kinks


def matrices(network: nn.Sequential) -> list[Tensor]:
    return [m.weight for m in network if isinstance(m, nn.Linear)]


def assert_same(network: nn.Sequential, expected: Tensor, x: Tensor, ulps: float = 8) -> None:
    """Equal up to a few units in the last place of the largest number involved."""
    assert type(network) is nn.Sequential
    tol = ulps * torch.finfo(x.dtype).eps * max(1.0, float(x.abs().max()))
    torch.testing.assert_close(network(x), expected, rtol=0, atol=tol)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_abs(p: float) -> None:
    network = lt.abs_network(p)
    assert_same(network, GRID.abs(), GRID)
    assert_same(network, 1e6 * GRID.abs(), 1e6 * GRID)
    for W in matrices(network):
        assert lt.operator_norm(W, p) == pytest.approx(1, abs=1e-15)


def test_abs_in_the_infinity_norm_is_exact_to_the_bit() -> None:
    x = torch.randn(1000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(lt.abs_network(math.inf)(x), x.abs())


def test_abs_traces_figure_10() -> None:
    """At x = −2 the pre-activations are (−√2, √2), the activations (√2, −√2), the output 2."""
    network = lt.abs_network()
    z = network[0](torch.tensor([-2.0]).double())
    h = network[1](z)
    root = math.sqrt(2)
    torch.testing.assert_close(z, torch.tensor([-root, root]).double())
    torch.testing.assert_close(h, torch.tensor([root, -root]).double())
    assert lt.operator_norm(matrices(network)[1], math.inf) == pytest.approx(root)


@pytest.mark.parametrize("c", [0.0, 0.25, 1.0, 3.0, -1.0])
def test_w(c: float) -> None:
    network = lt.w_network(c)
    assert_same(network, (GRID.abs() - c).abs(), GRID)
    for W in matrices(network):
        assert lt.is_orthonormal(W, tol=1e-15)


def test_w_traces_figure_11() -> None:
    network = lt.w_network()
    x = torch.arange(-3.0, 4.0).double()[:, None]
    assert network(x).flatten().tolist() == [2, 1, 0, 1, 0, 1, 2]
    h1 = network[:2](torch.tensor([0.25]).double())
    z2 = network[2](h1)
    assert h1.tolist() == [0.125, -0.125, 0.125, -0.125]
    assert z2.tolist() == [-0.375, 0.375, -0.375, 0.375]
    assert network(torch.tensor([0.25]).double()).item() == 0.75


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_relu_and_crelu(n: int) -> None:
    x = torch.randn(500, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    x[:50] = x[:50].round()  # ties and zeros
    assert torch.equal(lt.relu_network(n)(x), x.relu())
    assert torch.equal(lt.crelu_network(n)(x), torch.cat([x.relu(), (-x).relu()], dim=-1))
    for network in (lt.relu_network(n), lt.crelu_network(n)):
        for W in matrices(network):
            assert all(lt.operator_norm(W, p) == 1 for p in (1, math.inf))
            assert lt.is_orthonormal(W, tol=1e-15)


def test_zeros_appended_instead_of_interleaved_are_not_relu() -> None:
    """The trap: (x₁, x₂, 0, 0) pairs x₁ with x₂."""
    x = torch.tensor([-1.0, 2.0])
    appended = lt.maxmin(torch.cat([x, torch.zeros(2)]))
    assert not torch.equal(appended[0::2], x.relu())
    assert torch.equal(lt.relu_network(2).float()(x), x.relu())


@pytest.mark.parametrize("a", [-1.0, -0.3, 0.0, 0.25, 0.5, 1.0])
def test_leaky_relu(a: float) -> None:
    network = lt.leaky_relu_network(a)
    assert_same(network, torch.where(GRID > 0, GRID, a * GRID), GRID)
    for W in matrices(network):
        assert lt.operator_norm(W) == pytest.approx(1, abs=1e-15)


def test_the_papers_leaky_relu_breaks_the_2_norm() -> None:
    """Erratum 4: (1, a) has 2-norm √(1 + a²); dividing by it leaves the slope 0.970 at a = ¼."""
    column = torch.tensor([[1.0], [0.25]]).double()
    norm = lt.operator_norm(column)
    assert norm == pytest.approx(math.sqrt(1.0625))
    slope = lt.maxmin((column / norm).T)[0, 0]
    assert slope == pytest.approx(0.97014, abs=1e-5)
    t = math.asin(0.5) / 2
    assert (math.cos(t), math.sin(t)) == pytest.approx((0.965926, 0.258819), abs=1e-6)


@pytest.mark.parametrize(("n", "size"), [(6, 1), (6, 2), (6, 3), (6, 6), (1, 1)])
def test_maxout(n: int, size: int) -> None:
    x = torch.randn(100, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    network = lt.maxout_network(n, size)
    assert torch.equal(network(x), x.unflatten(-1, (-1, size)).amax(-1))
    assert all(lt.operator_norm(W, p) == 1 for W in matrices(network) for p in (1, 2, math.inf))


def test_maxout_leaves_the_constraint_to_the_layer_before() -> None:
    """Two equal unit rows have 2-norm √2 and ∞-norm 1."""
    rows = torch.tensor([[0.6, 0.8], [0.6, 0.8]]).double()
    assert lt.operator_norm(rows) == pytest.approx(math.sqrt(2))
    assert lt.operator_norm(rows / rows.abs().sum(1, keepdim=True), math.inf) == pytest.approx(1)


@pytest.mark.parametrize(
    "network",
    [
        lt.abs_network(),
        lt.w_network(),
        lt.leaky_relu_network(0.3),
        lt.relu_network(4),
        lt.crelu_network(4),
        lt.maxout_network(6, 3),
    ],
    ids=["abs", "w", "leaky", "relu", "crelu", "maxout"],
)
def test_float64_batches_and_float32(network: nn.Sequential) -> None:
    n = 6 if isinstance(network[0], lt.GroupSort) else network[0].in_features
    assert all(W.dtype == torch.float64 for W in matrices(network))
    x = torch.randn(2, 3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wide = network(x)
    assert wide.shape[:2] == (2, 3)
    torch.testing.assert_close(network.float()(x.float()).double(), wide, rtol=1e-5, atol=1e-6)


def test_a_frozen_layer_has_an_older_name() -> None:
    layer = lt.frozen_linear([[3, 4]], [5])
    assert lt.linear is lt.frozen_linear
    assert layer.weight.dtype == layer.bias.dtype == torch.float64
    assert not any(p.requires_grad for p in layer.parameters())
    assert layer(torch.ones(2).double()).item() == 12
