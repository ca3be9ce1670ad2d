"""The exercises of lesson 02."""

from lipteach.classroom.lessons.l02_same_power.exercises import biases, networks

EXERCISES = (*biases.EXERCISES, *networks.EXERCISES)
