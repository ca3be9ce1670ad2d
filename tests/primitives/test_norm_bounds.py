"""The bounds (9) to (11) of appendix B.3, and two that are better, against the SVD."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import normal as random

import lipteach as lt

NAMES = ["max", "one", "inf", "geometric", "gram"]
UP = 1 + 1e-12  # rounding


@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 7),
    n=st.integers(1, 7),
    batch=st.lists(st.integers(1, 3), max_size=2),
    power=st.sampled_from([1, 3, 5]),
)
@settings(max_examples=80, deadline=None)
def test_they_hold_and_are_what_they_are_called(seed, m, n, batch, power) -> None:
    W = random(*batch, m, n, seed=seed) ** power  # 3 and 5: a few entries far above the others
    bounds = lt.norm_upper_bounds(W)
    assert list(bounds) == NAMES
    norm = torch.linalg.matrix_norm(W, 2)
    A = W.numpy()
    column_sum, row_sum = (np.linalg.norm(A, ord=p, axis=(-2, -1)) for p in (1, np.inf))
    sigma = np.linalg.svd(A, compute_uv=False)
    want = {
        "max": math.sqrt(m * n) * np.abs(A).max((-2, -1)),
        "one": math.sqrt(n) * column_sum,
        "inf": math.sqrt(m) * row_sum,
        "geometric": np.sqrt(column_sum * row_sum),
        "gram": (sigma**8).sum(-1) ** (1 / 8),
    }
    for name, bound in bounds.items():
        assert bound.shape == W.shape[:-2]
        np.testing.assert_allclose(bound, want[name], rtol=1e-11)
        assert (norm <= bound * UP).all()
    for name in NAMES[:3]:
        assert (bounds["geometric"] <= bounds[name] * UP).all()
    assert (bounds["gram"] <= min(m, n) ** (1 / 8) * norm * UP).all()


def test_ones_of_shape_1_4() -> None:
    """σ = 2. The entrywise norms, 4 and 1 for ones, would make (11) 1, below σ."""
    W = torch.ones(1, 4, dtype=torch.float64)
    bounds = lt.norm_upper_bounds(W)
    assert [bounds[name].item() for name in NAMES[:3]] == [2, 2, 4]
    assert math.sqrt(1) * W.norm(math.inf).item() == 1 < lt.operator_norm(W)


def test_swapped_roots_fail() -> None:
    """(10) with √m and (11) with √n: ones(1, 4) gives 1 for σ = 2, and so do random matrices."""
    failed, generator = 0, torch.Generator().manual_seed(0)
    for seed in range(300):
        m, n = torch.randint(1, 8, (2,), generator=generator).tolist()
        W = random(m, n, seed=seed)
        norm = torch.linalg.matrix_norm(W, 2) * (1 - 1e-12)
        failed += bool(math.sqrt(m) * lt.operator_norm(W, 1) < norm)
    assert 15 < failed < 90
    flat = torch.ones(1, 4).double()
    assert math.sqrt(1) * lt.operator_norm(flat, 1) == 1 < lt.operator_norm(flat)
    tall = flat.mT
    assert math.sqrt(1) * lt.operator_norm(tall, math.inf) == 1 < lt.operator_norm(tall)


def test_each_bound_is_attained() -> None:
    for shape in [(1, 4), (4, 1), (3, 5)]:
        W = torch.ones(shape).double()
        for name in ("max", "geometric", "gram"):
            torch.testing.assert_close(lt.norm_upper_bounds(W)[name], lt.operator_norm(W))
    row, column = torch.ones(1, 4).double(), torch.ones(4, 1).double()
    assert lt.norm_upper_bounds(row)["one"] == lt.operator_norm(row)
    assert lt.norm_upper_bounds(column)["inf"] == lt.operator_norm(column)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_and_the_zero_matrix(dtype: torch.dtype) -> None:
    W = random(2, 3, 4).to(dtype)
    for name, bound in lt.norm_upper_bounds(W).items():
        assert bound.dtype == dtype
        exact = lt.norm_upper_bounds(W.double())[name]
        torch.testing.assert_close(bound.double(), exact, rtol=1e-2, atol=0)
        assert lt.norm_upper_bounds(torch.zeros_like(W))[name].tolist() == [0, 0]


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_neither_squares_nor_eighth_powers_overflow_or_vanish(size: float) -> None:
    W = random(3, 4)
    for name, bound in lt.norm_upper_bounds(size * W).items():
        torch.testing.assert_close(bound / size, lt.norm_upper_bounds(W)[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gradient_torch_func_and_compile(name: str) -> None:
    def bound(A: torch.Tensor) -> torch.Tensor:
        return lt.norm_upper_bounds(A)[name]

    W = random(5, 3, 2)
    assert torch.autograd.gradcheck(bound, W.clone().requires_grad_())
    assert torch.autograd.gradgradcheck(bound, W.clone().requires_grad_())
    torch.testing.assert_close(torch.func.vmap(bound)(W), bound(W))
    assert torch.func.vmap(torch.func.jacrev(bound))(W).shape == W.shape
    compiled = torch.compile(bound, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(W), bound(W))


def test_the_table_3_scaling() -> None:
    """Scaled by (11), a Gaussian 200 × 200 starts far below 1; by "gram", near it."""
    W = random(200, 200)
    bounds, norm = lt.norm_upper_bounds(W), lt.operator_norm(W)
    assert bounds["inf"] / norm > 5
    assert bounds["gram"] / norm < 1.5
