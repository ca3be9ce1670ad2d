"""The layers that compute something else in training mode than in evaluation mode.

A weight that is kept for evaluation may be stale: one that no training step has refreshed since it
changed, by hand, by a loaded state or by the optimizer. Dropout and batch statistics are another
matter, and are left alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.auditing.audit_rows import LayerAudit, layer_row, row_of_run
from lipteach.auditing.by_running import bound_as_run, run_and_tell
from lipteach.layers.copies import near
from lipteach.layers.known_modules import Sizes
from lipteach.layers.layer_norms import is_layer
from lipteach.layers.magnitudes import Magnitude
from lipteach.layers.measured import measured
from lipteach.primitives import BoundedBatchNorm
from lipteach.primitives._sample_by_sample import leaving
from lipteach.primitives.jacobian import BY_MODE

LEFT_ALONE = (*BY_MODE, BoundedBatchNorm)  # at any depth
SAME = 1e-4  # of the largest entry: what one more step of a converged iteration changes


def rows_in_training(
    model: nn.Module, plain: nn.Module, sizes: Sizes, inputs: dict[str, Tensor | None]
) -> tuple[dict[str, LayerAudit], dict[int, Magnitude | None]]:
    """The rows of the layers that differ, by name, and their bounds by the ``id`` in `plain`.

    `inputs` holds what was given to each module that is known only by running it.
    """
    if not inputs and not any(map(parametrize.is_parametrized, model.modules())):
        return {}, {}
    other = dict(measured(model, training=True)[0].named_modules())
    rows: dict[str, LayerAudit] = {}
    norms: dict[int, Magnitude | None] = {}
    for name, module in plain.named_modules():
        twin, said = other.get(name), f"{name or 'model'}, training"
        if twin is None:
            continue
        if name in inputs:
            row = _run(said, module, twin, inputs[name])
            bound = bound_as_run(row.if_as_run) if row else None
        elif is_layer(module) and is_layer(twin) and not _same_weight(module, twin):
            there = {id(twin): sizes.get(id(module), set())}
            row, bound = layer_row(said, twin, there, math.nan, "")
            row = replace(row, method=f"{row.method}; entries differ by {_apart(module, twin)}")
        else:
            continue
        if row is not None:
            rows[name or "model"], norms[id(module)] = row, bound
    for name in inputs:  # of what could not be compared, a part may differ
        module = plain.get_submodule(name)
        if id(module) not in norms and any(id(part) in norms for part in module.modules()):
            norms[id(module)] = None
    return rows, norms


def _apart(module: Any, twin: Any) -> str:
    return f"{float((module.weight - twin.weight).detach().abs().max()):.2g}"


def _same_weight(module: Any, twin: Any) -> bool:
    ours, theirs = getattr(module, "weight", None), getattr(twin, "weight", None)
    if not (isinstance(ours, Tensor) and isinstance(theirs, Tensor)):
        return True
    return near(ours, theirs, SAME)


@torch.no_grad()
def _run(name: str, module: nn.Module, twin: nn.Module, z: Tensor | None) -> LayerAudit | None:
    """The row of a module that was run, if it does something else in training mode."""
    for part in twin.modules():
        part.training = part is twin or not isinstance(part, LEFT_ALONE)
    try:
        if z is None or near(leaving(module)(z.clone()), leaving(twin)(z.clone()), SAME):
            return None
    except Exception:  # a stranger's code may raise anything; the row of evaluation mode says it
        return None
    found = run_and_tell(twin, z)
    return None if found.method.startswith("none") else row_of_run(name, twin, found)
