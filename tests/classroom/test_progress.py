"""A reader's progress: kept beside the copies, by several kernels at once, and nowhere else."""

import importlib.util
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock
from lesson_support import EXERCISE, NOTEBOOKS, cells

from lipteach.classroom import Report, check, exercises, progress, progress_file
from lipteach.classroom.command_line import main
from lipteach.classroom.progress_file import ASIDE, FILE, note

STEMS = ["01_groupsort", "04_bjorck"]
RIGHT, WRONG = ("04.steps", 10), ("04.minus-one", 1.0)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = NOTEBOOKS.parent / "tools" / "lessons.py"
    spec = importlib.util.spec_from_file_location("lessons", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "notebooks" / "results").mkdir(parents=True)
    for stem in STEMS:
        shutil.copy(NOTEBOOKS / f"{stem}.ipynb", tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.fixture
def work(tool: ModuleType, source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two lessons, copied as `make lab` does it; the kernel of a copy runs in its folder."""
    folder = source.parent / "work"
    tool.copy_lessons(source, folder)
    monkeypatch.chdir(folder)
    return folder


def noted(work: Path) -> dict:
    return json.loads((work / FILE).read_text(encoding="utf-8"))


def in_order(stem: str) -> list[str]:
    headings = [m for cell in cells(stem) for m in EXERCISE.findall(cell.source)]
    return [f"{stem[:2]}.{name}" for *_, name in headings]


def test_before_a_check_all_is_open_in_the_order_of_the_notebooks(work: Path) -> None:
    found = progress()
    assert found.open == in_order(STEMS[0]) + in_order(STEMS[1])
    assert sorted(found.open) == [name for name in exercises() if name[:2] in ("01", "04")]
    assert str(found).splitlines() == [
        "0 of 14 passed ✓, 0 tried ✗, 14 open ○",
        "01_groupsort  ○○○○○○○",
        "04_bjorck     ○○○○○○○",
        "Next: 01.predict-sort (●○○, 2 min) in 01_groupsort.ipynb",
    ]


def test_a_check_notes_what_it_found(work: Path, capsys: pytest.CaptureFixture) -> None:
    check(*WRONG)
    check(*WRONG)
    check("04.parseval-step", ...)
    check(*RIGHT)
    found = progress()
    assert (found.passed, found.tried) == (["04.steps"], ["04.minus-one"])
    assert len(found.open) == 12
    assert "04_bjorck     ✓✗○○○○○" in str(found)
    assert noted(work)["04.minus-one"] == {"passed": False, "tries": 2}
    check(RIGHT[0], 3)
    assert progress().passed == ["04.steps"], "once passed, it stays so"
    check(WRONG[0], 2.0)
    assert noted(work)["04.minus-one"] == {"passed": True, "tries": 3}
    capsys.readouterr()


def test_the_next_one_is_the_first_that_has_not_passed(work: Path) -> None:
    for name in in_order(STEMS[0]):
        assert progress().next == name
        note(Report(name, passed=False, hint="?"))
        assert progress().next == name
        note(Report(name, passed=True))
    assert progress().next == "04.steps"
    for name in in_order(STEMS[1]):
        note(Report(name, passed=True))
    assert progress().next == ""
    assert str(progress()).endswith("All of them: well done.")


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00" * 50, '{"04.steps": ', "[" * 5000])
def test_a_damaged_file_is_set_aside(work: Path, damage: str) -> None:
    (work / FILE).write_text(damage, encoding="utf-8")
    assert len(progress().open) == 14
    note(Report("04.steps", passed=True))
    assert progress().passed == ["04.steps"]
    assert (work / ASIDE).read_text(encoding="utf-8") == damage
    assert str(progress()).endswith(f"the old one is {ASIDE}.")


def test_entries_of_another_kind_are_read_as_what_they_can_be(work: Path) -> None:
    strange = {"04.steps": 3, "04.minus-one": {"passed": "yes", "tries": "two"}, "99.x": None}
    (work / FILE).write_text(json.dumps(strange), encoding="utf-8")
    assert progress().tried == ["04.minus-one"]
    note(Report("04.minus-one", passed=False, hint="?"))
    note(Report("04.steps", passed=True))
    assert progress().passed == ["04.steps"]
    assert noted(work)["04.minus-one"] == {"passed": False, "tries": 1}


def test_several_kernels_at_once_lose_nothing(work: Path) -> None:
    names = progress().open
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: note(Report(name, passed=True)), names * 2))
    assert progress().passed == names
    assert not (work / ASIDE).exists()
    assert not list(work.glob("*.new"))


def test_a_check_answers_whatever_is_wrong_with_the_file(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(progress_file, "_PATIENCE", 0.05)
    with FileLock(work / ".progress.lock"):
        assert check(*RIGHT).passed
    assert noted(work) == {}
    (work / ".progress.lock").unlink(missing_ok=True)
    (work / ".progress.lock").mkdir()
    assert check(*RIGHT).passed
    assert capsys.readouterr() == ("04.steps: passed\n" * 2, "")
    assert noted(work) == {}


def test_where_no_file_is_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Tests, graders and the repository's own notebooks have none."""
    assert not (NOTEBOOKS / FILE).exists()
    monkeypatch.chdir(tmp_path)
    check(*RIGHT)
    assert not list(tmp_path.iterdir())
    assert str(progress()).startswith("No progress is kept here")
    capsys.readouterr()


def test_a_second_make_lab_leaves_the_progress(tool: ModuleType, source: Path, work: Path) -> None:
    assert tool.PROGRESS == FILE
    note(Report("04.steps", passed=True))
    tool.copy_lessons(source, work)
    assert progress().passed == ["04.steps"]


def test_a_copy_under_another_name_adds_nothing(work: Path) -> None:
    shutil.copy(work / "04_bjorck.ipynb", work / "04_bjorck_kept_1.ipynb")
    (work / "01_groupsort.ipynb").write_text("{", encoding="utf-8")
    assert list(progress().lessons) == ["04_bjorck"]


def test_an_exercise_is_found_when_its_report_is_kept(work: Path) -> None:
    path = work / "04_bjorck.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"check(\\"04', '"report = check(\\"04'), encoding="utf-8")
    assert len(progress().lessons["04_bjorck"]) == 7


def test_the_command_line_shows_it(work: Path, capsys: pytest.CaptureFixture) -> None:
    note(Report("04.steps", passed=True))
    assert main(["progress", "--folder", str(work)]) == 0
    assert capsys.readouterr().out.startswith("1 of 14 passed")
    assert main(["progress"]) == 1
    assert "there is no folder 'work'; `make lab` makes work/" in capsys.readouterr().err
