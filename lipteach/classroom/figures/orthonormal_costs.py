"""A figure of lesson 05: the recorded cost of orthonormal weights, in matrix products (B.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lipteach.classroom.style import LINES, new_figure

Rows = Mapping[str, Mapping[str, Any]]


def weights(record: Mapping[str, Any], threads: int = 1) -> dict[str, Rows]:
    """The rows of each weight of a recorded run, by what kind of weight it is."""
    found = {}
    for case in record["polar"]:
        m, n = case["shape"]
        noise = "Gaussian" if case["noise"] is None else f"noise {case['noise']}"
        if case["threads"] == threads:
            found[f"{m} × {n}, {noise}"] = case["methods"]
    return found


def ways(record: Mapping[str, Any], threads: int = 1) -> Rows:
    """The rows of one training step of a recorded run."""
    (rows,) = (case["ways"] for case in record["training"] if case["threads"] == threads)
    return dict(rows)


def draw_costs(record: Mapping[str, Any], threads: int = 1) -> Figure:
    """The cost of each method in a recorded run: one factor with its gradient, and one step."""
    figure, (left, right) = new_figure(7.4, 3.8, columns=2)
    for i, (name, rows) in enumerate(weights(record, threads).items()):
        style = {key: LINES[i][key] for key in ("color", "marker")}
        places = [row["ratio"] for row in rows.values()]
        left.plot(places, range(len(places)), linestyle="", **style, label=name)
    left.set_yticks(range(len(rows)), list(rows), fontsize=8)
    left.set_title("factor and gradient", fontsize=10)
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside upper left", ncols=2)
    steps = ways(record, threads)
    right.plot([row["ratio"] for row in steps.values()], range(len(steps)), "o", color="black")
    right.set_yticks(range(len(steps)), list(steps), fontsize=8)
    right.set_title("one step of training", fontsize=10)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.invert_yaxis()
        axes.set_xlabel("cost in products of 1024³", fontsize=9)
    figure.set_label(
        "Cost in matrix products of 1024³: a polar factor with its gradient, and a training step "
        f"of 784-1024-1024-1024-10, on {record['device']['cpu']}, {threads} thread"
        f"{'s' * (threads > 1)}, torch {record['versions']['torch']}, {record['date']}."
    )
    return figure
