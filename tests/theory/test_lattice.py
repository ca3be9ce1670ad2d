"""Networks built by hand: interpolation, error, Lipschitz constant and size."""

import copy
import io
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lattice_support import (
    cell_centres,
    cones,
    largest_gradient,
    largest_slope,
    random_cones,
)
from support import uniform
from torch import Tensor, nn

import lipteach as lt

METHODS = [
    ("lattice", 1),
    ("lattice", 2),
    ("lattice", math.inf),
    ("mcshane", 1),
    ("mcshane", math.inf),
]


def wave(x: Tensor) -> Tensor:
    return (3 * x[:, 0]).sin() / 3


def hills(x: Tensor) -> Tensor:
    """1-Lipschitz in every p-norm: both partial derivatives are at most ½."""
    return (2 * x[:, 0]).sin() / 4 + (2 * x[:, 1]).cos() / 4


@given(
    case=st.sampled_from([(*m, False) for m in METHODS] + [(*m, True) for m in METHODS[3:]]),
    n=st.integers(1, 4),
    N=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_random_targets_are_met_exactly_and_nothing_is_steeper(case, n, N, seed) -> None:
    method, p, midpoint = case
    g, points = random_cones(n, p, seed), uniform(N, n, seed=seed + 5)
    f = lt.approximate(g, points, p, method, midpoint)
    assert torch.allclose(f(points)[:, 0], g(points), rtol=0, atol=1e-12)
    assert lt.in_lipschitz_class(f, p)
    x = torch.cat([uniform(100, n, low=-2, high=2, seed=seed), points])
    assert largest_gradient(f, x, p) <= 1 + 1e-12


@pytest.mark.parametrize(("method", "p"), METHODS)
def test_the_maximum_of_minima_meets_g_and_stays_within_two_r(method: str, p: float) -> None:
    """Lemma 1 for finitely many points, against cones whose distances we know."""
    k, n = 6, 2
    points = cell_centres(k, n)
    r = 1 / k * {1: n, 2: math.sqrt(n), math.inf: 1}[p]  # the covering radius of [−1, 1]ⁿ
    x = uniform(4000, n, seed=3)
    for seed in range(5):
        g = random_cones(n, p, seed)
        f = lt.approximate(g, points, p, method)
        assert (f(x)[:, 0] - g(x)).abs().max() <= 2 * r + 1e-12
        assert torch.allclose(f(points)[:, 0], g(points), rtol=0, atol=1e-12)


def test_the_lattice_is_the_double_loop_of_the_lemma() -> None:
    """Against max_i min_j f_ij, each f_ij from affine_through."""
    for p in (1, 2, math.inf):
        g, points, x = random_cones(3, p, 4), uniform(7, 3, seed=1), uniform(200, 3, low=-3, high=3)
        v = g(points).tolist()
        rows = [
            torch.stack(
                [
                    lt.affine_through(points[i], points[j], v[i], v[j], p)(x)[:, 0]
                    for j in range(7)
                    if j != i
                ]
            ).amin(dim=0)
            for i in range(7)
        ]
        expected = torch.stack(rows).amax(dim=0)
        assert torch.allclose(lt.approximate(g, points, p)(x)[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("p", [1, math.inf])
def test_mcshane_is_the_largest_of_the_cones(p: float) -> None:
    g, points, x = random_cones(3, p, 4), uniform(9, 3, seed=1), uniform(200, 3, low=-3, high=3)
    below, above = cones(points, g(points), p), cones(points, -g(points), p)
    f = lt.approximate(g, points, p, "mcshane")
    assert torch.allclose(f(x)[:, 0], below(x), atol=1e-12)
    assert (f(x)[:, 0] <= g(x) + 1e-12).all()
    middle = lt.approximate(g, points, p, "mcshane", midpoint=True)
    assert torch.allclose(middle(x)[:, 0], (below(x) - above(x)) / 2, atol=1e-12)


@pytest.mark.parametrize("p", [1, math.inf])
def test_the_midpoint_halves_the_bound(p: float) -> None:
    k, x = 5, uniform(4000, 2, seed=3)
    r = 1 / k * (2 if p == 1 else 1)
    errors = []
    for seed in range(5):
        g = random_cones(2, p, seed, count=40)
        f, middle = (
            lt.approximate(g, cell_centres(k, 2), p, "mcshane", midpoint=m) for m in (False, True)
        )
        errors.append(float((f(x)[:, 0] - g(x)).abs().max()))
        assert (middle(x)[:, 0] - g(x)).abs().max() <= r + 1e-12
    assert r < max(errors) <= 2 * r + 1e-12  # without it r is not enough


def test_the_lipschitz_constant_in_one_dimension_is_exact() -> None:
    """Between neighbouring crossings of pieces the network is affine: its slopes are all seen."""
    for seed in range(4):
        g = random_cones(1, 2, seed)
        for method, p in METHODS:
            f = lt.approximate(g, uniform(9, 1, seed=seed), p, method)
            assert largest_slope(f, -2.0, 2.0) <= 1 + 1e-9
            assert float(f[0].weight.abs().max()) <= 1 + 1e-12


def test_lipschitz_constant_in_several_dimensions() -> None:
    for n in (2, 3, 4):
        for method, p in METHODS:
            g = random_cones(n, p, seed=n)
            f = lt.approximate(g, uniform(12, n, seed=n), p, method)
            assert 0.2 < largest_gradient(f, uniform(2000, n, low=-2, high=2), p) <= 1 + 1e-12


def test_error_falls_with_the_covering_radius() -> None:
    """The networks themselves come as close as we like: no closure is needed."""
    x = torch.linspace(-1, 1, 4001).double()[:, None]
    for k in (4, 16, 64):
        f = lt.approximate(wave, cell_centres(k, 1))
        assert (f(x)[:, 0] - wave(x)).abs().max() <= 2 / k


@pytest.mark.parametrize(
    ("method", "k", "n", "pieces", "layers"),
    [
        ("lattice", 20, 1, 190, 10),  # half of 380: f_ij = f_ji
        ("mcshane", 10, 1, 20, 5),
        ("mcshane", 4, 2, 64, 6),
    ],
)
def test_sizes(method: str, k: int, n: int, pieces: int, layers: int) -> None:
    g = wave if n == 1 else lambda x: hills(x + 0.1)  # not symmetric: no cones share a side
    size = lt.network_size(lt.approximate(g, cell_centres(k, n), math.inf, method))
    assert (size.pieces, size.layers) == (pieces, layers)


def test_the_depth_is_logarithmic() -> None:
    for N in (3, 4, 5, 8, 9, 33):
        f = lt.approximate(wave, uniform(N, 1), 2)
        logs = math.ceil(math.log2(N - 1)) + math.ceil(math.log2(N))
        assert lt.network_size(f).layers == logs <= 2 * math.ceil(math.log2(N))


def test_4032_pieces_are_few_numbers() -> None:
    """ε = ¼ in the plane: 64 · 63 pieces; as dense layers they would hold 11 million weights."""
    points = cell_centres(8, 2)
    f = lt.approximate(hills, points, math.inf)
    stored = sum(t.numel() for t in [*f.parameters(), *f.buffers()])
    assert lt.network_size(f).pieces <= 64 * 63 / 2
    assert stored < 30_000
    x = uniform(500, 2)
    assert (f(x)[:, 0] - hills(x)).abs().max() <= 0.25


def test_common_pieces_are_merged() -> None:
    points = cell_centres(10, 1)
    line = lt.approximate(lambda x: x[:, 0] / 2, points)
    assert lt.network_size(line) == lt.Size(pieces=1, layers=0, weights=1)
    bend = lt.approximate(lambda x: x[:, 0].abs(), points)
    x = torch.linspace(-1, 1, 101).double()[:, None]
    assert lt.network_size(bend).pieces < 45 / 1.5
    assert lt.network_size(bend).layers < 4 + 4  # of parallel pieces one is left in a minimum
    assert (bend(x)[:, 0] - x[:, 0].abs()).abs().max() <= 0.2


def test_one_point_two_points_and_points_that_occur_again() -> None:
    one = lt.approximate(lambda x: x[:, 0] + 1, torch.tensor([[0.5, 2.0]]))
    assert one(torch.zeros(3, 2).double()).flatten().tolist() == [1.5] * 3
    assert lt.in_lipschitz_class(one, 2)
    points = torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]]).double()
    again = lt.approximate(wave, points)
    once = lt.approximate(wave, points[:2])
    assert lt.network_size(again) == lt.network_size(once) == (1, 0, 1)


def test_points_on_a_line_in_space() -> None:
    t = torch.linspace(-1, 1, 7).double()[:, None]
    points = t * torch.tensor([[1.0, 2.0, -2.0]]).double() / 3
    for method, p in METHODS:
        g = random_cones(3, p, 2)
        f = lt.approximate(g, points, p, method)
        assert torch.allclose(f(points)[:, 0], g(points), rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_far_from_the_origin_precision_is_that_of_the_numbers(offset: float) -> None:
    points = cell_centres(9, 1) + offset
    f = lt.approximate(lambda x: (x[:, 0] - offset).abs(), points)
    error = (f(points)[:, 0] - (points[:, 0] - offset).abs()).abs().max()
    assert error <= 1e-15 * max(1.0, 8 * offset)


def test_values_that_are_not_lipschitz_are_refused_naming_the_pair() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [5.0, 5.0]]).double()
    values = torch.tensor([0.0, 0.5, 1.6, 0.0]).double()
    with pytest.raises(ValueError, match=r"points 1 and 2 it changes by 1\.1 over a distance of 1"):
        lt.approximate(lambda x: values, points, 1)
    many = torch.cat([torch.arange(300.0), torch.tensor([269.5])])[:, None].double()
    with pytest.raises(ValueError, match=r"points 269 and 300 it changes by 1 over a distance of"):
        lt.approximate(lambda x: 1.0 * (x[:, 0] == 269.5), many)
    noise = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=r"points 0 and 1 it changes by .* over a distance of 0"):
        lt.approximate(lambda x: torch.rand(2, generator=noise), torch.zeros(2, 1))


def test_a_rise_within_rounding_does_not_exceed_the_class() -> None:
    points = torch.tensor([[0.0], [1e-3]], dtype=torch.float64)
    values = torch.tensor([0.0, 1e-3 + 3e-15], dtype=torch.float64)  # a slope of 1 + 3e-12
    assert lt.in_lipschitz_class(lt.approximate(lambda x: values, points), tol=1e-15)
    f = lt.affine_through(*points, *values.tolist())
    assert lt.in_lipschitz_class(f, tol=1e-15)


def test_a_rise_is_judged_in_the_precision_of_the_values() -> None:
    line = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
    for rounded in (lambda x: x[:, 0].float(), lambda x: x[:, 0] + 1e6):
        f = lt.approximate(rounded, line)
        assert torch.allclose(f(line)[:, 0], rounded(line).double(), rtol=1e-15, atol=1e-7)
    with pytest.raises(ValueError, match=r"1\.0e-13 too much"):
        lt.approximate(lambda x: (1 + 1e-13) * x[:, 0], torch.tensor([[0.0], [1.0]]))


def test_slopes_that_nearly_agree_are_told_apart() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0]]).double()
    values = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    for k in range(1, 40):
        values[2] = 1.0 - k * 1e-12
        f = lt.approximate(lambda x: values, points)
        assert torch.allclose(f(points)[:, 0], values, rtol=0, atol=4e-13)


def test_vector_valued() -> None:
    """m networks side by side are the vector function; no permutation is needed."""

    def g(x: Tensor) -> Tensor:
        return torch.stack([hills(x), -hills(x.flip(1)), x.abs().amax(dim=1)], dim=1)

    points, x = cell_centres(3, 2), uniform(300, 2)
    for method in ("lattice", "mcshane"):
        f = lt.approximate(g, points, math.inf, method)
        assert torch.allclose(f(points), g(points), rtol=0, atol=1e-12)
        assert lt.in_lipschitz_class(f, math.inf)
        for k in range(3):
            alone = lt.approximate(lambda x, k=k: g(x)[:, k], points, math.inf, method)
            assert torch.allclose(f(x)[:, k], alone(x)[:, 0], atol=1e-14)
        apart = torch.cdist(f(x), f(x), math.inf) - torch.cdist(x, x, math.inf)
        assert apart.max() <= 1e-12


def test_a_vector_valued_maximum_with_and_without_the_permutation_layer() -> None:
    def g(x: Tensor) -> Tensor:
        return torch.stack([hills(x), x.abs().amax(dim=1)], dim=1)

    def shifted(x: Tensor) -> Tensor:
        return g(x.flip(1)) - 0.1

    f, h = (lt.approximate(t, cell_centres(2, 2), math.inf) for t in (g, shifted))
    x = uniform(100, 2)
    layered, folded = lt.maximum(f, h, permutation=True), lt.maximum(f, h)
    assert torch.equal(layered(x), folded(x))
    assert torch.allclose(folded(x), torch.maximum(f(x), h(x)), atol=1e-14)
    permutation = layered[-3].weight
    assert torch.equal(permutation @ permutation.T, torch.eye(4).double())
    assert len(layered) == len(folded) + 1


def test_float32_points_and_values() -> None:
    points = cell_centres(5, 2).float()
    f = lt.approximate(lambda x: hills(x).float(), points)
    assert (f(points.double())[:, 0] - hills(points.double())).abs().max() < 1e-6
    assert f.float()(points).dtype == torch.float32
    exact = lt.approximate(hills, points)
    assert (exact(points.double())[:, 0] - hills(points.double())).abs().max() < 1e-14


def test_the_network_is_plain_enough_for_a_proof() -> None:
    f = lt.approximate(lambda x: x[:, 0].abs(), torch.tensor([[-1.0], [0.0], [1.0]]))
    assert lt.prove(f, lambda x: abs(x[0]), lambda x: abs(x[0]) <= 1)


def test_state_and_copies() -> None:
    f = lt.approximate(wave, cell_centres(6, 1))
    x = uniform(20, 1)
    other = lt.approximate(lambda x: -wave(x), cell_centres(6, 1))
    other.load_state_dict(f.state_dict())
    assert torch.equal(other(x), f(x))
    assert isinstance(f, lt.ChunkedSequential)
    assert isinstance(lt.maximum(f, nn.Sequential(lt.linear([[1.0]]))), lt.ChunkedSequential)
    file = io.BytesIO()
    torch.save(f, file)
    file.seek(0)
    for again in (copy.deepcopy(f), torch.load(file, weights_only=False)):
        assert torch.equal(again(x), f(x))
        assert lt.network_size(again) == lt.network_size(f)
    jacobian = torch.func.vmap(torch.func.jacrev(f))(x)
    assert jacobian.abs().max() <= 1 + 1e-12
