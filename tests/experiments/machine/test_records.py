"""Records: written, read, thin, asked."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from lipteach.experiments import NAMES, CellRecord, Record, RunError, experiment, load_record
from lipteach.experiments.machine.files import signed
from lipteach.experiments.machine.records import RESULTS, thin, write_record


def cell(**settings) -> CellRecord:
    curve = (list(range(1, 1001)), [1 / 3 + k for k in range(1000)])
    metrics = {"score": [1.0, 2.0, 6.0], "sigma": [[1.0, 0.5], [1.0, 0.25], [4.0, 0.75]]}
    return CellRecord(settings, metrics, {"score": [curve] * 3})


RECORD = Record(
    "tiny", "quick", [0, 1, 2], (cell(n=2, widths=[3, 1]), cell(n=4, widths=[3, 1])), {"date": "x"}
)


def test_mean_and_spread_are_over_the_seeds() -> None:
    one = RECORD.cells[0]
    assert (one.mean("score"), one.spread("score")) == (3.0, 5.0)
    assert (one.mean("sigma"), one.spread("sigma")) == ([2.0, 0.5], [3.0, 0.5])


def test_lists_of_different_lengths_have_no_mean() -> None:
    with pytest.raises(ValueError, match="zip"):
        CellRecord({}, {"sigma": [[1.0], [1.0, 2.0]]}, {}).mean("sigma")


def test_what_is_written_is_read_and_says_mean_and_spread(tmp_path: Path) -> None:
    path = write_record(RECORD, tmp_path)
    found = load_record("tiny", "quick", tmp_path)
    assert [c.settings for c in found.cells] == [c.settings for c in RECORD.cells]
    assert [c.metrics for c in found.cells] == [c.metrics for c in RECORD.cells]
    assert (found.seeds, found.about) == ([0, 1, 2], {"date": "x"})
    score = json.loads(path.read_text())["cells"][0]["metrics"]["score"]
    assert score == {"mean": 3.0, "spread": 5.0, "values": [1.0, 2.0, 6.0]}
    assert "[1.0, 2.0, 6.0]" in path.read_text()  # numbers stand in one line


def test_a_curve_is_thinned_to_its_last_point(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)
    steps, values = load_record("tiny", "quick", tmp_path).cells[0].curves["score"][2]
    assert len(steps) == len(values) == 200
    assert steps[-1] == 1000
    assert values[-1] == 999.333
    for length in (0, 1, 199, 200, 201, 399, 401):
        kept, _ = thin(list(range(length)), [0.0] * length)
        assert min(length, 100) <= len(kept) <= 200
        assert kept[-1:] == [length - 1][:length]


def test_a_cell_is_found_by_its_settings() -> None:
    assert RECORD.cell(n=4).settings["n"] == 4
    assert RECORD.cell(n=2, widths=(3, 1)) is RECORD.cells[0]
    for asked, count in (({"n": 3}, 0), ({}, 2), ({"widths": (3, 1)}, 2), ({"other": None}, 0)):
        with pytest.raises(LookupError, match=f"must fit one cell of tiny; .*: {count} cells"):
            RECORD.cell(**asked)


def test_a_missing_record_shows_the_command_that_makes_it(tmp_path: Path) -> None:
    command = "python -m lipteach.experiments run h1_transport --profile full --seeds 3"
    with pytest.raises(FileNotFoundError) as found:
        load_record("h1_transport", "full", tmp_path)
    assert (
        str(found.value) == f"There is no record h1_transport_full.json; this makes it: {command}"
    )


def test_an_unknown_record_shows_those_that_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found:
        load_record("fig14", "full", tmp_path)
    names = (
        "fig14_spectral, fig15_wgan_gp, fig16_jacobian, fig17_wgan, h1_transport, h2_distance, "
        "table4_mnist, table5_small_data, table6_cifar, table7_robustness"
    )
    said = f"There is no record fig14_full.json; there is no experiment 'fig14'; there are {names}."
    assert str(found.value) == said
    with pytest.raises(ValueError, match="profile must be one of quick, laptop, full; got 'huge'"):
        load_record("fig14_spectral", "huge", tmp_path)


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    (tmp_path / "tiny_full.json").write_text("{")
    with pytest.raises(RunError, match=r"tiny_full.json is damaged"):
        load_record("tiny", "full", tmp_path)


WRONG = {
    "{}": "it lacks 'sha256'",
    "[]": "it is list, not dict",
    '{"cells": [{}], "sha256": "0"}': "its sha256 is of other contents",
    '{"cells": NaN, "sha256": "0"}': "it holds NaN or infinity",
    '{"cells": 1e999, "sha256": "0"}': "it holds NaN or infinity",
    json.dumps(signed({"cells": []})): "it lacks 'experiment'",
}


@pytest.mark.parametrize("text", WRONG)
def test_another_file_is_no_record(text: str, tmp_path: Path) -> None:
    (tmp_path / "tiny_full.json").write_text(text)
    with pytest.raises(RunError, match=r"tiny_full.json is damaged and cannot be read") as found:
        load_record("tiny", "full", tmp_path)
    assert WRONG[text] in str(found.value)


def edits() -> dict[str, Callable[[dict], None]]:
    """What a careless hand may change in a record, each so that JSON and structure are right."""
    return {
        "a value with its mean and spread": lambda r: r["cells"][0]["metrics"]["score"].update(
            values=[1.0, 2.0, 9.0], mean=4.0, spread=8.0
        ),
        "a mean": lambda r: r["cells"][1]["metrics"]["score"].update(mean=3.5),
        "a curve": lambda r: r["cells"][0]["curves"]["score"][0][1].__setitem__(0, 0.5),
        "a setting": lambda r: r["cells"][0]["settings"].update(n=3),
        "a cell": lambda r: r["cells"].pop(),
        "the order of the cells": lambda r: r["cells"].reverse(),
        "the seeds": lambda r: r.update(seeds=[0, 1, 3]),
        "the date": lambda r: r.update(date="y"),
        "a word more": lambda r: r.update(commit="c"),
        "the checksum": lambda r: r.update(sha256=r["sha256"].upper()),
    }


@pytest.mark.parametrize("edit", edits())
def test_an_edited_record_is_refused(edit: str, tmp_path: Path) -> None:
    path = write_record(RECORD, tmp_path)
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found))
    load_record("tiny", "quick", tmp_path)  # whitespace and line ends are no edit
    edits()[edit](found)
    path.write_text(json.dumps(found, indent=1))
    with pytest.raises(RunError, match=r"its sha256 is of other contents: it was edited"):
        load_record("tiny", "quick", tmp_path)


def test_a_record_under_another_name_is_refused(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path).rename(tmp_path / "tiny_full.json")
    with pytest.raises(RunError, match="it is the record of tiny, quick"):
        load_record("tiny", "full", tmp_path)


def test_a_record_with_a_value_too_few_is_refused(tmp_path: Path) -> None:
    write_record(dataclasses.replace(RECORD, seeds=[0, 1]), tmp_path)
    with pytest.raises(RunError, match="more or fewer values than seeds"):
        load_record("tiny", "quick", tmp_path)


RECORDED = [name for name in NAMES if (RESULTS / f"{name}_laptop.json").exists()]


@pytest.mark.parametrize("name", RECORDED)
def test_a_comparison_says_what_is_missing_and_prints_no_nan(name: str) -> None:
    """Each metric that a comparison shows is taken away, then is not a number."""
    record, compare = load_record(name, "laptop"), experiment(name).compare
    said = []
    for metric in record.cells[0].metrics:
        for value in (None, math.nan):
            cells = copy.deepcopy(record.cells)
            for cell in cells:
                cell.metrics[metric] = [] if value is None else [value] * 3
            try:
                assert "nan" not in compare(dataclasses.replace(record, cells=cells))
            except (LookupError, RunError) as error:
                said.append((metric, str(error)))
    assert len(said) >= 2
    assert all(
        f"has no {one}; it has" in text or f"{one} of the cell" in text for one, text in said
    )


def test_a_comparison_without_its_cells_says_so() -> None:
    record = dataclasses.replace(load_record("fig14_spectral", "laptop"), cells=())
    with pytest.raises(
        LookupError, match=r"must fit one cell of fig14_spectral; n = 2, .*: 0 cell"
    ):
        experiment("fig14_spectral").compare(record)
