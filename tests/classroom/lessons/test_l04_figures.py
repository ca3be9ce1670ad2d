"""The figures of lesson 04: each has a statement, and draws the numbers it states."""

import math
import re

import pytest
import torch
from classroom_support import drawn

import lipteach as lt
from lipteach.classroom.lessons.l04_bjorck import figures


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("order", figures.ORDERS)
@pytest.mark.parametrize("beta", [0.05, 0.5, 0.9])
def test_the_map_is_that_of_the_package(order: int, beta: float) -> None:
    sigma = torch.linspace(0.1, 1.4, 14).double()
    path = figures.scalar_path(sigma, 3, order, beta)
    matrices = lt.bjorck_trajectory(sigma[:, None, None], 3, order, beta)
    torch.testing.assert_close(path, matrices[..., 0, 0])


@pytest.mark.parametrize(
    ("sigma", "beta", "order", "words"),
    [
        (0.3, 0.5, 1, "it goes to 1"),
        (2.0, 0.5, 1, "one step leads to −1.000, and in the end it goes to −1"),
        (2.2, 0.5, 1, "it goes to 1"),
        (2.4, 0.5, 1, "it runs away"),
        (1.6, 0.5, 2, "it runs away"),
        (0.9, 1.2, 1, "it jumps between 0.73 and 1.14"),
        (0.05, 0.05, 1, "it goes to 1"),
    ],
)
def test_cobweb_says_where_it_ends(sigma: float, beta: float, order: int, words: str) -> None:
    figure = figures.draw_cobweb(sigma, beta, order)
    statement = drawn(figure)
    assert words in statement
    web, path = figure.axes[0].lines[2], figure.axes[1].lines[2].get_ydata()
    assert path[0] == pytest.approx(sigma)
    assert (web.get_xdata()[0], web.get_ydata()[0]) == pytest.approx((sigma, 0))
    assert web.get_ydata()[1] == pytest.approx(float(path[1]))


@pytest.mark.parametrize("order", [1, 2, 6])
def test_basins_change_where_they_should(order: int) -> None:
    sup = {1: math.sqrt(3), 2: math.sqrt(7 / 3), 6: 1.477579}[order]
    beyond = -1 if order == 1 else 0
    sigma = torch.tensor([0.01, sup - 1e-4, sup + 1e-4], dtype=torch.float64)
    assert figures.ends(sigma, order).tolist() == [1, 1, beyond]


@pytest.mark.parametrize("low", [0.0, 2.0, 2.2])
def test_basins_are_drawn_for_every_order(low: float) -> None:
    figure = figures.draw_basins(low)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"order {k}" for k in range(1, 7)]
    assert f"between {low:.2f} and 2.30" in drawn(figure)
    away = (2.3 - math.sqrt(5)) / (2.3 - low)
    stated = re.search(r"([\d.]+)% run away", drawn(figure))
    assert stated
    assert float(stated[1]) == pytest.approx(100 * away, abs=0.1)


@pytest.mark.parametrize(
    ("start", "words"),
    [(0.2, "8 at order 1, 5 at order 2, 4 at order 3, 3 at order 6"), (1.0, "0 at order 1, 0")],
)
def test_orders_count_the_steps(start: float, words: str) -> None:
    assert words in drawn(figures.draw_orders(start))


def test_small_beta_states_figure_12() -> None:
    statement = drawn(figures.draw_small_beta(0.0003))
    assert "from 2: 1.9167, 1.3034, 1.0192, 1.0009" in statement
    assert "from 0.5: 0.5056, 0.6147, 0.9328, 0.9963" in statement
    assert "from 0.1: 0.1015, 0.1344, 0.4106, 0.8961" in statement


def test_betas_state_figure_13() -> None:
    figure = figures.draw_betas(50)
    assert "0.1015, 0.1631, 0.7653, 0.9984, 1.0000, 1.0000" in drawn(figure)
    first = [round(float(y), 4) for y in figure.axes[0].lines[1].get_ydata()]
    assert first == [0.0102, 0.0164, 0.1140, 0.7816, 1, 1]


def test_noise_fills_float32_first() -> None:
    W = normal(20, 3) @ normal(3, 10, seed=1)
    statement = drawn(figures.draw_noise(W / lt.operator_norm(W)))
    assert "after 75 steps in float32, after 150 steps in float32 and float64" in statement


def test_bounds_are_divided_by_the_norm() -> None:
    figure = figures.draw_bounds({"one row": torch.ones(1, 4)})
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([1, 1, 2, 1, 1])
    assert "2.0 by (11) and 1.00 by gram for one row" in drawn(figure)


@pytest.mark.parametrize("steps", [0, 6])
def test_scaling_follows_the_map(steps: int) -> None:
    sigma = torch.tensor([4.0, 2.0, 1.0]).double()
    figure = figures.draw_scaling(sigma, {"eight": 8, "the norm": 4}, steps)
    smallest = figures.scalar_path(torch.tensor([1 / 8, 1 / 4]).double(), steps)[-1]
    words = f"{smallest[0]:.3f} by eight, {smallest[1]:.3f} by the norm"
    assert words in drawn(figure)
