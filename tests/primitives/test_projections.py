"""Projections against a root finder, a solver for constrained minima, and their own definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from support import uniform
from torch import Tensor
from torch.func import jacrev, vmap

import lipteach as lt

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3)
SEEDS = st.integers(0, 10**6)
RADII = st.sampled_from([0.25, 1.0, 3.0])
hypothesis = settings(max_examples=40, deadline=None)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random(shape, seed: int) -> Tensor:
    """Normal entries of a size of their own, so that some vectors lie inside the ball."""
    generator = torch.Generator().manual_seed(seed)
    size = 4 ** torch.randint(-2, 3, (), generator=generator)
    return size * torch.randn(*shape, generator=generator, dtype=torch.float64)


def by_root(y: np.ndarray, radius: float) -> np.ndarray:
    """The simplex projection of a vector: its threshold is found by bisection, without sorting."""
    low, high = y.min() - radius - 1, y.max()
    tau = brentq(lambda t: np.maximum(y - t, 0).sum() - radius, low, high, xtol=1e-15)
    return np.maximum(y - tau, 0)


def l1_by_root(y: np.ndarray, radius: float) -> np.ndarray:
    inside = np.abs(y).sum() <= radius
    return y if inside else np.sign(y) * by_root(np.abs(y), radius)


PROJECTIONS = [(lt.project_simplex, by_root), (lt.project_l1_ball, l1_by_root)]


@pytest.mark.parametrize(("project", "reference"), PROJECTIONS)
@given(shape=SHAPES, seed=SEEDS, radius=RADII, data=st.data())
@hypothesis
def test_each_vector_is_what_the_root_finder_says(project, reference, shape, seed, radius, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    y = random(shape, seed)
    want = np.apply_along_axis(reference, dim, y.numpy(), radius)
    x = project(y, radius, dim)
    assert x.shape == y.shape
    np.testing.assert_allclose(x, want, atol=1e-12 * (1 + y.abs().max().item()))


@pytest.mark.parametrize("seed", range(8))
def test_a_solver_of_constrained_problems_finds_the_same_points(seed: int) -> None:
    """Minimize ‖x − y‖²: on the simplex, and on the L1 ball as x = p − q with p, q ≥ 0."""
    y, n = uniform(5, low=-2, high=2, seed=seed).numpy(), 5
    sum_is_one = {"type": "eq", "fun": lambda x: x.sum() - 1}
    at_most_one = {"type": "ineq", "fun": lambda x: 1 - x.sum()}
    tight = {"ftol": 1e-14, "maxiter": 500}
    onto = minimize(lambda x: ((x - y) ** 2).sum(), np.full(n, 0.2), bounds=[(0, 1)] * n,
                    constraints=sum_is_one, options=tight)  # fmt: skip
    ball = minimize(lambda x: ((x[:n] - x[n:] - y) ** 2).sum(), np.full(2 * n, 0.1),
                    bounds=[(0, 1)] * 2 * n, constraints=at_most_one, options=tight)  # fmt: skip
    np.testing.assert_allclose(lt.project_simplex(torch.tensor(y)), onto.x, atol=1e-6)
    np.testing.assert_allclose(lt.project_l1_ball(torch.tensor(y)), ball.x[:n] - ball.x[n:],
                               atol=1e-6)  # fmt: skip


@given(n=st.integers(1, 7), seed=SEEDS, radius=RADII)
@hypothesis
def test_variational_inequality(n: int, seed: int, radius: float) -> None:
    """(y − x)·(v − x) ≤ 0 at every corner v says that x is the nearest point of a convex set."""
    y = random((n,), seed)
    corners = radius * torch.eye(n, dtype=torch.float64)
    for project, vertices in (
        (lt.project_simplex, corners),
        (lt.project_l1_ball, torch.cat([corners, -corners])),
    ):
        x = project(y, radius)
        assert x.abs().sum() <= radius * (1 + 1e-14)
        assert ((vertices - x) @ (y - x)).max() <= 1e-12 * (1 + y.abs().max().item())


@pytest.mark.parametrize(("y", "ball", "simplex"), [
    ((0.8, -0.6, 0.1), (0.6, -0.4, 0), (0.85, 0, 0.15)),
    ((0.2, -0.1), (0.2, -0.1), (0.65, 0.35)),
    ((-2, 0), (-1, 0), (0, 1)),
    ((0, 0), (0, 0), (0.5, 0.5)),
    ((0.5, 1.5, -1), (0, 0.75, -0.25), (0, 1, 0)),
])  # fmt: skip
def test_algorithm_1_is_the_simplex(y, ball, simplex) -> None:
    """Item 25 of our notes: what the L1 ball asks, and what Algorithm 1 literally gives."""
    y = doubles(*y)
    torch.testing.assert_close(lt.project_l1_ball(y), doubles(*ball), rtol=0, atol=1e-15)
    torch.testing.assert_close(lt.project_simplex(y), doubles(*simplex), rtol=0, atol=1e-15)
    torch.testing.assert_close(literal_algorithm_1(y), doubles(*simplex), rtol=0, atol=1e-15)


def literal_algorithm_1(y: Tensor) -> Tensor:
    """As printed, with a loop: K is the largest k whose mean excess is below u_k."""
    u = y.sort(descending=True).values.tolist()
    K = max(k for k in range(1, len(u) + 1) if (sum(u[:k]) - 1) / k < u[k - 1])
    return (y - (sum(u[:K]) - 1) / K).clamp(min=0)


def test_vector_linf_ball_is_a_clip() -> None:
    """Clipping meets the variational inequality for the cube, whose corners are all signs."""
    y = uniform(200, 3, low=-3, high=3)
    x = y.clamp(-1, 1)
    corners = torch.cartesian_prod(*[doubles(-1, 1)] * 3)
    assert ((y - x)[:, None] * (corners - x[:, None])).sum(-1).max() <= 1e-12
    assert not lt.in_l1_ball(x).all()


def test_trap_no_early_exit() -> None:
    y = doubles(0.2, -0.1)
    assert torch.equal(lt.project_l1_ball(y), y)
    without = y.sign() * lt.project_simplex(y.abs())
    torch.testing.assert_close(without, doubles(0.55, -0.45))
    for dtype in DTYPES:
        y = uniform(4, 50, low=-0.01, high=0.01).to(dtype)
        assert torch.equal(lt.project_l1_ball(y), y)


def test_trap_no_sign() -> None:
    y = uniform(100, 4, low=-2, high=2)
    x = lt.project_l1_ball(y)
    assert (x * y >= 0).all()
    torch.testing.assert_close(lt.project_l1_ball(-y), -x)


def test_trap_wrong_axis() -> None:
    W = doubles(0.5, 0.5, 0.9, 0.9).reshape(2, 2)
    rows, columns = lt.project_linf_norm(W), lt.project_l1_ball(W, dim=0)
    torch.testing.assert_close(rows, torch.full_like(W, 0.5))
    torch.testing.assert_close(lt.operator_norm(columns, math.inf), torch.tensor(1.4).double())
    torch.testing.assert_close(columns, doubles(0.3, 0.3, 0.7, 0.7).reshape(2, 2))


@given(batch=st.lists(st.integers(1, 3), max_size=2), m=st.integers(1, 4), n=st.integers(1, 4),
       seed=SEEDS, bound=RADII)  # fmt: skip
@hypothesis
def test_linf_norm_is_bounded_and_no_matrix_of_the_ball_is_nearer(batch, m, n, seed, bound) -> None:
    W = random([*batch, m, n], seed)
    X = lt.project_linf_norm(W, bound)
    norm = lt.operator_norm(X, math.inf)
    assert (norm <= bound * (1 + 1e-14)).all()
    kept = lt.operator_norm(W, math.inf) <= bound
    assert torch.equal(X[kept], W[kept])
    V = random([*batch, m, n], seed + 1)
    V = V * (bound / lt.operator_norm(V, math.inf).clamp(min=bound))[..., None, None]
    distance = torch.linalg.matrix_norm
    assert (distance(X - W) <= distance(V - W) + 1e-12).all()


@pytest.mark.parametrize("project", [lt.project_simplex, lt.project_l1_ball])
@given(shape=SHAPES, seed=SEEDS, radius=RADII)
@hypothesis
def test_idempotent_and_non_expansive(project, shape, seed, radius) -> None:
    y, z = random(shape, seed), random(shape, seed + 1)
    x, w = project(y, radius), project(z, radius)
    torch.testing.assert_close(project(x, radius), x, rtol=1e-14, atol=1e-15)
    assert ((x - w).norm(dim=-1) <= (y - z).norm(dim=-1) * (1 + 1e-12) + 1e-14).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("radius", [1.0, 50.0])
def test_sum_is_exact_for_many_entries(dtype, scale: float, radius: float) -> None:
    y = uniform(100_000, low=-scale, high=scale).to(dtype)
    for x in (lt.project_simplex(y, radius), lt.project_l1_ball(y, radius)):
        assert x.dtype == dtype
        total = math.fsum(x.double().abs().tolist())
        if y.double().abs().sum() > radius or (x >= 0).all():
            assert total == pytest.approx(radius, rel=4 * torch.finfo(dtype).eps)
        assert total <= radius * (1 + 4 * torch.finfo(dtype).eps)


def test_hard_sums() -> None:
    """Many entries at a threshold of −r/2, a large common shift, and huge numbers."""
    n = 100_000
    y = torch.full((n,), -0.5 + 0.5 / (n - 1), dtype=torch.float64)
    y[0] = 0
    x = lt.project_simplex(y)
    assert math.fsum(x.tolist()) == pytest.approx(1, rel=1e-15)
    torch.testing.assert_close(x[1:], torch.full_like(x[1:], 0.5 / (n - 1)), rtol=1e-9, atol=0)
    near = uniform(n // 2, low=-0.5 - 1e-12, high=-0.5 + 1e-12)  # about the threshold −0.5
    half = torch.full((n // 2,), -0.5 + 1 / n, dtype=torch.float64)
    x = lt.project_simplex(torch.cat([doubles(0), half, near]))
    assert math.fsum(x.tolist()) == pytest.approx(1, rel=1e-14)
    shifted = lt.project_simplex(doubles(1e8, 1e8 - 0.5, 0))
    assert shifted.tolist() == [0.75, 0.25, 0]
    huge = lt.project_l1_ball(doubles(1e308, -1e308, 1e307), radius=1e-3)
    assert huge.tolist() == [0.0005, -0.0005, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_entry_and_ties(dtype: torch.dtype) -> None:
    y = torch.tensor([[3.0], [-3.0], [0.5]], dtype=dtype)
    assert lt.project_l1_ball(y).tolist() == [[1], [-1], [0.5]]
    assert lt.project_simplex(y).tolist() == [[1], [1], [1]]
    equal = torch.tensor([2.0, -2.0, 2.0, -2.0], dtype=dtype)
    assert lt.project_l1_ball(equal).tolist() == [0.25, -0.25, 0.25, -0.25]
    at_the_threshold = torch.tensor([1.5, 0.5, 0.0], dtype=dtype)
    assert lt.project_simplex(at_the_threshold).tolist() == [1, 0, 0]


def test_no_entry_is_negative_by_rounding() -> None:
    """Many vectors of which one entry lies within rounding of the threshold."""
    y = uniform(20_000, 10, low=0, high=2)
    y = y - y.amax(dim=1, keepdim=True)
    threshold = -lt.project_simplex(y).amax(dim=1, keepdim=True)
    for shift in (0.0, 1e-17, 2e-17):
        y = y.scatter(1, y.argmin(dim=1, keepdim=True), threshold + shift)
        assert (lt.project_simplex(y) >= 0).all()


INSIDE, OUTSIDE = doubles(0.2, -0.1, 0.0, 0.3), doubles(0.9, -0.7, 0.2, -1.4)


def test_gradients() -> None:
    """Identity inside; outside, with s the signs on the support S, the matrix I_S − s sᵀ/K."""
    assert torch.equal(jacrev(lt.project_l1_ball)(INSIDE), torch.eye(4).double())
    J = jacrev(lt.project_l1_ball)(OUTSIDE)
    s = lt.project_l1_ball(OUTSIDE).sign()
    torch.testing.assert_close(J, torch.diag(s.abs()) - torch.outer(s, s) / s.abs().sum())
    zero = jacrev(lt.project_l1_ball)(torch.zeros(3, dtype=torch.float64))
    assert torch.equal(zero, torch.eye(3).double())
    ties = jacrev(lt.project_l1_ball)(doubles(2, -2, 2))
    assert torch.isfinite(ties).all()


@pytest.mark.parametrize("y", [(0.5, -0.25, 0.25), (1, 0, 0), (-0.5, 0.5, 0), (0, -1, 0)])
def test_the_boundary_belongs_to_the_ball(y) -> None:
    """Its gradient is that of the inside, for every radius; and so is one row beside another."""
    for radius in (1.0, 4.0):
        on, eye = radius * doubles(*y), torch.eye(3).double()
        project = lambda y, radius=radius: lt.project_l1_ball(y, radius)  # noqa: E731
        assert torch.equal(jacrev(project)(on), eye)
        assert torch.equal(project(on), on)
        rows = torch.stack([on, 2 * on]).requires_grad_()
        lt.project_linf_norm(rows, radius)[0].sum().backward()
        assert torch.equal(rows.grad, torch.stack([eye[0] + eye[1] + eye[2], 0 * on]))


@pytest.mark.parametrize("y", [(1, 0, -1), (1.5, 0.5, 0), (0.75, 0.25, -0.25)])
def test_an_entry_at_the_threshold_is_not_of_the_support(y) -> None:
    """It is 0, and the K of the Jacobian counts the positive entries alone."""
    y = doubles(*y)
    on = (lt.project_simplex(y) > 0).double()
    J = torch.diag(on) - torch.outer(on, on) / on.sum()
    assert torch.equal(jacrev(lt.project_simplex)(y), J)


@pytest.mark.parametrize("function", [
    lt.project_simplex,
    lt.project_l1_ball,
    lambda y: lt.project_l1_ball(y, 0.7, dim=0),
    lambda y: lt.project_linf_norm(y, 1.5),
])  # fmt: skip
def test_gradcheck_and_gradgradcheck(function) -> None:
    """Half of the rows are inside. Cubed, the second derivatives are not all 0."""
    y = torch.stack([INSIDE, OUTSIDE, 1.7 * OUTSIDE, -INSIDE / 2]).requires_grad_()
    cubed = lambda y: function(y) ** 3  # noqa: E731
    assert torch.autograd.gradcheck(function, (y,))
    assert torch.autograd.gradcheck(cubed, (y,))
    assert torch.autograd.gradgradcheck(cubed, (y,))


@pytest.mark.parametrize("project", [lt.project_simplex, lt.project_l1_ball])
def test_vmap_and_jacrev(project) -> None:
    y = random((5, 3, 4), seed=3)
    assert torch.equal(vmap(project)(y), project(y))
    along_first = vmap(lambda v: project(v, dim=0), in_dims=1, out_dims=1)(y)
    assert torch.equal(along_first, project(y, dim=0))
    jacobians = vmap(jacrev(project))(y[:, 0])
    assert torch.equal(jacobians, torch.stack([jacrev(project)(v) for v in y[:, 0]]))


def test_a_sum_beyond_every_float_is_in_no_ball() -> None:
    y = torch.full((10,), 1e308, dtype=torch.float64)
    assert not lt.in_l1_ball(y, radius=1.7e308, tol=0.1)
    assert lt.in_l1_ball(y[:1], radius=1.7e308)


def test_membership() -> None:
    y = doubles(0.6, 0.4, 0.6, -0.4000001, 0.6, 0.5).reshape(3, 2)
    assert lt.in_l1_ball(y).tolist() == [True, True, False]
    assert lt.in_l1_ball(y, tol=1e-9).tolist() == [True, False, False]
    assert lt.in_l1_ball(y, radius=2.0, dim=0).tolist() == [True, True]
    assert lt.in_l1_ball(y[:, :1], radius=1.7, dim=-2).tolist() == [False]
    for radius in (0.01, 1.0, 100.0):  # the tolerance is relative
        for share in (0.5e-6, 2e-6):
            assert lt.in_l1_ball(doubles(radius * (1 + share)), radius).item() == (share < 1e-6)


@pytest.mark.parametrize(("dtype", "tol"), [*zip(DTYPES, [1e-3, 1e-2, 1e-6, 1e-6], strict=True)])
def test_what_is_projected_is_a_member(dtype: torch.dtype, tol: float) -> None:
    y = uniform(20, 500, low=-1, high=1).to(dtype)
    assert lt.in_l1_ball(lt.project_l1_ball(y, 3.0), 3.0, tol=tol).all()
