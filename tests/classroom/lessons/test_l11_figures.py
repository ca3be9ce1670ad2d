"""The figures of lesson 11: each has a statement, and draws the numbers it states."""

import pytest
import torch
from classroom_support import drawn

import lipteach as lt
from lipteach.classroom.lessons.l11_wasserstein import figures
from lipteach.classroom.lessons.l11_wasserstein import transport_learning as learning
from lipteach.experiments import CellRecord, Record
from lipteach.training import orthonormal_network, three_cones


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5])
def test_two_heaps_states_the_cost_of_its_plan(t: float) -> None:
    plan = torch.tensor([[t, 0.5 - t], [0.5 - t, t]]).double()
    x, y = (torch.tensor(places).double()[:, None] for places in (figures.X, figures.Y))
    cost = float((plan * torch.cdist(x, y)).sum())
    figure = figures.draw_two_heaps(t)
    assert f"the plan costs {cost:.2f}" in drawn(figure)
    assert figure.axes[1].lines[1].get_ydata() == [pytest.approx(cost)]
    widths = [line.get_linewidth() for line in figure.axes[0].lines[:-2]]
    assert sum(widths) == pytest.approx(10)
    best = f"{lt.exact_wasserstein(x, y):.2f}"  # what the reader is asked to predict
    assert (best in drawn(figure)) == (t == 0.5)


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.75])
def test_outside_keeps_the_value(slope: float) -> None:
    figure = figures.draw_outside(slope)
    x, f = (torch.as_tensor(data) for data in figure.axes[0].lines[1].get_data())
    inside = x.abs() <= 1
    assert torch.equal(f[inside], -x[inside].abs())
    assert (f.diff() / x.diff()).abs().max() <= 1 + 1e-9
    assert (f[-1] - f[-2]) / (x[-1] - x[-2]) == pytest.approx(slope)
    assert "is 1.00." in drawn(figure)


@pytest.mark.parametrize(("spacing", "distance", "foreign"), [(1.5, 0.906, True), (2, 1, False)])
def test_spacing_draws_the_best_plan(spacing: float, distance: float, foreign: bool) -> None:
    figure = figures.draw_spacing(spacing)
    assert f"distance is {distance:.3f}" in drawn(figure)
    assert ("nothing" in drawn(figure)) != foreign
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert bool(dashed) == foreign
    plan = lt.transport_plan(three_cones(spacing).centres, three_cones(spacing).stratified(36)[1])
    segments = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(segments) == int((plan > 0).sum())


@pytest.mark.parametrize(("spacing", "lift"), [(2.0, 0.3), (2.5, 0.5), (2.5, -0.6)])
def test_heights_state_the_dual_value(spacing: float, lift: float) -> None:
    figure = figures.draw_heights(spacing, lift)
    x, y = three_cones(spacing).stratified(360)
    tips = torch.tensor([0, lift, 0]).double()

    def f(z: torch.Tensor) -> torch.Tensor:
        return (tips - torch.cdist(z, three_cones(spacing).centres)).amax(dim=1)

    assert f"value is {float(f(x).mean() - f(y).mean()):.3f}, the distance 1.000" in drawn(figure)
    heights = torch.as_tensor(figure.axes[1].lines[1].get_ydata())
    assert torch.allclose(heights, f(three_cones(spacing).centres))


def test_batches_count_all_and_state_the_means() -> None:
    figure = figures.draw_batches(12)
    for patch in figure.axes[0].patches:
        corners = patch.get_xy()
        assert corners[:, 1].max() <= 60
    g = torch.Generator().manual_seed(0)
    batches = [three_cones().sample(12, g) for _ in range(60)]
    mean = sum(float(lt.exact_wasserstein(x, y)) for x, y in batches) / 60
    assert f"{mean:.3f} with both sides drawn" in drawn(figure)


def test_learning_draws_each_curve() -> None:
    curves = {"one": ([1, 2, 3], [0.1, 0.5, 0.75]), "two": ([1, 2, 3], [0.0, 0.2, 0.4])}
    figure = learning.draw_learning(curves)
    assert list(figure.axes[0].lines[0].get_ydata()) == curves["one"][1]
    assert "After 3 steps the dual value is 0.75 for one, 0.40 for two" in drawn(figure)


def test_learnt_surface_states_the_value_of_the_network() -> None:
    network = orthonormal_network([2, 8, 1], lt.MaxMin, torch.Generator().manual_seed(0))
    value = lt.wasserstein_dual(network, *three_cones().stratified(600)).item()
    figure = learning.draw_learnt_surface(network)
    assert f"of value {round(value, 2) + 0.0:.2f}" in drawn(figure)


def test_record_states_the_best_of_each_pair() -> None:
    cells = []
    for pair, hidden, activation, values in (
        ("absolute value", [8], "MaxMin", [0.98, 1.0]),
        ("absolute value", [8], "ReLU", [0.5, 0.5]),
        ("three cones", [8], "MaxMin", [0.7, 0.8]),
        ("three cones", [8, 8], "MaxMin", [0.8, 0.9]),
    ):
        own = {"pair": pair, "hidden": hidden, "activation": activation, "constraint": "spectral"}
        cells.append(CellRecord(own, {"estimate": values}, {}))
    figure = learning.draw_record(Record("h1_transport", "quick", [0, 1], tuple(cells), {}))
    assert "0.990 for the absolute value, 0.850 for the three cones" in drawn(figure)
    assert [axes.get_title().split("\n") for axes in figure.axes] == [
        ["absolute value", "1 × 8"], ["three cones", "1 × 8"], ["three cones", "2 × 8"],
    ]  # fmt: skip
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.99, 0.5]
