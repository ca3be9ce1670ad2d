"""The hours of a run are told by its first steps; a run of some minutes goes on another time."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_experiment import TINY, Settings

from lipteach.experiments.machine import command_line, estimate
from lipteach.experiments.machine.estimate import Trial, estimate_hours
from lipteach.experiments.machine.grid import list_jobs


class Clock:
    """A clock that moves when it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(estimate.time, "monotonic", lambda: self.now)


def slow(clock: Clock, taken: list[int], settings: Settings, _seed: int, run: Trial) -> dict:
    """A training whose first step takes 100 s, and each other as many as its settings say."""
    for step in run.steps(settings.steps):
        clock.now += 100 if step == 1 else settings.pause
        taken.append(step)
    return {}


@pytest.mark.parametrize(
    ("steps", "pause", "seconds"),
    [
        (1000, 2.0, 100 + 999 * 2),  # broken off after the 5th of 1,000
        (1, 2.0, 100),  # whole
        (5, 2.0, 100 + 4 * 2),
        (3, 100.0, 100 + 2 * 100),
    ],
)
def test_the_pace_of_the_first_steps(steps, pause, seconds, monkeypatch, tmp_path: Path) -> None:
    clock, taken = Clock(monkeypatch), []
    cells = lambda _profile: (Settings("Adam", steps=steps, pause=pause),)  # noqa: E731
    train = lambda *given: slow(clock, taken, *given)  # noqa: E731
    jobs = list_jobs(replace(TINY, cells=cells, train=train), "full", 3, "cpu", tmp_path)
    assert estimate_hours(jobs) == pytest.approx(3 * seconds / 3600)
    assert max(taken) <= 5
    assert estimate_hours(jobs, workers=2) == pytest.approx(1.5 * seconds / 3600)
    assert estimate_hours(jobs, workers=99) == pytest.approx(seconds / 3600)
    jobs[0].finished.parent.mkdir(parents=True)
    for job in jobs:
        job.finished.touch()
    assert estimate_hours(jobs) == 0


def test_a_trial_keeps_nothing(tmp_path: Path) -> None:
    jobs = list_jobs(TINY, "full", 1, "cpu", tmp_path)
    before = torch.get_rng_state()
    assert 0 < estimate_hours(jobs, seconds=0.02) < 0.1
    assert not [*tmp_path.rglob("*")]
    assert torch.equal(before, torch.get_rng_state())


def test_many_cells_are_not_all_tried(monkeypatch, tmp_path: Path) -> None:
    clock, taken = Clock(monkeypatch), []
    cells = lambda _profile: tuple(Settings("Adam", steps=1, pause=k) for k in range(100))  # noqa: E731
    train = lambda *given: slow(clock, taken, *given)  # noqa: E731
    jobs = list_jobs(replace(TINY, cells=cells, train=train), "full", 1, "cpu", tmp_path)
    assert estimate_hours(jobs) == pytest.approx(100 * 100 / 3600)
    assert len(taken) == 6


def test_a_full_run_says_its_hours_first(monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr(command_line, "experiment", lambda _name: TINY)
    monkeypatch.setattr(command_line, "estimate_hours", lambda jobs, workers: 7.25 * workers)
    folders = ["--runs", str(tmp_path / "a"), "--results", str(tmp_path / "b"), "--device", "cpu"]
    assert command_line.main(["run", "tiny", "--seeds", "1", "--profile", "full", *folders]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "tiny, full: 0 of 2 cells finished.",
        "It will take about 7.2 hours, as the first steps tell.",
    ]
    assert command_line.main(["run", "tiny", "--seeds", "1", *folders]) == 0
    assert "It will take" not in capsys.readouterr().out


def test_a_run_stops_after_its_minutes_and_goes_on(monkeypatch, capsys, tmp_path: Path) -> None:
    timer = command_line.threading.Timer
    monkeypatch.setattr(command_line.threading, "Timer", lambda s, end: timer(s / 600, end))
    long = lambda _profile: (Settings("Adam", pause=0.01), Settings("Adam", steps=90, pause=0.5))  # noqa: E731
    monkeypatch.setattr(command_line, "experiment", lambda _name: replace(TINY, cells=long))
    folders = ["--runs", str(tmp_path / "a"), "--results", str(tmp_path / "b"), "--device", "cpu"]
    began = time.monotonic()
    assert command_line.main(["run", "tiny", "--seeds", "1", "--minutes", "20", *folders]) == 143
    assert time.monotonic() - began < 60, "the second cell alone would take 67 s"
    said = capsys.readouterr().err
    assert "Stopped. Kept in" in said
    assert "The same command goes on from there." in said
    assert not (tmp_path / "b" / "tiny_quick.json").exists()
