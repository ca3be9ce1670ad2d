"""The figures of lesson 06: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn

from lipteach.classroom.lessons.l06_spectral_vs_bjorck import figures, training
from lipteach.experiments import CellRecord, Record, load_record
from lipteach.primitives import MaxMin
from lipteach.training import orthonormal_network


def estimate(sigma: torch.Tensor, steps: int) -> float:
    """The closed form of power iteration on diag(sigma) from (1, …, 1)."""
    return math.sqrt((sigma ** (4 * steps)).sum() / (sigma ** (4 * steps - 2)).sum())


@pytest.mark.parametrize(("ratio", "steps"), [(0.5, 1), (0.85, 5), (0.9, 20), (1.0, 3)])
def test_power_iteration_follows_the_closed_form(ratio: float, steps: int) -> None:
    figure = figures.draw_power_iteration(ratio, steps)
    left, right = figure.axes
    statement = drawn(figure)
    for k, (name, sigma) in enumerate(figures.spectra(ratio).items()):
        assert sigma[:2].tolist() == [1, ratio]
        curve = left.lines[1 + k].get_ydata()  # the first line is the true norm
        assert float(curve[steps - 1]) == pytest.approx(estimate(sigma, steps))
        after = 1 / estimate(sigma, steps)
        assert float(right.lines[2 * k + 1].get_ydata()[0]) == pytest.approx(after)
        assert float(right.lines[2 * k].get_ydata()[-1]) == pytest.approx(1)  # at ratio 1
        assert f"{after:.3f} with {name}" in statement


@pytest.mark.parametrize("second", [0.0, 0.35, 1.0])
def test_gradients_keep_what_the_singular_values_say(second: float) -> None:
    figure = figures.draw_gradients(second)
    spectral, polar = figure.axes[1].lines
    degrees = torch.as_tensor(spectral.get_xdata())
    t = degrees * math.pi / 180
    want = (t.cos() ** 2 + (second * t.sin()) ** 2).sqrt()
    assert torch.allclose(torch.as_tensor(spectral.get_ydata()), want, atol=1e-9)
    assert torch.allclose(torch.as_tensor(polar.get_ydata()), torch.ones(181).double())
    statement = drawn(figure)
    assert f"between {second:.2f} and 1.00 of its length" in statement
    assert "square" not in statement, "an exercise asks for it"


@pytest.mark.parametrize("size", [1, 2, 8])
def test_convolution_draws_the_singular_values_of_its_map(size: int) -> None:
    """The map is a product of two sums of neighbours, whose eigenvalues are 1 + 2 cos."""
    figure = figures.draw_convolution(size)
    side = 1 + 2 * torch.cos(math.pi * torch.arange(1, size + 1).double() / (size + 1))
    want = (torch.outer(side, side).abs() / 3).flatten().sort(descending=True).values
    got = torch.as_tensor(figure.axes[0].lines[0].get_ydata())
    assert torch.allclose(got, want, atol=1e-9)
    assert float(figure.axes[1].lines[0].get_ydata()[size - 1]) == pytest.approx(float(want[0]))
    assert f"is {float(want[0]):.3f}, and {int((want > 1 + 1e-9).sum())} of" in drawn(figure)


def snapshots(seed: int) -> list[training.Snapshot]:
    """Two snapshots of an untrained network, the second with smaller weights."""
    generator = torch.Generator().manual_seed(seed)
    network = orthonormal_network([2, 4, 4, 4, 1], MaxMin, generator)
    y = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    sphere = y / y.norm(dim=1, keepdim=True)
    kept = [training.take_snapshot(network, 0, sphere, sphere / 2)]
    for layer in network[::2]:
        layer.weight.data *= torch.linspace(1, 0.5, len(layer.weight)).double()[:, None]
    return [*kept, training.take_snapshot(network, 20, sphere, sphere / 2)]


def test_a_snapshot_measures_the_distance() -> None:
    network = orthonormal_network([2, 4, 1], MaxMin, torch.Generator().manual_seed(0))
    sphere = torch.tensor([[0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
    found = training.take_snapshot(network, 0, sphere, sphere).distance
    at_zero = network(torch.zeros(2, dtype=torch.float64))
    assert found == pytest.approx(float((at_zero - network(sphere).mean()).detach()))


def test_a_snapshot_measures_the_network() -> None:
    first, second = snapshots(0)
    assert (first.step, second.step) == (0, 20)
    assert all(torch.allclose(sigma, torch.ones_like(sigma)) for sigma in first.sigma)
    assert [len(sigma) for sigma in first.sigma] == [2, 4, 4, 1]
    assert float(second.sigma[1][-1]) == pytest.approx(0.5)
    assert len(first.norms) == 8
    assert float(first.norms[-1]) == 1
    assert abs(second.distance) <= 1


@pytest.mark.parametrize("snapshot", [0, 1, -1])
def test_training_shows_the_snapshot(snapshot: int) -> None:
    runs = {"one": snapshots(0), "two": snapshots(1)}
    figure = training.draw_singular_values(runs, snapshot)
    statement = drawn(figure)
    assert statement.startswith(f"After {runs['one'][snapshot].step} steps")
    for k, (name, run) in enumerate(runs.items()):
        for panel in (0, 1):
            want = run[snapshot].sigma[panel + 1]
            assert torch.equal(torch.as_tensor(figure.axes[panel].lines[k].get_ydata()), want)
        smallest = min(float(run[snapshot].sigma[j][-1]) for j in (1, 2))
        assert f"{smallest:.1f} under {name}" in statement
        distances = [line.get_ydata() for line in figure.axes[2].lines]
        assert [s.distance for s in run] in [list(d) for d in distances]


@pytest.mark.parametrize("snapshot", [0, 1])
def test_layers_end_at_the_input(snapshot: int) -> None:
    runs = {"one": snapshots(0), "two": snapshots(1)}
    figure = training.draw_layers(runs, snapshot)
    statement = drawn(figure)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["output", "W4", "sort", "W3", "sort", "W2", "sort", "W1"]
    for k, (name, run) in enumerate(runs.items()):
        curve = figure.axes[0].lines[k].get_ydata()
        assert torch.equal(torch.as_tensor(curve).flip(0), run[snapshot].norms)
        assert f"{float(run[snapshot].norms[0]):.2f} under {name}" in statement


STEPS = [10, 20, 30]
VALUES = {"orthonormal": [0.5, 0.7, 0.875], "spectral": [0.25, 0.375, 0.5]}


def cell(n: int, method: str) -> CellRecord:
    """Two seeds, a quarter apart."""
    both = [VALUES[method], [value - 0.25 for value in VALUES[method]]]
    curves = {name: [(STEPS, values) for values in both] for name in ("estimate", "raw")}
    metrics = {"estimate": [values[-1] for values in both]}
    return CellRecord({"n": n, "method": method, "steps": 30}, metrics, curves)


@pytest.mark.parametrize("dimensions", [(2, 16), (4, 8, 512)])
def test_a_panel_for_each_dimension_with_means_and_bands(dimensions: tuple[int, ...]) -> None:
    cells = tuple(cell(n, method) for n in dimensions for method in VALUES)
    figure = figures.draw_fig_14(Record("fig14_spectral", "quick", [0, 1], cells, {}))
    assert [axes.get_title() for axes in figure.axes] == [f"n = {n}" for n in dimensions]
    for axes in figure.axes:
        for line, band, values in zip(axes.lines, axes.collections, VALUES.values(), strict=False):
            assert list(line.get_xdata()) == STEPS
            assert list(line.get_ydata()) == pytest.approx([value - 0.125 for value in values])
            low, high = band.get_datalim(axes.transData).intervaly
            assert (low, high) == pytest.approx((values[0] - 0.25, values[-1]))
    statement = drawn(figure)
    assert statement.startswith("After 30 steps, mean over 2 seeds, ")
    assert f"0.75 against 0.38 in {dimensions[-1]} dimensions." in statement


def test_it_draws_the_recorded_run() -> None:
    record = load_record("fig14_spectral", "laptop")
    figure = figures.draw_fig_14(record)
    drawn(figure)
    for axes, n in zip(figure.axes, (2, 16, 128, 512), strict=True):
        for line, method in zip(axes.lines, ("orthonormal", "spectral"), strict=False):
            last = record.cell(n=n, method=method).mean("estimate")
            assert line.get_ydata()[-1] == pytest.approx(last, abs=1e-5)
