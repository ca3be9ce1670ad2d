"""The figures of lesson 07: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn
from support import uniform

from lipteach.classroom.lessons.l07_projections import figures
from lipteach.primitives import operator_norm, project_l1_ball


@pytest.mark.parametrize(
    ("radius", "tau", "kept"), [(0.1, 1.3, 1), (1.0, 0.767, 3), (4.0, 0.04, 5)]
)
def test_threshold_cuts_off_the_radius(radius: float, tau: float, kept: int) -> None:
    figure = figures.draw_threshold(radius)
    bars, above = figure.axes[0].containers
    tops = [bar.get_height() for bar in above]
    assert sum(tops) == pytest.approx(radius)
    assert sum(top > 0 for top in tops) == kept
    assert [bar.get_height() for bar in bars] == list(figures.ENTRIES)
    marker = figure.axes[1].lines[-1]
    assert marker.get_xdata()[0] == pytest.approx(tau, abs=1e-3)
    assert f"τ = {tau:g}: {kept} entr" in drawn(figure)


@pytest.mark.parametrize(("y", "square", "simplex", "ball"), [
    ((0.8, -0.6), "(0.8, -0.6)", "(1, 0)", "(0.6, -0.4)"),
    ((-2.0, 0.0), "(-1, 0)", "(0, 1)", "(-1, 0)"),
    ((0.2, -0.1), "(0.2, -0.1)", "(0.65, 0.35)", "(0.2, -0.1)"),
    ((0.0, 0.0), "(0, 0)", "(0.5, 0.5)", "(0, 0)"),
])  # fmt: skip
def test_three_sets_state_three_points(y, square, simplex, ball) -> None:
    figure = figures.draw_three_sets(*y)
    statement = drawn(figure)
    assert f"to {square} on the L∞" in statement
    assert f"to {simplex} on the simplex, and to {ball} on the L1 ball" in statement
    for axes, text in zip(figure.axes, (square, simplex, ball), strict=True):
        at = [float(line.get_data()[k][0]) for line in axes.lines[-1:] for k in (0, 1)]
        assert at == pytest.approx([float(v) for v in text.strip("()").split(", ")])


@pytest.mark.parametrize(("y", "words"), [
    ((1.5, 0.2, 0.1), "(1, 0, 0) on a corner: 1 entry is not 0"),
    ((1.2, 0.9, 0.5), "(0.65, 0.35, 0) on an edge: 2 entries are not 0"),
    ((1.0, -1.0, 1.0), "(0.33, -0.33, 0.33) on a face: 3 entries are not 0"),
    ((0.2, 0.3, -0.2), "its L1 norm is 0.70, and stays"),
])  # fmt: skip
def test_octahedron_says_where_the_point_lands(y, words: str) -> None:
    figure = figures.draw_octahedron(*y)
    assert words in drawn(figure)
    assert len(figure.axes[0].collections) == 8


@pytest.mark.parametrize("columns", [1, 6, 24])
def test_rows_draws_the_row_norms(columns: int) -> None:
    figure = figures.draw_rows(columns)
    W = figures.wide_matrix(columns)
    norms = []
    for axes in figure.axes:
        before, after = ([bar.get_height() for bar in bars] for bars in axes.containers)
        assert before == pytest.approx(W.abs().sum(dim=1).tolist())
        norms.append(max(after))
    assert norms[0] == pytest.approx(min(1, operator_norm(W, math.inf).item()))
    columns_projected = torch.stack([project_l1_ball(column) for column in W.T], dim=1)
    assert norms[1] == pytest.approx(operator_norm(columns_projected, math.inf).item())
    assert f"∞-norm {norms[0]:.2f}, with its columns projected {norms[1]:.2f}" in drawn(figure)


def test_first_weights_counts_zeros() -> None:
    W = uniform(6, 784)
    sparse = torch.where(torch.arange(784) < 196, W, 0.0)
    figure = figures.draw_first_weights({"∞-norm": sparse, "2-norm": W})
    assert "75% under the ∞-norm and 0% under the 2-norm" in drawn(figure)
    assert torch.equal(torch.as_tensor(figure.axes[6].images[0].get_array()), W[0].reshape(28, 28))


def test_certified_counts_images() -> None:
    radii = {"∞-norm": torch.tensor([0.0, 0.03, 0.06, 0.2]), "2-norm": torch.tensor([0.01] * 4)}
    figure = figures.draw_certified(radii)
    assert "75% and 50% under the ∞-norm, 100% and 0% under the 2-norm" in drawn(figure)
    assert figure.axes[0].lines[0].get_ydata()[-1] == 25
