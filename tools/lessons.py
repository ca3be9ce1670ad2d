#!/usr/bin/env python3
"""Copy the lessons into work/, where a reader writes answers; git does not look there.

    python tools/lessons.py              every lesson that is not there yet
    python tools/lessons.py --fresh 04   lesson 04 anew; the copy in use gets another name

What a reader has written is never overwritten. A copy in which nobody has written follows its
lesson; where somebody has, a newer version of the lesson is announced.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRESS = ".progress.json"  # in work/: there, `check` notes what is passed
COPIES = ".copies.json"  # in work/: the digest of each lesson that was copied


def read_lesson(source: Path) -> bytes:
    """Return the notebook as it is copied: without the pairing, or saving would write a .py."""
    book = json.loads(source.read_text(encoding="utf-8"))
    book["metadata"].pop("jupytext", None)
    return (json.dumps(book, ensure_ascii=False, indent=1) + "\n").encode()


def digest(notebook: bytes) -> str:
    """Return a digest of what is written in the cells; merely opened or run, it stays the same."""
    try:
        cells = json.loads(notebook)["cells"]
        written = json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells])
    except (ValueError, KeyError, TypeError):
        return ""  # no notebook: a reader's own, then, and left alone
    return hashlib.sha256(written.encode()).hexdigest()


def copy_lessons(source: Path, work: Path) -> list[str]:
    """Bring `work` up to `source`, and return a line for each thing that was done or was not."""
    work.mkdir(exist_ok=True)
    record = work / COPIES
    copied = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    said, new = [], 0
    for lesson in sorted(source.glob("[0-9][0-9]_*.ipynb")):
        copy, content = work / lesson.name, read_lesson(lesson)
        latest, known = digest(content), copied.get(lesson.name)
        new += not copy.exists()
        if copy.exists() and known == latest:
            continue
        if not copy.exists() or digest(copy.read_bytes()) in (known, latest):
            copy.write_bytes(content)
            copied[lesson.name] = latest
        else:
            said.append(
                f"{lesson.name} has a newer version, and yours is kept as it is. "
                f"To start it anew:  make fresh LESSON={lesson.name[:2]}"
            )
    record.write_text(json.dumps(copied, indent=1), encoding="utf-8")
    progress = work / PROGRESS
    if not progress.exists():
        progress.write_text("{}\n", encoding="utf-8")
    shutil.copytree(source / "results", work / "results", dirs_exist_ok=True)
    if new:
        said.insert(0, f"Copied {new} lesson{'s' * (new > 1)} to {work.name}/: write there.")
    return said


def start_anew(number: str, source: Path, work: Path) -> list[str]:
    """Give the lesson's copy another name, then copy the lesson."""
    lessons = {path.name[:2]: path.name for path in sorted(source.glob("[0-9][0-9]_*.ipynb"))}
    number = number.zfill(2) if number else number
    if number not in lessons:
        raise ValueError(f"no lesson {number!r}; there are {', '.join(lessons)}")
    copy, said = work / lessons[number], []
    content = read_lesson(source / copy.name)
    if copy.exists() and digest(copy.read_bytes()) == digest(content):
        copy.write_bytes(content)  # run perhaps, and nothing written: there is nothing to keep
        said.append(f"{copy.name} is as it came: nothing was written in it.")
    elif copy.exists():
        kept = next(
            path
            for k in range(1, 1000)
            if not (path := copy.with_stem(f"{copy.stem}_kept_{k}")).exists()
        )
        copy.rename(kept)
        said.append(f"Your {copy.name} is now {kept.name}.")
    return said + copy_lessons(source, work)


def main() -> int:
    """Copy what is missing, or one lesson anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", metavar="NN", help="the lesson to start anew")
    number = parser.parse_args().fresh
    source, work = ROOT / "notebooks", ROOT / "work"
    try:
        said = copy_lessons(source, work) if number is None else start_anew(number, source, work)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(said), end="\n" * bool(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
