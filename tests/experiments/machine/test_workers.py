"""Signals: what is said, nobody is left behind, and the results are those of a run without one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_command_line
from experiments_support import read_cells

from lipteach.experiments import run_experiment
from lipteach.experiments.machine.workers import make_workers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")


def start(folder: Path, workers: int) -> subprocess.Popen:
    options = ["--profile", "full", "--seeds", "3", "--device", "cpu", "--workers", str(workers)]
    folders = ["--runs", str(folder / "runs"), "--results", str(folder / "results")]
    command = [sys.executable, tiny_command_line.__file__, "run", "tiny", *options, *folders]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, start_new_session=True)


def living(session: int) -> list[str]:
    """The processes of a session that have not ended (one that has may wait to be fetched)."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [" ".join(row) for row in rows if row[0] == str(session) and row[1][0] != "Z"]


def wait_until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def finished(folder: Path) -> int:
    return len(list((folder / "runs").rglob("cell*.json")))


def test_a_signal_is_answered_and_leaves_nobody(tmp_path: Path) -> None:
    """To the run alone, as from `kill`, or to all its processes, as Ctrl-C in a terminal; twice."""
    sent = [(signal.SIGTERM, 1, False), (signal.SIGINT, 2, True)]
    for number, workers, to_all in sent:
        before = finished(tmp_path)
        process = start(tmp_path, workers)
        wait_until(lambda before=before: finished(tmp_path) > before)
        for _ in range(2):
            os.killpg(process.pid, number) if to_all else process.send_signal(number)
            time.sleep(0.05)
        _, error = process.communicate(timeout=60)
        wait_until(lambda process=process: not living(process.pid), 10)
        assert "Traceback" not in error
        assert process.returncode == 128 + number
        assert f"Stopped. Kept in {tmp_path / 'runs' / 'tiny' / 'full'}: " in error
        assert error.endswith("The same command goes on from there.\n")
        assert 0 < finished(tmp_path) < 6
    process = start(tmp_path, 1)
    out, error = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in error) == (0, False)
    path = tmp_path / "results" / "tiny_full.json"
    assert out.endswith(f"{path}\n")
    assert not list((tmp_path / "runs" / "tiny").iterdir())
    folders = {"runs": tmp_path / "other", "results": tmp_path / "unbroken"}
    unbroken = run_experiment(tiny_command_line.ADAM, "full", seeds=3, device="cpu", **folders)
    assert read_cells(path) == read_cells(unbroken)


def test_a_signal_while_workers_start_ends_them_too(tmp_path: Path) -> None:
    process = start(tmp_path, 2)
    wait_until(lambda: len(living(process.pid)) > 2)  # itself, and what it has begun to start
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    wait_until(lambda: not living(process.pid), 10)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped. Kept in " in error
    assert "Traceback" not in error


def test_one_worker_is_this_process() -> None:
    with make_workers(1) as executor:
        assert executor is None
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with make_workers(2) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert executor.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
