"""Frames drawn ahead: which positions, in which order, and never in the reader's way."""

import math
import os
from functools import partial

import pytest

from lipteach.classroom import frames, slider_figure
from lipteach.classroom.frames import MOST, Ahead, combinations, positions, values_of
from lipteach.classroom.style import new_figure


def draw(n: int = 2, x: float = 0.0):
    figure, axes = new_figure(2, 1)
    axes.plot([0, n], [x, x])
    figure.set_label(f"n = {n}, x = {x}.")
    return figure


class Loop:
    """An event loop whose clock we turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list = []
        monkeypatch.setattr(frames, "_kernel_loop", lambda: self)

    def call_later(self, delay: float, what, *given) -> None:
        self.waiting.append((delay, partial(what, *given)))

    def turn(self) -> bool:
        if not self.waiting:
            return False
        self.waiting.pop(0)[1]()
        return True


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    monkeypatch.setattr(Ahead, "_living", type(Ahead._living)())
    monkeypatch.setattr(frames, "_last_cell", -math.inf)
    return Loop(monkeypatch)


@pytest.mark.parametrize("step", [0.1, 0.05, 0.25, 1 / 3])
def test_values_are_those_that_a_slider_reports(step: float) -> None:
    view = slider_figure(draw, n=(1, 4, 1), x=(-1.0, 1.0, step))
    slider = view.controls["x"]
    for value in values_of(slider):
        slider.value = value
        assert slider.value == value
    assert values_of(slider)[-1] <= 1 < values_of(slider)[-1] + step + 1e-9


def test_menus_keep_their_entries_and_sliders_their_ends_and_start() -> None:
    controls = slider_figure(
        lambda a, b, c: draw(), a=(0, 40, 1, 17), b=(0.0, 1.0, 0.1, 0.3), c=["x", "y", "z"]
    ).controls
    found = positions(controls)
    assert found["c"] == ["x", "y", "z"]
    assert 17 in found["a"]
    assert 0.3 in found["b"]
    assert found["a"][0] == 0
    assert len(list(combinations(found))) <= MOST
    whole = {name: values_of(control) for name, control in controls.items()}
    assert positions(controls, 41 * 11 * 3) == whole
    assert all(set(found[name]) <= set(whole[name]) for name in found)


@pytest.mark.parametrize("start", [0, 1])
def test_what_cannot_be_thinned_ends(start: int) -> None:
    """Two menus, or a menu and a slider of two values."""
    menus = slider_figure(lambda a, b: draw(), a=list("abcd"), b=list("efgh")).controls
    assert positions(menus, most=10) == {"a": list("abcd"), "b": list("efgh")}
    both = slider_figure(lambda a, b: draw(), a=list("abcd"), b=(0, 1, 1, start)).controls
    assert positions(both, most=5) == {"a": list("abcd"), "b": [0, 1]}


def test_the_neighbours_come_first_and_the_hand_is_followed_at_the_end(loop: Loop) -> None:
    view = slider_figure(draw, n=(0, 4, 1))
    slider = view.controls["n"]
    drawn = []
    while loop.turn():
        assert slider.continuous_update == (len(view._ahead.frames) == 5)
        drawn = list(view._ahead.frames)
    assert sorted(drawn[:3]) == [(1,), (2,), (3,)]
    assert drawn[0] == (2,)
    assert slider.continuous_update
    pictures = dict(view._ahead.frames)
    view.draw = None  # it is not asked again
    for n in range(5):
        slider.value = n
        assert (view.status, view.statement) == ("ok", f"n = {n}, x = 0.0.")
        assert view.image.value == pictures[(n,)][1]


def test_nothing_is_drawn_soon_after_a_cell(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    view = slider_figure(draw, n=(0, 4, 1))
    now = 100.0
    monkeypatch.setattr(frames.time, "monotonic", lambda: now)
    frames._note_cell()
    now = 100.2
    loop.turn()
    assert view._ahead.frames == {}
    assert loop.waiting[0][0] == pytest.approx(0.8)
    now = 101.0
    loop.turn()
    assert len(view._ahead.frames) == 1


def test_of_many_figures_the_last_keep_their_frames(loop: Loop) -> None:
    views = [slider_figure(draw, n=(0, 4, 1)) for _ in range(frames.FIGURES + 2)]
    while loop.turn():
        pass
    assert [len(view._ahead.frames) for view in views] == [0, 0] + [5] * frames.FIGURES
    views[0].controls["n"].value = 4
    assert views[0].statement == "n = 4, x = 0.0."


def test_too_many_positions_are_left_to_the_hand(loop: Loop) -> None:
    slider_figure(draw, n=(0, 40, 1), x=(0.0, 1.0, 0.1))
    assert not loop.waiting


def test_a_position_that_cannot_be_drawn_ends_it_and_says_so_when_asked(loop: Loop) -> None:
    def fails(n: int = 2):
        if n == 3:
            raise ValueError("no 3")
        return draw(n)

    view = slider_figure(fails, n=(0, 4, 1))
    while loop.turn():
        pass
    assert not view.controls["n"].continuous_update
    view.controls["n"].value = 3
    assert view.status == "could not draw: ValueError: no 3"
    view.controls["n"].value = 4
    assert view.status == "ok"


def test_outside_a_kernel_nothing_waits() -> None:
    assert "PYTEST_VERSION" in os.environ, "by which kernels that a test starts know it"
    assert frames._kernel_loop() is None
