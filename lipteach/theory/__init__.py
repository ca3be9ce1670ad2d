"""Floor 2: exact networks, conversions between activations, proofs and the linearity theorems."""

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
    maxout_network,
    relu_network,
    w_network,
)
from lipteach.theory.frozen import linear
from lipteach.theory.linearity import HypothesisError, collapse_affine, gradient_norms
from lipteach.theory.proof import Counterexample, Proof, Undecided, prove
from lipteach.theory.theorem2 import singular_value_derivatives, theorem2_counterexample

__all__ = [
    "Counterexample",
    "HypothesisError",
    "Proof",
    "Undecided",
    "abs_from_maxmin",
    "abs_network",
    "collapse_affine",
    "crelu_network",
    "full_sort_from_maxmin",
    "gradient_norms",
    "leaky_relu_network",
    "linear",
    "maxmin_from_abs",
    "maxmin_from_full_sort",
    "maxout_network",
    "prove",
    "relu_network",
    "singular_value_derivatives",
    "terms",
    "theorem2_counterexample",
    "w_network",
]
