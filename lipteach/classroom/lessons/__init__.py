"""One folder a lesson: ``exercises`` (a module or package) has ``EXERCISES``; ``figures``."""
