"""Figures and sliders without a browser, and once through a real kernel."""

import io
import itertools
import json
import os
import subprocess
import sys

import ipywidgets
import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nbclient import NotebookClient
from PIL import Image

from lipteach.classroom import show, show_benchmark, slider_figure
from lipteach.classroom.figure_view import PREDICT, _card
from lipteach.classroom.style import LINES, PAPER, new_figure

PNG = b"\x89PNG\r\n\x1a\n"


def draw_slope(slope=1.0, points=3, kind="line"):
    if slope > 3:
        raise ValueError(f"slope {slope} is above 3, see /home/someone/notes.txt")
    figure, axes = new_figure()
    x = torch.linspace(-1, 1, points)
    axes.plot(x, slope * x, **LINES[0])
    figure.set_label(f"A {kind} of slope {slope:.1f} < 9.")
    return figure


def test_a_picture_is_laid_out_and_drawn_as_a_saved_one():
    """Once, and not twice, as saving does: the same pixels before they are put on their card."""
    saved, figure = io.BytesIO(), draw_slope(2.0)
    figure.axes[0].set_ylabel("a label that needs room", fontsize=30)
    figure.savefig(saved, format="png", dpi=200)
    again = draw_slope(2.0)
    again.axes[0].set_ylabel("a label that needs room", fontsize=30)
    assert again.axes[0].get_position().x0 != pytest.approx(figure.axes[0].get_position().x0)
    drawn = _card(again)
    assert again.axes[0].get_position().x0 == pytest.approx(figure.axes[0].get_position().x0)
    with Image.open(saved) as image:
        want = np.asarray(image.convert("L"), float) * np.mean(Image.new("L", (1, 1), PAPER)) / 255
    got = np.asarray(drawn.convert("L"), float)
    assert got.shape == want.shape
    assert np.abs(got - want)[20:-20, 20:-20].mean() < 2  # few colours


def test_a_recorded_benchmark_is_shown_or_the_way_to_make_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert show_benchmark("lattice", lambda record: draw_slope(**record)) is None
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("No record here yet.")
    assert said[1:] == ["make bench RECORD=1 ONLY=lattice"]
    (tmp_path / "results").mkdir()
    (tmp_path / "results/bench_lattice.json").write_text(json.dumps({"slope": 2.0}), "utf-8")
    found = show_benchmark("lattice", lambda record: draw_slope(**record))
    assert found == {"slope": 2.0}
    assert capsys.readouterr().out == "A line of slope 2.0 < 9.\n"


def test_slider_redraws_once_per_change():
    calls = []

    def draw(k):
        calls.append(k)
        return draw_slope(k)

    view = slider_figure(draw, k=(0.0, 2.0, 0.5, 1.0))
    first = view.image.value
    assert bytes(first).startswith(PNG)
    view.controls["k"].value = 2.0
    assert calls == [1.0, 2.0]
    assert view.image.value != first
    assert (view.status, view.statement) == ("ok", "A line of slope 2.0 < 9.")
    view.controls["k"].value = 2.0
    assert calls == [1.0, 2.0]
    view.controls["k"].set_state({"value": 0.5})  # what a browser sends
    assert calls == [1.0, 2.0, 0.5]


def test_statement_is_told_to_screen_readers():
    view = slider_figure(draw_slope, slope=(0.0, 2.0, 0.5))
    assert 'aria-live="polite"' in view.caption.value
    assert "slope 1.0 &lt; 9." in view.caption.value
    assert not view.image.tooltip  # a tooltip on an Image is an error in the browser


def test_error_is_shown_in_place_and_the_picture_kept():
    view = slider_figure(draw_slope, slope=(0.0, 5.0, 0.5))
    first = view.image.value
    view.controls["slope"].value = 4.0
    assert view.status == "could not draw: ValueError: slope 4.0 is above 3, see …"
    assert view.status in view.caption.value
    assert view.image.value == first
    view.controls["slope"].value = 2.0
    assert view.status == "ok"
    assert view.status not in view.caption.value


def test_figure_without_a_statement_is_an_error_in_place():
    view = slider_figure(lambda k: new_figure()[0], k=range(3))
    assert "the figure says nothing" in view.status


def test_a_saved_slider_says_how_to_move_it_and_repeats_no_picture():
    view = slider_figure(draw_slope, slope=(0.0, 2.0, 0.5), points=range(2, 9))
    bundle = view._repr_mimebundle_()
    assert "Run this cell (Shift+Enter) to move the slider" in bundle["text/html"]
    assert "slope, points" in bundle["text/html"]
    assert bundle["text/plain"] == repr(view) == "A line of slope 1.0 < 9."
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "image/png" not in bundle


def test_a_figure_is_a_grey_card_with_round_corners_and_two_pixels_for_each_of_the_page():
    view = slider_figure(draw_slope, slope=(0.0, 2.0, 0.5))
    with Image.open(io.BytesIO(view.image.value)) as image:
        card = np.asarray(image.convert("RGBA")).astype(int)
    assert view.image.width == "600"
    assert card.shape == (600, 1200, 4)
    height, width, _ = card.shape
    for y, x in itertools.product((0, height - 1), (0, width - 1)):
        assert card[y, x, 3] == 0, "the page shows at the corners"
    assert card[20:-20, 20:-20, 3].min() >= 250
    paper = np.array([int(PAPER[k : k + 2], 16) for k in (1, 3, 5)])
    assert np.abs(card[20, 20, :3] - paper).max() <= 2
    assert card[..., :3].max() <= paper.max() + 2, "nothing on it is white"


def test_shorthand_controls():
    view = slider_figure(
        draw_slope, slope=(-1.0, 2.0, 0.25), points=range(2, 9), kind=["ray", "line"]
    )
    slope, points, kind = view.controls.values()
    assert isinstance(slope, ipywidgets.FloatSlider)
    assert (slope.min, slope.max, slope.step, slope.value) == (-1, 2, 0.25, 1.0)
    assert slope.readout_format == ".2f"
    assert isinstance(points, ipywidgets.IntSlider)
    assert (points.min, points.max, points.value) == (2, 8, 3)
    assert isinstance(kind, ipywidgets.Dropdown)
    assert (kind.options, kind.value) == (("ray", "line"), "line")
    assert [c.description for c in view.controls.values()] == ["slope", "points", "kind"]
    assert not slope.continuous_update
    assert not points.continuous_update


def test_own_widget_is_taken_as_it_is():
    slider = ipywidgets.IntSlider(value=5, min=2, max=9, description="how many")
    view = slider_figure(draw_slope, points=slider)
    assert view.controls["points"] is slider
    assert slider.description == "how many"
    assert not slider.continuous_update


def test_menu_of_labels_and_values():
    view = slider_figure(draw_slope, points=[("few", 3), ("many", 30)])
    assert view.controls["points"].value == 3
    view.controls["points"].value = 30
    assert view.status == "ok"


@pytest.mark.parametrize(
    ("control", "error", "message"),
    [
        ((0.0, 1.0), TypeError, "the control 'slope' is a widget"),
        (3, TypeError, "got 3"),
        ([], TypeError, r"got \[\]"),
        ((2.0, 1.0, 0.1), ValueError, "low < high"),
        ((0.0, 2.0, 0.0), ValueError, "step > 0"),
        ((0.0, 2.0, 0.1, 3.0), ValueError, "start 3.0"),
        ((2.0, 3.0, 0.1), ValueError, "start 1.0"),
    ],
)
def test_bad_controls(control, error, message):
    with pytest.raises(error, match=message):
        slider_figure(draw_slope, slope=control)


def test_control_without_a_parameter():
    with pytest.raises(ValueError, match="draw takes slope, points, kind; got a control for 'k'"):
        slider_figure(draw_slope, k=range(3))


def test_show_prints_the_statement(capsys):
    show(draw_slope())
    assert capsys.readouterr().out == "A line of slope 1.0 < 9.\n"


def test_a_long_statement_is_broken_between_words(capsys):
    figure = draw_slope()
    figure.set_label("many words " * 20)
    show(figure)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 92
    assert " ".join(lines) == ("many words " * 20).strip()


def test_show_needs_a_figure_with_a_statement():
    with pytest.raises(ValueError, match="the figure says nothing"):
        show(Figure())
    with pytest.raises(TypeError, match="Figure is needed; got str"):
        show("figure")


def test_no_window_and_no_global_state():
    before = dict(mpl.rcParams)
    view = slider_figure(draw_slope, slope=(0.0, 2.0, 0.5))
    assert dict(mpl.rcParams) == before
    assert len(view.image.value) < 40_000


CELLS = [
    "import torch\n"
    "from lipteach.classroom import check, show, slider_figure\n"
    "from lipteach.classroom.style import new_figure\n\n"
    "def draw_slope(slope=1.0):\n"
    "    figure, axes = new_figure()\n"
    "    axes.plot([0, 1], [0, slope])\n"
    "    figure.set_label(f'A line of slope {slope:.1f}.')\n"
    "    return figure",
    "show(draw_slope())",
    "slider_figure(draw_slope, slope=(0.0, 2.0, 0.5))",
    "def larger(a, b):\n    ...\n\ncheck('00.first-check', larger)",
    "check('00.first-check', torch.maximum)",
    "check('00.first-check', print)",
    "from lipteach.classroom import predicted\npredicted()\nprint('the answer')",
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()
    path = tmp_path_factory.mktemp("lesson") / "lesson.ipynb"
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)
    return path


def test_outputs_in_a_notebook(executed):
    cells = nbformat.read(executed, as_version=4).cells
    picture, line = cells[1].outputs
    assert line.text == "A line of slope 1.0.\n"
    assert picture.data["text/plain"] == PREDICT  # what stands in the place of a folded output
    assert picture.metadata["image/png"] == {"alt": "A line of slope 1.0.", "width": 600}
    (view,) = cells[2].outputs
    assert view.data["text/plain"] == "A line of slope 1.0."
    assert "to move the slider" in view.data["text/html"]
    assert "image/png" not in view.data
    (stub,) = cells[3].outputs
    assert stub.text == "00.first-check: not tried yet\n"
    first, printed = cells[6].outputs
    assert (first.data["text/plain"], printed.text) == (PREDICT, "the answer\n")
    for cell, sign, line in ((cells[4], "✓", "passed"), (cells[5], "✗", "not yet. ")):
        (shown,) = cell.outputs
        assert shown.data["text/plain"].startswith(f"00.first-check: {line}")
        assert f">{sign}</b> 00.first-check: {line}" in shown.data["text/html"]


def test_strict_comparison_passes(executed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = ["--nbval", "--nbval-current-env", "--rootdir", str(executed.parent), str(executed)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [*command, "-c", os.devnull, *options],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=executed.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CELLS)} passed" in done.stdout
