"""Recorded runs: what each must hold, and that the code would still make the same run."""

import importlib.util
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "notebooks" / "results" / "bench_activations.json"


def record() -> dict:
    return json.loads(RECORD.read_text(encoding="utf-8"))


def cases() -> dict[tuple, dict]:
    return {
        (tuple(case["shape"]), case["dim"], case["threads"]): case for case in record()["results"]
    }


def test_a_record_says_where_when_and_with_what_it_was_made() -> None:
    found = record()
    assert set(found) == {
        *("settings", "results", "import", "spread", "device", "versions", "date"),
    }
    assert set(found["versions"]) == {"python", "torch"}
    assert found["device"]["cpu"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    for case in found["results"]:
        for row in case["activations"].values():
            low, high = row["quartiles"]
            assert 0 < low <= row["ratio"] <= high


def test_the_record_is_of_the_benchmark_as_it_stands() -> None:
    spec = importlib.util.spec_from_file_location(
        "bench_activations", ROOT / "benchmarks" / "bench_activations.py"
    )
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    made = {(shape, dim, threads) for threads in (1, 2) for shape, dim, _, _ in bench.CASES}
    assert set(cases()) == made
    assert record()["settings"]["seed"] == bench.SEED
    for case in record()["results"]:
        assert list(case["activations"]) == list(bench.ACTIVATIONS)


def test_the_cost_of_maxmin_in_the_recorded_run() -> None:
    """A.4: on one thread MaxMin costs a few ReLUs, and less than sorting or joining its pairs."""
    for shape, dim in (((256, 1024), -1), ((128, 64, 32, 32), 1)):
        rows = cases()[shape, dim, 1]["activations"]
        assert 0.8 < rows["ReLU"]["ratio"] < 1.25  # ReLU over itself: the noise
        for other in ("torch.sort on pairs", "cat of max and min"):
            assert rows["maxmin"]["ratio"] < rows[other]["ratio"]
    assert record()["import"]["ratio"] <= 1.1
