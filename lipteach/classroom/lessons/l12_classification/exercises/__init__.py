"""The exercises of lesson 12: constants of classifiers, what keeps them, and what only seems to."""

from __future__ import annotations

from lipteach.classroom.lessons.l12_classification.exercises import (
    audit,
    biases,
    kernels,
    margins,
    repair,
    transfer,
)

EXERCISES = tuple(
    exercise
    for group in (biases, margins, kernels, transfer, repair, audit)
    for exercise in group.EXERCISES
)
