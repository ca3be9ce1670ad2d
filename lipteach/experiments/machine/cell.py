"""One cell of a grid with one seed: how it is trained, and what is kept of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lipteach.experiments.machine.catalogue import Experiment
from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.files import (
    MADE_BY,
    RunError,
    check_identity,
    load_json,
    save_json,
)
from lipteach.experiments.machine.provenance import describe_device, describe_makers
from lipteach.experiments.machine.records import check_finite

RESULT = {
    "identity": dict,
    "metrics": dict,
    "curves": {str: [[int | float]]},
    "device": dict,
    "commit": str,
    "seconds": float,
}


@dataclass(frozen=True)
class Job:
    """One cell with one seed: all that a process needs, here or elsewhere."""

    experiment: Experiment
    settings: Any
    seed: int
    stem: Path  # of its files: stem.pt while it is under way, stem.json when it is finished
    device: str
    makers: dict[str, str]  # the code and versions of the whole run
    commit: str
    threads: int | None = None
    every: float = 10.0
    progress: str = ""

    @property
    def finished(self) -> Path:
        """The file that holds what the cell gave."""
        return self.stem.with_suffix(".json")

    @property
    def begun(self) -> Path:
        """The checkpoint of a cell under way."""
        return self.stem.with_suffix(".pt")

    def identity(self) -> dict[str, Any]:
        """Return what a saved file must agree with."""
        own = {"experiment": self.experiment.name, "seed": self.seed, "device": self.device}
        return {**own, **settings_dict(self.settings), MADE_BY: self.makers}


def settings_dict(settings: Any) -> dict[str, Any]:
    """Return settings by name, as JSON gives them back: tuples are lists."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return found


def run_cell(job: Job, kind: type[Run] = Run) -> dict[str, Any]:
    """Train one cell, from its checkpoint if there is one, and keep what it gave."""
    if describe_makers(job.experiment.train) != job.makers:  # a worker that began with others
        raise RunError(f"{job.stem.name}: this worker has other code or versions than the run.")
    if job.threads:
        torch.set_num_threads(job.threads)
    run = kind(job.device, job.begun, job.identity(), job.every, job.progress)
    metrics = job.experiment.train(job.settings, job.seed, run)
    result = {
        "identity": job.identity(),
        "metrics": metrics,
        "curves": {name: list(zip(*curve, strict=True)) for name, curve in run.curves.items()},
        "device": describe_device(run.device),
        "commit": job.commit,
        "seconds": round(run.seconds, 1),
    }
    if run.picture is not None:
        result["picture"] = run.picture.tolist()
    check_result(job, result)
    save_json(job.finished, result)
    job.begun.unlink(missing_ok=True)
    return result


def load_result(job: Job) -> dict[str, Any] | None:
    """Read what a finished cell gave, or None if it is not finished."""
    result: dict[str, Any] | None = load_json(job.finished, RESULT)
    if result:
        check_identity(job.finished, result["identity"], job.identity())
        check_result(job, result)
    return result


def check_result(job: Job, result: dict[str, Any]) -> None:
    """Require finite numbers, and say of which cell there is another."""
    for name, values in [*result["metrics"].items(), *result["curves"].items()]:
        said = f"{job.stem}: {name} of {settings_text(job.settings)}, seed {job.seed},"
        check_finite(said, values)


def settings_text(settings: Any) -> str:
    """Write settings in one line."""
    return ", ".join(f"{key}={value}" for key, value in dataclasses.asdict(settings).items())
