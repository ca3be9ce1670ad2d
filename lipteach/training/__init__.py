"""Floor 3: data, and what trains a network."""

from lipteach.training.data import mnist_sample

__all__ = ["mnist_sample"]
