"""Norms of the Jacobian of a model at samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.primitives._sample_by_sample import jacobians
from lipteach.primitives.norms import normalized, start_vector

MOST_ENTRIES = 2**22  # of Jacobians that are in memory together: 32 MiB in float64
MOST_SIDE = 64  # of a Jacobian, the smaller one, that is decomposed at every sample
BEST, STEPS = 4, 10  # of larger ones, those of the largest estimates are; of power iteration


@torch.no_grad()  # a forward of its own may hold weights that ask for gradients
def jacobian_norms(model: nn.Module, x: Tensor, p: float) -> Tensor:
    """The induced p → p norm of the Jacobian at each sample of x, for p = 1, 2 or ∞.

    It is 0 where the Jacobian is not finite: of what overflows nothing is known. Of large Jacobians
    the 2-norm is exact at the few samples where ten steps of power iteration find most; there and
    elsewhere it is never above the norm.
    """
    m, n = model(x[:1]).numel(), x[0].numel()
    parts = in_parts(x, max(1, min(128, MOST_ENTRIES // (m * n))))
    if p != 2 or min(m, n) <= MOST_SIDE:
        return torch.cat([_norms(jacobians(model, part), p) for part in parts])
    found = torch.cat([_estimates(jacobians(model, part)) for part in parts])
    best = found.topk(min(BEST, len(found))).indices
    for i in best.tolist():
        found[i] = _norms(jacobians(model, x[i : i + 1]), 2)[0]
    return found


def in_parts(x: Tensor, size: int) -> list[Tensor]:
    """The samples, `size` at a time."""
    return [x[i : i + size] for i in range(0, len(x), size)]


def _norms(J: Tensor, p: float) -> Tensor:
    J, unit = _in_units(J)
    if p != 2:
        norms = torch.linalg.matrix_norm(J, p)
    else:  # The largest eigenvalue of the smaller Gram matrix: several times cheaper than an SVD.
        gram = J @ J.mT if J.shape[1] <= J.shape[2] else J.mT @ J
        norms = torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
    found: Tensor = (unit * norms).clamp(max=torch.finfo(J.dtype).max)
    return found


def _estimates(J: Tensor) -> Tensor:
    """Lower bounds of the 2-norms, by power iteration."""
    J, unit = _in_units(J)
    v = start_vector(J.shape[2], None).to(J).expand(len(J), -1)[..., None]
    for _ in range(STEPS):
        v = normalized((J.mT @ (J @ v)).mT).mT
    found: Tensor = unit * (J @ v)[..., 0].norm(dim=1)
    return found.clamp(max=torch.finfo(J.dtype).max)


def _in_units(J: Tensor) -> tuple[Tensor, Tensor]:
    """J over a power of two for each sample, so that no square overflows, and those powers."""
    J = torch.where(J.isfinite().all(dim=(1, 2))[:, None, None], J, 0.0)
    exponent = torch.frexp(J.abs().amax(dim=(1, 2))).exponent - 1  # entries stay below 2
    unit = torch.exp2(exponent.to(J))
    return J / unit[:, None, None], unit
