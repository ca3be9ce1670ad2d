"""Floor 3: data, and what trains a network."""

from lipteach.training.distributions import Cones, absolute_value, cone, three_cones
from lipteach.training.fitting import clip_singular_values_, fit, minibatches
from lipteach.training.mnist import load_mnist, mnist_sample
from lipteach.training.networks import orthonormal_network

__all__ = [
    "Cones",
    "absolute_value",
    "clip_singular_values_",
    "cone",
    "fit",
    "load_mnist",
    "minibatches",
    "mnist_sample",
    "orthonormal_network",
    "three_cones",
]
