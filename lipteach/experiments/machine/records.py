"""The record of a finished experiment: what was measured, and where, when and with what.

A record is what its run wrote: a checksum over all of it tells a change of any number, seed or word
when it is read. That guards against accidents and careless edits, not against forgery.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipteach.experiments.machine.files import RunError, damaged, load_json, signed, write_whole
from lipteach.experiments.machine.pictures import (
    digest,
    picture_path,
    read_picture,
    remove_others,
)

REPOSITORY = Path(__file__).resolve().parents[3]
ROOT = REPOSITORY if (REPOSITORY / "notebooks").is_dir() else Path.cwd()
RESULTS = ROOT / "notebooks" / "results"
POINTS = 200  # the most points of a recorded curve
CELL = {
    "settings": dict,
    "metrics": {str: {"values": [int | float | list]}},
    "curves": {str: [[[int | float]]]},
}
RECORD = {"experiment": str, "profile": str, "seeds": [int], "cells": [CELL]}


def data_folder() -> Path:
    """Return where large data lie: ``$LIPTEACH_DATA``, or ``data``."""
    return Path(os.environ.get("LIPTEACH_DATA", ROOT / "data"))


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
        return reduce_over_seeds(self._values(name), statistics.fmean)

    def spread(self, name: str) -> Any:
        """Return the largest minus the smallest over the seeds; entry by entry if it is a list."""
        return reduce_over_seeds(self._values(name), lambda values: max(values) - min(values))

    def _values(self, name: str) -> list[Any]:
        """Find the values of a metric, all of them finite numbers."""
        cell = ", ".join(f"{key} = {value!r}" for key, value in self.settings.items())
        values = self.metrics.get(name)
        if not values:
            raise LookupError(f"The cell {cell} has no {name}; it has {', '.join(self.metrics)}.")
        check_finite(f"{name} of the cell {cell}", values)
        return values


@dataclass(frozen=True)
class Record:
    """A finished run of an experiment.

    Attributes:
        experiment: its name.
        profile: the profile that was run.
        seeds: the seeds of every cell.
        cells: one for each settings of the grid, in its order.
        about: what else the file says: the command, devices, versions, commit, date, seconds.
        picture: the PNG file beside it, or None; the record holds its SHA-256.
    """

    experiment: str
    profile: str
    seeds: list[int]
    cells: tuple[CellRecord, ...]
    about: dict[str, Any]
    picture: bytes | None = None

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


def check_finite(name: str, value: Any) -> None:
    """Require a finite number, or lists of them: a record holds nothing else."""
    if isinstance(value, list | tuple):
        for entry in value:
            check_finite(name, entry)
    elif not isinstance(value, int | float) or not math.isfinite(value):
        raise RunError(f"{name} must be a finite number; got {value!r} ({type(value).__name__}).")


def record_path(folder: Path, name: str, profile: str) -> Path:
    """Return where the record of a profile stands in a folder."""
    return Path(folder) / f"{name}_{profile}.json"


def command_text(name: str, profile: str, seeds: int = 3) -> str:
    """Return the command that makes a record."""
    return f"python -m lipteach.experiments run {name} --profile {profile} --seeds {seeds}"


def read_record(path: Path) -> Record | None:
    """Read what `write_record` wrote, or None if there is no such file.

    Raises:
        RunError: if it is damaged or edited, stands under another record's name, or its picture is
            not beside it.
    """
    found = load_json(path, RECORD)
    if found is None:
        return None
    cells = tuple(_read_cell(cell) for cell in found.pop("cells"))
    name, profile, seeds = (found.pop(key) for key in ("experiment", "profile", "seeds"))
    if path.name != record_path(path.parent, name, profile).name:
        raise damaged(path, f"it is the record of {name}, {profile}")
    values = [
        one for cell in cells for kept in (cell.metrics, cell.curves) for one in kept.values()
    ]
    if any(len(one) != len(seeds) for one in values):
        raise damaged(path, "it has more or fewer values than seeds")
    wanted = found.pop("picture", None)
    picture = read_picture(path, wanted) if wanted else None
    return Record(name, profile, seeds, cells, about=found, picture=picture)


def _read_cell(cell: dict[str, Any]) -> CellRecord:
    metrics = {name: metric["values"] for name, metric in cell["metrics"].items()}
    curves = {n: [(s, v) for s, v in pairs] for n, pairs in cell["curves"].items()}
    return CellRecord(cell["settings"], metrics, curves)


def write_record(record: Record, folder: Path) -> Path:
    """Write a record as JSON, with the mean and spread of each metric, and return its path.

    Its picture is written first, beside it.
    """
    cells = []
    for cell in record.cells:
        metrics = {
            name: {"mean": cell.mean(name), "spread": cell.spread(name), "values": values}
            for name, values in cell.metrics.items()
        }
        curves = {name: [thin(*pair) for pair in pairs] for name, pairs in cell.curves.items()}
        cells.append({"settings": cell.settings, "metrics": metrics, "curves": curves})
    head: dict[str, Any] = {
        "experiment": record.experiment,
        "profile": record.profile,
        "seeds": record.seeds,
    }
    path = record_path(folder, record.experiment, record.profile)
    picture = None
    if record.picture is not None:
        head["picture"] = digest(record.picture)
        picture = picture_path(path, head["picture"])
        write_whole(picture, record.picture)
    text = json.dumps(signed({**head, **record.about, "cells": cells}), indent=1)
    lists_of_numbers = r"\[\s+(-?\d[-+\d.e,\s]*?)\s+\]"
    text = re.sub(lists_of_numbers, lambda m: f"[{' '.join(m[1].split())}]", text)
    write_whole(path, (text + "\n").encode())
    remove_others(path, picture)
    return path


def thin(steps: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Keep at most ``POINTS`` points of a curve, the last among them, to six digits."""
    stride = max(1, -(-len(steps) // POINTS))
    kept = range(len(steps) - 1, -1, -stride)[::-1]
    return [steps[k] for k in kept], [float(f"{values[k]:.6g}") for k in kept]
