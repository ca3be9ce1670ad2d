"""What a run finds, refuses, leaves and replaces: one record of one code, one run in a folder."""

import errno
import importlib.util
import os
import re
import shutil
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_experiment
from experiments_support import Stop, read_cells, stopped_after
from tiny_experiment import TINY, train

from lipteach.experiments import RunError, load_record, run_experiment
from lipteach.experiments.machine import cell, grid, provenance


@pytest.fixture
def here(tmp_path: Path) -> dict:
    """Folders of this test."""
    return {"runs": tmp_path / "runs", "results": tmp_path / "results", "device": "cpu"}


# --- One record, one code


@pytest.fixture
def written(tmp_path: Path):
    """Write a file with an experiment of four cells, and import it as a new process would."""

    def write(loss: str, comment: str = ""):
        path = tmp_path / "flip.py"
        text = Path(tiny_experiment.__file__).read_text(encoding="utf-8")
        assert text.count("return loss.item()") == 1
        path.write_text(text.replace("return loss.item()", f"return {loss}{comment}"), "utf-8")
        spec = importlib.util.spec_from_file_location("flip", path)
        module = sys.modules["flip"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.TINY

    yield write
    sys.modules.pop("flip", None)


@pytest.mark.parametrize("steps", [100, 50])  # a finished cell, or a checkpoint alone
def test_cells_of_another_code_are_refused(steps: int, written, here: dict) -> None:
    with stopped_after(steps), pytest.raises(Stop):
        run_experiment(written("loss.item()"), seeds=2, **here)
    flipped = written("-loss.item()")
    said = (
        r"was saved by other code or versions \(code = '\w+'; now code = '\w+'\): go back to those"
    )
    with pytest.raises(RunError, match=said) as found:
        run_experiment(flipped, seeds=2, **here)
    assert f"or delete {here['runs'] / 'tiny' / 'quick'} to begin anew" in str(found.value)
    shutil.rmtree(here["runs"] / "tiny" / "quick")
    path = run_experiment(flipped, seeds=2, **here)
    assert max(read_cells(path)[0]["curves"]["loss"][0][1]) < 0


def test_a_comment_leaves_cells_as_they_are(written, here: dict) -> None:
    with stopped_after(100), pytest.raises(Stop):
        run_experiment(written("loss.item()"), seeds=2, **here)
    again = written("loss.item()", '  # as it was\n\n    "and a text"')
    path = run_experiment(again, seeds=2, **here)
    assert read_cells(path) == read_cells(run_experiment(TINY, seeds=2, **here))


@pytest.mark.parametrize("name", ["torch", "python", "numpy"])
def test_cells_of_other_versions_are_refused(name: str, here: dict, monkeypatch) -> None:
    with stopped_after(100), pytest.raises(Stop):
        run_experiment(TINY, seeds=2, **here)
    others = {**provenance.list_versions(), name: "1.0"}
    monkeypatch.setattr(provenance, "list_versions", lambda: others)
    with pytest.raises(
        RunError, match=rf"by other code or versions \({name} = '.*'; now .*'1.0'\)"
    ):
        run_experiment(TINY, seeds=2, **here)


def test_a_worker_of_other_versions_is_refused(here: dict, monkeypatch) -> None:
    class Elsewhere(Executor):
        def submit(self, function, /, *arguments, **named) -> Future:
            future: Future = Future()
            with monkeypatch.context() as patch:
                patch.setattr(provenance, "list_versions", lambda: {"torch": "1.0"})
                try:
                    future.set_result(function(*arguments))
                except RunError as error:
                    future.set_exception(error)
            return future

    with pytest.raises(RunError, match=r"cell00\d_seed0: this worker has other code or versions"):
        run_experiment(TINY, seeds=1, executor=Elsewhere(), **here)


def test_a_record_names_every_commit_and_device(here: dict, monkeypatch) -> None:
    with stopped_after(100), pytest.raises(Stop):
        run_experiment(TINY, seeds=1, **here)
    monkeypatch.setattr(grid, "describe_commit", lambda: "0123456789ab")
    monkeypatch.setattr(cell, "describe_device", lambda _: {"cpu": "another"})
    run_experiment(TINY, seeds=1, **here)  # the second cell, of another commit and the same code
    about = load_record("tiny", "quick", here["results"]).about
    assert about["commit"] == f"{provenance.describe_commit()}, 0123456789ab"
    assert [device["cpu"] for device in about["device"]] == [provenance.cpu_name(), "another"]


# --- What a run leaves, and what it may replace


def test_a_run_of_fewer_seeds_leaves_the_unfinished_run_of_more(here: dict) -> None:
    with stopped_after(5 * 90 + 10), pytest.raises(Stop):  # in the last of six cells
        run_experiment(TINY, seeds=3, **here)
    folder = here["runs"] / "tiny" / "quick"
    kept = {path.name: path.read_bytes() for path in folder.glob("cell*")}
    assert len(kept) == 6
    run_experiment(TINY, seeds=1, **here)
    assert {path.name: path.read_bytes() for path in folder.glob("cell*")} == kept
    path = run_experiment(TINY, seeds=3, **here)
    assert not folder.exists()
    other = {**here, "results": here["results"] / "other"}
    assert read_cells(path) == read_cells(run_experiment(TINY, seeds=3, **other))


def test_a_record_of_more_seeds_is_not_replaced(here: dict) -> None:
    path = run_experiment(TINY, seeds=2, **here)
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"tiny_quick.json holds 2 seeds, and would be replaced by"):
        run_experiment(TINY, seeds=1, **here)
    assert path.read_bytes() == before
    assert not here["runs"].joinpath("tiny", "quick").exists()
    run_experiment(TINY, "laptop", seeds=1, **here)  # another profile is another record
    run_experiment(TINY, seeds=3, **here)
    assert load_record("tiny", "quick", here["results"]).seeds == [0, 1, 2]


@pytest.mark.parametrize("folder", ["runs", "results"])
def test_a_folder_that_cannot_be_written_is_said_first(folder: str, here: dict) -> None:
    here[folder].write_text("a file")
    said = rf"{folder} cannot be written \(.*\): choose another folder with --{folder}\."
    with stopped_after(0), pytest.raises(RunError, match=said):
        run_experiment(TINY, seeds=1, **here)


def test_a_full_disk_at_the_record_keeps_every_cell(here: dict, monkeypatch) -> None:
    replaced = os.replace

    def full(before, after) -> None:
        if Path(after).name == "tiny_quick.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        replaced(before, after)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=r"tiny_quick.json cannot be written \(No space left"):
        run_experiment(TINY, seeds=1, **here)
    monkeypatch.undo()
    assert len(list(here["runs"].rglob("cell*.json"))) == 2
    with stopped_after(0):
        run_experiment(TINY, seeds=1, **here)


def test_a_damaged_cell_or_checkpoint_never_enters_a_record(here: dict) -> None:
    unbroken = read_cells(run_experiment(TINY, seeds=1, **here))
    (here["results"] / "tiny_quick.json").unlink()
    for name in ("cell000_seed0.json", "cell001_seed0.pt"):
        with stopped_after(100), pytest.raises(Stop):
            run_experiment(TINY, seeds=1, **here)
        path = here["runs"] / "tiny" / "quick" / name
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 4
        path.write_bytes(data)
        with pytest.raises(
            RunError, match=rf"{name} is damaged and cannot be read: delete it, and"
        ):
            run_experiment(TINY, seeds=1, **here)
        path.unlink()
    assert read_cells(run_experiment(TINY, seeds=1, **here)) == unbroken


# --- One run at a time


def test_a_folder_in_use_is_refused_with_who_uses_it(here: dict) -> None:
    """From within a training of the first, the second is tried."""
    tried = []

    def second(settings, seed, run):
        with pytest.raises(RunError) as found:
            run_experiment(TINY, seeds=1, **here)
        tried.append(str(found.value))
        return train(settings, seed, run)

    first = replace(TINY, train=second)
    path = run_experiment(first, seeds=1, **here)
    assert len(read_cells(path)) == len(tried) == 2
    said = rf"{here['runs']}/tiny/quick is in use by process {os.getpid()} on \S+ since \d{{4}}-"
    assert re.match(said.replace("/", "."), tried[0])
    assert "wait for it, or choose another folder with --runs." in tried[0]
    assert not (here["runs"] / "tiny" / "quick").exists()
    run_experiment(TINY, seeds=1, **here)  # it is free again
