"""Floor 2, above the layers: how far a network can move its output, from both sides."""

from lipteach.robustness.exact_radius import ExactRadius, exact_radius
from lipteach.robustness.lipschitz_bounds import (
    LipschitzBounds,
    UnknownBoundWarning,
    lipschitz_bounds,
)

__all__ = [
    "ExactRadius",
    "LipschitzBounds",
    "UnknownBoundWarning",
    "exact_radius",
    "lipschitz_bounds",
]
