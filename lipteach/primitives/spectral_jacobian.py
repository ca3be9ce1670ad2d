"""A penalty on the spectral norm of a network's Jacobian (appendix F, Algorithm 2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.primitives._sample_by_sample import Function, pull_and_push
from lipteach.primitives._validate import check_tensor, shown
from lipteach.primitives.jacobian import check_finite, of_one, refuse_zero_rows, start
from lipteach.primitives.norms import normalized

READINGS = ("shared", "sample", "whole")


def spectral_jacobian_penalty(
    f: Function,
    x: Tensor,
    u: Tensor | None = None,
    generator: torch.Generator | None = None,
    batch: str = "shared",
) -> tuple[Tensor, Tensor]:
    r"""The penalty of Algorithm 2, one step of power iteration on the Jacobian (appendix F).

    $$g = J^\top u, \qquad v = g / \|g\|, \qquad h = J v, \qquad u \leftarrow h / \|h\|, \qquad
      \text{penalty} = u^\top h .$$

    u and v count as constants, so the gradient of the penalty is that of $u^\top J v$ for fixed u
    and v; where they have converged, it is the gradient of σ(J). Add λ · penalty to the loss. The
    algorithm leaves open what u is for a batch of Jacobians J_i; three readings:

    - "shared": one u of shape (m,), a v_i for each sample, and h the mean of the J_i v_i. It
      climbs to a maximum of the mean of the ‖J_iᵀu‖ over unit u, perhaps a local one, and at most
      the mean of the σ(J_i). This u fits every batch, of every size: keep it from one step of
      training to the next.
    - "sample": a u_i and a v_i for each sample, and the mean of the u_iᵀ J_i v_i, which climbs to
      the mean of the σ(J_i). A u of shape (batch, m) belongs to its samples.
    - "whole": one u of shape (batch, m) and one v, of length 1 over all samples together: climbs to
      the largest σ(J_i). In doing so u forgets all other samples; start anew for another batch.

    Each is a lower bound of what it climbs to. With "sample" and "whole" a u with another number of
    rows is cut, or repeated from its beginning, to the batch; where J v is zero, u stays. A u of
    "whole" of which only zeros are left gives way to the fixed vector.

    Args:
        f: a network, as in `jacobian_power_iteration`; one with batch normalization or dropout is
            given within ``lt.evaluating(f)``.
        x: a batch of inputs, of shape (batch, …).
        u: the u of the step before, or a start, of shape (m,) or with the last two readings
            (rows, m); not zero.
        generator: the source of a start, as in `power_iteration`.
        batch: the reading.

    Returns:
        ``(penalty, u)``: a scalar, differentiable in the parameters of f and in x, and the new u of
        shape (m,) for "shared" and (batch, m) otherwise, without a gradient.

    Raises:
        ValueError: if u is zero, or the Jacobian is not finite.

    Example:
        >>> f = lambda x: x * torch.tensor([3.0, 1.0])
        >>> start = torch.ones(2) / math.sqrt(2)
        >>> lt.spectral_jacobian_penalty(f, torch.zeros(5, 2), start)
        (tensor(2.8636), tensor([0.9939, 0.1104]))

    Source: Anil, Lucas and Grosse (2019), appendix F, Algorithm 2.
    """
    if not isinstance(batch, str):
        raise TypeError(f"batch must be a string; got {type(batch).__name__}.")
    if batch not in READINGS:
        raise ValueError(f'batch must be "shared", "sample" or "whole"; got {shown(batch)}.')
    one, m = of_one(f, x)
    u = _fitted(u, len(x), m, batch, generator).to(x)

    def unit(a: Tensor) -> Tensor:
        """Of length 1: all of it together for "whole", otherwise each sample."""
        rows = a.reshape(1 if batch == "whole" else len(a), -1)
        return normalized(rows).view_as(a)

    g, push = pull_and_push(one, x, unit(u).expand(len(x), m))
    h = push(unit(g.detach()))
    if batch == "shared":
        h = h.mean(0, keepdim=True)
    new = unit(h.detach())
    moved = new.any() if batch == "whole" else new.any(1, keepdim=True)
    u = torch.where(moved, new, unit(u))
    penalty = check_finite((u * h).sum()) / (len(x) if batch == "sample" else 1)
    return penalty, u[0] if batch == "shared" else u


def _fitted(u: Any, batch: int, m: int, reading: str, generator: Any) -> Tensor:
    """A start with one row for "shared", and one for each sample otherwise."""
    rows = 1 if reading == "shared" else batch
    if u is None:
        return start(None, rows, m, generator)
    check_tensor(u, "u")
    if u.shape[-1] != m or u.ndim > (1 if reading == "shared" else 2):
        need = f"({m},)" if reading == "shared" else f"({m},) or (rows, {m})"
        raise ValueError(f'u must have shape {need} for batch="{reading}"; got {tuple(u.shape)}.')
    refuse_zero_rows(u.flatten() if reading == "whole" else u)
    made: Tensor = u.detach().reshape(-1, m)
    made = made[torch.arange(rows, device=made.device) % len(made)]
    if reading == "whole":  # u may have pointed all to samples that are cut off
        made = torch.where(made.any(), made, start(None, rows, m, None).to(made))
    return made
