"""Floor 2: exact networks, conversions, proofs, the linearity theorems and the lattice."""

from lipteach.theory import terms
from lipteach.theory.conversions import (
    abs_from_maxmin,
    full_sort_from_maxmin,
    maxmin_from_abs,
    maxmin_from_full_sort,
)
from lipteach.theory.exact_networks import (
    abs_network,
    crelu_network,
    leaky_relu_network,
    maximum_of_functionals,
    maxout_network,
    relu_network,
    w_network,
)
from lipteach.theory.frozen import frozen_linear, linear
from lipteach.theory.joining import maximum, minimum, pad_depth, stack
from lipteach.theory.lattice import approximate
from lipteach.theory.linearity import HypothesisError, collapse_affine, gradient_norms
from lipteach.theory.lipschitz_class import Size, in_lipschitz_class, network_size
from lipteach.theory.proof import Counterexample, Proof, Undecided, prove
from lipteach.theory.separation import affine_through, unit_affine_through
from lipteach.theory.theorem2 import singular_value_derivatives, theorem2_counterexample

__all__ = [
    "Counterexample",
    "HypothesisError",
    "Proof",
    "Size",
    "Undecided",
    "abs_from_maxmin",
    "abs_network",
    "affine_through",
    "approximate",
    "collapse_affine",
    "crelu_network",
    "frozen_linear",
    "full_sort_from_maxmin",
    "gradient_norms",
    "in_lipschitz_class",
    "leaky_relu_network",
    "linear",
    "maximum",
    "maximum_of_functionals",
    "maxmin_from_abs",
    "maxmin_from_full_sort",
    "maxout_network",
    "minimum",
    "network_size",
    "pad_depth",
    "prove",
    "relu_network",
    "singular_value_derivatives",
    "stack",
    "terms",
    "theorem2_counterexample",
    "unit_affine_through",
    "w_network",
]
