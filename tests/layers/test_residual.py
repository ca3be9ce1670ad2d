"""Residual connections and batch normalization, in bounds and audits, against whole matrices."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.layers.layer_norms import spectrum, upper_norm, upper_norm_to_max
from lipteach.layers.magnitudes import Magnitude
from lipteach.robustness import certified_norms
from lipteach.robustness.certified_norms import norms_along

NORMS = (1, 2, math.inf)


def matrix_of(module: nn.Module, *shape: int) -> torch.Tensor:
    """The matrix of an affine map."""
    ones = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    with torch.no_grad():
        return (module(ones) - module(0 * ones)).flatten(1).mT


def normalization(channels: int, seed: int = 0, kind: type = nn.BatchNorm1d) -> nn.Module:
    """One in evaluation mode whose statistics are not those of a new one."""
    norm = kind(channels).double().eval().requires_grad_(False)
    norm.weight.copy_(uniform(channels, low=-2.0, high=2.0, seed=seed))
    norm.bias.copy_(uniform(channels, seed=seed + 1))
    norm.running_mean.copy_(uniform(channels, seed=seed + 2))
    norm.running_var.copy_(uniform(channels, low=0.1, high=4.0, seed=seed + 3))
    return norm


def linear_block(n: int, seed: int) -> lt.Residual:
    """A residual connection of linear maps, whose matrix is the sum of two."""
    body = nn.Sequential(
        lt.frozen_linear(uniform(n + 1, n, seed=seed)), normalization(n + 1, seed),
        lt.frozen_linear(uniform(n, n + 1, seed=seed + 1)),
    )  # fmt: skip
    skip = lt.frozen_linear(uniform(n, n, seed=seed + 2)) if seed % 2 else None
    return lt.Residual(body, skip).eval()


def test_the_sum_of_a_shortcut_and_a_body() -> None:
    x, body, skip = uniform(5, 3), lt.frozen_linear(uniform(4, 3)), lt.frozen_linear(uniform(4, 3))
    torch.testing.assert_close(lt.Residual(body, skip)(x), skip(x) + body(x))
    torch.testing.assert_close(lt.Residual(lt.Scale(-3.0))(x), -2 * x)
    with pytest.raises(ValueError, match=r"one shape; got \(5, 3\) and \(5, 4\)"):
        lt.Residual(body)(x)
    with pytest.raises(ValueError, match=r"one shape; got \(5, 3\) and \(5, 1\)"):
        lt.Residual(lt.frozen_linear(uniform(1, 3)))(x)  # not broadcast


@pytest.mark.parametrize("p", NORMS)
def test_equal_parts_reach_the_sum(p: float) -> None:
    """‖A + A‖ = ‖A‖ + ‖A‖; and of n blocks with identities, norm 2ⁿ."""
    A = lt.frozen_linear(uniform(3, 3))
    bounds = lt.lipschitz_bounds(lt.Residual(A, A), uniform(4, 3), p)
    exact = 2 * float(torch.linalg.matrix_norm(A.weight, p))
    assert bounds == pytest.approx((exact, exact), rel=1e-12)
    blocks = nn.Sequential(*(lt.Residual(lt.MaxMin(1)) for _ in range(3)))
    assert lt.lipschitz_bounds(blocks, uniform(9, 4), p) == pytest.approx((8, 8), rel=1e-12)
    half = nn.Sequential(lt.Residual(lt.MaxMin(1)), lt.Scale(0.5))
    assert lt.lipschitz_bounds(half, uniform(9, 4), p) == pytest.approx((1, 1), rel=1e-12)


@given(st.integers(1, 5), st.integers(0, 99), st.sampled_from(NORMS), st.sampled_from(NORMS))
@settings(max_examples=40, deadline=None)
def test_no_matrix_of_a_residual_is_above_its_bounds(n: int, seed: int, p: float, q: float) -> None:
    """From any norm to any other: the largest ‖A x‖_q over vertices or singular vectors."""
    network = nn.Sequential(lt.frozen_linear(uniform(n, n, seed=seed)), linear_block(n, seed))
    W = matrix_of(network, n)
    if p == math.inf:
        x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64).mT
    else:
        x = torch.cat([torch.eye(n, dtype=torch.float64), torch.linalg.svd(W).Vh.mT], dim=1)
        x = x / torch.linalg.vector_norm(x, p, dim=0)
    reached = float(torch.linalg.vector_norm(W @ x, q, dim=0).max())
    assert reached <= norms_along(network, uniform(2, n), p)[q] * (1 + 1e-12)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("affine", [True, False])
def test_a_normalization_is_a_diagonal_matrix(affine: bool, p: float) -> None:
    norm = normalization(4)
    if not affine:
        norm.weight = norm.bias = None
    W = matrix_of(norm, 4)
    assert torch.equal(W, W.diag().diag())
    found, most = spectrum(norm, set()), float(W.abs().max())
    assert [found.smallest, found.upper] == pytest.approx([float(W.diag().abs().min()), most])
    for norm_of in (upper_norm, upper_norm_to_max):
        assert float(norm_of(norm, p, set())) == pytest.approx(most, rel=1e-14)
    assert lt.lipschitz_bounds(norm, uniform(3, 4), p) == pytest.approx((most, most), rel=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_a_normalization_of_images_acts_on_channels(p: float) -> None:
    norm = normalization(2, kind=nn.BatchNorm2d)
    most = float(torch.linalg.matrix_norm(matrix_of(norm, 2, 3, 4), p))
    bounds = lt.lipschitz_bounds(nn.Sequential(norm, nn.ReLU()), uniform(2, 2, 3, 4), p)
    assert bounds.upper == pytest.approx(most, rel=1e-12)


def test_the_bounds_are_those_of_evaluation_whatever_the_mode() -> None:
    network = nn.Sequential(normalization(3), lt.MaxMin(1), lt.frozen_linear(uniform(2, 3)))
    network = nn.Sequential(network[0], network[2])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    evaluated = lt.lipschitz_bounds(network.eval(), uniform(4, 3))
    assert lt.lipschitz_bounds(network.train(), uniform(4, 3)) == evaluated
    assert network[0].training
    after = network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items()), "nothing is learnt"


def test_a_penalty_in_training_sees_running_statistics() -> None:
    """The Jacobian of one sample, whoever stands beside it; and its gradient by differences."""
    first, norm = nn.Linear(3, 4).double(), normalization(4)
    for k, parameter in enumerate([first.weight, first.bias, norm.weight]):
        parameter.requires_grad_(False).copy_(uniform(*parameter.shape, seed=k))
    left, sigma, _ = torch.linalg.svd(matrix_of(nn.Sequential(first, norm), 3))
    network, x = nn.Sequential(first, norm, nn.Dropout(0.5)).train(), uniform(6, 3)
    flags, mean = [module.training for module in network.modules()], norm.running_mean.clone()
    with pytest.raises(ValueError, match=r"lt\.evaluating\(f\)`, for one Jacobian"):
        lt.spectral_jacobian_penalty(network, x)

    def penalty(weight: torch.Tensor) -> torch.Tensor:
        call = lambda z: torch.func.functional_call(network, {"1.weight": weight}, z)  # noqa: E731
        with lt.evaluating(network):
            return lt.spectral_jacobian_penalty(call, x, left[:, 0].clone())[0]

    assert float(penalty(norm.weight)) == pytest.approx(float(sigma[0]))
    assert torch.autograd.gradcheck(penalty, norm.weight.clone().requires_grad_())
    assert [module.training for module in network.modules()] == flags
    assert torch.equal(norm.running_mean, mean)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("running_var", torch.tensor([1.0, -2.0])),
        ("running_var", torch.tensor([1.0, math.nan])),
        ("running_var", torch.tensor([1.0, math.inf])),
        ("running_mean", torch.tensor([math.nan, 0.0])),
    ],
)
def test_statistics_that_are_none_have_no_bound(name: str, value: torch.Tensor) -> None:
    norm = nn.BatchNorm1d(2).double()
    getattr(norm, name).copy_(value)
    with pytest.warns(lt.UnknownBoundWarning, match="BatchNorm1d"):
        assert lt.lipschitz_bounds(norm, uniform(3, 2)).upper == math.inf
    assert lt.audit(norm).upper == math.inf


def test_without_statistics_the_batch_is_mixed_and_nothing_is_known() -> None:
    norm = nn.BatchNorm2d(2, track_running_stats=False).double()
    with pytest.warns(lt.UnknownBoundWarning, match="BatchNorm2d"):
        assert lt.lipschitz_bounds(norm, uniform(3, 2, 4, 4)).upper == math.inf


def test_blocks_within_blocks_are_walked_through_once(monkeypatch) -> None:
    """Seven deep: three times at each depth would be 3⁷; and the bound is that of the sums."""
    block: nn.Module = nn.Identity()
    for _ in range(7):
        block = lt.Residual(nn.Sequential(block, lt.Scale(0.5)))
    calls = []
    sums = certified_norms._of_sum
    monkeypatch.setattr(certified_norms, "_of_sum", lambda *given: calls.append(1) or sums(*given))
    bound = 1.0
    for _ in range(7):
        bound = 1 + bound / 2
    assert lt.lipschitz_bounds(block, uniform(2, 4)).upper == pytest.approx(bound, rel=1e-12)
    assert len(calls) <= 1 + 6 * 3


def test_what_stands_in_a_residual_is_named() -> None:
    network = nn.Sequential(nn.Identity(), lt.Residual(nn.Sequential(nn.ReLU(), nn.GELU())))
    with pytest.warns(lt.UnknownBoundWarning, match=r"known for 1\.body\.1 \(GELU\)"):
        lt.lipschitz_bounds(network, uniform(3, 2))
    assert lt.audit(network).unknown == "1.body.1 (GELU)"
    sorts = nn.Sequential(lt.Residual(lt.FullSort(0)))
    with pytest.warns(lt.UnknownBoundWarning, match="mixes the samples of a batch"):
        lt.lipschitz_bounds(sorts, uniform(3, 2))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("body", [nn.Identity(), nn.ReLU()])
def test_rows_of_a_sample_are_no_samples(body: nn.Module, p: float) -> None:
    """Bounds of one row from norm to norm are too small for four rows together."""
    rows = lt.ChunkedSequential(lt.Residual(body))
    summed = nn.Linear(32, 1, bias=False).double()
    summed.requires_grad_(False).weight.fill_(1.0)
    network = nn.Sequential(rows, nn.Flatten(), summed)
    with pytest.warns(lt.UnknownBoundWarning, match="takes a sample as several rows"):
        bounds = lt.lipschitz_bounds(network, uniform(3, 4, 8, low=0.5), p)
    assert bounds.upper == math.inf
    assert bounds.lower > 0
    single = nn.Sequential(rows, lt.frozen_linear(uniform(2, 8)))
    assert lt.lipschitz_bounds(single, uniform(3, 8), p).upper < math.inf
    turned = nn.Sequential(nn.Flatten(0, 1), lt.Residual(nn.Conv2d(3, 3, 3, padding=1).double()))
    with pytest.warns(lt.UnknownBoundWarning):
        lt.lipschitz_bounds(turned, uniform(1, 3, 6, 6), p)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_no_number_is_refused(value: float) -> None:
    norm = normalization(3)
    norm.weight[1] = value
    with pytest.raises(ValueError, match="finite"):
        lt.audit(norm)
    with pytest.raises(ValueError, match="finite"):
        lt.lipschitz_bounds(norm, uniform(2, 3))


def test_a_residual_with_another_forward_has_no_bound() -> None:
    class Tripled(lt.Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 3 * super().forward(x)

    with pytest.warns(lt.UnknownBoundWarning, match="Tripled"):
        assert lt.lipschitz_bounds(Tripled(nn.ReLU()), uniform(3, 2)).upper == math.inf
    hooked = lt.Residual(nn.ReLU())
    hooked.body.register_forward_hook(lambda _module, _given, out: 5 * out)
    with pytest.warns(lt.UnknownBoundWarning, match=r"body \(ReLU\), which has hooks"):
        assert lt.lipschitz_bounds(hooked, uniform(3, 2)).upper == math.inf


def test_one_module_in_both_parts_and_outside() -> None:
    A = lt.frozen_linear(uniform(3, 3))
    network = nn.Sequential(A, lt.Residual(A), A)
    exact = float(torch.linalg.matrix_norm(matrix_of(network, 3), 2))
    with pytest.warns(
        lt.UnknownBoundWarning, match=r"1 \(Residual\)"
    ):  # its calls are not told apart
        bounds = lt.lipschitz_bounds(network, uniform(3, 3))
    assert bounds == pytest.approx((exact, math.inf))
    sigma = float(torch.linalg.matrix_norm(A.weight, 2))
    expected = sigma * (1 + sigma) * sigma
    found = lt.audit(network, uniform(3, 3))
    assert found.upper == pytest.approx(expected, rel=1e-12)
    assert found.lower == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_the_audit_and_the_bounds_agree_for_images(p: float) -> None:
    conv = nn.Conv2d(2, 2, 3, padding=1).double().requires_grad_(False)
    body = nn.Sequential(normalization(2, kind=nn.BatchNorm2d), lt.MaxMin(1), conv)
    network, x = nn.Sequential(lt.Residual(body), nn.Flatten()), uniform(3, 2, 4, 4)
    upper = lt.lipschitz_bounds(network, x, p).upper
    J = torch.func.vmap(torch.func.jacrev(lambda image: network(image[None])[0]))(x).flatten(2)
    found = torch.linalg.matrix_norm(J, p)
    assert float(found.max()) <= upper
    if p == 2:
        factor = spectrum(body[0], set()).upper
        sigma = float(torch.linalg.matrix_norm(matrix_of(conv, 2, 4, 4), 2))
        assert upper == pytest.approx(1 + factor * sigma, rel=1e-12)
        found = lt.audit(network, x)
        assert found.upper == pytest.approx(upper, rel=1e-12)
        assert "with sums at residual connections" in found.text


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.integers(-3000, 3000))
def test_sums_of_magnitudes(a: float, b: float, exponent: int) -> None:
    found = Magnitude.of(a) + Magnitude.of(b)
    assert float(found) == a + b
    assert Magnitude.of(a, exponent) + Magnitude.of(b, exponent) == found * Magnitude.of(
        1, exponent
    )
    apart = Magnitude.of(a, 4000) + Magnitude.of(b, -4000)
    assert apart == (Magnitude.of(a, 4000) if a else Magnitude.of(b, -4000))
