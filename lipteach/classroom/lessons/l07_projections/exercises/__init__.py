"""The exercises of lesson 07: the simplex, the L1 ball with and without weights, matrices."""

from __future__ import annotations

from lipteach.classroom.lessons.l07_projections.exercises import l1_ball, rows, simplex, weighted

EXERCISES = (*simplex.EXERCISES, *rows.EXERCISES, *l1_ball.EXERCISES, *weighted.EXERCISES)
