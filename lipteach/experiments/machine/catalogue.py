"""What an experiment is, and the list of those there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.records import Record

PROFILES = ("quick", "laptop", "full")
NAMES = ("fig14_spectral", "fig16_jacobian", "h1_transport")

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
        if profile not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
        return self.cells(profile)


def experiment(name: str) -> Experiment:
    """Return the experiment of that name."""
    if name not in NAMES:
        raise ValueError(f"There is no experiment {name!r}; there are {', '.join(NAMES)}.")
    found: Experiment = import_module(f"lipteach.experiments.{name}").EXPERIMENT
    return found
