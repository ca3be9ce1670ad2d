"""Small helpers that several test files share."""

import torch
from torch import Tensor


def uniform(*shape: int, low: float = -1.0, high: float = 1.0, seed: int = 0) -> Tensor:
    """Uniform float64 numbers from their own generator."""
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return low + (high - low) * unit


def svd_polar(W: Tensor) -> Tensor:
    """U Vᵀ, with the gradient of torch's own decomposition."""
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return U @ Vh
