r"""Norms of layers, of what they compose, and of Jacobians at samples.

All that `audit` and `lipschitz_bounds` know of a layer is said here; of other modules, in
`known_modules`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from lipteach.layers.constrain import kernel_class
from lipteach.layers.copies import near, said_name
from lipteach.layers.jacobian_norms import stretched
from lipteach.layers.known_modules import KNOWN, Sizes, mixes, one_lipschitz
from lipteach.layers.magnitudes import ONE, Magnitude, in_units
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.layers.normalizations import NORMALIZATIONS, factors_of, has_statistics
from lipteach.primitives import Residual, Scale, Selection, mixed_norm, operator_norm
from lipteach.primitives.composition import runs_as, walk

LAYERS = (nn.Linear, nn.Conv2d, Selection, Scale, *NORMALIZATIONS)  # the modules with a norm
MIXES = "which mixes the samples of a batch"
MOST_PIXELS, MOST_ENTRIES = 2000, 4_000_000  # the largest matrix of a convolution that we build


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
        if isinstance(module, (*LAYERS, *KNOWN, Residual))
    ]
    model(x[:1])
    for hook in hooks:
        hook.remove()
    return sizes


def image_sizes(conv: nn.Module, sizes: Sizes) -> set[tuple[int, ...]]:
    """The sizes (channels, height, width) of the images that a convolution receives."""
    return {shape[-3:] for shape in sizes.get(id(conv), ())}


def spectrum(layer: Any, sizes: set[tuple[int, ...]], reached: bool = True) -> Spectrum:
    r"""The singular values of a layer, or bounds of its 2-norm, and how they were found.

    A convolution is decomposed where its images have one size and its matrix is small enough.
    Otherwise the bounds are those for all sizes (`convolution_norm_bounds`), of which the lower one
    is replaced by what is reached at the sizes that are given. Where these do not know it (groups,
    …), the upper one is $\sqrt{\|\cdot\|_1 \|\cdot\|_\infty}$ at those sizes.
    `layer` is one of `LAYERS`, in float64; `sizes` are those of its images, empty if not known.
    What is reached takes a search, and is left out where the upper bound alone is wanted.
    """
    if isinstance(layer, Scale):
        return _exact(torch.tensor([abs(layer.factor)], dtype=torch.float64), 0, "its factor")
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
    matrix = _matrix(layer, W, sizes)
    if matrix is not None:
        (size,) = sizes
        return _exact(
            torch.linalg.svdvals(matrix), exponent, f"SVD of the map at {size[-2]}×{size[-1]}"
        )
    nan = math.nan
    try:
        stride = kernel_class(layer, layer.weight).stride
    except ValueError:
        if not sizes:
            return Spectrum(nan, nan, nan, nan, "none for this convolution", None)
        sums = [max(_largest_sum(layer, W, p, size) for size in sizes) for p in (1, math.inf)]
        bound = Magnitude.of(math.sqrt(sums[0] * sums[1]), exponent)
        return Spectrum(nan, nan, 0.0, float(bound), "row and column sums", bound)
    low, high = (Magnitude.of(float(b), exponent) for b in convolution_norm_bounds(W, stride))
    lower = float(low)
    if sizes and reached:
        lower = max(
            spectrum(layer, {size}).lower if len(sizes) > 1 else _reached(layer, size)
            for size in sizes
        )
    return Spectrum(nan, nan, min(lower, float(high)), float(high), "grid, all sizes", high)


def upper_norm(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> Magnitude:
    """An upper bound of the induced p → p norm of a layer, p = 1, 2 or ∞; exact with a matrix.

    A convolution needs the sizes of its images; for p = 1 and ∞ it is exact, unless its padding
    repeats or reflects pixels.
    """
    if p == 2:
        return cast(Magnitude, spectrum(layer, sizes, reached=False).bound)
    if isinstance(layer, Scale):
        return Magnitude.of(abs(layer.factor))
    if isinstance(layer, NORMALIZATIONS):
        factors, exponent = factors_of(layer)
        return Magnitude.of(float(factors.max()), exponent)
    if isinstance(layer, Selection):
        return Magnitude.of(float(layer.index.bincount().max())) if p == 1 else ONE
    W, exponent = in_units(layer.weight.detach())
    if isinstance(layer, nn.Linear):
        return Magnitude.of(float(operator_norm(W, p)) if W.numel() else 0.0, exponent)
    return Magnitude.of(max(_largest_sum(layer, W, p, size) for size in sizes), exponent)


def upper_norm_to_max(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> Magnitude:
    """An upper bound of the norm from the p-norm to the ∞-norm: ‖W‖_{p,∞} of a linear layer."""
    if isinstance(layer, Selection):
        return ONE
    if isinstance(layer, nn.Linear):
        W, exponent = in_units(layer.weight.detach())
        return Magnitude.of(float(mixed_norm(W, p)) if W.numel() else 0.0, exponent)
    return upper_norm(layer, p, sizes)


def _exact(sigma: Tensor, exponent: int, method: str) -> Spectrum:
    ends = (float(sigma[-1]), float(sigma[0])) if len(sigma) else (0.0, 0.0)
    small, large = (Magnitude.of(end, exponent) for end in ends)
    return Spectrum(float(small), float(large), float(large), float(large), method, large)


def _reached(conv: nn.Conv2d, size: tuple[int, ...]) -> float:
    """What the convolution stretches some image of that size by, found by power iteration."""
    image = torch.zeros(1, *size, dtype=conv.weight.dtype, device=conv.weight.device)
    return float(stretched(conv, image, 2)[0])


def _matrix(conv: nn.Conv2d, kernel: Tensor, sizes: set[tuple[int, ...]]) -> Tensor | None:
    """The matrix of the convolution, if its images have one size, and one that is small enough."""
    if len(sizes) != 1:
        return None
    (size,) = sizes
    pixels = math.prod(size)
    if pixels > MOST_PIXELS:
        return None
    images = torch.eye(pixels, dtype=kernel.dtype, device=kernel.device)
    matrix = convolved(conv, kernel, images.view(-1, *size)).flatten(1).mT
    return matrix if matrix.numel() <= MOST_ENTRIES else None


@torch.enable_grad()
def _largest_sum(conv: nn.Conv2d, kernel: Tensor, p: float, size: tuple[int, ...]) -> float:
    """The largest row sum (p = ∞) or column sum (p = 1) of |matrix|, by the map with kernel |K|.

    On an image of ones it gives the row sums, and the gradient of their total is the column sums.
    Pixels that padding repeats or reflects may meet in one entry, whose terms we then add: a bound.
    """
    image = torch.ones(1, *size, dtype=kernel.dtype, device=kernel.device)
    image.requires_grad_()
    rows = convolved(conv, kernel.abs(), image)
    sums = rows if p == math.inf else torch.autograd.grad(rows.sum(), image)[0]
    return float(sums.detach().max())


def convolved(conv: nn.Conv2d, kernel: Tensor, images: Tensor) -> Tensor:
    """The images under the layer with another kernel and without its bias, whatever its padding."""
    found: Tensor = conv._conv_forward(images, kernel, None)  # which reads no weight of the layer
    return found


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one of `LAYERS`, and its settings are such that it has a norm."""
    if not runs_as(module, LAYERS):
        return False
    if isinstance(module, Scale):
        return isinstance(module.factor, (int, float)) and math.isfinite(module.factor)
    if isinstance(module, NORMALIZATIONS):
        return has_statistics(module)
    dims = 4 if isinstance(module, nn.Conv2d) else 2
    return isinstance(module, Selection) or cast(Tensor, module.weight).ndim == dims


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
    ``id``. A residual connection counts with the sum of its two products.
    """
    bound = ONE
    for name, step in walk(module, above):
        if runs_as(step, Residual):
            within = f"{name}." if name else ""
            shortcut, missing = product(step.skip, norms, sizes, f"{within}skip")
            body, also = product(step.body, norms, sizes, f"{within}body")
            if shortcut is None or body is None:
                return None, missing or also
            bound = bound * (shortcut + body)
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
