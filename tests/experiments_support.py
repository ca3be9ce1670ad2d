"""What tests of the experiments share: a training that stops, and what a record holds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from lipteach.experiments import CellRecord, Run

SETS = ("mnist", "fashion")  # of images, in the laptop records of generators


class Stop(Exception):
    """Ends a training from within."""


class StoppingRun(Run):
    """Saves after each step, and stops in the body of one, after `left` steps of all loops."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path=path, every=0.0)
        self.left = left

    def steps(self, total, **state):
        for step in super().steps(total, **state):
            if self.left == 0:
                raise Stop
            self.left -= 1
            yield step


@contextmanager
def stopped_after(count: int, error: type[BaseException] = Stop) -> Iterator[None]:
    """Within it trainings save after each step, and all is stopped after so many, of all loops."""
    steps, taken = Run.steps, []

    def few(run, total, **state):
        run._every = 0.0
        for step in steps(run, total, **state):
            if len(taken) == count:
                raise error
            taken.append(step)
            yield step

    with patch.object(Run, "steps", few):
        yield


def read_cells(path: Path) -> list[dict]:
    """What a record holds but for the circumstances."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def last(cell: CellRecord, name: str) -> list[float]:
    """A metric of several moments by seed, at the last one."""
    return [values[-1] for values in cell.metrics[name]]
