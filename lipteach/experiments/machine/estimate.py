"""How long a run will take, by trying the first steps of some of its cells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lipteach.experiments.machine.cell import Job
from lipteach.experiments.machine.checkpoints import Run

CELLS = 6  # that are tried


class _Tried(Exception):
    """Ends a training that was only tried; says how many seconds its loop would take."""


class Trial(Run):
    """A training that is broken off after some seconds, keeps nothing, and tells its pace.

    The first step is left out of the pace: it makes what the others use again.
    """

    def __init__(self, device: torch.device | str, seconds: float) -> None:
        super().__init__(device)
        self._most = seconds

    def steps(self, total: int, **_state: Any) -> Iterator[int]:
        """Yield 1, 2, …, total, but no more after the seconds."""
        began = time.monotonic()
        for step in range(1, total + 1):
            yield step
            now = time.monotonic()
            if step == 1:
                first, began = now - began, now
            elif now - began >= self._most and step < total:
                raise _Tried(first + (now - began) * (total - 1) / (step - 1))


def estimate_hours(jobs: Sequence[Job], workers: int = 1, seconds: float = 8.0) -> float:
    """Estimate the hours that the cells which are not finished will take, up to what is measured.

    Up to six of them, spread over the grid, are begun and broken off in their first loop; what they
    do behind it is not counted. Side by side they take their share of the machine as one alone.
    """
    left = [job for job in jobs if not job.finished.exists()]
    if not left:
        return 0.0
    tried = left[:: -(-len(left) // CELLS)]
    found = [_seconds_of(job, seconds) for job in tried]
    return sum(found) / len(found) * len(left) / min(workers, len(left)) / 3600


def _seconds_of(job: Job, seconds: float) -> float:
    before, began = torch.get_num_threads(), time.monotonic()
    torch.set_num_threads(job.threads or before)
    try:
        job.experiment.train(job.settings, job.seed, Trial(job.device, seconds))
    except _Tried as end:
        (found,) = end.args
        return float(found)
    finally:
        torch.set_num_threads(before)
    return time.monotonic() - began
