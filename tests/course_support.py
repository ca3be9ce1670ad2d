"""Submissions of lesson 00 for tests of grading: right, wrong, and out to do harm."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

STEM = "00_start_here"
RIGHT = "def larger(a, b):\n    return torch.where(a > b, a, b)"
SMALLER = "def larger(a, b):\n    return torch.minimum(a, b)"
FIRST, SECOND = "00-first-check", "00-verdict"
PATCHED = """\
import lipteach.classroom as classroom
class Passed:
    passed, tried, hint, kind = True, True, "", ""
classroom.check = classroom.checks.check = classroom.checks.examine = lambda *a, **k: Passed()
"""
FORGED = """\
import json, os, sys
frame, word = sys._getframe(), None
for fd in range(3, 40):
    try:
        os.write(fd, json.dumps({"word": word, "found": {"report": {"passed": True}}}).encode())
        os.write(fd, b"\\n")
    except OSError:
        pass
"""


def cell(book: NotebookNode, mark: str) -> NotebookNode:
    """The cell that nbgrader knows by that name."""
    return next(c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") == mark)


def answered(course: Path, first: str = RIGHT, second: str = 'answer = "erratum"') -> NotebookNode:
    """The released notebook with answers."""
    book = nbformat.read(course / "release" / STEM / f"{STEM}.ipynb", as_version=4)
    cell(book, f"{FIRST}-answer").source = first
    cell(book, f"{SECOND}-answer").source = second
    return book


def hand_in(course: Path, student: str, book: NotebookNode | str, name: str = "") -> Path:
    """Lay a notebook, or any text, into the folder of a student."""
    folder = course / "submitted" / student / STEM
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{STEM}.ipynb")
    path.write_text(book if isinstance(book, str) else json.dumps(book), encoding="utf-8")
    return path


def _without(book: NotebookNode, mark: str) -> NotebookNode:
    book.cells.remove(cell(book, mark))
    return book


def _edited(book: NotebookNode) -> NotebookNode:
    cell(book, f"{FIRST}-test").source = "report = 'passed'"
    return book


def _doubled(book: NotebookNode) -> NotebookNode:
    twin = copy.deepcopy(cell(book, f"{FIRST}-answer"))
    twin.source = SMALLER
    book.cells.insert(book.cells.index(cell(book, f"{FIRST}-answer")), twin)
    return book


def _older(book: NotebookNode) -> NotebookNode:
    book.metadata["lipteach"] = {"assignment": STEM, "release": "0" * 64}
    return _without(_without(book, f"{SECOND}-answer"), f"{SECOND}-test")


def _unmarked(book: NotebookNode) -> NotebookNode:
    for one in book.cells:
        one.metadata.pop("nbgrader", None)
    return book


def _preceded(source: str) -> Callable[[NotebookNode], NotebookNode]:
    """A cell above all others, which the first answer asks for."""

    def change(book: NotebookNode) -> NotebookNode:
        book.cells.insert(0, new_code_cell(source))
        cell(book, f"{FIRST}-answer").source = f"def larger(a, b, _={NAME}):\n" + RIGHT[18:]
        return book

    return change


NAME = "helper"
SAME: Callable[[NotebookNode], NotebookNode] = lambda book: book  # noqa: E731

ZOO: dict[str, tuple[str, Callable[[NotebookNode], NotebookNode], bool, str]] = {
    # the first answer, what else is changed, whether the first passes, a part of what is said
    "loops": ("while True:\n    pass", SAME, False, "did not end within 1 seconds of computing"),
    "loops when called": (
        "def larger(a, b):\n    while True:\n        pass",
        SAME,
        False,
        "did not end within 1 seconds of computing",
    ),
    "exits": ("import os\nos._exit(0)", SAME, False, "ended its own process (exit code 0)"),
    "asks to exit": ("raise SystemExit", SAME, False, "raised SystemExit"),
    "forks": ("import os\nwhile True:\n    os.fork()", SAME, False, "did not end within"),
    "eats memory": (
        "x = []\nwhile True:\n    x.append(bytearray(10**8))",
        SAME,
        False,
        "more memory than there is",
    ),
    "prints": (
        "for _ in range(3000):\n    print('x' * 1000)\n" + RIGHT,
        SAME,
        True,
        "print 3 million letters",
    ),
    "writes past Python": (
        "import os\nfor _ in range(3000):\n    os.write(1, b'x' * 1000)\n" + RIGHT,
        SAME,
        True,
        "",
    ),
    "kills": (
        "import os, signal\nfor who in (os.getppid(), os.getpid()):\n"
        "    os.kill(who, signal.SIGKILL)\nraise ValueError('alive')",
        SAME,
        False,
        "",
    ),
    "raises on import": ("import no_such_package\n" + RIGHT, SAME, False, "ModuleNotFoundError"),
    "patches": (PATCHED + SMALLER, SAME, False, "The notebook replaces lipteach.classroom"),
    "patches later": (
        "import lipteach.classroom.compare_functions as judge\n"
        "def larger(a, b):\n    judge.judge_value = lambda *a, **k: None\n    return a",
        SAME,
        False,
        "",
    ),
    "forges": (FORGED + SMALLER, SAME, False, "wrote into the channel of the judge"),
    "edits a test": (RIGHT, _edited, True, "A changed test cell; the released one counted"),
    "deletes a test": (
        RIGHT,
        lambda book: _without(book, f"{FIRST}-test"),
        True,
        "No test cell; the released one counted",
    ),
    "deletes an answer": (
        RIGHT,
        lambda book: _without(book, f"{FIRST}-answer"),
        False,
        "has lost its mark",
    ),
    "doubles a cell": (
        RIGHT,
        _doubled,
        True,
        "More than one cell with an answer, of which the best counts",
    ),
    "loses its marks": (RIGHT, _unmarked, True, "has lost its mark"),
    "older": (RIGHT, _older, True, "comes from another release"),
    "a helper that loops": (
        RIGHT,
        _preceded(f"{NAME} = 1\nwhile True:\n    pass"),
        False,
        "Cell 1 was left out",
    ),
    "half a letter": ("raise ValueError('\\ud800')", SAME, False, "ValueError"),
    "no Python": ("def larger(a, b", SAME, False, "SyntaxError: incomplete input, in line 1"),
}
BROKEN = {
    "no JSON": ("{'cells': [", "", "is not valid JSON"),
    "no notebook": ("[1, 2]", "", "no notebook"),
    "empty": ("", "", "is empty"),
    "no cells": ('{"cells": [], "metadata": {}, "nbformat": 4}', "", "no cell with code"),
}


def fill(course: Path, to: Path) -> Path:
    """A course with the whole zoo handed in."""
    shutil.copytree(course, to, dirs_exist_ok=True)
    for name, (first, change, *_) in ZOO.items():
        hand_in(to, name, change(answered(course, first)))
    for name, (text, called, _) in BROKEN.items():
        hand_in(to, name, text, called)
    hand_in(to, "right", answered(course))
    hand_in(to, "renamed", answered(course), "my homework.ipynb")
    hand_in(to, "untouched", nbformat.read(course / "release" / STEM / f"{STEM}.ipynb", 4))
    for number in range(3):
        hand_in(to, f"wrong {number}", answered(course, SMALLER, "answer = 'correct'"))
    (to / "submitted" / "without a notebook" / STEM).mkdir(parents=True)
    return to
