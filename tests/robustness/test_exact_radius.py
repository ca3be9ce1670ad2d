"""The exact radius against closed forms, grids, attacks from many starts and the SMT solver."""

import itertools
import math
import time

import pytest
import torch
from alterations import ALTERATIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from support import normal, uniform
from torch import nn

import lipteach as lt
from lipteach.robustness.rectifiers import encode, least_move

ACTIVATIONS = {
    "ReLU": nn.ReLU,
    "LeakyReLU": lambda: nn.LeakyReLU(0.3),
    "LeakyReLU, falling": lambda: nn.LeakyReLU(-0.5),
    "LeakyReLU, concave": lambda: nn.LeakyReLU(2.0),
    "Abs": lt.Abs,
    "MaxMin": lt.MaxMin,
    "GroupSort": lambda: lt.GroupSort(3, dim=1),
    "FullSort": lt.FullSort,
    "Maxout": lambda: lt.Maxout(3),
}
ALL = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)


def network(activation, sizes, seed=0, scale=1.5) -> nn.Sequential:
    modules, width = [], sizes[0]
    for i, size in enumerate(sizes[1:]):
        W, b = normal(size, width, seed=seed + i), normal(size, seed=seed + i + 50)
        modules += [lt.linear(scale * W / math.sqrt(width), b / 3), activation()]
        width = size // modules[-1].size if isinstance(modules[-1], lt.Maxout) else size
    return nn.Sequential(*modules[:-1])


def label(model: nn.Module, x) -> int:
    return int(model(x[None]).argmax())


def holds(model: nn.Module, x, y: int, found, gap: float = 1e-4) -> None:
    """What is said of the input is so, and the two bounds have met."""
    assert 0 <= found.lower <= found.upper <= (1 + gap) * found.lower
    assert found.input.shape == x.shape
    assert found.input.dtype == torch.float64
    assert found.input.min() >= 0
    assert found.input.max() <= 1
    Z = model.double()(found.input[None])[0].tolist()
    assert max(z for k, z in enumerate(Z) if k != y) >= Z[y]
    distance = float((found.input - x.double()).abs().max())
    assert distance < found.upper <= distance + 1e-15


def linear_radius(W, b, x, y: int, slack: float = 0.0) -> float:
    """The least t with max over the box of (w·x' + c) ≥ 0, entry by entry, for some class."""

    def reaches(t: float, k: int) -> bool:
        w = W[k] - W[y]
        corner = torch.where(w > 0, (x + t).clamp(max=1), (x - t).clamp(min=0))
        return float(w @ corner + b[k] - b[y]) + slack >= 0

    def least(k: int) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if reaches(middle, k) else (middle, high)
        return high if reaches(1.0, k) else math.inf

    return min(least(k) for k in range(len(W)) if k != y)


@given(
    n=st.integers(1, 6), classes=st.integers(2, 4), bias=st.floats(0, 3), seed=st.integers(0, 999)
)
@settings(max_examples=20)
def test_of_a_linear_classifier_it_is_the_closed_form(n, classes, bias, seed: int) -> None:
    """Clamped at the cube as well; a large bias leaves some classes out of reach."""
    W, b = normal(classes, n, seed=seed), bias * normal(classes, seed=seed + 1)
    x = uniform(n, low=0, seed=seed + 2)
    model = lt.linear(W, b)
    y = label(model, x)
    found, truth = lt.exact_radius(model, x, y), linear_radius(W, b, x, y)
    assert found.lower <= truth + 1e-12
    if linear_radius(W, b, x, y, 1e-4) == math.inf:
        assert found == (math.inf, math.inf, None)
    elif linear_radius(W, b, x, y, -1e-4) < math.inf:
        holds(model, x, y, found)
        assert found.upper >= truth - 1e-12
    else:  # it is nearly touched at a corner of the cube
        assert found.upper >= truth - 1e-12


def test_the_distance_to_a_hyperplane_is_the_margin_over_the_dual_norm() -> None:
    model = lt.linear([[3.0, -1.0], [0.0, 0.0], [-9.0, 0.0]], [0.1, 0.0, 0.0])
    found = lt.exact_radius(model, torch.tensor([0.3, 0.4]), 0)
    assert found.upper == pytest.approx(0.6 / 4, rel=1e-5)
    clamped = lt.exact_radius(model, torch.tensor([0.3, 0.9]), 0)  # 3 (0.3 − t) + 0.1 = 1
    assert clamped.upper == pytest.approx(0.1 / 4, rel=1e-5)
    clamped = lt.exact_radius(lt.linear([[3.0, -1.0], [0.0, 0.0]]), torch.tensor([0.5, 0.9]), 0)
    assert clamped.upper == pytest.approx(1 / 6, rel=1e-5)  # 3 (0.5 − t) = 1, the second stays at 1
    assert clamped.input.tolist() == pytest.approx([1 / 3, 1], abs=1e-5)


@ALL
def test_no_point_of_a_dense_grid_is_nearer(activation) -> None:
    side = torch.linspace(0, 1, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    reached = 0
    sizes = [2, 6, 3] if activation is lt.FullSort else [2, 6, 6, 3]
    for seed in range(3):
        model = network(activation, sizes, seed=10 * seed)
        x = uniform(2, low=0, seed=seed)
        y = label(model, x)
        found = lt.exact_radius(model, x, y)
        near = (grid - x).abs().amax(1)[model(grid).argmax(1) != y]
        if not len(near):
            assert found.upper > 0.1
            continue
        reached += 1
        holds(model, x, y, found)
        assert found.lower <= near.min()
        assert found.upper <= near.min() * (1 + 1e-4)
        assert near.min() <= found.upper + 1 / 40  # the grid is fine
    assert reached


@given(kind=st.sampled_from([*ACTIVATIONS]), n=st.integers(2, 5), seed=st.integers(0, 10**6))
@settings(max_examples=8)
def test_no_attack_from_any_start_is_nearer_than_lower(kind: str, n: int, seed: int) -> None:
    model = network(ACTIVATIONS[kind], [n, 6, 3], seed=seed)
    x = uniform(n, low=0, seed=seed)
    y = label(model, x)
    found = lt.exact_radius(model, x, y)
    r = min(found.lower, 1.0)
    low, high = (x - r).clamp(min=0), (x + r).clamp(max=1)
    points = low + (high - low) * uniform(500, n, low=0, seed=seed).round(decimals=1)
    for _ in range(20):
        points = points.detach().requires_grad_()
        Z = model(points)
        others = Z.clone()
        others[:, y] = -math.inf
        margin = Z[:, y] - others.amax(1)
        assert margin.min() > -1e-12
        (way,) = torch.autograd.grad(margin.sum(), points)
        points = (points - 0.1 * r * way.sign()).clamp(low, high)


def test_the_smt_solver_finds_nothing_below_and_something_at_upper() -> None:
    """The weights are short binary fractions, which both solvers read alike."""
    model = network(lt.MaxMin, [2, 4, 3], seed=3)
    for parameter in model.parameters():
        parameter.data = (16 * parameter.data).round() / 16
    x = torch.tensor([0.5, 0.375], dtype=torch.float64)
    y = label(model, x)
    found = lt.exact_radius(model, x, y)
    holds(model, x, y, found)

    def right(_, z):
        return [z[y] > z[k] for k in range(3) if k != y]

    def around(r: float):
        return [(max(0.0, float(v) - r), min(1.0, float(v) + r)) for v in x]

    assert lt.prove(model, right, around(found.lower))
    assert not lt.prove(model, right, around(found.upper * (1 + 1e-3)))


@ALL
def test_the_forms_are_the_network_and_no_value_leaves_its_bounds(activation) -> None:
    model = network(activation, [3, 6, 6, 2], seed=7)
    x = torch.tensor([0.5, 0.1, 0.9], dtype=torch.float64)
    for radius in (0.05, 0.3, 1.0):
        box, forms = encode(model, x, radius)
        low, high = torch.from_numpy(box.low), torch.from_numpy(box.high)
        moves = low + (high - low) * uniform(500, 3, low=0)
        assert (x + radius * moves).min() >= -1e-12
        assert (x + radius * moves).max() <= 1 + 1e-12
        assert float(low.min()) >= -1
        v = torch.cat([torch.ones(500, 1), moves, torch.zeros(500, len(box.d))], dim=1)
        for j, (form, least, most) in enumerate(zip(box.d, box.least, box.most, strict=True)):
            d = v @ torch.from_numpy(form)
            assert least <= d.min()
            assert d.max() <= most
            assert max(-least, most) == pytest.approx(1)
            v[:, 1 + 3 + j] = d.clamp(min=0)
        Z = v @ torch.from_numpy(forms).T
        torch.testing.assert_close(Z, model(x + radius * moves))
        assert (Z.amax(0) <= torch.from_numpy(box.upper(forms))).all()
    assert len(box.d) > 0


def test_every_class_counts() -> None:
    """The nearest is any of them, in whatever order they stand."""
    x = torch.tensor([0.5], dtype=torch.float64)
    for order in itertools.permutations(range(3)):
        rows = torch.tensor([[0.0], [-1.0], [2.0]])[list(order)]
        biases = torch.tensor([0.0, 0.2, -1.3])[list(order)]
        found = lt.exact_radius(lt.linear(rows, biases), x, order.index(0))
        assert found.upper == pytest.approx(0.15, rel=1e-4)  # 2 (x + t) = 1.3


def test_wrong_already_and_wrong_by_a_tie() -> None:
    x = torch.tensor([0.5, 0.25])
    model = lt.linear([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    for y in range(3):  # a tie of the first two
        found = lt.exact_radius(model, x, y)
        assert found[:2] == (0, 0)
        assert torch.equal(found.input, x.double())


def test_a_touch_at_one_point_is_found_or_left_open() -> None:
    """Z₁ − Z₀ = −|x − ½| is zero at ½ alone."""
    model = nn.Sequential(lt.linear([[1.0]], [-0.5]), lt.Abs(), lt.linear([[1.0], [0.0]]))
    lower, upper, _ = lt.exact_radius(model, torch.tensor([0.125]), 0)
    assert lower == pytest.approx(0.375, rel=1e-4)
    assert lower <= 0.375 <= upper


def test_a_thin_peak_that_no_search_finds() -> None:
    """Z₁ − Z₀ + ¼ is a hat on [0.3, 0.301], flat around it, and rises again from 0.9 on."""
    kinks = lt.linear([[1.0]] * 4, [-0.3, -0.3005, -0.301, -0.9])
    hat = lt.linear([[0.0] * 4, [1e3, -2e3, 1e3, 1e3]], [0.25, 0.0])
    model, x = nn.Sequential(kinks, nn.ReLU(), hat), torch.tensor([0.25]).double()
    early = lt.exact_radius(model, x, 0, timeout=1e-9)
    assert 0 < early.lower <= 0.05025
    assert early.upper == pytest.approx(0.65, abs=0.01)
    found = lt.exact_radius(model, x, 0)
    holds(model, x, 0, found)
    assert found.upper == pytest.approx(0.05025, rel=1e-5)


def test_nowhere_wrong_is_infinite() -> None:
    x = uniform(3, low=0)
    constant = lt.linear(torch.zeros(2, 3), [1.0, 0.0])
    folded = nn.Sequential(network(lt.MaxMin, [3, 6, 1]), lt.Abs(), lt.linear([[1], [0]], [0.1, 0]))
    for model in (constant, folded):
        assert lt.exact_radius(model, x, 0) == (math.inf, math.inf, None)
        assert lt.exact_radius(model, x, 1)[:2] == (0, 0)


def test_when_time_runs_out_both_bounds_still_hold() -> None:
    model, x = network(nn.ReLU, [6, 24, 24, 3], scale=3.0), torch.full((6,), 0.5).double()
    y = label(model, x)
    start = time.process_time()
    early = lt.exact_radius(model, x, y, timeout=1e-6)
    assert time.process_time() - start < 2
    found = lt.exact_radius(model, x, y)
    holds(model, x, y, found)
    holds(model, x, y, early, gap=math.inf)
    assert 0 < early.lower < found.lower
    assert early.lower < found.upper <= early.upper


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_it_does_not_depend_on_the_units_of_the_logits(size: float) -> None:
    x = uniform(3, low=0, seed=4)
    for place in (0, -1):
        model = network(lt.MaxMin, [3, 6, 6, 3], seed=2)
        y = label(model, x)
        one = lt.exact_radius(model, x, y)
        model.insert(len(model) if place else 0, lt.Scale(size))
        if place == 0:
            model[1].weight.data /= size
        scaled = lt.exact_radius(model, x, y)
        assert scaled.upper == pytest.approx(one.upper, rel=1e-5)
        assert scaled.lower == pytest.approx(one.lower, rel=1e-5)


def test_images_single_precision_and_constrained_layers() -> None:
    layers = [lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin(), lt.Selection([3, 0, 0], 4)]
    model = nn.Sequential(nn.Flatten(), nn.Identity(), *layers, nn.Linear(3, 2, bias=False))
    model.train()
    for i, parameter in enumerate(model.parameters()):
        parameter.data = normal(*parameter.shape, seed=i + 5).float()
    x = uniform(1, 2, 2, low=0).float()
    y = label(model, x)
    found = lt.exact_radius(model, x, y)
    assert all(module.training for module in model.modules())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    plain = lt.export(model)
    holds(plain, x, y, found)
    flat = lt.exact_radius(plain, x.flatten(), y)
    assert flat[:2] == pytest.approx(found[:2], rel=1e-6)
    assert flat.input.shape == (4,)


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_a_layer_that_something_changes_is_refused(alter) -> None:
    layer = alter(lt.linear(torch.eye(4), [0.0] * 4))
    with pytest.raises(ValueError, match=r"1 \("):
        lt.exact_radius(nn.Sequential(nn.ReLU(), layer), uniform(4, low=0), 0)


def test_a_program_of_nothing_but_moves() -> None:
    """Without a rectifier it is a linear program, and its least move is known."""
    x = torch.tensor([0.25, 0.5], dtype=torch.float64)
    box, forms = encode(lt.linear([[1.0, 1.0]], [-1.0]), x, 0.5)
    bound, moves = least_move(box, forms[0], 10.0)
    assert bound == pytest.approx(0.25, abs=1e-5)
    assert (0.5 * next(moves)).tolist() == pytest.approx([0.125, 0.125], abs=1e-5)
    bound, moves = least_move(box, forms[0] - [9.0, 0, 0], 10.0)
    assert (bound, [*moves]) == (math.inf, [])


def test_nothing_is_drawn() -> None:
    model, x = network(nn.ReLU, [3, 6, 3]), uniform(3, low=0)
    before = torch.get_rng_state()
    first, second = (lt.exact_radius(model, x, label(model, x)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first[:2] == second[:2]
    assert torch.equal(first.input, second.input)


def test_a_bump_behind_a_kink_is_not_overlooked() -> None:
    """The logits are 1e-8 apart there, less than the solver's tolerances."""
    first = lt.frozen_linear([[1.0, 0.5], [1.0, 0.5]], [-0.3, 19.7])
    model = nn.Sequential(first, nn.ReLU(), lt.frozen_linear([[0, 0], [-1.1, 1]], [0, 1e-5 - 20]))
    found = lt.exact_radius(model, torch.tensor([0.9, 0.8]).double(), 0)
    assert 0.666 < found.lower < 0.6666000667 <= found.upper


def test_coefficients_that_the_solver_drops_are_counted() -> None:
    W = torch.full((2, 401), 9e-10).double()
    W[0], W[1, 0] = torch.eye(401)[0], 0.0
    model = lt.frozen_linear(W, [0.0, -9e-10 * 0.3 * 400])
    assert lt.exact_radius(model, torch.zeros(401).double(), 0).lower < 0.3
