"""The figures of lesson 08: each has a statement, and draws the numbers it states."""

import math
import re

import pytest
import torch
from classroom_support import drawn
from torch import Tensor, nn

from lipteach.classroom.lessons.l08_lattice import figures
from lipteach.primitives import MaxMin
from lipteach.theory import linear, maximum

Z = torch.linspace(-1, 1, 41, dtype=torch.float64)


def line_of(axes, label: str) -> Tensor:
    [line] = [line for line in axes.lines if line.get_label() == label]
    return torch.as_tensor(line.get_ydata())


def bars(axes) -> list[tuple[float, float]]:
    """Where each bar starts and ends, by its own corners."""
    paths = [path for row in axes.collections for path in row.get_paths()]
    return [(path.get_extents().x0, path.get_extents().x1) for path in paths]


def covered(axes) -> Tensor:
    """Which points of Z lie in some bar."""
    return torch.tensor([any(a <= float(z) <= b for a, b in bars(axes)) for z in Z])


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90])
def test_separation_states_the_least_norms(angle: int) -> None:
    y = (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    norms = [abs(y[0]) + abs(y[1]), 1.0, max(y)]
    figure = figures.draw_separation(angle)
    statement = drawn(figure)
    stated = [float(n) for n in re.findall(r"(\d\.\d\d) for p", statement)]
    assert stated == pytest.approx([figures.RISE / n for n in norms], abs=0.006)
    for axes in figure.axes:
        w = [float(n) for n in re.findall(r"-?\d\.\d\d", axes.get_title())]
        assert w[0] * y[0] + w[1] * y[1] == pytest.approx(figures.RISE, abs=0.01)


def test_the_targets_are_1_lipschitz() -> None:
    z = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    for g in figures.TARGETS.values():
        assert g(z).shape == z.shape
        assert (g(z).diff().abs() <= z.diff() + 1e-12).all()


@pytest.mark.parametrize("eps", [0.05, 0.3])
def test_cover_draws_the_minimum_and_its_sets(eps: float) -> None:
    g, pieces = Z.sin(), torch.stack([Z, 0.5 * Z, -0.5 * Z])
    figure = figures.draw_cover(Z, g, pieces, [1.0, 0.5, -0.5], 0.0, eps)
    above, below = figure.axes
    F = line_of(above, "F = min of the pieces")
    assert torch.equal(F, torch.minimum(Z, -0.5 * Z))
    assert torch.equal(line_of(above, "g + ε"), g + eps)
    assert torch.equal(covered(below), (pieces < g + eps).any(dim=0))
    assert f"3 sets V cover the interval, and the minimum of their pieces exceeds g by at most "\
           f"{float((F - g).max()):.4f}" in drawn(figure)  # fmt: skip


def test_bars_stand_where_the_set_is() -> None:
    """A set of two parts has two bars, each half a step wider than its points on either side."""
    figure = figures.draw_cover(Z, 0 * Z, (0.5 - Z.abs())[None], [0.0], 0.0, 0.1)
    assert bars(figure.axes[1]) == [pytest.approx((-1.025, -0.425)), pytest.approx((0.425, 1.025))]
    assert "1 set V covers" in drawn(figure)


@pytest.mark.parametrize("count", [2, 20])
def test_second_cover_draws_the_maximum(count: int) -> None:
    g = Z.abs() / 2
    x = torch.linspace(-1, 1, count, dtype=torch.float64)
    minima = g - 0.3 * (Z - x[:, None]).abs()
    figure = figures.draw_second_cover(Z, g, minima, x.tolist(), 0.1)
    above, below = figure.axes
    G = line_of(above, "G = max of the minima")
    assert torch.equal(G, minima.amax(dim=0))
    assert torch.equal(covered(below), (minima > g - 0.1).any(dim=0))
    assert len(below.get_yticks()) <= 10
    said = f"{count} sets U cover the interval, and the maximum of their minima is within "
    assert f"{said}{float((G - g).abs().max()):.4f}" in drawn(figure)


@pytest.mark.parametrize("N", [1, 2, 7, 16])
def test_centres_have_covering_radius_1_over_n(N: int) -> None:
    z = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    nearest = (z[:, None] - figures.centres(N)).abs().amin(dim=1)
    assert float(nearest.max()) == pytest.approx(1 / N)


@pytest.mark.parametrize("target", list(figures.TARGETS))
@pytest.mark.parametrize("points", [2, 9, 16])
def test_points_draw_the_error_within_its_bound(points: int, target: str) -> None:
    figure = figures.draw_points(points, target)
    left, right = figure.axes
    z = torch.as_tensor(left.lines[1].get_xdata())
    G, g = line_of(left, "G"), figures.TARGETS[target]
    error = torch.as_tensor(right.lines[0].get_ydata())
    assert torch.equal(error, G - g(z))
    assert float(error.abs().max()) <= 2 / points
    for x in figures.centres(points):
        place = int((z - x).abs().argmin())
        assert float(error[place].abs()) <= 2 * float((z[place] - x).abs()) + 1e-12
    assert f"largest error found is {float(error.abs().max()):.3f}" in drawn(figure)


def two_networks() -> tuple[nn.Sequential, nn.Sequential]:
    f = nn.Sequential(
        linear([[1.0], [-1.0]]), MaxMin(), linear(torch.eye(2), [0.5, -0.5]), MaxMin(),
        linear([[0.5, -0.5]]),
    )  # fmt: skip
    W = torch.tensor([[0.25], [-0.75], [1.0], [-1.0]])
    return f, nn.Sequential(linear(W), MaxMin(), linear([[0.25, 0.25, -0.25, 0.25]], [0.1]))


@pytest.mark.parametrize("turned", [False, True])
def test_blocks_are_the_weights_of_the_maximum(turned: bool) -> None:
    f, g = two_networks()[:: -1 if turned else 1]
    figure = figures.draw_blocks(f, g)
    weights = [layer.weight for layer in maximum(f, g) if isinstance(layer, nn.Linear)]
    zeros = 0
    for k, (axes, W) in enumerate(zip(figure.axes, weights, strict=False)):
        assert torch.equal(torch.as_tensor(axes.images[0].get_array().data), W)
        assert axes.images[0].get_clim() == (-1, 1)
        outside = torch.ones_like(W)
        for frame in axes.patches:
            left, top = (round(v + 0.5) for v in frame.get_xy())
            outside[top : top + frame.get_height(), left : left + frame.get_width()] = 0
        assert (W[outside.bool()] == 0).all() or k == len(weights) - 1
        zeros += int(outside.sum()) if k < len(weights) - 1 else 0
    assert f"Between them {zeros} entries" in drawn(figure)


@pytest.mark.parametrize("lift", [-1.0, 0.0, 0.3])
def test_joined_draws_the_greater_and_the_lesser(lift: float) -> None:
    figure = figures.draw_joined(*two_networks(), lift)
    left, right = figure.axes
    f, g = line_of(left, "f"), line_of(left, "g")
    z = torch.as_tensor(left.lines[1].get_xdata())[:, None]
    assert torch.allclose(g, two_networks()[1](z)[:, 0] + lift)
    assert torch.allclose(line_of(right, "max(f, g)"), torch.maximum(f, g))
    assert torch.allclose(line_of(right, "min(f, g)"), torch.minimum(f, g))
    share = 100 * float((g > f).double().mean())
    assert f"on {share:.0f} % of the interval" in drawn(figure)
