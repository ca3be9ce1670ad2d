"""The recorded costs of lesson 05, and their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lipteach.classroom.style import LINES, new_figure

Rows = Mapping[str, Mapping[str, Any]]


def weights(record: Mapping[str, Any]) -> dict[str, Rows]:
    """The rows of each weight of a run on one thread, by what kind of weight it is."""
    found = {}
    for case in record["polar"]:
        m, n = case["shape"]
        noise = "Gaussian" if case["noise"] is None else f"noise {case['noise']}"
        if case["threads"] == 1:
            found[f"{m} × {n}, {noise}"] = case["methods"]
    return found


def ways(record: Mapping[str, Any]) -> Rows:
    """The rows of one training step of a run on one thread."""
    (rows,) = (case["ways"] for case in record["training"] if case["threads"] == 1)
    return dict(rows)


def draw_costs(record: Mapping[str, Any]) -> Figure:
    """The cost of each method in a recorded run: one factor with its gradient, and one step."""
    figure, (left, right) = new_figure(7.4, 3.8, columns=2)
    for i, (name, rows) in enumerate(weights(record).items()):
        style = {key: LINES[i][key] for key in ("color", "marker")}
        places = [row["ratio"] for row in rows.values()]
        left.plot(places, range(len(places)), linestyle="", **style, label=name)
    left.set_yticks(range(len(rows)), list(rows), fontsize=8)
    left.set_title("factor and gradient", fontsize=10)
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside upper left", ncols=2)
    steps = ways(record)
    right.plot([row["ratio"] for row in steps.values()], range(len(steps)), "o", color="black")
    right.set_yticks(range(len(steps)), list(steps), fontsize=8)
    right.set_title("one step of training", fontsize=10)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.invert_yaxis()
        axes.set_xlabel("cost in products of 1024³", fontsize=9)
    figure.set_label(
        "Cost in matrix products of 1024³: a polar factor with its gradient, and a training step "
        f"of 784-1024-1024-1024-10, on {record['device']['cpu']}, 1 thread, "
        f"torch {record['versions']['torch']}, {record['date']}."
    )
    return figure


def layers(record: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """The rows of a step of one layer with an orthonormal weight, by how it is kept so."""
    start = f"a layer, batch {batch}: "
    steps = record["steps"].items()
    return {name.removeprefix(start): row for name, row in steps if name.startswith(start)}


def draw_layers(record: Mapping[str, Any]) -> Figure:
    """What a step of one layer of 1024 costs, over the step of a plain one, in a recorded run."""
    figure, axes = new_figure(6.4, 2.4)
    said = []
    for k, batch in enumerate((128, 512)):
        rows = layers(record, batch)
        ratios = [row["ratio"] for row in rows.values()]
        style = {key: LINES[k][key] for key in ("color", "marker")}
        axes.plot(ratios, range(len(rows)), linestyle="", label=f"{batch} samples", **style)
        said.append(", ".join(f"{ratio:.3g}" for ratio in ratios) + f" with {batch} samples")
    axes.set_yticks(range(len(rows)), list(rows), fontsize=9)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("cost in steps of a plain layer", fontsize=9)
    axes.legend(fontsize=9)
    figure.set_label(
        f"A step of one layer costs, by {', '.join(rows)}: {'; '.join(said)}. On "
        f"{record['device']['cpu']}, 1 thread, torch {record['versions']['torch']}, "
        f"{record['date']}."
    )
    return figure
