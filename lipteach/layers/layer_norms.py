r"""Norms of layers, of what they compose, and of Jacobians at samples.

All that `audit` and `lipschitz_bounds` know of a layer is said here; of other modules, in
`known_modules`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from lipteach.layers.convolution_norms import (
    bounds_without_matrix,
    largest_sum,
    matrix_at,
    reached_at,
)
from lipteach.layers.copies import near, said_name
from lipteach.layers.known_modules import KNOWN, Sizes, mixes, one_lipschitz
from lipteach.layers.magnitudes import ONE, Magnitude, in_units
from lipteach.layers.module_constants import (
    WITH_CONSTANTS,
    constant,
    constant_to_max,
    has_constant,
    said_of,
)
from lipteach.layers.normalizations import NORMALIZATIONS, factors_of, has_statistics
from lipteach.layers.weights import CONVOLUTIONS, weight_dims
from lipteach.primitives import Scale, Selection, mixed_norm, operator_norm
from lipteach.primitives.composition import runs_as, runs_its_forward, walk
from lipteach.primitives.residual import SUMS, shares_of

LAYERS = (  # the modules with a norm
    *(nn.Linear, *CONVOLUTIONS, Selection, Scale),
    *(*NORMALIZATIONS, *WITH_CONSTANTS),
)
MIXES = "which mixes the samples of a batch"


class Spectrum(NamedTuple):
    """The singular values of a layer, NaN if not known, and its 2-norm between two numbers.

    `bound` is the upper one, in a range that floats lack; None if there is none.
    """

    smallest: float
    largest: float
    lower: float
    upper: float
    method: str
    bound: Magnitude | None


def input_sizes(model: nn.Module, x: Tensor) -> Sizes:
    """The shapes that each layer and each known module receives from a sample, a batch of 1."""
    sizes: Sizes = {}

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            sizes.setdefault(id(module), set()).add(tuple(inputs[0].shape))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in model.modules()
        if isinstance(module, (*LAYERS, *KNOWN, *SUMS)) or runs_its_forward(module)
    ]
    model(x[:1])
    for hook in hooks:
        hook.remove()
    return sizes


def image_sizes(conv: nn.Module, sizes: Sizes) -> set[tuple[int, ...]]:
    """The sizes (channels, height, width) of the images that a convolution receives.

    Of a module whose constant depends on all of a sample, they are its shapes.
    """
    if isinstance(conv, WITH_CONSTANTS):
        return sizes.get(id(conv), set())
    return {shape[1 - weight_dims(conv) :] for shape in sizes.get(id(conv), ())}


def spectrum(layer: Any, sizes: set[tuple[int, ...]], reached: bool = True) -> Spectrum:
    r"""The singular values of a layer, or bounds of its 2-norm, and how they were found.

    A convolution is decomposed where its images have one size and its matrix is small enough.
    Otherwise the bounds are those for all sizes (`convolution_norm_bounds`), of which the lower one
    is replaced by what is reached at the sizes that are given. The upper one is multiplied by what
    the padding may add (`padding_norm`); where that is something, or the convolution is not known,
    $\sqrt{\|\cdot\|_1 \|\cdot\|_\infty}$ at those sizes is a bound as well.
    `layer` is one of `LAYERS`, in float64; `sizes` are those of its images, empty if not known.
    What is reached takes a search, and is left out where the upper bound alone is wanted.
    """
    if isinstance(layer, Scale):
        return _exact(torch.tensor([abs(layer.factor)], dtype=torch.float64), 0, "its factor")
    if isinstance(layer, WITH_CONSTANTS):
        small, large, method = said_of(layer)
        bound = Magnitude.of(constant(layer, 2, sizes))
        lower = 0.0 if math.isnan(large) else large
        return Spectrum(small, large, lower, float(bound), method, bound)
    if isinstance(layer, NORMALIZATIONS):
        factors, exponent = factors_of(layer)
        return _exact(factors.sort(descending=True).values, exponent, "its factors")
    if isinstance(layer, Selection):  # its matrix may be too large to be made
        times = layer.index.bincount(minlength=max(0, layer.in_features)).double()
        sigma = times.sqrt().sort(descending=True).values
        return _exact(sigma[: len(layer.index)], 0, "counted")
    W, exponent = in_units(layer.weight.detach())
    if isinstance(layer, nn.Linear):
        return _exact(torch.linalg.svdvals(W), exponent, "SVD")
    matrix = matrix_at(layer, W, sizes)
    if matrix is not None:
        (size,) = sizes
        where = "×".join(map(str, size[1:]))
        return _exact(torch.linalg.svdvals(matrix), exponent, f"SVD of the map at {where}")
    nan = math.nan
    least, most, method = bounds_without_matrix(layer, W, sizes)
    if most == math.inf:
        return Spectrum(nan, nan, nan, nan, method, None)
    low, high = (Magnitude.of(b, exponent) for b in (least, most))
    lower = float(low)
    if sizes and reached:
        lower = max(
            spectrum(layer, {size}).lower if len(sizes) > 1 else reached_at(layer, size)
            for size in sizes
        )
    return Spectrum(nan, nan, min(lower, float(high)), float(high), method, high)


def upper_norm(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> Magnitude:
    """An upper bound of the induced p → p norm of a layer, p = 1, 2 or ∞; exact with a matrix.

    A convolution needs the sizes of its images; for p = 1 and ∞ it is exact, unless its padding
    repeats or reflects pixels.
    """
    if p == 2:
        return cast(Magnitude, spectrum(layer, sizes, reached=False).bound)
    if isinstance(layer, Scale):
        return Magnitude.of(abs(layer.factor))
    if isinstance(layer, WITH_CONSTANTS):
        return Magnitude.of(constant(layer, p, sizes))
    if isinstance(layer, NORMALIZATIONS):
        factors, exponent = factors_of(layer)
        return Magnitude.of(float(factors.max()), exponent)
    if isinstance(layer, Selection):
        return Magnitude.of(float(layer.index.bincount().max())) if p == 1 else ONE
    W, exponent = in_units(layer.weight.detach())
    if isinstance(layer, nn.Linear):
        return Magnitude.of(float(operator_norm(W, p)) if W.numel() else 0.0, exponent)
    return Magnitude.of(largest_sum(layer, W, p, sizes), exponent)


def upper_norm_to_max(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> Magnitude:
    """An upper bound of the norm from the p-norm to the ∞-norm: ‖W‖_{p,∞} of a linear layer."""
    if isinstance(layer, Selection):
        return ONE
    if isinstance(layer, WITH_CONSTANTS):
        return Magnitude.of(constant_to_max(layer, p, sizes))
    if isinstance(layer, nn.Linear):
        W, exponent = in_units(layer.weight.detach())
        return Magnitude.of(float(mixed_norm(W, p)) if W.numel() else 0.0, exponent)
    return upper_norm(layer, p, sizes)


def _exact(sigma: Tensor, exponent: int, method: str) -> Spectrum:
    ends = (float(sigma[-1]), float(sigma[0])) if len(sigma) else (0.0, 0.0)
    small, large = (Magnitude.of(end, exponent) for end in ends)
    return Spectrum(float(small), float(large), float(large), float(large), method, large)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one of `LAYERS`, and its settings are such that it has a norm."""
    if not runs_as(module, LAYERS):
        return False
    if isinstance(module, Scale):
        return isinstance(module.factor, (int, float)) and math.isfinite(module.factor)
    if isinstance(module, NORMALIZATIONS):
        return has_statistics(module)
    if isinstance(module, WITH_CONSTANTS):
        return has_constant(module)
    return isinstance(module, Selection) or cast(Tensor, module.weight).ndim == weight_dims(module)


@torch.no_grad()
def draws(model: nn.Module, x: Tensor) -> bool:
    """Whether a model draws random numbers, or gives another output when it is called again."""
    state, first = torch.get_rng_state(), model(x[:1])
    return not (torch.equal(torch.get_rng_state(), state) and near(model(x[:1]), first, 1e-6))


def product(
    module: nn.Module, norms: dict[int, Magnitude | None], sizes: Sizes, above: str = ""
) -> tuple[Magnitude | None, str]:
    """The product of the norms along a Sequential and "", or None and the module without one.

    `norms` holds an upper bound for each layer, and for other modules that were measured, by its
    ``id``. A residual connection counts with the sum of its two products, each times its share.
    """
    bound = ONE
    for name, step in walk(module, above):
        if runs_as(step, SUMS):
            within = f"{name}." if name else ""
            kept, taken = map(Magnitude.of, shares_of(step))
            block: Any = step
            shortcut, missing = product(block.skip, norms, sizes, f"{within}skip")
            body, also = product(block.body, norms, sizes, f"{within}body")
            if shortcut is None or body is None:
                return None, missing or also
            bound = bound * (kept * shortcut + taken * body)
            continue
        if id(step) in norms or is_layer(step):
            known = norms.get(id(step))
        else:
            known = ONE if one_lipschitz(step, sizes) else None
        if known is None:
            return None, said_name(name, step)
        if mixes(step, sizes):
            return None, f"{said_name(name, step)}, {MIXES},"
        bound = bound * known
    return bound, ""
