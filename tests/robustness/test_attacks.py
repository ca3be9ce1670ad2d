"""Attacks keep to their ball, return the best that they met, and are exact where a step can be."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import generator, normal, uniform
from torch import nn

import lipteach as lt
from lipteach.robustness import balls
from lipteach.robustness.balls import ball
from lipteach.training import orthonormal_network

Z = torch.tensor([[2.0, 5.0, 1.0]])


def network(*sizes: int, seed: int = 0, scale: float = 5.0) -> nn.Sequential:
    net = orthonormal_network([*sizes], lt.MaxMin, generator(seed))
    return nn.Sequential(*net, lt.Scale(scale))


def margin(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Z_y minus the largest other logit, class by class."""
    with torch.no_grad():
        rows = model(x).tolist()
    found = [
        row[c] - max(z for k, z in enumerate(row) if k != c) for row, c in zip(rows, y, strict=True)
    ]
    return torch.tensor(found, dtype=torch.float64)


# ---------------------------------------------------------------- f6


def test_f6_is_of_the_target_and_not_below_zero() -> None:
    found = [lt.cw_f6(Z, torch.tensor([t])).item() for t in range(3)]
    assert found == [3.0, 0.0, 4.0]


def test_f6_takes_leading_dimensions_and_has_a_gradient() -> None:
    logits, target = normal(3, 4, 6), torch.arange(12).view(3, 4) % 6
    found = lt.cw_f6(logits, target)
    assert found.shape == (3, 4)
    assert found[1, 2] == lt.cw_f6(logits[1, 2], target[1, 2])
    assert torch.autograd.gradcheck(lambda z: lt.cw_f6(z, target), logits.requires_grad_())


# ---------------------------------------------------------------- the ball


@pytest.mark.parametrize("attack", [lt.fgs, lt.pgd])
@pytest.mark.parametrize("p", [2, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(
    eps=st.one_of(st.sampled_from([0.1, 0.3, 1.0, 2.0, 1e-9]), st.floats(1e-3, 0.6)),
    seed=st.integers(0, 10**6),
)
def test_results_are_images_and_within_eps_in_exact_arithmetic(attack, p, dtype, eps, seed) -> None:
    model = network(6, 8, 3, seed=seed % 7).to(dtype)
    x = uniform(4, 6, low=0, high=1, seed=seed).to(dtype)
    x[0, :3] = torch.tensor([0.0, 1.0, 1e-30])
    kwargs = {} if attack is lt.fgs else {"steps": 5, "step_size": eps, "start": 1.0}
    found = attack(model, x, torch.arange(4) % 3, eps, p=p, **kwargs)
    assert found.dtype == dtype
    assert 0 <= found.min() <= found.max() <= 1
    for a, b in zip(found.tolist(), x.tolist(), strict=True):
        steps = [abs(Fraction(s) - Fraction(t)) for s, t in zip(a, b, strict=True)]
        if p == 2:
            assert sum(s**2 for s in steps) <= Fraction(eps) ** 2
        else:
            assert max(steps) <= Fraction(eps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_ends_are_the_last_floats_within_eps(dtype) -> None:
    """Also of the float nearest to ε, from which 0 may be a hair too far."""
    for eps in (0.1, 0.3, 1 / 3, 2.0**-20):
        x = torch.tensor([[eps, 2 * eps, 0.5, 1 - eps, 0.0, 1.0]]).to(dtype)
        box = ball(x, eps, math.inf)
        for end, bound in ((box.low, 0.0), (box.high, 1.0)):
            for a, b, beyond in zip(
                *(t[0].tolist() for t in (end, x, torch.nextafter(end, end.new_tensor(bound)))),
                strict=True,
            ):
                assert abs(Fraction(a) - Fraction(b)) <= Fraction(eps)
                assert a == bound or abs(Fraction(beyond) - Fraction(b)) > Fraction(eps)


def test_tiny_and_huge_balls() -> None:
    """Squares of 1e-200 vanish, and 1e39 is infinite in float32."""
    x, y, model = torch.zeros(1, 2).double(), torch.tensor([0]), lt.frozen_linear(torch.eye(2))
    for eps in (1e-200, 1e-165):
        found = lt.pgd(model, x, y, eps, p=2)
        assert sum(Fraction(v) ** 2 for v in found[0].tolist()) <= Fraction(eps) ** 2
    for p in (2, math.inf):
        whole = lt.pgd(model.float(), x.float(), y, 2**64, 5, 1e39, p=p)
        assert torch.equal(whole, lt.pgd(model, x.float(), y, 2.0, 5, 2.0, p=p))


@pytest.mark.parametrize("p", [2, math.inf])
def test_the_ball_is_used_up_to_its_surface(p) -> None:
    x = torch.full((3, 50), 0.5, dtype=torch.float64)
    far = ball(x, 0.1, p).project(x + normal(3, 50))
    length = torch.linalg.vector_norm(far - x, p, dim=1)
    torch.testing.assert_close(length, torch.full_like(length, 0.1))


def test_starts_fill_the_small_ball() -> None:
    x = torch.full((2000, 3), 0.5, dtype=torch.float64)
    for p in (2, math.inf):
        lengths = torch.linalg.vector_norm(ball(x, 1.0, p).draw(0.1, generator()) - x, p, dim=1)
        assert 0.099 < lengths.max() <= 0.1
        assert lengths.min() < 0.02
        assert (ball(x, 1.0, p).draw(0.1, generator()) - x).mean().abs() < 0.003


def test_the_distance_is_compared_in_exact_arithmetic() -> None:
    unit = math.ulp(0.1)
    for k in range(-3, 4):
        for small in (0.0, 0.3 * unit, 0.6 * unit, 0.9 * unit):
            z, x = torch.tensor([[0.1 + k * unit]]).double(), torch.tensor([[small]]).double()
            far = Fraction(z.item()) - Fraction(x.item()) > Fraction(0.1)
            assert balls._is_farther(z, x, 0.1).item() == far
            assert balls._is_farther(x, z, 0.1).item() == far


# ---------------------------------------------------------------- what is best


def test_fgs_is_the_worst_case_of_two_affine_logits() -> None:
    """The margin falls by ε ‖w‖₁, or less at the ends of [0, 1]."""
    W, b = normal(2, 10), normal(2, seed=1)
    x, y = uniform(50, 10, low=0, high=1, seed=2), torch.arange(50) % 2
    model = lt.frozen_linear(W, b)
    w = (W[0] - W[1]) * (1 - 2 * y[:, None])
    moved = torch.where(w > 0, (x - 0.3).clamp(0), (x + 0.3).clamp(max=1))
    worst = (w * moved).sum(1) + (b[0] - b[1]) * (1 - 2 * y)
    found = margin(model, lt.fgs(model, x, y, 0.3), y)
    torch.testing.assert_close(found, torch.minimum(worst, margin(model, x, y)))
    inside = (x - 0.5).mul(0.1).add(0.5)
    found = margin(model, lt.fgs(model, inside, y, 0.3), y)
    torch.testing.assert_close(found, margin(model, inside, y) - 0.3 * w.abs().sum(1))


@pytest.mark.parametrize("p", [2, math.inf])
def test_fgs_with_all_targets_is_the_worst_case_of_many_affine_logits(p) -> None:
    W, x = normal(5, 10), uniform(50, 10, low=0.3, high=0.7, seed=2)
    model = lt.frozen_linear(W)
    y = torch.cat([model(x[:25]).argmax(1), torch.arange(25) % 5])
    lengths = (W[y][:, None] - W).norm(p=2 if p == 2 else 1, dim=2)
    with torch.no_grad():
        gaps = model(x).gather(1, y[:, None]) - model(x) - 0.3 * lengths
    worst = gaps.masked_fill(torch.eye(5)[y].bool(), math.inf).min(1).values
    found = margin(model, lt.fgs(model, x, y, 0.3, p=p, targets="all"), y)
    torch.testing.assert_close(found, worst)
    by_runner_up = margin(model, lt.fgs(model, x, y, 0.3, p=p), y)
    assert (by_runner_up >= worst - 1e-12).all()
    assert (by_runner_up > worst + 0.01).any()


@pytest.mark.parametrize("loss", ["cw", "ce"])
@pytest.mark.parametrize("targets", ["runner-up", "all"])
@pytest.mark.parametrize("p", [2, math.inf])
def test_more_steps_never_lose_and_a_start_is_never_made_worse(loss, targets, p) -> None:
    model, x = network(8, 16, 16, 4), uniform(30, 8, low=0, high=1)
    with torch.no_grad():
        y = model(x).argmax(1)
    kept = [margin(model, x, y)]
    for steps in (1, 2, 5, 20, 60):
        found = lt.pgd(model, x, y, 0.2, steps, 0.15, loss=loss, targets=targets, p=p)
        kept.append(margin(model, found, y))
        assert (kept[-1] <= kept[-2]).all()
    assert (kept[-1] < kept[1]).any()


def test_the_best_image_is_returned_and_not_the_last() -> None:
    """Where a step leads past the valley, each step that follows is worse."""
    model = nn.Sequential(
        lt.frozen_linear([[1.0]], [-0.5]), lt.Abs(), lt.frozen_linear([[1.0], [-1.0]], [0.0, 0.05])
    )
    x, y = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([0])
    found = lt.pgd(model, x, y, 0.3, steps=1, step_size=0.19, start=0.0)
    assert abs(found.item() - 0.51) < 1e-12
    assert lt.pgd(model, x, y, 0.3, steps=40, step_size=0.19, start=0.0).item() == found.item()


def test_the_image_itself_is_returned_where_nothing_is_worse() -> None:
    model = nn.Sequential(
        lt.frozen_linear([[1.0]], [-0.5]), lt.Abs(), lt.frozen_linear([[1.0], [-1.0]], [0.1, 0.0])
    )
    x = torch.tensor([[0.5]]).double()
    assert torch.equal(lt.pgd(model, x, torch.tensor([0]), 0.3, 3, start=1.0), x)


def test_pgd_finds_what_one_step_cannot() -> None:
    model, x = network(8, 32, 32, 4), uniform(60, 8, low=0, high=1)
    with torch.no_grad():
        y = model(x).argmax(1)
    one, many = (
        margin(model, found, y) for found in (lt.fgs(model, x, y, 0.4), lt.pgd(model, x, y, 0.4))
    )
    assert (many < one - 1e-3).float().mean() > 0.3
    assert many.mean() < one.mean()


def test_a_step_in_the_2_norm_has_the_direction_of_the_gradient() -> None:
    model = lt.frozen_linear([[3.0, 4.0], [0.0, 0.0]])
    x, y = torch.tensor([[0.5, 0.5]]).double(), torch.tensor([0])
    torch.testing.assert_close(lt.fgs(model, x, y, 0.1, p=2), torch.tensor([[0.44, 0.42]]).double())


def test_the_start_and_the_step_are_shares_of_eps() -> None:
    """On a slope that does not turn, each pixel moves ε/20 a step, from within ε/10."""
    model = lt.frozen_linear([[1.0] * 4, [-1.0] * 4])
    x, y = torch.full((1, 4), 0.5).double(), torch.tensor([0])
    moved = 0.5 - lt.pgd(model, x, y, 0.2, steps=10)
    assert (moved - 0.1).abs().max() <= 0.02
    assert len(moved.unique()) == 4
    exact = 0.5 - lt.pgd(model, x, y, 0.2, steps=10, start=0.0)
    torch.testing.assert_close(exact, torch.full((1, 4), 0.1).double())


def test_generators_decide_the_start_and_none_is_always_the_same() -> None:
    model, x, y = network(8, 16, 4), uniform(5, 8, low=0, high=1), torch.arange(5) % 4
    state = torch.get_rng_state()
    first, again = (lt.pgd(model, x, y, 0.1, steps=3) for _ in range(2))
    other = lt.pgd(model, x, y, 0.1, steps=3, generator=generator(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------- saturation, modes, shapes


def test_cross_entropy_saturates_and_says_so_and_f6_does_not() -> None:
    model = nn.Sequential(*network(8, 16, 4), lt.Scale(1000.0)).float()
    x = uniform(40, 8, low=0, high=1).float()
    with torch.no_grad():
        y = model(x).argmax(1)
    with pytest.warns(lt.AttackWarning, match=r"gradient 0 at \d+ of 40 images"):
        stood = lt.pgd(model, x, y, 0.3, steps=40, loss="ce")
    found = lt.pgd(model, x, y, 0.3, steps=40)
    assert (margin(model, found, y) <= 0).sum() > (margin(model, stood, y) <= 0).sum()


@pytest.mark.filterwarnings("ignore::lipteach.AttackWarning")
def test_the_model_is_attacked_in_evaluation_mode_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    model = model.double()
    x, y = uniform(5, 4, low=0, high=1), torch.arange(5) % 3
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(lt.AttackWarning, match="training mode"):
        found = lt.pgd(model, x, y, 0.1, steps=3)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(found, lt.pgd(model.eval(), x, y, 0.1, steps=3))


def test_an_image_is_attacked_alike_alone_and_in_a_batch() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), lt.MaxMin(1), nn.Flatten(), nn.Linear(8, 3)).double()
    x, y = uniform(5, 1, 4, 4, low=0, high=1), torch.arange(5) % 3
    together = lt.pgd(model, x, y, 0.1, steps=4, start=0.0)
    for k in range(5):
        alone = lt.pgd(model, x[k : k + 1], y[k : k + 1], 0.1, steps=4, start=0.0)
        torch.testing.assert_close(alone, together[k : k + 1])


def test_a_constrained_layer_is_computed_once_and_may_be_attacked_while_no_graph_is_kept() -> None:
    model = nn.Sequential(lt.orthonormal(nn.Linear(8, 8)), lt.MaxMin(), nn.Linear(8, 3)).double()
    x, y = uniform(5, 8, low=0, high=1), torch.arange(5) % 3
    with torch.no_grad():
        found = lt.pgd(model, x, y, 0.1, steps=4)
    assert torch.equal(found, lt.pgd(lt.export(model), x, y, 0.1, steps=4))


def test_models_that_work_in_place_or_give_no_gradient_and_labels_of_any_kind() -> None:
    x, y = torch.tensor([[0.5, 0.25]]), torch.tensor([0])
    kept, linear = x.clone(), lt.frozen_linear(torch.eye(2)).float()
    for first in (nn.ReLU(inplace=True), nn.Hardtanh(0.1, 0.9, inplace=True)):
        for attack in (lt.fgs, lt.pgd):
            attack(nn.Sequential(first, linear), x, y, 0.1)
            assert torch.equal(x, kept)
    for dtype in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.uint16):
        assert torch.equal(lt.pgd(linear, x, y.to(dtype), 0.1), lt.pgd(linear, x, y, 0.1))
        assert lt.cw_f6(x, y.to(dtype)) == lt.cw_f6(x, y)
        assert lt.sandwich(linear, x, y.to(dtype), 0.1).clean == 0

    class Constant(nn.Module):
        """Logits without a gradient."""

        def forward(self, x):
            """Return them."""
            return x.detach()

    with pytest.warns(lt.AttackWarning, match="gradient 0 at 1 of 1"):
        assert torch.equal(lt.pgd(Constant(), x, y, 0.1, start=0.0), x)


def test_where_two_rivals_tie_the_gradient_is_that_of_one() -> None:
    logits = torch.tensor([[0.0, 1.0, 1.0]], requires_grad=True)
    (found,) = torch.autograd.grad(lt.cw_f6(logits, torch.tensor([0])).sum(), logits)
    assert sorted(found[0].tolist()) == [-1, 0, 1]
