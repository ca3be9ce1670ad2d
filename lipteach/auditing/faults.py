"""The faults that an audit finds, in words: those that libraries of Lipschitz layers are known for.

A flattened kernel that is normalized in place of the convolution, a weight kept for evaluation that
is stale, an iteration or a series that ends too early, a weight that moves on when it is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lipteach.auditing.audit_rows import LayerAudit
from lipteach.layers.copies import CHANGES

NEARLY = 1.01  # what bounds of a convolution may differ by
NEAR = 0.1  # singular values so near 1 were meant to be 1


def faults_of(
    layers: Sequence[LayerAudit], training: Sequence[LayerAudit], most: float
) -> tuple[str, ...]:
    """One sentence for each layer whose norm is above `most`, or whose weight is not one weight."""
    found = [_above(layer, most) for layer in above((*layers, *training), most)]
    for row in training:
        evaluated = next(layer for layer in layers if row.name == f"{layer.name}, training")
        what = "something else" if math.isnan(row.upper) else "another weight"
        found.append(
            f"{evaluated.name} ({evaluated.kind}) computes {what} in training mode: "
            f"norm {norm_of(row):.4f} there and {norm_of(evaluated):.4f} in evaluation mode."
        )
    for layer in layers:
        if CHANGES in layer.method:
            found.append(f"{layer.name} ({layer.kind}) has a weight that {CHANGES}.")
    return tuple(found)


def above(layers: Sequence[LayerAudit], most: float) -> list[LayerAudit]:
    """The layers that are known to stretch by more than `most`."""
    return [layer for layer in layers if norm_of(layer) > most]


def norm_of(layer: LayerAudit) -> float:
    """The most that a layer is known to stretch by; 0 if nothing is known."""
    return max([norm for norm in (layer.lower, layer.largest) if not math.isnan(norm)], default=0.0)


def _above(layer: LayerAudit, most: float) -> str:
    norm = norm_of(layer)
    why = ""
    if layer.flat_norm <= most:
        why = f"; its flattened kernel has {layer.flat_norm:.4f}, which is not that of its map"
    elif abs(layer.smallest - 1) < NEAR and norm < 1 + NEAR:
        why = f"; its singular values are near 1, down to {layer.smallest:.4f}, and not 1"
    at_least = "" if any(b <= norm * NEARLY for b in (layer.upper, layer.if_as_run)) else " or more"
    return f"{layer.name} ({layer.kind}) has norm {norm:.4f}{at_least}{why}."
