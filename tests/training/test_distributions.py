"""The pairs of appendix H.1: their distance by linear programs, their samples by statistics."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import generator

import lipteach as lt
from lipteach.training import Cones, absolute_value, cone, three_cones

PAIRS = {"abs": absolute_value(), "three": three_cones(), "five": cone(5), "one": cone(1)}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_stratified_samples_are_at_distance_1(pair: Cones) -> None:
    x, y = pair.stratified(60, generator())
    assert pair.distance == 1
    assert lt.exact_wasserstein(x, y).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_dual_reaches_it_and_is_1_lipschitz(pair: Cones) -> None:
    for x, y in (pair.stratified(60, generator()), pair.sample(50, generator(1))):
        assert lt.wasserstein_dual(pair.dual, x, y).item() == pytest.approx(1, abs=1e-12)
    a, b = (3 * torch.randn(200, pair.centres.shape[1], generator=generator(s)) for s in (2, 3))
    rise = (pair.dual(a.double()) - pair.dual(b.double())).abs()
    assert (rise <= (a - b).norm(dim=1) * (1 + 1e-6)).all()


@pytest.mark.parametrize("pair", [absolute_value(), three_cones()], ids=["abs", "three"])
def test_the_best_function_is_high_at_the_centres(pair: Cones) -> None:
    """With the opposite sign the value is −1: |x| is low where p1 is."""
    x, y = pair.stratified(60)
    assert lt.wasserstein_dual(lambda z: -pair.dual(z), x, y).item() == pytest.approx(-1, abs=1e-12)
    if len(pair.centres) == 1:
        assert torch.equal(pair.dual(y), -y[:, 0].abs())


@pytest.mark.parametrize("n", [1, 4, 50])
def test_the_filled_ball_is_nearer_than_the_sphere(n: int) -> None:
    """A point of the ball is a point of the sphere times the n-th root of a uniform number."""
    x, y = cone(n).sample(4000, generator())
    radius = torch.rand(4000, 1, generator=generator(1), dtype=torch.float64) ** (1 / n)
    assert lt.exact_wasserstein(x[:1], y).item() == pytest.approx(1, abs=1e-12)
    ball = lt.exact_wasserstein(x[:1], radius * y).item()
    assert ball == pytest.approx(n / (n + 1), abs=0.02)


@given(gaps=st.lists(st.floats(2, 5), min_size=1, max_size=3), seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_any_centres_far_enough_apart_give_1(gaps: list[float], seed: int) -> None:
    centres = torch.tensor([0.0, *gaps]).double().cumsum(0)
    pair = Cones(torch.stack([centres, torch.zeros_like(centres)], dim=1))
    x, y = pair.stratified(10 * len(centres), generator(seed))
    assert lt.exact_wasserstein(x, y).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("spacing", "distance"), [(1.9, 0.9911), (1.5, 0.9058), (1, 0.7830)])
def test_overlapping_circles_are_nearer(spacing: float, distance: float) -> None:
    pair = three_cones(spacing)
    assert lt.exact_wasserstein(*pair.stratified(360)).item() == pytest.approx(distance, abs=5e-5)
    with pytest.raises(ValueError, match=f"nearer than 2 for the distance to be 1; got {spacing}"):
        assert pair.distance


def test_batches_overshoot() -> None:
    """30 points have more about one circle than another; more so if the centres are drawn too."""
    g, pair = generator(), three_cones()
    batches = [pair.sample(30, g) for _ in range(300)]
    both = torch.stack([lt.exact_wasserstein(x, y) for x, y in batches])
    circles = torch.stack([lt.exact_wasserstein(pair.centres, y) for _, y in batches])
    assert (torch.cat([both, circles]) >= 1 - 1e-12).all()
    assert circles.mean().item() == pytest.approx(1.036, abs=0.01)
    assert both.mean().item() == pytest.approx(1.09, abs=0.02)


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_samples_are_uniform_on_the_sphere(n: int) -> None:
    """Mean 0 and covariance I/n, within five standard errors."""
    x, y = cone(n).sample(20_000, generator())
    assert not x.any()
    assert torch.allclose(y.norm(dim=1), torch.ones(20_000).double())
    assert y.mean(0).abs().max() < 5 / math.sqrt(20_000 * n)
    assert (y.T @ y / 20_000 - torch.eye(n).double() / n).abs().max() < 5 / math.sqrt(20_000)


def test_samples_choose_the_centres_alike_and_independently() -> None:
    x, y = three_cones().sample(9000, generator())
    for c in three_cones().centres:
        at, about = (x == c).all(1), (y - c).norm(dim=1) < 1 + 1e-9
        assert at.double().mean().item() == pytest.approx(1 / 3, abs=0.025)
        assert about.double().mean().item() == pytest.approx(1 / 3, abs=0.025)
        assert (at & about).double().mean().item() == pytest.approx(1 / 9, abs=0.017)


def test_stratified_fills_equal_arcs() -> None:
    for drawn in (None, generator()):
        x, y = three_cones().stratified(36, drawn)
        angles = torch.atan2(*(y - x).T.flip(0)).reshape(3, 12) % (2 * math.pi)
        arcs = (angles * 12 / (2 * math.pi)).floor().long()
        assert torch.equal(arcs, torch.arange(12).expand(3, 12))
        assert torch.equal(x[::12], three_cones().centres)
    middle = three_cones().stratified(6)[1]
    assert middle[1].tolist() == pytest.approx([-2, -1])  # half a step away from the touching point
    signs = absolute_value().stratified(6)[1].flatten().tolist()
    assert sorted(signs) == [-1, -1, -1, 1, 1, 1]


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    for pair in PAIRS.values():
        first, again = pair.sample(6, generator(4)), pair.sample(6, generator(4))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not torch.equal(pair.sample(6, generator(5))[1], first[1]) or pair is PAIRS["abs"]
    assert torch.equal(torch.rand(1), torch.manual_seed(1) and torch.rand(1))


def test_the_dtype_is_that_of_the_centres() -> None:
    pair = Cones(torch.zeros(1, 3))
    for x in (*pair.sample(4, generator()), *pair.stratified(4, generator())):
        assert x.dtype == torch.float32
