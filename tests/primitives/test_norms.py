"""Norms against numpy, against random vectors, and on matrices whose answer is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import normal as random

import lipteach as lt

NORMS = [1, 2, math.inf]
SHAPES = [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (2, 3, 4), (2, 1, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", NORMS)
def test_operator_norm_is_numpys(shape: tuple[int, ...], p: float) -> None:
    W = random(*shape)
    expected = np.linalg.norm(W.numpy(), ord=p, axis=(-2, -1))
    np.testing.assert_allclose(lt.operator_norm(W, p), expected, rtol=1e-12)
    assert lt.operator_norm(W, p).shape == shape[:-2]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", NORMS)
def test_mixed_norm_is_the_largest_dual_norm_of_a_row(shape: tuple[int, ...], p: float) -> None:
    W = random(*shape)
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    expected = np.linalg.norm(W.numpy(), ord=q, axis=-1).max(-1)
    np.testing.assert_allclose(lt.mixed_norm(W, p), expected, rtol=1e-12)


@pytest.mark.parametrize("p", NORMS)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 6), n=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_norms_bound_every_vector(p: float, seed: int, m: int, n: int) -> None:
    """|W x| never exceeds the norm times |x|: the meaning of an operator norm."""
    W, x = random(m, n, seed=seed), random(n, 50, seed=seed + 1)
    size = torch.linalg.vector_norm(x, ord=p, dim=0)
    image = torch.linalg.vector_norm(W @ x, ord=p, dim=0)
    assert (image <= lt.operator_norm(W, p) * size * (1 + 1e-12)).all()
    largest = (W @ x).abs().amax(0)
    assert (largest <= lt.mixed_norm(W, p) * size * (1 + 1e-12)).all()


@pytest.mark.parametrize("p", NORMS)
def test_the_norms_are_attained(p: float) -> None:
    """The maximizing vector of each norm, written down, reaches the bound."""
    W = random(4, 3)
    column = W.abs().sum(0).argmax()
    right = torch.linalg.svd(W).Vh[0]
    row = W.abs().sum(1).argmax()
    x = {1: torch.eye(3).double()[column], 2: right, math.inf: W[row].sign()}[p]
    ratio = torch.linalg.vector_norm(W @ x, ord=p) / torch.linalg.vector_norm(x, ord=p)
    torch.testing.assert_close(ratio, lt.operator_norm(W, p), rtol=1e-12, atol=0)


def test_operator_norm_is_not_the_norm_of_the_entries() -> None:
    """The trap: W.norm(inf) and W.norm(1) are entrywise, 1 and 4 here."""
    W = torch.ones(1, 4, dtype=torch.float64)
    assert [round(lt.operator_norm(W, p).item(), 12) for p in NORMS] == [1, 2, 4]
    assert [W.norm(p).item() for p in (1, math.inf)] == [4, 1]


@pytest.mark.parametrize("norm", [lt.operator_norm, lt.mixed_norm])
@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_zero_and_gradient(norm, p: float, dtype: torch.dtype) -> None:
    W = random(3, 2).to(dtype)
    assert norm(W, p).dtype == dtype
    torch.testing.assert_close(norm(W, p).double(), norm(W.double(), p), rtol=2e-2, atol=0)
    assert norm(torch.zeros_like(W), p) == 0
    if dtype == torch.float64:
        torch.autograd.gradcheck(lambda V: norm(V, p), W.requires_grad_())


@pytest.mark.parametrize("norm", [lt.operator_norm, lt.mixed_norm])
def test_torch_func(norm) -> None:
    W = random(5, 3, 2)
    torch.testing.assert_close(torch.func.vmap(norm, in_dims=(0, None))(W, 2), norm(W, 2))
    assert torch.func.jacrev(norm)(W[0], 2).shape == (3, 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_is_orthonormal_asks_the_smaller_gram(shape: tuple[int, ...]) -> None:
    U, _, Vh = torch.linalg.svd(random(*shape), full_matrices=False)
    Q = U @ Vh
    assert lt.is_orthonormal(Q).shape == shape[:-2]
    assert lt.is_orthonormal(Q).all()
    assert lt.is_orthonormal(-Q).all()
    assert not lt.is_orthonormal(1.01 * Q).any()


def test_is_orthonormal_measures_the_gram_in_the_2_norm() -> None:
    """σ = (1, 0.99): |σ² − 1| = 0.0199, whatever the rotation."""
    U, V = (torch.linalg.qr(random(2, 2, seed=s)).Q for s in (1, 2))
    W = U @ torch.diag(torch.tensor([1.0, 0.99]).double()) @ V
    assert not lt.is_orthonormal(W, tol=0.0198)
    assert lt.is_orthonormal(W, tol=0.02)


def test_is_orthonormal_counts_rank() -> None:
    assert not lt.is_orthonormal(torch.diag(torch.tensor([1.0, 0.0])))
    assert not lt.is_orthonormal(torch.zeros(2, 3))
    assert not lt.is_orthonormal(torch.ones(2, 2) / 2)  # norm 1, singular values 1 and 0
    assert lt.is_orthonormal(torch.eye(3, 2).half())


def test_the_tolerance_of_is_orthonormal() -> None:
    """‖WWᵀ − I‖₂ is compared as it is, in float64, and equality is within."""
    W = torch.tensor([[math.sqrt(1.001)]]).double()
    assert not lt.is_orthonormal(W)  # the default is 1e-4
    assert lt.is_orthonormal(torch.tensor([[1.25]]).double(), tol=0.5625)  # 1.25² − 1, exactly
    assert not lt.is_orthonormal(torch.tensor([[1 + 2.0**-20]]), tol=1e-6)
    assert lt.is_orthonormal(torch.tensor([[1 + 2.0**-22]]), tol=1e-6)


@pytest.mark.parametrize("size", [1e20, 1e-30])
def test_float32_norms_neither_overflow_nor_vanish(size: float) -> None:
    W = torch.full((1, 2), size)
    for norm in (lt.operator_norm, lt.mixed_norm):
        assert norm(W, 2).item() == pytest.approx(math.sqrt(2) * size, rel=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: lt.group_sort(x, 2),
        lambda x: lt.group_sort(x, 4),
        lt.maxmin,
        lt.full_sort,
        lt.Abs(),
        lambda x: lt.operator_norm(x, math.inf),
        lambda x: lt.mixed_norm(x, 2),
    ],
    ids=["pairs", "fours", "maxmin", "full_sort", "abs", "operator_norm", "mixed_norm"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_compile_traces_without_a_break(f) -> None:
    x = random(4, 8)
    compiled = torch.compile(f, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), f(x))


@pytest.mark.parametrize(
    "scale", [2.0**exponent for exponent in (-1060, -700, -400, 400, 700, 1020)]
)
def test_norms_do_not_know_the_unit(scale: float) -> None:
    """Where squares overflow or vanish, up to the ends of float64's range."""
    W = torch.tensor([[3.0, 1.0], [1.0, 2.0], [0.5, 1.0]], dtype=torch.float64)
    for norm in (lt.operator_norm, lt.mixed_norm):
        for p in (1, 2, math.inf):
            want = scale * norm(W, p).item()
            assert norm(scale * W, p).item() == pytest.approx(want, rel=1e-12, abs=0), (norm, p)
    bounds = lt.norm_upper_bounds(scale * W)
    for name, bound in lt.norm_upper_bounds(W).items():
        assert bounds[name].item() == pytest.approx(scale * bound.item(), rel=1e-12, abs=0), name
    sigma, u, v = lt.power_iteration(scale * W, steps=20)
    assert sigma.item() == pytest.approx(scale * lt.operator_norm(W).item(), rel=1e-9, abs=0)
    torch.testing.assert_close((u.norm(), v.norm()), (torch.ones(()).double(),) * 2)
    for method in ("auto", "svd", "bjorck", "polynomial"):
        torch.testing.assert_close(
            lt.polar(scale * W, method=method), lt.polar(W), atol=1e-5, rtol=0
        )
    assert not lt.is_orthonormal(scale * W)
