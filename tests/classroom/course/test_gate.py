"""The gate is tested with a good release and with bad ones, each bad in one way."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from lipteach.classroom import check_release
from lipteach.classroom.course.lesson import read_lesson
from lipteach.classroom.course.manifest import digest, read_manifest, write_manifest

STEM = "00_start_here"
SOLUTION = "return torch.maximum(a, b)"


def place_of(book: NotebookNode, name: str) -> int:
    return next(place for place, cell in enumerate(book.cells) if cell.id == name)


def answer(book: NotebookNode) -> NotebookNode:
    return book.cells[place_of(book, "00-first-check-answer")]


def check_cell(book: NotebookNode) -> NotebookNode:
    return book.cells[place_of(book, "00-first-check-test")]


def solved(book: NotebookNode) -> None:
    answer(book).source = f"def larger(a, b):\n    {SOLUTION}\n"


def told_elsewhere(book: NotebookNode) -> None:
    book.cells.append(new_markdown_cell(f"It is\n\n    {SOLUTION}"))


def solution_unfolded(book: NotebookNode) -> None:
    text = read_lesson(STEM).book.cells
    cell = next(c for c in text if "<summary>Solution</summary>" in c.source)
    book.cells.append(new_markdown_cell(cell.source))


def stub_lost(book: NotebookNode) -> None:
    answer(book).source = "# YOUR CODE HERE\nraise NotImplementedError()"


def another_stub(book: NotebookNode) -> None:
    answer(book).source = "def larger(b, a): ...\n"


def answer_lost(book: NotebookNode) -> None:
    book.cells.remove(answer(book))


def check_lost(book: NotebookNode) -> None:
    book.cells.remove(check_cell(book))


def no_assertion(book: NotebookNode) -> None:
    check_cell(book).source = check_cell(book).source.rpartition("\n")[0]


def another_exercise(book: NotebookNode) -> None:
    check_cell(book).source = check_cell(book).source.replace("first-check", "verdict")


def more_points(book: NotebookNode) -> None:
    check_cell(book).metadata.nbgrader.points = 3


def unlocked(book: NotebookNode) -> None:
    check_cell(book).metadata.nbgrader.locked = False


def editable(book: NotebookNode) -> None:
    del check_cell(book).metadata["editable"]


def graded_by_hand(book: NotebookNode) -> None:
    answer(book).metadata.nbgrader |= {"grade": True, "points": 2}


def moved_away(book: NotebookNode) -> None:
    book.cells.insert(place_of(book, "00-first-check-test"), new_code_cell("larger = min"))


def twice(book: NotebookNode) -> None:
    book.cells.append(check_cell(book).copy())


def was_run(book: NotebookNode) -> None:
    check_cell(book).outputs = [nbformat.v4.new_output("stream", text="00.first-check: passed")]


BAD = {
    solved: ["is not the stub of the lesson: def larger(a, b): ...", f"a solution: {SOLUTION}"],
    told_elsewhere: [f"{STEM}.ipynb holds a line of a solution: {SOLUTION}"],
    solution_unfolded: [f"{STEM}.ipynb holds a line of a solution: {SOLUTION}"],
    stub_lost: ["00.first-check is not the stub of the lesson: def larger(a, b): ..."],
    another_stub: ["00.first-check is not the stub of the lesson: def larger(a, b): ..."],
    answer_lost: ["the cell for the answer to 00.first-check is gone."],
    check_lost: ["the check of 00.first-check is gone."],
    no_assertion: ["the check of 00.first-check is not: report = check("],
    another_exercise: ["the check of 00.first-check is not: ", "was changed after nbgrader"],
    more_points: ["00.first-check is worth 1 (●), and has 3 points."],
    unlocked: ["the check of 00.first-check is not locked."],
    editable: ["the check of 00.first-check is not locked."],
    graded_by_hand: ["00.first-check is not marked as one to be filled."],
    moved_away: ["the check of 00.first-check does not follow its answer"],
    twice: ["nbgrader refuses the marks of its cells (Duplicate grade id: 00-first-check-test"],
    was_run: ["the cells of 00.first-check have outputs"],
}


@pytest.fixture
def copy(course: Path, tmp_path: Path) -> Path:
    for name in ("release", "release.json"):
        (shutil.copytree if name == "release" else shutil.copy)(course / name, tmp_path / name)
    return tmp_path


def change(folder: Path, spoil: Callable[[NotebookNode], None]) -> None:
    """Spoil the notebook, and let the manifest agree with it: the other checks must see it."""
    path = folder / "release" / STEM / f"{STEM}.ipynb"
    book = nbformat.read(path, as_version=4)
    spoil(book)
    path.write_text(nbformat.writes(book), encoding="utf-8")
    manifest = read_manifest(folder)
    manifest["assignments"][STEM]["sha256"] = digest(book)
    write_manifest(folder, manifest)


def test_a_good_release_passes(course: Path) -> None:
    assert check_release(course) == []


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")
def test_a_bad_release_is_caught_with_a_sentence(copy: Path, spoil: Callable) -> None:
    change(copy, spoil)
    said = check_release(copy)
    for part in BAD[spoil]:
        assert any(part in sentence for sentence in said), said
    assert all(sentence.startswith(f"{STEM}: ") for sentence in said)


def test_other_files_are_looked_at(copy: Path) -> None:
    path = copy / "release" / STEM / "help.py"
    path.write_text(f"def larger(a, b):\n    {SOLUTION}\n", encoding="utf-8")
    assert check_release(copy)[-1] == f"{STEM}: help.py holds a line of a solution: {SOLUTION}"
    path.write_text("a = 1\n", encoding="utf-8")
    assert check_release(copy) == []


def test_hints_that_were_to_go(copy: Path) -> None:
    write_manifest(copy, read_manifest(copy) | {"hints": False})
    (said,) = check_release(copy)
    assert said.startswith(f"{STEM}: it was to have no hints, and it has")
    assert f"out of source/{STEM}, or move that folder away" in said


def test_a_release_that_is_not_the_noted_one(copy: Path) -> None:
    path = copy / "release" / STEM / f"{STEM}.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells[-1].source += "\n"
    path.write_text(nbformat.writes(book), encoding="utf-8")
    (said,) = check_release(copy)
    assert "not those that release.json has noted" in said
    path.write_text("{", encoding="utf-8")
    (said,) = check_release(copy)
    assert "cannot be read (NotJSONError)" in said
    path.unlink()
    (said,) = check_release(copy)
    assert "its notebook is not in release/" in said
    (copy / "release.json").write_text('{"assignments": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"release\.json cannot be read"):
        check_release(copy)
