"""Floor 4: one file for each experiment of the paper, and the machine that runs them all.

The machine runs a grid of independent cells (settings and a seed), goes on after a kill, and writes
a record; ``python -m lipteach.experiments list`` shows what there is.
"""

from lipteach.experiments.experiment import NAMES, PROFILES, Experiment, experiment
from lipteach.experiments.record import CellRecord, Record, load_record
from lipteach.experiments.run import Run
from lipteach.experiments.runner import run_experiment
from lipteach.experiments.saving import RunError

__all__ = [
    "NAMES",
    "PROFILES",
    "CellRecord",
    "Experiment",
    "Record",
    "Run",
    "RunError",
    "experiment",
    "load_record",
    "run_experiment",
]
