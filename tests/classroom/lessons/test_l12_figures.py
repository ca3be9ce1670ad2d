"""The figures of lesson 12: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn

from lipteach.classroom.lessons.l12_classification import figures
from lipteach.experiments import CellRecord, Record, table4_mnist, table5_small_data
from lipteach.primitives import operator_norm


def test_constants_are_drawn_between_their_bounds() -> None:
    found = {
        "one": {"lower": 0.9, "upper": 1.1, "promised": None},
        "two": {"lower": 9.5, "upper": 10.0, "promised": 10.0},
    }
    figure = figures.draw_constants(found)
    assert "one 0.9 to 1.1, two 9.5 to 10." in drawn(figure)
    bars = [line.get_xdata() for line in figure.axes[0].lines]
    assert [list(bar) for bar in bars] == [[0.9, 1.1], [0.9], [9.5, 10.0], [9.5], [10.0]]


def made_up() -> Record:
    """Table 4 with numbers that tell where they stand."""
    made = []
    for k, one in enumerate(table4_mnist.cells("quick")):
        metrics = {
            "validation_error": [30.0 - k / 10, 32.0 - k / 10],
            "test_error": [1 + k / 10, 2 + k / 10],
            "margins": [[0.0, 0.1, one.value, 0.3, 0.4]] * 2,
            "gradients": [[0.0, 0.1, one.value / 2, 0.3, 0.4]] * 2,
            "lower": [0.5, 0.7],
            "upper": [one.value + 1] * 2,
        }
        made.append(CellRecord({**vars(one), "slower": []}, metrics, {}))
    return Record("table4_mnist", "quick", [0, 1], tuple(made), {})


@pytest.mark.parametrize(("scheme", "steepest"), [("Björck", math.sqrt(2)), ("L∞", 2)])
def test_the_price_of_a_constant_is_measured_by_the_steepest(scheme: str, steepest: float) -> None:
    record = made_up()
    figure = figures.draw_price(record.cells, scheme, 1)
    own = record.cell(scheme=scheme, activation="MaxMin", value=10.0)
    error = own.mean("validation_error")
    said = f"{error:.1f}%, {1 / steepest:.2g} and {0.5 / steepest:.2f} (MaxMin)"
    assert said in drawn(figure)
    panels = [axes.containers[1].lines[0].get_xydata().tolist() for axes in figure.axes]
    assert [pair[0] for pair in panels[0]] == pytest.approx([0.1, 1, 10])  # not farther than L
    assert panels[0][2][1] == pytest.approx(error)
    assert [pair[1] for pair in panels[1]] == pytest.approx([1 / steepest] * 3)
    assert [pair[1] for pair in panels[2]] == pytest.approx([0.5 / steepest] * 3)
    (bar,) = figure.axes[0].containers[1].lines[2]
    assert bar.get_segments()[2][:, 1].tolist() == pytest.approx(
        sorted(own.metrics["validation_error"])
    )
    whole = figures.draw_price(record.cells, scheme, 2)
    assert [axes.get_ylim() for axes in figure.axes] == [axes.get_ylim() for axes in whole.axes]


def test_the_table_is_drawn_beside_the_paper_s() -> None:
    columns = list(table4_mnist.ACTIVATIONS)
    ours = {
        name: [[1.0 + k + row, 2.0 + k + row, 1.2 + k + row] for k in range(5)]
        for row, name in enumerate(table4_mnist.PAPER)
    }
    figure = figures.draw_table(ours, table4_mnist.PAPER, columns)
    assert "Standard with ReLU, Standard with MaxMin" in drawn(figure)
    left, right = figure.axes
    middle = [2.4 + row for row in range(7)]
    assert left.containers[1].lines[0].get_xdata() == pytest.approx(middle)
    (bars,) = left.containers[1].lines[2]
    ends = torch.tensor([list(bar[:, 0]) for bar in bars.get_segments()])
    assert torch.allclose(ends, torch.tensor([[2.0 + r, 3.0 + r] for r in range(7)]).double())
    theirs = [row[1] for row in table4_mnist.PAPER.values()]
    assert list(right.lines[1].get_xdata()) == theirs
    assert left.get_xlim() == right.get_xlim()
    low, high = left.get_xlim()
    assert low < 1.02 < 12 < high


def test_the_steepest_gradient_of_a_margin_is_attained() -> None:
    """By the difference of two outputs, in the dual norm."""
    swap = torch.tensor([[1.0, -1.0]])
    assert figures.most(2) == pytest.approx(float(operator_norm(swap, 2)))
    assert figures.most(math.inf) == pytest.approx(float(operator_norm(swap, math.inf)))


def test_a_row_of_table_5_leaves_out_what_the_paper_does_not_have() -> None:
    schemes = table5_small_data.GRID
    numbers = {n: {s: [[n / 100 + k + 1.0]] * 2 for k, s in enumerate(schemes)} for n in (300, 500)}
    paper = table5_small_data.PAPER
    figure = figures.draw_little(numbers, paper, images=500)
    assert "500 training images. The least test error of our runs: Standard with" in drawn(figure)
    left, right = figure.axes
    assert left.containers[0].lines[0].get_xdata() == pytest.approx([6.0, 7.0, 8.0, 9.0, 10.0])
    theirs = list(right.lines[1].get_xdata())
    assert theirs[:4] == [paper[s][500][1] for s in paper]
    assert math.isnan(theirs[4])
    assert [(text.get_text(), text.get_position()[1]) for text in right.texts] == [
        ("not in the paper", 4)
    ]
    assert left.get_title() == "ours, 500 training images"
    assert len(left.get_xticks()) >= 4


@pytest.mark.parametrize("width", [0.0, 0.8, 3.0])
def test_the_kernel_has_norm_1_and_its_convolution_what_is_stated(width: float) -> None:
    """Against the matrix of the convolution on a torus."""
    kernel, size = figures.blurred_kernel(width), 16
    assert float(kernel.norm()) == pytest.approx(1)
    eye = torch.eye(size * size).double().view(-1, 1, size, size)
    padded = torch.nn.functional.pad(eye, (2, 2, 2, 2), mode="circular")
    matrix = torch.nn.functional.conv2d(padded, kernel[None, None]).flatten(1)
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    assert f"one wave by {norm:.2f}." in drawn(figures.draw_kernel(width))
