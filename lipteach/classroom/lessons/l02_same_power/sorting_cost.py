"""Figures of lesson 02 on the cost of sorting: comparisons counted, times as recorded."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from lipteach.classroom.style import AMBER, BLACK, LINES, SKY, new_figure


def comparisons(values: Sequence[float]) -> int:
    """How many comparisons a merge sort of ``values`` makes.

    >>> comparisons([3.0, 1.0]), comparisons([3.0, 1.0, 2.0, 4.0])
    (1, 5)
    """
    return _merge_sort(list(values))[1]


def _merge_sort(values: list[float]) -> tuple[list[float], int]:
    if len(values) < 2:
        return values, 0
    (one, cost), (two, more) = (_merge_sort(half) for half in _halves(values))
    merged, count = [], cost + more
    one, two = one[::-1], two[::-1]
    while one and two:
        count += 1
        merged.append(one.pop() if one[-1] >= two[-1] else two.pop())
    return merged + one[::-1] + two[::-1], count


def _halves(values: list[float]) -> tuple[list[float], list[float]]:
    return values[: len(values) // 2], values[len(values) // 2 :]


def comparisons_per_entry(size: int, n: int = 1024) -> float:
    """The average over n random entries that are sorted in groups of ``size``."""
    entries = random.Random(0).choices(range(10**6), k=n)
    groups = [entries[i : i + size] for i in range(0, n, size)]
    return sum(comparisons(group) for group in groups) / n


def draw_comparisons(n: int = 1024) -> Figure:
    """Comparisons per entry against the group size, beside log₂ k."""
    sizes = [2**m for m in range(1, n.bit_length())]
    counted = [comparisons_per_entry(size, n) for size in sizes]
    figure, axes = new_figure(height=2.9)
    bound = [math.log2(size) for size in sizes]
    axes.plot(sizes, bound, **LINES[1] | {"marker": ""}, label=r"$\log_2 k$")
    axes.plot(sizes, counted, **LINES[0] | {"markevery": 1}, label="counted in a merge sort")
    axes.set_xscale("log", base=2)
    axes.set(xlabel="group size k", ylabel="comparisons per entry", ylim=(0, None))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.legend(fontsize=9, frameon=False)
    figure.set_label(
        f"Sorting {n} entries takes {counted[0]:.1f} comparisons per entry in groups of 2 and "
        f"{counted[-1]:.1f} in groups of {sizes[-1]}: no more than log2 of the size."
    )
    return figure


def benchmark_cases(record: Mapping[str, Any], threads: int = 1) -> list[Mapping[str, Any]]:
    """The cases of a record that the lesson shows: a small input, then a large one.

    Of the inputs with channels, those whose channels are sorted (dim 1) in the usual state of
    memory, in which freed blocks go back to the system.
    """
    cases = [e for e in record["results"] if e["threads"] == threads]
    cases = [e for e in cases if not e.get("freed_memory_kept")]
    return [e for e in cases if len(e["shape"]) == 2 or e["dim"] == 1]


def draw_benchmark(record: Mapping[str, Any], threads: int = 1) -> Figure:
    """Times over ReLU's from a record of benchmarks/bench_activations.py, with their quartiles."""
    cases = benchmark_cases(record, threads)
    names = [name for name in cases[0]["activations"] if name != "ReLU"]
    figure, axes = new_figure(height=3.6)
    for c, case in enumerate(cases):
        rows = [case["activations"][name] for name in names]
        ratios = [row["ratio"] for row in rows]
        places = [place + 0.38 * c for place in range(len(names))]
        spread = [
            [max(0.0, r - row["quartiles"][0]) for r, row in zip(ratios, rows, strict=True)],
            [max(0.0, row["quartiles"][1] - r) for r, row in zip(ratios, rows, strict=True)],
        ]
        style = {"color": (SKY, AMBER)[c % 2], "hatch": ("", "//")[c % 2], "edgecolor": BLACK}
        axes.barh(
            places,
            [r - 1 for r in ratios],
            0.34,
            left=1,
            xerr=spread,
            capsize=2,
            label=_size(case),
            **style,
        )
        for place, row in zip(places, rows, strict=True):
            right = max(row["ratio"], row["quartiles"][1])
            axes.text(right * 1.06, place, f"{row['ratio']:.1f}", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 1.5)
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.set_yticks([place + 0.19 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set(xlabel="time, forward and backward, over ReLU's (logarithmic)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.set_label(_benchmark_statement(record, cases, threads))
    return figure


def _size(case: Mapping[str, Any]) -> str:
    return " × ".join(str(length) for length in case["shape"])


def _benchmark_statement(
    record: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], threads: int
) -> str:
    found = [f"{c['activations']['maxmin']['ratio']:.1f} on {_size(c)}" for c in cases]
    return (
        f"MaxMin takes {' and '.join(found)} times as long as ReLU: median ratios with quartiles, "
        f"{record['device']['cpu']}, {threads} thread{'s' * (threads > 1)}, "
        f"torch {record['versions']['torch']}, "
        f"Python {record['versions']['python']}, {record['date']}."
    )
