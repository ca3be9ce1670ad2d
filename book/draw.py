"""Draw the pictures of every slider of a lesson beforehand: one process, one lesson.

    python book/draw.py 04_bjorck build/frames

What a slider needs is run, and nothing else; then each position of its controls is drawn. The
pictures of a lesson are kept until its source, or the package under it, changes.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
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
from lipteach.classroom.figure_view import FigureView  # noqa: E402
from lipteach.classroom.frames import combinations, positions, values_of  # noqa: E402

FRAMES = 72
"""The most pictures of one slider."""
SECONDS = 100.0
"""Of computing, for one figure; a slower one stays still, and says so."""


def slider_cells(sources: dict[int, str]) -> list[int]:
    """The code cells that end in a slider, by their places."""
    return [place for place, text in sources.items() if re.search(r"^slider_figure\(", text, re.M)]


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


def draw_lesson(stem: str, folder: Path) -> None:
    """Draw what is not there yet into ``folder/stem``: pictures, and a list of them as JSON."""
    place, key = folder / stem, digest(stem)
    listed = place / "sliders.json"
    if listed.is_file() and json.loads(listed.read_text(encoding="utf-8"))["key"] == key:
        return
    sources = read_sources(stem)
    cells = slider_cells(sources)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = {}
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    matplotlib.use("agg")
    os.chdir(ROOT / "notebooks")
    for cell in needed(sources, set(cells)):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            value = run(sources[cell], f"{stem}, cell {cell}", namespace)
        if cell in cells:
            if not isinstance(value, FigureView):
                raise TypeError(f"{stem}, cell {cell}, ends in {type(value).__name__}, no slider")
            found[str(cell)] = draw_slider(value, place, len(found))
    text = json.dumps({"key": key, "sliders": found}, ensure_ascii=False, indent=1)
    listed.write_text(text, encoding="utf-8")


def draw_slider(view: FigureView, place: Path, number: int) -> dict[str, Any]:
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
        statement, png, width = view.frame(**chosen)
        data = webp(png)
        name = known.setdefault(hashlib.sha256(data).hexdigest(), f"{number}-{len(known):03d}.webp")
        (place / name).write_bytes(data)
        pictures.append(name)
        statements.append(statement)
        if time.process_time() - began > SECONDS:
            return {"still": "Each picture of this figure takes long to draw."}
    with Image.open(io.BytesIO(png)) as image:
        size = [width, round(image.height * width / image.width)]
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


def webp(png: bytes) -> bytes:
    """The same pixels in fewer bytes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGBA").save(buffer, "WEBP", lossless=True, quality=60, method=4)
    return buffer.getvalue()


def digest(stem: str) -> str:
    """Of the lesson, of the package without the other lessons' rooms, and of this program."""
    number = stem[:2]
    found = hashlib.sha256((ROOT / "notebooks" / f"{stem}.py").read_bytes())
    for path in [Path(__file__), *sorted((ROOT / "lipteach").rglob("*.py"))]:
        rooms = re.search(r"/lessons/l(\d\d)_", path.as_posix())
        if (rooms is None or rooms[1] == number) and "/course/" not in path.as_posix():
            found.update(path.read_bytes())
    for path in sorted((ROOT / "notebooks" / "results").glob("*.json")):
        found.update(path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    draw_lesson(sys.argv[1], Path(sys.argv[2]).resolve())
