"""Small helpers that several test files share."""

import torch
from torch import Tensor


def generator(seed: int = 0) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, low: float = -1.0, high: float = 1.0, seed: int = 0) -> Tensor:
    """Uniform float64 numbers from their own generator."""
    unit = torch.rand(*shape, generator=generator(seed), dtype=torch.float64)
    return low + (high - low) * unit


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal float64 numbers from their own generator."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def svd_polar(W: Tensor) -> Tensor:
    """U Vᵀ, with the gradient of torch's own decomposition."""
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return U @ Vh


def matrix_of(f, *shape: int, dtype=torch.float64) -> Tensor:
    """The matrix of a linear map of inputs of that shape, by its values on the axes."""
    n = torch.Size(shape).numel()
    with torch.no_grad():
        return f(torch.eye(n, dtype=dtype).view(n, *shape)).flatten(1).mT
