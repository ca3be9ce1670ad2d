"""The command line: ``python -m lipteach.experiments list``, ``show``, ``run`` or ``compare``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path

import torch

from lipteach.experiments.machine.catalogue import NAMES, PROFILES, experiment
from lipteach.experiments.machine.files import RunError
from lipteach.experiments.machine.grid import (
    RUNS,
    list_jobs,
    progress_text,
    run_experiment,
    settings_text,
)
from lipteach.experiments.machine.records import RESULTS, load_record


def build_parser() -> argparse.ArgumentParser:
    """Build the commands and their options."""
    top = argparse.ArgumentParser(prog="python -m lipteach.experiments", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments, and which records there are")
    show = commands.add_parser("show", help="the grid of a profile")
    compare = commands.add_parser("compare", help="a record beside the paper")
    run = commands.add_parser("run", help="run experiments, or go on with them")
    run.add_argument("name", nargs="*", help="by default all")
    for one in (show, compare):
        one.add_argument("name")
    for one in (show, compare, run):
        one.add_argument("--profile", choices=PROFILES, default="quick" if one is run else None)
    for one in (compare, run):
        one.add_argument("--results", type=Path, default=RESULTS, help="the folder of records")
    run.add_argument("--seeds", type=int, default=3, help="how many (3)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    run.add_argument("--workers", type=_parse_count, default=1, help="cells side by side (1)")
    run.add_argument("--threads", type=_parse_count, help="of PyTorch in each cell")
    run.add_argument("--runs", type=Path, default=RUNS, help="the folder of unfinished work")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        {"list": _list, "show": _show, "run": _run, "compare": _compare}[options.command](options)
    except (RunError, ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _list(_options: argparse.Namespace) -> None:
    for name in NAMES:
        one = experiment(name)
        records = [p for p in PROFILES if (RESULTS / f"{name}_{p}.json").exists()]
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
    made = [p for p in PROFILES[::-1] if (options.results / f"{one.name}_{p}.json").exists()]
    profile = options.profile or (made or ["quick"])[0]
    record = load_record(one.name, profile, options.results)
    print(f"{one.title} ({one.item}), profile {profile}, {len(record.seeds)} seeds\n")
    print(one.compare(record))


def _run(options: argparse.Namespace) -> None:
    _check_device(options.device)
    threads = _choose_threads(options.threads, options.workers)
    for name in options.name or NAMES:
        one = experiment(name)
        jobs = list_jobs(one, options.profile, options.seeds, options.device, options.runs)
        print(f"{name}, {options.profile}: {progress_text(jobs)}.", flush=True)
        path = None
        try:
            with _make_executor(options.workers) as executor:
                path = run_experiment(
                    one, options.profile, options.seeds, options.device, executor,
                    runs=options.runs, results=options.results, threads=threads, progress=True,
                )  # fmt: skip
        except (KeyboardInterrupt, BrokenProcessPool) as error:
            if path:  # all is done: only the workers had not ended yet
                print(f"\nStopped. The record is finished: {path}.", file=sys.stderr)
                raise KeyboardInterrupt from None
            ended = "Stopped" if isinstance(error, KeyboardInterrupt) else "A worker was killed"
            folder = jobs[0].stem.parent
            print(f"\n{ended}. Kept in {folder}: {progress_text(jobs)}.", file=sys.stderr)
            print("The same command goes on from there.", file=sys.stderr)
            raise KeyboardInterrupt from None
        print(f"\n{one.compare(load_record(name, options.profile, options.results))}\n\n{path}")


def _make_executor(workers: int) -> Executor | nullcontext[None]:
    if workers < 2:
        return nullcontext()
    # "spawn" on every system: a forked child would inherit PyTorch's threads in an unknown state.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def _parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1; got {text}.")
    return int(text)


def _check_device(name: str) -> None:
    try:
        torch.empty(0, device="cpu" if name == "auto" else name)
    except (RuntimeError, AssertionError):  # no such name; no such device, or PyTorch without it
        raise ValueError(
            f"device must be auto, cpu or another that PyTorch can use here; got {name!r}."
        ) from None


def _choose_threads(asked: int | None, workers: int) -> int | None:
    if asked or workers < 2:
        return asked
    return max(1, (os.cpu_count() or 1) // workers)
