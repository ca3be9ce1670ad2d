"""Floor 3: data, and what trains a network."""

from lipteach.training.data import mnist_sample
from lipteach.training.fitting import clip_singular_values_, fit, minibatches
from lipteach.training.networks import orthonormal_network

__all__ = ["clip_singular_values_", "fit", "minibatches", "mnist_sample", "orthonormal_network"]
