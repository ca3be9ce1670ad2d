"""Floor 3: data, and what trains a network."""

from lipteach.training.arrangement import spread_scale
from lipteach.training.attack_errors import measure_attacks
from lipteach.training.cifar import load_cifar10
from lipteach.training.classification import (
    Epochs,
    draw_balanced,
    load_digits,
    measure_classifier,
    measure_margins,
)
from lipteach.training.distributions import Cones, absolute_value, cone, three_cones
from lipteach.training.fitting import clip_singular_values_, fit, minibatches
from lipteach.training.input_gradients import input_gradients, measure_gradients
from lipteach.training.mnist import load_mnist, mnist_sample
from lipteach.training.networks import initialize_, orthonormal_network
from lipteach.training.schemes import SCHEMES, Scheme, SchemeRow, make_scheme
from lipteach.training.wide_resnet import wide_resnet

__all__ = [
    "SCHEMES",
    "Cones",
    "Epochs",
    "Scheme",
    "SchemeRow",
    "absolute_value",
    "clip_singular_values_",
    "cone",
    "draw_balanced",
    "fit",
    "initialize_",
    "input_gradients",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "make_scheme",
    "measure_attacks",
    "measure_classifier",
    "measure_gradients",
    "measure_margins",
    "minibatches",
    "mnist_sample",
    "orthonormal_network",
    "spread_scale",
    "three_cones",
    "wide_resnet",
]
