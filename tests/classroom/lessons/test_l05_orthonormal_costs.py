"""The figure of recorded costs draws what a record holds, and says where it was made."""

from lipteach.classroom.lessons.l05_fast_orthonormalization import figures


def record() -> dict:
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
    figure = figures.draw_costs(record())
    left, right = figure.axes
    assert len(left.lines) == 2
    assert all(list(line.get_xdata()) == [10.0, 100.0] for line in left.lines)
    assert list(right.lines[0].get_xdata()) == [2.0, 8.0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["polar", "unrolled"]
    figure.canvas.draw()
    for part in ("a processor", "1 thread,", "torch 9.9", "2026-01-01"):
        assert part in figure.get_label()
