"""What the appendix says of Björck and Parseval, as numbers of the scalar map (B.1 and B.3)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lipteach as lt
from lipteach.primitives._fast.odd_chebyshev import LARGEST_BASIN

from .test_orthonormal import ORDERS, random, scalar_map

SUP = {1: math.sqrt(3), 2: math.sqrt(7 / 3), 3: 1.589292, 4: 1.494383, 5: 1.538396, 6: 1.477579}


def scalars(*values: float) -> torch.Tensor:
    """Each number as a matrix of one entry: shape (len(values), 1, 1), in float64."""
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


def moved(values: list[float], steps: int, order: int = 1, beta: float = 0.5) -> list[float]:
    return lt.bjorck(scalars(*values), steps, order, beta).flatten().tolist()


# --- Equation (8) and its β.


def test_one_half_is_bjorck_for_every_shape() -> None:
    for shape in [(3, 3), (2, 5), (5, 2), (2, 3, 4)]:
        W = random(*shape)
        one_step = W @ (1.5 * torch.eye(shape[-1]).double() - 0.5 * W.mT @ W)
        torch.testing.assert_close(lt.parseval_step(W, 0.5), one_step)
        torch.testing.assert_close(lt.bjorck(W, steps=1), one_step)


@given(seed=st.integers(0, 10**6), m=st.integers(1, 5), n=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_step_descends_a_quarter_of_beta_and_not_a_half(seed: int, m: int, n: int) -> None:
    """∇ ‖WᵀW − I‖²_F = 4 W (WᵀW − I), by autograd."""
    W, beta = (0.6 * random(m, n, seed=seed)).requires_grad_(), 0.3
    energy = (W.mT @ W - torch.eye(n).double()).square().sum()
    gradient = torch.autograd.grad(energy, W)[0]
    torch.testing.assert_close(lt.parseval_step(W, beta), W - beta / 4 * gradient)
    assert not torch.allclose(lt.parseval_step(W, beta), W - beta / 2 * gradient, atol=1e-3)


def test_the_paper_s_half_is_twice_the_step() -> None:
    W = torch.tensor([[0.5]], requires_grad=True)
    gradient = torch.autograd.grad((W.mT @ W - 1).square().sum(), W)[0]
    assert lt.parseval_step(W, 0.5).item() == 0.6875
    assert (W - 0.5 / 2 * gradient).item() == 0.875


def test_w_times_i_plus_beta_means_one_plus_beta() -> None:
    W, beta = torch.tensor([[0.5, 0.2], [0.1, 0.4]], dtype=torch.float64), 0.5
    right = torch.tensor([[0.671, 0.245], [0.109, 0.553]], dtype=torch.float64)
    torch.testing.assert_close(lt.parseval_step(W, beta), right, rtol=0, atol=1e-12)
    broadcast = W @ (torch.eye(2).double() + beta) - beta * W @ W.mT @ W
    wrong = torch.tensor([[0.771, 0.495], [0.309, 0.603]], dtype=torch.float64)
    torch.testing.assert_close(broadcast, wrong, rtol=0, atol=1e-12)


# --- Figures 12 and 13.


@pytest.mark.parametrize(
    ("start", "after"),
    [
        (0.1, [0.1015, 0.1344, 0.4106, 0.8961]),
        (0.5, [0.5056, 0.6147, 0.9328, 0.9963]),
        (2.0, [1.9167, 1.3034, 1.0192, 1.0009]),
    ],
)
def test_figure_12(start: float, after: list[float]) -> None:
    sigma, found = torch.tensor(start).double(), []
    for k in range(1, 10_001):
        sigma = scalar_map(sigma, 1, 0.0003)
        if k in (50, 1000, 5000, 10_000):
            found.append(sigma.item())
    assert found == pytest.approx(after, abs=5.1e-5)
    assert moved([start], steps=1000, beta=0.0003) == pytest.approx([after[1]], abs=5.1e-5)


@pytest.mark.parametrize(
    ("start", "after"),
    [
        (0.01, [0.0102, 0.0164, 0.1140, 0.7816, 1.0000]),
        (0.1, [0.1015, 0.1631, 0.7653, 0.9984, 1.0000]),
        (0.5, [0.5056, 0.6895, 0.9915, 1.0000, 1.0000]),
    ],
)
def test_figure_13(start: float, after: list[float]) -> None:
    found = [moved([start], steps=50, beta=beta)[0] for beta in (0.0003, 0.01, 0.05, 0.1, 0.2)]
    assert found == pytest.approx(after, abs=5.1e-5)


@pytest.mark.parametrize(
    ("start", "steps"), [(0.01, 21846), (0.1, 14153), (0.5, 8325), (0.9, 4078), (2.0, 6063)]
)
def test_steps_of_a_small_beta(start: float, steps: int) -> None:
    """Counted, and by the closed form of the differential equation dσ/dk = β σ (1 − σ²)."""
    beta, k, sigma = 0.0003, 0, start
    while abs(sigma - 1) > 0.01:
        k, sigma = k + 1, (1 + beta) * sigma - beta * sigma**3
        if k % 500 == 0:
            closed = 1 / (1 + (start**-2 - 1) * math.exp(-2 * beta * k))
            assert sigma**2 == pytest.approx(closed, rel=2e-3)
    assert k == steps
    nearer = 0.99 if start < 1 else 1.01
    formula = math.log((start**-2 - 1) / (nearer**-2 - 1)) / (2 * beta)
    assert k == pytest.approx(formula, rel=1e-3)


@pytest.mark.parametrize("beta", [0.0003, 0.1, 0.4, 0.8, 0.95])
def test_the_local_rate_and_the_basin_of_a_beta(beta: float) -> None:
    off = 1e-5
    assert (moved([1 - off], 1, beta=beta)[0] - 1) / -off == pytest.approx(1 - 2 * beta, abs=1e-4)
    edge = math.sqrt((1 + beta) / beta)
    assert moved([edge], 1, beta=beta)[0] == pytest.approx(0, abs=1e-10)
    inside = torch.linspace(0.01, 0.999 * edge, 200).double()
    for _ in range(60_000 if beta < 0.01 else 600):
        inside = (1 + beta) * inside - beta * inside**3
    torch.testing.assert_close(inside, torch.ones_like(inside), rtol=0, atol=1e-6)
    assert math.sqrt(1.0003 / 0.0003) == pytest.approx(57.74, abs=0.01)


@pytest.mark.filterwarnings("ignore::lipteach.ConvergenceWarning")
def test_beta_above_one_cycles() -> None:
    path = lt.bjorck_trajectory(scalars(0.9), 401, beta=1.2).flatten()[-2:].tolist()
    assert sorted(path) == pytest.approx([0.7313, 1.1395], abs=5e-5)


# --- Basins (B.3).


@pytest.mark.filterwarnings("ignore:bjorck diverged")  # beyond it, at even orders
@pytest.mark.parametrize("order", ORDERS)
def test_the_basin_of_one_ends_where_the_list_says(order: int) -> None:
    assert SUP[order] > math.sqrt(2)
    inside = torch.linspace(0.01, SUP[order] - 1e-5, 300).double()[:, None, None]
    after = lt.bjorck(inside, steps=80, order=order)
    torch.testing.assert_close(after, torch.ones_like(after), rtol=0, atol=1e-9)
    assert moved([SUP[order] + 1e-5], steps=80, order=order)[0] != pytest.approx(1, abs=0.1)
    assert -1e-15 <= LARGEST_BASIN[order - 1] - SUP[order] + 1e-6 < 1e-4  # rounded up


@pytest.mark.parametrize("beta", [0.05, 0.5, 0.95])
def test_below_beta_one_every_start_of_the_basin_goes_to_1(beta: float) -> None:
    """No start jumps for ever, as Coppel's theorem says: no two numbers are exchanged."""
    starts = torch.linspace(1e-3, math.sqrt((1 + beta) / beta) - 1e-6, 500).double()
    end = lt.bjorck(starts[:, None, None], steps=2000, beta=beta)
    torch.testing.assert_close(end, torch.ones_like(end), rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_a_step_raises_the_error_of_the_square_to_the_power_p_plus_1(order: int) -> None:
    """|1 − g²| ≤ |1 − σ²|^(p+1) on (0, √2): why each basin holds it."""
    sigma = torch.linspace(1e-3, math.sqrt(2) - 1e-9, 2000).double()
    g = scalar_map(sigma, order)
    assert (g > 0).all()
    assert ((1 - g**2).abs() <= (1 - sigma**2).abs() ** (order + 1) + 1e-14).all()


def test_beyond_the_basin_of_order_1() -> None:
    """√3 → 0; from (√3, √5) to ±1 with |g(σ)| < |σ|; √5 ↔ −√5; beyond, away."""
    assert moved([math.sqrt(3)], 1) == pytest.approx([0], abs=1e-15)
    between = torch.linspace(math.sqrt(3) + 1e-3, math.sqrt(5) - 1e-3, 400).double()
    once = lt.bjorck(between[:, None, None], steps=1).flatten()
    assert (once.abs() < between).all()
    end = lt.bjorck(between[:, None, None], steps=2000).flatten()
    torch.testing.assert_close(end.abs(), torch.ones_like(end), rtol=0, atol=1e-9)
    assert (end > 0).any()
    assert (end < 0).any()
    assert moved([math.sqrt(5)], 1) == pytest.approx([-math.sqrt(5)], rel=1e-14)
    assert moved([math.sqrt(5)], 2) == pytest.approx([math.sqrt(5)], rel=1e-13)
    assert abs(moved([2.24], 1)[0]) > 2.24


def test_two_turns_into_minus_one() -> None:
    eye = torch.eye(3).double()
    assert torch.equal(lt.bjorck(2 * eye, steps=1), -eye)
    W = torch.diag(torch.tensor([2.0, 0.5])).double()
    Q = lt.bjorck(W, steps=15)  # orthonormal, and not the polar factor, which is I
    torch.testing.assert_close(Q, torch.diag(torch.tensor([-1.0, 1.0])).double())
    assert lt.is_orthonormal(Q)


def test_the_condition_is_sufficient_and_no_wide_matrix_meets_it() -> None:
    wide = random(2, 4)
    off = torch.linalg.matrix_norm(wide.mT @ wide - torch.eye(4).double(), 2)
    assert off >= 1 - 1e-12  # two directions of four are lost
    assert lt.is_orthonormal(lt.bjorck(wide, steps=30))
    not_met = scalars(1.6)  # |1.6² − 1| = 1.56
    assert lt.bjorck(not_met, steps=20).item() == pytest.approx(1)


# --- Scale and rank (B.3).


def test_scale_invariance_is_that_of_the_limit_up_to_sign() -> None:
    W = random(4, 3)
    limit = lt.bjorck(W, steps=30)
    for scale in (0.5, 1.3, -0.7):
        torch.testing.assert_close(lt.bjorck(scale * W, steps=30), math.copysign(1, scale) * limit)
    assert moved([0.5], 1) == [0.6875]  # neither .5 BJORCK(1) = .5 nor BJORCK(1) = 1
    assert moved([1.0], 1) == [1]


def test_a_lost_direction_stays_lost() -> None:
    W = torch.diag(torch.tensor([1.0, 0.0]))
    for order in ORDERS:
        assert torch.equal(lt.bjorck(W, steps=50, order=order), W)


@pytest.mark.parametrize(
    ("dtype", "small", "full"), [(torch.float32, 20, 60), (torch.float64, 70, 200)]
)
def test_rounding_fills_lost_directions_with_noise(dtype, small: int, full: int) -> None:
    W = random(20, 3) @ random(3, 10)
    W = (W / torch.linalg.matrix_norm(W, 2)).to(dtype)
    early = torch.linalg.svdvals(lt.bjorck(W, steps=small).double())
    assert (early[3:] < 0.01).all()
    assert lt.is_orthonormal(lt.bjorck(W, steps=full))
