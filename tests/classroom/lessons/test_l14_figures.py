"""The toy of lesson 14: the penalized critic claims more than there is, the Lipschitz one never."""

import pytest
import torch
from classroom_support import drawn

from lipteach.classroom.lessons.l14_generators import figures
from lipteach.classroom.lessons.l14_generators.toy import KINDS, toy_critics, train_toy_critic


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


def test_the_figure_states_what_it_draws() -> None:
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
