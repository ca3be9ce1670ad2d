"""The figure of lesson 00: what is drawn is what its statement says."""

import numpy as np
import pytest

from lipteach.classroom.lessons.l00_start_here.figures import draw_lipschitz, wave


@pytest.mark.parametrize("second", [-1.9, 0.0, 1.5, 2.0])
def test_the_chord_joins_two_points_of_the_function(second: float) -> None:
    figure = draw_lipschitz(second)
    curve, chord = figure.axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), wave(curve.get_xdata()))
    (x0, x1), (y0, y1) = chord.get_data()
    assert (x0, x1) == (-2.0, second)
    np.testing.assert_allclose([y0, y1], wave(np.array([x0, x1])))
    assert chord.get_markevery() is None, "both ends of the chord are marked"
    slope = (y1 - y0) / (x1 - x0)
    assert abs(slope) <= 1
    assert f"has slope {slope:.2f}" in figure.get_label()
