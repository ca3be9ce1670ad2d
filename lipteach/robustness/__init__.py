"""Floor 2, above the layers: bounds, attacks, and what is certified between them."""

from lipteach.robustness.attack_losses import cw_f6
from lipteach.robustness.attacks import AttackWarning, fgs, pgd
from lipteach.robustness.certified_radius import certified_radius
from lipteach.robustness.exact_radius import ExactRadius, exact_radius
from lipteach.robustness.lipschitz_bounds import (
    LipschitzBounds,
    UnknownBoundWarning,
    lipschitz_bounds,
)
from lipteach.robustness.margin_bounds import margin_bounds
from lipteach.robustness.sandwich import Sandwich, sandwich

__all__ = [
    "AttackWarning",
    "ExactRadius",
    "LipschitzBounds",
    "Sandwich",
    "UnknownBoundWarning",
    "certified_radius",
    "cw_f6",
    "exact_radius",
    "fgs",
    "lipschitz_bounds",
    "margin_bounds",
    "pgd",
    "sandwich",
]
