"""Cells on other machines: ``run --scheduler ADDRESS`` hands them to a running Dask cluster.

What a cell gave comes back over the network and is kept here. Its checkpoints stay with the worker,
beside its scratch folder (``--local-directory``): a cell whose worker died goes on from there in
another worker of that disk, and begins anew elsewhere. Its key says what is trained by which code,
so that Dask trains it once, however many runs ask for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lipteach.experiments.machine.catalogue import Experiment
from lipteach.experiments.machine.cell import Job
from lipteach.experiments.machine.checkpoints import Run, find_device
from lipteach.experiments.machine.files import RunError
from lipteach.experiments.machine.lock import InUseError, hold
from lipteach.experiments.machine.provenance import PACKAGE, describe_makers

ADDRESS = r"((tcp|tls|wss?)://)?[^/\s]+:\d+"
WAIT = 5.0  # seconds for a scheduler to answer, and to find a worker
REFUSALS = (RunError, TypeError, ValueError, LookupError, FileNotFoundError)


@contextmanager
def join_cluster(address: str | None) -> Iterator[Cluster | None]:
    """Connect with a scheduler, and leave it at the end: what is not finished then is cancelled.

    Raises:
        RunError: if Dask is not installed, no scheduler answers, or it has no workers.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise RunError(
            "--scheduler needs Dask, here and on each machine: "
            'pip install -e ".[experiments,cluster]", in a checkout.'
        ) from error
    if not re.fullmatch(ADDRESS, address):  # Dask takes "" for a cluster of its own
        raise RunError(f"--scheduler needs an address like tcp://10.0.0.1:8786; got {address!r}.")
    with silence_dask():
        find_scheduler(address)
        with Client(address, timeout=WAIT, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            try:
                client.wait_for_workers(1, timeout=WAIT)
            except TimeoutError as error:
                raise RunError(
                    f"The scheduler at {address} has no workers: "
                    f"start some with `dask worker {address} --nworkers 2 --nthreads 1`."
                ) from error
            yield Cluster(client, address)


@contextmanager
def silence_dask() -> Iterator[None]:
    """Keep Dask from logging what we say in a sentence, for as long as we use it."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def find_scheduler(address: str) -> None:
    """Require that a scheduler answers; a client would wait forever for what is none."""
    from distributed import Security, rpc

    async def ask() -> str:
        keys = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
        async with rpc(address, connection_args=keys) as there:  # type: ignore[no-untyped-call]
            return str((await there.identity())["type"])

    try:
        found = asyncio.run(asyncio.wait_for(ask(), WAIT))
    except Exception:  # what Dask makes of other servers' answers, too
        found = ""
    if found != "Scheduler":
        raise RunError(
            f"No Dask scheduler answers at {address}: start one there with `dask scheduler`, and "
            "give the address that it prints, like tcp://10.0.0.1:8786."
        )


class Cluster(Executor):
    """Runs cells in the workers of a Dask client; what it gives are futures of this process."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._there: list[Any] = []  # Dask forgets a task to which nobody refers

    def find_device(self, experiment: Experiment, device: torch.device | str) -> str:
        """Ask every worker whether it fits this run, and return the device that all will use.

        Raises:
            RunError: if one does not; the sentence says which, and why.
        """
        try:  # what is handed on is read by the scheduler too
            self._client.run_on_scheduler(callable, experiment.train)
        except Exception as error:
            raise RunError(
                f"The scheduler at {self._address} cannot run this lipteach ({error}): "
                "start it from the same environment as the workers."
            ) from error
        asked = (experiment.train, describe_makers(experiment.train), device)
        answers = self._client.run(check_worker, *asked, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, REFUSALS):
                raise RunError(f"The worker at {worker} cannot be used: {answer}")
            if isinstance(answer, Exception):  # it has no lipteach, or another in which this lacks
                raise RunError(f"The worker at {worker} cannot run this lipteach ({answer}).")
        devices = sorted(set(answers.values()))
        if len(devices) != 1:
            found = ", ".join(devices) or "none"
            raise RunError(f"The workers have several devices: {found}; name one with --device.")
        return str(devices[0])

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        """Hand `run_cell` and its job to the cluster; Dask tries it again where a worker dies."""
        (job,) = arguments
        here: Future[Any] = Future()
        there = self._client.submit(run_there, function, job, key=name_task(job))
        self._there.append(there)
        there.add_done_callback(lambda done: self._deliver(job, done, here))
        return here

    def _deliver(self, job: Job, there: Any, here: Future[Any]) -> None:
        if not here.set_running_or_notify_cancel():
            return
        if there.status == "finished":
            here.set_result(there.result())
            return
        error = there.exception() if there.status == "error" else None
        if error is None:
            said = f"The scheduler at {self._address} was lost: start it, and the same command"
            error = RunError(f"{said} goes on from the cells that are finished.")
        elif type(error).__name__ == "KilledWorker":
            said = f"{job.stem.name}: every worker that began it died ({error.allowed_failures + 1}"
            error = RunError(f"{said} did), of too little memory perhaps; finished cells are kept.")
        here.set_exception(error)


class WatchedRun(Run):
    """A training in a worker, which ends soon after nobody waits for it any more."""

    def steps(self, total: int, **state: Any) -> Iterator[int]:
        """Yield the steps, as long as the task is wanted."""
        from distributed import Reschedule, get_worker

        worker = get_worker()
        key = worker.get_current_task()
        for step in super().steps(total, **state):
            task = worker.state.tasks.get(key)
            at_work = worker.status.name in ("running", "paused")  # not when it is closing
            if task is None or task.state == "cancelled" or not at_work:
                raise Reschedule  # not an error: it may be wanted again by now
            yield step


def name_task(job: Job) -> str:
    """Name a cell by what is trained, with which seed, and by which code."""
    text = json.dumps(job.identity(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{job.experiment.name}-seed{job.seed}-{digest}"


def check_worker(
    train: Callable[..., Any],
    makers: dict[str, str],
    device: torch.device | str,
    dask_worker: Any,
) -> str:
    """Require, in a worker, that cells come out as they would at home; return its device."""
    import psutil  # which Dask brings

    check_alone(dask_worker)
    mine = describe_makers(train)
    if others := [name for name in {**makers, **mine} if mine.get(name) != makers.get(name)]:
        there = ", ".join(f"{name} = {mine.get(name)!r}" for name in others)
        here = ", ".join(f"{name} = {makers.get(name)!r}" for name in others)
        raise RunError(
            f"it has other code or versions ({there}; here {here}): give it the same, and start it "
            "again."
        )
    began = psutil.Process(os.getpid()).create_time()
    if changed := [path for path in PACKAGE.rglob("*.py") if path.stat().st_mtime > began]:
        raise RunError(
            f"its {changed[0].name} was changed after it had begun, or the clocks differ: "
            "start it again."
        )
    return str(find_device(device))


def check_alone(worker: Any) -> None:
    """Require that a worker runs one cell at a time."""
    if (count := worker.state.nthreads) != 1:
        raise RunError(
            f"it runs {count} cells in one process, where they share random numbers: "
            f"start it with --nworkers {count} --nthreads 1."
        )


def run_there(function: Callable[..., dict[str, Any]], job: Job) -> dict[str, Any]:
    """Run a cell in a worker, whose checkpoint stands in the worker's own place."""
    from distributed import Reschedule, get_worker

    worker, threads = get_worker(), torch.get_num_threads()
    folder = Path(worker.local_directory).parent / "lipteach" / name_task(job)
    try:
        check_alone(worker)  # it may have come after the others were asked
        with hold(folder):
            result = function(dataclasses.replace(job, stem=folder / job.stem.name), WatchedRun)
            shutil.rmtree(folder, ignore_errors=True)
        return result
    except InUseError:
        time.sleep(1)  # its predecessor, which Dask gave up, has not ended yet
        raise Reschedule from None
    except REFUSALS as error:
        raise RunError(f"The worker at {worker.address}: {error}") from error
    finally:
        torch.set_num_threads(threads)  # the next run may ask for none
