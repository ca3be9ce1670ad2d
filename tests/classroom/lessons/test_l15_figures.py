"""The figures of lesson 15: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn
from torch import nn

import lipteach as lt
from lipteach.classroom.lessons.l15_cifar import figures


def test_images_are_drawn_in_their_own_colours() -> None:
    colours = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.25, 0.0]])
    images = ((colours - 0.4) / 0.3)[:, :, None, None].expand(2, 3, 4, 4)
    figure = figures.draw_images(images, torch.tensor([7, 2]), columns=2)
    assert drawn(figure) == "Digits in made-up colours: 7, 2."
    for axes, colour in zip(figure.axes, colours, strict=True):
        shown = torch.as_tensor(axes.images[0].get_array()[1, 2].data)
        assert torch.allclose(shown.float(), colour, atol=1e-6)


def test_the_loss_that_is_stated_is_the_mean_of_the_last_ten() -> None:
    losses = {"ReLU": [2.0] * 10 + [1.0] * 10, "MaxMin": [3.0] * 19 + [2.0]}
    figure = figures.draw_losses(losses)
    assert "ReLU from 2.0 to 1.00, MaxMin from 3.0 to 2.90." in drawn(figure)
    curves = figure.axes[0].lines
    assert [line.get_label() for line in curves[1::2]] == ["ReLU", "MaxMin"]
    assert list(curves[1].get_xdata()) == list(range(9, 20))
    assert curves[1].get_ydata()[5] == pytest.approx(1.5)


@pytest.mark.parametrize("size", [0.1, 0.5, 1.0])
def test_a_row_of_blocks_is_between_what_is_found_and_the_bound(size: float) -> None:
    """Sorted numbers stay sorted, so that they grow by 1 + a in each block, as one sees by hand."""
    x = torch.arange(8.0, 0, -1).double()[None]
    alike = figures.blocks(3, size, aligned=True)
    assert torch.allclose(alike(x), (1 + size) ** 3 * x)
    assert figures.steepest(alike) == pytest.approx((1 + size) ** 3)
    other = figures.blocks(3, size, aligned=False)
    for block in other:
        turned = block.body[0].weight
        assert torch.allclose(turned @ turned.T, torch.eye(8).double())
    bounds = lt.lipschitz_bounds(other, torch.randn(4, 8, generator=torch.Generator()))
    assert bounds.upper == pytest.approx((1 + size) ** 3)
    assert 1 < figures.steepest(other) < bounds.upper * (1 - 1e-3)


def test_the_slider_of_sums_states_what_it_draws() -> None:
    figure = figures.draw_sums(2, 0.25)
    words = "n = 2 blocks with bodies of norm a = 0.25: the bound is 1.56, 1.56 is found"
    assert words in drawn(figure)
    bound, alike, random, mean = (line.get_ydata() for line in figure.axes[0].lines[:4])
    assert list(bound) == pytest.approx([1.25**n for n in range(1, 9)])
    assert list(alike) == pytest.approx(list(bound))
    assert all(r < b + 1e-9 for r, b in zip(random, bound, strict=True))
    assert list(mean) == pytest.approx([0.625**n for n in range(1, 9)])
    whole = figures.draw_sums(8, 1.0)
    assert "means have the bound 1." in drawn(whole)
    assert whole.axes[0].get_ylim() == figure.axes[0].get_ylim()


@pytest.mark.parametrize("delta", [1e-5, 0.01, 2.0])
def test_two_numbers_in_a_batch_come_apart_as_the_formula_says(delta: float) -> None:
    out = figures.normalized_apart(delta, training=True)
    assert out == pytest.approx(delta / math.sqrt(delta**2 / 4 + 1e-5))
    assert out < 2
    once = figures.normalized_apart(delta, training=False)
    assert once == pytest.approx(delta / math.sqrt(1 + nn.BatchNorm1d(1).eps))


def test_the_slider_of_distances_states_what_it_draws() -> None:
    figure = figures.draw_pair(-2.0)
    assert "the distance 0.01 come out 1.69 apart in training mode, 169 times" in drawn(figure)
    left, right = figure.axes
    for axes, power in ((left, 0), (right, 1)):
        deltas, values = axes.lines[0].get_xdata(), axes.lines[0].get_ydata()
        want = [d / math.sqrt(d**2 / 4 + 1e-5) / d**power for d in deltas]
        assert list(values) == pytest.approx(want)
    assert "0.2 times as far" in drawn(figures.draw_pair(1.0))


def test_the_bound_of_the_first_modules_is_drawn_beside_what_is_found() -> None:
    figure = figures.draw_depth(["a", "b", "c"], [3.0, 60.0, 12_345.0], [2.0, 4.0, 8.0])
    assert drawn(figure) == "The bound grows from 3 to 12,345; what is found goes from 2 to 8."
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["a", "b", "c"]
    bound, found = figure.axes[0].lines
    assert list(bound.get_xdata()) == [1, 2, 3]
    assert list(bound.get_ydata()) == [3.0, 60.0, 12_345.0]
    assert list(found.get_ydata()) == [2.0, 4.0, 8.0]
