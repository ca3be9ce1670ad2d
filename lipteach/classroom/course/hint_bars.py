"""The picture of the class report: who passed, and below the hints that most of the others met."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from lipteach.classroom.course.counting import Counted
from lipteach.classroom.style import BLUE, ORANGE, SKY, new_figure

_MOST = 3  # hints of an exercise
_LETTERS = 124
_BAR, _LINE, _GAP = 0.30, 0.19, 0.22  # inches
_HEAD = 0.75


def draw_hints(exercises: Sequence[Counted], title: str) -> Figure:
    """Draw one bar for each exercise, told apart by hatching, with words under it.

    >>> draw_hints([Counted("04.steps", 30, 28, 20)], "04").get_label()
    '04. 04.steps: 20 of 30 passed.'
    """
    blocks = [(one, _words(one)) for one in exercises]
    height = _HEAD + sum(_BAR + _GAP + _LINE * len(words) for _, words in blocks)
    figure, axes = new_figure(9, max(height, 1.5))
    y = 0.0
    for one, words in blocks:
        _draw_bar(axes, one, y)
        for line in words:
            y += _LINE
            axes.text(0.01, y + _BAR / 2 - 0.02, line, fontsize=8.5, va="center")
        y += _BAR + _GAP
    axes.set(xlim=(0, 1), ylim=(y, -_BAR), yticks=[], xticks=[], title=title)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    figure.set_label(f"{title}. " + " ".join(_sentence(one) for one in exercises))
    return figure


def _draw_bar(axes: Any, one: Counted, y: float) -> None:
    parts = (
        (one.passed, "passed", {"color": BLUE}, "white"),
        (
            one.tried - one.passed,
            "not yet",
            {"color": "white", "hatch": "///", "ec": ORANGE},
            "black",
        ),
        (one.of - one.tried, "not tried", {"color": SKY, "alpha": 0.35}, "black"),
    )
    left, start = 0.0, 0.24
    axes.text(start - 0.01, y, one.name, ha="right", va="center", fontsize=10, weight="bold")
    for many, words, style, ink in parts:
        width = (1 - start) * many / max(one.of, 1)
        axes.barh(y, width, _BAR * 0.8, start + left, **({"linewidth": 1} | style))
        said = f"{many} {words}" if width > 0.11 else str(many) if many else ""
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if ink == "black" else None
        axes.text(
            start + left + width / 2, y, said, ha="center", va="center", fontsize=8.5, color=ink,
            bbox=box if said else None,
        )  # fmt: skip
        left += width


def _words(one: Counted) -> list[str]:
    lines = []
    for met in one.hints[:_MOST]:
        label = f"{met.label}: " if met.label else ""
        text = f"{met.count} of {one.of} · {label}{met.hint}"
        lines += textwrap.wrap(
            text, _LETTERS, max_lines=2, placeholder=" …", subsequent_indent="     "
        )
    return [line.replace("$", r"\$") for line in lines]


def _sentence(one: Counted) -> str:
    first = f"; most often: {one.hints[0].label or one.hints[0].hint}" if one.hints else ""
    return f"{one.name}: {one.passed} of {one.of} passed{first.rstrip('.')}."
