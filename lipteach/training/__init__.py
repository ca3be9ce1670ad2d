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
from lipteach.training.critics import (
    CRITICS,
    CriticRow,
    clip_weights_,
    gradient_penalty,
    measure_critic,
    points_between,
)
from lipteach.training.distributions import Cones, absolute_value, cone, three_cones
from lipteach.training.fitting import clip_singular_values_, fit, minibatches
from lipteach.training.generators import draw_latent, make_critic_network, make_generator
from lipteach.training.image_sets import IMAGE_SETS, load_image_folder, load_image_set
from lipteach.training.input_gradients import input_gradients, measure_gradients
from lipteach.training.losses import multiclass_hinge_loss, orthogonality_penalty, tau_cross_entropy
from lipteach.training.mnist import load_mnist, mnist_sample
from lipteach.training.networks import initialize_, orthonormal_network
from lipteach.training.sample_scores import frechet_distance, score_samples, train_judge
from lipteach.training.schemes import SCHEMES, Scheme, SchemeRow, make_scheme
from lipteach.training.transport_losses import hkr_loss, hkr_multiclass_loss, kr_loss
from lipteach.training.wide_resnet import wide_resnet

__all__ = [
    "CRITICS",
    "IMAGE_SETS",
    "SCHEMES",
    "Cones",
    "CriticRow",
    "Epochs",
    "Scheme",
    "SchemeRow",
    "absolute_value",
    "clip_singular_values_",
    "clip_weights_",
    "cone",
    "draw_balanced",
    "draw_latent",
    "fit",
    "frechet_distance",
    "gradient_penalty",
    "hkr_loss",
    "hkr_multiclass_loss",
    "initialize_",
    "input_gradients",
    "kr_loss",
    "load_cifar10",
    "load_digits",
    "load_image_folder",
    "load_image_set",
    "load_mnist",
    "make_critic_network",
    "make_generator",
    "make_scheme",
    "measure_attacks",
    "measure_classifier",
    "measure_critic",
    "measure_gradients",
    "measure_margins",
    "minibatches",
    "mnist_sample",
    "multiclass_hinge_loss",
    "orthogonality_penalty",
    "orthonormal_network",
    "points_between",
    "score_samples",
    "spread_scale",
    "tau_cross_entropy",
    "three_cones",
    "train_judge",
    "wide_resnet",
]
