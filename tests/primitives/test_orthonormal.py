"""Björck's iteration and Parseval's step against the singular value decomposition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import normal
from torch.utils.flop_counter import FlopCounterMode

import lipteach as lt
from lipteach.primitives.orthonormal import series_coefficients

SHAPES = [(1, 1), (1, 5), (5, 1), (3, 3), (2, 5), (5, 2), (2, 4, 3), (2, 1, 3, 4)]
ORDERS = range(1, 7)
DTYPES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 2e-1}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """A matrix of operator norm 1, in float64."""
    W = normal(*shape, seed=seed)
    return W / torch.linalg.matrix_norm(W, 2)[..., None, None]


def scalar_map(sigma: torch.Tensor, order: int, beta: float = 0.5) -> torch.Tensor:
    """g(σ), with the coefficients as the paper writes them: (−1)^j binom(−½, j)."""
    c, term, factor = 1.0, torch.ones_like(sigma), torch.ones_like(sigma)
    for j in range(1, order + 1):
        c *= (0.5 + j - 1) / j  # −binom(−½, j)/binom(−½, j − 1)
        term = term * (1 - sigma**2)
        factor = factor + 2 * beta * c * term
    return sigma * factor


def by_svd(W: torch.Tensor, steps: int, order: int, beta: float = 0.5) -> torch.Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    for _ in range(steps):
        sigma = scalar_map(sigma, order, beta)
    return U * sigma[..., None, :] @ Vh


def test_the_series_is_that_of_the_inverse_root() -> None:
    assert series_coefficients(4) == [1, 1 / 2, 3 / 8, 5 / 16, 35 / 128]
    x = 0.3
    total = sum(c * x**j for j, c in enumerate(series_coefficients(60)))
    assert total == pytest.approx((1 - x) ** -0.5, rel=1e-14)


@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 6),
    n=st.integers(1, 6),
    batch=st.lists(st.integers(1, 3), max_size=2),
    rank=st.integers(1, 6),
    steps=st.integers(1, 4),
    order=st.sampled_from(ORDERS),
    beta=st.floats(0.001, 0.99),
)
@settings(max_examples=80, deadline=None)
def test_the_iterate_is_u_g_sigma_v(seed, m, n, batch, rank, steps, order, beta) -> None:
    """Of any shape and rank; and each iterate of the trajectory is that of fewer steps."""
    k = min(m, n, rank)
    W = random(*batch, m, k, seed=seed) @ random(*batch, k, n, seed=seed + 1)
    W = 1.4 * W / torch.linalg.matrix_norm(W, 2)[..., None, None]  # up to σ = 1.4
    got = lt.bjorck(W, steps=steps, order=order, beta=beta)
    torch.testing.assert_close(got, by_svd(W, steps, order, beta), rtol=1e-9, atol=1e-9)
    path = lt.bjorck_trajectory(W, steps=steps, order=order, beta=beta)
    assert path.shape == (steps + 1, *W.shape)
    assert torch.equal(path[0], W)
    assert torch.equal(path[-1], got)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_dtypes_reach_the_polar_factor(shape, dtype) -> None:
    """Wide or tall: the smaller Gram side becomes I (a wide W never has WᵀW = I)."""
    W = random(*shape).to(dtype)
    Q = lt.bjorck(W, steps=25)
    assert Q.shape == W.shape
    assert Q.dtype == dtype
    U, _, Vh = torch.linalg.svd(W.double(), full_matrices=False)
    torch.testing.assert_close(Q.double(), U @ Vh, rtol=0, atol=DTYPES[dtype])
    assert lt.is_orthonormal(Q, tol=10 * DTYPES[dtype]).all()


def test_transposes_and_strides() -> None:
    W = random(4, 6)
    torch.testing.assert_close(lt.bjorck(W).mT, lt.bjorck(W.mT), rtol=0, atol=1e-13)
    view = random(8, 12)[::2, ::2]
    assert torch.equal(lt.bjorck(view), lt.bjorck(view.contiguous()))
    kept = view.clone()
    lt.bjorck(view)
    assert torch.equal(view, kept)


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_convergence_is_one_more(order: int) -> None:
    """g(1 + δ) − 1 shrinks like δ^(p + 1), and no faster."""
    W = torch.tensor([[[1.02]], [[1.01]]]).double()
    coarse, fine = (lt.bjorck(W, steps=1, order=order) - 1).abs().flatten().tolist()
    if order < 5:  # beyond, the error is below the rounding of float64 far too soon
        assert math.log2(coarse / fine) == pytest.approx(order + 1, abs=0.1)
    far, near = (scalar_map(torch.tensor([1.2, 1.1]).double(), order) - 1).abs().tolist()
    assert math.log2(far / near) == pytest.approx(order + 1, abs=0.7)


@pytest.mark.parametrize(("order", "beta"), [(1, 0.5), (2, 0.5), (6, 0.5), (1, 0.01), (3, 0.2)])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 2, 2)])
def test_gradients(shape, order: int, beta: float) -> None:
    W = random(*shape).requires_grad_()

    def f(V: torch.Tensor) -> torch.Tensor:
        return lt.bjorck(V, steps=2, order=order, beta=beta)

    assert torch.autograd.gradcheck(f, W)
    assert torch.autograd.gradgradcheck(f, W)
    assert torch.autograd.gradcheck(lambda V: lt.parseval_step(V, beta), W)
    assert torch.autograd.gradcheck(lambda V: lt.bjorck_trajectory(V, steps=2), W)


FUNCTIONS = {
    "bjorck": lambda W: lt.bjorck(W, steps=3, order=2),
    "trajectory": lambda W: lt.bjorck_trajectory(W, steps=3),
    "parseval": lambda W: lt.parseval_step(W, 0.3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_func_and_compile(name: str) -> None:
    f, W = FUNCTIONS[name], random(5, 3, 2)
    one_by_one = torch.stack([f(A) for A in W])
    torch.testing.assert_close(torch.func.vmap(f)(W), one_by_one)
    J = torch.func.vmap(torch.func.jacrev(f))(W)
    assert J.shape == (*one_by_one.shape, 3, 2)
    torch.testing.assert_close(J[0], torch.autograd.functional.jacobian(f, W[0]))
    compiled = torch.compile(f, backend="eager", fullgraph=True)
    assert torch.equal(compiled(W), f(W))


@pytest.mark.parametrize("shape", [(2, 100), (100, 2)])
@pytest.mark.parametrize("order", [1, 3])
def test_a_step_costs_the_smaller_gram_side(shape, order: int) -> None:
    """Two products of 2 × 100 with 2 × 2 or 100 × 2, and order − 1 of 2 × 2 with 2 × 2."""
    with FlopCounterMode(display=False) as counter:
        lt.bjorck(random(*shape), steps=1, order=order)
    assert counter.get_total_flops() == 2 * (2 * 400 + (order - 1) * 8)


# --- What warns.


@pytest.mark.parametrize("start", [0.5, 0.9, 1.3])
def test_at_beta_one_a_step_makes_no_error_smaller_to_first_order(start: float) -> None:
    """Order 1 still converges, as 1/(4√k): what the docstring and the warning may not deny."""
    W = torch.tensor([[start]], dtype=torch.float64)
    with pytest.warns(lt.ConvergenceWarning, match="makes errors near 1 smaller"):
        error = (lt.bjorck(W, steps=10_000, beta=1.0) - 1).abs()
    assert 0.0024 < error < 0.0026


@pytest.mark.parametrize("beta", [1, 1.2, 5.0])
def test_beta_from_one_on_warns(beta: float) -> None:
    W = torch.tensor([[0.5]])
    for call in (lt.bjorck, lt.bjorck_trajectory):
        with pytest.warns(lt.ConvergenceWarning, match=f"beta = {beta} is outside") as caught:
            call(W, steps=1, beta=beta)
        assert caught[0].filename == __file__
    with pytest.warns(lt.ConvergenceWarning, match=r"outside \(0, 1\)"):
        lt.parseval_step(W, beta)


@pytest.mark.parametrize("order", ORDERS)
def test_divergence_warns(order: int) -> None:
    with pytest.warns(lt.ConvergenceWarning, match="diverged.*scale W first"):
        lt.bjorck(torch.tensor([[3.0, 0.0], [0.0, 0.5]]), steps=20, order=order)
