"""Singular values of Jacobians against explicit Jacobians and their SVD (appendix F, G.3)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jacobian_support import jacobians, network, random
from torch import nn
from torch.func import jacrev, vmap

import lipteach as lt
from lipteach.primitives.jacobian import pull_and_push

DTYPES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def singular_values(f, x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(jacobians(f, x))


def diagonal(*entries: float):
    return lambda x: x * torch.tensor(entries, dtype=x.dtype)


# --- Power iteration on the Jacobian.


def test_the_first_step_on_diag_3_1() -> None:
    """From (1, 1)/√2: g, v, h, uᵀh and the new u of claim 37."""
    x, start = torch.zeros(1, 2).double(), torch.ones(2).double() / math.sqrt(2)
    sigma, u, v = lt.jacobian_power_iteration(diagonal(3, 1), x, 1, start)
    g = torch.tensor([3.0, 1.0]).double() * start
    assert g.norm().item() == pytest.approx(2.236068, abs=5e-7)
    assert v[0].tolist() == pytest.approx([0.948683, 0.316228], abs=5e-7)
    h = torch.tensor([3.0, 1.0]).double() * v[0]
    assert h.tolist() == pytest.approx([2.84605, 0.316228], abs=5e-6)
    assert sigma.tolist() == pytest.approx([2.863564], abs=5e-7)
    assert u[0].tolist() == pytest.approx([0.993884, 0.110432], abs=5e-7)
    assert (start @ h).item() == pytest.approx(2.236068, abs=5e-7)  # uᵀh with the old u: too small


@given(
    seed=st.integers(0, 10**6), batch=st.integers(1, 4), n=st.integers(1, 5), m=st.integers(1, 5)
)
@settings(max_examples=25, deadline=None)
def test_lower_bounds_that_never_fall(seed: int, batch: int, n: int, m: int) -> None:
    f, x = network(n, m, seed), random(batch, n, seed=seed)
    exact, before = singular_values(f, x), torch.zeros(batch).double()
    for steps in (1, 2, 3, 30):
        sigma = lt.jacobian_spectral_norm(f, x, steps)
        assert sigma.shape == (batch,)
        assert (before <= sigma * (1 + 1e-12)).all()
        assert (sigma <= exact[:, 0] * (1 + 1e-12)).all()
        before = sigma.detach()
    torch.testing.assert_close(lt.jacobian_singular_values(f, x), exact)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: torch.dtype) -> None:
    x = torch.zeros(2, 3, dtype=dtype)
    f = diagonal(1, 4, 2)
    sigma, u, v = lt.jacobian_power_iteration(f, x, 20)
    values = lt.jacobian_singular_values(f, x)
    assert {t.dtype for t in (sigma, u, v, values)} == {dtype}
    torch.testing.assert_close(sigma.double(), torch.full((2,), 4.0).double(), rtol=DTYPES[dtype],
                               atol=0)  # fmt: skip
    assert values.tolist() == [[4, 2, 1]] * 2


def test_it_ends_at_the_largest_singular_triple() -> None:
    f, x = network(4, 3), random(5, 4)
    J = jacobians(f, x)
    U, S, Vh = torch.linalg.svd(J, full_matrices=False)
    sigma, u, v = lt.jacobian_power_iteration(f, x, 400)
    torch.testing.assert_close(sigma, S[:, 0])
    outer = u[:, :, None] * v[:, None, :]
    torch.testing.assert_close(outer, U[:, :, :1] @ Vh[:, :1, :], rtol=0, atol=1e-6)
    assert not u.requires_grad
    assert not v.requires_grad


def test_inputs_and_outputs_of_any_shape() -> None:
    f = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), lt.MaxMin(dim=-1), nn.MaxPool2d(2)).double()
    f = f.requires_grad_(False)
    x = random(2, 2, 4, 4)
    J = vmap(jacrev(lambda a: f(a[None])[0].flatten()))(x).reshape(2, 12, 32)
    exact = torch.linalg.svdvals(J)
    torch.testing.assert_close(lt.jacobian_singular_values(f, x, chunk_size=1), exact)
    sigma, u, v = lt.jacobian_power_iteration(f, x, 500)
    torch.testing.assert_close(sigma, exact[:, 0])
    assert (u.shape, v.shape) == ((2, 12), (2, 32))
    scalar = lambda x: x.square().sum(dim=(1, 2, 3))  # noqa: E731
    torch.testing.assert_close(
        lt.jacobian_singular_values(scalar, x)[:, 0], 2 * x.flatten(1).norm(dim=1)
    )


def test_u_resumes() -> None:
    f, x = network(5, 4), random(3, 5)
    _, u, _ = lt.jacobian_power_iteration(f, x, 3)
    resumed = lt.jacobian_power_iteration(f, x, 2, u)
    for got, want in zip(resumed, lt.jacobian_power_iteration(f, x, 5), strict=True):
        torch.testing.assert_close(got, want)
    scaled = lt.jacobian_spectral_norm(f, x, 2, u=-1e-5 * u)  # of any length and sign
    torch.testing.assert_close(scaled, resumed[0])
    shared = torch.ones(4).double()
    each = [lt.jacobian_spectral_norm(f, row[None], 2, shared) for row in x]
    torch.testing.assert_close(lt.jacobian_spectral_norm(f, x, 2, shared), torch.cat(each))


def test_the_same_at_every_call() -> None:
    f, x = network(5, 4), random(3, 5)
    state = torch.get_rng_state()
    calls = [lt.jacobian_spectral_norm(f, x, 1) for _ in range(2)]
    assert torch.equal(*calls)
    seeded = [
        lt.jacobian_spectral_norm(f, x, 1, generator=torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    ]
    assert torch.equal(seeded[0], seeded[1])
    assert not torch.equal(seeded[1], seeded[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_tiny_and_huge_jacobians() -> None:
    for scale in (1e-30, 1e30):
        x = torch.zeros(1, 2)
        found = lt.jacobian_spectral_norm(diagonal(3 * scale, scale), x, 20)
        torch.testing.assert_close(found, torch.tensor([3 * scale]))


def test_a_zero_jacobian_is_zero_and_keeps_u() -> None:
    """The sample where f is flat has σ = 0; the other one is not disturbed."""
    x = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]).double().requires_grad_()
    f = lambda x: x.relu() ** 2  # noqa: E731
    start = random(2, 2)
    sigma, u, v = lt.jacobian_power_iteration(f, x, 2, start)
    assert sigma.tolist() == pytest.approx([0, 2])
    torch.testing.assert_close(u[0], start[0])
    assert v[0].tolist() == [0, 0]
    sigma.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert lt.jacobian_singular_values(f, x.detach()).tolist() == [[0, 0], [2, 2]]


def test_samples_are_kept_apart() -> None:
    """Subtracting the mean of the batch would mix them; one sample alone is its own mean."""
    f = lambda x: x - x.mean(dim=0)  # noqa: E731
    assert lt.jacobian_spectral_norm(f, random(4, 3), 2).tolist() == [0, 0, 0, 0]


def test_chunks_change_nothing() -> None:
    f, x = network(5, 4), random(7, 5)
    whole = lt.jacobian_singular_values(f, x)
    for size in (1, 3, 7, 100):
        assert torch.allclose(lt.jacobian_singular_values(f, x, size), whole, atol=1e-12)


def test_the_gradient_of_the_norm() -> None:
    """At convergence it is that of the exact largest singular value, in x and in the weights."""
    f, x = network(4, 3), random(5, 4).requires_grad_()
    wanted = [x, *f.parameters()][:-1]  # the last bias does not enter
    got = torch.autograd.grad(lt.jacobian_spectral_norm(f, x, 500).sum(), wanted)
    exact = lt.jacobian_singular_values(f, x)[:, 0].sum()
    torch.testing.assert_close(got, torch.autograd.grad(exact, wanted))


def test_torch_func() -> None:
    f, x = network(4, 3).requires_grad_(False), random(2, 5, 4)
    for call in (lt.jacobian_spectral_norm, lt.jacobian_singular_values):
        each = torch.stack([call(f, part) for part in x])
        torch.testing.assert_close(vmap(lambda part, c=call: c(f, part))(x), each)
        J = jacrev(lambda a, c=call: c(f, a))(x[0])
        assert J.isfinite().all()


def test_radius_0_and_norm_10() -> None:
    """Eigenvalues say nothing about the size of a step: (10 x₂, 0)."""
    N = torch.tensor([[0.0, 10.0], [0.0, 0.0]]).double()
    values = lt.jacobian_singular_values(lambda x: x @ N.T, random(3, 2))
    assert values.tolist() == [[10, 0]] * 3
    assert torch.linalg.eigvals(N).abs().tolist() == [0, 0]


def test_rescaling_by_the_estimate_is_no_guarantee() -> None:
    """A step between the samples: exact at each of them, and 21 times too small at 0.5."""
    f = lambda x: x / 2 + 10 * (x - 0.4).relu() - 10 * (x - 0.6).relu()  # noqa: E731
    seen = torch.tensor([[0.1], [0.3], [0.7], [0.9]]).double()
    estimate = lt.jacobian_spectral_norm(f, seen).max()
    rescaled = lambda x: f(x) / estimate  # noqa: E731
    torch.testing.assert_close(
        lt.jacobian_singular_values(rescaled, seen), torch.ones(4, 1).double()
    )
    ends = torch.tensor([[0.4], [0.6]]).double()
    assert float(rescaled(ends).diff(dim=0) / 0.2) == pytest.approx(21)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_push_is_forward_mode() -> None:
    """Reverse mode of reverse mode, as in the paper, is what torch.func.jvp computes."""
    f, x, v = network(4, 3), random(5, 4), random(5, 4, seed=1)
    _, push = pull_and_push(lambda a: f(a[None])[0], x, random(5, 3))
    torch.testing.assert_close(push(v), torch.func.jvp(f, (x,), (v,))[1])


# --- Whole networks (appendix G.3).


@given(seed=st.integers(0, 10**6), layers=st.integers(1, 4), size=st.sampled_from([1, 2, 4]))
@settings(max_examples=20, deadline=None)
def test_square_orthonormal_layers_and_sorting_are_an_isometry(
    seed: int, layers: int, size: int
) -> None:
    """Every singular value is the Lipschitz constant (G.3), for whatever sorts."""
    modules: list[nn.Module] = []
    for k in range(layers):
        layer = nn.Linear(4, 4).double()
        layer.weight.data = torch.linalg.qr(random(4, 4, seed=seed + k)).Q
        modules += [layer, lt.GroupSort(size)]
    f = nn.Sequential(*modules)
    values = lt.jacobian_singular_values(lambda x: 10 * f(x), random(3, 4, seed=seed))
    torch.testing.assert_close(values, torch.full((3, 4), 10.0).double())


def test_a_tall_layer_loses_backward_norm() -> None:
    """4 → 6 → 2, all weights orthonormal: the singular values are below 1, unlike 6 → 6 → 2."""
    tall = network(4, 6)[0]
    tall.weight.data = torch.linalg.qr(random(6, 4)).Q
    square, wide = nn.Linear(6, 6).double(), nn.Linear(6, 2).double()
    square.weight.data = torch.linalg.qr(random(6, 6)).Q
    wide.weight.data = torch.linalg.qr(random(6, 2, seed=1)).Q.T.contiguous()
    both = [nn.Sequential(first, lt.MaxMin(), wide) for first in (tall, square)]
    values = [lt.jacobian_singular_values(f, random(5, f[0].in_features)) for f in both]
    assert (values[0] < 0.999).any()
    assert (values[0] <= 1 + 1e-12).all()
    torch.testing.assert_close(values[1], torch.ones(5, 2).double())
