"""The norms of a model's Jacobians at samples, a few samples at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.primitives.jacobian import jacobians

MOST_ENTRIES = 2**22  # of the Jacobians that are in memory together: 32 MiB in float64


@torch.no_grad()  # a forward of its own may hold weights that ask for gradients
def jacobian_norms(model: nn.Module, x: Tensor, p: float) -> Tensor:
    """The induced p → p norm of the Jacobian at each sample of x, for p = 1, 2 or ∞.

    It is 0 where the Jacobian is not finite: of what overflows nothing is known.
    """
    entries = model(x[:1]).numel() * x[0].numel()
    parts = torch.split(x, max(1, min(128, MOST_ENTRIES // entries)))
    return torch.cat([_norms(jacobians(model, part), p) for part in parts])


def _norms(J: Tensor, p: float) -> Tensor:
    finite = J.isfinite().all(dim=(1, 2))
    J = torch.where(finite[:, None, None], J, 0.0)
    norms: Tensor
    if p != 2:
        norms = torch.linalg.matrix_norm(J, p)
        return norms
    # The largest eigenvalue of the smaller Gram matrix: several times cheaper than an SVD.
    largest = J.abs().amax(dim=(1, 2))
    A = J / torch.where(largest > 0, largest, 1.0)[:, None, None]  # no square overflows
    gram = A @ A.mT if A.shape[1] <= A.shape[2] else A.mT @ A
    norms = largest * torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
    return norms
