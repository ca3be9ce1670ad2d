"""Exact transport against SciPy's linear programs, and the dual estimate below it."""

import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.primitives import wasserstein

SIZES = [(1, 1, 1), (1, 4, 2), (5, 1, 3), (4, 4, 2), (6, 3, 1), (3, 7, 5)]


def weights(n: int, seed: int) -> torch.Tensor:
    return uniform(n, low=0.1, seed=seed) / uniform(n, low=0.1, seed=seed).sum()


def linear_program(x, y, a, b) -> float:
    """The cheapest plan by SciPy, with the marginals written out as equalities."""
    n, m = len(x), len(y)
    cost = np.linalg.norm(x.numpy()[:, None] - y.numpy()[None], axis=-1)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    marginals = np.concatenate([a.numpy(), b.numpy()])
    solved = scipy.optimize.linprog(
        cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=marginals,
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    assert solved.status == 0
    return float(solved.fun)


@pytest.mark.parametrize(("n", "m", "d"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_exact_wasserstein_is_the_linear_program(n: int, m: int, d: int, weighted: bool) -> None:
    x, y = uniform(n, d), uniform(m, d, seed=1)
    a, b = weights(n, 2), weights(m, 3)
    if not weighted:
        a, b = (torch.ones(k, dtype=torch.float64) / k for k in (n, m))
    got = lt.exact_wasserstein(x, y, a, b) if weighted else lt.exact_wasserstein(x, y)
    assert got.item() == pytest.approx(linear_program(x, y, a, b), abs=1e-9)


@given(n=st.integers(1, 30), m=st.integers(1, 30), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_on_the_line_it_is_scipys_distance(n: int, m: int, seed: int) -> None:
    x, y, a, b = uniform(n, seed=seed), uniform(m, seed=seed + 1), weights(n, seed), weights(m, 7)
    expected = scipy.stats.wasserstein_distance(x.numpy(), y.numpy(), a.numpy(), b.numpy())
    got = lt.exact_wasserstein(x[:, None], y[:, None], a, b)
    assert got.item() == pytest.approx(expected, abs=1e-12)


@given(n=st.integers(1, 12), m=st.integers(1, 12), d=st.integers(1, 4), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_plan_has_the_marginals_and_the_cost(n: int, m: int, d: int, seed: int) -> None:
    x, y, a, b = (
        uniform(n, d, seed=seed),
        uniform(m, d, seed=seed + 1),
        weights(n, 5),
        weights(m, 6),
    )
    plan = lt.transport_plan(x, y, a, b)
    assert plan.shape == (n, m)
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(1), a, rtol=0, atol=1e-14)
    torch.testing.assert_close(plan.sum(0), b, rtol=0, atol=1e-14)
    cost = (plan * (x[:, None] - y[None]).norm(dim=-1)).sum()
    torch.testing.assert_close(cost, lt.exact_wasserstein(x, y, a, b), rtol=1e-12, atol=1e-14)


@given(n=st.integers(1, 12), m=st.integers(1, 12), d=st.integers(1, 4), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_weak_duality(n: int, m: int, d: int, seed: int) -> None:
    """No 1-Lipschitz function, here the least of some cones, exceeds the exact distance."""
    x, y, tips = (
        uniform(n, d, seed=seed),
        uniform(m, d, seed=seed + 1),
        uniform(3, d, seed=seed + 2),
    )
    heights = uniform(3, seed=seed + 3)
    f = lambda z: (heights + (z[:, None] - tips).norm(dim=-1)).amin(dim=1)  # noqa: E731
    exact = lt.exact_wasserstein(x, y)
    assert lt.wasserstein_dual(f, x, y) <= exact + 1e-12
    assert lt.wasserstein_dual(lambda z: -f(z), x, y) <= exact + 1e-12


def test_it_is_a_metric() -> None:
    x, y, z = (uniform(6, 2, seed=seed) for seed in range(3))
    assert lt.exact_wasserstein(x, x.flip(0)) == 0
    torch.testing.assert_close(lt.exact_wasserstein(x, y), lt.exact_wasserstein(y, x))
    assert lt.exact_wasserstein(x, z) <= lt.exact_wasserstein(x, y) + lt.exact_wasserstein(y, z)


def test_a_shift_costs_its_length() -> None:
    x, shift = uniform(40, 3), torch.tensor([3.0, 0.0, 4.0]).double()
    torch.testing.assert_close(lt.exact_wasserstein(x, x + shift).item(), 5.0)


def test_leading_dimensions_broadcast() -> None:
    x, y, a = uniform(3, 1, 4, 2), uniform(2, 5, 2, seed=1), weights(4, 2)
    got, plan = lt.exact_wasserstein(x, y, a), lt.transport_plan(x, y, a)
    assert got.shape == (3, 2)
    assert plan.shape == (3, 2, 4, 5)
    for i in range(3):
        for j in range(2):
            assert got[i, j] == lt.exact_wasserstein(x[i, 0], y[j], a)
            assert torch.equal(plan[i, j], lt.transport_plan(x[i, 0], y[j], a))
    many = torch.stack([a, a.flip(0)])
    assert lt.exact_wasserstein(x[0, 0], y[0], many).shape == (2,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype(dtype: torch.dtype) -> None:
    x, y = uniform(5, 2).to(dtype), uniform(4, 2, seed=1).to(dtype)
    a = weights(5, 2).to(dtype)
    for call in (lt.exact_wasserstein, lt.transport_plan):
        assert call(x, y, a).dtype == dtype
    exact = lt.exact_wasserstein(x.double(), y.double())
    torch.testing.assert_close(lt.exact_wasserstein(x, y), exact.to(dtype), rtol=0, atol=0)


def test_gradients_are_those_of_the_best_plan() -> None:
    x, y = uniform(4, 2).requires_grad_(), uniform(3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lt.exact_wasserstein, (x, y))
    f = lambda x: lt.exact_wasserstein(x, y.detach())  # noqa: E731
    (expected,) = torch.autograd.grad(lt.exact_wasserstein(x, y), x)
    torch.testing.assert_close(torch.func.jacrev(f)(x.detach()), expected)


def test_torch_func_batches_it() -> None:
    x, y = uniform(3, 4, 2), uniform(5, 2, seed=1)
    got = torch.func.vmap(lt.exact_wasserstein, in_dims=(0, None))(x, y)
    torch.testing.assert_close(got, lt.exact_wasserstein(x, y))
    one = torch.func.vmap(torch.func.grad(lt.exact_wasserstein), in_dims=(0, None))(x, y)
    (expected,) = torch.autograd.grad(lt.exact_wasserstein(x.requires_grad_(), y).sum(), x)
    torch.testing.assert_close(one, expected)


def test_an_unfinished_plan_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipteach.primitives.wasserstein.MOST_PIVOTS", 3)
    with pytest.warns(lt.ConvergenceWarning, match=r"no best plan in 3 pivots; .* costs \d"):
        lt.exact_wasserstein(uniform(30, 2), uniform(30, 2, seed=1))
    with pytest.warns(lt.ConvergenceWarning) as caught:
        cost = lt.exact_wasserstein(50 * uniform(30, 2), 50 * uniform(30, 2, seed=1)).item()
    assert f"costs {cost:.6g}." in str(caught[0].message)


@pytest.mark.parametrize("column", [False, True])
def test_the_dual_is_a_difference_of_means(column: bool) -> None:
    x, y, w = uniform(5, 3), uniform(4, 3, seed=1), uniform(3, seed=2)
    f = (lambda z: (z @ w)[:, None]) if column else (lambda z: z @ w)
    expected = float(np.mean(x.numpy() @ w.numpy()) - np.mean(y.numpy() @ w.numpy()))
    assert lt.wasserstein_dual(f, x, y).item() == pytest.approx(expected, abs=1e-15)


def test_the_dual_takes_images_and_modules_and_gives_gradients() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)).double()
    x, y = uniform(5, 3, 2, 2), uniform(4, 3, 2, 2, seed=1)
    value = lt.wasserstein_dual(critic, x, y)
    value.backward()
    expected = x.mean(0).flatten() - y.mean(0).flatten()
    torch.testing.assert_close(critic[1].weight.grad[0], expected)
    ensemble = torch.func.vmap(lambda w: lt.wasserstein_dual(lambda z: z.flatten(1) @ w, x, y))
    assert ensemble(uniform(7, 12)).shape == (7,)


def test_no_square_overflows_or_vanishes() -> None:
    """Distances at the ends of float64's range, and far less than the coordinates beside them."""
    far, origin = torch.tensor([[3.0, 4.0]]).double(), torch.zeros(1, 2).double()
    for scale in (1.0, 2.0**660, 2.0**-660, 2.0**1020, 2.0**-1070, 1e200, 1e-200):
        assert lt.exact_wasserstein(scale * far, origin).item() == pytest.approx(
            5 * scale, rel=1e-15, abs=0
        )
    assert lt.exact_wasserstein(1e308 * origin, origin) == 0
    for large in (1e155, 1e300, 1.7e308):
        x = torch.tensor([[0.0], [large]], dtype=torch.float64)
        assert lt.exact_wasserstein(x, x) == 0
        y = x + torch.tensor([[1e10], [0.0]])
        assert lt.exact_wasserstein(x, y).item() == pytest.approx(5e9, rel=1e-12)
    apart = torch.tensor([[1e308]], dtype=torch.float64)
    assert lt.exact_wasserstein(apart, -apart) == torch.inf  # 2e308 is no float64
    both = torch.stack([1e200 * far, 1e-200 * far])  # each sample in its own unit
    got = lt.exact_wasserstein(both, origin).tolist()
    assert got == [pytest.approx(5e200, rel=1e-15), pytest.approx(5e-200, rel=1e-15, abs=0)]


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e20, 1e300])
def test_distance_plan_and_gradient_do_not_know_the_unit(scale: float) -> None:
    x, y = uniform(6, 2).requires_grad_(), uniform(7, 2, seed=1)
    (gradient,) = torch.autograd.grad(lt.exact_wasserstein(x, y), x)
    z = (scale * x).detach().requires_grad_()
    distance = lt.exact_wasserstein(z, scale * y)
    assert distance.item() == pytest.approx(
        scale * lt.exact_wasserstein(x, y).item(), rel=1e-12, abs=0
    )
    torch.testing.assert_close(torch.autograd.grad(distance, z)[0], gradient)
    torch.testing.assert_close(lt.transport_plan(z, scale * y), lt.transport_plan(x, y))


def cheapest_assignment(costs: torch.Tensor) -> float:
    """The least mean over all permutations, which are the vertices for equal weights."""
    n = len(costs)
    rows = costs.tolist()
    orders = itertools.permutations(range(n))
    return min(math.fsum(rows[i][j] for i, j in enumerate(order)) / n for order in orders)


@pytest.mark.parametrize("far", [1e8, 1e14, 1e16, 1e30, 1e100])
@pytest.mark.parametrize("seed", range(3))
def test_one_far_pair_costs_no_digits(far: float, seed: int) -> None:
    """Rounding of the largest costs hides the others from a solver that sees all at once."""
    x, y = uniform(6, 2, seed=seed), uniform(6, 2, seed=seed + 50)
    x[0], y[3] = x[0] + far, y[3] + far
    expected = cheapest_assignment((x[:, None] - y).norm(dim=-1))
    assert lt.exact_wasserstein(x, y).item() == pytest.approx(expected, rel=1e-12)
    costs = uniform(6, 6, low=0.0, seed=seed)
    costs[2, seed] *= far
    for k in range(20):  # the rounding of the potentials alone can hide a plan from the other
        x, y = uniform(6, 2, seed=100 + k), uniform(6, 2, seed=200 + k)
        x[0], y[3] = x[0] + far, y[3] + far
        expected = cheapest_assignment((x[:, None] - y).norm(dim=-1))
        assert lt.exact_wasserstein(x, y).item() == pytest.approx(expected, rel=1e-12)
    equal, scale = torch.full((6,), 1 / 6, dtype=torch.float64), 10.0 ** (10 * seed - 20)
    plan = wasserstein._best_plan(equal, equal, costs * scale, 1.0)
    assert (plan * costs).sum().item() == pytest.approx(cheapest_assignment(costs), rel=1e-12)


@pytest.mark.parametrize("far", [1e9, 1e14])
def test_what_float64_cannot_compare_is_said(far: float) -> None:
    """A mass of 10/far must go so far that the solver sees other distances less well, or not."""
    x, y = uniform(8, 2), uniform(8, 2, seed=1)
    x[0] += far
    a = torch.full((8,), (1 - 10 / far) / 7, dtype=torch.float64)
    a[0] = 10 / far
    with pytest.warns(lt.ConvergenceWarning, match=r"differ by more .* up to \de-\d+ of the dist"):
        lt.exact_wasserstein(x, y, a)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_weights_sum_to_1_up_to_the_root_of_eps(dtype: torch.dtype) -> None:
    x, root = torch.zeros(2, 1, dtype=dtype), torch.finfo(dtype).eps ** 0.5
    for off in (0.5 * root, -0.5 * root):
        lt.exact_wasserstein(x, x, torch.tensor([0.5, 0.5 + off], dtype=dtype))
    for off in (1.5 * root, -1.5 * root):
        with pytest.raises(ValueError, match=r"a must have sum 1; got (1\.0|0\.9)"):
            lt.exact_wasserstein(x, x, torch.tensor([0.5, 0.5 + off], dtype=dtype))


def test_pots_source_may_be_compiled_where_warnings_are_errors(tmp_path: Path) -> None:
    program = f"""
import networkx, scipy.optimize, scipy.spatial, scipy.stats, sympy  # POT's own source alone is left
import sys, torch, lipteach as lt
sys.pycache_prefix, sys.dont_write_bytecode = {str(tmp_path)!r}, True  # nothing compiled is found
print(lt.exact_wasserstein(torch.zeros(1, 1), torch.ones(1, 1)).item())
"""
    command = [sys.executable, "-W", "error::SyntaxWarning", "-W", "error::DeprecationWarning"]
    done = subprocess.run([*command, "-c", program], capture_output=True, text=True)
    assert done.stdout == "1.0\n", done.stderr


def test_a_mean_that_is_representable_is_found() -> None:
    x = torch.full((4, 1), 1e308, dtype=torch.float64)
    value = lt.wasserstein_dual(lambda z: z[:, 0], x, 0 * x).item()
    assert value == pytest.approx(1e308, rel=1e-15)


def test_points_without_weight_do_not_count() -> None:
    x, y, a, b = uniform(9, 2), uniform(8, 2, seed=1), weights(9, 2), weights(8, 3)
    a[[1, 4, 7]], b[[0, 5]] = 0.0, 0.0
    a, b = a / a.sum(), b / b.sum()
    expected = lt.exact_wasserstein(x[a > 0], y[b > 0], a[a > 0], b[b > 0])
    far = x + torch.where(a > 0, 0.0, 1e14)[:, None]
    for points in (x, far):
        torch.testing.assert_close(lt.exact_wasserstein(points, y, a, b), expected)
