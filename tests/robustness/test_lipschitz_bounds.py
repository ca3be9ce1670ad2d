"""Lipschitz bounds against constants that are known or counted piece by piece."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from robustness.pieces import slopes_of_a_line, slopes_of_a_plane
from support import matrix_of, uniform
from torch import nn

import lipteach as lt

NORMS = (1, 2, math.inf)


def filled(network: nn.Module, seed: int, scale: float = 1.0) -> nn.Module:
    for i, parameter in enumerate(network.parameters()):
        parameter.data = uniform(*parameter.shape, low=-scale, high=scale, seed=100 * seed + i)
    return network.requires_grad_(False)


def perceptron(widths: list[int], activation, seed: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(widths):
        layers += [nn.Linear(i, o), activation()]
    return filled(nn.Sequential(*layers[:-1]), seed)


@pytest.mark.parametrize(
    ("network", "p", "constant"),
    [
        (lt.abs_network(2), 2, 1),
        (lt.abs_network(math.inf), math.inf, 1),
        (lt.w_network(), 2, 1),
        (lt.maxout_network(6, 3), 2, 1),
        (lt.full_sort_from_maxmin(4), 1, 1),
        (lt.full_sort_from_maxmin(4), math.inf, 1),
        (nn.Sequential(lt.linear([[3.0, -4.0]])), 2, 5),
        (nn.Sequential(lt.linear([[3.0, -4.0]])), 1, 4),
        (nn.Sequential(lt.linear([[3.0, -4.0]])), math.inf, 7),
        (lt.linear([[3.0], [-4.0]]), 1, 7),
        (lt.linear([[3.0], [-4.0]]), math.inf, 4),
        (nn.Sequential(lt.linear([[0.0, 0.0]]), nn.ReLU()), 2, 0),
        (nn.Identity(), 1, 1),
    ],
)
def test_networks_whose_constant_is_known(network: nn.Module, p: float, constant: float) -> None:
    first = next((m for m in network.modules() if isinstance(m, nn.Linear)), None)
    x = uniform(16, 4 if first is None else first.in_features)
    lower, upper = lt.lipschitz_bounds(network, x, p)
    assert lower == pytest.approx(constant, rel=1e-12, abs=1e-15)
    assert upper == pytest.approx(constant, rel=1e-12, abs=1e-15)
    assert lower <= upper
    assert type(lower) is type(upper) is float
    bounds = lt.lipschitz_bounds(network, x, p)
    assert (bounds.lower, bounds.upper) == (lower, upper), "deterministic"


@pytest.mark.parametrize("p", NORMS)
def test_the_lattice_is_certified_by_the_chain_of_theorem_3(p: float) -> None:
    points = uniform(12, 2, seed=3)
    target = lambda x: torch.linalg.vector_norm(x, ord=p, dim=1)  # noqa: E731
    network = lt.approximate(target, points, p)
    lower, upper = lt.lipschitz_bounds(network, points, p)
    assert 0.9 < upper <= 1 + 1e-12
    assert 0.9 * upper < lower <= upper
    layers = [m for m in network if isinstance(m, nn.Linear)]
    product = math.prod(float(torch.linalg.matrix_norm(m.weight, p)) for m in layers)
    assert p == math.inf or product > 5, "norms from p to p alone do not show it"


@pytest.mark.parametrize(("p", "constant"), [(1, 8), (2, 1), (math.inf, 8)])
def test_another_norm_is_a_shorter_way(p: float, constant: float) -> None:
    """Hadamard's H/8 is orthonormal and of norm 8 for p = 1 and ∞: twice it would count as 64."""
    H = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(6):
        H = torch.cat([torch.cat([H, H], 1), torch.cat([H, -H], 1)])
    layer = lt.linear(H / 8)
    network = nn.Sequential(layer, lt.MaxMin(), layer)
    lower, upper = lt.lipschitz_bounds(network, uniform(5, 64), p)
    assert upper == pytest.approx(constant, rel=1e-12)
    assert lower <= upper


@settings(deadline=None, max_examples=40)
@given(
    widths=st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=2),
    outputs=st.integers(1, 3),
    activation=st.sampled_from([nn.ReLU, lt.MaxMin, lt.Abs]),
    p=st.sampled_from(NORMS),
    count=st.sampled_from([1, 2, 9]),
    seed=st.integers(0, 10**6),
)
def test_between_the_bounds_on_a_line(widths, outputs, activation, p, count, seed) -> None:
    network = perceptron([1, *widths, outputs], activation, seed)
    lower, upper = lt.lipschitz_bounds(network, 3 * uniform(count, 1, seed=seed), p)
    constant = float(torch.linalg.vector_norm(slopes_of_a_line(network), ord=p, dim=1).max())
    assert lower <= constant * (1 + 1e-9) + 1e-12
    assert constant <= upper * (1 + 1e-9) + 1e-12


@settings(deadline=None, max_examples=40)
@given(
    hidden=st.integers(2, 8),
    outputs=st.integers(1, 3),
    p=st.sampled_from(NORMS),
    count=st.sampled_from([1, 20]),
    seed=st.integers(0, 10**6),
)
def test_between_the_bounds_on_a_plane(hidden, outputs, p, count, seed) -> None:
    network = perceptron([2, hidden, outputs], nn.ReLU, seed)
    lower, upper = lt.lipschitz_bounds(network, 3 * uniform(count, 2, seed=seed), p)
    constant = float(torch.linalg.matrix_norm(slopes_of_a_plane(network), p).max())
    assert lower <= constant * (1 + 1e-9)
    assert constant <= upper * (1 + 1e-9)


@pytest.mark.parametrize("p", NORMS)
def test_the_search_nears_the_constant(p: float) -> None:
    """On forty planes the median of lower / constant, from twenty points."""
    shares, starts = [], []
    for seed in range(40):
        network = perceptron([2, 8, 2], nn.ReLU, seed)
        x = uniform(20, 2, seed=seed)
        constant = float(torch.linalg.matrix_norm(slopes_of_a_plane(network), p).max())
        shares.append(lt.lipschitz_bounds(network, x, p).lower / constant)
        J = torch.func.vmap(torch.func.jacrev(network))(x)
        starts.append(float(torch.linalg.matrix_norm(J, p).max()) / constant)
        assert shares[-1] >= starts[-1] * (1 - 1e-9), "never below the Jacobians at x"
    assert torch.tensor(shares).median() > 0.99
    assert torch.tensor(shares).mean() > torch.tensor(starts).mean() + 0.05


@pytest.mark.parametrize("p", NORMS)
def test_the_search_leaves_a_single_point(p: float) -> None:
    """With no other point to go to, it follows what the Jacobian stretches."""
    shares = []
    for seed in range(25):
        network = perceptron([2, 8, 2], nn.ReLU, seed)
        constant = float(torch.linalg.matrix_norm(slopes_of_a_plane(network), p).max())
        shares.append(lt.lipschitz_bounds(network, uniform(1, 2, seed=seed), p).lower / constant)
    assert torch.tensor(shares).median() > 0.8


@pytest.mark.parametrize("p", NORMS)
def test_random_pairs_never_leave_the_bounds(p: float) -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        lt.MaxMin(1),
        nn.Conv2d(4, 4, 2, groups=2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
        nn.Tanh(),
    )
    filled(network, 5)
    x, y = uniform(500, 2, 7, 7, seed=1), uniform(500, 2, 7, 7, seed=2)
    lower, upper = lt.lipschitz_bounds(network, x[:30], p)
    for near in (x + 1e-6 * y, y):
        rise = torch.linalg.vector_norm(network(near) - network(x), ord=p, dim=1)
        run = torch.linalg.vector_norm((near - x).flatten(1), ord=p, dim=1)
        assert float((rise / run).max()) <= upper
    assert 0 < lower < upper


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(2, 3, 3),
        nn.Conv2d(2, 3, 3, padding=2),
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.Conv2d(2, 4, 2, stride=3, groups=2),
        nn.Conv2d(2, 3, 2, dilation=2, padding=1),
        nn.Conv2d(2, 3, (1, 5), padding="same"),
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
    ],
)
def test_the_norms_of_a_convolution_are_those_of_its_matrix(conv: nn.Conv2d) -> None:
    filled(conv, 1)
    conv.bias.data.zero_()
    matrix = matrix_of(conv, 2, 5, 5)
    for p in NORMS:
        lower, upper = lt.lipschitz_bounds(nn.Sequential(conv), uniform(2, 2, 5, 5), p)
        exact = float(torch.linalg.matrix_norm(matrix, p))
        assert lower == pytest.approx(exact, rel=1e-12)
        assert upper == pytest.approx(exact, rel=1e-12)


def test_a_convolution_of_groups_is_bounded_without_its_matrix() -> None:
    """Each channel goes to two: norms 2, √2 and 1, and 1/1600, 1/40 and 1 of the mean."""
    conv = nn.Conv2d(2, 4, 1, groups=2, bias=False)
    conv.weight.data.fill_(1.0)
    x = uniform(1, 2, 40, 40)
    chain = nn.Sequential(conv, nn.AvgPool2d(40), nn.Flatten())
    for p in NORMS:
        lower, upper = lt.lipschitz_bounds(chain, x, p)
        assert lower == pytest.approx((2 / 1600) ** (1 / p))
        assert upper == pytest.approx((2 / 1600) ** (1 / p))


@pytest.mark.parametrize("p", NORMS)
def test_a_selection_counts_the_uses_of_an_entry(p: float) -> None:
    four = lt.Selection([0, 0, 1, 0, 0], 2)
    bounds = lt.lipschitz_bounds(nn.Sequential(four), uniform(3, 2), p)
    assert bounds == (pytest.approx(4 ** (1 / p)), pytest.approx(4 ** (1 / p)))
    largest = nn.Sequential(four, lt.FullSort(), lt.Selection([0], 5))
    assert lt.lipschitz_bounds(largest, uniform(3, 2), p) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_convolution_whose_padding_repeats_pixels_is_bounded(mode: str) -> None:
    conv = filled(nn.Conv2d(2, 3, 5, padding=2, padding_mode=mode), 1)
    for p in NORMS:
        lower, upper = lt.lipschitz_bounds(nn.Sequential(conv), uniform(2, 2, 3, 3), p)
        assert lower <= upper < 4 * lower


@pytest.mark.parametrize("groups", [1, 2])
def test_a_large_convolution_is_bounded_without_its_matrix(groups: int) -> None:
    conv = filled(nn.Conv2d(2, 2, 3, padding=1, groups=groups, bias=False), 2)
    x = uniform(1, 2, 40, 40)
    _, upper = lt.lipschitz_bounds(nn.Sequential(conv, nn.AvgPool2d(40), nn.Flatten()), x)
    u = uniform(1, 2, 40, 40, seed=3)
    for _ in range(200):  # power iteration: a lower bound of the norm of the convolution
        _, pull = torch.func.vjp(conv, u / u.norm())
        (u,) = pull(conv(u / u.norm()))
    sigma = float(u.norm().sqrt())
    assert sigma / 40 <= upper * (1 + 1e-12)
    assert upper < sigma * (1.01 if groups == 1 else 2)


def test_kinks_are_left() -> None:
    """The zero function x − ReLU(x) + ReLU(−x) has derivative 1 at 0 by the chain rule of torch."""

    class Zero(nn.Module):
        def forward(self, x):
            return x - torch.relu(x) + torch.relu(-x)

    x = torch.zeros(3, 2, dtype=torch.float64)
    assert torch.func.jacrev(Zero())(x[0]).trace() == 2
    assert lt.lipschitz_bounds(Zero(), x) == (0, 3)
    assert lt.lipschitz_bounds(lt.abs_network(), x[:, :1]).lower == pytest.approx(1)


@pytest.mark.parametrize("module", [nn.LayerNorm(4), nn.GELU()])
def test_an_unknown_module_is_named(module: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Sequential(module, nn.ReLU()))
    with pytest.warns(lt.UnknownBoundWarning, match=f"1.0 \\({type(module).__name__}\\)") as caught:
        lower, upper = lt.lipschitz_bounds(network, uniform(5, 4).float())
    assert 0 < lower < upper == math.inf
    assert caught[0].filename == __file__


def test_jacobians_that_are_not_finite_say_nothing() -> None:
    """0 · NaN in the part of the root that is not taken, a known trap of torch.where."""

    class Root(nn.Module):
        def forward(self, x):
            return torch.where(x > 1, x.sqrt(), 0 * x)

    x = torch.tensor([[-1.0, -1.0], [-3.0, -3.0]])
    assert torch.func.jacrev(Root())(x[0]).isnan().any()
    for p in NORMS:
        with pytest.warns(lt.UnknownBoundWarning):
            lower, _ = lt.lipschitz_bounds(Root(), x, p)
        assert 0 < lower <= 0.5


def test_the_model_is_left_as_it_is_and_only_its_evaluation_counts() -> None:
    network = nn.Sequential(lt.orthonormal(nn.Linear(4, 6)), nn.Dropout(0.5), lt.MaxMin())
    network.append(nn.Linear(6, 2)).train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    x = uniform(6, 4).float()
    before = torch.random.get_rng_state()
    bounds = lt.lipschitz_bounds(network, x)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert x.grad is None
    plain = lt.export(network).double().eval()
    assert lt.lipschitz_bounds(plain, x.double()) == bounds
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert lt.lipschitz_bounds(network, uniform(6, 4).float()) == bounds
            assert lt.lipschitz_bounds(nn.Conv2d(1, 1, 1), uniform(1, 1, 2, 2), 1).upper > 0
    norm = lt.operator_norm(plain[3].weight).item()
    assert bounds.upper == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_other_dtypes_are_computed_in_float64(dtype: torch.dtype) -> None:
    network = perceptron([3, 4, 2], nn.ReLU, 1).to(dtype)
    x = uniform(5, 3).to(dtype)
    assert lt.lipschitz_bounds(network, x) == lt.lipschitz_bounds(network.double(), x.double())


@pytest.mark.parametrize("p", NORMS)
def test_samples_of_any_shape(p: float) -> None:
    """A linear layer on rows: one block for each row."""
    layer = filled(nn.Linear(3, 2), 1)
    exact = float(torch.linalg.matrix_norm(layer.weight, p))
    for shape in ((5, 3), (5, 4, 3), (1, 2, 2, 3)):
        lower, upper = lt.lipschitz_bounds(layer, uniform(*shape), p)
        assert lower == pytest.approx(exact)
        assert upper == pytest.approx(exact)


def test_modules_that_stand_twice_count_twice() -> None:
    double = lt.linear([[2.0]])
    assert lt.lipschitz_bounds(nn.Sequential(double, nn.Sequential(double)), torch.ones(1, 1)) == (
        pytest.approx(4),
        pytest.approx(4),
    )


@pytest.mark.parametrize("p", NORMS)
def test_a_convolution_at_two_sizes_counts_with_its_largest_norm(p: float) -> None:
    conv = filled(nn.Conv2d(1, 1, 5, bias=False), 1)
    conv.weight.abs_()
    lower, upper = lt.lipschitz_bounds(nn.Sequential(conv, conv), uniform(1, 1, 10, 10), p)
    exact = float(torch.linalg.matrix_norm(matrix_of(nn.Sequential(conv, conv), 1, 10, 10), p))
    assert lower == pytest.approx(exact, rel=1e-12)
    assert exact <= upper <= 1.01 * float(conv.weight.sum()) ** 2
