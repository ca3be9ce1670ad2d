"""A reader's own progress, in a small file beside the copies of the lessons; sent nowhere.

The file is kept where it is, and not made by a check: `make lab` puts it into the folder of the
copies. In a folder without one (the repository's own notebooks, a test, a grader) nothing is
written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipteach.classroom.marks import CHECK, HEADING

if TYPE_CHECKING:
    from lipteach.classroom.checks import Report

FILE = ".progress.json"
ASIDE = ".progress_damaged.json"
SIGNS = {"passed": "✓", "tried": "✗", "open": "○"}
_PATIENCE = 2.0  # seconds for another kernel to finish with the file


@dataclass(frozen=True)
class Progress:
    """The state of each exercise, "passed", "tried" or "open", by lesson in notebook order."""

    lessons: Mapping[str, Mapping[str, str]]
    headings: Mapping[str, str]  # "●●○, 5 min" of each exercise
    kept: bool = True
    damaged: bool = False

    def _names(self, state: str) -> list[str]:
        return [n for one in self.lessons.values() for n, is_ in one.items() if is_ == state]

    @property
    def passed(self) -> list[str]:
        """The names of the exercises that a check has passed once."""
        return self._names("passed")

    @property
    def tried(self) -> list[str]:
        """Of those that were tried, and have not passed yet."""
        return self._names("tried")

    @property
    def open(self) -> list[str]:
        """Of those that nobody has tried."""
        return self._names("open")

    @property
    def next(self) -> str:
        """The first that has not passed, or ""."""
        names = (n for one in self.lessons.values() for n, is_ in one.items() if is_ != "passed")
        return next(names, "")

    def __str__(self) -> str:
        if not self.kept:
            return (
                "No progress is kept here: `make lab` opens copies of the lessons, and keeps it "
                "beside them."
            )
        passed, tried, open_ = (len(names) for names in (self.passed, self.tried, self.open))
        lines = [f"{passed} of {passed + tried + open_} passed ✓, {tried} tried ✗, {open_} open ○"]
        width = max(map(len, self.lessons), default=0)
        for stem, states in self.lessons.items():
            lines.append(f"{stem:{width}}  {''.join(SIGNS[state] for state in states.values())}")
        lines.append(self._what_next())
        if self.damaged:
            lines.append(f"The file was damaged once and begun anew; the old one is {ASIDE}.")
        return "\n".join(lines)

    def _what_next(self) -> str:
        if not self.next:
            return "All of them: well done." if self.lessons else "There are no lessons here."
        stem = next(stem for stem, states in self.lessons.items() if self.next in states)
        heading = self.headings.get(self.next, "")
        return f"Next: {self.next}{f' ({heading})' * bool(heading)} in {stem}.ipynb"


def progress(folder: str | Path = ".") -> Progress:
    """Which exercises of the notebooks in a folder are passed, tried and open, and the next one.

    >>> print(progress())
    No progress is kept here: `make lab` opens copies of the lessons, and keeps it beside them.
    """
    if not isinstance(folder, str | Path):
        raise TypeError(f"folder must be a path; got {type(folder).__name__}")
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder.name!r}; `make lab` makes work/")
    if not (folder / FILE).is_file():
        return Progress({}, {}, kept=False)
    states, seen = _read(folder / FILE) or {}, set[str]()
    lessons: dict[str, dict[str, str]] = {}
    headings: dict[str, str] = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        found = [(n, said) for n, said in _exercises(path) if n not in seen]
        if found:  # a copy that was kept under another name adds none
            lessons[path.stem] = {name: _state(states.get(name)) for name, _ in found}
            headings |= dict(found)
            seen |= set(lessons[path.stem])
    return Progress(lessons, headings, damaged=(folder / ASIDE).exists())


def _exercises(notebook: Path) -> Iterator[tuple[str, str]]:
    """The exercises of a notebook in its order, with what their headings say."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError):  # not a notebook now; others are
        return
    said: dict[str, str] = {}
    for kind, source in sources:
        if kind == "markdown":
            said |= {f[4]: f"{f[2]}, {f[3]} min" for f in HEADING.finditer(source)}
        for name, _ in CHECK.findall(source) if kind == "code" else ():
            yield name, said.get(name.partition(".")[2], "")


def _state(noted: Any) -> str:
    if not isinstance(noted, dict):
        return "open"
    return "passed" if noted.get("passed") is True else "tried"


def _read(path: Path) -> dict[str, Any] | None:
    """What the file holds by name; None if it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def note(report: Report) -> None:
    """Write what a check found into the file of the working folder, if there is one.

    Whatever goes wrong with the file, the check has given its answer: nothing is raised.
    """
    with suppress(Exception):
        path = Path.cwd() / FILE
        if report.tried and path.is_file():
            _note(path, report)


def _note(path: Path, report: Report) -> None:
    from filelock import FileLock

    from lipteach.experiments.machine.files import write_whole

    with FileLock(path.with_suffix(".lock"), timeout=_PATIENCE):  # of another kernel
        noted = _read(path)
        if noted is None:
            path.replace(path.with_name(ASIDE))
            noted = {}
        before = noted.get(report.name)
        before = before if isinstance(before, dict) else {}
        if before.get("passed") is True:
            return
        tries = before.get("tries")
        tries = tries + 1 if type(tries) is int else 1
        noted[report.name] = {"passed": report.passed, "tries": tries}
        text = json.dumps(dict(sorted(noted.items())), indent=0) + "\n"
        write_whole(path, text.encode())
