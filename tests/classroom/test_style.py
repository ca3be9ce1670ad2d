"""The colours stay apart for colour-blind eyes and against their paper."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lipteach.classroom.style import LINES, PAPER, new_figure

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x = XYZ @ rgb / XYZ.sum(axis=1)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_first_five_colors_differ(sight):
    seen = [lab(np.clip(SIGHT[sight] @ linear(line["color"]), 0, 1)) for line in LINES[:5]]
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(gaps) > 15  # about 2 is the least one sees side by side


@pytest.mark.parametrize("line", LINES[:5], ids=lambda line: line["color"])
def test_first_five_colors_stand_out(line):
    """From white, and from the card of a figure, on which each colour is multiplied by PAPER's."""
    ink, paper = np.array(to_rgb(line["color"])), np.array(to_rgb(PAPER))
    assert contrast(ink, np.ones(3)) > 3
    assert contrast(ink * paper, paper) > 2.9


def contrast(dark, light):
    return (XYZ[1] @ linear(light) + 0.05) / (XYZ[1] @ linear(dark) + 0.05)


def test_lines_differ_without_colors():
    dashes = [str(line["linestyle"]) for line in LINES]
    markers = [line["marker"] for line in LINES]
    assert len(set(dashes)) == len(set(markers)) == len(LINES)


def test_new_figure():
    figure, axes = new_figure(4, 2)
    assert type(figure) is Figure
    assert figure.get_size_inches().tolist() == [4, 2]
    axes.plot([0, 1], [0, 1], **LINES[0])
    _, grid = new_figure(rows=2, columns=3)
    assert grid.shape == (2, 3)
