"""The constants of averages, lengths, centring and reflections, against whole matrices."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.layers.module_constants import constant, constant_to_max
from lipteach.robustness.certified_norms import norms_along
from lipteach.robustness.interval_bounds import EXACT, Reach, through
from lipteach.training.arrangement import check_steps

NORMS = (1, 2, math.inf)


def matrix_of(module: nn.Module, *shape: int) -> torch.Tensor:
    axes = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    with torch.no_grad():
        return (module(axes) - module(0 * axes)).flatten(1).mT


POOLS = [
    (nn.AvgPool2d(2), (2, 6, 4), True),
    (nn.AvgPool2d(2, divisor_override=2), (2, 6, 4), True),
    (nn.AvgPool2d((2, 3), (4, 3)), (1, 7, 6), True),
    (nn.AvgPool2d(2, padding=1), (1, 6, 6), True),
    (nn.AvgPool2d(3, 2, padding=1), (1, 6, 6), False),
    (nn.AvgPool2d(3, 1), (1, 9, 9), False),
    (nn.AvgPool2d(3, (1, 2), count_include_pad=False), (1, 7, 7), False),
    (nn.AvgPool2d(2, divisor_override=1), (1, 4, 4), True),
    (nn.AvgPool1d(3, 1), (2, 7), False),
    (nn.AvgPool1d(2), (3, 6), True),
    (nn.AvgPool3d(2, divisor_override=3), (1, 4, 4, 2), True),
    (nn.AvgPool3d((1, 2, 2), (1, 1, 2)), (1, 2, 3, 4), False),
]


@pytest.mark.parametrize(("pool", "shape", "exact"), POOLS, ids=str)
@pytest.mark.parametrize("p", NORMS)
def test_averages(pool: nn.Module, shape: tuple[int, ...], exact: bool, p: float) -> None:
    norm = float(torch.linalg.matrix_norm(matrix_of(pool, *shape), p))
    lower, upper = lt.lipschitz_bounds(pool, uniform(3, *shape), p)
    assert lower == pytest.approx(norm, rel=1e-9)
    assert norm <= upper * (1 + 1e-12)
    assert upper == pytest.approx(norm, rel=1e-12 if exact else 0.5)
    to_max = {1: math.inf, 2: 2, math.inf: 1}[p]
    largest = torch.linalg.vector_norm(matrix_of(pool, *shape), to_max, dim=1).max()
    assert constant_to_max(pool, p, set()) == pytest.approx(float(largest), rel=1e-12)


@pytest.mark.parametrize("k", [2, 3, (2, 3)])
def test_scaled_averages_have_the_norm_one_exactly(k) -> None:
    sides = (k, k) if isinstance(k, int) else k
    root = math.sqrt(math.prod(sides))
    pool = nn.Sequential(nn.AvgPool2d(k), lt.Scale(root))
    x = uniform(2, 3, 6, 6)
    assert lt.lipschitz_bounds(pool, x) == pytest.approx((1, 1), rel=1e-12)
    if isinstance(k, int):
        assert lt.lipschitz_bounds(pool, x).upper == 1
    M = matrix_of(pool, 3, 6, 6)
    torch.testing.assert_close(M @ M.mT, torch.eye(len(M)).double())


def test_the_audit_has_a_row_for_each(capsys) -> None:
    body = nn.Sequential(lt.Householder(2, dim=1), lt.Centering((1, 2, 3)))
    model = nn.Sequential(
        lt.ConvexCombination(body), nn.AvgPool2d(2), lt.Scale(2), nn.LPPool2d(2, 2)
    )
    found = lt.audit(model, uniform(4, 2, 8, 8).float())
    assert [row.kind for row in found.layers] == [
        "ConvexCombination", "Householder", "Centering", "AvgPool2d", "Scale ×2", "LPPool2d"
    ]  # fmt: skip
    assert [row.upper for row in found.layers] == [1, 1, 1, 0.5, 2, 1]
    assert [row.smallest for row in found.layers[1:4]] == [1, 0, 0.5]
    assert found.upper == 1
    assert found.within()
    assert lt.audit(nn.Sequential(nn.AvgPool2d(3, 1))).layers[0].lower == 0


@given(st.lists(st.floats(-7, 7), min_size=1, max_size=4), st.sampled_from(NORMS))
@settings(max_examples=60, deadline=None)
def test_a_householder_has_the_largest_norm_of_its_two_pieces(
    angles: list[float], p: float
) -> None:
    module = lt.Householder(2 * len(angles)).double().requires_grad_(False)
    module.angle.copy_(torch.tensor(angles))
    norms = [1.0]
    to_max = [1.0]
    for theta in angles:
        v = torch.tensor([math.cos(theta), math.sin(theta)], dtype=torch.float64)
        H = torch.eye(2).double() - 2 * torch.outer(v, v)
        norms.append(float(torch.linalg.matrix_norm(H, p)))
        dual = {1: math.inf, 2: 2, math.inf: 1}[p]
        to_max.append(float(torch.linalg.vector_norm(H, dual, dim=1).max()))
    assert constant(module, p, set()) == pytest.approx(max(norms), rel=1e-6)
    assert constant_to_max(module, p, set()) == pytest.approx(max(to_max), rel=1e-6)
    lower, upper = lt.lipschitz_bounds(module, uniform(40, 2 * len(angles)), p)
    assert upper == pytest.approx(max(norms), rel=1e-6)
    assert lower <= upper


@pytest.mark.parametrize("p", NORMS)
def test_centring_and_lengths(p: float) -> None:
    centre, x = lt.Centering((1, 2)), uniform(5, 3, 4)
    assert lt.lipschitz_bounds(centre, x, p) == pytest.approx(
        (1, 1) if p == 2 else (2 - 2 / 12, 2 - 2 / 12)
    )
    rows = lt.Centering(-1)
    assert lt.lipschitz_bounds(rows, x, p).upper == pytest.approx(1 if p == 2 else 2 - 2 / 4)
    pool = nn.LPPool2d(2, (2, 3))
    images = 2 * uniform(30, 2, 4, 6) ** 3
    lower, upper = lt.lipschitz_bounds(pool, images, p)
    assert upper == pytest.approx(math.sqrt(6) if p == math.inf else 1)
    assert lower <= upper
    equal = torch.ones(1, 1, 2, 3).double()
    if p == math.inf:
        assert lt.lipschitz_bounds(pool, equal, p).lower == pytest.approx(upper, rel=1e-6)


def test_lengths_of_windows_keep_norms_and_gradients() -> None:
    x = uniform(3, 2, 4, 6)
    pool = nn.LPPool2d(2, (2, 3))
    torch.testing.assert_close(pool(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))
    J = torch.func.jacrev(lambda t: pool(t[None]).flatten())(x[0]).reshape(8, -1)
    torch.testing.assert_close(J @ J.mT, torch.eye(8).double())
    zero = torch.zeros(1, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(nn.LPPool2d(2, 2)(zero).sum(), zero)
    assert torch.equal(gradient, torch.zeros(1, 2, 2))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize(
    ("pool", "shape", "pixels", "meetings"),
    [
        (nn.LPPool1d(2, 3), (2, 6), 3, 1),
        (nn.LPPool2d(2.0, 3, 2), (1, 7, 7), 9, 4),
        (nn.LPPool3d(2, 2, 1), (1, 3, 3, 3), 8, 8),
    ],
)
def test_lengths_of_windows_that_overlap(pool, shape, pixels, meetings, p: float) -> None:
    x = 2 * uniform(30, *shape) ** 3
    lower, upper = lt.lipschitz_bounds(pool, x, p)
    assert upper == pytest.approx({1: meetings, 2: meetings**0.5, math.inf: pixels**0.5}[p])
    assert 0.3 * upper < lower <= upper


def test_what_mixes_samples_has_no_bound(capsys) -> None:
    for module in (lt.Centering(0), lt.Centering((-1, -2)), lt.Centering((1, -2))):
        network = nn.Sequential(module)
        with pytest.warns(lt.UnknownBoundWarning, match="mixes the samples"):
            assert lt.lipschitz_bounds(network, uniform(2, 4)).upper == math.inf
    for module in (lt.Householder(2, dim=0), lt.Householder(2, dim=-2), lt.Centering(0)):
        assert lt.audit(nn.Sequential(module)).upper == math.inf


@given(st.integers(0, 999), st.sampled_from(NORMS), st.sampled_from(NORMS))
@settings(max_examples=60, deadline=None)
def test_no_pair_of_points_exceeds_the_bounds(seed: int, p: float, q: float) -> None:
    """From any norm to any other, through chains of all of them."""
    turn = lt.Householder(4, dim=1).double().requires_grad_(False)
    turn.angle.copy_(uniform(2, low=-4, high=4, seed=seed))
    parts = [
        turn, lt.Centering((1, 2, 3)), lt.Centering((2, 3)), nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, padding=1), nn.LPPool2d(2, 2), lt.Abs(),
        lt.ConvexCombination(lt.Centering(1), turn, 0.3).double(),
    ]  # fmt: skip
    order = torch.randperm(len(parts), generator=torch.Generator().manual_seed(seed))
    network = nn.Sequential(*(parts[k] for k in order[:4])).requires_grad_(False)
    x = uniform(300, 4, 8, 8, seed=seed)
    size = torch.logspace(-3, 0, 300, dtype=torch.float64).view(-1, 1, 1, 1)
    sparse = (uniform(300, 4, 8, 8, seed=seed + 1) > 0.95) + uniform(300, 4, 1, 1, seed=seed + 2)
    y = x + size * sparse
    rise = torch.linalg.vector_norm((network(y) - network(x)).flatten(1), q, dim=1)
    run = torch.linalg.vector_norm((y - x).flatten(1), p, dim=1)
    assert float((rise / run).max()) <= norms_along(network, x[:2], p)[q] * (1 + 1e-9)


def test_mixtures_keep_the_constant_and_count_with_their_shares() -> None:
    x = uniform(4, 3)
    for share, p in itertools.product((0.1, 0.5, 0.9), NORMS):
        block = lt.ConvexCombination(lt.Scale(-3.0), lt.Scale(2.0), share).double()
        share = float(block.share.detach())
        bounds = lt.lipschitz_bounds(block, x, p)
        assert bounds.upper == pytest.approx(2 * (1 - share) + 3 * share, rel=1e-12)
        fixed = lt.Residual(nn.Sequential(lt.MaxMin(1), lt.Scale(share)), lt.Scale(1 - share))
        assert lt.lipschitz_bounds(fixed, uniform(4, 4), p).upper == pytest.approx(1, rel=1e-12)
    deep = nn.Sequential(*(lt.ConvexCombination(lt.FullSort(1)) for _ in range(6)))
    assert lt.lipschitz_bounds(deep, x) == pytest.approx((1, 1), rel=1e-9)
    assert lt.audit(deep, x.float()).upper == pytest.approx(1, rel=1e-12)


def test_a_scheme_promises_a_constant_only_with_what_keeps_it() -> None:
    linear = nn.Linear(4, 4)
    for kept in (nn.AvgPool1d(2), nn.AvgPool1d(3, 1, padding=1)):
        check_steps(nn.Sequential(linear, kept))
    for refused in (
        nn.AvgPool2d(2, divisor_override=1), lt.Householder(4), nn.LPPool2d(2, 2),
        lt.Centering(), lt.BoundedBatchNorm(4),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="known not"):
            check_steps(nn.Sequential(linear, refused))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_margins_behind_householder_activations_and_means(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    turn = lt.Householder(8, dim=1)
    nn.init.uniform_(turn.angle, -3, 3)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), turn, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)
    ).to(dtype)  # fmt: skip
    x = uniform(3, 1, 4, 4, low=0.2, high=0.8).to(dtype)
    y = model(x).argmax(1)
    eps = 0.05
    bounds = lt.margin_bounds(model, x, y, eps)
    assert torch.isfinite(bounds).all()
    with torch.no_grad():
        for seed in range(200):
            near = (x + eps * uniform(3, 1, 4, 4, seed=seed).sign().to(dtype)).clamp(0, 1)
            Z = model(near)
            margins = Z.gather(1, y[:, None]) - Z
            assert bool((margins >= bounds - 1e-12).all())
        tight = lt.margin_bounds(model, x, y, 0.0)
        Z = model(x)
        torch.testing.assert_close(
            Z.gather(1, y[:, None]) - Z, tight.to(dtype), atol=1e-4, rtol=1e-4
        )


@given(st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_the_reach_behind_a_householder_and_a_mean_holds_every_point(seed: int) -> None:
    turn = lt.Householder(4, dim=1).double().requires_grad_(False)
    turn.angle.copy_(uniform(2, low=-4, high=4, seed=seed))
    low = uniform(2, 4, 4, seed=seed + 1)
    high = low + uniform(2, 4, 4, low=0.0, high=1.0, seed=seed + 2)
    points = low + (high - low) * uniform(300, 2, 4, 4, low=-0.5, high=1.5, seed=seed).clamp(0, 1)
    for step in (turn, nn.AvgPool1d(3, 1, padding=1)):
        reach = through(step, Reach(low, high, torch.zeros(2).double()), EXACT)
        y = step(points.flatten(0, 1)).view(300, 2, 4, -1)
        assert bool((reach.lower <= y).all())
        assert bool((y <= reach.upper).all())
        assert float((reach.upper - reach.lower).max()) < 4


def test_the_exact_radius_of_a_householder_network() -> None:
    torch.manual_seed(1)
    turn = lt.Householder(4)
    as_sort = nn.Sequential(nn.Linear(2, 4), lt.MaxMin(), nn.Linear(4, 2)).double()
    turned = nn.Sequential(as_sort[0], turn.double(), as_sort[2])
    for point in uniform(3, 2, low=0.1, high=0.9):
        label = int(as_sort(point).argmax())
        want, got = (lt.exact_radius(f, point, label, timeout=20) for f in (as_sort, turned))
        assert got.lower == pytest.approx(want.lower, rel=1e-3, abs=1e-5)


def test_what_is_proved_of_a_householder() -> None:
    same = lt.Householder(4).double()
    same.angle.data.fill_(-math.pi / 4)
    assert lt.prove(same, lt.MaxMin(), domain=4 * [(None, None)])
    same.angle.data.copy_(torch.tensor([0.0, -math.pi / 4], dtype=torch.float64))
    claim = lambda x: [abs(x[0]), x[1], lt.terms.Max(x[2], x[3]), lt.terms.Min(x[2], x[3])]  # noqa: E731
    assert lt.prove(same, claim, domain=4 * [(None, None)])
    found = lt.prove(same, lt.MaxMin(), domain=4 * [(-1, 1)])
    assert isinstance(found, lt.Counterexample)
    with pytest.raises(ValueError, match="Householder must fit the last dimension in a proof"):
        lt.prove(lt.Householder(4, dim=1), lambda x: x, domain=4 * [(-1, 1)])
    with pytest.raises(ValueError, match="and 2 entries for 2 angles"):
        lt.prove(lt.Householder(4), lambda x: x, domain=2 * [(-1, 1)])
