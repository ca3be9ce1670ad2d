"""The figures of lesson 02 say and draw what the mathematics says."""

import io
import math
import random

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import lipteach as lt
from lipteach.classroom.lessons.l02_same_power import figures
from lipteach.classroom.lessons.l02_same_power import sorting_cost as costs


def dots(axes, marker):
    """The points of all lines with this marker, as an array (…, 2)."""
    found = [line.get_xydata() for line in axes.lines if line.get_marker() == marker]
    return np.concatenate(found)


def pixels(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=40)
    return buffer.getvalue()


@pytest.mark.parametrize("gap", [0.0, 1.0, 1.7, 2.0, 2.6])
def test_chunks(gap):
    figure = figures.draw_chunks(gap)
    line, errors = figure.axes
    assert isinstance(figure, Figure)
    assert dots(line, "o").tolist() == [[gap - 1, 1], [gap - 1, 1]]
    assert dots(line, "s").tolist() == [[1, 0], [1, 0]]
    ((at, error),) = dots(errors, "o")
    assert at == gap
    assert error == pytest.approx(max(0, 2 - gap))
    assert len(line.patches) == (gap < 2)  # the overlap
    assert f"is {max(0, 2 - gap):.2f}." in figure.get_label()
    assert ("touch" in figure.get_label()) == (gap == 2)


def test_the_error_curve_is_the_gap_that_lacks():
    gaps, errors = figures.draw_chunks().axes[1].lines[0].get_data()
    np.testing.assert_allclose(errors, np.clip(2 - np.asarray(gaps), 0, None), atol=1e-12)


@pytest.mark.parametrize(("n", "count"), [(2, 1), (4, 3), (8, 6), (16, 10), (6, 6)])
def test_rounds_are_read_off_the_network(n, count):
    rounds = figures.rounds_of(lt.full_sort_from_maxmin(n))
    assert len(rounds) == count
    for pairs in rounds:
        assert sorted(wire for pair in pairs for wire in pair) == list(range(n))
        assert all(high < low for high, low in pairs)


def test_stages_follow_the_layers_of_the_network():
    network = lt.full_sort_from_maxmin(8)
    rounds = figures.rounds_of(network)
    values = random.Random(3).sample(range(8), 8)
    states = figures.stages(values, rounds)
    h = torch.tensor(values, dtype=torch.float64)
    for r, pairs in enumerate(rounds):
        h = network[2 * r + 1](network[2 * r](h))
        wires = [wire for pair in pairs for wire in pair]
        assert [states[r + 1][wire] for wire in wires] == h.tolist()
    assert states[-1] == [7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("shuffle", range(8))
def test_every_shuffle_is_sorted_in_the_end(shuffle):
    label = figures.draw_sorting_network(6, shuffle).get_label()
    assert label == "After 6 of 6 rounds the wires carry 8, 7, 6, 5, 4, 3, 2, 1: sorted."


def test_four_values_need_three_rounds():
    label = figures.draw_sorting_network(6, values=[1, 2, 3, 4]).get_label()
    assert label == "After 3 of 3 rounds the wires carry 4, 3, 2, 1: sorted."


def test_the_numbers_on_the_wires():
    figure = figures.draw_sorting_network(1, values=[1, 2, 3, 3, 0, 5, 9, 2])
    texts = [(t.get_position()[1], t.get_text()) for t in figure.axes[0].texts]
    assert [text for _, text in sorted(texts[8:])] == ["2", "1", "3", "3", "5", "0", "9", "2"]
    assert "not sorted yet" in figure.get_label()
    assert "carry 7, 7, 7, 7: sorted" in figures.draw_sorting_network(0, values=[7] * 4).get_label()


@pytest.mark.parametrize("B", [0.0, 0.25, 1.0, 1.9, 2.0, 2.5])
def test_fold(B):
    figure = figures.draw_fold(B)
    plane, folded = figure.axes
    right, wrong = dots(plane, "o"), dots(plane, "x")
    assert len(right) + len(wrong) == 81
    assert (right.sum(axis=1) + 2 * B >= 0).all()
    assert (wrong.sum(axis=1) + 2 * B < 0).all()
    assert f"at {len(wrong)} of the 81" in figure.get_label()
    s, d = dots(folded, "o").T
    np.testing.assert_allclose(s, (right.sum(axis=1) + 2 * B) / math.sqrt(2), atol=1e-12)
    np.testing.assert_allclose(d, np.abs(right[:, 0] - right[:, 1]) / math.sqrt(2), atol=1e-12)
    xs, ys = plane.lines[2].get_data()
    np.testing.assert_allclose(np.add(xs, ys), -2 * B, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 64])
def test_a_merge_sort_stays_between_its_bounds(n):
    values = random.Random(n).sample(range(1000), n)
    assert costs._merge_sort(values)[0] == sorted(values, reverse=True)
    assert n // 2 <= costs.comparisons(values) <= n * math.ceil(math.log2(n))


def test_comparisons_are_counted_and_drawn():
    figure = costs.draw_comparisons(256)
    bound, counted = (line.get_ydata() for line in figure.axes[0].lines)
    assert list(bound) == list(range(1, 9))
    assert counted[0] == 0.5
    assert all(m - 1.5 < count < m for m, count in zip(bound, counted, strict=True))
    # No sort needs fewer on average than log2(k!) for a group of k.
    assert counted[-1] * 256 >= 0.99 * math.lgamma(257) / math.log(2)


@pytest.mark.parametrize(
    ("draw", "steps"),
    [
        (lambda step: figures.draw_chunks(1 + 0.1 * step), 17),
        (lambda step: figures.draw_fold(0.25 * step), 11),
        (figures.draw_sorting_network, 7),
        (lambda shuffle: figures.draw_sorting_network(0, shuffle), 21),
    ],
    ids=["chunks", "fold", "rounds", "shuffles"],
)
def test_every_step_of_a_slider_changes_statement_and_picture(draw, steps):
    pictures = [draw(step) for step in range(steps)]  # here: each worker of pytest collects all
    assert len({picture.get_label() for picture in pictures}) == len(pictures)
    ends = [*pictures[:2], *pictures[-2:]]
    assert len({pixels(picture) for picture in ends}) == len(ends)


def row(ratio, low, high):
    return {"ratio": ratio, "quartiles": [low, high], "calls": 1, "bytes_per_entry": 1.0}


RECORD = {
    "results": [
        {"shape": shape, "dim": dim, "threads": threads, "goal": None, "freed_memory_kept": keep,
         "activations": {"ReLU": row(1.0, 1.0, 1.0), "maxmin": row(2.5 + threads, 2.25, 5.0),
                         "full_sort": row(60.0, 50.0, 70.0)}}
        for threads in (1, 2)
        for shape, dim, keep in (([256, 1024], -1, False), ([8, 64, 4, 4], 1, False),
                                 ([8, 64, 4, 4], -1, False), ([8, 64, 4, 4], 1, True))
    ],
    "device": {"cpu": "an abacus", "cores": 2},
    "versions": {"python": "3.11.2", "torch": "2.13.0"},
    "date": "2026-11-22",
}  # fmt: skip


def test_the_benchmark_is_drawn_as_recorded():
    figure = costs.draw_benchmark(RECORD, threads=2)
    (axes,) = figure.axes
    assert [round(bar.get_x() + bar.get_width(), 6) for bar in axes.patches] == [
        4.5,
        60.0,
        4.5,
        60.0,
    ]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["maxmin", "full_sort"]
    label = figure.get_label()
    assert label.startswith("MaxMin takes 4.5 on 256 × 1024 and 4.5 on 8 × 64 × 4 × 4 times")
    for said in ("an abacus", "2 threads", "torch 2.13.0", "Python 3.11.2", "2026-11-22"):
        assert said in label
    alone = costs.draw_benchmark(RECORD).get_label()
    assert "takes 3.5 on" in alone
    assert "1 thread," in alone


@pytest.mark.parametrize("lower", [0.0, 0.25, 2.0, 4.0])
def test_the_last_shift_must_be_b(lower: float) -> None:
    """At B = 2 the minimum is off by |2 − lower| at every point, and the maximum never is."""
    figure = figures.draw_last_shift(lower)
    first, at_first, second, at_second = figure.axes[0].lines
    assert np.abs(first.get_ydata()).max() < 1e-9
    np.testing.assert_allclose(second.get_ydata(), np.abs(2 - second.get_xdata()), atol=1e-9)
    assert at_second.get_xdata()[0] == at_first.get_xdata()[0] == lower
    assert abs(at_second.get_ydata()[0] - abs(2 - lower)) < 1e-9
    assert figure.get_label().endswith(f"the minimum by {abs(2 - lower):.2f}.")
