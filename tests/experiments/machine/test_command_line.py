"""list, show, run, compare; and what is said when something is in the way."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_experiment
from experiments_support import stopped_after
from tiny_experiment import TINY

from lipteach.experiments import load_record
from lipteach.experiments.machine import catalogue, command_line


@pytest.fixture
def tiny(monkeypatch, tmp_path: Path):
    """The command line of a package that holds the tiny experiment alone."""

    def call(*arguments: str, experiment=TINY, names=("tiny",)) -> int:
        for module in (command_line, catalogue):
            monkeypatch.setattr(module, "NAMES", names)
        monkeypatch.setattr(command_line, "experiment", lambda _name: experiment)
        folders = ["--results", str(tmp_path / "results")]
        if arguments[0] == "run":
            folders += [] if "--runs" in arguments else ["--runs", str(tmp_path / "runs")]
            folders += [] if "--device" in arguments else ["--device", "cpu"]
        return command_line.main([*arguments, *folders])

    return call


def test_run_then_compare(tiny, capsys, tmp_path: Path) -> None:
    assert tiny("run", "tiny", "--seeds", "2") == 0
    said = capsys.readouterr()
    assert said.out.startswith("tiny, quick: 0 of 4 cells finished.\n")
    record = load_record("tiny", "quick", tmp_path / "results")
    assert record.seeds == [0, 1]
    assert tiny_experiment.compare(record) in said.out
    assert "cell 4 of 4" in said.err  # the bar
    assert tiny("compare", "tiny") == 0
    assert tiny_experiment.compare(record) in capsys.readouterr().out
    assert tiny("run", "tiny", "--seeds", "2") == 0
    said = f"There is a record of it (2 seeds, {record.about['date']}), which this run replaces.\n"
    assert said in capsys.readouterr().out
    assert tiny("run", "tiny", "--seeds", "1") == 1
    assert "tiny_quick.json holds 2 seeds, and would be replaced by" in capsys.readouterr().err


def test_all_experiments_run_where_none_is_named(tiny, tmp_path: Path) -> None:
    assert tiny("run", "--seeds", "1") == 0
    assert load_record("tiny", "quick", tmp_path / "results").seeds == [0]


def test_all_go_on_where_the_last_call_ended(tiny, capsys, tmp_path: Path) -> None:
    """What is recorded stands; who names it, or asks for more seeds, has it run again."""
    path = tmp_path / "results" / "tiny_quick.json"
    assert tiny("run", "--seeds", "1") == 0
    capsys.readouterr()
    before = path.stat().st_mtime_ns
    assert tiny("run", "--seeds", "1") == 0
    assert capsys.readouterr().out == "tiny, quick: there is a record of it, which stands.\n"
    assert path.stat().st_mtime_ns == before
    assert tiny("run", "tiny", "--seeds", "1") == 0
    assert path.stat().st_mtime_ns > before
    other = replace(TINY, cells=lambda _: (tiny_experiment.Settings("Adam", steps=3),))
    assert tiny("run", "--seeds", "1", experiment=other) == 0
    assert len(load_record("tiny", "quick", tmp_path / "results").cells) == 1
    assert tiny("run", "--seeds", "2", experiment=other) == 0
    assert load_record("tiny", "quick", tmp_path / "results").seeds == [0, 1]


def test_what_lacks_its_images_keeps_no_other_from_running(
    tiny, capsys, monkeypatch, tmp_path: Path
) -> None:
    run_one = command_line._run_one

    def lacking_first(one, options, cluster) -> None:
        if not called:
            called.append(one)
            raise FileNotFoundError("There is no folder of faces.")
        run_one(one, options, cluster)

    called: list = []
    monkeypatch.setattr(command_line, "_run_one", lacking_first)
    assert tiny("run", "--seeds", "1", names=("tiny", "tiny")) == 1
    error = capsys.readouterr().err
    assert "tiny: There is no folder of faces.\n" in error
    assert error.endswith("Not run, for want of images: tiny.\n")
    assert load_record("tiny", "quick", tmp_path / "results").seeds == [0]
    called.clear()
    assert tiny("run", "tiny") == 1
    assert capsys.readouterr().err == "There is no folder of faces.\n"


def test_a_grid_runs_in_processes(tiny, capsys, tmp_path: Path) -> None:
    assert tiny("run", "tiny", "--seeds", "1", "--workers", "2") == 0
    assert load_record("tiny", "quick", tmp_path / "results").about["device"][0]["threads"] >= 1
    assert "0 of 2 cells finished" in capsys.readouterr().out


def test_an_interrupt_says_what_is_kept_and_how_to_go_on(tiny, capsys, tmp_path: Path) -> None:
    with stopped_after(100, KeyboardInterrupt):  # the 10 after the first cell's 60 and 30
        assert tiny("run", "tiny", "--seeds", "2") == 130
    error = capsys.readouterr().err
    assert "Stopped. Kept in " in error
    assert "1 of 4 cells finished, cell000_seed1 up to step 10 of 60." in error
    assert "The same command goes on from there." in error
    assert tiny("run", "tiny", "--seeds", "2") == 0
    assert "1 of 4 cells finished, cell000_seed1 up to step 10 of 60." in capsys.readouterr().out
    broken = load_record("tiny", "quick", tmp_path / "results").cells
    assert tiny("run", "tiny", "--seeds", "2") == 0  # once more, unbroken
    assert load_record("tiny", "quick", tmp_path / "results").cells == broken


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "tiny", "--profile", "full"], "There is no record tiny_full.json; this makes"),
        (["compare", "tiny"], "python -m lipteach.experiments run tiny --profile quick --seeds 3"),
        (["run", "tiny", "--seeds", "0"], "seeds must be at least 1; got 0."),
        (["run", "tiny", "--device", "gpu"], "device must be auto, cpu or another that PyTorch"),
        (["run", "tiny", "--device", "cuda:99"], "can use here; got 'cuda:99'."),
        (["run", "tiny", "--device", "meta"], "can use here; got 'meta'."),
        (["run", "tiny", "--runs", __file__], "cannot be written"),
    ],
)
def test_an_error_is_one_line_and_a_status(tiny, capsys, arguments, said: str) -> None:
    assert tiny(*arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--workers", "--threads"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_a_count_is_positive(tiny, capsys, option: str, value: str) -> None:
    with pytest.raises(SystemExit):
        tiny("run", "tiny", f"{option}={value}")
    assert f"must be a whole number, at least 1; got {value}." in capsys.readouterr().err


def test_an_interrupt_after_the_last_cell_names_the_record(
    tiny, capsys, monkeypatch, tmp_path: Path
) -> None:
    @contextmanager
    def interrupted_at_the_end(_workers: int):
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "make_workers", interrupted_at_the_end)
    assert tiny("run", "tiny", "--seeds", "1") == 130
    path = tmp_path / "results" / "tiny_quick.json"
    assert path.exists()
    assert capsys.readouterr().err.endswith(f"Stopped. The record is finished: {path}.\n")


def test_an_interrupt_before_the_first_cell_is_one_line(tiny, capsys, monkeypatch) -> None:
    def interrupted(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "list_jobs", interrupted)
    assert tiny("run", "tiny") == 130
    assert capsys.readouterr().err == "\nStopped. Nothing had begun.\n"


def test_a_damaged_checkpoint_is_one_line(tiny, capsys, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tiny" / "quick" / "cell000_seed0.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert tiny("run", "tiny") == 1
    error = capsys.readouterr().err
    assert error == f"{path} is damaged and cannot be read: delete it, and a run makes it anew.\n"


def test_an_unknown_name_lists_those_there_are(capsys) -> None:
    assert command_line.main(["show", "fig15"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("There is no experiment 'fig15'; there are fig14_spectral, ")


def test_show_prints_the_grid_and_list_the_records(capsys) -> None:
    assert command_line.main(["show", "fig14_spectral"]) == 0
    out = capsys.readouterr().out
    for text in ("quick, 8 cells:", "full, 8 cells:", "  n=512, method=spectral, width=512, "):
        assert text in out
    assert command_line.main(["list"]) == 0
    out = capsys.readouterr().out
    assert "fig14_spectral   Fig. 14: Björck against spectral normalization on cones; " in out


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    """As of ``list | head -1``: the pipe is closed before all is written."""
    code = "import runpy; runpy.run_module('lipteach.experiments', run_name='__main__')"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[1:] = ['list']; {code}"],
        stdout=writing, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_without_a_stream_there_are_no_bars(tiny, monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", None)  # as under pythonw
    assert tiny("run", "tiny", "--seeds", "1") == 0
