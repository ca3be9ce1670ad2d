"""Floor 1: pure functions on tensors, and the modules that wrap them."""

from lipteach.primitives.activations import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    full_sort,
    group_sort,
    maxmin,
)
from lipteach.primitives.norms import is_orthonormal, mixed_norm, operator_norm

__all__ = [
    "Abs",
    "FullSort",
    "GroupSort",
    "MaxMin",
    "full_sort",
    "group_sort",
    "is_orthonormal",
    "maxmin",
    "mixed_norm",
    "operator_norm",
]
