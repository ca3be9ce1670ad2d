"""Build the book: `python book/build.py [LESSON …]` writes build/book/index.html.

Pictures of sliders are drawn first, a lesson on each core, and kept in build/frames; then the pages
are laid out in build/book-source, and Sphinx makes the book of them. With lessons given, it
has these alone.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pages
from gather import NOTEBOOKS, ROOT, gather_lesson
from tqdm import tqdm

BUILD = Path(os.environ.get("LIPTEACH_BOOK", ROOT / "build"))  # tests build one of their own
FRAMES, SOURCE, BOOK = BUILD / "frames", BUILD / "book-source", BUILD / "book"
BOOK_FOLDER = ROOT / "book"


def lessons(chosen: list[str]) -> list[str]:
    """The lessons by their names; all if none is chosen."""
    stems = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.py"))]
    found = [stem for stem in stems if not chosen or stem[:2] in chosen or stem in chosen]
    if not found:
        raise SystemExit(f"there is no lesson {', '.join(chosen)}")
    return found


def draw(stems: list[str]) -> None:
    """Draw what is not drawn yet, each lesson in a process of its own."""
    program = [sys.executable, str(BOOK_FOLDER / "draw.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def one(stem: str) -> None:
        subprocess.run([*program, stem, str(FRAMES)], check=True, env=environment)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in tqdm(pool.map(one, stems), total=len(stems), desc="pictures", disable=None):
            pass


def lay_out(stems: list[str]) -> dict[str, int]:
    """Write the source of the book, and count what it has."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(BOOK_FOLDER / "static", SOURCE / "_static")
    copy_mathjax(SOURCE / "_static" / "mathjax")
    counted: dict[str, int] = {}
    for stem in stems:
        for name, count in gather_lesson(stem, FRAMES, SOURCE / "lessons").items():
            counted[name] = counted.get(name, 0) + count
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


def lighten(book: Path) -> None:
    """Leave out the theme's icons as a script of 1.6 MB; its font of 0.1 MB draws the same ones."""
    for page in book.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(
            re.sub(r"<(script|link)[^>]*fontawesome\.js[^>]*>(</script>)?", "", text), "utf-8"
        )
    for path in (book / "_static" / "scripts").glob("fontawesome.js*"):
        path.unlink()


def main(chosen: list[str]) -> int:
    """Build, and say what there is."""
    began = time.monotonic()
    stems = lessons(chosen)
    draw(stems)
    counted = lay_out(stems)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-D", f"html_static_path={SOURCE / '_static'}"]
    if chosen:  # links to the other lessons lead nowhere
        command += ["-D", "suppress_warnings=myst.xref_missing"]
    shutil.rmtree(BOOK, ignore_errors=True)  # no page of a book before
    command += ["-d", str(BUILD / "doctrees"), "-c", str(BOOK_FOLDER)]
    done = subprocess.run([*command, str(SOURCE), str(BOOK)])
    lighten(BOOK)
    size = sum(path.stat().st_size for path in BOOK.rglob("*") if path.is_file()) / 1e6
    told = ", ".join(f"{count} {name}" for name, count in counted.items())
    sys.stdout.write(
        f"{BOOK / 'index.html'}: {told}; {size:.0f} MB, {time.monotonic() - began:.0f} s\n"
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
