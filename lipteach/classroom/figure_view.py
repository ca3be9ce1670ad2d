"""Figures with a statement, still or under sliders, as PNG only.

A figure comes from a pure ``draw(…) -> matplotlib.figure.Figure`` that stores one line saying
what it shows by ``figure.set_label("…")``. `show` displays it; `slider_figure` redraws it when
a control moves. No Output widget is used, and tests move the controls without a browser.
"""

from __future__ import annotations

import base64
import html
import inspect
import io
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageDraw

from lipteach.classroom.frames import Ahead
from lipteach.classroom.guard import describe
from lipteach.classroom.style import PAPER
from lipteach.primitives._printing import say

_DPI, ON_SCREEN = 200, 2  # pixels an inch, and those for each of the page: sharp on fine screens
_CORNER = 16  # the radius of the card's corners, in pixels
_COLORS = 32  # are enough for an eye, and a third of the bytes
PREDICT = "Predict first; then run this cell and compare."
_AS_DRAWN = {"max_width": "100%", "align_self": "flex-start"}  # a box would stretch the picture


def _statement(figure: Figure) -> str:
    if not isinstance(figure, Figure):
        raise TypeError(f"a matplotlib Figure is needed; got {type(figure).__name__}")
    statement = str(figure.get_label()).strip()
    if not statement:
        raise ValueError('the figure says nothing; figure.set_label("…") states what it shows')
    return statement


def _card(figure: Figure) -> Image.Image:
    """The picture on its card.

    A sheet of PAPER's grey with round corners does not glare on a dark page. All colours are
    darkened with it, so that they stand out from it as from white. The figure is laid out once and
    drawn once: to save it would be to draw it twice.
    """
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    page = Image.fromarray(drawn).convert("RGB")
    card = ImageChops.multiply(page, Image.new("RGB", page.size, PAPER))
    rounded = Image.new("L", page.size)
    ImageDraw.Draw(rounded).rounded_rectangle((0, 0, page.width - 1, page.height - 1), _CORNER, 255)
    card.putalpha(rounded)
    return card.quantize(_COLORS, Image.Quantize.FASTOCTREE)


def _png(card: Image.Image, optimize: bool) -> tuple[bytes, int]:
    """The bytes of a card, and its width on the page; fewer bytes take six times as long."""
    written = io.BytesIO()
    card.save(written, format="png", optimize=optimize)
    return written.getvalue(), card.width // ON_SCREEN


def show(figure: Figure) -> None:
    """Display a figure as PNG, with its statement as alternative text, and print the statement.

    Where a lesson folds the output, JupyterLab writes the first one's text in its place: that is
    not the statement, which may be the answer to a prediction.
    """
    statement = _statement(figure)
    if InteractiveShell.initialized():
        picture, width = _png(_card(figure), optimize=True)
        display(  # type: ignore[no-untyped-call]
            {"image/png": base64.b64encode(picture).decode(), "text/plain": PREDICT},
            metadata={"image/png": {"alt": statement, "width": width}},
            raw=True,
        )
    say(textwrap.fill(statement, 92))  # a page would break a longer line within a word


def predicted() -> None:
    """Say first, in a cell whose printed output a lesson folds, what stands in its place."""
    if InteractiveShell.initialized():
        display({"text/plain": PREDICT}, raw=True)  # type: ignore[no-untyped-call]


def show_benchmark(name: str, draw: Callable[[dict[str, Any]], Figure]) -> dict[str, Any] | None:
    """Show the figure of a recorded benchmark and return its record.

    A lesson runs without the record, too: then the command that makes it is printed.

    Args:
        name: of the program ``benchmarks/bench_NAME.py``; a lesson finds its record in ``results``.
        draw: makes the figure of a record.

    Returns:
        The record, or None where there is none.
    """
    path = Path("results", f"bench_{name}.json")
    if not path.is_file():
        say("No record here yet. In the folder of the project, this writes one:")
        say(f"make bench RECORD=1 ONLY={name}")
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    show(draw(record))
    return record


class FigureView(ipywidgets.VBox):  # type: ignore[misc]
    """Controls above a picture and its statement.

    ``controls`` are the widgets by name, ``image`` holds the PNG, ``statement`` is the line
    under it, and ``status`` is "ok" or what kept the last picture from being drawn. While the
    kernel is idle the other pictures are drawn `Ahead`; then they follow the hand.
    """

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, ipywidgets.Widget]) -> None:
        self.draw, self.controls = draw, controls
        self.image = ipywidgets.Image(format="png", layout=_AS_DRAWN)
        self.caption = ipywidgets.HTML()
        self.statement = self.status = ""
        super().__init__([*controls.values(), self.image, self.caption])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._ahead: Ahead | None = None
        self._redraw()
        if self.status == "ok":
            self._ahead = Ahead(self.frame, controls, self._follow)

    def frame(self, **values: Any) -> tuple[str, bytes, int]:
        """Draw one position: its statement, the PNG, and the picture's width on the page."""
        statement, card = self.card(**values)
        return statement, *_png(card, optimize=False)

    def card(self, **values: Any) -> tuple[str, Image.Image]:
        """Draw one position: its statement, and the picture."""
        figure = self.draw(**values)
        return _statement(figure), _card(figure)

    def _follow(self) -> None:
        for control in self.controls.values():
            if hasattr(control, "continuous_update"):
                control.continuous_update = True

    def _redraw(self, _change: Any = None) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        drawn = self._ahead.frames if self._ahead else {}
        try:
            found = drawn.get(tuple(values.values())) or self.frame(**values)
        except Exception as error:  # shown in place; the last picture stays
            self.status = f"could not draw: {describe(error)}"
            self._say(self.status)
            return
        self.status, (self.statement, self.image.value, width) = "ok", found
        self.image.width = str(width)
        self._say(self.statement)

    def _say(self, text: str) -> None:
        self.caption.value = f'<div role="status" aria-live="polite">{html.escape(text)}</div>'

    def __repr__(self) -> str:
        return self.statement or self.status

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live widget, and beside it what a page without a kernel says in its place.

        Not its picture: the still one stands in the cell above, and would be there twice.
        """
        bundle = dict(super()._repr_mimebundle_(**kwargs))
        names = html.escape(", ".join(control.description for control in self.controls.values()))
        bundle["text/plain"] = repr(self)
        bundle["text/html"] = (
            f"<p>▶ <b>Run this cell (Shift+Enter) to move the slider</b>: {names}.</p>"
        )
        return bundle


def slider_figure(draw: Callable[..., Figure], **controls: Any) -> FigureView:
    """A view of ``draw(**values)`` with one control for each keyword.

    A control is an ipywidgets widget, or short for one: ``(low, high, step)`` and
    ``(low, high, step, start)`` are a slider (of integers when all are), a ``range`` is a
    slider of integers, a list is a menu. The start is the default of draw's parameter, else
    the low end or the first entry.
    """
    parameters = inspect.signature(draw).parameters
    widgets = {}
    for name, control in controls.items():
        if name not in parameters:
            raise ValueError(f"draw takes {', '.join(parameters)}; got a control for {name!r}")
        default = parameters[name].default
        widget = _control(name, control, None if default is inspect.Parameter.empty else default)
        widget.description = widget.description or name.replace("_", " ")
        widget.style.description_width = "initial"
        if hasattr(widget, "continuous_update"):
            widget.continuous_update = False
        widgets[name] = widget
    return FigureView(draw, widgets)


def _control(name: str, control: Any, start: Any) -> ipywidgets.Widget:
    if isinstance(control, ipywidgets.Widget):
        return control
    if isinstance(control, list) and control:
        options = [o[1] if isinstance(o, tuple) else o for o in control]
        chosen = start if start in options else options[0]
        return ipywidgets.Dropdown(options=control, value=chosen)
    if isinstance(control, range) and len(control) > 1:
        control = (control[0], control[-1], control.step)
    if not isinstance(control, tuple) or len(control) not in (3, 4):
        raise TypeError(
            f"the control {name!r} is a widget, (low, high, step), (low, high, step, start), "
            f"a range or a list; got {control!r}"
        )
    low, high, step, *given = control
    start = given[0] if given else low if start is None else start
    if not (low < high and step > 0 and low <= start <= high):
        raise ValueError(
            f"the slider {name!r} needs low < high, step > 0 and a start between; got {control!r} "
            f"and start {start!r}"
        )
    limits = {"min": low, "max": high, "step": step, "value": start}
    if all(isinstance(number, int) for number in limits.values()):
        return ipywidgets.IntSlider(**limits)
    digits = max(1, len(f"{step:.6f}".rstrip("0").partition(".")[2]))
    return ipywidgets.FloatSlider(**limits, readout_format=f".{digits}f")
