"""The exercises of lesson 06: power iteration, spectral normalization and what it loses."""

from __future__ import annotations

from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises import (
    certificates,
    estimates,
    lost_norm,
    norm_left,
    sharper,
)

EXERCISES = tuple(
    exercise
    for group in (estimates, norm_left, certificates, sharper, lost_norm)
    for exercise in group.EXERCISES
)
