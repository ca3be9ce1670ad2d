"""Exercises of lesson 14: none yet."""

from lipteach.classroom.checks import Exercise

EXERCISES: tuple[Exercise, ...] = ()
