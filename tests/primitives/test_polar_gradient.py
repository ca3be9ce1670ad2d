"""The derivative of the polar factor, against autograd through SVD and through the iteration."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import svd_polar, uniform

import lipteach as lt
from lipteach.primitives.polar import METHODS, solve_sylvester

SHAPES = [(4, 4), (6, 3), (3, 6), (2, 5, 3), (1, 1), (1, 4), (4, 1)]


def vjp(function, W: torch.Tensor, G: torch.Tensor) -> torch.Tensor:
    W = W.detach().clone().requires_grad_()
    return torch.autograd.grad(function(W), W, G)[0]


def some(shape, near: bool) -> torch.Tensor:
    W = uniform(*shape, low=-2, high=2)
    return svd_polar(W) + 0.05 * uniform(*shape, seed=1) if near else W


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_against_svd_and_unrolling(method: str, shape, near: bool) -> None:
    W, G = some(shape, near), uniform(*shape, seed=2)
    got = vjp(lambda W: lt.polar(W, 1e-13, method), W, G)
    assert torch.allclose(got, vjp(svd_polar, W, G), rtol=1e-7, atol=1e-9)
    scaled = lambda W: lt.bjorck(W / torch.linalg.matrix_norm(W.detach(), 2, keepdim=True), 60)  # noqa: E731
    assert torch.allclose(got, vjp(scaled, W, G), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shape", [(200, 200), (220, 150), (150, 220)])
@pytest.mark.parametrize("noise", [0.02, 0.1, 3.0])
def test_large_gradients_in_float64(shape, noise: float) -> None:
    """Chebyshev's iteration near the manifold, the eigenvectors of WᵀW elsewhere."""
    W = svd_polar(uniform(*shape)) + noise * uniform(*shape, seed=1) / shape[0] ** 0.5
    G = uniform(*shape, seed=2)
    got, want = vjp(lambda W: lt.polar(W, 1e-12), W, G), vjp(svd_polar, W, G)
    assert (got - want).norm() <= 1e-9 * want.norm()


@pytest.mark.parametrize("noise", [0.02, 0.1, 3.0])
def test_large_gradients_in_float32(noise: float) -> None:
    W = svd_polar(uniform(256, 200)) + noise * uniform(256, 200, seed=1) / 16
    G = uniform(256, 200, seed=2)
    got, want = vjp(lt.polar, W.float(), G.float()), vjp(svd_polar, W, G)
    assert (got - want).norm() <= 1e-5 * want.norm()


# torch's own forward mode imports torch.jit.script, which warns of itself.
FORWARD = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


@FORWARD
@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
def test_first_and_second_derivatives(method: str, shape, near: bool) -> None:
    W = some(shape, near).requires_grad_()
    f = lambda W: lt.polar(W, 1e-13, method)  # noqa: E731
    assert torch.autograd.gradcheck(f, W, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(f, W)


@FORWARD
def test_the_derivative_is_its_own_transpose() -> None:
    W = uniform(5, 3)
    J = torch.func.jacrev(lt.polar)(W).reshape(15, 15)
    assert torch.allclose(J, J.T)
    assert torch.allclose(J, torch.func.jacfwd(lt.polar)(W).reshape(15, 15))
    assert torch.allclose(J, torch.autograd.functional.jacobian(svd_polar, W).reshape(15, 15))


@pytest.mark.parametrize("method", METHODS)
def test_torch_func(method: str) -> None:
    W, G = uniform(4, 5, 3), uniform(4, 5, 3, seed=1)
    f = lambda W: lt.polar(W, 1e-12, method)  # noqa: E731
    assert torch.allclose(torch.func.vmap(f)(W), svd_polar(W))
    assert torch.allclose(
        torch.func.vmap(f, in_dims=1, out_dims=1)(W.movedim(0, 1)), f(W).movedim(0, 1)
    )

    def loss(W, G):
        return (f(W) * G).sum()

    per_sample = torch.func.vmap(torch.func.grad(loss))(W, G)
    assert torch.allclose(per_sample, vjp(svd_polar, W, G))
    nested = torch.func.vmap(torch.func.vmap(torch.func.grad(loss)))(W[None], G[None])
    assert torch.allclose(nested[0], per_sample)


@FORWARD
@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2)])
def test_second_derivatives_by_forward_and_reverse_mode(method: str, shape, near: bool) -> None:
    W, fwd, rev = some(shape, near), torch.func.jacfwd, torch.func.jacrev
    f = lambda W: lt.polar(W, 1e-12, method)  # noqa: E731
    want = rev(rev(svd_polar))(W)
    for outer, inner in ((fwd, rev), (rev, fwd)):
        assert torch.allclose(outer(inner(f))(W), want, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise", [0.05, 3.0])
def test_many_upstream_gradients_at_once(method: str, noise: float) -> None:
    """By vmap, of which torch.autograd has one of its own; neither may meet work in place."""
    for shape in ((4, 3), (140, 130)):
        W = svd_polar(uniform(*shape)) + noise * uniform(*shape, seed=1) / shape[0] ** 0.5
        W.requires_grad_()
        G = uniform(2, *shape, seed=2)
        Q = lt.polar(W, method=method)
        got = torch.autograd.grad(Q, W, G, is_grads_batched=True, retain_graph=True)[0]
        for i in range(2):
            assert torch.allclose(got[i], torch.autograd.grad(Q, W, G[i], retain_graph=True)[0])
        with torch.no_grad():
            _, pull = torch.func.vjp(lambda W: lt.polar(W, method=method), W.detach())
            assert torch.allclose(torch.func.vmap(pull)(G)[0], got)


def test_one_upstream_gradient_of_many() -> None:
    """A loss with equal entries, as .sum() has, gives an expanded gradient."""
    W = uniform(5, 3).requires_grad_()
    (lt.polar(W).sum() + lt.polar(W).T.sum()).backward()
    assert torch.allclose(W.grad, 2 * vjp(svd_polar, W, torch.ones(5, 3).double()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise", [0.02, 3.0])
def test_memory_of_at_most_four_matrices(method: str, noise: float) -> None:
    """Unrolled, each step keeps three more; here the number does not depend on the steps."""
    W = (svd_polar(uniform(160, 160)) + noise * uniform(160, 160, seed=1) / 13).requires_grad_()

    def kept(function) -> int:
        held = {}
        note = lambda t: held.setdefault(t.data_ptr(), t.numel()) and t  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            result = function(W)
        assert result.requires_grad
        return sum(held.values()) // W.numel()

    assert kept(lambda W: lt.polar(W, method=method)) <= 4
    assert kept(lambda W: lt.bjorck(W / 30, 10)) >= 20


def test_equal_and_opposite_pairs_have_a_finite_gradient() -> None:
    """Equal singular values are harmless; SVD's own backward pass divides by their difference."""
    W = torch.eye(3).double() * 2
    got = vjp(lt.polar, W, uniform(3, 3))
    assert torch.isfinite(got).all()
    G = uniform(3, 3)
    assert torch.allclose(got, (G - G.T) / 4)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 6), batch=st.integers(1, 3), seed=st.integers(0, 2**20))
def test_sylvester_solves_its_equation(n: int, batch: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    A, K = (torch.randn(batch, n, n, generator=g, dtype=torch.float64) for _ in range(2))
    H = A @ A.mT + 0.1 * torch.eye(n)
    Y = solve_sylvester(H, K)
    assert torch.allclose(H @ Y + Y @ H, K, atol=1e-8)
