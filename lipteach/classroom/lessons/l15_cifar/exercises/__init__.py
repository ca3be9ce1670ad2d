"""The exercises of lesson 15: what sums and normalizations do to a Lipschitz constant."""

from __future__ import annotations

from lipteach.classroom.lessons.l15_cifar.exercises import blocks, companion, factors

EXERCISES = tuple(
    exercise for group in (blocks, factors, companion) for exercise in group.EXERCISES
)
