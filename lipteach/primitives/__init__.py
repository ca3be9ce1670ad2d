"""Floor 1: pure functions on tensors, and the modules that wrap them.

Each file states the mathematics plainly; what only makes it fast lies in ``_fast``.
"""

from lipteach.primitives.activations import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    Maxout,
    full_sort,
    group_sort,
    maxmin,
)
from lipteach.primitives.bjorck_apply import bjorck_apply
from lipteach.primitives.bounded_batch_norm import BoundedBatchNorm
from lipteach.primitives.centering import Centering
from lipteach.primitives.householder import Householder, householder
from lipteach.primitives.jacobian import (
    jacobian_power_iteration,
    jacobian_singular_values,
    jacobian_spectral_norm,
)
from lipteach.primitives.modules import ChunkedSequential, Scale, Selection
from lipteach.primitives.norms import (
    is_orthonormal,
    mixed_norm,
    norm_upper_bounds,
    operator_norm,
    power_iteration,
)
from lipteach.primitives.numerical_warnings import ConvergenceWarning, RankWarning
from lipteach.primitives.orthonormal import bjorck, bjorck_trajectory, parseval_step
from lipteach.primitives.polar import polar
from lipteach.primitives.projections import (
    in_l1_ball,
    project_l1_ball,
    project_linf_norm,
    project_simplex,
)
from lipteach.primitives.residual import ConvexCombination, Residual
from lipteach.primitives.spectral_jacobian import spectral_jacobian_penalty
from lipteach.primitives.wasserstein import exact_wasserstein, transport_plan, wasserstein_dual

__all__ = [
    "Abs",
    "BoundedBatchNorm",
    "Centering",
    "ChunkedSequential",
    "ConvergenceWarning",
    "ConvexCombination",
    "FullSort",
    "GroupSort",
    "Householder",
    "MaxMin",
    "Maxout",
    "RankWarning",
    "Residual",
    "Scale",
    "Selection",
    "bjorck",
    "bjorck_apply",
    "bjorck_trajectory",
    "exact_wasserstein",
    "full_sort",
    "group_sort",
    "householder",
    "in_l1_ball",
    "is_orthonormal",
    "jacobian_power_iteration",
    "jacobian_singular_values",
    "jacobian_spectral_norm",
    "maxmin",
    "mixed_norm",
    "norm_upper_bounds",
    "operator_norm",
    "parseval_step",
    "polar",
    "power_iteration",
    "project_l1_ball",
    "project_linf_norm",
    "project_simplex",
    "spectral_jacobian_penalty",
    "transport_plan",
    "wasserstein_dual",
]
