"""The figures of lesson 10: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn

from lipteach.classroom.lessons.l10_spectral_jacobian import figures
from lipteach.experiments import CellRecord
from lipteach.primitives import jacobian_singular_values, spectral_jacobian_penalty


@pytest.mark.parametrize("c", [0.0, 0.5, 2.0, 4.0])
def test_shear_states_norm_and_radius(c: float) -> None:
    S = torch.tensor([[1.0, c], [0.0, 1.0]]).double()
    norm = float(torch.linalg.matrix_norm(S, 2))
    figure = figures.draw_shear(c)
    assert f"the norm is {norm:.3f}" in drawn(figure)
    ellipse = torch.stack([torch.as_tensor(d) for d in figure.axes[0].lines[1].get_data()])
    assert float(ellipse.norm(dim=0).max()) == pytest.approx(norm, abs=1e-3)
    longest = torch.tensor(figure.axes[0].lines[3].get_xydata()[1])
    assert float(longest.norm()) == pytest.approx(norm)
    grid, curve = figure.axes[1].lines[0].get_data()
    assert curve[list(grid).index(c)] == pytest.approx(norm)


@pytest.mark.parametrize("steps", [1, 3])
def test_field_shows_exact_norms_and_the_share_found(steps: int) -> None:
    f = figures.field_network()
    figure = figures.draw_field(f, steps)
    exact, part = (axes.images[0].get_array() for axes in figure.axes[:2])
    corner = torch.tensor([[2.0, -2.0]]).double()  # right, below: the first row, the last column
    assert exact[0, -1] == pytest.approx(float(jacobian_singular_values(f, corner)[0, 0].detach()))
    assert part.max() <= 1 + 1e-9
    statement = drawn(figure)
    assert f"at least {part.min():.2f}" in statement
    assert f"between {exact.min():.1f} and {exact.max():.1f}" in statement
    assert ("1 step " in statement) == (steps == 1)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 60.0, 90.0])
def test_readings_end_where_the_penalty_climbs_to(degrees: float) -> None:
    f, x = figures.two_samples(degrees)
    statement = drawn(figures.draw_readings(degrees))
    for name in ("whole", "sample", "shared"):
        u = None
        for _ in range(200):
            penalty, u = spectral_jacobian_penalty(f, x, u, batch=name)
        assert figures.limits(degrees)[name] == pytest.approx(float(penalty))
        assert f"{float(penalty):.3f} ({name})" in statement


def test_readings_draw_the_length_for_each_u() -> None:
    curves = [line.get_ydata() for line in figures.draw_readings(60.0).axes[0].lines]
    t = figures.draw_readings(60.0).axes[0].lines[0].get_xdata()
    at = [float(d) for d in t].index(60.0)
    assert [float(c[at]) for c in curves] == pytest.approx([1, 1, 1])
    assert max(map(float, curves[2])) == pytest.approx(figures.limits(60)["shared"], abs=1e-4)


def test_penalized_states_the_last_norms() -> None:
    runs = {"a": [(0, 5.0, 2.0), (20, 9.0, 1.0)], "b": [(0, 5.0, 2.0), (20, 3.0, 1.5)]}
    figure = figures.draw_penalized(runs)
    assert "After 20 steps the mean spectral norm is 9 with a, 3 with b." in drawn(figure)
    assert figure.axes[1].lines[1].get_ydata()[-1] == 1.5


def test_gap_states_the_slope_between() -> None:
    seen = torch.tensor([[0.0], [0.25]]).double()
    figure = figures.draw_gap(lambda x: 4 * (x - 0.5).relu(), seen, 0.0)
    assert "at most 0.0 at the points seen, and 4.0 between." in drawn(figure)


def test_isometry_counts_every_value() -> None:
    values = {"one": torch.full((4, 3), 10.0), "two": torch.linspace(1, 9, 12).reshape(4, 3)}
    figure = figures.draw_isometry(values)
    for patch in figure.axes[0].patches:
        assert float(patch.get_data().values.sum()) == pytest.approx(1)
    assert "10.0 to 10.0 for one, from 1.0 to 9.0 for two" in drawn(figure)


def cell(shift: float) -> CellRecord:
    settings = {"activation": "ReLU", "side": 14, "width": 256, "steps": 20}
    histogram = [0.0] * 39 + [1.0]
    metrics = {"histogram": [histogram], "low": [4.0 + shift], "high": [8.0 + shift]}
    curves = {
        name: [([1, 20], [k + shift, k + 1 + shift])]
        for k, name in enumerate(("low", "median", "high"))
    }
    return CellRecord(settings, metrics, curves)


def test_histograms_state_nine_tenths() -> None:
    figure = figures.draw_histograms([cell(0.0), cell(1.0)])
    statement = drawn(figure)
    assert "4.0 to 8.0 for ReLU, 196-256³-10; 5.0 to 9.0" in statement
    for axes in figure.axes:
        assert axes.patches[0].get_data().values[-1] == 1


@pytest.mark.parametrize(("moment", "words"), [(0, "step 1 "), (1, "step 20 "), (-1, "step 20 ")])
def test_during_shows_the_moment(moment: int, words: str) -> None:
    figure = figures.draw_during([cell(0.0), cell(1.0)], moment)
    statement = drawn(figure)
    assert words in statement
    low = 0 if moment == 0 else 1
    assert f"{low:.1f}, {low + 1:.1f}, {low + 2:.1f} for ReLU" in statement
    assert math.isclose(float(figure.axes[1].lines[0].get_ydata()[moment]), low + 2)
