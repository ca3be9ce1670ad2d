"""Floor 2: layers whose weights keep a constraint, and what checks and exports them."""

from lipteach.layers.audit import Audit, audit
from lipteach.layers.audit_rows import LayerAudit
from lipteach.layers.constrain import linf, orthonormal, spectral
from lipteach.layers.copies import evaluating
from lipteach.layers.export import export
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.layers.retraction import make_tangent_, retract_
from lipteach.layers.unit_rows import unit_rows

__all__ = [
    "Audit",
    "LayerAudit",
    "audit",
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
