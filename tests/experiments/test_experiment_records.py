"""The records that stand in notebooks/results: whole, and of the code as it is."""

import json
import math
import re
from pathlib import Path

import pytest

from lipteach.experiments import NAMES, PROFILES, experiment, load_record
from lipteach.experiments.fig14_spectral import steps_to
from lipteach.experiments.machine.cell import settings_dict
from lipteach.experiments.machine.records import (
    RESULTS,
    command_text,
    reduce_over_seeds,
    write_record,
)

RECORDS = [
    (name, profile)
    for name in NAMES
    for profile in PROFILES[1:]  # git ignores quick ones
    if (RESULTS / f"{name}_{profile}.json").exists()
]
ABOUT = {"item", "command", "device", "versions", "commit", "date", "seconds"}


def file_of(name: str, profile: str) -> dict:
    return json.loads((RESULTS / f"{name}_{profile}.json").read_text(encoding="utf-8"))


def test_each_experiment_has_a_record() -> None:
    missing = set(NAMES) - {name for name, _ in RECORDS}
    assert not missing, "make experiments NAME=… PROFILE=laptop, and commit its record"


@pytest.mark.parametrize(("name", "profile"), RECORDS)
def test_a_record_is_of_the_settings_that_the_code_has_now(name: str, profile: str) -> None:
    record = load_record(name, profile)
    one = experiment(name)
    assert [cell.settings for cell in record.cells] == [settings_dict(s) for s in one.grid(profile)]
    assert record.about["item"] == one.item
    assert one.compare(record)


@pytest.mark.parametrize(("name", "profile"), RECORDS)
def test_a_record_says_where_when_and_with_what_it_was_made(name: str, profile: str) -> None:
    found = file_of(name, profile)
    own = {"experiment", "profile", "seeds", "cells", "sha256"}
    assert set(found) - {"picture"} == ABOUT | own
    assert (found["experiment"], found["profile"]) == (name, profile)
    assert len(found["seeds"]) >= 3
    assert found["command"] == command_text(name, profile, len(found["seeds"]))
    for device in found["device"]:
        assert set(device) == {"cpu", "cores", "threads", "gpu"}
        assert device["cpu"]
        assert device["threads"] >= 1
    assert {"python", "torch", "lipteach"} <= set(found["versions"])
    for commit in found["commit"].split(", "):  # cells may be of several that compute the same
        assert re.fullmatch(r"[0-9a-f]{12}( and changes not committed)?", commit)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["seconds"] > 0
    assert not re.search(r"/home|/root|/work|/tmp|[A-Z]:\\\\", json.dumps(found))


@pytest.mark.parametrize(("name", "profile"), RECORDS)
def test_a_record_holds_a_number_for_each_seed(name: str, profile: str) -> None:
    found = file_of(name, profile)
    for cell in found["cells"]:
        assert set(cell) == {"settings", "metrics", "curves"}
        for metric in cell["metrics"].values():
            assert set(metric) == {"mean", "spread", "values"}
            assert len(metric["values"]) == len(found["seeds"])
            mean = reduce_over_seeds(metric["values"], lambda values: sum(values) / len(values))
            pairs = zip(flat(metric["mean"]), flat(mean), strict=True)
            assert all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in pairs)
            assert all(spread >= 0 for spread in flat(metric["spread"]))
        for curves in cell["curves"].values():
            assert len(curves) == len(found["seeds"])
            for steps, values in curves:
                assert 0 < len(steps) == len(values) <= 200
                assert steps == sorted(set(steps))


@pytest.mark.parametrize(("name", "profile"), RECORDS)
def test_a_record_is_what_the_machine_would_write(name: str, profile: str, tmp_path: Path) -> None:
    path = write_record(load_record(name, profile), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == file_of(name, profile)
    pictures = sorted(RESULTS.glob(f"{name}_{profile}.*.png"))
    assert [p.name for p in pictures] == [p.name for p in tmp_path.glob("*.png")]
    for picture in pictures:
        assert picture.read_bytes() == (tmp_path / picture.name).read_bytes()
        assert picture.stat().st_size < 200_000, "pictures are drawn in 16 levels, and few"


def flat(value) -> list:
    return value if isinstance(value, list) else [value]


# --- Fig. 14


def test_fig_14_in_the_recorded_run() -> None:
    """Orthonormal weights are better and sooner in every dimension, in the end with every seed."""
    record = load_record("fig14_spectral", "laptop")
    assert {cell.settings["steps"] for cell in record.cells} == {1500}
    ratios = []
    for n in (2, 16, 128, 512):
        ours, theirs = (record.cell(n=n, method=m) for m in ("orthonormal", "spectral"))
        assert min(ours.metrics["estimate"]) > max(theirs.metrics["estimate"])
        assert 0 < steps_to(ours, theirs.mean("estimate")) <= 50
        ratios.append(ours.mean("estimate") / theirs.mean("estimate"))
        for cell in (ours, theirs):
            assert all(max(values) <= 1 for _, values in cell.curves["estimate"])
        assert max(ours.metrics["norms"]) < 1 + 1e-4
        assert all(max(values) > 1.1 for _, values in theirs.curves["norms"])
    assert [f"{ratio:.1f}" for ratio in ratios] == ["1.1", "1.2", "2.1", "2.4"]
