"""The figure of lesson 00."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lipteach.classroom.style import AMBER, LINES, new_figure


def wave(x: np.ndarray) -> np.ndarray:
    """Return sin(2x)/2, a 1-Lipschitz function: its derivative is cos(2x)."""
    return np.asarray(np.sin(2 * x) / 2)


def draw_lipschitz(second: float = 1.5) -> Figure:
    """Draw a 1-Lipschitz function, the cone at its point x = −2, and a chord from there."""
    first = -2.0
    x = np.linspace(-2.5, 2.5, 401)
    reach = np.abs(x - first)
    ends = np.array([first, second])
    slope = np.diff(wave(ends))[0] / (second - first)
    figure, axes = new_figure(height=3.2)
    tip = wave(ends)[0]
    axes.fill_between(x, tip - reach, tip + reach, color=AMBER, alpha=0.25, label="|slope| ≤ 1")
    axes.plot(x, wave(x), **(LINES[0] | {"marker": ""}), label="f")
    axes.plot(ends, wave(ends), **(LINES[1] | {"marker": "o", "markevery": None}), label="chord")
    axes.set(xlabel="x", ylabel="f(x)", xlim=(-2.5, 2.5), ylim=(-1.5, 2.0))
    axes.legend(loc="upper left", ncols=3)
    figure.set_label(
        f"The chord of f from x = -2 to x = {second:.1f} has slope {slope:.2f}, within the cone of "
        "slopes between -1 and 1."
    )
    return figure
