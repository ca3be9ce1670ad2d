"""The figures of lesson 09, third part: how error, memory and time follow the size (appendix E)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from lipteach.classroom.style import LINES, new_figure


def draw_sizes(measured: Mapping[str, Sequence[tuple[int, float, float]]]) -> Figure:
    """Error and its bound against the number of pieces; each row is (pieces, error, bound)."""
    figure, axes = new_figure(6.4, 3.2)
    said = []
    for k, (name, rows) in enumerate(measured.items()):
        pieces, errors, bounds = zip(*rows, strict=True)
        line = LINES[k] | {"markevery": 1}
        axes.loglog(pieces, errors, **line, label=name)
        axes.loglog(pieces, bounds, color=line["color"], linewidth=0.8, linestyle="-")
        said.append(f"{slope(pieces, bounds):.2f} for {name}")
    axes.set(xlabel="pieces", ylabel="error")
    axes.legend(fontsize=9, loc="lower left")
    figure.set_label(
        "Measured errors below their bounds (thin lines); over the last two sizes the bounds fall "
        f"with the slopes {', '.join(said).replace('-', '−')}."
    )
    return figure


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of the last two points on log axes."""
    return math.log(y[-1] / y[-2]) / math.log(x[-1] / x[-2])


def draw_growth(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A recorded run: what more points cost, over the smallest case of each method."""
    figure, panels = new_figure(7.2, 2.8, columns=3)
    said = []
    for k, method in enumerate(dict.fromkeys(case["method"] for case in results)):
        cases = [case for case in results if case["method"] == method]
        points = [case["points"] for case in cases]
        line = LINES[k] | {"markevery": 1, "label": method}
        for axes, what in zip(panels, ("memory", "build", "evaluate"), strict=True):
            axes.loglog(points, [case[what]["ratio"] for case in cases], **line)
            axes.set(xlabel="points N", title=what)
            axes.minorticks_off()
            axes.set_xticks(points[::2], [str(n) for n in points[::2]])
        grown = f"{points[0]} to {points[-1]} points {cases[-1]['memory']['ratio']:.0f} times"
        said.append(f"{method} from {grown} the memory")
    panels[0].set(ylabel="over the smallest")
    panels[0].legend(fontsize=8, loc="upper left")
    figure.set_label(f"In the recorded run: {'; '.join(said)}.")
    return figure
