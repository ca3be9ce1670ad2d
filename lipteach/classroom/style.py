"""Colours that survive colour blindness, each with its own line and marker.

The colours are those of Okabe and Ito ("Color Universal Design", 2008). A curve differs from
its neighbours by colour, dashes and marker, so that a grey print tells them apart as well.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, BLACK, SKY, AMBER = "#CC79A7", "#000000", "#56B4E9", "#E69F00"
PAPER = "#DEE2E8"  # of the card that a figure stands on, on light pages and on dark ones

_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": ORANGE, "linestyle": "--", "marker": "s"},
    {"color": BLACK, "linestyle": "-.", "marker": "^"},
    {"color": GREEN, "linestyle": ":", "marker": "D"},
    {"color": PURPLE, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": SKY, "linestyle": (0, (8, 3)), "marker": "P"},
    {"color": AMBER, "linestyle": (0, (1, 3)), "marker": "X"},
)
LINES: tuple[dict[str, Any], ...] = tuple(
    {**style, "markevery": 0.12, "markersize": 5, "linewidth": 1.8} for style in _STYLES
)
"""What ``axes.plot(x, y, **LINES[i])`` takes; some eight markers stand along a curve."""


def new_figure(
    width: float = 6, height: float = 3, rows: int = 1, columns: int = 1
) -> tuple[Figure, Any]:
    """A figure of ``width`` × ``height`` inches and its axes: one, or an array of them.

    >>> figure, axes = new_figure(columns=2)
    >>> axes.shape
    (2,)
    """
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    axes = figure.subplots(rows, columns)
    for one in figure.axes:
        one.grid(color="#DDDDDD", linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9)
    return figure, axes
