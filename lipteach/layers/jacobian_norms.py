"""Norms of the Jacobian of a model at samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives._sample_by_sample import jacobians, leaving, pull_and_push
from lipteach.primitives.norms import normalized, start_vector

MOST_ENTRIES = 2**22  # of Jacobians that are in memory together: 32 MiB in float64
MOST_SIDE = 64  # of a Jacobian, the smaller one, that is formed at every sample
STEPS = 10  # of the power method for larger ones
MOST_EXACT = 16  # of larger ones that are formed all the same


@torch.no_grad()  # a forward of its own may hold weights that ask for gradients
def jacobian_norms(model: nn.Module, x: Tensor, p: float) -> Tensor:
    """The induced p → p norm of the Jacobian at each sample of x, for p = 1, 2 or ∞.

    It is 0 where the Jacobian is not finite: of what overflows nothing is known. A large Jacobian
    is not formed: it has the lower bound of `stretched`.
    """
    if is_large(model, x):
        return stretched(model, x, p)[0]
    size = max(1, min(128, MOST_ENTRIES // (model(x[:1]).numel() * x[0].numel())))
    return torch.cat([_norms(jacobians(model, part), p) for part in in_parts(x, size)])


@torch.no_grad()
def largest_norm(model: nn.Module, x: Tensor, p: float) -> float:
    """The largest of the norms; exact at up to 16 samples, those that `jacobian_norms` prefers."""
    norms = jacobian_norms(model, x, p)
    found = float(norms.max())
    if is_large(model, x) and model(x[:1]).numel() * x[0].numel() <= MOST_ENTRIES:
        for i in norms.topk(min(MOST_EXACT, len(x))).indices.tolist():
            found = max(found, float(_norms(jacobians(model, x[i : i + 1]), p)))
    return found


def is_large(model: nn.Module, x: Tensor) -> bool:
    """Whether there are so many outputs and inputs that Jacobians are costly to form."""
    outputs: int = model(x[:1]).numel()
    return min(outputs, x[0].numel()) > MOST_SIDE


@torch.no_grad()
def stretched(model: nn.Module, x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    r"""Lower bounds of the norms, and the directions of length 1, (batch, n), which show them.

    Each step of the power method is $v \leftarrow \arg\max_{\|v\|_p = 1} u^\top J v$ and
    $u \leftarrow \arg\max_{\|u\|_q = 1} u^\top J v$, with 1/p + 1/q = 1: for p = 2 power iteration.

    Source: D. W. Boyd (1974), the power method for p-norms.
    """
    found = [_stretched(model, part, p) for part in in_parts(x, 64)]
    norms, ways = zip(*found, strict=True)
    return torch.cat(norms), torch.cat(ways)


def _stretched(model: nn.Module, x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    run = leaving(model)

    def one(sample: Tensor) -> Tensor:
        return run(sample[None]).flatten()

    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    u = start_vector(model(x[:1]).numel(), None).to(x).expand(len(x), -1)
    for _ in range(STEPS):
        g, push = pull_and_push(one, x, u)
        v = _steepest(g.flatten(1), p)
        h = push(v.view_as(g))
        u = _steepest(h, q)
    h = torch.where(h.isfinite().all(dim=1, keepdim=True), h, 0.0)
    unit = h.abs().amax(dim=1, keepdim=True)
    unit = torch.where(unit > 0, unit, 1.0)  # no square overflows
    norms = unit[:, 0] * torch.linalg.vector_norm(h / unit, p, dim=1)
    return norms.clamp(max=torch.finfo(h.dtype).max), v


def _steepest(rows: Tensor, p: float) -> Tensor:
    """The v of length 1 in the p-norm with the largest wᵀv, for each row w."""
    if p == 2:
        return normalized(rows)
    if p == math.inf:
        return rows.sign()
    largest = rows.abs().argmax(dim=1, keepdim=True)
    return torch.zeros_like(rows).scatter(1, largest, rows.gather(1, largest).sign())


def in_parts(x: Tensor, size: int) -> list[Tensor]:
    """The samples, `size` at a time."""
    return [x[i : i + size] for i in range(0, len(x), size)]


def _norms(J: Tensor, p: float) -> Tensor:
    J = torch.where(J.isfinite().all(dim=(1, 2))[:, None, None], J, 0.0)
    exponent = torch.frexp(J.abs().amax(dim=(1, 2))).exponent - 1
    unit = torch.exp2(exponent.to(J))  # a power of two: no entry exceeds 2, no square overflows
    J = J / unit[:, None, None]
    if p != 2:
        norms = torch.linalg.matrix_norm(J, p)
    else:  # The largest eigenvalue of the smaller Gram matrix: several times cheaper than an SVD.
        gram = J @ J.mT if J.shape[1] <= J.shape[2] else J.mT @ J
        norms = torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
    found: Tensor = (unit * norms).clamp(max=torch.finfo(J.dtype).max)
    return found
