"""The figures of lesson 09: each has a statement, and draws the numbers it states."""

import math
import re

import pytest
import torch
from classroom_support import drawn
from support import uniform

from lipteach.classroom.lessons.l09_universal import figures, two_norm
from lipteach.primitives import operator_norm
from lipteach.theory import approximate, maximum_of_functionals


def steepest(g: figures.Target, d: int, p: float) -> float:
    """The largest |g(x) − g(y)| / ‖x − y‖_p over random pairs, near and far."""
    x = uniform(4000, d, seed=0)
    near = (x + 1e-3 * uniform(4000, d, seed=1)).clamp(-1, 1)
    far = uniform(4000, d, seed=2)
    ratios = [
        (g(x) - g(y)).abs() / torch.linalg.vector_norm(x - y, ord=p, dim=1) for y in (near, far)
    ]
    return float(torch.cat(ratios).max())


@pytest.mark.parametrize("name", figures.LINE_TARGETS)
def test_targets_on_the_line_are_1_lipschitz(name: str) -> None:
    rise = steepest(figures.LINE_TARGETS[name], 1, 2)
    assert rise <= 1 + 1e-9
    assert rise > 0.9 or name == "zero"


@pytest.mark.parametrize("name", figures.PLANE_TARGETS)
def test_targets_on_the_square_are_1_lipschitz_in_every_metric(name: str) -> None:
    assert 0.8 < steepest(figures.PLANE_TARGETS[name], 2, math.inf) <= 1 + 1e-9


@pytest.mark.parametrize(("n", "d"), [(1, 1), (4, 1), (3, 2)])
def test_centres_cover_the_cube(n: int, d: int) -> None:
    apart = torch.cdist(figures.grid(61, d), figures.centres(n, d), p=math.inf)
    assert len(figures.centres(n, d)) == n**d
    assert apart.amin(dim=1).max() == pytest.approx(1 / n)


@pytest.mark.parametrize("name", figures.LINE_TARGETS)
@pytest.mark.parametrize("points", [4, 11, 24])
def test_line_states_error_and_bound(points: int, name: str) -> None:
    figure = figures.draw_line(points, name)
    off = torch.as_tensor(figure.axes[1].lines[0].get_ydata()).abs().max()
    statement = drawn(figure)
    assert off <= 2 / points
    assert f"the error is {off:.3f}, and 2r is {2 / points:.3f}" in statement


def test_line_takes_a_function_of_ones_own() -> None:
    figure = figures.draw_line(5, lambda x: x[:, 0] / 2)
    assert "error is 0.000" in drawn(figure)  # an affine function is met everywhere


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("name", figures.PLANE_TARGETS)
def test_plane_states_a_bound_that_holds(name: str, p: float) -> None:
    statement = drawn(figures.draw_plane(2, name, p))
    found, bound = re.search(
        r"error is ([\d.]+) on a grid, and 2r is ([\d.]+);", statement
    ).groups()
    corner = torch.linalg.vector_norm(torch.tensor([0.5, 0.5]), ord=p)  # from a centre
    assert float(found) <= float(bound) == pytest.approx(2 * float(corner), abs=1e-3)


@pytest.mark.parametrize("method", ["lattice", "cones"])
@pytest.mark.parametrize("x1", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("value", [-0.5, 0.5])
def test_metrics_can_be_drawn_at_every_end(method: str, x1: float, value: float) -> None:
    assert "three extensions" in drawn(figures.draw_metrics(x1, value, method))


@pytest.mark.parametrize("p", [1, math.inf])
def test_the_formula_of_the_cones_is_the_network(p: float) -> None:
    x, g = figures.three_points(0.3, 0.1)
    t = figures.grid(21, 2)
    network = approximate(g, x, p, "mcshane")
    assert torch.allclose(network(t)[:, 0], figures._cones(x, g(x), t, p))


@pytest.mark.parametrize("name", figures.LINE_TARGETS)
@pytest.mark.parametrize("points", [2, 7, 16])
def test_cones_state_three_errors(points: int, name: str) -> None:
    figure = figures.draw_cones(points, name)
    target, *ways = (torch.as_tensor(line.get_ydata()).flatten() for line in figure.axes[0].lines)
    errors = [float((way - target).abs().max()) for way in ways[:3]]
    assert errors[0] <= 2 / points + 1e-12
    assert max(errors[1:]) <= 1 / points + 1e-12
    statement = drawn(figure)
    assert all(f"{off:.3f}" in statement for off in errors)


def test_beyond_states_the_error_inside_and_outside() -> None:
    figure = figures.draw_beyond(4.0)
    t, want = figure.axes[0].lines[0].get_data()
    off = abs(figure.axes[0].lines[1].get_ydata().flatten() - want)
    inside = off[abs(t.flatten()) <= 4].max()
    assert f"{inside:.2f} there, and {off.max():.2f}" in drawn(figure)
    assert off.max() > 1 > inside


def test_sizes_state_the_slopes() -> None:
    rows = {"one": [(10, 0.1, 0.4), (40, 0.05, 0.2)], "two": [(10, 0.1, 0.4), (20, 0.05, 0.2)]}
    figure = figures.draw_sizes(rows)
    assert figure.axes[0].lines[1].get_ydata()[-1] == 0.2
    assert "−0.50 for one, −1.00 for two" in drawn(figure)


def test_growth_draws_the_record() -> None:
    results = [
        {
            "method": method,
            "points": n,
            **{w: {"ratio": r} for w in ("memory", "build", "evaluate")},
        }
        for method, power in (("lattice", 2), ("mcshane", 1))
        for n, r in ((16, 1.0), (64, 4.0**power))
    ]
    figure = figures.draw_growth({"results": results})
    assert [axes.lines[0].get_ydata()[-1] for axes in figure.axes] == [16, 16, 16]
    assert "lattice from 16 to 64 points 16 times" in drawn(figure)


@pytest.mark.parametrize("degrees", [0, 35, 60, 90, 180])
def test_two_functionals_state_the_norm(degrees: int) -> None:
    half = math.radians(degrees) / 2
    w1 = torch.tensor([math.cos(half), math.sin(half)], dtype=torch.float64)
    w2 = w1 * torch.tensor([1.0, -1.0])
    stacked, first = torch.stack([w1, w2]), maximum_of_functionals(w1, w2)[0].weight
    assert operator_norm(first).item() == pytest.approx(1)
    statement = drawn(two_norm.draw_two_functionals(degrees))
    assert f"2-norm {operator_norm(stacked):.3f};" in statement


@pytest.mark.parametrize(("end", "far", "straight"), [(1, 0, 2), (3, 0, 2), (5, 4, 2), (10, 14, 2)])
def test_letter_n_is_lost_beyond_3(end: float, far: float, straight: float) -> None:
    statement = drawn(two_norm.draw_letter_n(float(end)))
    assert f"is {far:.2f} for ||x + 1| − 2| − 1 and {straight:.2f} for x" in statement


def test_fits_say_below_which_number_an_error_is() -> None:
    x = torch.linspace(-6, 6, 25).double()
    n = two_norm.letter_n(x)
    figure = two_norm.draw_fits(x, n, {"one": n + 0.3, "two": n - 1e-4})
    assert "below 0.5 for one and below 0.01 for two" in drawn(figure)
    assert figure.axes[1].lines[0].get_ydata()[0] == pytest.approx(0.3)


@pytest.mark.parametrize(("largest", "next_one"), [(0.0, 0.01), (0.05, 0.1), (1.4, 2), (30, 50)])
def test_the_next_round_number(largest: float, next_one: float) -> None:
    assert two_norm._above(largest) == pytest.approx(next_one)


def test_climb_names_those_that_fall_behind() -> None:
    t = torch.linspace(0, 50, 51).double()
    n = two_norm.letter_n(t) - two_norm.letter_n(-t)
    figure = two_norm.draw_climb({"N": n, "x": 2 * t, "slow": 1.9 * t}, t)
    assert figure.axes[0].lines[0].get_ydata()[-1] == 4
    assert drawn(figure).endswith("growing for slow.")


def test_unit_has_its_corners_at_1() -> None:
    figure = two_norm.draw_unit()
    x, y = figure.axes[0].lines[0].get_data()
    assert y[abs(x + 1).argmin()] == pytest.approx(1, abs=0.01)
    assert "two corners" in drawn(figure)


@pytest.mark.parametrize("t", [2.0, 6.0])
def test_one_fold_draws_the_path_and_the_climb(t: float) -> None:
    figure = two_norm.draw_one_fold(t)
    left, right = figure.axes
    h1, h2 = (torch.as_tensor(data) for data in left.lines[1].get_data())
    length = torch.stack([h1, h2]).diff(dim=1).norm(dim=0).sum()
    assert float(length) == pytest.approx(2 * t, rel=0.01)  # at speed 1, up to the fold
    apart = math.dist((h1[0], h2[0]), (h1[-1], h2[-1]))
    assert f"{2 * t:g} long" in drawn(figure)
    assert f"{apart:.2f} apart" in drawn(figure)
    s, climb = (torch.as_tensor(data) for data in right.lines[1].get_data())
    f = 0.36 * s + 0.8 * (0.8 * s + 1).abs(), -0.36 * s + 0.8 * (1 - 0.8 * s).abs()
    torch.testing.assert_close(climb, f[0] - f[1])
