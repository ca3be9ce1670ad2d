"""The polar factor: nearest, orthonormal to its tolerance, by every method, with its warnings."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import svd_polar, uniform
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt
from lipteach.primitives._fast import polar_methods as methods
from lipteach.primitives.polar import METHODS

SHAPES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (3, 7), (2, 3, 6, 4), (3, 2, 5), (40, 33)]


def by_svd(W: torch.Tensor) -> torch.Tensor:
    return svd_polar(W.double())


def defect(Q: torch.Tensor) -> float:
    """‖QᵀQ − I‖₂ of the smaller Gram side, in float64, the largest of the batch."""
    return (torch.linalg.svdvals(Q.detach().double()).square() - 1).abs().max().item()


def near(m: int, n: int, noise: float, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    Q = by_svd(torch.randn(m, n, generator=g, dtype=torch.float64))
    return (Q + noise * torch.randn(m, n, generator=g, dtype=torch.float64) / math.sqrt(m)).to(
        dtype
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_u_v_transposed(method: str, shape: tuple[int, ...]) -> None:
    W = uniform(*shape, low=-3, high=3)
    Q = lt.polar(W, tol=1e-12, method=method)
    assert Q.shape == W.shape
    assert Q.dtype == W.dtype
    assert torch.allclose(Q, by_svd(W), atol=1e-8)
    assert defect(Q) <= 2e-12


@settings(deadline=None, max_examples=60)
@given(
    m=st.integers(1, 12), n=st.integers(1, 12), batch=st.lists(st.integers(1, 3), max_size=2),
    method=st.sampled_from(METHODS), dtype=st.sampled_from([torch.float32, torch.float64]),
    scale=st.floats(-3, 3), seed=st.integers(0, 2**20),
)  # fmt: skip
def test_orthonormal_and_nearest_for_every_shape(m, n, batch, method, dtype, scale, seed) -> None:
    g = torch.Generator().manual_seed(seed)
    W = 10**scale * torch.randn(*batch, m, n, generator=g, dtype=torch.float64)
    sigma = torch.linalg.svdvals(W)
    W = W.to(dtype)
    Q = lt.polar(W, tol=1e-5, method=method)
    assert defect(Q) <= 1e-5
    ill = (sigma.amax() / sigma.amin()).item()  # the sensitivity of the factor to rounding
    close = 1e-5 + 40 * torch.finfo(dtype).eps * ill
    assert (Q.double() - by_svd(W)).abs().max() <= close


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(300, 300), (300, 200), (200, 300)])
@pytest.mark.parametrize("noise", [0.0, 0.001, 0.02, 0.1, 0.3, None])
def test_large_matrices_near_and_far(shape, noise: float | None, dtype: torch.dtype) -> None:
    m, n = shape
    W = uniform(m, n).to(dtype) if noise is None else near(m, n, noise, dtype=dtype)
    tol = 1e-5 if dtype == torch.float32 else 1e-12
    Q = lt.polar(W, tol=tol)
    assert defect(Q) <= tol
    assert (Q.double() - by_svd(W)).abs().max() < (1e-4 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_tolerance_near_the_floor_is_kept(method: str) -> None:
    """However the last step falls: the estimate of the error is less sharp than the tolerance."""
    Q, n = by_svd(uniform(200, 200)), 200
    tol = 1.1 * math.sqrt(n) * torch.finfo(torch.float32).eps
    for s in torch.linspace(0.1, 1, 25, dtype=torch.float64):
        sigma = torch.where(torch.arange(n) < 100, s, 1.0)
        assert defect(lt.polar((Q * sigma).float(), tol, method)) <= tol


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alpha", [3.0, 0.01, -2.0])
def test_the_limit_forgets_a_positive_scale(method: str, alpha: float) -> None:
    """B.3 scale invariance: BJORCK(αW) = sign(α) BJORCK(W), not α BJORCK(W)."""
    W = uniform(5, 3)
    want = math.copysign(1, alpha) * lt.polar(W, tol=1e-12)
    assert torch.allclose(lt.polar(alpha * W, tol=1e-12, method=method), want)


def test_two_identities_are_not_turned_round() -> None:
    """Björck's step takes 2I to −I; scaled first, it reaches the polar factor I."""
    assert torch.allclose(lt.bjorck(2 * torch.eye(2), steps=1), -torch.eye(2))
    for method in METHODS:
        assert torch.allclose(lt.polar(2 * torch.eye(2), method=method), torch.eye(2), atol=1e-5)


class Products(TorchDispatchMode):
    """Counts matrix products, in units of 2·n³ for n × n by n × n."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.count = n, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            *_, a, b = args
            self.count += a.numel() * b.shape[-1] / self.n**3
        return result


@pytest.mark.parametrize(("noise", "forward", "both"), [(0.02, 4, 10), (0.1, 5, 14)])
def test_products_near_the_manifold(noise: float, forward: int, both: int) -> None:
    W = near(256, 256, noise).requires_grad_()
    with Products(256) as counter:
        Q = lt.polar(W)
        assert forward <= counter.count <= forward + 0.2  # Lanczos' vectors are the rest
        Q.backward(torch.ones_like(Q))
    assert counter.count <= both + 0.2


def test_zero_singular_values_are_said() -> None:
    thin = uniform(20, 3) @ uniform(3, 10, seed=1)
    for method in METHODS:
        for W in (thin, thin.float(), torch.diag(torch.tensor([1.0, 0.0])), torch.ones(3, 3)):
            text = "lacks full rank: its singular values reach"
            with pytest.warns(lt.RankWarning, match=text) as caught:
                Q = lt.polar(W, method=method)
            assert [w.filename for w in caught] == [__file__], "the caller is named"
            assert defect(Q) <= 1e-5  # filled with noise, or with some completion


@pytest.mark.parametrize("method", ["auto", "svd", "polynomial"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_cold_gaussian_matrix_has_full_rank(method: str, seed: int) -> None:
    """The usual rule, max(m, n)·eps·σmax, would call some of them deficient in float32."""
    W = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert defect(lt.polar(W, method=method)) <= 1e-5


def test_a_large_deficient_matrix_is_not_missed() -> None:
    W = torch.randn(300, 300, generator=torch.Generator().manual_seed(0))
    W[:, 5] = W[:, 6]
    for method in METHODS:
        with pytest.warns(lt.RankWarning):
            lt.polar(W, method=method)


def test_a_nearly_deficient_matrix_is_none() -> None:
    W = torch.diag(torch.tensor([1.0, 1e-5]))
    for method in METHODS:
        assert torch.allclose(lt.polar(W, method=method), torch.eye(2), atol=1e-5)


def test_a_tolerance_below_the_dtype_is_said() -> None:
    with pytest.warns(lt.ConvergenceWarning, match=r"tol = 1\.0e-08 is below what torch\.float32"):
        Q = lt.polar(torch.eye(3) + 0.1, tol=1e-8)
    assert defect(Q) < 1e-6


def test_the_figure_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "_MOST_STEPS", 3)
    with pytest.warns(lt.ConvergenceWarning, match=r"after 3 steps at .* = [\d.e+-]+; tol is"):
        lt.polar(torch.diag(torch.tensor([1.0, 0.01])), method="bjorck")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision_is_rounded_from_float32(dtype: torch.dtype, method: str) -> None:
    W = near(6, 4, 0.1).to(dtype)
    Q = lt.polar(W, method=method)
    assert Q.dtype == dtype
    assert torch.allclose(Q.float(), by_svd(W).float(), atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(6, 4), (160, 140)])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-5, 1e18, 1e30])
def test_tiny_and_huge_entries(scale: float, shape: tuple[int, int]) -> None:
    """Large matrices too, whose Gram matrix vanishes, overflows, or drowns in 1 − 1."""
    W = uniform(*shape)
    for method in METHODS:
        Q = lt.polar((scale * W).float(), method=method)
        assert defect(Q) <= 1e-5
        assert torch.allclose(Q.double(), by_svd(W), atol=1e-4), method


def test_autocast_does_not_reach_inside() -> None:
    W = near(40, 40, 0.05).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for method in METHODS:
            Q = lt.polar(W, method=method)
            assert Q.dtype == torch.float32
            assert defect(Q) <= 1e-5
        Q.sum().backward()
    assert W.grad.dtype == torch.float32


def test_the_input_is_left_as_it_was() -> None:
    for W in (near(200, 200, 0.02), near(200, 150, 1.0)):
        kept = W.clone()
        for method in METHODS:
            lt.polar(W, method=method)
            assert torch.equal(W, kept)


@pytest.mark.parametrize("n", [1, 2, 16, 17, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tolerance_is_said_to_be_too_small_exactly_where_it_is(n: int, dtype) -> None:
    """Below 4 eps, or √n eps where that is more."""
    W, eps = torch.eye(n, dtype=dtype), torch.finfo(dtype).eps
    floor = max(4.0, n**0.5) * eps
    lt.polar(W, tol=1.01 * floor)
    with pytest.warns(lt.ConvergenceWarning, match=f"below what {dtype} holds for {n} columns"):
        lt.polar(W, tol=0.99 * floor)
