"""The record of a finished experiment: what was measured, and where, when and with what."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipteach.experiments.machine.files import RunError, load_json, write_whole

REPOSITORY = Path(__file__).resolve().parents[3]
ROOT = REPOSITORY if (REPOSITORY / "notebooks").is_dir() else Path.cwd()
RESULTS = ROOT / "notebooks" / "results"
POINTS = 200  # the most points of a recorded curve


@dataclass(frozen=True)
class CellRecord:
    """What one cell of the grid gave, over its seeds.

    Attributes:
        settings: the cell's settings by name.
        metrics: for each name the values, one for each seed: a number, or a list of numbers.
        curves: for each name the curves, one for each seed: a pair (steps, values).
    """

    settings: dict[str, Any]
    metrics: dict[str, list[Any]]
    curves: dict[str, list[tuple[list[int], list[float]]]]

    def mean(self, name: str) -> Any:
        """Return the mean over the seeds; entry by entry if the metric is a list."""
        return reduce_over_seeds(self.metrics[name], statistics.fmean)

    def spread(self, name: str) -> Any:
        """Return the largest minus the smallest over the seeds; entry by entry if it is a list."""
        return reduce_over_seeds(self.metrics[name], lambda values: max(values) - min(values))


@dataclass(frozen=True)
class Record:
    """A finished run of an experiment.

    Attributes:
        experiment: its name.
        profile: the profile that was run.
        seeds: the seeds of every cell.
        cells: one for each settings of the grid, in its order.
        about: what else the file says: the command, devices, versions, commit, date, seconds.
    """

    experiment: str
    profile: str
    seeds: list[int]
    cells: tuple[CellRecord, ...]
    about: dict[str, Any]

    def cell(self, **settings: Any) -> CellRecord:
        """Return the one cell with these settings.

        Raises:
            LookupError: if there is none, or more than one.
        """
        wanted = json.loads(json.dumps(settings))
        found = [c for c in self.cells if {**c.settings, **wanted} == c.settings]
        if len(found) != 1:
            asked = ", ".join(f"{key} = {value!r}" for key, value in settings.items())
            raise LookupError(
                f"The settings must fit one cell of {self.experiment}; "
                f"{asked or 'no settings'}: {len(found)} cells."
            )
        return found[0]


def reduce_over_seeds(values: list[Any], reduce: Callable[[Sequence[float]], float]) -> Any:
    """Reduce numbers to one, or lists of one length to a list."""
    if isinstance(values[0], list):
        return [reduce(entries) for entries in zip(*values, strict=True)]
    return reduce(values)


def command_text(name: str, profile: str, seeds: int = 3) -> str:
    """Return the command that makes a record."""
    return f"python -m lipteach.experiments run {name} --profile {profile} --seeds {seeds}"


def load_record(name: str, profile: str, folder: Path = RESULTS) -> Record:
    """Read a record.

    Args:
        name: the experiment.
        profile: "quick", "laptop" or "full".
        folder: where the records stand.

    Returns:
        The record.

    Raises:
        FileNotFoundError: if it has not been made; the sentence holds the command that makes it.
        RunError: if the file is damaged.

    Example:
        >>> from lipteach.experiments import load_record
        >>> record = load_record("fig14_spectral", "laptop")
        >>> record.cell(n=2, method="orthonormal").mean("estimate") > 0.8
        True
    """
    path = Path(folder) / f"{name}_{profile}.json"
    found = load_json(path)
    if found is None:
        text = f"There is no record {path.name}; this makes it: {command_text(name, profile)}"
        raise FileNotFoundError(text)
    try:
        cells = tuple(_read_cell(cell) for cell in found.pop("cells"))
        name, profile, seeds = (found.pop(key) for key in ("experiment", "profile", "seeds"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is no record: it lacks {error}.") from error
    return Record(name, profile, seeds, cells, about=found)


def _read_cell(cell: dict[str, Any]) -> CellRecord:
    metrics = {name: metric["values"] for name, metric in cell["metrics"].items()}
    curves = {n: [(s, v) for s, v in pairs] for n, pairs in cell["curves"].items()}
    return CellRecord(cell["settings"], metrics, curves)


def write_record(record: Record, folder: Path) -> Path:
    """Write a record as JSON, with the mean and spread of each metric, and return its path."""
    cells = []
    for cell in record.cells:
        metrics = {
            name: {"mean": cell.mean(name), "spread": cell.spread(name), "values": values}
            for name, values in cell.metrics.items()
        }
        curves = {name: [thin(*pair) for pair in pairs] for name, pairs in cell.curves.items()}
        cells.append({"settings": cell.settings, "metrics": metrics, "curves": curves})
    head = {"experiment": record.experiment, "profile": record.profile, "seeds": record.seeds}
    text = json.dumps({**head, **record.about, "cells": cells}, indent=1, allow_nan=False)
    lists_of_numbers = r"\[\s+(-?\d[-+\d.e,\s]*?)\s+\]"
    text = re.sub(lists_of_numbers, lambda m: f"[{' '.join(m[1].split())}]", text)
    path = Path(folder) / f"{record.experiment}_{record.profile}.json"
    write_whole(path, (text + "\n").encode())
    return path


def thin(steps: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Keep at most ``POINTS`` points of a curve, the last among them, to six digits."""
    stride = max(1, -(-len(steps) // POINTS))
    kept = range(len(steps) - 1, -1, -stride)[::-1]
    return [steps[k] for k in kept], [float(f"{values[k]:.6g}") for k in kept]
