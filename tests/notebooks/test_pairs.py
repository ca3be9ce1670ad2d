"""Each notebook and its script say the same, and the notebook was run from top to bottom."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.config import load_jupytext_config

from lipteach.classroom.figure_view import PREDICT

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
STEMS = sorted({p.stem for ending in ("py", "ipynb") for p in NOTEBOOKS.glob(f"[0-9]*.{ending}")})


def read(stem: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)


def test_there_are_notebooks() -> None:
    assert STEMS[:4] == ["00_start_here", "01_groupsort", "02_same_power", "03_why_relu_is_linear"]


@pytest.mark.parametrize("stem", STEMS)
def test_the_pair_agrees_by_content(stem: str) -> None:
    """Time stamps say nothing: jupytext's own sync takes the newer file, right or wrong."""
    script, book = NOTEBOOKS / f"{stem}.py", NOTEBOOKS / f"{stem}.ipynb"
    assert script.exists()
    assert book.exists(), "run `make notebooks`"
    config = load_jupytext_config(str(script))
    text = jupytext.writes(jupytext.read(book, config=config), fmt="py:percent", config=config)
    assert text.strip() == script.read_text(encoding="utf-8").strip(), "run `make notebooks`"


@pytest.mark.parametrize("stem", STEMS)
def test_every_cell_was_run_in_order(stem: str) -> None:
    """nbval runs a cell without a number but never compares it."""
    code = [c for c in read(stem).cells if c.cell_type == "code" and c.source.strip()]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert not any(o.output_type == "error" for c in code for o in c.outputs)
    assert not any(o.get("name") == "stderr" for c in code for o in c.outputs)


@pytest.mark.parametrize("stem", STEMS)
def test_the_notebook_is_small_and_names_no_machine(stem: str) -> None:
    path = NOTEBOOKS / f"{stem}.ipynb"
    assert path.stat().st_size < 500_000
    book = read(stem)
    assert book.metadata.kernelspec == {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    assert "widgets" not in book.metadata
    assert all(not c.metadata.get("execution") for c in book.cells)
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|Users|root|tmp)/|C:\\\\", text)


@pytest.mark.parametrize("stem", STEMS)
def test_figures_are_png_with_words(stem: str) -> None:
    """Every picture has its statement beside it, and no other picture format is stored."""
    for cell in read(stem).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert not {"image/svg+xml", "image/jpeg"} & set(data)
            if "image/png" in data:
                words = output.metadata["image/png"]["alt"]
                assert len(words) > 20
                assert "Figure(" not in words
                assert data["text/plain"] == PREDICT


@pytest.mark.parametrize("stem", STEMS)
def test_what_stands_in_the_place_of_a_folded_output_is_no_answer(stem: str) -> None:
    """JupyterLab writes the text of the first output there."""
    for cell in read(stem).cells:
        if cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            first = cell.outputs[0]
            assert first.get("data", {}).get("text/plain") == PREDICT, cell.source


@pytest.mark.parametrize("stem", STEMS)
def test_a_folded_cell_is_folded_everywhere(stem: str) -> None:
    """JupyterLab looks at source_hidden, a book at the tag; both stand in the script as well."""
    for cell in read(stem).cells:
        folded = "hide-input" in cell.metadata.get("tags", [])
        assert folded == cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert not (folded and "check(" in cell.source), "an exercise stays in sight"
