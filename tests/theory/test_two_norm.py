"""The remark on the 2-norm: what fails, and what is exact nevertheless."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt


def test_the_construction_has_norm_root_two() -> None:
    w = nn.Sequential(lt.linear([[0.6, 0.8]]))
    joined = lt.maximum(w, w)
    assert lt.operator_norm(joined[0].weight) == pytest.approx(math.sqrt(2))
    assert lt.in_lipschitz_class(joined, 2)  # the mixed norm does not mind


@given(n=st.integers(1, 5), seed=st.integers(0, 500))
def test_the_maximum_of_two_functionals_in_the_two_norm(n: int, seed: int) -> None:
    w1, w2 = (torch.nn.functional.normalize(uniform(n, seed=seed + k), dim=0) for k in (0, 1))
    f = lt.maximum_of_functionals(w1, w2)
    x = uniform(50, n, low=-3, high=3, seed=seed)
    assert torch.allclose(f(x)[:, 0], torch.maximum(x @ w1, x @ w2), atol=1e-12)
    for layer in (f[0], f[2]):
        assert lt.operator_norm(layer.weight) <= 1 + 1e-12


@given(
    n=st.integers(2, 5),
    seed=st.integers(0, 500),
    scale=st.sampled_from([1.1, 1.7, -1.1, -1.3]),
    turn=st.sampled_from([0.0, 1e-15, 1e-12, 1e-8]),
)
def test_nearly_equal_and_nearly_opposite_functionals(n, seed, scale, turn) -> None:
    """What rounding leaves of w₁ + w₂ or w₁ − w₂ may point anywhere, along the other one too."""
    w = uniform(n, seed=seed)
    w1, w2 = (nn.functional.normalize(v, dim=0) for v in (w, scale * (w + turn * w.roll(1))))
    f, x = lt.maximum_of_functionals(w1, w2), uniform(20, n, seed=seed)
    assert torch.allclose(f(x)[:, 0], torch.maximum(x @ w1, x @ w2), atol=1e-14)
    assert max(float(lt.operator_norm(f[k].weight)) for k in (0, 2)) <= 1 + 1e-14


def test_functionals_in_float32_are_normalized_in_float64() -> None:
    w1, w2 = (nn.functional.normalize(uniform(5, seed=k).float(), dim=0) for k in (1, 2))
    f = lt.maximum_of_functionals(w1, w2)
    norms = [float(lt.operator_norm(f[k].weight)) for k in (0, 2)]
    assert norms == pytest.approx([1, 1], abs=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_equal_and_opposite_functionals(sign: float) -> None:
    w = torch.tensor([0.6, 0.8]).double()
    f, x = lt.maximum_of_functionals(w, sign * w), uniform(20, 2)
    assert torch.allclose(f(x)[:, 0], torch.maximum(x @ w, sign * x @ w), atol=1e-14)
