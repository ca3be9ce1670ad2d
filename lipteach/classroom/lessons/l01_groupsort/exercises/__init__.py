"""The exercises of lesson 01."""

from lipteach.classroom.lessons.l01_groupsort.exercises import networks, sorting, weights

EXERCISES = (*sorting.EXERCISES, *networks.EXERCISES, *weights.EXERCISES)
