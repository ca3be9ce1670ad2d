"""The reader's copies of the lessons: made once, never overwritten, renewed where untouched."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "tools" / "lab"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("lessons", ROOT / "tools" / "lessons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path):
    """Two of the lessons, with all that lies beside them."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("00_start_here.ipynb", "00_start_here.py", "04_bjorck.ipynb", "conftest.py"):
        shutil.copy(ROOT / "notebooks" / name, folder)
    shutil.copytree(ROOT / "notebooks" / "results", folder / "results")
    return folder


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def edit(path, text="answer = 3"):
    book = nbformat.read(path, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(text))
    nbformat.write(book, path)


def test_only_the_lessons_and_their_records_are_in_sight(tool, source, work):
    assert tool.copy_lessons(source, work) == ["Copied 2 lessons to work/: write there."]
    seen = sorted(path.name for path in work.iterdir() if not path.name.startswith("."))
    assert seen == ["00_start_here.ipynb", "04_bjorck.ipynb", "results"]
    assert tool.copy_lessons(source, work) == []


def test_a_copy_is_the_lesson_without_its_pairing(tool, source, work):
    """With it, JupyterLab would write a script beside the copy at every save."""
    tool.copy_lessons(source, work)
    copy = nbformat.read(work / "04_bjorck.ipynb", as_version=4)
    lesson = nbformat.read(source / "04_bjorck.ipynb", as_version=4)
    assert "jupytext" not in copy.metadata
    assert copy.cells == lesson.cells
    assert copy.metadata.kernelspec == lesson.metadata.kernelspec
    nbformat.validate(copy)


def test_what_a_reader_wrote_stays_and_a_newer_version_is_announced(tool, source, work):
    tool.copy_lessons(source, work)
    mine = work / "04_bjorck.ipynb"
    edit(mine)
    written = mine.read_bytes()
    assert tool.copy_lessons(source, work) == []
    edit(source / "04_bjorck.ipynb", "a new cell")
    (said,) = tool.copy_lessons(source, work)
    assert said.startswith("04_bjorck.ipynb has a newer version")
    assert said.endswith("make fresh LESSON=04")
    assert mine.read_bytes() == written
    (work / tool.COPIES).unlink()
    assert tool.copy_lessons(source, work) == [said]
    assert mine.read_bytes() == written, "without a record, too"


def test_an_untouched_copy_follows_its_lesson(tool, source, work):
    tool.copy_lessons(source, work)
    edit(source / "04_bjorck.ipynb", "a new cell")
    assert tool.copy_lessons(source, work) == []
    assert "a new cell" in (work / "04_bjorck.ipynb").read_text(encoding="utf-8")


def test_a_copy_that_was_only_opened_and_run_is_untouched(tool, source, work):
    """JupyterLab writes the kernel's version into a notebook that it saves, and its outputs."""
    tool.copy_lessons(source, work)
    mine = work / "04_bjorck.ipynb"
    book = nbformat.read(mine, as_version=4)
    book.metadata.language_info = {"name": "python", "version": "3.11.2"}
    for cell in book.cells:
        cell.update({"outputs": [], "execution_count": 3} if cell.cell_type == "code" else {})
    nbformat.write(book, mine)
    saved = mine.read_bytes()
    assert tool.copy_lessons(source, work) == []
    assert mine.read_bytes() == saved, "nothing newer, nothing done"
    edit(source / "04_bjorck.ipynb", "a new cell")
    assert tool.copy_lessons(source, work) == []
    assert mine.read_bytes() == tool.read_lesson(source / "04_bjorck.ipynb")


def test_what_is_no_notebook_is_left_alone(tool, source, work):
    tool.copy_lessons(source, work)
    mine = work / "04_bjorck.ipynb"
    mine.write_text("{half", encoding="utf-8")
    edit(source / "04_bjorck.ipynb", "a new cell")
    assert tool.copy_lessons(source, work)[0].startswith("04_bjorck.ipynb has a newer version")
    assert mine.read_text(encoding="utf-8") == "{half"


def test_a_new_lesson_and_a_deleted_copy_are_added(tool, source, work):
    tool.copy_lessons(source, work)
    (work / "00_start_here.ipynb").unlink()
    shutil.copy(ROOT / "notebooks" / "01_groupsort.ipynb", source)
    assert tool.copy_lessons(source, work) == ["Copied 2 lessons to work/: write there."]
    assert (work / "00_start_here.ipynb").exists()
    assert (work / "01_groupsort.ipynb").exists()


def test_a_fresh_lesson_keeps_the_old_one_under_another_name(tool, source, work):
    tool.copy_lessons(source, work)
    mine = work / "04_bjorck.ipynb"
    for k in (1, 2):
        edit(mine)
        written = mine.read_bytes()
        said = tool.start_anew("04", source, work)
        assert said[0] == f"Your 04_bjorck.ipynb is now 04_bjorck_kept_{k}.ipynb."
        assert (work / f"04_bjorck_kept_{k}.ipynb").read_bytes() == written
        assert mine.read_bytes() == tool.read_lesson(source / "04_bjorck.ipynb")


def test_a_fresh_lesson_in_which_nothing_was_written_keeps_nothing(tool, source, work):
    tool.copy_lessons(source, work)
    for number in ("04", "4"):
        said = tool.start_anew(number, source, work)
        assert said == ["04_bjorck.ipynb is as it came: nothing was written in it."]
        assert not [*work.glob("*_kept_*")]


def test_a_lesson_that_does_not_exist_is_refused(tool, source, work):
    with pytest.raises(ValueError, match="no lesson '99'; there are 00, 04"):
        tool.start_anew("99", source, work)
    assert not work.exists()
    command = [sys.executable, str(ROOT / "tools" / "lessons.py"), "--fresh", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("no lesson ''; there are 00, 01")


def test_git_and_make_know_the_folder():
    assert "work/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^lab: \$.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe.index("tools/lessons.py") < recipe.index("--notebook-dir=work")


# --- What `make lab` adds to JupyterLab.


def test_a_saved_slider_keeps_its_words_and_not_its_widget(tool, source, work, monkeypatch):
    """A widget without its kernel would be an error message when the copy is opened again."""
    monkeypatch.setenv("PYTHONSTARTUP", "as before")  # the file sets it; monkeypatch puts it back
    config = PyFileConfigLoader("jupyter_server_config.py", path=str(LAB)).load_config()
    save = config.ContentsManager.pre_save_hook
    assert Path(os.environ["PYTHONSTARTUP"]) == LAB / "first_cell.py"
    view = "application/vnd.jupyter.widget-view+json"
    book = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    before = [o.data for cell in book.cells for o in cell.get("outputs", []) if "data" in o]
    (slider,) = (data for data in before if view in data)
    kept = {kind: text for kind, text in slider.items() if kind != view}
    others = [dict(data) for data in before if data is not slider]
    save(model={"type": "notebook", "content": book}, path="x.ipynb", contents_manager=None)
    assert slider == kept
    assert "to move the slider" in kept["text/html"]
    assert [data for data in before if data is not slider] == others
    save(model={"type": "file", "content": "text"}, path="x.txt", contents_manager=None)


def test_make_lab_uses_these_settings():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "lab: export JUPYTER_CONFIG_PATH = $(CURDIR)/tools/lab\n" in makefile


def run(sources, monkeypatch):
    """The text of the error that the last cell ends with, in a kernel of `make lab`."""
    monkeypatch.setenv("PYTHONSTARTUP", str(LAB / "first_cell.py"))
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    book = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(CellExecutionError):
        NotebookClient(book, timeout=60, kernel_name="python3").execute()
    (error,) = book.cells[-1].outputs
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))


def test_no_question_about_news_covers_a_lesson():
    config = PyFileConfigLoader("jupyter_server_config.py", path=str(LAB)).load_config()
    overrides = json.loads(Path(config.LabApp.app_settings_dir, "overrides.json").read_text())
    (settings,) = overrides.values()
    assert settings["fetchNews"] == "false"


def test_a_cell_run_before_the_first_says_so(monkeypatch):
    text = run(["check('00.first-check', max)"], monkeypatch)
    assert "NameError: name 'check' is not defined" in text
    assert "Run the first cell first" in text


def test_a_name_of_a_cell_in_between_is_asked_for(monkeypatch):
    text = run(["import sys; sys.modules['lipteach'] = sys", "weights.sum()"], monkeypatch)
    assert "Does a cell above define it?" in text
    assert "first cell first" not in text


def test_other_errors_and_the_reader_s_names_are_left_alone(monkeypatch):
    text = run(
        ["assert not [n for n in dir() if 'expl' in n or 'built' in n[:5]]", "1 / 0"], monkeypatch
    )
    assert "ZeroDivisionError" in text
    assert "Run ▸" not in text


def test_a_plain_python_starts_with_it_as_well(monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", str(LAB / "first_cell.py"))
    command = [sys.executable, "-i", "-q"]
    done = subprocess.run(
        command, input="1 + 1\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert "2" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_record_is_readable(tool, source, work):
    tool.copy_lessons(source, work)
    assert set(json.loads((work / tool.COPIES).read_text(encoding="utf-8"))) == {
        "00_start_here.ipynb",
        "04_bjorck.ipynb",
    }
