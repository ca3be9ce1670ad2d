"""The tiny experiment with a diary of its steps, whose process may be killed in one of them."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import tiny_experiment

from lipteach.experiments import Experiment


@dataclass(frozen=True)
class Settings(tiny_experiment.Settings):
    diary: str = ""  # a file that tells which process began, and took which step
    dies_at: int = 0  # the step at which its first process is killed


def cells(profile: str) -> tuple[Settings, ...]:
    return Settings("Adam", steps=30), Settings("Adam", steps=20)


def train(settings: Settings, seed: int, run) -> dict[str, float | list[float]]:
    """The tiny training, with a diary if there is one."""
    diary = Path(settings.diary or os.devnull)
    first = not settings.diary or not diary.exists()
    steps = run.steps

    def told(total: int, **state):
        for step in steps(total, **state):
            with diary.open("a") as file:
                file.write(f"{os.getpid()} {step}\n")
            if first and step == settings.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield step

    run.steps = told
    return tiny_experiment.train(settings, seed, run)


TINY = Experiment("tiny", "H.1", "a tiny experiment", cells, train, tiny_experiment.compare)
