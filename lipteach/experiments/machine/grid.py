"""The grid of an experiment, cell by cell: what is finished is kept, what was begun goes on."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from lipteach.experiments.machine.catalogue import Experiment
from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.files import (
    RunError,
    check_identity,
    load_json,
    load_state,
    save_json,
)
from lipteach.experiments.machine.provenance import describe_commit, describe_device, list_versions
from lipteach.experiments.machine.records import (
    RESULTS,
    ROOT,
    CellRecord,
    Record,
    command_text,
    write_record,
)

RUNS = ROOT / "runs"  # unfinished work, which git ignores


@dataclass(frozen=True)
class Job:
    """One cell with one seed: all that a process needs, here or elsewhere."""

    experiment: Experiment
    settings: Any
    seed: int
    stem: Path  # of its files: stem.pt while it is under way, stem.json when it is finished
    device: str
    threads: int | None = None
    every: float = 10.0
    progress: str = ""

    def identity(self) -> dict[str, Any]:
        """Return what a saved file must agree with."""
        own = {"experiment": self.experiment.name, "seed": self.seed, "device": self.device}
        return {**own, **settings_dict(self.settings)}


def settings_dict(settings: Any) -> dict[str, Any]:
    """Return settings by name, as JSON gives them back: tuples are lists."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return found


def run_cell(job: Job) -> dict[str, Any]:
    """Train one cell, from its checkpoint if there is one, and keep what it gave."""
    finished, begun = job.stem.with_suffix(".json"), job.stem.with_suffix(".pt")
    result = load_json(finished)
    if result is None:
        if job.threads:
            torch.set_num_threads(job.threads)
        run = Run(job.device, begun, job.identity(), job.every, job.progress)
        metrics = job.experiment.train(job.settings, job.seed, run)
        curves = {name: list(zip(*curve, strict=True)) for name, curve in run.curves.items()}
        for name, values in [*metrics.items(), *((n, values) for n, (_, values) in curves.items())]:
            check_finite(f"{name} of {settings_text(job.settings)}, seed {job.seed},", values)
        result = {
            "identity": job.identity(),
            "metrics": metrics,
            "curves": curves,
            "device": describe_device(run.device),
            "seconds": round(run.seconds, 1),
        }
        save_json(finished, result)
    check_identity(finished, result["identity"], job.identity())
    begun.unlink(missing_ok=True)
    return result


def check_finite(name: str, values: Any) -> None:
    """Require a finite number, or a list of them: a record holds nothing else."""
    for value in values if isinstance(values, list | tuple) else [values]:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise RunError(
                f"{name} must be a finite number; got {value!r} ({type(value).__name__})."
            )


def settings_text(settings: Any) -> str:
    """Write settings in one line."""
    return ", ".join(f"{key}={value}" for key, value in dataclasses.asdict(settings).items())


def list_jobs(
    experiment: Experiment, profile: str, seeds: int, device: str, runs: Path
) -> list[Job]:
    """List the grid times the seeds, in the order of the record."""
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1; got {seeds}.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path(runs) / experiment.name / profile
    return [
        Job(experiment, settings, seed, folder / f"cell{k:03d}_seed{seed}", device)
        for k, settings in enumerate(experiment.grid(profile))
        for seed in range(seeds)
    ]


def run_experiment(
    experiment: Experiment,
    profile: str = "quick",
    seeds: int = 3,
    device: str = "auto",
    executor: Executor | None = None,
    *,
    runs: Path = RUNS,
    results: Path = RESULTS,
    threads: int | None = None,
    every: float = 10.0,
    progress: bool = False,
) -> Path:
    """Run every cell of a profile with every seed, then write the record.

    Cells are independent. Each is saved every few seconds and goes on from there after a kill; a
    finished one is kept. When all are finished the record is written and their folder is removed.

    Args:
        experiment: what to run.
        profile: "quick", "laptop" or "full".
        seeds: how many, 0, 1, ….
        device: "auto" (a GPU if PyTorch finds one), "cpu", "cuda", ….
        executor: where cells run side by side, any ``concurrent.futures.Executor`` (of processes,
            of Dask); by default they run here, one by one.
        runs: the folder of unfinished work.
        results: the folder of records.
        threads: of PyTorch in each cell; by default as many as it has.
        every: seconds between two checkpoints.
        progress: whether to show bars.

    Returns:
        The path of the record.

    Raises:
        RunError: if a file cannot be written or read, or belongs to other settings.
    """
    commit = describe_commit()
    jobs = list_jobs(experiment, profile, seeds, device, runs)
    bars = progress and executor is None  # those of several processes would overwrite one another
    for k, job in enumerate(jobs):
        name = f"cell {k + 1} of {len(jobs)}" if bars else ""
        jobs[k] = dataclasses.replace(job, threads=threads, every=every, progress=name)
    found: dict[Job, dict[str, Any]] = {}
    bar = tqdm(total=len(jobs), desc=experiment.name, unit="cell", disable=not progress)
    with bar:
        for job, result in _run_all(jobs, executor):
            found[job] = result
            bar.update()
    results_in_order = [found[job] for job in jobs]
    cells = [
        _gather_seeds(jobs[k].settings, results_in_order[k : k + seeds])
        for k in range(0, len(jobs), seeds)
    ]
    about = {
        "item": experiment.item,
        "command": command_text(experiment.name, profile, seeds),
        "device": _drop_repeats([result["device"] for result in results_in_order]),
        "versions": list_versions(),
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "seconds": round(sum(result["seconds"] for result in results_in_order), 1),
    }
    record = Record(experiment.name, profile, list(range(seeds)), tuple(cells), about)
    path = write_record(record, Path(results))
    shutil.rmtree(jobs[0].stem.parent)
    return path


def _run_all(jobs: list[Job], executor: Executor | None) -> Iterator[tuple[Job, dict[str, Any]]]:
    if executor is None:
        yield from ((job, run_cell(job)) for job in jobs)
        return
    futures: dict[Future[dict[str, Any]], Job] = {executor.submit(run_cell, j): j for j in jobs}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


def _gather_seeds(settings: Any, results: list[dict[str, Any]]) -> CellRecord:
    def by_name(key: str) -> dict[str, list[Any]]:
        return {name: [result[key][name] for result in results] for name in results[0][key]}

    return CellRecord(settings_dict(settings), by_name("metrics"), by_name("curves"))


def _drop_repeats(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for k, one in enumerate(found) if one not in found[:k]]


def progress_text(jobs: list[Job]) -> str:
    """Say what of these jobs is on the disk: the finished cells, and how far the others are."""
    finished = sum(job.stem.with_suffix(".json").exists() for job in jobs)
    said = [f"{finished} of {len(jobs)} cells finished"]
    for job in jobs:
        state = load_state(job.stem.with_suffix(".pt"))
        if state:
            loop = state["loops"][-1]
            said.append(f"{job.stem.name} up to step {loop['step']} of {loop['total']}")
    return ", ".join(said)
