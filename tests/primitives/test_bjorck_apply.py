"""Björck on a vector: beside the dense iteration in float64, and the products counted."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt
from lipteach.primitives._fast import odd_chebyshev as series
from lipteach.primitives.orthonormal import scalar_map

METHODS = ("chebyshev", "recursion")


def dense(W: Tensor, v: Tensor, steps: int, order: int = 1) -> Tensor:
    """A_k v from the singular values: each moves by itself, under a polynomial of its own."""
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    coefficients = [1, 1 / 2, 3 / 8, 5 / 16, 35 / 128]
    for _ in range(steps):
        F = 1 - sigma**2
        sigma = sigma * sum(coefficients[j] * F**j for j in range(order + 1))
    return v @ (U * sigma[..., None, :] @ Vh).mT


def scaled(m: int, n: int, norm: float = 1.0, seed: int = 0) -> Tensor:
    W = uniform(m, n, seed=seed)
    return norm * W / torch.linalg.matrix_norm(W, 2)


def relative(y: Tensor, exact: Tensor) -> float:
    return float((y.double() - exact).norm() / exact.norm())


class Products(TorchDispatchMode):
    """Counts products of a matrix with a vector or with a batch of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kinds = (torch.ops.aten.mv, torch.ops.aten.mm, torch.ops.aten.bmm)
        self.count += func.overloadpacket in kinds
        return func(*args, **(kwargs or {}))


def products(*arguments, **options) -> int:
    lt.bjorck_apply(*arguments, **options)  # the scalar coefficients are made at the first call
    with Products() as counter:
        lt.bjorck_apply(*arguments, **options)
    return counter.count


@settings(deadline=None, max_examples=80)
@given(
    m=st.integers(1, 12), n=st.integers(1, 12), steps=st.integers(1, 10), order=st.integers(1, 3),
    norm=st.floats(1e-3, 1.4), tol=st.sampled_from([1e-3, 1e-5, 1e-8]), seed=st.integers(0, 99),
)  # fmt: skip
def test_it_is_the_dense_iteration(m, n, steps, order, norm, tol, seed) -> None:
    """Within tol of the result, or of v for what hides between r and the end of the basin."""
    W, v = scaled(m, n, norm, seed), uniform(n, seed=seed + 1)
    exact = dense(W, v, steps, order)
    bound = tol * (exact.norm() + (v.norm() if norm > 1.05 else 0)) + 1e-12 * v.norm()
    if order * steps < 11:
        y = lt.bjorck_apply(W, v, steps, order, tol=tol)
        assert float((y - exact).norm()) <= bound
    if (2 * order + 1) ** steps < 1000:
        y = lt.bjorck_apply(W, v, steps, order, method="recursion")
        assert torch.allclose(y, exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_numbers_of_item_23(method: str) -> None:
    W, v = torch.diag(torch.tensor([0.5, 1.0])).double(), torch.ones(2).double()
    for k, first in ((1, 0.6875), (2, 0.868774), (3, 0.975300)):
        y = lt.bjorck_apply(W, v, k, method=method)
        assert y.tolist() == pytest.approx([first, 1.0], abs=1e-6)


def test_it_is_bjorck() -> None:
    W, v = scaled(8, 5), uniform(5, seed=1)
    for order in (1, 2, 3):
        want = lt.bjorck(W, 3, order) @ v
        for method in METHODS:
            y = lt.bjorck_apply(W, v, 3, order, method, tol=1e-12)
            assert torch.allclose(y, want, rtol=1e-11)


def test_the_recursion_makes_exactly_3_to_the_k_products() -> None:
    W, v = scaled(6, 4), uniform(4)
    counts = [products(W, v, k, method="recursion") for k in range(1, 6)]
    assert counts == [3, 9, 27, 81, 243]
    assert [products(W, v, k, 2, "recursion") for k in (1, 2, 3)] == [5, 25, 125]
    assert [products(W, v, k, 3, "recursion") for k in (1, 2)] == [7, 49]


@pytest.mark.parametrize("k", range(1, 11))
def test_chebyshev_makes_fewer_products(k: int) -> None:
    """At most 3^k, and growing like 1.5^k: some 8 · 1.5^k products at norm 1 and tol = 1e-5."""
    W, v = scaled(200, 200), uniform(200)
    count = products(W, v, k)
    assert count <= min(3**k, 8 * 1.5**k)
    assert products(W, v, k, tol=1e-2) <= count <= products(W, v, k, tol=1e-9)


def test_a_small_frobenius_norm_saves_more() -> None:
    """Under (11) a Gaussian is so small that g_k is nearly a line."""
    W = uniform(100, 80)
    W = W / lt.norm_upper_bounds(W)["inf"]
    v = uniform(80, seed=1)
    counts = {k: products(W, v, k) for k in (1, 2, 3, 5, 10)}
    assert max(counts[2], counts[3]) <= 5
    assert counts[5] <= 9
    assert counts[10] <= 50
    for k in counts:
        assert relative(lt.bjorck_apply(W, v, k), dense(W, v, k)) < 1e-5


def test_fewer_products_where_the_result_is_long() -> None:
    """A vector that A_k hardly shortens needs no more than an absolute error."""
    W = torch.diag(torch.linspace(1, 1e-3, 50).double())
    assert products(W, torch.eye(50).double()[0], 10) < products(W, torch.eye(50).double()[-1], 10)
    for v in torch.eye(50).double():
        assert relative(lt.bjorck_apply(W, v, 10), dense(W, v, 10)) < 1e-5


@pytest.mark.parametrize("norm", [1e-3, 0.3, 1.0, 1.04])
@pytest.mark.parametrize("steps", [2, 5, 10])
@pytest.mark.parametrize("tol", [1e-3, 1e-7])
def test_the_bound_holds_for_every_singular_vector(norm: float, steps: int, tol: float) -> None:
    W = scaled(20, 20, norm, seed=3)
    Vh = torch.linalg.svd(W).Vh
    for v in Vh:
        assert relative(lt.bjorck_apply(W, v, steps, tol=tol), dense(W, v, steps)) < tol + 1e-11


@pytest.mark.parametrize("norm", [1.06, 1.2, 1.4, 1.6])
@pytest.mark.parametrize("hidden", [1.0, 1e-2, 1e-4, 1e-6, 1e-8, 0.0])
@pytest.mark.parametrize("steps", [4, 10])
def test_a_norm_above_the_radius_shows_or_does_no_harm(norm, hidden, steps) -> None:
    """Whatever part of v lies along a singular value beyond r, down to none."""
    sigma = torch.cat((torch.tensor([norm]), torch.linspace(0.3, 1, 40))).double()
    v = torch.cat((torch.tensor([hidden]), torch.ones(40))).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.ConvergenceWarning)  # above √2 it is the recursion
        if norm > 1.42 and steps > 5:
            return  # 3^10 products
        y = lt.bjorck_apply(torch.diag(sigma), v, steps)
    exact = dense(torch.diag(sigma), v, steps)
    assert float((y - exact).norm()) <= 1e-5 * float(exact.norm() + v.norm())


def test_above_the_square_root_of_two_it_is_the_recursion_and_says_so() -> None:
    W, v = scaled(30, 30, 1.6), uniform(30)
    with pytest.warns(lt.ConvergenceWarning, match="above √2 needs the recursion's 243 products"):
        y = lt.bjorck_apply(W, v, 5)
    assert torch.equal(y, lt.bjorck_apply(W, v, 5, method="recursion"))


def test_above_it_a_recursion_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="W must be scaled first: a singular value above √2"):
        lt.bjorck_apply(scaled(9, 9, 1.6), uniform(9), 10, order=2)


def test_beyond_the_basin_it_diverges_as_bjorck_does() -> None:
    W, v = 3 * torch.eye(2), torch.ones(2)
    for call in (lt.bjorck(W, 3) @ v, lt.bjorck_apply(W, v, 3, method="recursion")):
        assert torch.allclose(call, dense(W.double(), v.double(), 3).float())
    with pytest.warns(lt.ConvergenceWarning, match="diverged"):
        lt.bjorck_apply(1e20 * W, v, 3, method="recursion")


@pytest.mark.parametrize(("steps", "order"), [(3, 1), (10, 1), (4, 2), (3, 3), (2, 6)])
@pytest.mark.parametrize("radius", [0.04, 1.05, 2**0.5])
@pytest.mark.parametrize("certain", [True, False])
def test_the_series_keeps_what_it_says(steps, order, radius, certain) -> None:
    """|p − g| ≤ tol g inside, on points it was not made from, and ≤ tol T_d / 2 outside."""
    made = series.odd_series(steps, order, radius, 1e-5, certain)
    for c in (made.c, made.c[: made.enough]):
        d = 2 * len(c) - 1
        j = torch.arange(1, d + 1, 2, dtype=torch.float64)[:, None]
        angle = torch.linspace(0, 1.5707, 5003).double()
        sigma = radius * angle.cos()
        p, g = (
            torch.tensor(c, dtype=torch.float64) @ (j * angle).cos(),
            scalar_map(sigma, steps, order),
        )
        limit = 1.0001e-5 * g if len(c) == len(made.c) else 1.0001 * made.error + 1e-14
        assert ((p - g).abs() <= limit).all()
        if not certain:
            a = torch.linspace(0, 1, 997).double()
            a = a[radius * a.cosh() < series.LARGEST_BASIN[order - 1]]
            g = scalar_map(radius * a.cosh(), steps, order)
            gap = torch.tensor(c, dtype=torch.float64) @ (j * a).cosh() - g
            assert (gap.abs() <= 1.001e-5 / series.GROWTH * (d * a).cosh()).all()


@pytest.mark.parametrize("method", METHODS)
def test_batches_of_vectors_and_of_matrices(method: str) -> None:
    W = torch.stack([scaled(5, 7, s, seed=i) for i, s in enumerate((0.9, 0.1, 1.3))])
    v = uniform(3, 7)
    each = torch.stack([lt.bjorck_apply(A, x, 4, method=method) for A, x in zip(W, v, strict=True)])
    assert relative(lt.bjorck_apply(W, v, 4, method=method), each) < 2e-5
    rows = lt.bjorck_apply(W[0], v, 4, method=method)
    assert rows.shape == (3, 5)
    assert relative(rows, dense(W[0], v, 4)) < 2e-5
    assert lt.bjorck_apply(W, v[0], 2, method=method).shape == (3, 5)
    assert lt.bjorck_apply(W[:, None], v, 2, method=method).shape == (3, 3, 5)
    assert lt.bjorck_apply(W[0], v.expand(2, 3, 7), 2, method=method).shape == (2, 3, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_dtypes(dtype: torch.dtype, method: str) -> None:
    W, v = scaled(40, 30).to(dtype), uniform(30).to(dtype)
    for steps in (2, 5):
        y = lt.bjorck_apply(W, v, steps, method=method)
        assert y.dtype == dtype
        exact = dense(W.double(), v.double(), steps)
        assert relative(y, exact) < 1e-5 + torch.finfo(dtype).eps


def test_rounding_stays_below_the_default_tol() -> None:
    W, v = scaled(300, 300), uniform(300)
    for steps in (1, 2, 3, 5, 10):
        assert relative(lt.bjorck_apply(W.float(), v.float(), steps), dense(W, v, steps)) < 5e-6


def test_a_tol_below_the_dtype_is_said() -> None:
    W, v = scaled(3, 3), uniform(3)
    with pytest.warns(lt.ConvergenceWarning, match="below 2e-06, what torch.float32 resolves"):
        lt.bjorck_apply(W.float(), v.float(), 3, tol=1e-7)
    with pytest.warns(lt.ConvergenceWarning, match="what torch.float64 resolves"):
        lt.bjorck_apply(W, v, 3, tol=1e-15)
    assert relative(lt.bjorck_apply(W, v, 10, tol=1e-12), dense(W, v, 10)) < 2e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_gradients(method: str, shape: tuple[int, int]) -> None:
    """Against finite differences, and against autograd through the dense iteration."""
    W, v = scaled(*shape, 0.9).requires_grad_(), uniform(shape[1]).requires_grad_()
    call = lambda W, v: lt.bjorck_apply(W, v, 4, method=method, tol=1e-9)  # noqa: E731
    assert torch.autograd.gradcheck(call, (W, v))
    assert torch.autograd.gradgradcheck(call, (W, v))
    upstream = uniform(shape[0], seed=5)
    mine = torch.autograd.grad(call(W, v), (W, v), upstream)
    theirs = torch.autograd.grad(lt.bjorck(W, 4) @ v, (W, v), upstream)
    for a, b in zip(mine, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_torch_func(method: str) -> None:
    W, v = torch.stack([scaled(4, 3, s) for s in (1.0, 0.2)]), uniform(2, 3)
    call = lambda W, v: lt.bjorck_apply(W, v, 4, method=method)  # noqa: E731
    each = torch.stack([call(A, x) for A, x in zip(W, v, strict=True)])
    assert relative(torch.vmap(call)(W, v), each) < 2e-5
    jacobian = torch.func.jacrev(call, argnums=1)(W[0], v[0])
    assert torch.allclose(jacobian, lt.bjorck(W[0], 4), atol=1e-4)


def test_the_zero_vector_and_hidden_faults() -> None:
    """v = 0 gives 0; a zero matrix in a batch, or a NaN that v does not meet, is refused."""
    W = torch.eye(2)
    for method in METHODS:
        assert lt.bjorck_apply(W, torch.zeros(2), 3, method=method).tolist() == [0, 0]
    with pytest.raises(ValueError, match="zero matrix"):
        lt.bjorck_apply(torch.stack([W, 0 * W]), torch.ones(2), 1)
    spoilt = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    with pytest.raises(ValueError, match="W must be finite"):
        lt.bjorck_apply(spoilt, torch.tensor([1.0, 0.0]), 3)


def test_a_polynomial_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="steps must be fewer: 60 of order 1"):
        lt.bjorck_apply(torch.eye(4), torch.ones(4), 60)
