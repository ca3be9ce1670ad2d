"""What tests of the experiments share: a training that stops, and what a record holds."""

import json
from pathlib import Path

from lipteach.experiments import Run


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


def read_cells(path: Path) -> list[dict]:
    """What a record holds but for the circumstances."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]
