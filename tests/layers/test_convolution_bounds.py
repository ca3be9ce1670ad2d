"""The bounds of a convolution's norm, against a fine grid and against whole matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch.nn import functional as F

import lipteach as lt


def on_a_grid(K: torch.Tensor, size: int) -> torch.Tensor:
    """The largest norm of the symbol on a fine grid, by FFT: a lower bound of the supremum."""
    symbol = torch.fft.fft2(K, (size, size)).permute(2, 3, 0, 1)
    return torch.linalg.matrix_norm(symbol, 2).max()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (5, 5, 5, 4))),
    seed=st.integers(0, 999),
    smooth=st.booleans(),
)
def test_the_supremum_lies_between_the_bounds(shape, seed: int, smooth: bool) -> None:
    K = uniform(*shape, seed=seed)
    if smooth:  # a low-pass kernel, with its maximum at frequency 0, and a high-pass one
        K = K.abs() * (1.0 if seed % 2 else (-1.0) ** torch.arange(shape[3]))
    low, high = lt.convolution_norm_bounds(K)
    found = on_a_grid(K, 203)  # prime to the grids of the function
    assert found <= high * (1 + 1e-12)
    assert found * 1.01 >= low
    assert high <= 1.002 * low


@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2), (3, 2)])
def test_the_norm_on_images_is_below_and_comes_near(stride) -> None:
    K = uniform(3, 2, 4, 3)
    low, high = lt.convolution_norm_bounds(K, stride)
    images = torch.eye(2 * 18 * 18, dtype=torch.float64).view(-1, 2, 18, 18)
    norm = torch.linalg.matrix_norm(F.conv2d(images, K, stride=stride, padding=2).flatten(1), 2)
    assert norm <= high
    assert norm >= 0.93 * low


def test_a_stride_is_not_treated_as_none() -> None:
    K = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    assert [float(b) for b in lt.convolution_norm_bounds(K, 2)] == pytest.approx([2, 2])
    assert [float(b) for b in lt.convolution_norm_bounds(K)] == pytest.approx([4, 4], rel=1e-3)


def test_one_by_one_and_zero_and_orthogonal_kernels_are_exact() -> None:
    K = uniform(4, 3, 1, 1)
    exact = torch.linalg.matrix_norm(K.flatten(1), 2)
    assert [float(b) for b in lt.convolution_norm_bounds(K)] == pytest.approx(2 * [float(exact)])
    assert [float(b) for b in lt.convolution_norm_bounds(0 * K)] == [0, 0]
    conv = lt.orthonormal(torch.nn.Conv2d(8, 12, 5).double(), tol=1e-12)
    low, high = lt.convolution_norm_bounds(conv.weight.detach())
    assert abs(low - 1) < 1e-9
    assert abs(high - 1) < 1e-9


def test_both_bounds_are_differentiable() -> None:
    K = uniform(2, 3, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lt.convolution_norm_bounds, (K,))


@pytest.mark.parametrize("exponent", [-600, -540, 530, 1000])
def test_bounds_of_kernels_whose_squares_leave_the_range(exponent: int) -> None:
    kernel = uniform(2, 3, 3, 3)
    bounds = lt.convolution_norm_bounds(kernel * 2.0**exponent)
    for scaled, plain in zip(bounds, lt.convolution_norm_bounds(kernel), strict=True):
        assert float(scaled) == float(plain) * 2.0**exponent
