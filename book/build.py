"""Build the book: `python book/build.py [LESSON …]` writes build/book/index.html.

Pictures of sliders are drawn first, a lesson on each core, and kept in build/frames; then the pages
are laid out in build/book-source, and Sphinx makes the book of them. What has not changed since
the last time is kept. With lessons given, the book has these alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pages
from draw import drawn, missing
from gather import NOTEBOOKS, ROOT, gather_lesson
from lighten import lighten
from tqdm import tqdm

BUILD = Path(os.environ.get("LIPTEACH_BOOK", ROOT / "build"))  # tests build one of their own
FRAMES, SOURCE, BOOK = BUILD / "frames", BUILD / "book-source", BUILD / "book"
DOCTREES = BUILD / "doctrees"
BOOK_FOLDER = ROOT / "book"
OWN_PAGES = ("genindex", "search", "py-modindex")  # Sphinx makes them of no source


def lessons(chosen: list[str]) -> list[str]:
    """The lessons by their names; all if none is chosen."""
    stems = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.py"))]
    found = [stem for stem in stems if not chosen or stem[:2] in chosen or stem in chosen]
    if not found:
        raise SystemExit(f"there is no lesson {', '.join(chosen)}")
    return found


def draw(stems: list[str]) -> None:
    """Draw what is not drawn yet, each lesson in a process of its own, those with most first."""
    program = [sys.executable, str(BOOK_FOLDER / "draw.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    left = {stem: len(missing(stem, FRAMES)) for stem in stems}
    ordered = sorted(filter(left.get, stems), key=lambda stem: -left[stem])

    def one(stem: str) -> None:
        subprocess.run([*program, stem, str(FRAMES)], check=True, env=environment)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in tqdm(pool.map(one, ordered), total=len(ordered), desc="pictures", disable=None):
            pass


def clear_old() -> None:
    """Make every page anew when what makes pages has changed; Sphinx does not see that."""
    program = sorted(
        path for path in BOOK_FOLDER.rglob("*") if path.suffix in (".py", ".js", ".css")
    )
    key = hashlib.sha256(b"".join(path.read_bytes() for path in program)).hexdigest()
    made_by = DOCTREES / "made_by"
    if not made_by.is_file() or made_by.read_text(encoding="utf-8") != key:
        for folder in (SOURCE, BOOK, DOCTREES):
            shutil.rmtree(folder, ignore_errors=True)
        DOCTREES.mkdir(parents=True)
        made_by.write_text(key, encoding="utf-8")


def lay_out(stems: list[str]) -> dict[str, int]:
    """Write the source of the book, and count what it has."""
    if not (SOURCE / "_static").is_dir():
        shutil.copytree(BOOK_FOLDER / "static", SOURCE / "_static")
        copy_mathjax(SOURCE / "_static" / "mathjax")
    counted: dict[str, int] = {}
    for stem in stems:
        for name, count in gather_lesson(stem, FRAMES, SOURCE / "lessons").items():
            counted[name] = counted.get(name, 0) + count
    for page in (SOURCE / "lessons").glob("*.ipynb"):
        if page.stem not in stems:
            page.unlink()
    pages.write_pages(SOURCE, stems)
    return counted


def copy_mathjax(to: Path) -> None:
    """Copy the one file of MathJax that the book loads, from the package that brings it."""
    to.mkdir(parents=True)
    (path,) = (
        file
        for file in importlib.metadata.files("sphinx-mathjax-offline") or []
        if file.match("mathjax/tex-svg.js")
    )
    shutil.copy2(str(path.locate()), to)


def make_pages(alone: bool) -> int:
    """Let Sphinx make the pages; a warning is an error."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-j",
        "auto",
    ]
    command += ["-D", f"html_static_path={SOURCE / '_static'}"]
    if alone:  # links to the other lessons lead nowhere
        command += ["-D", "suppress_warnings=myst.xref_missing"]
    command += ["-d", str(DOCTREES), "-c", str(BOOK_FOLDER), str(SOURCE), str(BOOK)]
    return subprocess.run(command).returncode


def remove_others(stems: list[str]) -> None:
    """Remove pages that have no source any more."""
    sources = {path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.*")}
    for page in BOOK.rglob("*.html"):
        name = page.relative_to(BOOK).with_suffix("")
        if name not in sources and name.parts[0] not in ("_modules", "_static", *OWN_PAGES):
            page.unlink()
    for folder in (BOOK / "_static" / "frames").glob("*"):
        if folder.name not in stems:
            shutil.rmtree(folder)


def place_pictures(stems: list[str]) -> None:
    """Copy the pictures of sliders beside the pages."""
    for stem in stems:
        folder = BOOK / "_static" / "frames" / stem
        folder.mkdir(parents=True, exist_ok=True)
        names = {n for slider in drawn(stem, FRAMES).values() for n in slider.get("pictures", ())}
        there = {path.name for path in folder.iterdir()}
        for name in names - there:
            shutil.copy2(FRAMES / stem / name, folder)
        for name in there - names:
            (folder / name).unlink()


def main(chosen: list[str]) -> int:
    """Build, and say what there is."""
    began = time.monotonic()
    stems = lessons(chosen)
    draw(stems)
    clear_old()
    counted = lay_out(stems)
    failed = make_pages(alone=bool(chosen))
    remove_others(stems)
    place_pictures(stems)
    lighten(BOOK)
    size = sum(path.stat().st_size for path in BOOK.rglob("*") if path.is_file()) / 1e6
    told = ", ".join(f"{count} {name}" for name, count in counted.items())
    sys.stdout.write(
        f"{BOOK / 'index.html'}: {told}; {size:.0f} MB, {time.monotonic() - began:.0f} s\n"
    )
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
