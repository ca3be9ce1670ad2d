"""What an experiment is, the list of those there are, and their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.records import (
    RESULTS,
    Record,
    command_text,
    read_record,
    record_path,
)

PROFILES = ("quick", "laptop", "full")
NAMES = (
    *("fig14_spectral", "fig15_wgan_gp", "fig16_jacobian", "fig17_wgan"),
    *("h1_transport", "h2_distance"),
    *("table4_mnist", "table5_small_data", "table6_cifar", "table7_robustness"),
)

Metrics = Mapping[str, float | list[float]]


@dataclass(frozen=True)
class Experiment:
    """One table or figure of the paper, as a grid of trainings.

    Attributes:
        name: the name of its file, ``"fig14_spectral"``.
        item: the item of the appendix, as the map calls it.
        title: a few words.
        cells: the grid of a profile: "quick" (seconds to a minute), "laptop" (the paper's networks
            with as many steps as two CPU cores allow) or "full" (the paper's, or its own full
            size). A cell is a frozen dataclass of numbers, strings and tuples of them: all settings
            but the seed.
        train: one cell with one seed; returns its final metrics. All randomness comes from
            generators made of the seed, and its loop runs over ``run.steps``, which is given all
            that changes from step to step.
        compare: a text table of a record beside the paper's numbers.
    """

    name: str
    item: str
    title: str
    cells: Callable[[str], tuple[Any, ...]]
    train: Callable[[Any, int, Run], Metrics]
    compare: Callable[[Record], str]

    def grid(self, profile: str) -> tuple[Any, ...]:
        """Return the cells of a profile, which must be one of ``PROFILES``."""
        check_profile(profile)
        return self.cells(profile)


def check_profile(profile: str) -> None:
    """Require the name of a profile."""
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {profile!r}.")


def experiment(name: str) -> Experiment:
    """Return the experiment of that name."""
    if name not in NAMES:
        raise ValueError(f"There is no experiment {name!r}; there are {', '.join(NAMES)}.")
    found: Experiment = import_module(f"lipteach.experiments.{name}").EXPERIMENT
    return found


def load_record(name: str, profile: str, folder: Path = RESULTS) -> Record:
    """Read a record.

    Args:
        name: the experiment.
        profile: "quick", "laptop" or "full".
        folder: where the records stand.

    Returns:
        The record.

    Raises:
        ValueError: if there is no such profile.
        FileNotFoundError: if it has not been made; the sentence holds the command that makes it,
            or the names of the experiments if it is none of them.
        RunError: if the file is damaged, or not as the run wrote it.

    Example:
        >>> from lipteach.experiments import load_record
        >>> record = load_record("fig14_spectral", "laptop")
        >>> record.cell(n=2, method="orthonormal").mean("estimate") > 0.8
        True
    """
    check_profile(profile)
    path = record_path(folder, name, profile)
    record = read_record(path)
    if record is None:
        makes = f"this makes it: {command_text(name, profile)}"
        none = f"there is no experiment {name!r}; there are {', '.join(NAMES)}."
        raise FileNotFoundError(
            f"There is no record {path.name}; {makes if name in NAMES else none}"
        )
    return record
