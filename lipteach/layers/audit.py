"""Audit: what the layers of a model and the model itself are bounded by, and by which method.

Source: the composition of Lipschitz maps; Anil, Lucas and Grosse (2019), section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.jacobian_norms import largest_norm
from lipteach.layers.known_modules import Sizes
from lipteach.layers.layer_norms import (
    LAYERS,
    draws,
    image_sizes,
    input_sizes,
    is_layer,
    product,
    spectrum,
)
from lipteach.layers.magnitudes import Magnitude, lower_bound
from lipteach.layers.measured import measured, why_none
from lipteach.layers.normalizations import NORMALIZATIONS
from lipteach.layers.parametrizations import LInf
from lipteach.primitives import Residual, Scale, Selection
from lipteach.primitives._printing import say
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_tensor
from lipteach.primitives.composition import alteration
from lipteach.primitives.jacobian import check_initialized, run_once


@dataclass(frozen=True)
class LayerAudit:
    """The numbers of one layer, in float64; what is not known is NaN.

    `smallest` and `largest` are singular values, of a convolution those of its map at the size of
    its input. The norm of the layer, at that size if one is given, lies in [lower, upper], found by
    `method`; all are NaN where there is no bound. `inf_norm` is the largest row sum of |W| where
    `linf` bounds it, else NaN.
    """

    name: str
    kind: str
    smallest: float
    largest: float
    lower: float
    upper: float
    method: str
    inf_norm: float


@dataclass(frozen=True)
class Audit:
    """The layers of a model and the bounds of its Lipschitz constant for p = 2.

    `lower` is 0 without samples. `upper` is infinite where a module has no known bound, which
    `unknown` names then; it is empty otherwise. `text` is what was printed.
    """

    layers: tuple[LayerAudit, ...]
    lower: float
    upper: float
    unknown: str
    text: str


@undisturbed
@torch.random.fork_rng(devices=[])  # a model may draw numbers
def audit(model: nn.Module, x: Tensor | None = None) -> Audit:
    r"""Print what bounds each layer of a model, and the Lipschitz constant of the whole.

    For each ``nn.Linear`` the smallest and the largest singular value of its weight, in float64.
    For each convolution (of the classes that `orthonormal` takes) the norm of the operator, which
    is not that of the flattened kernel: with x the singular values of its map at that image size,
    where its matrix is small enough; otherwise two bounds (`convolution_norm_bounds`), for all
    sizes or, the lower one, at that of x.

    The Lipschitz constant for p = 2 stands between two numbers: the largest spectral norm of the
    Jacobian at the samples x, a lower bound; and the product of the layers' norms, an upper bound
    if all other modules of an ``nn.Sequential`` are known not to stretch distances (ReLU, MaxMin,
    Flatten, …); an `lt.Residual` counts with the sum of its two parts' products. The model is
    audited in evaluation mode and in float64, with its weights as they
    are read now. It is copied for that: where a weight changes at each reading, or the copy is not
    the model (a class may say itself how it is copied), nothing is bounded. Without x, samples are
    taken to have the dimensions that each module needs: a convolution is given batches of images,
    not one image.

    Args:
        model: any module. An upper bound needs a layer, or an ``nn.Sequential`` of known modules.
        x: samples of shape (batch, …), for the lower bound and the sizes of images.

    Returns:
        The numbers and the text, in an `Audit`.

    Example:
        >>> _ = lt.audit(nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin()))
        layer  kind        smallest  largest  norm    method
        0      Linear 4→4  1.0000    1.0000   1.0000  SVD
        Lipschitz constant (p = 2), computed in float64, rounded to 4 decimals:
          upper bound 1.0000: the product of the norms, all other modules being 1-Lipschitz
          no lower bound: no samples x
    """
    if isinstance(model, nn.Module):
        check_initialized(model, "model")
    if x is not None:
        check_tensor(x)
        x = x.detach().double()
    plain, unlike = measured(model)
    if x is not None:
        run_once(plain, x, "model")
    sizes: Sizes = {} if x is None else input_sizes(plain, x)
    originals = dict(model.named_modules(remove_duplicate=False))
    layers, norms = [], {}
    for name, module in plain.named_modules():
        if isinstance(module, LAYERS):
            inf_norm = _inf_norm(originals.get(name), module)
            why = unlike.get(name, "")
            layer, norms[id(module)] = _layer(name or "model", module, sizes, inf_norm, why)
            layers.append(layer)
    bound, unknown = product(plain, norms, sizes)
    lower = 0.0
    none = why_none(model, plain, unlike)
    if not none and x is not None and draws(plain, x):
        none = f"{type(model).__name__}, which draws random numbers"
    if none:
        x, bound, unknown = None, None, f"{none},"
    elif x is not None:
        lower = lower_bound(largest_norm(plain, x, 2), bound)
    upper = float(bound) if bound else math.inf
    sums = any(isinstance(module, Residual) for module in plain.modules())
    said = ", with sums at residual connections" if sums else ""
    text = "\n".join([*_table(layers), *_whole(lower, upper, unknown, x, layers, said)])
    say(text)
    return Audit(tuple(layers), lower, upper, unknown, text)


def _layer(
    name: str, module: Any, sizes: Sizes, inf_norm: float, unlike: str
) -> tuple[LayerAudit, Magnitude | None]:
    """What is said of a layer, and its bound."""
    if isinstance(module, Scale):
        kind = f"Scale ×{module.factor:g}" if is_layer(module) else "Scale"
    elif isinstance(module, NORMALIZATIONS):
        kind = f"{type(module).__name__} {module.num_features}"
    elif isinstance(module, nn.Linear):
        kind = f"{type(module).__name__} {module.in_features}→{module.out_features}"
    else:
        kind = f"{type(module).__name__} {module.in_channels}→{module.out_channels}"
    given = not isinstance(module, (Selection, Scale))
    if given and module.weight is not None:  # a normalization may have none
        check_tensor(module.weight, f"The weight of {name}")
    if unlike or not is_layer(module):
        nan, said = math.nan, unlike or alteration(module) or "a forward or a setting of its own"
        return LayerAudit(name, kind, nan, nan, nan, nan, f"none: it has {said}", inf_norm), None
    found = spectrum(module, image_sizes(module, sizes))
    return LayerAudit(name, kind, *found[:-1], inf_norm), found.bound


def _inf_norm(original: Any, plain: Any) -> float:
    """The largest row sum of |W| where `linf` is registered, else NaN."""
    if not (original and parametrize.is_parametrized(original, "weight")):
        return math.nan
    held = [p for p in original.parametrizations.weight if isinstance(p, LInf)]
    return float(held[0].rows(plain.weight).abs().sum(dim=1).max()) if held else math.nan


def _table(layers: list[LayerAudit]) -> list[str]:
    rows = [["layer", "kind", "smallest", "largest", "norm", "method", "∞-norm"]]
    for layer in layers:
        exact = layer.lower == layer.upper
        norm = _number(layer.upper) if exact else _interval(layer.lower, layer.upper)
        numbers = [_number(layer.smallest), _number(layer.largest), norm]
        rows.append([layer.name, layer.kind, *numbers, layer.method, _number(layer.inf_norm)])
    if all(math.isnan(layer.inf_norm) for layer in layers):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _interval(low: float, high: float) -> str:
    return "unknown" if math.isnan(high) else f"{low:.4f} to {high:.4f}"


def _whole(
    lower: float,
    upper: float,
    unknown: str,
    x: Tensor | None,
    layers: list[LayerAudit],
    sums: str,
) -> list[str]:
    lines = ["Lipschitz constant (p = 2), computed in float64, rounded to 4 decimals:"]
    if unknown:
        lines.append(f"  no upper bound: {unknown} has none that is known")
    else:
        here = " (at this image size)" if any(" at " in layer.method for layer in layers) else ""
        why = f"the product of the norms{sums}, all other modules being 1-Lipschitz"
        lines.append(f"  upper bound {upper:.4f}{here}: {why}")
    if x is None:
        return [*lines, "  no lower bound: no samples x"]
    samples = "1 sample" if len(x) == 1 else f"{len(x)} samples"
    return [*lines, f"  lower bound {lower:.4f}: the largest Jacobian norm at {samples}"]
