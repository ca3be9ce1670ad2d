"""The rows of an audit: what is said of each layer, and how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from lipteach.auditing.by_running import Running
from lipteach.layers.copies import CHANGES
from lipteach.layers.known_modules import Sizes
from lipteach.layers.layer_norms import LAYERS, image_sizes, is_layer, spectrum
from lipteach.layers.magnitudes import Magnitude, lower_bound
from lipteach.layers.module_constants import WITH_CONSTANTS
from lipteach.layers.normalizations import NORMALIZATIONS
from lipteach.layers.parametrizations import LInf
from lipteach.primitives import Scale, Selection
from lipteach.primitives._validate import check_tensor
from lipteach.primitives.composition import alteration, runs_as
from lipteach.primitives.residual import SUMS

FROM_ABOVE = ": from above"
TRACED = f"; traced{FROM_ABOVE}"


@dataclass(frozen=True)
class LayerAudit:
    """The numbers of one layer, in float64; what is not known is NaN.

    `smallest` and `largest` are singular values, of a convolution those of its map at the size of
    its input. The norm of the layer, at that size if one is given, lies in [lower, upper], found by
    `method`; all are NaN where there is no bound. Of a module that was run `if_as_run` is the norm
    if it does elsewhere what it did then, and `upper` is NaN unless one is certified. Where a
    weight changes each time it is read, the singular values are those of one reading. `inf_norm`
    is the largest row sum of |W| where `linf` bounds it, else NaN; `flat_norm` is the norm of a
    flattened kernel, which is not that of the layer.
    """

    name: str
    kind: str
    smallest: float
    largest: float
    lower: float
    upper: float
    method: str
    inf_norm: float
    flat_norm: float = math.nan
    if_as_run: float = math.nan


def rows_of(
    model: nn.Module,
    plain: nn.Module,
    unlike: dict[str, str],
    sizes: Sizes,
    ran: dict[str, Running],
    proven: dict[str, Magnitude],
) -> tuple[list[LayerAudit], dict[int, Magnitude | None]]:
    """A row for each layer and for each module that was run, and the bounds that are certified.

    `proven` has those of modules that were run, by name.
    """
    originals = dict(model.named_modules(remove_duplicate=False))
    layers, norms = [], {}
    for name, module in plain.named_modules():
        said, layer = name or "model", None
        if isinstance(module, LAYERS):
            inf_norm = _inf_norm(originals.get(name), module)
            layer, norms[id(module)] = layer_row(
                said, module, sizes, inf_norm, unlike.get(name, "")
            )
        if name in ran:
            running, bound = ran[name], proven.get(name)
            if any(_is_within(other, name) for other in unlike):  # of one reading only
                running = running._replace(lower=math.nan, if_as_run=math.nan)
            why = f"{layer.method}; " if layer else ""
            layer = row_of_run(said, module, running, why, bound)
            norms[id(module)] = bound
        if layer is not None:
            layers.append(layer)
    return layers, norms


def row_of_run(
    name: str, module: nn.Module, running: Running, why: str = "", bound: Magnitude | None = None
) -> LayerAudit:
    """What is said of a module that was run, and of its upper bound if one is certified."""
    small, large, lower, if_as_run, method = running
    nan, flat, upper, method = math.nan, flat_norm(module), math.nan, why + method
    if bound is not None:
        lower, upper = lower_bound(lower, bound), float(bound)
        summed = runs_as(module, SUMS)  # of which the class tells all
        method += f"; sum of its parts{FROM_ABOVE}" if summed else TRACED
        if_as_run = nan if summed else if_as_run
    kind = _kind(module)
    return LayerAudit(name, kind, small, large, lower, upper, method, nan, flat, if_as_run)


def _is_within(name: str, whole: str) -> bool:
    return not whole or name == whole or name.startswith(f"{whole}.")


def layer_row(
    name: str, module: Any, sizes: Sizes, inf_norm: float, unlike: str
) -> tuple[LayerAudit, Magnitude | None]:
    """What is said of a layer, and its bound."""
    kind = _kind(module)
    given = not isinstance(module, (Selection, Scale, *WITH_CONSTANTS))
    if given and module.weight is not None:  # a normalization may have none
        check_tensor(module.weight, f"The weight of {name}")
    if unlike or not is_layer(module):
        said = unlike or alteration(module) or "a forward or a setting of its own"
        return _unbounded(name, module, sizes, inf_norm, said), None
    found = spectrum(module, image_sizes(module, sizes))
    return LayerAudit(name, kind, *found[:-1], inf_norm, flat_norm(module)), found.bound


def _inf_norm(original: Any, plain: Any) -> float:
    """The largest row sum of |W| where `linf` is registered, else NaN."""
    if not (original and parametrize.is_parametrized(original, "weight")):
        return math.nan
    held = [p for p in original.parametrizations.weight if isinstance(p, LInf)]
    return float(held[0].rows(plain.weight).abs().sum(dim=1).max()) if held else math.nan


def _unbounded(
    name: str, module: nn.Module, sizes: Sizes, inf_norm: float, said: str
) -> LayerAudit:
    """What is said of a layer without a bound: of one reading, the singular values."""
    ends, method = (math.nan, math.nan), f"none: it has {said}"
    if said.endswith(CHANGES) and is_layer(module):
        found = spectrum(module, image_sizes(module, sizes), reached=False)
        ends = found[:2]
        method = f"{method} ({found.method} of one reading)"
    return LayerAudit(name, _kind(module), *ends, math.nan, math.nan, method, inf_norm)


def flat_norm(module: Any) -> float:
    """The norm of a convolution's kernel as a matrix, (out, in · k · k); NaN of other modules."""
    if not isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) or module.weight.ndim < 3:
        return math.nan
    return float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2))


def _kind(module: Any) -> str:
    name = type(module).__name__
    if isinstance(module, Scale):
        return f"Scale ×{module.factor:g}" if is_layer(module) else "Scale"
    for ends in ("features", "channels"):
        if hasattr(module, f"in_{ends}") and hasattr(module, f"out_{ends}"):
            return f"{name} {getattr(module, f'in_{ends}')}→{getattr(module, f'out_{ends}')}"
    return f"{name} {module.num_features}" if isinstance(module, NORMALIZATIONS) else name


def table(layers: list[LayerAudit]) -> list[str]:
    """The rows in columns, one line each."""
    rows = [["layer", "kind", "smallest", "largest", "norm", "method", "∞-norm"]]
    for layer in layers:
        norm = _interval(layer.lower, layer.upper)
        if math.isnan(layer.upper) and not math.isnan(layer.if_as_run):
            norm = f"{_interval(layer.lower, layer.if_as_run)} as run"
        numbers = [_number(layer.smallest), _number(layer.largest), norm]
        rows.append([layer.name, layer.kind, *numbers, layer.method, _number(layer.inf_norm)])
    if all(math.isnan(layer.inf_norm) for layer in layers):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _interval(low: float, high: float) -> str:
    if math.isnan(low) and not math.isnan(high):
        return f"{high:.4f} or less"
    if math.isnan(high):
        return "unknown" if math.isnan(low) else f"{low:.4f} or more"
    ends = _number(low), _number(high)
    return ends[1] if ends[0] == ends[1] else " to ".join(ends)
