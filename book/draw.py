"""Draw the pictures of every slider of a lesson beforehand: one process, one lesson.

    python book/draw.py 04_bjorck build/frames

What a slider needs is run, and nothing else; then each position of its controls is drawn. Its
pictures are kept until one of these cells, or the package under them, changes.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import io
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import jupytext
import matplotlib

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from PIL import Image  # noqa: E402

from lipteach.classroom.course.slices import needed  # noqa: E402
from lipteach.classroom.figure_view import ON_SCREEN, FigureView  # noqa: E402
from lipteach.classroom.frames import combinations, positions, values_of  # noqa: E402

FRAMES = 72
"""The most pictures of one slider."""
SECONDS = 100.0
"""Of computing, for one figure; a slower one stays still, and says so."""


def slider_cells(sources: dict[int, str]) -> list[int]:
    """The code cells that end in a slider, by their places."""
    return [place for place, text in sources.items() if re.search(r"^slider_figure\(", text, re.M)]


@functools.cache
def read_sources(stem: str) -> dict[int, str]:
    """The code cells of a lesson by their places, without lines for IPython."""
    book = jupytext.read(ROOT / "notebooks" / f"{stem}.py")
    code = {k: cell.source for k, cell in enumerate(book.cells) if cell.cell_type == "code"}
    return {k: re.sub(r"^%.*$", "", text, flags=re.MULTILINE) for k, text in code.items()}


def run(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Run a cell as a kernel does, and return the value of its last line if it is one."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None  # type: ignore[attr-defined]


def drawn(stem: str, folder: Path) -> dict[str, dict[str, Any]]:
    """The sliders of a lesson that have been drawn, by their keys."""
    listed = folder / stem / "sliders.json"
    return json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}


def missing(stem: str, folder: Path) -> dict[int, str]:
    """The sliders that are still to be drawn: the places of their cells, and their keys."""
    known = drawn(stem, folder)
    return {place: key for place, key in slider_keys(stem).items() if key not in known}


def draw_lesson(stem: str, folder: Path) -> None:
    """Draw what is not there yet into ``folder/stem``: pictures, and a list of them as JSON."""
    place, wanted = folder / stem, missing(stem, folder)
    current = set(slider_keys(stem).values())
    found = {key: slider for key, slider in drawn(stem, folder).items() if key in current}
    place.mkdir(parents=True, exist_ok=True)
    matplotlib.use("agg")
    os.chdir(ROOT / "notebooks")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in needed(read_sources(stem), set(wanted)):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            value = run(read_sources(stem)[cell], f"{stem}, cell {cell}", namespace)
        if cell in wanted:
            if not isinstance(value, FigureView):
                raise TypeError(f"{stem}, cell {cell}, ends in {type(value).__name__}, no slider")
            found[wanted[cell]] = draw_slider(value, place, wanted[cell])
            text = json.dumps(found, ensure_ascii=False, indent=1)
            (place / "sliders.json").write_text(text, encoding="utf-8")
    listed = {name for slider in found.values() for name in slider.get("pictures", ())}
    for picture in place.glob("*.webp"):
        if picture.name not in listed:
            picture.unlink()


def draw_slider(view: FigureView, place: Path, key: str) -> dict[str, Any]:
    """Draw one figure at all its positions, and describe its controls."""
    values = positions(view.controls, FRAMES)
    controls = []
    for name, control in view.controls.items():
        labels = {v: k for k, v in labelled(control)}
        controls.append({
            "name": control.description,
            "labels": [labels.get(value) or text(value) for value in values[name]],
            "start": values[name].index(control.value) if control.value in values[name] else 0,
            "menu": hasattr(control, "options"),
            "left_out": len(values[name]) < len(values_of(control)),
        })  # fmt: skip
    pictures, statements, began = [], [], time.process_time()
    known: dict[str, str] = {}
    for chosen in combinations(values):
        statement, card = view.card(**chosen)
        data = webp(card)
        name = known.setdefault(
            hashlib.sha256(data).hexdigest(), f"{key[:12]}-{len(known):03d}.webp"
        )
        (place / name).write_bytes(data)
        pictures.append(name)
        statements.append(statement)
        if time.process_time() - began > SECONDS:
            return {"still": "Each picture of this figure takes long to draw."}
    size = [card.width // ON_SCREEN, card.height // ON_SCREEN]
    return {"controls": controls, "pictures": pictures, "statements": statements, "size": size}


def labelled(control: Any) -> list[tuple[str, Any]]:
    """The entries of a menu with their words."""
    options = getattr(control, "options", ())
    return [o if isinstance(o, tuple) else (str(o), o) for o in options]


def text(value: Any) -> str:
    """A value as the reader sees it.

    >>> text(0.30000000000000004), text(-2)
    ('0.3', '−2')
    """
    return f"{value:.6g}".replace("-", "−") if isinstance(value, int | float) else str(value)


def webp(card: Image.Image) -> bytes:
    """A picture in few bytes."""
    buffer = io.BytesIO()
    card.convert("RGBA").save(buffer, "WEBP", lossless=True, quality=30, method=2)
    return buffer.getvalue()


@functools.cache
def slider_keys(stem: str) -> dict[int, str]:
    """What tells one drawing of a slider from another, by the places of their cells.

    It is a digest of the cells that the slider needs, of the package without the other lessons'
    rooms, of the records, and of this program: a change of the text draws nothing anew.
    """
    sources, below = read_sources(stem), []
    for path, found in file_digests().items():
        rooms = re.search(r"/lessons/l(\d\d)_", path)
        if (rooms is None or rooms[1] == stem[:2]) and "/course/" not in path:
            below.append(found)
    keys = {}
    for place in slider_cells(sources):
        cells = [sources[cell] for cell in needed(sources, {place})]
        keys[place] = hashlib.sha256("\n".join([*below, *cells]).encode()).hexdigest()
    return keys


@functools.cache
def file_digests() -> dict[str, str]:
    """Of each file that a picture may depend on."""
    paths = [Path(__file__), *sorted((ROOT / "lipteach").rglob("*.py"))]
    paths += sorted((ROOT / "notebooks" / "results").glob("*.json"))
    return {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    draw_lesson(sys.argv[1], Path(sys.argv[2]).resolve())
