"""The figures of lesson 14: each has a statement, and draws the numbers it states."""

from functools import partial

import pytest
import torch
from classroom_support import drawn
from support import generator
from torch import nn

import lipteach as lt
from lipteach.classroom.lessons.l14_wgan import figures, pictures, toy
from lipteach.classroom.lessons.l14_wgan.blind import blind_critic
from lipteach.classroom.lessons.l14_wgan.toy import KINDS, toy_critics, train_toy_critic
from lipteach.training import gradient_penalty

ASKED = (0.1, 0.35, 0.5, 0.9)


def grey(*levels: int) -> torch.Tensor:
    """One-coloured images of 2 × 3 pixels."""
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 3)


def test_who_cheats_on_the_toy() -> None:
    clipped, penalized, lipschitz = (toy_critics(250)[kind][1] for kind in KINDS)
    for found in (clipped, penalized, lipschitz):
        assert found["exact"] == pytest.approx(1)
        assert found["lower"] <= found["upper"]
        assert found["claimed"] <= found["upper"]  # of a distance of 1
    assert penalized["claimed"] > 1.02, "it cheats"
    assert penalized["lower"] > 1.02, "and this is how"
    assert clipped["claimed"] < 0.01, "no unit of distance"
    assert 0.8 < lipschitz["claimed"] <= lipschitz["upper"] <= 1 + 1e-9


def test_the_toy_states_what_it_draws() -> None:
    figure = figures.draw_toy(10)
    text = drawn(figure)
    left, right = figure.axes
    for k, (kind, (critic, found)) in enumerate(toy_critics(10).items()):
        line = left.lines[k + 1]
        z = torch.tensor([[float(line.get_xdata()[-1]), 0.0], [0.0, 0.0]]).double()
        ends = critic(z)[:, 0].detach()
        assert float(line.get_ydata()[-1]) == pytest.approx(float(ends[0] - ends[1]))
        assert right.patches[2 * k].get_width() == pytest.approx(found["claimed"])
        assert right.patches[2 * k + 1].get_width() == pytest.approx(found["lower"])
        assert f"the {kind} critic claims {found['claimed']:.3g} and has" in text


def test_a_seed_is_a_critic() -> None:
    x = torch.ones(1, 2).double()
    one, same, other = (train_toy_critic(KINDS[1], 2, seed)(x) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_weak_penalty_lets_a_critic_claim_more() -> None:
    """By 1/(2λ), as the lesson finds with one slope for all."""
    weak, strong = toy.penalized_claims(250, (1.0, 100.0))
    assert weak == pytest.approx(figures.dearest(1.0), abs=0.05)
    assert strong < 0.5, "it trains slowly, as a solution says"


@pytest.mark.parametrize("strength", [1.0, 2.0, 16.0])
def test_the_price_states_what_it_draws(strength: float) -> None:
    figure = figures.draw_price((1.0, 5.0), (1.5, 1.125), strength)
    text = drawn(figure)
    slopes = torch.linspace(0, 3, 30_001, dtype=torch.float64)
    gain = slopes - strength * (slopes - 1) ** 2
    best = float(slopes[gain.argmax()])
    assert f"the slope {best:.3f} gains most, {float(gain.max()):.3f}." in text
    assert "1.500 for 1, 1.125 for 5." in text
    left, right = figure.axes
    curve, _, star = left.lines
    at = int(torch.tensor(curve.get_ydata()).argmax())
    assert float(curve.get_xdata()[at]) == pytest.approx(best, abs=0.011)
    assert list(star.get_xdata()) == pytest.approx([best], abs=2e-4)
    assert list(right.lines[1].get_ydata()) == [1.5, 1.125]


@pytest.mark.parametrize("steep", [2.0, 8.0])
def test_the_penalty_does_not_see_the_blind_critic(steep: float) -> None:
    critic, at = blind_critic(ASKED, steep), torch.tensor(ASKED).double()[:, None]
    assert float(gradient_penalty(critic, at).detach()) == pytest.approx(0)
    assert float(critic(torch.zeros(1, 1).double())) == 0
    ends = torch.tensor([[0.0], [1.0]]).double()
    fall = float(critic(ends)[0] - critic(ends)[1])
    assert fall == pytest.approx(0.32 + 0.68 * steep)  # 4 windows of 0.08
    assert lt.lipschitz_bounds(critic, torch.tensor([[0.2]])).lower == pytest.approx(steep)
    figure = figures.draw_blind(ASKED, steep)
    assert f"elsewhere −{steep:g}: from 0 to 1 the function falls by {fall:.2f}." in drawn(figure)
    curve, _, *touching, asked = figure.axes[0].lines
    assert float(curve.get_ydata()[-1]) == pytest.approx(-fall)
    assert list(asked.get_xdata()) == pytest.approx(list(ASKED))
    for line in touching:
        (x, z), (fx, fz) = line.get_xdata(), line.get_ydata()
        assert (fz - fx) / (z - x) == pytest.approx(-1)


def test_images_are_laid_out_in_rows() -> None:
    laid = pictures.tile(grey(1, 2, 3, 4, 5, 6, 7), across=3)
    assert laid.shape == (4, 9)
    assert laid[::2, ::3].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert laid[1, 5] == 2


def test_samples_of_a_moment_are_drawn() -> None:
    kept = {0: grey(0, 0, 0, 0), 5: grey(255, 0, 255, 128)}
    for moment, said in ((0, "after 0 of 5 steps of the generator; 0%"), (1, "75%")):
        figure = figures_of(kept, moment)
        assert said in drawn(figure)
        assert drawn(figure).startswith("4 samples")
    shown = figure.axes[0].images[0].get_array()
    assert shown[::2, ::3].tolist() == [[255, 0], [255, 128]]


figures_of = partial(pictures.draw_samples, across=2)


def test_the_match_states_what_it_draws() -> None:
    moments = {
        0: {"claimed": 0.5, "exact": 4.0, "lower": 0.875, "upper": 1.0},
        2: {"claimed": 1.5, "exact": 3.0, "lower": 0.9375, "upper": 1.0},
    }
    figure = pictures.draw_match([1.0, 2.0, 3.0, 4.0], moments, rounds=2)
    text = drawn(figure)
    assert "claims 0.50 of 4.00 before the first step, and 1.50 of 3.00 after the last" in text
    assert "its constant stays between 0.875 and 1.000." in text
    claims, exact, same = figure.axes[0].lines
    assert list(claims.get_xdata()) == [0, 0.5, 1, 1.5]
    assert list(exact.get_ydata()) == [4.0, 3.0]
    assert list(same.get_ydata()) == [0.5, 1.5]
    upper, lower = figure.axes[1].lines
    assert list(upper.get_ydata()) == [1.0, 1.0]
    assert list(lower.get_ydata()) == [0.875, 0.9375]


class Spread(nn.Module):
    """Images of one colour, the first latent number."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return it."""
        return z[:, :1, None, None].expand(-1, 1, 2, 3)


def test_a_walk_goes_from_one_latent_point_to_another() -> None:
    first, second = torch.tensor([[0.0, 5.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    figure = pictures.draw_between(Spread(), first, second, 0.3)
    text = drawn(figure)
    chosen, walk = (axes.images[0].get_array() for axes in figure.axes)
    assert list(chosen[::2, 0]) == pytest.approx([0.3, 0.85])
    assert list(walk[0, ::3]) == pytest.approx([k / 10 for k in range(11)])
    assert list(walk[2, ::3]) == pytest.approx([1 - k / 20 for k in range(11)])
    whole = (1 + 0.5) / 2 * 6**0.5
    assert f"The ends are {whole:.2f} apart on average" in text
    assert f"by {whole / 10:.2f} to {whole / 10:.2f}." in text
    (frame,) = figure.axes[1].patches
    assert frame.get_x() == pytest.approx(3 * 3 - 0.5)


def test_distances_are_drawn_with_those_of_unseen_samples() -> None:
    one = {"exact": 3.0, "real": 2.5, "MaxMin": 2.0, "ReLU": 1.5, "MaxMin_held": 1.0}
    two = {"exact": 1.0, "real": 0.25, "MaxMin": 0.75, "ReLU": 0.5}
    figure = pictures.draw_distances({"pixels": one, "components": two})
    text = drawn(figure)
    assert text.startswith("In pixels the exact distance is 3.00, of data to data 2.50, MaxMin")
    assert text.endswith("MaxMin finds 0.75 and ReLU 0.50.")
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [3.0, 2.5, 2.0, 1.5]
    assert [list(line.get_xdata()) for line in left.lines] == [[1.0]]
    assert not right.lines


def test_the_toy_s_penalty_is_the_scheme_s() -> None:
    """Lambda is 10 there, as it is in the table of critics."""
    row = toy.CRITICS["penalty, LeakyReLU"]
    critic, x = nn.Linear(2, 1), torch.randn(3, 2, generator=generator(5))
    assert row.scheme.penalty
    assert row.scheme.penalty(critic, x, {}) == 10 * gradient_penalty(critic, x)


def test_a_recorded_run_is_drawn_with_its_moments() -> None:
    pages = {"dark": torch.zeros(10, 6).byte(), "bright": torch.full((10, 6), 9).byte()}
    pages["bright"][-1, :3] = 200
    figure = pictures.draw_recorded_samples(pages, "bright")
    assert "bright: samples of 3 latent points at 5 moments" in drawn(figure)
    assert "25% of their pixels" in drawn(figure)
    (axes,) = figure.axes
    assert (axes.images[0].get_array() == pages["bright"].numpy()).all()
    assert [one.get_text() for one in axes.get_yticklabels()] == ["0%", "5%", "20%", "50%", "100%"]
    assert list(axes.get_yticks()) == [1, 3, 5, 7, 9]
