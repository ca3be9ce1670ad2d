"""Power iteration against the singular value decomposition (appendix B.2)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import normal as random

import lipteach as lt

SHAPES = [(1, 1), (1, 4), (4, 1), (3, 3), (2, 5), (5, 2), (2, 3, 4), (2, 1, 4, 3)]
DTYPES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def test_one_step_on_diag_2_1() -> None:
    """From (1, 1)/√2: 1.84391, and W divided by it has norm 1.08465 and not 1."""
    W = torch.diag(torch.tensor([2.0, 1.0])).double()
    sigma, u, v = lt.power_iteration(W, steps=1, u=torch.ones(2).double())
    assert sigma.item() == pytest.approx(1.84391, abs=5e-6)
    assert lt.operator_norm(W / sigma).item() == pytest.approx(1.08465, abs=5e-6)
    assert v.tolist() == pytest.approx([2 / math.sqrt(5), 1 / math.sqrt(5)])
    assert u.tolist() == pytest.approx([4 / math.sqrt(17), 1 / math.sqrt(17)])


@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 6),
    n=st.integers(1, 6),
    batch=st.lists(st.integers(1, 3), max_size=2),
)
@settings(max_examples=40, deadline=None)
def test_a_lower_bound_that_never_falls(seed: int, m: int, n: int, batch: list[int]) -> None:
    W = random(*batch, m, n, seed=seed)
    norm, before = torch.linalg.matrix_norm(W, 2), torch.zeros(batch).double()
    for steps in (1, 2, 3, 5, 20):
        sigma, u, v = lt.power_iteration(W, steps, generator=torch.Generator().manual_seed(seed))
        assert (sigma.shape, u.shape, v.shape) == (W.shape[:-2], W.shape[:-1], (*batch, n))
        assert (before <= sigma * (1 + 1e-12)).all()
        assert (sigma <= norm * (1 + 1e-12)).all()
        for vector in (u, v):
            torch.testing.assert_close(vector.norm(dim=-1), torch.ones(batch).double())
        Wv = (W @ v[..., None])[..., 0]
        torch.testing.assert_close(Wv, sigma[..., None] * u)  # so that uᵀ W v = ‖W v‖
        before = sigma


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_ends_at_the_largest_singular_triple(shape, dtype) -> None:
    U, _, Vh = torch.linalg.svd(random(*shape), full_matrices=False)
    S = 2.0 * 0.25 ** torch.arange(U.shape[-1], dtype=torch.float64)  # 2, ½, ⅛, …
    W = (U * S @ Vh).to(dtype)
    sigma, u, v = lt.power_iteration(W, steps=20)
    assert {t.dtype for t in (sigma, u, v)} == {dtype}
    torch.testing.assert_close(sigma.double(), S[0].expand(shape[:-2]), rtol=DTYPES[dtype], atol=0)
    top = U[..., :, :1] @ Vh[..., :1, :]
    outer = (u[..., :, None] * v[..., None, :]).double()
    torch.testing.assert_close(outer, top, rtol=0, atol=3 * DTYPES[dtype])


def test_equal_largest_values_and_low_rank_do_no_harm() -> None:
    eye = torch.eye(4).double()
    assert lt.power_iteration(3 * eye, steps=1)[0].item() == pytest.approx(3)
    rank_1 = torch.outer(random(5), random(3, seed=1))
    expected = lt.operator_norm(rank_1)
    torch.testing.assert_close(lt.power_iteration(rank_1, steps=1)[0], expected)


def test_u_resumes() -> None:
    W = random(2, 6, 4)
    _, u, _ = lt.power_iteration(W, steps=3)
    resumed = lt.power_iteration(W, steps=2, u=u)
    for got, want in zip(resumed, lt.power_iteration(W, steps=5), strict=True):
        torch.testing.assert_close(got, want)
    scaled = lt.power_iteration(W, steps=2, u=-1e-5 * u)  # of any length; only the sign is u's
    torch.testing.assert_close(scaled[0], resumed[0])
    torch.testing.assert_close(scaled[1], -resumed[1])
    shared = torch.ones(6).double()
    both = lt.power_iteration(W, steps=2, u=shared)[0]
    each = torch.stack([lt.power_iteration(A, steps=2, u=shared)[0] for A in W])
    torch.testing.assert_close(both, each)


def test_the_same_at_every_call() -> None:
    W = random(6, 4)
    state = torch.get_rng_state()
    first, again = lt.power_iteration(W, steps=1), lt.power_iteration(W, steps=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    seeded = [
        lt.power_iteration(W, 1, generator=torch.Generator().manual_seed(s))[0] for s in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1] != seeded[2]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (2, 3, 3)])
def test_the_gradient_is_u_v(shape: tuple[int, ...]) -> None:
    """u and v are constants; at convergence it is the gradient of ‖W‖₂, checked by autograd."""
    W = random(*shape).requires_grad_()
    sigma, u, v = lt.power_iteration(W, steps=2)
    assert not u.requires_grad
    assert not v.requires_grad
    gradient = torch.autograd.grad(sigma.sum(), W)[0]
    torch.testing.assert_close(gradient, u[..., :, None] * v[..., None, :])
    converged = torch.autograd.grad(lt.power_iteration(W, steps=500)[0].sum(), W)[0]
    exact = torch.autograd.grad(torch.linalg.matrix_norm(W, 2).sum(), W)[0]
    torch.testing.assert_close(converged, exact)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_func_and_compile() -> None:
    """Without a generator no random number is drawn, which both would refuse."""

    def estimate(A: torch.Tensor) -> torch.Tensor:
        return lt.power_iteration(A, steps=3)[0]

    W = random(5, 3, 2)
    torch.testing.assert_close(torch.func.vmap(estimate)(W), estimate(W))
    assert torch.func.vmap(torch.func.jacrev(estimate))(W).shape == W.shape
    compiled = torch.compile(estimate, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(W), estimate(W))


@pytest.mark.parametrize("size", [1e20, 1e-30])
def test_float32_neither_overflows_nor_vanishes(size: float) -> None:
    W = size * torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = torch.linalg.matrix_norm(W.double(), 2).item()
    assert lt.power_iteration(W)[0].item() == pytest.approx(expected, rel=1e-5)
