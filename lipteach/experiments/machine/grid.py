"""The grid of an experiment, cell by cell: what is finished is kept, what was begun goes on."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from lipteach.experiments.machine.catalogue import Experiment
from lipteach.experiments.machine.cell import Job, load_result, run_cell, settings_dict
from lipteach.experiments.machine.checkpoints import CHECKPOINT, find_device
from lipteach.experiments.machine.files import (
    RunError,
    check_writable,
    load_state,
    save_json,
)
from lipteach.experiments.machine.lock import hold
from lipteach.experiments.machine.pictures import join_pictures
from lipteach.experiments.machine.provenance import (
    describe_commit,
    describe_makers,
    list_versions,
)
from lipteach.experiments.machine.records import (
    RESULTS,
    ROOT,
    CellRecord,
    Record,
    command_text,
    read_record,
    record_path,
    write_record,
)
from lipteach.experiments.machine.scheduler import Cluster
from lipteach.primitives._validate import check_integer

RUNS = ROOT / "runs"  # unfinished work, which git ignores


def list_jobs(
    experiment: Experiment,
    profile: str,
    seeds: int,
    device: torch.device | str,
    runs: Path,
    executor: Executor | None = None,
) -> list[Job]:
    """List the grid times the seeds, in the order of the record; a cluster says its device."""
    if not isinstance(experiment, Experiment):
        raise TypeError(
            'experiment must be an Experiment, like experiment("fig14_spectral"); '
            f"got {type(experiment).__name__}."
        )
    check_integer(seeds, "seeds")
    if isinstance(executor, Cluster):
        place = executor.find_device(experiment, device)
    else:
        place = str(find_device(device))
    folder = Path(runs) / experiment.name / profile
    makers, commit = describe_makers(experiment.train), describe_commit()
    return [
        Job(experiment, settings, seed, folder / f"cell{k:03d}_seed{seed}", place, makers, commit)
        for k, settings in enumerate(experiment.grid(profile))
        for seed in range(seeds)
    ]


def run_experiment(
    experiment: Experiment,
    profile: str = "quick",
    seeds: int = 3,
    device: torch.device | str = "auto",
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
    finished one is kept, and used by runs of the same code and versions. When all are finished the
    record is written and their folder is removed, unless it holds cells of more seeds.

    Args:
        experiment: what to run.
        profile: "quick", "laptop" or "full".
        seeds: how many, 0, 1, ….
        device: "auto" (a GPU if PyTorch finds one), "cpu", "cuda", ….
        executor: where cells run side by side, any ``concurrent.futures.Executor`` (of processes,
            of Dask, or what ``join_cluster`` gives); by default they run here, one by one.
        runs: the folder of unfinished work.
        results: the folder of records.
        threads: of PyTorch in each cell; by default as many as it has.
        every: seconds between two checkpoints.
        progress: whether to show bars.

    Returns:
        The path of the record.

    Raises:
        RunError: if a file cannot be written or read, or belongs to other settings, code or
            versions; if another run holds the folder; if there is a record of more seeds.
        TypeError: if the experiment or the seeds are of another type.
        ValueError: if there are no seeds, no such profile, or no such device.
    """
    jobs = list_jobs(experiment, profile, seeds, device, runs, executor)
    if threads is not None:
        check_integer(threads, "threads")
    bars = progress and executor is None  # those of several processes would overwrite one another
    for k, job in enumerate(jobs):
        name = f"cell {k + 1} of {len(jobs)}" if bars else ""
        jobs[k] = dataclasses.replace(job, threads=threads, every=every, progress=name)
    check_writable(Path(results), "--results")
    check_writable(Path(runs), "--runs")
    check_seeds(record_path(results, experiment.name, profile), seeds)
    with hold(jobs[0].stem.parent):
        found = _find_results(jobs, executor, progress)
        path = write_record(_make_record(jobs, found, profile, seeds), Path(results))
        _remove(jobs)
    return path


def check_seeds(path: Path, seeds: int) -> None:
    """Require that the record which is to be replaced has no more seeds than these."""
    record = read_record(path)
    if record and len(record.seeds) > seeds:
        raise RunError(
            f"{path} holds {len(record.seeds)} seeds, and would be replaced by one of {seeds}: "
            "move or delete it first, or choose another folder with --results."
        )


def _find_results(
    jobs: list[Job], executor: Executor | None, progress: bool
) -> list[dict[str, Any]]:
    """Load what is finished, run the rest, and return all in the order of the jobs."""
    found = {job.stem: result for job in jobs if (result := load_result(job))}
    name = jobs[0].experiment.name
    quiet = not progress or sys.stderr is None  # under pythonw
    with tqdm(total=len(jobs), initial=len(found), desc=name, unit="cell", disable=quiet) as bar:
        for job, result in _run_all([job for job in jobs if job.stem not in found], executor):
            if not job.finished.exists():  # it was made where this disk is not
                save_json(job.finished, result)
            found[job.stem] = result
            bar.update()
    return [found[job.stem] for job in jobs]


def _make_record(jobs: list[Job], found: list[dict[str, Any]], profile: str, seeds: int) -> Record:
    experiment = jobs[0].experiment
    cells = [
        _gather_seeds(jobs[k].settings, found[k : k + seeds]) for k in range(0, len(jobs), seeds)
    ]
    about = {
        "item": experiment.item,
        "command": command_text(experiment.name, profile, seeds),
        "device": _drop_repeats([result["device"] for result in found]),
        "versions": list_versions(),
        "commit": ", ".join(_drop_repeats([result["commit"] for result in found])),
        "date": datetime.date.today().isoformat(),
        "seconds": round(sum(result["seconds"] for result in found), 1),
    }
    shown = [result["picture"] for result in found[::seeds] if "picture" in result]
    pictures = [torch.tensor(one, dtype=torch.uint8) for one in shown]
    picture = join_pictures(pictures) if pictures else None
    return Record(experiment.name, profile, list(range(seeds)), tuple(cells), about, picture)


def _remove(jobs: list[Job]) -> None:
    """Remove the folder, unless it holds cells of a run with more seeds, which needs all of it."""
    folder, mine = jobs[0].stem.parent, {job.stem.name for job in jobs}
    if all(path.name.split(".")[0] in mine for path in folder.glob("cell*")):
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps the lock, which is in use


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


def _drop_repeats(found: list[Any]) -> list[Any]:
    return [one for k, one in enumerate(found) if one not in found[:k]]


def progress_text(jobs: list[Job]) -> str:
    """Say what of these jobs is on the disk: the finished cells, and how far the others are."""
    finished = sum(job.finished.exists() for job in jobs)
    said = [f"{finished} of {len(jobs)} cells finished"]
    for job in jobs:
        state = load_state(job.begun, CHECKPOINT)
        if state and state["loops"] and not job.finished.exists():
            loop = state["loops"][-1]
            said.append(f"{job.stem.name} up to step {loop['step']} of {loop['total']}")
    return ", ".join(said)
