"""The exercises of each lesson: every module here holds a tuple ``EXERCISES``."""
