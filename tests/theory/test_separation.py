"""Affine maps through two points, against Hölder's inequality and linear programming."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from support import uniform

import lipteach as lt
from lipteach.theory.lipschitz_class import dual

EXPONENTS = [1, 1.5, 2, 3, math.inf]


def norm(v, p):
    return float(torch.linalg.vector_norm(v, ord=p))


@given(
    n=st.integers(1, 4), p=st.sampled_from(EXPONENTS), t=st.floats(-1, 1), seed=st.integers(0, 99)
)
def test_the_least_slope_through_two_points(n: int, p: float, t: float, seed: int) -> None:
    x, y = uniform(n, seed=seed), uniform(n, seed=seed + 100)
    distance = norm(x - y, p)
    f = lt.affine_through(x, y, 0.3, 0.3 + t * distance, p)
    assert f(x).item() == pytest.approx(0.3, abs=1e-12)
    assert f(y).item() == pytest.approx(0.3 + t * distance, abs=1e-12)
    assert norm(f[0].weight[0], dual(p)) == pytest.approx(abs(t), abs=1e-12)
    assert lt.in_lipschitz_class(f, p)


@pytest.mark.parametrize("p", [1, math.inf])
def test_no_slope_is_smaller_by_linear_programming(p: float) -> None:
    """Minimize ‖w‖_q under w·d = c: for q = ∞ and q = 1 a linear program."""
    for seed in range(10):
        d, c = uniform(3, seed=seed).numpy(), 0.1
        f = lt.affine_through(torch.zeros(3), torch.from_numpy(d), 0.0, c, p)
        if p == 1:  # variables (w, t): −t ≤ w_k ≤ t, minimize t
            bound = np.block([[np.eye(3), -np.ones((3, 1))], [-np.eye(3), -np.ones((3, 1))]])
            cost, equal = [0, 0, 0, 1], [[*d, 0]]
            least = linprog(cost, bound, np.zeros(6), equal, [c], bounds=[(None, None)] * 4).fun
        else:  # w = u − v with u, v ≥ 0, minimize the sum
            least = linprog(np.ones(6), A_eq=[[*d, *-d]], b_eq=[c]).fun
        assert norm(f[0].weight[0], dual(p)) == pytest.approx(least, abs=1e-9)


def test_the_formulas_of_the_three_norms() -> None:
    x, y = torch.zeros(2).double(), torch.tensor([3.0, -4.0]).double()
    slopes = {p: lt.affine_through(x, y, 0.0, 2.0, p)[0].weight[0].tolist() for p in EXPONENTS}
    assert slopes[1] == pytest.approx([2 / 7, -2 / 7])
    assert slopes[2] == pytest.approx([6 / 25, -8 / 25])
    assert slopes[math.inf] == pytest.approx([0, -0.5])


@given(
    n=st.integers(2, 4), p=st.sampled_from(EXPONENTS), t=st.floats(-1, 1), seed=st.integers(0, 99)
)
def test_a_norm_of_exactly_one_in_two_or_more_dimensions(
    n: int, p: float, t: float, seed: int
) -> None:
    x, y = uniform(n, seed=seed), uniform(n, seed=seed + 100)
    b = t * norm(x - y, p)
    f = lt.unit_affine_through(x, y, 0.0, b, p)
    assert f(x).item() == pytest.approx(0, abs=1e-12)
    assert f(y).item() == pytest.approx(b, abs=1e-12)
    assert norm(f[0].weight[0], dual(p)) == pytest.approx(1, abs=1e-12)


def test_the_numbers_of_the_unit_maps() -> None:
    zero = torch.zeros(2).double()
    f = lt.unit_affine_through(zero, torch.tensor([1.0, 0.0]).double(), 0.0, 0.5, 2)
    assert f[0].weight[0].tolist() == pytest.approx([0.5, 0.866025], abs=1e-6)
    f = lt.unit_affine_through(zero, torch.ones(2).double(), 0.0, 0.0, math.inf)
    assert f[0].weight[0].tolist() == pytest.approx([-0.5, 0.5])


def test_one_dimension_has_no_room() -> None:
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    assert lt.unit_affine_through(zero, one, 0.0, 1.0)(one).item() == 1
    with pytest.raises(ValueError, match=r"only the slope 0\.5 meets the two values"):
        lt.unit_affine_through(zero, one, 0.0, 0.5)


def test_a_dummy_pair_carries_the_norm() -> None:
    """The repair in one dimension: two units of slope 1 that are not used."""
    f = torch.nn.Sequential(
        lt.linear([[0.5], [0.5], [1.0], [1.0]]), lt.MaxMin(), lt.linear([[1.0, 0.0, 0.0, 0.0]])
    )
    assert f(torch.tensor([[0.0], [1.0]]).double()).flatten().tolist() == [0, 0.5]
    norms = [lt.mixed_norm(f[0].weight, 2), lt.operator_norm(f[2].weight, math.inf)]
    assert norms == [1, 1]


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e150])
@pytest.mark.parametrize("p", EXPONENTS)
def test_extreme_distances(scale: float, p: float) -> None:
    y = scale * torch.tensor([1.0, 2.0]).double()
    rise = 0.5 * norm(y / scale, p) * scale
    f = lt.affine_through(torch.zeros(2).double(), y, 0.0, rise, p)
    assert f(y).item() == pytest.approx(rise, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_points_are_subtracted_in_float64(dtype: torch.dtype) -> None:
    """In float16 the difference of ±60,000 overflows, and that of 1 and 0.0003 is rounded."""
    for x, y in ((60_000.0, -60_000.0), (1.0, 0.0003)):
        x, y = torch.tensor([x, 1.0], dtype=dtype), torch.tensor([y, 0.0], dtype=dtype)
        for through in (lt.affine_through, lt.unit_affine_through):
            f = through(x.requires_grad_(), y, 0.25, 0.5)
            assert f(y.double()).item() == pytest.approx(0.5, abs=1e-10)
            assert not f[0].weight.requires_grad


def test_values_too_far_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most the distance of x and y, 1\.41421; got 1\.5"):
        lt.affine_through(torch.zeros(2), torch.ones(2), 0.0, 1.5, 2)
    lt.affine_through(torch.zeros(2), torch.ones(2), 0.0, 1.5, 1)  # in the 1-norm they are 2 apart
    tenth = torch.tensor([0.1]).double()
    f = lt.affine_through(0 * tenth, tenth, 1e9, 1e9 + 0.1)  # 1e9 + 0.1 is rounded up by 2e-8
    assert f[0].weight.item() == 1
