"""What every lesson holds: its header, short cells, exercises whose solutions pass, sliders."""

import contextlib
import io
import re
import statistics
from collections.abc import Iterator

import matplotlib
import nbformat
import pytest
import torch
from lesson_support import CHECK, NOTEBOOKS, STEMS, cells, header

from lipteach.classroom import exercises
from lipteach.classroom.course.slices import needed
from lipteach.classroom.guard import kept_settings

LESSONS = [stem for stem in STEMS if not stem.startswith("00")]
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def code(stem: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in cells(stem) if cell.cell_type == "code"]


def solutions(stem: str) -> dict[int, str]:
    """For each exercise cell, by its place in the notebook, the code of the solution below it."""
    found, last = {}, None
    for place, cell in enumerate(cells(stem)):
        if cell.cell_type == "code" and CHECK.search(cell.source):
            last = place
        elif cell.cell_type == "markdown" and last is not None:
            match = SOLUTION.search(cell.source)
            if match:
                found[last], last = match[1], None
    return found


def text_of(cell: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream")


@pytest.mark.parametrize("stem", STEMS)
def test_header_and_recap(stem: str) -> None:
    book = cells(stem)
    first = book[0].source
    assert first.startswith(f"# {stem[:2]} · ")
    for part in ("**What you will be able to do**", "**Before you start**"):
        assert part in first
    assert header(stem)["seconds"] <= 60
    lines = [line for c in book if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert "## Recap" in lines
    assert "## Where next" in lines


@pytest.mark.parametrize("stem", STEMS)
def test_cells_are_short_and_introduced(stem: str) -> None:
    lengths = [len(cell.source.splitlines()) for cell in code(stem)]
    assert max(lengths) <= 25
    assert statistics.median(lengths) <= 6
    book = cells(stem)
    assert book[0].cell_type == "markdown"
    runs = re.findall(r"c+", "".join(cell.cell_type[0] for cell in book))
    assert max(map(len, runs)) <= 2, "a sentence stands before each code cell"


@pytest.mark.parametrize("stem", LESSONS)
def test_sliders_and_exercises_are_enough(stem: str) -> None:
    book = cells(stem)
    sliders = [
        i for i, c in enumerate(book) if c.cell_type == "code" and "slider_figure(" in c.source
    ]
    assert len(sliders) >= 2
    for place in sliders:
        before = "\n".join(c.source for c in book[max(0, place - 3) : place])
        assert "Predict" in before, "a question stands before each slider"
        assert "show(" in before, "the static twin stands in a cell before the slider"
    assert len(solutions(stem)) >= 4
    assert any("prove(" in cell.source for cell in code(stem))


@pytest.mark.parametrize("stem", STEMS)
def test_no_saved_output_spoils_a_question(stem: str) -> None:
    """Where the answer stands right below, it is saved folded, and running the cell unfolds it.

    Below a question to a slider stands a still picture: of another case, or folded as well.
    """
    book = cells(stem)
    for place, cell in enumerate(book):
        folded = cell.metadata.get("jupyter", {}).get("outputs_hidden", False)
        assert folded == ("hide-output" in cell.metadata.get("tags", []))
        if folded:
            assert "Predict" in "\n".join(c.source for c in book[max(0, place - 3) : place])
        if "**Predict:**" in cell.source:
            below = book[place + 1 : place + 4]
            if not any("slider_figure(" in c.source for c in below):
                answer = next(c for c in below if c.get("outputs"))
                assert answer.metadata.get("jupyter", {}).get("outputs_hidden")


@pytest.mark.parametrize("stem", STEMS)
def test_every_exercise_has_a_stub_a_hint_and_a_solution(stem: str) -> None:
    names = [m for cell in code(stem) for m in CHECK.findall(cell.source)]
    assert names
    registered = [name for name in exercises() if name.startswith(stem[:2])]
    assert sorted(names) == sorted(registered), "each exercise stands once in its notebook"
    assert len(solutions(stem)) == len(names)
    for cell in code(stem):
        for name in CHECK.findall(cell.source):
            assert text_of(cell).strip() == f"{name}: not tried yet"
    book = cells(stem)
    for place in solutions(stem):
        after = "\n".join(cell.source for cell in book[place + 1 : place + 4])
        assert after.index("<summary>Hint") < after.index("<summary>Solution")


@pytest.fixture
def _settings_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lessons set what a kernel of their own may set; here others run after them."""
    backend, threads = matplotlib.get_backend(), torch.get_num_threads()
    monkeypatch.chdir(NOTEBOOKS)
    with kept_settings():
        yield
    matplotlib.use(backend)
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_settings_kept")
@pytest.mark.parametrize("stem", STEMS)
def test_every_solution_passes_its_check(stem: str) -> None:
    """Each stub is replaced by the solution folded below it, and run with all that it needs."""
    answers = solutions(stem)
    sources, passed = {}, []
    for place, cell in enumerate(cells(stem)):
        if cell.cell_type != "code":
            continue
        sources[place] = re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)
        if place in answers:
            call = CHECK.search(sources[place])
            assert call
            sources[place] = answers[place] + "\n" + call[0]
            passed.append(f"{call[1]}: passed")
    namespace: dict = {"__name__": "__main__"}
    printed = io.StringIO()
    for place in needed(sources, set(answers)):
        with contextlib.redirect_stdout(printed):
            exec(compile(sources[place], f"{stem}, cell {place}", "exec"), namespace)
    lines = printed.getvalue().splitlines()
    assert [line for line in lines if re.match(r"[\d]{2}\.[\w-]+: ", line)] == passed
