"""Floor 4: one file for each experiment of the paper, and the machine that runs them all.

The machine trains a grid of independent cells (settings and a seed), goes on after a kill, and
writes a record; ``python -m lipteach.experiments list`` shows what there is.
"""

from lipteach.experiments.machine.catalogue import (
    NAMES,
    PROFILES,
    Experiment,
    experiment,
    load_record,
)
from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.files import RunError
from lipteach.experiments.machine.grid import run_experiment
from lipteach.experiments.machine.records import CellRecord, Record
from lipteach.experiments.machine.selection import Selected, select_and_test

__all__ = [
    "NAMES",
    "PROFILES",
    "CellRecord",
    "Experiment",
    "Record",
    "Run",
    "RunError",
    "Selected",
    "experiment",
    "load_record",
    "run_experiment",
    "select_and_test",
]
