"""Make notebooks from their .py sources and execute them in place.

python tools/run_notebooks.py [notebooks/NN_name.py …]     (all of them when none is named)

The .py is the source: cells come from it, outputs from the run. Time stamps, widget state and
execution metadata are left out, so that a second run changes nothing but what the code changed,
and the ids of widgets.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def build(script: Path) -> Path:
    """Write the executed notebook beside its script."""
    config = load_jupytext_config(str(script))
    book = jupytext.read(script, config=config)
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number:03d}"  # random ids would change at every run
    book.metadata.setdefault("language_info", {"name": "python"})
    resources = {"metadata": {"path": str(script.parent)}}
    NotebookClient(
        book,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources=resources,
    ).execute()
    book.metadata.pop("widgets", None)
    book.metadata["language_info"] = {"name": "python"}  # no version of this machine's Python
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    target = script.with_suffix(".ipynb")
    nbformat.write(book, target)
    return target


def main() -> int:
    """Build the named notebooks, or all."""
    scripts = [Path(name).with_suffix(".py") for name in sys.argv[1:]]
    for script in scripts or sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py")):
        start = time.perf_counter()
        target = build(script.resolve())
        size = target.stat().st_size / 1000
        print(f"{target.name}: executed in {time.perf_counter() - start:.0f} s, {size:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
