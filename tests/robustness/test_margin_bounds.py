"""Certificates hold against attacks, grids and rounding, and are as tight as they say."""

import math
import warnings
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from robustness_support import ACTIVATIONS, differences, grid, network
from support import generator, normal, uniform
from torch import Tensor, nn

import lipteach as lt
from lipteach.robustness.interval_bounds import Format
from lipteach.training import initialize_

EYE = torch.eye(2, dtype=torch.float64)


# ---------------------------------------------------------------- sound


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), eps=st.floats(1e-4, 1.0), p=st.sampled_from([1, 2, math.inf]))
def test_no_point_of_a_dense_grid_crosses_a_certificate(activation, dtype, seed, eps, p) -> None:
    model = network(seed, activation).to(dtype)
    x = uniform(3, 2, low=0, high=1, seed=seed).to(dtype)
    y = torch.arange(3)
    bounds = lt.margin_bounds(model, x, y, eps, p)
    for k in range(3):
        points = grid(x[k].double(), eps)
        near = torch.linalg.vector_norm(points - x[k].double(), p, dim=1) <= eps
        points = torch.cat([points[near].to(dtype), x[k : k + 1]])
        inside = torch.linalg.vector_norm(points.double() - x[k].double(), p, dim=1) <= eps
        found = differences(model, points[inside], y[k].expand(int(inside.sum())))
        assert (found >= bounds[k]).all()


@pytest.mark.filterwarnings("ignore::lipteach.AttackWarning")  # of units that are dead
@pytest.mark.parametrize("p", [2, math.inf])
@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    eps=st.floats(0.01, 0.5),
    double=st.booleans(),
)
def test_no_attack_from_many_starts_crosses_a_certificate(p, seed, activation, eps, double) -> None:
    model = network(seed, activation, inputs=9).to(torch.float64 if double else torch.float32)
    x = uniform(4, 9, low=0, high=1, seed=seed).to(model[0].weight.dtype)
    y = torch.arange(4) % 3
    bounds = lt.margin_bounds(model, x, y, eps, p)
    for k, start in enumerate((0.0, 0.3, 1.0)):
        found = lt.pgd(
            model, x, y, eps, 15, eps / 6, start, generator=generator(k), p=p, targets="all"
        )
        assert (differences(model, found, y) >= bounds).all()


def test_images_and_convolutions() -> None:
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, stride=2, padding=1), lt.MaxMin(1), nn.MaxPool2d(2), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(16, 5)),
    ).eval()
    initialize_(model, generator())
    x, y = uniform(6, 1, 8, 8, low=0, high=1).float(), torch.arange(6) % 5
    bounds = lt.margin_bounds(model, x, y, 0.1)
    found = lt.pgd(model, x, y, 0.1, 30, targets="all")
    assert (differences(model, found, y) >= bounds).all()
    plain = nn.Sequential(model[0], nn.Flatten(), nn.Linear(64, 5))
    initialize_(plain, generator(1))
    W, b = matrix(plain, x), plain(torch.zeros(1, 1, 8, 8)).double().detach()
    D = W[y][:, None] - W
    inner = 0.25 + x / 2
    exact = (D @ inner.double().flatten(1)[..., None])[..., 0] + b[0, y][:, None] - b
    wanted = exact - 0.1 * D.abs().sum(2)
    found = lt.margin_bounds(plain, inner, y, 0.1)
    assert (found < wanted)[~torch.eye(5).bool()[y]].all()
    linear = nn.Linear(64, 5).double()
    linear.weight.data, linear.bias.data = W, b[0]
    torch.testing.assert_close(
        lt.margin_bounds(linear, inner.double().flatten(1), y, 0.1), wanted, rtol=0, atol=1e-12
    )


def matrix(model: nn.Module, x: Tensor) -> Tensor:
    size = x[0].numel()
    with torch.no_grad():
        at = model(torch.eye(size).view(size, *x.shape[1:])) - model(torch.zeros(1, *x.shape[1:]))
    return at.mT.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_that_rounds_does_not_cross_either(dtype) -> None:
    """The exact margin is 0.5 all over; what a run computes of it is often below 0."""
    big = 1e8 if dtype == torch.float32 else 1e16
    first = lt.frozen_linear([[big, 0.0], [0.0, big]])
    model = nn.Sequential(first, lt.frozen_linear([[1.0, 1.0], [1.0, 1.0]], [0.5, 0.0])).to(dtype)
    x = uniform(1, 2, low=0.2, high=0.8).to(dtype)
    y = torch.tensor([0])
    assert (differences(model, grid(x[0], 0.1), y.expand(1681))[:, 1] < 0.5).any()
    assert lt.margin_bounds(model, x, y, 0.1)[0, 1] < 0
    small = nn.Sequential(lt.Scale(1.0 / big), *model).to(dtype)
    assert 0.49 < lt.margin_bounds(small, x, y, 0.1)[0, 1] < 0.5


def test_the_rounding_of_a_run_is_that_of_its_dtype() -> None:
    """Sums of 10,000 products: in float32 a margin of 1e-4 of their size is not certain."""
    for margin, dtype, certain in (
        (1e-4, torch.float32, False),
        (1e-4, torch.float64, True),
        (1e-2, torch.float32, True),
        (1e-13, torch.float64, False),
    ):
        row = torch.full((2, 10_000), 1e-4, dtype=torch.float64)
        model = lt.frozen_linear(row, [margin, 0.0]).to(dtype)
        x = torch.full((1, 10_000), 0.9, dtype=dtype)
        found = lt.margin_bounds(model, x, torch.tensor([0]), 0.0)[0, 1]
        assert (found > 0) == certain, (margin, dtype)


def test_what_a_hidden_layer_loses_is_carried_on() -> None:
    """A pixel beside two large numbers that cancel: a float32 run forgets it, and what follows."""
    cancel = lt.frozen_linear([[1e9, -1e9, 1.0]])
    last = lt.frozen_linear([[1.0], [0.0]])
    x = torch.tensor([[0.5, 0.5, 0.25]])
    y = torch.tensor([0])
    kept = torch.tensor([[1.0]])
    for between in ([], [lt.frozen_linear(kept)], [lt.Selection([0], 1), lt.frozen_linear(kept)]):
        model = nn.Sequential(cancel, *between, last)
        assert 0.2 < lt.margin_bounds(model.double(), x.double(), y, 0.0)[0, 1] < 0.25
        model[0].float(), model[-1].float()
        for module in between:
            if not isinstance(module, lt.Selection):  # which keeps its float64
                module.float()
        assert lt.margin_bounds(model, x, y, 0.0)[0, 1] < 0


def scales(*factors: float, before: float = 1.0) -> nn.Sequential:
    return nn.Sequential(lt.frozen_linear(before * EYE), *(lt.Scale(a) for a in factors))


X = torch.tensor([[0.75, 0.5]])


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (scales(1e-30, 1e-18, 1e30, 1e18), torch.float32),
        (scales(1e30, 1e30, 1e-30, 1e-30), torch.float32),
        (scales(1e-50, 1e30), torch.float32),
        (scales(1e39, 1e-39), torch.float32),
        (scales(1e6, 1e-6), torch.float16),
        (nn.Sequential(*scales(1e-46, before=1e38), lt.frozen_linear(EYE)), torch.float32),
        (lt.frozen_linear([[6e4, 0.0], [5e4, 0.0]], [6e4, 5e4]), torch.float16),
        (scales(1e-200, 1e-200, 1e300), torch.float64),
        (scales(1e200, 1e200, 1e-200, 1e-200), torch.float64),
    ],
)
def test_a_run_that_leaves_the_range_of_its_dtype_has_no_certificate(model, dtype) -> None:
    model, x, y = model.to(dtype), X.to(dtype), torch.tensor([0])
    run = differences(model, x, y)[0, 1]
    assert not run > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.UnknownBoundWarning)
        assert lt.margin_bounds(model, x, y, 0.0)[0, 1] <= 0


def test_partial_sums_that_leave_the_range_have_no_certificate() -> None:
    """6e4 + 6e4 is infinite in float16, though 6e4 + 6e4 − 6e4 is not."""
    first, last = lt.frozen_linear([[6e4, 6e4, -6e4]]), lt.frozen_linear([[1e-4], [0.0]])
    x, y = torch.ones(1, 3), torch.tensor([0])
    for dtype, certain in ((torch.float16, False), (torch.float32, True)):
        model = nn.Sequential(first, last).to(dtype)
        found = lt.margin_bounds(model, x.to(dtype), y, 0.0)[0, 1]
        assert (found > 0) == certain


@pytest.mark.parametrize("sort", [lt.MaxMin(), lt.FullSort(), nn.ReLU()])
def test_intervals_beyond_the_range_of_float64_are_no_error(sort) -> None:
    """The image itself stays within it, and its box does not."""
    model = nn.Sequential(
        lt.frozen_linear([[1e300, 0.0], [0.0, 1e300]]), lt.Scale(1e9), sort, lt.frozen_linear(EYE)
    )
    x = torch.tensor([[0.03, 0.01]]).double()
    assert (lt.margin_bounds(model, x, torch.tensor([0]), 0.5)[0, 1]) == -math.inf


def test_the_worst_of_several_dtypes_counts() -> None:
    """bfloat16 rounds more, and float16 ends at 65504."""
    both = Format.of(torch.bfloat16, torch.float16)
    assert both == (2.0**-7, 2.0**-14, 65504)
    model = nn.Sequential(lt.frozen_linear(3e5 * EYE), lt.frozen_linear(1e-5 * EYE)).bfloat16()
    x, y = X.bfloat16(), torch.tensor([0])
    assert lt.margin_bounds(model, x, y, 0.0)[0, 1] > 0
    model[1].half()
    assert lt.margin_bounds(model, x, y, 0.0)[0, 1] == -math.inf


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_constants_of_tiny_rows_do_not_vanish(p) -> None:
    """The squares of 1e-170 are 0 in float64."""
    tiny = lt.frozen_linear(1e-170 * EYE)
    model = nn.Sequential(lt.frozen_linear(1e170 * EYE), lt.Abs(), tiny).double()
    x = torch.tensor([[0.6, 0.5]], dtype=torch.float64)
    found = lt.margin_bounds(model, x, torch.tensor([0]), 0.3, p)[0, 1]
    assert found < 0.1 - 0.25


def test_rows_that_are_taken_apart_have_no_certificate() -> None:
    """A ChunkedSequential gives its modules rows, whatever the samples are."""
    chunked = lt.ChunkedSequential(nn.Flatten(1), lt.FullSort())
    last = lt.frozen_linear([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    model = nn.Sequential(chunked, nn.Flatten(), last)
    x = uniform(3, 2, 2, low=0, high=1)
    with pytest.warns(lt.UnknownBoundWarning, match="0.0 .Flatten"):
        assert (lt.margin_bounds(model, x, torch.tensor([0, 0, 1]), 0.0) == -math.inf).all()
    with pytest.raises(ValueError, match="ChunkedSequential"):
        lt.exact_radius(model, x[0], 0)
    rows = lt.ChunkedSequential(lt.frozen_linear(EYE), lt.MaxMin())
    assert torch.isfinite(lt.margin_bounds(rows, X.double(), torch.tensor([0]), 0.1)).all()


# ---------------------------------------------------------------- tight


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_it_is_exact_for_affine_logits(p) -> None:
    W, b = normal(4, 6), normal(4, seed=1)
    x, y = uniform(20, 6, low=0.3, high=0.7, seed=2), torch.arange(20) % 4
    D = W[y][:, None] - W
    dual = {1: math.inf, 2: 2, math.inf: 1}[p]
    exact = differences(lt.frozen_linear(W, b), x, y) - 0.2 * torch.linalg.vector_norm(D, dual, 2)
    found = lt.margin_bounds(lt.frozen_linear(W, b), x, y, 0.2, p)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-7 if p != math.inf else 1e-12)
    assert (found <= exact).all()
    for factor in (3.0, -0.5):
        scaled = nn.Sequential(lt.frozen_linear(W, b), lt.Scale(factor))
        same = lt.frozen_linear(factor * W, factor * b)
        torch.testing.assert_close(
            lt.margin_bounds(scaled, x, y, 0.2, p), lt.margin_bounds(same, x, y, 0.2, p)
        )


def test_the_box_ends_at_0_and_1() -> None:
    model = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
    x, y = torch.tensor([[1.0, 0.0], [0.05, 1.0]]).double(), torch.tensor([0, 1])
    found = lt.margin_bounds(model, x, y, 0.2)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 0.8 - 0.25]).double())
    torch.testing.assert_close(found[:, 1], torch.tensor([0.8 - 0.2, 0.0]).double())
    flipped = lt.margin_bounds(lt.frozen_linear([[-1.0, 0.0], [0.0, -1.0]]), 1 - x, y, 0.2)
    torch.testing.assert_close(flipped, found)


def test_a_negative_scale_exchanges_the_ends() -> None:
    model = nn.Sequential(lt.Scale(-2.0), nn.ReLU(), lt.frozen_linear([[1.0], [0.0]], [2.0, 0.0]))
    shifted = nn.Sequential(lt.frozen_linear([[1.0]], [-1.0]), *model)
    x, y = torch.tensor([[0.5], [0.875]]).double(), torch.tensor([0, 0])
    found = lt.margin_bounds(shifted, x, y, 0.125)[:, 1]
    wanted = torch.tensor([2 + 2 * 0.375, 2 + 0.0]).double()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_a_fold_inside_the_box_reaches_0() -> None:
    fold = nn.Sequential(lt.frozen_linear([[1.0]], [-0.5]), lt.Abs())
    model = nn.Sequential(*fold, lt.frozen_linear([[1.0], [0.0]]))
    x, y = torch.tensor([[0.5], [0.25]]).double(), torch.tensor([0, 0])
    wanted = torch.tensor([0.0, 0.125]).double()
    found = lt.margin_bounds(model, x, y, 0.125)[:, 1]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("module", [lt.FullSort(), lt.GroupSort(3), nn.ReLU(), lt.MaxMin()])
def test_it_is_exact_through_sorts_and_relu_alone(module) -> None:
    """Each entry of the output is least at the lowest corner of the box, and largest at the top."""
    x = uniform(10, 6, low=0.3, high=0.7)
    y = torch.zeros(10).long()
    found = lt.margin_bounds(module, x, y, 0.1)
    with torch.no_grad():
        low, high = module(x - 0.1), module(x + 0.1)
    intervals = low[:, :1] - high
    intervals[:, 0] = 0
    assert (found >= intervals - 1e-12).all()
    with torch.no_grad():  # one logit low and another high, which some image of the box has nearly
        reached = differences(module, x, y)
    assert (found <= reached).all()


def test_differences_of_rows_are_narrower_than_those_of_intervals() -> None:
    """What moves both logits alike does not count."""
    model = lt.frozen_linear([[1.0, 1.0], [1.0, 0.9]])
    x, y = torch.full((1, 2), 0.5).double(), torch.tensor([0])
    found = lt.margin_bounds(model, x, y, 0.1)[0, 1]
    assert abs(found - (0.05 - 0.01)) < 1e-12


def test_the_constants_of_pairs_count_where_intervals_are_wide() -> None:
    """A rotation by 45° and back: in the 2-norm nothing is lost, and intervals double."""
    R = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double() / math.sqrt(2)
    model = nn.Sequential(lt.frozen_linear(R), lt.frozen_linear(R.mT), lt.frozen_linear(EYE))
    x, y = torch.tensor([[0.7, 0.4]], dtype=torch.float64), torch.tensor([0])
    found = lt.margin_bounds(model, x, y, 0.1, 2)[0, 1]
    assert abs(found - (0.3 - 0.1 * math.sqrt(2))) < 1e-8
    assert lt.margin_bounds(model, x, y, 0.1)[0, 1] < found - 0.05


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_a_larger_ball_and_a_larger_norm_certify_less(seed) -> None:
    model = network(seed, "maxmin", inputs=5).double()
    x, y = uniform(4, 5, low=0, high=1, seed=seed), torch.arange(4) % 3
    found = [lt.margin_bounds(model, x, y, eps) for eps in (0.0, 0.01, 0.1, 0.5)]
    for one, two in pairwise(found):
        assert (two <= one).all()
    torch.testing.assert_close(found[0], differences(model, x, y), rtol=1e-9, atol=1e-9)
    by_norm = [lt.margin_bounds(model, x, y, 0.1, p) for p in (1, 2, math.inf)]
    assert (by_norm[0] >= by_norm[1] - 1e-9).all()
    assert (by_norm[1] >= by_norm[2] - 1e-9).all()


# ---------------------------------------------------------------- what is not known


class Other(nn.Module):
    """A module of one's own."""

    def forward(self, x: Tensor) -> Tensor:
        """Return half of it."""
        return x / 2


@pytest.mark.parametrize(
    "module",
    [
        Other(),
        nn.Tanh(),
        nn.LeakyReLU(-0.5),
        nn.LeakyReLU(2.0),
        lt.FullSort(dim=0),
        nn.BatchNorm1d(2),
    ],
)
def test_nothing_is_certified_of_what_is_not_known(module) -> None:
    model = nn.Sequential(nn.Linear(2, 2), module, nn.Linear(2, 3)).double()
    x, y = uniform(4, 2, low=0, high=1), torch.arange(4) % 3
    with pytest.warns(lt.UnknownBoundWarning, match=f"1 .{type(module).__name__}"):
        found = lt.margin_bounds(model, x, y, 0.1)
    assert found.shape == (4, 3)
    assert (found == -math.inf).all()


def test_nothing_is_certified_where_a_hook_has_a_say() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3)).double()
    model[1].register_forward_hook(lambda _m, _x, y: 100 * y)
    x, y = uniform(4, 2, low=0, high=1), torch.arange(4) % 3
    with pytest.warns(lt.UnknownBoundWarning, match="ReLU"):
        assert (lt.margin_bounds(model, x, y, 0.1) == -math.inf).all()


def test_constrained_layers_count_as_they_are_read_and_the_model_is_left_alone() -> None:
    model = nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin(), lt.linf(nn.Linear(4, 3)))
    x, y = uniform(4, 4, low=0, high=1).float(), torch.arange(4) % 3
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = lt.margin_bounds(model, x, y, 0.1)
    assert torch.equal(found, lt.margin_bounds(lt.export(model), x, y, 0.1))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ---------------------------------------------------------------- the radius of a constant


@pytest.mark.parametrize(("p", "factor"), [(1, 1.0), (2, math.sqrt(2)), (math.inf, 2.0)])
def test_the_certified_radius_is_attained_and_not_passed(p, factor) -> None:
    """f is L times the identity: within the radius the first logit leads, and beyond the other."""
    x = torch.tensor([0.8, 0.3], dtype=torch.float64)
    radius = lt.certified_radius(3 * x, 3.0, p)
    assert math.isclose(radius, 0.5 / factor, rel_tol=1e-12)
    way = torch.tensor([-1.0, 0.0 if p == 1 else 1.0]).double()
    step = way / torch.linalg.vector_norm(way, p)
    inside, beyond = (3 * (x + t * radius * step) for t in (1 - 1e-9, 1 + 1e-9))
    assert inside[0] > inside[1]
    assert beyond[0] < beyond[1]


def test_the_certified_radius_takes_batches_and_rounds_down() -> None:
    logits = normal(50, 7).float()
    radius = lt.certified_radius(logits, 3.0, 2)
    top = logits.double().sort(-1, descending=True).values
    assert radius.shape == (50,)
    assert radius.dtype == torch.float32
    exact = (top[:, 0] - top[:, 1]) / (3 * math.sqrt(2))
    assert (radius.double() <= exact).all()
    torch.testing.assert_close(radius.double(), exact, rtol=1e-6, atol=0)
    assert lt.certified_radius(torch.ones(3), 1.0) == 0


@pytest.mark.parametrize(
    ("logits", "L", "p"),
    [
        ((1e308, -1e308), 1e10, math.inf),
        ((1e308, -1e308), 1e308, 1),
        ((1e-300, 0.0), 5e-324, 2),
        ((5e-324, 0.0), 1.0, 2),
        ((1.0, 0.0), 1e-310, 2),
    ],
)
def test_the_certified_radius_is_below_the_exact_one_at_the_ends_of_the_range(logits, L, p) -> None:
    found = lt.certified_radius(torch.tensor(logits, dtype=torch.float64), L, p).item()
    gap = Fraction(logits[0]) - Fraction(logits[1])
    squared = (gap / Fraction(L)) ** 2 / {1: 1, 2: 2, math.inf: 4}[p]
    assert Fraction(found) ** 2 <= squared


def test_no_image_within_the_radius_is_told_otherwise() -> None:
    model = network(3, "maxmin", inputs=6).double()
    x = uniform(20, 6, low=0, high=1)
    with torch.no_grad():
        Z = model(x)
    for p in (2, math.inf):
        L = lt.lipschitz_bounds(model, x, p).upper
        for k, radius in enumerate(lt.certified_radius(Z, L, p).tolist()):
            if radius > 0:
                found = lt.pgd(model, x[k : k + 1], Z[k : k + 1].argmax(1), radius, 10, p=p)
                assert model(found).argmax() == Z[k].argmax()
