"""The figures of lesson 05."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.style import LINES, new_figure
from lipteach.primitives.bjorck_apply import chebyshev_coefficients, odd_series
from lipteach.primitives.orthonormal import scalar_map
from lipteach.primitives.polar import optimal_quintics

PAPER_TABLE_3 = {1: 99.98, 2: 78.59, 3: 53.56, 5: 7.77, 10: 0.07}
"""The speedup that the paper prints for each number of iterations."""

LOW = 0.01
"""The smallest singular value that the best quintics are made for."""

_PLAIN = {"marker": ""}


def chebyshev_degree(steps: int) -> int:
    """The odd degree that stands for k steps of order 1 on [0, 1], with relative error 1e-5.

    >>> [chebyshev_degree(k) for k in (1, 2, 3, 5)]
    [3, 9, 17, 43]
    """
    return 2 * len(odd_series(steps, 1, 1.0, 1e-5, True).c) - 1


def draw_products(exponent: int = 0) -> Figure:
    """Multiplications of the dense iteration over those of both vector forms, by steps."""
    vectors, ks = 2**exponent, range(1, 11)
    dense = [2 * k * 1000 for k in ks]  # in products of the matrix with a vector
    forms = {
        "recursion, $3^k$ products": [3**k * vectors for k in ks],
        "Chebyshev series": [chebyshev_degree(k) * vectors for k in ks],
    }
    figure, axes = new_figure(6, 2.9)
    said = []
    for i, (name, cost) in enumerate(forms.items()):
        ratio = [a / b for a, b in zip(dense, cost, strict=True)]
        axes.plot(ks, ratio, **LINES[i] | {"markevery": 1}, label=name)
        said.append(sum(one > 1 for one in ratio))
    axes.axhline(1, color="#999999", linewidth=1)
    axes.set_yscale("log")
    axes.set(xlabel="steps k", xticks=list(ks), ylim=(1e-3, 2e3))
    axes.set(ylabel="dense / vector form", title=f"1000 × 1000, vectors: {vectors}")
    axes.legend(fontsize=9, loc="lower left")
    figure.set_label(
        f"With {vectors} vector{'s' * (vectors > 1)} the recursion makes fewer multiplications "
        f"than the dense iteration for {said[0]} of 10 numbers of steps, the series for {said[1]}."
    )
    return figure


def draw_scalings(sigma: Mapping[str, Tensor]) -> Figure:
    """Largest and median singular value, step by step, for each scaling."""
    figure, axes = new_figure(6, 2.9)
    steps, said = 20, []
    for i, (name, start) in enumerate(sigma.items()):
        ends = torch.stack([start.max(), start.median()])
        path = torch.stack([scalar_map(ends, k, 1) for k in range(steps + 1)])
        line = LINES[i] | {"markevery": 2}
        axes.plot(range(steps + 1), path[:, 0], **line, label=f"{name}, largest σ")
        axes.plot(
            range(steps + 1), path[:, 1], **line | {"markerfacecolor": "white", "alpha": 0.7},
            label=f"{name}, median σ",
        )  # fmt: skip
        reached = (path > 0.99).long()
        first = [int(column.argmax()) for column in reached.T if bool(column.any())]
        said.append(f"{name}: {first[0]} and {first[1]}")
    axes.set(xlabel="steps", ylabel="singular value", ylim=(-0.03, 1.05), yticks=[0, 0.5, 1])
    axes.set(xticks=list(range(0, steps + 1, 5)))
    axes.legend(fontsize=8, loc="lower right")
    figure.set_label(
        f"Steps until the largest and the median singular value exceed 0.99: {'; '.join(said)}."
    )
    return figure


def table3_rows(record: Mapping[str, Any], scaling: str) -> dict[int, Any]:
    """The recorded methods by number of steps, for a single vector on one thread."""
    return {
        entry["steps"]: entry["methods"]
        for entry in record["results"]
        if (entry["scaling"], entry["vectors"], entry["threads"]) == (scaling, 1, 1)
    }


def draw_table3(record: Mapping[str, Any]) -> Figure:
    """The speedups of a recorded run beside the paper's, for both scalings."""
    figure, panels = new_figure(6.4, 3.2, columns=2)
    for axes, scaling in zip(panels, ("(11)", "spectral"), strict=True):
        rows = table3_rows(record, scaling)
        lines: dict[str, dict[int, float]] = {"paper's recursion": PAPER_TABLE_3}
        for method, name in (("recursion", "recursion here"), ("chebyshev", "series here")):
            found = {k: row[method] for k, row in rows.items()}
            lines[name] = {k: one["ratio"] for k, one in found.items() if "ratio" in one}
        for i, (name, values) in enumerate(lines.items()):
            style = LINES[(2, 0, 1)[i]] | {"markevery": 1}
            axes.plot(list(values), list(values.values()), **style, label=name)
        axes.axhline(1, color="#999999", linewidth=1)
        axes.set_yscale("log")
        axes.set(xlabel="steps k", xticks=list(PAPER_TABLE_3), ylim=(0.04, 1e3))
        axes.set_title(f"scaled by {scaling}" if scaling == "(11)" else "scaled by the norm")
    panels[0].set(ylabel="times faster than dense")
    panels[0].legend(fontsize=8, loc="lower left")
    figure.set_label(
        "Speedup over the dense iteration, 1000 × 1000 and one vector: the paper's Table 3 and a "
        f"run on {record['device']['cpu']}, 1 thread, "
        f"torch {record['versions']['torch']}, {record['date']}."
    )
    return figure


def draw_series(steps: int = 5, degree: int = 21) -> Figure:
    """The scalar map of k steps on [0, 1], its series up to a degree, and the relative error."""
    c = chebyshev_coefficients(steps, 1, 1.0)
    degree = min(degree, len(c) - 1)
    sigma = torch.linspace(1e-3, 1, 800, dtype=torch.float64)
    g = scalar_map(sigma, steps, 1)
    j = torch.arange(degree + 1, dtype=torch.float64)[:, None]
    p = c[: degree + 1] @ (j * sigma.arccos()).cos()
    error = (p - g).abs() / g
    figure, (left, right) = new_figure(6.4, 2.8, columns=2)
    left.plot(sigma, g, **LINES[0] | _PLAIN, label=f"$h_{{{steps}}}$, degree $3^{{{steps}}}$")
    left.plot(sigma, p, **LINES[1] | _PLAIN, label=f"series, degree {degree}")
    left.set(xlabel="σ", ylim=(-0.1, 1.25), yticks=[0, 0.5, 1])
    left.set_title(f"{steps} step{'s' * (steps > 1)}")
    left.legend(fontsize=8, loc="lower right")
    right.plot(sigma, error.clamp(min=1e-16), **LINES[1] | _PLAIN | {"linestyle": "-"})
    right.axhline(1e-5, color="#999999", linewidth=1)
    right.set_yscale("log")
    right.set(xlabel="σ", ylim=(1e-16, 10), title="relative error")
    figure.set_label(
        f"Steps: {steps}, a polynomial of degree {3**steps}: its Chebyshev series up to degree "
        f"{degree} errs by at most {float(error.max()):.0e} of the value."
    )
    return figure


def draw_degrees() -> Figure:
    """The degree that a relative error of 1e-5 needs, beside 3^k and a constant times 1.5^k."""
    ks = list(range(1, 13))
    needed = [chebyshev_degree(k) for k in ks]
    figure, axes = new_figure(6, 2.8)
    axes.plot(ks, [3**k for k in ks], **LINES[0] | {"markevery": 1}, label="$3^k$: recursion")
    axes.plot(ks, needed, **LINES[1] | {"markevery": 1}, label="series, error $10^{-5}$")
    axes.plot(ks, [6 * 1.5**k for k in ks], **LINES[2] | _PLAIN, label=r"$6 \cdot 1.5^k$")
    axes.set_yscale("log")
    axes.set(xlabel="steps k", ylabel="products", xticks=ks)
    axes.legend(fontsize=9, loc="upper left")
    shown = ", ".join(f"{needed[k - 1]} for {3**k}" for k in (2, 3, 5, 10))
    figure.set_label(f"Products with a vector, series for recursion: {shown}.")
    return figure


def after_products(sigma: Tensor, products: int) -> tuple[Tensor, Tensor]:
    """Where matrix products take σ: by Björck's steps (2 each), by best quintics (3 each)."""
    best = sigma
    for a, b, c in optimal_quintics(LOW, 1e-3)[: products // 3]:
        best = a * best + b * best**3 + c * best**5
    return scalar_map(sigma, products // 2, 1), best


def draw_quintics(products: int = 6) -> Figure:
    """The same number of matrix products spent on Björck's steps and on the best quintics."""
    sigma = torch.linspace(0, 1, 600, dtype=torch.float64)
    bjorck, best = after_products(sigma, products)
    figure, axes = new_figure(6, 2.8)
    axes.plot(sigma, bjorck, **LINES[0] | _PLAIN, label=f"steps of order 1: {products // 2}")
    axes.plot(sigma, best, **LINES[1] | _PLAIN, label=f"best steps of degree 5: {products // 3}")
    axes.axhline(1, color="#999999", linewidth=1)
    axes.axvline(LOW, color="#999999", linewidth=1)
    axes.set(xlabel="σ", ylim=(-0.05, 2.4), yticks=[0, 0.5, 1, 1.5, 2])
    axes.set(title=f"{products} matrix products")
    axes.legend(fontsize=9, loc="upper center", ncols=2)
    inside = sigma >= LOW
    worst = [float((1 - y[inside]).abs().max()) for y in (bjorck, best)]
    figure.set_label(
        f"After {products} products the singular values of [{LOW:g}, 1] are within {worst[0]:.3f} "
        f"of 1 by Björck's steps, within {worst[1]:.3f} by the best polynomials of degree 5."
    )
    return figure


def draw_saved(steps: Sequence[int], unrolled: Sequence[int], implicit: int) -> Figure:
    """Matrices that the backward pass waits for, against the number of steps."""
    figure, axes = new_figure(6, 2.6)
    axes.plot(steps, unrolled, **LINES[0] | {"markevery": 1}, label="steps unrolled")
    axes.plot(
        steps, [implicit] * len(steps), **LINES[1] | {"markevery": 1}, label="implicit gradient"
    )
    axes.set(xlabel="steps", ylabel="matrices kept", ylim=(0, None), xticks=list(steps))
    axes.legend(fontsize=9, loc="upper left")
    figure.set_label(
        f"Matrices kept for the gradient: {unrolled[0]} for {steps[0]} step, {unrolled[-1]} for "
        f"{steps[-1]} steps unrolled; {implicit} with the implicit gradient, however many steps."
    )
    return figure
