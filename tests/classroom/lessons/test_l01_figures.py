"""The figures of lesson 01 show the right numbers: their line data is read back."""

import math

import numpy as np
import pytest
from classroom_support import drawn
from matplotlib.figure import Figure

from lipteach.classroom.lessons.l01_groupsort.figures import (
    draw_abs,
    draw_leaky,
    draw_sorting,
    draw_w,
)


def texts(axes):
    """The texts in an axes with their positions."""
    return {text.get_position(): text.get_text() for text in axes.texts}


def curves(axes):
    """The long lines of an axes: (x, y) each."""
    return [line.get_data() for line in axes.lines if len(line.get_xdata()) > 100]


def marks(axes):
    """The single points of an axes."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if len(line.get_xdata()) == 1
    ]


@pytest.mark.parametrize("first", [-1.0, -0.25, 1.0, 2.0, 3.5, 4.0, 5.0])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_sorting_shows_the_values_where_they_go(first, size):
    figure = draw_sorting(first, size)
    (axes,) = figure.axes
    x = [first, 1.0, 2.0, 4.0]
    want = [v for i in range(0, 4, size) for v in sorted(x[i : i + size], reverse=True)]
    shown = {place: float(text.replace("−", "-")) for place, text in texts(axes).items()}
    assert [shown[i + 1, 1] for i in range(4)] == x
    assert [shown[i + 1, 0] for i in range(4)] == want
    links = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert len(links) == 4
    assert all(x[int(start) - 1] == want[int(end) - 1] for start, end in links)
    assert sorted(int(end) for _, end in links) == [1, 2, 3, 4]
    assert f"Groups of {size} turn" in figure.get_label()


def test_the_statement_of_sorting():
    assert draw_sorting().get_label() == (
        "Groups of 2 turn (3, 1, 2, 4) into (3, 1, 4, 2): values only move."
    )
    assert "(−0.25, 1, 2, 4) into (4, 2, 1, −0.25)" in draw_sorting(-0.25, 4).get_label()


@pytest.mark.parametrize("x", [-3.0, -2.0, -0.25, 0.0, 0.5, 3.0])
def test_abs_traces_figure_10(x):
    figure = draw_abs(x)
    before, after, output = figure.axes
    r = math.sqrt(0.5)
    grid, one = curves(before)[0]
    assert np.allclose(one, r * grid)
    assert np.allclose(curves(before)[1][1], -r * grid)
    assert np.allclose(curves(after)[0][1], r * abs(grid))
    assert np.allclose(curves(after)[1][1], -r * abs(grid))
    assert np.allclose(curves(output)[0][1], abs(grid))
    assert np.allclose(marks(before), [(x, r * x), (x, -r * x)])
    assert np.allclose(marks(after), [(x, r * abs(x)), (x, -r * abs(x))])
    assert np.allclose(marks(output), [(x, abs(x))])


def test_the_statement_of_abs():
    assert draw_abs(-2.0).get_label() == (
        "At x = −2: z = (−1.41, 1.41), sorted h = (1.41, −1.41), output 2."
    )
    assert "z = (0, 0)" in draw_abs(0.0).get_label()


@pytest.mark.parametrize(("x", "c"), [(-3.0, 2.0), (0.0, 1.0), (1.5, 1.0), (3.0, 0.0), (1.0, -1.0)])
def test_w_traces_figure_11(x, c):
    figure = draw_w(x, c)
    z1, h1, folded, z2, h2, output = figure.axes
    e = np.array([0.5, -0.5, 0.5, -0.5])
    grid = curves(output)[0][0]
    panels = {z1: lambda t: t, h1: abs, z2: lambda t: abs(t) - c, h2: lambda t: abs(abs(t) - c)}
    for axes, function in panels.items():
        assert np.allclose([y for _, y in curves(axes)], np.outer(e, function(grid)))
        assert np.allclose(marks(axes), [(x, v * function(x)) for v in e])
    assert np.allclose(curves(folded)[0][1], abs(grid))
    assert np.allclose(curves(output)[0][1], abs(abs(grid) - c))
    assert np.allclose(marks(output), [(x, abs(abs(x) - c))])
    assert f"{abs(abs(x) - c):g}" in figure.get_label()
    low, high = output.get_ylim()
    assert low < min(curves(output)[0][1])
    assert max(curves(output)[0][1]) < high


@pytest.mark.parametrize("slope", [-1.0, -0.5, 0.0, 0.25, 1.0])
def test_leaky_shows_both_functions_and_both_weights(slope):
    figure = draw_leaky(slope)
    left, right = figure.axes
    (grid, exact), (_, rescaled) = curves(left)
    want = np.where(grid > 0, grid, slope * grid)
    assert np.allclose(exact, want)
    assert np.allclose(rescaled, want / math.sqrt(1 + slope**2))
    v, appended = marks(right)
    assert math.hypot(*v) == pytest.approx(1)
    assert 2 * v[0] * v[1] == pytest.approx(slope)
    assert appended == (1, slope)


def test_the_statement_of_leaky():
    assert draw_leaky().get_label() == (
        "Slope a = 0.25: (1, a) has norm 1.031 and, rescaled, slope 0.970; "
        "v = (0.992, 0.126) has norm 1."
    )


def test_the_slope_is_shown_as_the_slider_has_it():
    assert draw_leaky(0.125).get_label().startswith("Slope a = 0.125: ")


@pytest.mark.parametrize("draw", [draw_sorting, draw_abs, draw_w, draw_leaky])
def test_a_figure_says_one_sentence_and_labels_its_axes(draw):
    figure = draw()
    assert isinstance(figure, Figure)
    assert drawn(figure)
    assert figure.axes[-1].get_xlabel()
    assert figure.get_size_inches()[0] == 6
