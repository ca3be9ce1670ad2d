"""Floor 2: layers whose weights keep a constraint, and what exports them."""

from lipteach.layers.constrain import linf, orthonormal, spectral
from lipteach.layers.copies import evaluating
from lipteach.layers.export import export
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.layers.retraction import make_tangent_, retract_
from lipteach.layers.unit_rows import unit_rows

__all__ = [
    "convolution_norm_bounds",
    "evaluating",
    "export",
    "linf",
    "make_tangent_",
    "orthonormal",
    "retract_",
    "spectral",
    "unit_rows",
]
