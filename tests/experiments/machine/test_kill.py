"""A run that is killed, again and again, ends with the numbers of one that is not."""

import random
import subprocess
import sys
import time
from pathlib import Path

import tiny_experiment
from experiments_support import read_cells
from tiny_experiment import TINY

from lipteach.experiments import run_experiment

KILLS = 3


def newest(folder: Path) -> int:
    """When a file was last saved there, in nanoseconds."""
    saved = [path for ending in ("*.pt", "*.json") for path in folder.rglob(ending)]
    return max((path.stat().st_mtime_ns for path in saved), default=0)


def test_killed_at_random_moments_it_ends_with_the_same_numbers(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "killed"
    program = [sys.executable, tiny_experiment.__file__, str(runs), str(results)]
    moments = random.Random(5)
    for _ in range(KILLS):
        before = newest(runs)
        process = subprocess.Popen(program)
        while newest(runs) == before:  # it has not gone on yet
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()  # SIGKILL: nothing can be tidied up
        process.wait()
        assert not results.exists()
    subprocess.run(program, check=True)
    unbroken = run_experiment(
        TINY, "full", seeds=2, device="cpu", runs=tmp_path / "other", results=tmp_path / "unbroken"
    )
    assert read_cells(results / unbroken.name) == read_cells(unbroken)
    assert not list(runs.rglob("*.*"))  # nothing is left of it, half-written files neither
