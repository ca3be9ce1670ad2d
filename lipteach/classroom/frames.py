"""A figure for every position of its controls, drawn before it is asked for.

Figures are pure functions of a few discrete controls, so a picture can wait for the hand: in
JupyterLab they are drawn while the kernel has nothing else to do, in the book when it is built.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets
from IPython import get_ipython

MOST = 120
"""The most frames of one figure."""
FIGURES = 8  # whose frames are kept at a time
QUIET = 1.0  # seconds without a cell, before one is drawn


def values_of(control: ipywidgets.Widget) -> list[Any]:
    """All values that a control can take, in order.

    >>> values_of(ipywidgets.FloatSlider(min=0.0, max=0.3, step=0.1))
    [0.0, 0.1, 0.2, 0.3]
    """
    if hasattr(control, "options"):
        return [o[1] if isinstance(o, tuple) else o for o in control.options]
    if not hasattr(control, "step"):
        return [control.value]  # what a person may write into it, nobody can draw beforehand
    count = int((control.max - control.min) / control.step + 1e-9) + 1
    return [_round(control.min + k * control.step) for k in range(count)]


def _round(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.10g}")


def positions(controls: Mapping[str, ipywidgets.Widget], most: int = MOST) -> dict[str, list[Any]]:
    """The values of each control, so few that there are at most so many pictures.

    The longest slider loses every second value, and the first and the present one stay, until they
    are few enough. A menu keeps all of its entries, and a slider two values: where these alone are
    too many, so many there are.

    >>> slider = ipywidgets.IntSlider(min=0, max=10, value=3)
    >>> positions({"steps": slider}, most=7)
    {'steps': [0, 1, 3, 5, 7, 9]}
    """
    found = {name: values_of(control) for name, control in controls.items()}
    sliders = [name for name, control in controls.items() if not hasattr(control, "options")]
    while _count(found) > most:
        name = max(sliders, key=lambda name: len(found[name]), default="")
        if not name or len(found[name]) <= 2:
            break
        values, start = found[name], controls[name].value
        kept = values[_nearest(values, start) % 2 :: 2]
        found[name] = kept if kept[0] == values[0] else [values[0], *kept]
    return found


def _nearest(values: list[Any], start: Any) -> int:
    return min(range(len(values)), key=lambda k: abs(values[k] - start))


def _count(values: Mapping[str, list[Any]]) -> int:
    return math.prod(map(len, values.values()))


def combinations(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Each position of all controls, the last control moving first."""
    for chosen in itertools.product(*values.values()):
        yield dict(zip(values, chosen, strict=True))


class Ahead:
    """Draws one frame after the other while the kernel is idle, then calls ``done``.

    ``frames`` holds what ``draw`` has made, by position. Of all figures in a kernel the last few
    keep theirs. Nothing is drawn where no kernel runs, where a test does, or where a figure has
    more positions than `MOST`.
    """

    _living: deque[Ahead] = deque()

    def __init__(
        self,
        draw: Callable[..., Any],
        controls: Mapping[str, ipywidgets.Widget],
        done: Callable[[], None],
    ) -> None:
        self.frames: dict[tuple[Any, ...], Any] = {}
        self._draw, self._done = draw, done
        values = {name: values_of(control) for name, control in controls.items()}
        self._left = list(combinations(values)) if _count(values) <= MOST else []
        start = {name: control.value for name, control in controls.items()}
        self._left.sort(key=lambda one: -_far(one, start, values))  # the last is the next
        loop = _kernel_loop() if self._left else None
        if loop is not None:
            Ahead._living.append(self)
            if len(Ahead._living) > FIGURES:
                Ahead._living.popleft().stop()
            loop.call_later(QUIET, self._next, loop)

    def stop(self) -> None:
        """Draw no more, and forget what was drawn."""
        self._left.clear()
        self.frames.clear()

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._left:
            return
        if (wait := QUIET - (time.monotonic() - _last_cell)) > 0:
            loop.call_later(wait, self._next, loop)
            return
        began = time.monotonic()
        values = self._left.pop()
        try:
            self.frames[tuple(values.values())] = self._draw(**values)
        except Exception:  # a figure that cannot be drawn says so when it is asked for
            self.stop()
            return
        if self._left:  # half of the time at most: whatever the reader does comes in between
            loop.call_later(time.monotonic() - began, self._next, loop)
        else:
            self._done()


def _far(one: dict[str, Any], start: dict[str, Any], values: Mapping[str, list[Any]]) -> int:
    return sum(abs(some.index(one[n]) - some.index(start[n])) if start[n] in some else 0
               for n, some in values.items())  # fmt: skip


_last_cell = 0.0


def _note_cell(*_: object) -> None:
    global _last_cell
    _last_cell = time.monotonic()


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the kernel, if this is one, and no test runs it."""
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel") or "PYTEST_VERSION" in os.environ:
        return None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if _note_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _note_cell)
    return loop
