"""Where a lesson teaches what an exercise needs: the part to show again."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

from lipteach.classroom.course.slices import names
from lipteach.classroom.course.submissions import grade_id

_HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)


def find_cures(source: NotebookNode, entry: Mapping[str, Any]) -> dict[str, str]:
    """For each exercise the heading above the nearest cell that makes what its solution reads.

    Where the solution reads nothing of the lesson, the heading above the exercise.
    """
    headings = _headings(source)
    places = {grade_id(cell): place for place, cell in enumerate(source.cells)}
    marks = {one[kind] for one in entry["exercises"] for kind in ("answer", "test")}
    found = {}
    for one in entry["exercises"]:
        answer = places.get(one["answer"])
        if answer is not None:
            cell = _maker(source, answer, marks)
            found[one["name"]] = headings[answer if cell is None else cell]
    return found


def _headings(source: NotebookNode) -> list[str]:
    """The heading above each cell, those of exercises apart."""
    now, found = "", []
    for cell in source.cells:
        if cell.cell_type == "markdown":
            lines = _HEADING.findall(cell.source)
            now = next((line for line in lines[::-1] if not line.startswith("Exercise ")), now)
        found.append(now)
    return found


def _maker(source: NotebookNode, answer: int, marks: set[str]) -> int | None:
    wanted = _reads(source.cells[answer].source)
    for place in range(answer - 1, -1, -1):
        cell = source.cells[place]
        if cell.cell_type != "code" or grade_id(cell) in marks:
            continue
        made = _read(cell.source)
        if made is not None and made.made & wanted and not made.imported:
            return place
    return None


def _read(text: str) -> Any:
    try:
        return names(re.sub(r"^[%!].*$", "", text, flags=re.MULTILINE))
    except SyntaxError:
        return None


def _reads(text: str) -> set[str]:
    """The names that a solution takes from the lesson: no argument, and nothing that it makes."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return set()
    found = names(text)
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return found.read - found.made - found.imported - arguments
