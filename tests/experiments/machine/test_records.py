"""Records: written, read, thin, asked."""

import json
from pathlib import Path

import pytest

from lipteach.experiments import CellRecord, Record, RunError, load_record
from lipteach.experiments.machine.records import thin, write_record


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
    command = "python -m lipteach.experiments run tiny --profile full --seeds 3"
    with pytest.raises(FileNotFoundError) as found:
        load_record("tiny", "full", tmp_path)
    assert str(found.value) == f"There is no record tiny_full.json; this makes it: {command}"


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    (tmp_path / "tiny_full.json").write_text("{")
    with pytest.raises(RunError, match=r"tiny_full.json is damaged"):
        load_record("tiny", "full", tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"cells": [{}]}', '{"cells": [], "seeds": [0]}'])
def test_another_file_is_no_record(text: str, tmp_path: Path) -> None:
    (tmp_path / "tiny_full.json").write_text(text)
    with pytest.raises(RunError, match=r"tiny_full.json is no record: it lacks '"):
        load_record("tiny", "full", tmp_path)
