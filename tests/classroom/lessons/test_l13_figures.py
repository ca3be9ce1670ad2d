"""The figures of lesson 13: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn
from support import generator, uniform
from torch import nn

import lipteach as lt
from lipteach.classroom.lessons.l13_robustness import figures, radii
from lipteach.training import orthonormal_network

PAIR = nn.Sequential(lt.frozen_linear([[1.0] + [0.0] * 8, [0.0] * 8 + [1.0]]))
IMAGE = torch.tensor([0.75] + [0.0] * 7 + [0.25]).double()


def test_margins_are_tracked_along_eps() -> None:
    found = radii.track(PAIR, IMAGE, 0)
    wanted = [0.5 - 2 * eps for eps in radii.EPS]
    for line in (found.attacked, found.intervals, found.product):
        assert line == pytest.approx(wanted, abs=1e-6)
    assert found.told == [0 if eps < 0.25 else 1 for eps in radii.EPS]
    assert torch.equal(found.adversarial[0], IMAGE)


@pytest.mark.parametrize(
    ("eps", "margins", "verdict"),
    [
        (0.1, "0.30 and 0.30", "it is certain that no image"),
        (0.3, "-0.10 and -0.10", "the attack makes it a seven"),
    ],
)
def test_an_attack_is_drawn_with_its_verdict(eps, margins, verdict) -> None:
    found = radii.track(PAIR, IMAGE, 0)
    said = drawn(figures.draw_attack(found, ["one", "seven"], eps))
    assert f"ε = {eps:g}: the least margin lies between {margins}; {verdict}" in said
    silent = found._replace(intervals=[-0.1] * len(radii.EPS))
    said = drawn(figures.draw_attack(silent, ["one", "seven"], 0.1))
    assert "the certificate is silent" in said


def test_what_saturates_is_drawn_by_factor() -> None:
    figure = figures.draw_saturation({1.0: (0.25, 0.5), 1000.0: (0.25, 0.125)})
    assert "25.0 and 50.0 (× 1); 25.0 and 12.5 (× 1000)." in drawn(figure)
    f6, entropy = (line.get_ydata() for line in figure.axes[0].lines)
    assert list(f6) == [25, 25]
    assert list(entropy) == [50, 12.5]


def test_the_walk_goes_along_what_the_attacks_find() -> None:
    network, x = (
        orthonormal_network([2, 8, 8, 3], lt.MaxMin, generator(79)),
        torch.tensor([0.3, 0.4]),
    )
    x = x.double()
    label, margins = int(network(x[None]).argmax()), []
    for steps in (1, 8):
        figure = figures.draw_walk(network, x, label, 0.25, steps)
        line = next(line for line in figure.axes[0].lines if "PGD" in line.get_label())
        assert len(line.get_xdata()) == steps + 1
        assert line.get_xydata()[0].tolist() == pytest.approx(x.tolist())
        end = torch.tensor(line.get_xydata()[-1].tolist()).to(x)
        assert (end - x).abs().max() <= 0.25 + 1e-9
        margins.append(figures.margin_at(network, end, label))
        assert f"{margins[-1]:.2f} after {steps} steps of PGD." in drawn(figure)
    assert margins[1] < 0 < margins[0] + 0.1


@pytest.mark.parametrize("angle", [0, 30, 45, 90])
def test_the_box_is_that_of_intervals(angle) -> None:
    figure = figures.draw_box(angle)
    turn = math.radians(angle)
    W = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    reach = W.abs().sum(1)
    assert f"sides are {reach[0]:.2f} times as long." in drawn(figure)
    box = torch.tensor(figure.axes[1].lines[0].get_xydata().tolist())
    assert torch.allclose(box.amax(0), reach)
    shape = torch.tensor(figure.axes[1].patches[0].get_xy().tolist())
    assert torch.allclose(
        shape[:4], torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) @ W.T, atol=1e-6
    )


def test_errors_are_drawn_with_the_truth_between() -> None:
    errors = {"clean": [0.1, 0.1], "attacked": [0.2, 0.4], "intervals": [0.3, 0.5]}
    errors["product"] = [0.4, 0.9]
    figure = figures.draw_errors({"one": errors, "two": errors}, (0.05, 0.1))
    assert "(clean, attacked, intervals, product): one 10.0, 40.0, 50.0, 90.0; two" in drawn(figure)
    lines = [list(line.get_ydata()) for line in figure.axes[0].lines]
    for line, wanted in zip(lines, [[10, 10], [20, 40], [30, 50], [40, 90]], strict=True):
        assert line == pytest.approx(wanted)
    assert "one 10.0" in drawn(figures.draw_errors({"one": errors}, (0.05, 0.1)))


def test_errors_by_margin_stand_beside_the_paper_s() -> None:
    found = {
        m: {
            "clean": [m, m],
            "attacked": [2 * m, 3 * m],
            "intervals": [4 * m] * 2,
            "product": [9] * 2,
        }
        for m in (1.0, 2.0, 4.0)
    }
    paper = {2.0: (24.4, 77.7)}
    figure = figures.draw_margins(found, paper, (0.1, 0.3), margin=2.0)
    said = "Margin 2, per cent: 2.0 clean; at ε = 0.1 4.0 attacked, 8.0 by intervals"
    assert said in drawn(figure)
    assert "ε = 0.3 6.0 attacked, 8.0 by intervals (PGD in the paper 77.7)." in drawn(figure)
    for axes, attacked, theirs in zip(
        figure.axes, ([2, 4, 8], [3, 6, 12]), (24.4, 77.7), strict=True
    ):
        assert list(axes.lines[1].get_ydata()) == attacked
        assert axes.lines[4].get_xydata().tolist() == [[2.0, theirs]]
        assert set(axes.lines[5].get_xdata()) == {2.0}
    other = drawn(figures.draw_margins(found, paper, (0.1, 0.3), margin=4.0))
    assert "ε = 0.3 12.0 attacked, 16.0 by intervals." in other


def test_radii_are_those_of_a_linear_classifier() -> None:
    x = torch.stack([IMAGE, 0.5 * IMAGE])
    (one, two) = radii.measure_radii(PAIR, x, torch.tensor([0, 0]), 1.0, [0.25, 0.125])
    assert one.product == pytest.approx(0.25)
    for found, exact in ((one, 0.25), (two, 0.125)):
        assert found.intervals <= exact <= found.attack + 1e-9
        assert found.attack - found.intervals <= 0.002 + 1e-9
    said = drawn(figures.draw_radii([one, two]))
    assert "Of 2 images the attack comes within 0.002 of the true radius 2 times" in said


def test_gradients_are_drawn_around_0() -> None:
    rows = uniform(4, 9)
    figure = figures.draw_gradients({"one": (rows, 0.25), "two": (0 * rows, 0.5)}, side=3)
    assert "on the strokes: one 25, two 50." in drawn(figure)
    assert len(figure.axes) == 8
    for axes, row in zip(figure.axes, rows, strict=False):
        low, high = axes.images[0].get_clim()
        assert -low == high == pytest.approx(row.abs().max().item())
    assert math.isfinite(figure.axes[4].images[0].get_clim()[1])
