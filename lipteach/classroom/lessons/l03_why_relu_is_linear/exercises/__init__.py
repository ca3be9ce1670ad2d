"""The exercises of lesson 03."""

from lipteach.classroom.lessons.l03_why_relu_is_linear.exercises import gaps, norms, repairs

EXERCISES = (*gaps.EXERCISES, *norms.EXERCISES, *repairs.EXERCISES)
