"""The exercises of lesson 06: power iteration, spectral normalization and what it loses."""

from __future__ import annotations

from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises import (
    certificates,
    estimates,
    lost_norm,
    sharper,
)

EXERCISES = (
    *estimates.EXERCISES,
    *certificates.EXERCISES,
    *sharper.EXERCISES,
    *lost_norm.EXERCISES,
)
