"""Floor 2, above the layers: how far a network can move its output, from both sides."""

from lipteach.robustness.lipschitz_bounds import (
    LipschitzBounds,
    UnknownBoundWarning,
    lipschitz_bounds,
)

__all__ = ["LipschitzBounds", "UnknownBoundWarning", "lipschitz_bounds"]
