"""The figures of lesson 05: each has a statement, and draws the numbers it states."""

import json
import math
from pathlib import Path

import pytest
import torch
from classroom_support import drawn
from torch import nn

import lipteach as lt
from lipteach.classroom.lessons.l05_fast_orthonormalization import costs, figures
from lipteach.classroom.lessons.l05_fast_orthonormalization.figures import scalar_map

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("exponent", "wins"), [(0, 8), (6, 4), (7, 3), (8, 2)])
def test_products_count_the_model(exponent: int, wins: int) -> None:
    """2 k n / (3^k · vectors) for n = 1000: 667, 444, 222, 41 and 0.34 for one vector."""
    figure = figures.draw_products(exponent)
    ratios = figure.axes[0].lines[0].get_ydata()
    for k, one in ((1, 667), (2, 444), (3, 222), (5, 41), (10, 0.34)):
        assert ratios[k - 1] * 2**exponent == pytest.approx(one, rel=0.02)
    statement = drawn(figure)
    assert f"for {wins} of 10" in statement
    assert sum(ratio > 1 for ratio in ratios) == wins


def test_scalings_count_the_steps() -> None:
    """A largest singular value of .0023 takes 17 steps to pass .99; .134 after 10."""
    sigma = torch.linspace(0.001, 1, 999).double()
    figure = figures.draw_scalings({"(11)": 0.00233 * sigma, "norm": sigma})
    assert "(11): 17 and" in drawn(figure)
    assert "norm: 0 and" in drawn(figure)
    path = figure.axes[0].lines[0].get_ydata()
    assert float(path[10]) == pytest.approx(0.134, abs=1e-3)
    s = 0.00233
    for _ in range(10):
        s = s * (3 - s * s) / 2
    assert float(path[10]) == pytest.approx(s)


@pytest.mark.parametrize(("steps", "degree"), [(1, 1), (1, 201), (3, 17), (5, 43), (10, 201)])
def test_series_states_its_error(steps: int, degree: int) -> None:
    figure = figures.draw_series(steps, degree)
    statement = drawn(figure)
    assert f"degree {3**steps}" in statement
    g, p = (line.get_ydata() for line in figure.axes[0].lines)
    error = float((torch.as_tensor(p) / torch.as_tensor(g) - 1).abs().max())
    assert f"{error:.0e}" in statement or error < 1e-12
    assert (error < 1e-5) == (degree >= figures.chebyshev_degree(steps))


def test_degrees_follow_the_slope() -> None:
    statement = drawn(figures.draw_degrees())
    assert "9 for 9, 17 for 27, 43 for 243, 339 for 59049" in statement
    for k in range(4, 13):
        assert figures.chebyshev_degree(k) == pytest.approx(6 * 1.5**k, rel=0.1)


@pytest.mark.parametrize("products", [3, 6, 9, 12, 15])
def test_quintics_state_the_distance(products: int) -> None:
    figure = figures.draw_quintics(products)
    statement = drawn(figure)
    sigma, y = figure.axes[0].lines[1].get_data()
    inside = torch.as_tensor(sigma) >= 0.01
    worst = float((1 - torch.as_tensor(y))[inside].abs().max())
    assert f"within {worst:.3f} by the best" in statement
    first, second = figure.axes[0].lines[0].get_ydata(), y
    assert abs(1 - second[7]) < abs(1 - first[7])  # at σ = .0117


def test_saved_draws_what_it_is_given() -> None:
    statement = drawn(figures.draw_saved([1, 5], [2, 10], 4))
    assert "2 for 1 step, 10 for 5 steps unrolled; 4" in statement


def test_table_3_draws_the_record() -> None:
    record = json.loads((ROOT / "notebooks/results/bench_bjorck_apply.json").read_text("utf-8"))
    figure = figures.draw_table3(record)
    assert record["date"] in drawn(figure)
    rows = figures.table3_rows(record, "spectral")
    assert list(rows) == list(figures.PAPER_TABLE_3)
    series = figure.axes[1].lines[2].get_ydata()
    assert list(series) == [rows[k]["chebyshev"]["ratio"] for k in rows]


def test_few_steps_of_order_1_stay_below_1() -> None:
    """B.4's few iterations: 1-Lipschitz and loose at order 1; above 1 at order 2."""
    sigma = torch.linspace(0.01, math.sqrt(3) - 0.01, 500).double()
    assert (scalar_map(sigma, 1, 1) <= 1).all()
    assert scalar_map(sigma, 3, 1).min() < 0.05
    assert scalar_map(torch.tensor([1.3]).double(), 2, 2) > 1
    outside = torch.diag(torch.tensor([2.5, 1.0]).double())
    assert torch.linalg.matrix_norm(lt.bjorck(outside, 1), 2) > 4


def test_exported_weights_need_no_orthonormalization_and_still_sort() -> None:
    """B.4's cost after training: Björck's is over, GroupSort's is not."""
    network = nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin())
    plain = lt.export(network)
    assert type(plain[0]) is nn.Linear
    assert not torch.nn.utils.parametrize.is_parametrized(plain[0])
    assert isinstance(plain[1], lt.MaxMin)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(plain(x), network(x), atol=1e-6)


def costs_record() -> dict:
    methods = {"polar": {"ratio": 10.0}, "unrolled": {"ratio": 100.0}}
    ways = {"plain": {"ratio": 2.0}, "retract_": {"ratio": 8.0}}
    case = {"shape": [1024, 1024], "noise": 0.02, "threads": 1, "methods": methods}
    return {
        "polar": [case, case | {"noise": None}, case | {"threads": 2}],
        "training": [{"threads": 1, "ways": ways}, {"threads": 2, "ways": ways}],
        "device": {"cpu": "a processor"},
        "versions": {"torch": "9.9"},
        "date": "2026-01-01",
    }


def test_every_recorded_ratio_is_drawn() -> None:
    figure = costs.draw_costs(costs_record())
    left, right = figure.axes
    assert len(left.lines) == 2
    assert all(list(line.get_xdata()) == [10.0, 100.0] for line in left.lines)
    assert list(right.lines[0].get_xdata()) == [2.0, 8.0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["polar", "unrolled"]
    statement = drawn(figure)
    for part in ("a processor", "1 thread,", "torch 9.9", "2026-01-01"):
        assert part in statement


def test_what_a_layer_costs_is_drawn_for_both_batches() -> None:
    steps = {
        f"a layer, batch {batch}: {way}": {"ratio": 2000.0 / batch + k}
        for batch in (128, 512)
        for k, way in enumerate(("ours", "theirs"))
    }
    record = costs_record() | {"steps": steps | {"projection": {"ratio": 1.5}}}
    figure = costs.draw_layers(record)
    statement = drawn(figure)
    assert "by ours, theirs: 15.6, 16.6 with 128 samples; 3.91, 4.91 with 512 samples" in statement
    (axes,) = figure.axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[15.625, 16.625], [3.90625, 4.90625]]
