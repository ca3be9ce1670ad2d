"""The command line: ``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

from __future__ import annotations

import _thread
import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from lipteach.experiments.machine.catalogue import (
    NAMES,
    PROFILES,
    Experiment,
    experiment,
    load_record,
)
from lipteach.experiments.machine.cell import Job, settings_dict, settings_text
from lipteach.experiments.machine.estimate import estimate_hours
from lipteach.experiments.machine.files import RunError
from lipteach.experiments.machine.grid import RUNS, list_jobs, progress_text, run_experiment
from lipteach.experiments.machine.records import RESULTS, read_record, record_path
from lipteach.experiments.machine.scheduler import Cluster, join_cluster
from lipteach.experiments.machine.workers import make_workers


def build_parser() -> argparse.ArgumentParser:
    """Build the commands and their options."""
    top = argparse.ArgumentParser(prog="python -m lipteach.experiments", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments, and which records there are")
    show = commands.add_parser("show", help="the grid of a profile")
    compare = commands.add_parser("compare", help="a record beside the paper")
    run = commands.add_parser("run", help="run experiments, or go on with them")
    run.add_argument("name", nargs="*", help="by default all that have no record yet")
    for one in (show, compare):
        one.add_argument("name")
    for one in (show, compare, run):
        one.add_argument("--profile", choices=PROFILES, default="quick" if one is run else None)
    for one in (compare, run):
        one.add_argument("--results", type=Path, default=RESULTS, help="the folder of records")
    run.add_argument("--seeds", type=int, default=3, help="how many (3)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    side = run.add_mutually_exclusive_group()
    side.add_argument("--workers", type=_parse_count, default=1, help="cells side by side (1)")
    side.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that runs them")
    run.add_argument("--threads", type=_parse_count, help="of PyTorch in each cell")
    run.add_argument("--minutes", type=_parse_count, help="stop then, and go on another time")
    run.add_argument("--runs", type=Path, default=RUNS, help="the folder of unfinished work")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = build_parser().parse_args(arguments)
    call = {"list": _list, "show": _show, "run": _run, "compare": _compare}[options.command]
    try:
        with _stopping():
            call(options)
    except (RunError, TypeError, ValueError, LookupError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    return 0


@contextmanager
def _stopping() -> Iterator[None]:
    """Let SIGTERM, by which clusters end a job, be an interrupt like Ctrl-C."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)  # a second one, until the process has ended
        before.clear()
        raise KeyboardInterrupt(number)

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other is told of signals
        before |= {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _list(_options: argparse.Namespace) -> None:
    for name in NAMES:
        one = experiment(name)
        records = [p for p in PROFILES if record_path(RESULTS, name, p).exists()]
        print(f"{name:16} {one.item}: {one.title}; records: {', '.join(records) or 'none'}")


def _show(options: argparse.Namespace) -> None:
    one = experiment(options.name)
    print(f"{one.name}: {one.title} ({one.item})")
    for profile in [options.profile] if options.profile else PROFILES:
        grid = one.grid(profile)
        print(f"\n{profile}, {len(grid)} cells:")
        for settings in grid:
            print(f"  {settings_text(settings)}")


def _compare(options: argparse.Namespace) -> None:
    one = experiment(options.name)
    made = [p for p in PROFILES[::-1] if record_path(options.results, one.name, p).exists()]
    profile = options.profile or (made or ["quick"])[0]
    record = load_record(one.name, profile, options.results)
    print(f"{one.title} ({one.item}), profile {profile}, {len(record.seeds)} seeds\n")
    print(one.compare(record))


@contextmanager
def _limited(minutes: int | None) -> Iterator[None]:
    """Stop after so many minutes, as SIGTERM does."""
    timer = threading.Timer(60 * (minutes or 0), _end)
    timer.daemon = True
    if minutes:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end() -> None:
    if os.name == "nt":  # where os.kill would end the process at once
        _thread.interrupt_main(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _run(options: argparse.Namespace) -> None:
    """Run what is named; or else all that has no record yet, and of that what has its images."""
    lacking = []
    with _limited(options.minutes), join_cluster(options.scheduler) as cluster:
        for one in map(experiment, options.name or NAMES):
            if not options.name and _is_recorded(one, options):
                continue
            try:
                _run_one(one, options, cluster)
            except FileNotFoundError as error:
                if options.name:
                    raise
                print(f"{one.name}: {error}\n", file=sys.stderr)
                lacking.append(one.name)
    if lacking:
        raise RunError(f"Not run, for want of images: {', '.join(lacking)}.")


def _is_recorded(one: Experiment, options: argparse.Namespace) -> bool:
    """Whether a record has the settings of the code as it is, and the seeds that are asked for."""
    record = read_record(record_path(options.results, one.name, options.profile))
    if record is None or len(record.seeds) < options.seeds:
        return False
    if [c.settings for c in record.cells] != list(map(settings_dict, one.grid(options.profile))):
        return False
    print(f"{one.name}, {options.profile}: there is a record of it, which stands.", flush=True)
    return True


def _run_one(one: Experiment, options: argparse.Namespace, cluster: Cluster | None) -> None:
    threads = _choose_threads(options.threads, options.workers)
    grid = (one, options.profile, options.seeds, options.device)
    path, jobs = None, []
    try:
        jobs = list_jobs(*grid, options.runs, cluster)
        _announce(one, [replace(job, threads=threads) for job in jobs], options)
        with make_workers(options.workers) as workers:
            path = run_experiment(
                *grid, cluster or workers,
                runs=options.runs, results=options.results, threads=threads, progress=True,
            )  # fmt: skip
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        stop = error if isinstance(error, KeyboardInterrupt) else KeyboardInterrupt()
        ended = "Stopped" if stop is error else "A worker was killed"
        if path:  # all is done: only the workers had not ended yet
            said = f"The record is finished: {path}."
        elif jobs:
            said = f"Kept in {jobs[0].stem.parent}: {progress_text(jobs)}."
            said += "\nThe same command goes on from there."
        else:
            said = "Nothing had begun."
        print(f"\n{ended}. {said}", file=sys.stderr)
        raise stop from None
    folder = jobs[0].stem.parent
    print(f"\n{one.compare(load_record(one.name, options.profile, options.results))}\n\n{path}")
    if any(folder.glob("cell*")):
        print(f"{folder} holds cells of more seeds, and is kept for that run.")


def _announce(one: Experiment, jobs: list[Job], options: argparse.Namespace) -> None:
    print(f"{one.name}, {options.profile}: {progress_text(jobs)}.", flush=True)
    record = read_record(record_path(options.results, one.name, options.profile))
    if record:
        of = f"{len(record.seeds)} seeds, {record.about.get('date')}"
        print(f"There is a record of it ({of}), which this run replaces.", flush=True)
    if options.profile == "full" and not options.scheduler:
        hours = estimate_hours(jobs, options.workers)
        print(f"It will take about {hours:.2g} hours, as the first steps tell.", flush=True)


def _parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1; got {text}.")
    return int(text)


def _choose_threads(asked: int | None, workers: int) -> int | None:
    if asked or workers < 2:
        return asked
    return max(1, (os.cpu_count() or 1) // workers)
