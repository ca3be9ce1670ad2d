"""What `polar` is made of: best quintics, a quick thin SVD, spectra, matrix polynomials."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from support import uniform

from lipteach.primitives._fast import polynomials
from lipteach.primitives._fast.gram import symmetric_product, thin_svd
from lipteach.primitives._fast.polynomials import (
    SCHEMES,
    best_quintic,
    inverse_root,
    matrix_polynomial,
    optimal_quintics,
    quintic_step,
    rounded_out,
    spectrum_ends,
)


@pytest.mark.parametrize("low", [1e-3, 0.03, 0.2, 0.7])
def test_quintics_are_best_by_linear_programming(low: float) -> None:
    """min e subject to |1 − a x − b x³ − c x⁵| ≤ e at many x: another way to the polynomial."""
    x = np.concatenate([np.geomspace(low, 1, 3000), np.linspace(low, 1, 3000)])
    powers = np.stack([x, x**3, x**5], axis=1)
    column = np.ones((len(x), 1))
    found = linprog(
        [0, 0, 0, 1], np.block([[powers, -column], [-powers, -column]]),
        np.concatenate([np.ones_like(x), -np.ones_like(x)]), bounds=[(None, None)] * 4,
    )  # fmt: skip
    coefficients, error = best_quintic(low, 1.0)
    assert error == pytest.approx(found.fun, rel=1e-4)
    assert coefficients == pytest.approx(tuple(found.x[:3]), rel=1e-2)


def test_an_exchange_that_has_not_converged_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an assertion, which ``python -O`` would leave out."""
    monkeypatch.setattr(polynomials, "range", lambda steps: [0], raising=False)  # one step
    with pytest.raises(ArithmeticError, match=r"has not converged on \[0\.01, 1\.0\]"):
        best_quintic(0.01, 1.0)


@pytest.mark.parametrize("low", [1e-3, 0.05, 0.5])
def test_a_composition_brings_the_interval_home(low: float) -> None:
    sigma = torch.linspace(low, 1, 400, dtype=torch.float64)
    s = sigma
    for a, b, c in optimal_quintics(low):
        s = a * s + b * s**3 + c * s**5
    assert (s - 1).abs().max() <= 0.25
    U, _, Vh = torch.linalg.svd(uniform(6, 4), full_matrices=False)
    W = U * sigma[[0, 100, 250, 399]] @ Vh
    for coefficients in optimal_quintics(low):
        W = quintic_step(W, coefficients)
    assert torch.allclose(W, U * s[[0, 100, 250, 399]] @ Vh)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(128, 128), (200, 130), (150, 150), (3, 9, 5), (4, 4)])
def test_thin_svd(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    W = uniform(*shape).to(dtype)
    U, sigma, V = thin_svd(W)
    eps = torch.finfo(dtype).eps
    close = {"rtol": 0, "atol": 300 * eps}
    eye = torch.eye(shape[-1], dtype=dtype)
    assert torch.allclose(U.mT @ U, eye.expand_as(U.mT @ U), **close)
    assert torch.allclose(V.mT @ V, eye.expand_as(V.mT @ V), **close)
    want = torch.linalg.svdvals(W.double())
    assert torch.allclose(
        sigma.double().sort(descending=True).values,
        want,
        rtol=0,
        atol=100 * eps * float(want.max()),
    )
    assert torch.allclose(
        U * sigma[..., None, :] @ V.mT, W, rtol=0, atol=300 * eps * math.sqrt(shape[-1])
    )


@pytest.mark.parametrize("least", [1e-2, 1e-4, 1e-7, 0.0])
@pytest.mark.parametrize("many", [1, 5, 100])
def test_thin_svd_finds_small_singular_values(least: float, many: int) -> None:
    """Few small ones are found anew, many send the matrix to LAPACK."""
    U, _, Vh = torch.linalg.svd(uniform(200, 160), full_matrices=False)
    want = torch.linspace(0.5, 1, 160, dtype=torch.float64)
    want[:many] = least * torch.linspace(1, 2, many, dtype=torch.float64)
    W = (U * want @ Vh).float()
    left, sigma, V = thin_svd(W)
    exact = torch.linalg.svdvals(W.double()).flip(0)
    assert torch.allclose(sigma.double().sort().values, exact, rtol=1e-5, atol=1e-6)
    Q = (left @ V.mT).double()
    assert (torch.linalg.svdvals(Q) - 1).abs().max() < 1e-5


@settings(deadline=None, max_examples=40)
@example(n=40, spread=1.0, seed=2143)  # a start that is almost orthogonal to an end
@given(n=st.sampled_from([1, 3, 40, 90]), spread=st.floats(0, 1), seed=st.integers(0, 2**20))
def test_an_interval_holds_the_spectrum(n: int, spread: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(2, n, n, generator=g, dtype=torch.float64) / math.sqrt(n)
    S = spread * (A + A.mT) / 2
    low, high = spectrum_ends(S)
    eigenvalues = torch.linalg.eigvalsh(S)
    assert low <= eigenvalues.min()
    assert eigenvalues.max() <= high
    assert high - low <= 1.25 * float(eigenvalues.max() - eigenvalues.min()) + 1e-12
    wide = rounded_out(low, high)
    assert wide[0] <= low <= high <= wide[1]
    assert 0 < wide[1] - wide[0] <= high - low + 0.03


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_lanczos_survives_few_eigenvalues(rank: int) -> None:
    """The first step of Adam leaves WᵀW − I nearly of rank 1: the iteration breaks down early."""
    x = uniform(80, rank)
    S = x @ x.T / 80
    low, high = spectrum_ends(S.float())
    assert low <= 1e-6
    assert (
        float(torch.linalg.eigvalsh(S).max()) <= high < 1.2 * float(torch.linalg.eigvalsh(S).max())
    )
    low, high = spectrum_ends(0.5 * torch.eye(50))
    assert low <= 0.5 <= high


@pytest.mark.parametrize(("degree", "block"), SCHEMES)
def test_matrix_polynomials(degree: int, block: int) -> None:
    A = uniform(2, 5, 5) / 5
    E = (A + A.mT) / 2
    for count in range(2, degree + 2):
        c = uniform(count, seed=count).tolist()
        kept = E.clone()
        want = sum(c[k] * torch.linalg.matrix_power(E, k) for k in range(count))
        assert torch.allclose(matrix_polynomial(c, block, E), want)
        assert torch.equal(E, kept)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("ends", [(-0.01, 0.01), (-0.2, 0.3), (-0.05, 0.4)])
def test_inverse_root_is_within_its_tolerance(ends: tuple[float, float], tol: float) -> None:
    fitted = inverse_root(*ends, tol)
    assert fitted is not None
    x = np.linspace(*ends, 1001)
    p = np.polyval(fitted[0][::-1], x)
    assert abs((1 + x) * p**2 - 1).max() <= 1.01 * tol


def test_what_no_scheme_reaches_is_none() -> None:
    assert inverse_root(-0.9, 0.9, 1e-9) is None
    assert inverse_root(-1.0, 0.5, 1e-3) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(520, 513), (3, 8, 5), (600, 700)])
def test_symmetric_product(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    W = uniform(*shape).to(dtype)
    got = symmetric_product(W, W)
    close = {"rtol": 0, "atol": 2 * torch.finfo(dtype).eps * shape[-2]}
    assert torch.allclose(got, W.mT @ W, **close)
    S = got / shape[-2]
    assert torch.allclose(symmetric_product(S @ S, S), S @ S @ S, **close)
