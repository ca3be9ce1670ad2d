r"""What a module does that is not known by its class: told by running it, which proves nothing.

A module that is found affine at some inputs has a matrix, and that matrix a norm. Elsewhere it may
do something else: what is found is a lower bound for certain, and the norm only as far as the runs
tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.layers.convolution_norms import MOST_ENTRIES, MOST_PIXELS
from lipteach.layers.jacobian_norms import largest_norm, stretched
from lipteach.layers.layer_norms import image_sizes, spectrum
from lipteach.layers.magnitudes import Magnitude
from lipteach.primitives import full_sort, group_sort
from lipteach.primitives._sample_by_sample import leaving
from lipteach.primitives._validate import first_line

MOST_SAMPLES, TOLERANCE = 8, 1e-9
NONE = "none: "
DRAWS = f"{NONE}it draws random numbers"
BASES = (nn.Linear, nn.Conv2d)  # of which `spectrum` knows the norm
WEIGHTED = (
    *(nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)

Run = Callable[[Tensor], Tensor]
LOOKALIKES: dict[str, Run] = {  # each 1-Lipschitz
    "ReLU": functional.relu,
    "the absolute value": torch.abs,
    "CReLU": lambda z: torch.cat([z.relu(), (-z).relu()], dim=1),
    "MaxMin": lambda z: group_sort(z, 2, 1),
    "MaxMin, ascending": lambda z: group_sort(z, 2, 1, descending=False),
    "MaxMin of halves": lambda z: _max_min(*z.chunk(2, dim=1)),
    "FullSort": lambda z: full_sort(z, 1),
    "FullSort, ascending": lambda z: full_sort(z, 1, descending=False),
}


class Running(NamedTuple):
    """What the runs of a module tell: its singular values, its norm, and how they were found.

    What is not known is NaN. `lower` is a bound. `if_as_run` is an upper one only if the module
    does elsewhere what it did here.
    """

    smallest: float
    largest: float
    lower: float
    if_as_run: float
    method: str


def inputs_of(plain: nn.Module, x: Tensor, modules: list[nn.Module]) -> dict[int, Tensor | None]:
    """What each module receives, by its ``id``, from the samples x; None if no single tensor."""
    found: dict[int, Tensor | None] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        one = len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].is_floating_point()
        again = id(module) in found and (
            not one or found[id(module)] is None or found[id(module)].shape != inputs[0].shape  # type: ignore[union-attr]
        )
        found[id(module)] = inputs[0].detach().clone() if one and not again else None

    hooks = [module.register_forward_pre_hook(note) for module in modules]
    try:
        leaving(plain)(x[:MOST_SAMPLES].clone())
    except Exception:  # one that takes single samples only: what was given until then is kept
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return found


def bound_as_run(norm: float, proven: Magnitude | None = None) -> Magnitude | None:
    """The norm that the runs of a module tell, as a factor of a product; None if they tell none.

    One that is proven counts where it is smaller, or there is no other.
    """
    told = [Magnitude.of(norm)] if math.isfinite(norm) else []
    return min(told + ([proven] if proven else []), default=None)


@torch.no_grad()
def run_and_tell(module: nn.Module, z: Tensor | None) -> Running:
    """What a module in float64 does to inputs of the shape of z, and to z."""
    if z is None or z.ndim < 2:
        return _nothing("it was not given one batch of one shape")
    try:
        return _told(module, z)
    except Exception as error:  # a stranger's code may raise anything
        return _nothing(f"it could not be run on other inputs: {first_line(error)[:60]}")


def _told(module: nn.Module, z: Tensor) -> Running:
    run = _checked_run(module)
    points = torch.cat([z, _random(z)])
    if not _same(run(points), run(points)):
        return _nothing(DRAWS.removeprefix(NONE))
    if not _same(torch.cat([run(point[None]) for point in points]), run(points)):
        return _nothing("it mixes the samples of a batch")
    for base in BASES:
        if isinstance(module, base) and _same(base.forward(module, points), run(points)):  # type: ignore[arg-type]
            found = spectrum(module, image_sizes(module, {id(module): {(1, *z.shape[1:])}}))
            return Running(*found[:-2], f"{found.method}, as {base.__name__} when run")
    if is_affine(run, z):
        return _of_a_matrix(module, run, z)
    for name, known in LOOKALIKES.items():
        if _does(known, run, points):
            lower = min(largest_norm(module, z, 2), 1.0)
            return Running(math.nan, math.nan, lower, 1.0, f"as {name} when run")
    lower = largest_norm(module, z, 2)
    return Running(math.nan, math.nan, lower, math.nan, f"Jacobian at {len(z)} inputs: from below")


def is_affine(run: Run, z: Tensor) -> bool:
    """Whether a function was affine on random inputs of the shape of z, and on z."""
    zero = run(torch.zeros_like(z[:1]))
    lost = 64 * torch.finfo(z.dtype).eps * float(zero.abs().max())  # by subtracting an offset

    def linear(t: Tensor) -> Tensor:
        return run(t) - zero

    a, b = _random(z).chunk(2)
    z, other = z[: len(a)], a[: len(z)]
    return (
        _same(linear(a + b), linear(a) + linear(b), lost)
        and _same(linear(z - 2 * other), linear(z) - 2 * linear(other), lost)
        and all(
            _same(linear(t * a) / t, linear(a), lost * max(1, 1 / t)) for t in (-3.0, 1e4, 1e-4)
        )
    )


def _of_a_matrix(module: nn.Module, run: Run, z: Tensor) -> Running:
    """Of an affine function: the singular values of its matrix, or what some vector shows."""
    size = "×".join(map(str, z.shape[1:]))
    inputs = z[0].numel()
    zero = torch.zeros_like(z[:1])
    if inputs > MOST_PIXELS or inputs * run(zero).numel() > MOST_ENTRIES:
        lower = float(stretched(module, zero, 2)[0])
        method = f"power iteration at {size}: from below, found affine"
        return Running(math.nan, math.nan, lower, math.nan, method)
    axes = torch.eye(inputs, dtype=z.dtype, device=z.device).view(inputs, *z.shape[1:])
    unit = 2.0 ** math.frexp(float(run(zero).abs().max()))[1]  # an offset costs few digits
    parts = [(run(unit * part) - run(zero)) / unit for part in torch.split(axes, 256)]
    sigma = torch.linalg.svdvals(torch.cat(parts).flatten(1))
    small, large = float(sigma[-1]), float(sigma[0])
    return Running(small, large, large, large, f"SVD of its map at {size}, found affine")


def _checked_run(module: nn.Module) -> Run:
    """The module as a function, whose result is one tensor with the samples of its input."""
    call = leaving(module)

    def run(t: Tensor) -> Tensor:
        y: Any = call(t.clone())
        if not isinstance(y, Tensor) or y.ndim < 1 or len(y) != len(t):
            raise TypeError("it returns no tensor with a row for each sample")
        return y.double()

    return run


def _random(z: Tensor) -> Tensor:
    """Four inputs of the shape and the scale of z, always the same."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(4, *z.shape[1:], generator=generator, dtype=torch.float64)
    scale = float(z.abs().max()) or 1.0
    return (scale * drawn).to(z)


def _same(y: Tensor, z: Tensor, lost: float = 0.0) -> bool:
    if y.shape != z.shape:
        return False
    return bool((y - z).abs().max() <= TOLERANCE * float(z.abs().max()) + lost)


def _max_min(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([torch.maximum(a, b), torch.minimum(a, b)], dim=1)


def _does(known: Run, run: Run, points: Tensor) -> bool:
    try:
        return _same(run(points), known(points))
    except (
        ValueError,
        TypeError,
        RuntimeError,
        IndexError,
    ):  # an odd number of channels, or the like
        return False


def _nothing(why: str) -> Running:
    nan = math.nan
    return Running(nan, nan, nan, nan, f"{NONE}{why}")
