"""Lessons as a course: released, graded and reported with nbgrader (the extra ``course``)."""

from lipteach.classroom.course.gate import check_release
from lipteach.classroom.course.grading import grade
from lipteach.classroom.course.releasing import release

__all__ = ["check_release", "grade", "release"]
