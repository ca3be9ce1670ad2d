"""The figure of Fig. 14's record: it draws the means, the bands and the numbers that it states."""

import pytest

from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import draw_fig_14
from lipteach.experiments import CellRecord, Record, load_record

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
    figure = draw_fig_14(Record("fig14_spectral", "quick", [0, 1], cells, {}))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == [f"n = {n}" for n in dimensions]
    for axes in figure.axes:
        for line, band, values in zip(axes.lines, axes.collections, VALUES.values(), strict=False):
            assert list(line.get_xdata()) == STEPS
            assert list(line.get_ydata()) == pytest.approx([value - 0.125 for value in values])
            low, high = band.get_datalim(axes.transData).intervaly
            assert (low, high) == pytest.approx((values[0] - 0.25, values[-1]))
    statement = figure.get_label()
    assert statement.startswith("After 30 steps, mean over 2 seeds, ")
    assert f"0.75 against 0.38 in {dimensions[-1]} dimensions." in statement


def test_it_draws_the_recorded_run() -> None:
    record = load_record("fig14_spectral", "laptop")
    figure = draw_fig_14(record)
    figure.canvas.draw()
    for axes, n in zip(figure.axes, (2, 16, 128, 512), strict=True):
        for line, method in zip(axes.lines, ("orthonormal", "spectral"), strict=False):
            last = record.cell(n=n, method=method).mean("estimate")
            assert line.get_ydata()[-1] == pytest.approx(last, abs=1e-5)
