"""What an audit says of the model as a whole: the lines below the table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from lipteach.auditing.audit_rows import FROM_ABOVE, TRACED, LayerAudit
from lipteach.layers.magnitudes import Magnitude
from lipteach.primitives.composition import runs_as
from lipteach.primitives.residual import SUMS

HEAD = "Lipschitz constant (p = 2), computed in float64, rounded to 4 decimals:"
LESS = 1 - 1e-6  # than the product of the norms: not by rounding alone


def said_from_above(
    upper: float,
    unknown: str,
    product: Magnitude | None,
    plain: nn.Module,
    layers: Sequence[LayerAudit],
) -> str:
    """The upper bound, and why it is one."""
    if unknown:
        return f"  no upper bound: {unknown} has none that is known"
    here = " (for inputs of this size)" if any(map(_at_a_size, layers)) else ""
    if product is None or upper < float(product) * LESS:
        return f"  upper bound {upper:.4f}{here}: as lipschitz_bounds certifies it"
    summed = any(runs_as(module, SUMS) for module in plain.modules())
    sums = ", with sums at residual connections" if summed else ""
    why = f"the product of the norms{sums}, all other modules being 1-Lipschitz"
    return f"  upper bound {upper:.4f}{here}: {why}"


def _at_a_size(layer: LayerAudit) -> bool:
    """Whether a bound of the layer holds at the size of its input, and perhaps at no other."""
    if layer.method.endswith(FROM_ABOVE):  # the rest says what was run
        return layer.method.endswith(TRACED)
    return " at " in layer.method


def said_as_run(bound: float, upper: float) -> list[str]:
    """The bound that holds as far as runs tell, if it is smaller."""
    if bound >= upper * LESS:
        return []
    return [f"  {bound:.4f} if each module does elsewhere what it did when it was run"]


def said_from_below(lower: float, x: Tensor | None, none: str) -> str:
    """The lower bound, or why there is none."""
    if x is None:
        return "  no lower bound: no samples x"
    if none:
        return "  no lower bound, for the same reason"
    samples = "1 sample" if len(x) == 1 else f"{len(x)} samples"
    return f"  lower bound {lower:.4f}: the largest Jacobian norm at {samples}"


def said_in_training(bound: float, rows: Sequence[LayerAudit]) -> list[str]:
    """The bound in training mode, if that computes other weights."""
    there = f"{bound:.4f}" if bound < math.inf else "unknown"
    return [f"  in training mode, with the weights that it computes: {there}"] if rows else []
