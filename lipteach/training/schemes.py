r"""Schemes: what each way of training does to a network, as one entry of a table (G.1, H.4).

A scheme may change the layers before training, add to the loss, change the gradients before a step
and the weights after it. `SCHEMES` holds the paper's, with the values that its appendix H.4
searches; another is another `Scheme`.

Source: Anil, Lucas and Grosse (2019), appendices B, C, F, G.1 and H.4.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers import evaluating, export, make_tangent_, orthonormal, spectral
from lipteach.primitives import spectral_jacobian_penalty
from lipteach.primitives._validate import check_real
from lipteach.training.arrangement import (
    Dropout,
    check_steps,
    flatten_and_orthonormalize,
    insert_dropout,
    layers_of,
    spread_scale,
)
from lipteach.training.weight_steps import parseval_, project_rows_, retract_linear_

Memory = dict[str, Tensor]
"""What a penalty keeps from one step to the next."""


def _leave(network: Any, *_: Any) -> Any:
    return network


@dataclass(frozen=True)
class Scheme:
    r"""One way of training, with its setting.

    Attributes:
        prepare: called with an ``nn.Sequential`` of plain layers and a ``torch.Generator``, before
            the optimizer is made; returns the network to train.
        penalty: called with the network, the inputs of a batch and a `Memory`, empty at first;
            returns what is added to the loss. None adds nothing.
        before_step: called with the network between ``backward()`` and the optimizer's step.
        after_step: called with the network after it; it brings the weights into the constraint.
        constant: the Lipschitz constant L that it promises, or None. The entries of `SCHEMES` that
            promise one refuse a network in which something else than their layers may stretch.
        p: the norm in which it does, of inputs and of outputs.

    Example:
        >>> from lipteach.training import Scheme, make_scheme
        >>> make_scheme("L∞", 10.0).constant, make_scheme("L∞", 10.0).p
        (10.0, inf)
        >>> orthonormal_rows = Scheme(before_step=lt.make_tangent_, after_step=lt.retract_)

    Source: ours; the schemes are those of Anil, Lucas and Grosse (2019), G.1.
    """

    prepare: Callable[[nn.Sequential, torch.Generator], nn.Sequential] = _leave
    penalty: Callable[[nn.Module, Tensor, Memory], Tensor] | None = None
    before_step: Callable[[nn.Module], object] = _leave
    after_step: Callable[[nn.Module], object] = _leave
    constant: float | None = None
    p: float = 2

    def add_penalty(
        self, loss: Tensor, network: nn.Module, batch: Sequence[Any], memory: Memory
    ) -> Tensor:
        """Return the loss of a batch with the penalty, whose inputs are ``batch[0]``."""
        if self.penalty is None:
            return loss
        return loss + self.penalty(network, batch[0], memory)

    def step(self, network: nn.Module, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Take one step down the loss, and keep the constraint."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.before_step(network)
        optimizer.step()
        self.after_step(network)

    @torch.no_grad()
    def finish(self, network: nn.Sequential) -> nn.Sequential:
        """Return the trained network with plain weights, in float64 and evaluation mode.

        A constant that is promised is kept up to the rounding of float64: the constraint is applied
        once more, where training left it to that of float32.
        """
        kept = nn.Sequential(*(m for m in network if not isinstance(m, Dropout)))
        plain = export(copy.deepcopy(kept).double().eval())
        if self.constant is not None:
            self.after_step(plain)
        return plain


def _prepare_bjorck(L: float, network: nn.Sequential, *_: Any) -> nn.Sequential:
    for layer in layers_of(check_steps(network)):
        if isinstance(layer, nn.Conv2d):
            orthonormal(layer)
    return spread_scale(retract_linear_(network), L)


def _prepare_flattened(L: float, network: nn.Sequential, *_: Any) -> nn.Sequential:
    return spread_scale(retract_linear_(flatten_and_orthonormalize(network)), L)


def _prepare_spectral(L: float, network: nn.Sequential, *_: Any) -> nn.Sequential:
    for layer in layers_of(check_steps(network)):
        spectral(layer)
    return spread_scale(network, L)


def _prepare_linf(L: float, network: nn.Sequential, *_: Any) -> nn.Sequential:
    project_rows_(check_steps(network))
    return spread_scale(network, L)


def _spectral_jacobian(strength: float, network: nn.Module, x: Tensor, memory: Memory) -> Tensor:
    with evaluating(network):
        penalty, memory["u"] = spectral_jacobian_penalty(network, x, memory.get("u"))
    return strength * penalty


def _half_squares(strength: float, network: nn.Module, *_: Any) -> Tensor:
    return strength / 2 * torch.stack([p.square().sum() for p in network.parameters()]).sum()


def _bjorck(L: float) -> Scheme:
    prepare = partial(_prepare_bjorck, L)
    return Scheme(prepare, before_step=make_tangent_, after_step=_retract, constant=L)


def _flattened(L: float) -> Scheme:
    prepare = partial(_prepare_flattened, L)
    return Scheme(prepare, before_step=make_tangent_, after_step=retract_linear_)


def _retract(network: nn.Module) -> nn.Module:
    return retract_linear_(network, convolutions=True)


class SchemeRow(NamedTuple):
    """An entry of `SCHEMES`.

    Attributes:
        make: makes the `Scheme` of a value.
        symbol: what the value is called; empty where there is nothing to set.
        grid: the values that H.4 searches.
    """

    make: Callable[[float], Scheme]
    symbol: str = ""
    grid: tuple[float, ...] = (0.0,)


CONSTANTS = (0.1, 1.0, 10.0, 100.0)
SCHEMES: dict[str, SchemeRow] = {
    "Standard": SchemeRow(lambda _: Scheme()),
    "Dropout": SchemeRow(lambda q: Scheme(partial(insert_dropout, q)), "q", (0.5,)),
    "Weight decay": SchemeRow(lambda a: Scheme(penalty=partial(_half_squares, a)), "λ", (5e-4,)),
    "Björck": SchemeRow(_bjorck, "L", CONSTANTS),
    "Björck, flattened": SchemeRow(_flattened, "L", (1.0,)),
    "Spectral Norm": SchemeRow(
        lambda L: Scheme(partial(_prepare_spectral, L), constant=L), "L", CONSTANTS
    ),
    "Spectral Jac": SchemeRow(
        lambda a: Scheme(penalty=partial(_spectral_jacobian, a)), "λ", (0.01, 0.05, 0.1)
    ),
    "Parseval": SchemeRow(
        lambda beta: Scheme(after_step=partial(parseval_, beta)), "β", (0.001, 0.01, 0.1, 0.5)
    ),
    "L∞": SchemeRow(
        lambda L: Scheme(
            partial(_prepare_linf, L), after_step=project_rows_, constant=L, p=math.inf
        ),
        "L",
        CONSTANTS,
    ),
}
"""By name, in the order of Tables 4 and 5:

- Standard: nothing.
- Dropout: of a share q of the units between linear layers, and of a fifth of the inputs if the
  first layer is linear.
- Weight decay: λ/2 times the sum of the squares of all parameters, in the loss.
- Björck: linear weights are orthonormal by retraction, with gradients along the manifold, and
  convolutions as operators (`lt.orthonormal`); L by `spread_scale`.
- Björck, flattened: as the paper's convolutions, of which only the flattened kernels are
  orthonormal: their norms as operators are larger than 1, and no constant is promised.
- Spectral Norm: `lt.spectral` on every layer; L by `spread_scale`.
- Spectral Jac: λ times `lt.spectral_jacobian_penalty` in the loss, with batch normalization in
  evaluation mode.
- Parseval: one step (8) with β on every weight; it promises nothing (`lt.parseval_step`).
- L∞: the rows of every weight on the L1 ball of radius 1; L by `spread_scale`, in the ∞-norm.
"""


def make_scheme(name: str, value: float = 0.0) -> Scheme:
    """Make the scheme of that name in `SCHEMES`, with a value of its setting.

    Args:
        name: one of the names in `SCHEMES`.
        value: L, β, λ or q, as its row says, greater than 0; nothing for "Standard".

    Returns:
        The scheme.

    Example:
        >>> from lipteach.training import SCHEMES, make_scheme
        >>> [make_scheme("Björck", L).constant for L in SCHEMES["Björck"].grid]
        [0.1, 1.0, 10.0, 100.0]

    Source: Anil, Lucas and Grosse (2019), appendix H.4.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string; got {type(name).__name__}.")
    if name not in SCHEMES:
        raise ValueError(f"name must be one of {'; '.join(SCHEMES)}; got {name!r}.")
    row = SCHEMES[name]
    if row.symbol:
        check_real(value, "value", above=0.0)
    return row.make(value)
