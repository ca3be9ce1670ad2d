"""Audit: what the layers of a model and the model itself are bounded by, and by which method.

What a class does not tell is told by running (`by_running`), and what training mode computes
otherwise than evaluation mode, by `training_mode`; the rows are those of `audit_rows`.

Source: the composition of Lipschitz maps; Anil, Lucas and Grosse (2019), section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipteach.auditing.audit_rows import LayerAudit, rows_of, table
from lipteach.auditing.by_running import DRAWS, bound_as_run, run_and_tell
from lipteach.auditing.faults import faults_of
from lipteach.auditing.strangers import certified_of, inputs_of_strangers, smallest, what_draws
from lipteach.auditing.summary import (
    HEAD,
    said_as_run,
    said_from_above,
    said_from_below,
    said_in_training,
)
from lipteach.auditing.training_mode import rows_in_training
from lipteach.layers.copies import CHANGES
from lipteach.layers.jacobian_norms import largest_norm
from lipteach.layers.known_modules import Sizes
from lipteach.layers.layer_norms import draws, input_sizes, product
from lipteach.layers.magnitudes import Magnitude, lower_bound
from lipteach.layers.measured import measured, why_none
from lipteach.primitives._printing import say
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_real, check_tensor
from lipteach.primitives.jacobian import check_initialized, run_once


@dataclass(frozen=True)
class Audit:
    """The layers of a model and the bounds of its Lipschitz constant for p = 2.

    `lower` is 0 without samples. `upper` is infinite where a module has no known bound, which
    `unknown` names then; it is empty otherwise. `text` is what was printed.

    `if_as_run` is the upper bound that holds if modules which were run do elsewhere as they did;
    where no module needs it, it is `upper`. `training` has the layers whose weights training mode
    computes otherwise, and `in_training` is `if_as_run` with these.
    """

    layers: tuple[LayerAudit, ...]
    lower: float
    upper: float
    unknown: str
    text: str
    if_as_run: float = math.inf
    training: tuple[LayerAudit, ...] = ()
    in_training: float = math.inf

    def within(self, bound: float = 1.0, tol: float = 1e-3) -> bool | None:
        """Whether the model is Lipschitz with that constant, in both modes; None if unknown.

        It is if the products of the norms are at most bound + tol, in which modules that were run
        count as far as the runs tell; it is not if a Jacobian shows more.
        """
        check_real(bound, "bound", above=0.0)
        check_real(tol, "tol", 0.0)
        if max(self.if_as_run, self.in_training) <= bound + tol:
            return True
        return False if self.lower > bound + tol else None

    def faults(self, bound: float = 1.0, tol: float = 1e-3) -> tuple[str, ...]:
        """One sentence for each layer that is above bound + tol, or not what it seems.

        A layer may be above 1 in a model that is 1-Lipschitz, where others make up for it.
        """
        check_real(bound, "bound", above=0.0)
        check_real(tol, "tol", 0.0)
        return faults_of(self.layers, self.training, bound + tol)


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

    Of modules that were not made here, and of those whose class does not say what they compute, x
    tells something: they are run on what they receive from x and on random inputs, each as a whole,
    whatever its parts are. One found affine is measured by its own matrix, and one found equal to
    ReLU, MaxMin or the like counts as it; of another the norm of its Jacobian at these inputs is a
    lower bound. No run proves an upper bound, and the table says what was found so. A forward that
    `lipschitz_bounds` can trace has one, for inputs of that size, and so has the model where
    `lipschitz_bounds` certifies less than the product. Where training mode computes something else
    (a weight kept for evaluation may be stale) the table has the layer twice.

    Args:
        model: any module. Without x an upper bound needs a layer, or an ``nn.Sequential`` of known
            modules.
        x: samples of shape (batch, …), for the lower bound and the sizes of images.

    Returns:
        The numbers and the text, in an `Audit`.

    Raises:
        ValueError: if x does not fit the model, or its forward raises whatever it may.
        TypeError: if the model cannot be copied, or does not return a floating-point tensor.
        RuntimeError: if a Jacobian at a sample refutes the upper bound.

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
    none = why_none(model, plain, unlike)
    told = not none or CHANGES in none  # one reading of a weight that changes tells its own
    inputs = inputs_of_strangers(plain, x, sizes) if told and x is not None else {}
    ran = {name: run_and_tell(plain.get_submodule(name), z) for name, z in inputs.items()}
    if not none and x is not None and draws(plain, x):
        none = what_draws(plain, ran)
        ran = {name: running for name, running in ran.items() if running.method == DRAWS}
    proven = {} if none else certified_of(plain, inputs, sizes, ran)
    layers, norms = rows_of(model, plain, unlike, sizes, ran, proven)
    factors, unknown = product(plain, norms, sizes)
    seen = 0.0 if none or x is None else largest_norm(plain, x, 2)
    bound = None if none else smallest(factors, plain, x, seen)
    unknown = f"{none}," if none else "" if bound else unknown
    lower = lower_bound(seen, bound)
    upper = float(bound) if bound else math.inf
    training: dict[str, LayerAudit] = {}
    if_as_run = in_training = math.inf
    if not none:
        for name, running in ran.items():
            norms[id(plain.get_submodule(name))] = bound_as_run(running.if_as_run, proven.get(name))
        if_as_run = min(upper, _norm_of(plain, norms, sizes))
        training, others = rows_in_training(model, plain, sizes, inputs)
        in_training = _norm_of(plain, norms | others, sizes) if training else if_as_run
        if lower > if_as_run * (1 + 1e-9):  # what was run did something else at a sample
            if_as_run = math.inf
    rows = tuple(training.values())
    lines = [
        HEAD,
        said_from_above(upper, unknown, factors, plain, layers),
        *said_as_run(if_as_run, upper),
        said_from_below(lower, x, none),
        *said_in_training(in_training, rows),
    ]
    shown = [row for layer in layers for row in (layer, training.get(layer.name)) if row]
    text = "\n".join([*table(shown), *lines])
    say(text)
    return Audit(tuple(layers), lower, upper, unknown, text, if_as_run, rows, in_training)


def _norm_of(plain: nn.Module, norms: dict[int, Magnitude | None], sizes: Sizes) -> float:
    found = product(plain, norms, sizes)[0]
    return float(found) if found else math.inf
