"""One folder a lesson: ``exercises.py``, with its tuple ``EXERCISES``, and ``figures.py``."""
