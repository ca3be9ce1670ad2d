"""One folder a lesson: ``exercises.py`` or a package, with its tuple ``EXERCISES``, and ``figures.py``."""
