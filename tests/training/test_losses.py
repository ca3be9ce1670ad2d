"""Losses equal their formulas, torch's own and each other in limits, and certify what is said."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import generator, normal
from torch import Tensor, nn
from torch.nn import functional

import lipteach as lt
from lipteach.training import (
    hkr_loss,
    hkr_multiclass_loss,
    kr_loss,
    multiclass_hinge_loss,
    orthogonality_penalty,
    tau_cross_entropy,
)

LOGITS, Y = 2 * normal(7, 4, seed=1), torch.tensor([0, 1, 2, 3, 3, 1, 0])
F, SIGNS = normal(7, seed=2), torch.tensor([1, -1, -1, 1, 1, 1, -1])
LOSSES = [
    lambda z: kr_loss(z[:, 0], SIGNS),
    lambda z: hkr_loss(z[:, 0], SIGNS, 0.7, 0.5),
    lambda z: hkr_multiclass_loss(z, Y, 0.7, 0.5),
    lambda z: multiclass_hinge_loss(z, Y, 0.5),
    lambda z: tau_cross_entropy(z, Y, 3.0),
    orthogonality_penalty,
]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_right_and_torch_func_passes(loss) -> None:
    z = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, z)
    if loss is not LOSSES[0]:  # which is linear
        assert torch.autograd.gradgradcheck(loss, z)
    (grad,) = torch.autograd.grad(loss(z), z)
    assert torch.allclose(torch.func.grad(loss)(LOGITS), grad)
    both = torch.stack([LOGITS, 3 * LOGITS])
    each = torch.stack([loss(LOGITS), loss(3 * LOGITS)])
    assert torch.allclose(torch.func.vmap(loss)(both), each)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert loss(LOGITS.to(dtype)).dtype == dtype
        assert float(loss(LOGITS.to(dtype))) == pytest.approx(float(loss(LOGITS)), 0.03, 0.02)


def test_kr_is_the_negative_of_the_dual_estimate() -> None:
    f = nn.Linear(3, 1).double()
    x, y = normal(6, 3, seed=3), normal(4, 3, seed=4)
    outputs = f(torch.cat([x, y]))
    for negative in (0, -1):
        labels = torch.tensor(6 * [1] + 4 * [negative])
        for shaped in (labels, labels[:, None], labels > 0, labels.float()):
            assert torch.allclose(kr_loss(outputs, shaped), -lt.wasserstein_dual(f, x, y))
    assert torch.allclose(kr_loss(outputs[:, 0] + 9, labels), kr_loss(outputs, labels))


def test_kr_of_a_lipschitz_function_is_within_the_distance() -> None:
    x, y = normal(20, 3, seed=3), normal(30, 3, seed=4) + torch.tensor([1.0, 0, 0])
    labels = torch.tensor(20 * [1] + 30 * [0])
    distance = float(lt.exact_wasserstein(x, y))
    line = torch.cat([x, y]) @ torch.tensor([-1.0, 0, 0]).double()
    assert 0.5 < -float(kr_loss(line, labels)) <= distance
    # and reached, by the distance from a point that all mass moves away from
    x, y = torch.zeros(1, 3).double(), normal(30, 3)
    outputs = -torch.cat([x, y]).norm(dim=1)
    found = kr_loss(outputs, torch.tensor([1] + 30 * [0]))
    assert -float(found) == pytest.approx(float(lt.exact_wasserstein(x, y)))


def hinges(f: Tensor, signs: Tensor, margin: float) -> float:
    return sum(
        max(0.0, margin - s * v) for v, s in zip(f.tolist(), signs.tolist(), strict=True)
    ) / len(f)


@pytest.mark.parametrize("margin", [0.1, 1.0, 3.0])
def test_hkr_leads_from_kr_to_the_hinge(margin: float) -> None:
    kr, hinge = float(kr_loss(F, SIGNS)), hinges(F, SIGNS, margin)
    for alpha in (0, 1e-9, 0.3, 1 - 1e-9, 1):
        found = float(hkr_loss(F, SIGNS, alpha, margin))
        assert found == pytest.approx((1 - alpha) * kr + alpha * hinge, abs=1e-12)
    assert float(hkr_loss(F, SIGNS, 1.0)) == pytest.approx(hinges(F, SIGNS, 1.0))


def test_hkr_has_no_minimum_over_functions_that_are_not_lipschitz() -> None:
    found = [float(hkr_loss(c * SIGNS.double(), SIGNS, 0.99)) for c in (1.0, 1e3, 1e6)]
    assert found == pytest.approx([-0.02, -20.0, -2e4])


def test_two_logits_of_one_function_have_the_binary_loss() -> None:
    two = torch.stack([-F, F], dim=1)
    for alpha in (0.0, 0.4, 1.0):
        for margin in (0.2, 1.0):
            many = hkr_multiclass_loss(two, (SIGNS > 0).long(), alpha, margin)
            assert torch.allclose(many, hkr_loss(F, SIGNS, alpha, margin))


@pytest.mark.parametrize("y", [Y, torch.tensor([0, 1, 1, 3, 3, 1, 0])])  # without class 2
def test_hkr_of_classes_is_a_loop_over_them(y: Tensor) -> None:
    terms, hinge, classes = [], 0.0, LOGITS.shape[1]
    for k in sorted(set(y.tolist())):
        terms.append(LOGITS[y != k, k].mean() - LOGITS[y == k, k].mean())
    for z, own in zip(LOGITS.tolist(), y.tolist(), strict=True):
        for k in range(classes):
            weight = classes - 1 if k == own else 1
            sign = 1 if k == own else -1
            hinge += weight * max(0.0, 0.5 - sign * z[k]) / classes / len(y)
    kr = float(sum(terms)) / len(terms)
    for alpha in (0.0, 0.3, 1.0):
        found = float(hkr_multiclass_loss(LOGITS, y, alpha, 0.5))
        assert found == pytest.approx((1 - alpha) * kr + alpha * hinge)
    assert float(hkr_multiclass_loss(LOGITS, y, 1.0)) != pytest.approx(hinge)  # margin 1 by default


def test_where_all_hinges_are_0_the_radius_is_as_said() -> None:
    own = functional.one_hot(Y, 4).bool()
    logits = torch.where(own, LOGITS.abs() + 0.5, -LOGITS.abs() - 0.5)
    assert float(hkr_multiclass_loss(logits, Y, 1.0, 0.5)) == 0
    least = math.sqrt(2) * 0.5
    assert float(lt.certified_radius(logits, 1.0).min()) > least
    tight = torch.where(own, 0.5, -0.5).double()
    assert float(lt.certified_radius(tight, 1.0).min()) == pytest.approx(least)
    assert float(lt.certified_radius(tight, 1.0, math.inf).min()) == pytest.approx(0.5)
    assert float(hkr_multiclass_loss(tight - 0.01, Y, 1.0, 0.5)) > 0


def test_the_multiclass_hinge_is_torch_s_times_the_classes() -> None:
    for margin in (0.3, 1.0, 2.5):
        for reduction in ("mean", "sum", "none"):
            torchs = functional.multi_margin_loss(LOGITS, Y, margin=margin, reduction=reduction)
            found = multiclass_hinge_loss(LOGITS, Y, margin, reduction)
            assert torch.allclose(found, 4 * torchs)
    torchs = functional.multi_margin_loss(LOGITS, Y)
    assert torch.allclose(multiclass_hinge_loss(LOGITS, Y), 4 * torchs)


def margins(logits: Tensor, y: Tensor) -> Tensor:
    own = functional.one_hot(y, logits.shape[1]).bool()
    return logits[own] - logits.masked_fill(own, -math.inf).max(1).values


def test_the_multiclass_hinge_bounds_the_margin() -> None:
    losses = multiclass_hinge_loss(LOGITS, Y, 2.0, "none")
    assert (margins(LOGITS, Y) >= 2.0 - losses - 1e-12).all()
    two = LOGITS[:, :2]
    losses = multiclass_hinge_loss(two, Y % 2, 2.0, "none")
    reached = losses > 0  # with two classes it is an equality
    assert torch.allclose(margins(two, Y % 2)[reached], 2.0 - losses[reached])


def test_tau_1_is_cross_entropy_and_tau_scales() -> None:
    for reduction in ("mean", "sum", "none"):
        plain = functional.cross_entropy(LOGITS, Y, reduction=reduction)
        assert torch.allclose(tau_cross_entropy(LOGITS, Y, 1.0, reduction), plain)
        scaled = functional.cross_entropy(7 * LOGITS, Y, reduction=reduction) / 7
        assert torch.allclose(tau_cross_entropy(LOGITS, Y, 7.0, reduction), scaled)


def test_the_limits_of_tau() -> None:
    own = LOGITS.gather(1, Y[:, None])[:, 0]
    high = LOGITS.max(1).values - own
    for tau in (1.0, 100.0, 1e4, 1e8, 1e300):
        found = tau_cross_entropy(LOGITS, Y, tau, "none")
        assert (found >= high - 1e-9).all()
        assert (found <= high + math.log(4) / tau + 1e-9).all()
    low = LOGITS.mean(1) - own
    tau = 1e-6
    found = tau_cross_entropy(LOGITS, Y, tau, "none") - math.log(4) / tau
    assert torch.allclose(found, low, atol=1e-5)


def test_the_gradient_of_tau_keeps_its_size() -> None:
    for tau in (1e-3, 1.0, 1e3):
        z = LOGITS.clone().requires_grad_()
        (grad,) = torch.autograd.grad(tau_cross_entropy(z, Y, tau, "sum"), z)
        assert torch.allclose(grad.sum(1), torch.zeros(7).double(), atol=1e-9)
        assert float(grad.abs().sum(1).max()) <= 2 + 1e-9
    assert float(grad.abs().sum(1).max()) == pytest.approx(2)


@given(st.floats(0.1, 20.0), st.integers(0, 50))
def test_a_small_loss_certifies_a_margin(tau: float, seed: int) -> None:
    logits = normal(20, 4, seed=seed)
    y = logits.argmax(1)
    losses = tau_cross_entropy(logits, y, tau, "none")
    sure = tau * losses < 1e-8  # the loss is rounded, and so is what it says
    bound = -torch.log(torch.expm1(tau * losses)) / tau
    assert (margins(logits, y) >= bound - 1e-6)[~sure].all()
    two = logits[:, :2]
    losses = tau_cross_entropy(two, two.argmax(1), tau, "none")
    sure = tau * losses < 1e-8
    bound = -torch.log(torch.expm1(tau * losses)) / tau
    assert torch.allclose(margins(two, two.argmax(1))[~sure], bound[~sure], atol=1e-6)
    assert (losses <= math.log(2) / tau + 1e-12).all()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 5, 3), (1, 6)])
def test_the_penalty_is_that_of_the_singular_values(shape: tuple[int, ...]) -> None:
    W = normal(*shape, seed=5)
    sigma = torch.linalg.svdvals(W)
    P = orthogonality_penalty(W)
    assert P.shape == W.shape[:-2]
    assert torch.allclose(P, (sigma**2 - 1).square().sum(-1))
    assert torch.allclose(P, orthogonality_penalty(W.mT))
    assert torch.allclose(orthogonality_penalty(lt.polar(W)), torch.zeros_like(P), atol=1e-9)
    near = lt.polar(W) + 0.05 * W
    P, sigma = orthogonality_penalty(near), torch.linalg.svdvals(near)
    assert (sigma.amax(-1) <= (1 + P.sqrt()).sqrt() + 1e-12).all()
    assert (sigma.amin(-1) >= (1 - P.sqrt()).clamp(min=0).sqrt() - 1e-12).all()


def test_a_step_against_the_penalty_is_parseval_s() -> None:
    W = normal(5, 3, seed=6).requires_grad_()
    (grad,) = torch.autograd.grad(orthogonality_penalty(W), W)
    assert torch.allclose(W - 0.01 * grad, lt.parseval_step(W, 0.04))


def test_many_samples_in_half_precision_neither_overflow_nor_lose_count() -> None:
    outputs = torch.full((6000,), 100.0, dtype=torch.float16)
    labels = torch.arange(6000) % 2
    assert float(kr_loss(outputs * (2 * labels - 1), labels)) == -200


def test_the_peers_have_the_same_values() -> None:
    torchlip = pytest.importorskip("deel.torchlip.functional")
    one_hot = functional.one_hot(Y, 4)
    column, signs = F[:, None], SIGNS[:, None]
    assert torch.allclose(kr_loss(F, SIGNS), -torchlip.kr_loss(column, signs).mean())
    for alpha in (0.0, 0.3, 1.0):  # their margin is between the classes, ours from 0
        theirs = torchlip.hkr_loss(column, signs, alpha, 0.8).mean()
        assert torch.allclose(hkr_loss(F, SIGNS, alpha, 0.4), theirs)
        theirs = torchlip.hkr_multiclass_loss(LOGITS, one_hot, alpha, 0.8).mean()
        assert torch.allclose(hkr_multiclass_loss(LOGITS, Y, alpha, 0.4), theirs)


def test_losses_train_a_lipschitz_network() -> None:
    """Two blobs, 4 apart: a 1-Lipschitz line tells nearly their distance."""
    torch.manual_seed(0)
    f = lt.orthonormal(nn.Linear(2, 1))
    x = 0.3 * torch.randn(64, 2, generator=generator())
    labels = torch.arange(64) % 2
    x[:, 0] += 4.0 * labels
    adam = torch.optim.Adam(f.parameters(), lr=0.05)
    for _ in range(200):
        adam.zero_grad()
        hkr_loss(f(x), labels, 0.5).backward()
        adam.step()
    outputs = f(x).detach()
    found = -float(kr_loss(outputs, labels))
    assert found == pytest.approx(
        float(lt.exact_wasserstein(x[labels == 1], x[labels == 0])), rel=0.05
    )
    assert (outputs[:, 0] * (2 * labels - 1) > 0.5).all()
