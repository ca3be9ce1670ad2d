"""What was released: release.json, by which a course is checked and graded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

FILE = "release.json"


def digest(book: NotebookNode) -> str:
    """A digest of the sources of a notebook's cells; run or merely opened, it stays the same."""
    written = json.dumps([[cell.cell_type, cell.source] for cell in book.cells])
    return hashlib.sha256(written.encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what was released into a folder.

    Raises FileNotFoundError where nothing was, ValueError where the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{Path(folder).name} is no released course: it has no {FILE}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest["assignments"], dict):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{FILE} cannot be read: release the lessons again") from None
    return dict(manifest)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write it sorted, so that the same release is the same file."""
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_if_new(folder / FILE, text)


def write_if_new(path: Path, text: str) -> bool:
    """Write a text unless it stands there already; return whether it was written."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True
