"""The exercises of lesson 14: how much a critic can claim, and who would notice."""

from __future__ import annotations

from lipteach.classroom.lessons.l14_wgan.exercises import (
    between,
    bounds,
    claims,
    penalty,
    repair,
    unseen,
)

EXERCISES = tuple(
    exercise
    for group in (claims, bounds, between, penalty, unseen, repair)
    for exercise in group.EXERCISES
)
