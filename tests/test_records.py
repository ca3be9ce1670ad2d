"""Recorded runs: what each must hold, and that the code would still make the same run."""

import importlib.util
import itertools
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


def benchmark(name: str, monkeypatch):
    """The program that made a record; it imports what lies beside it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_record_is_of_the_benchmark_as_it_stands(monkeypatch) -> None:
    bench = benchmark("bench_activations", monkeypatch)
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


# --- Table 3: benchmarks/bench_bjorck_apply.py

BJORCK = ROOT / "notebooks" / "results" / "bench_bjorck_apply.json"


def bjorck_record() -> dict:
    return json.loads(BJORCK.read_text(encoding="utf-8"))


def test_the_record_of_table_3_says_where_when_and_of_what_it_was_made(monkeypatch) -> None:
    found = bjorck_record()
    assert set(found) == {"settings", "results", "spread", "device", "versions", "date"}
    assert set(found["versions"]) == {"python", "torch"}
    assert found["device"]["cpu"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    bench = benchmark("bench_bjorck_apply", monkeypatch)
    assert found["settings"]["side"] == bench.SIDE
    assert found["settings"]["seed"] == bench.SEED
    made = {(c["scaling"], c["vectors"], c["threads"], c["steps"]) for c in found["results"]}
    cases = itertools.product(bench.GOALS, bench.BATCHES, bench.THREADS, bench.STEPS)
    assert made == set(cases)


def test_table_3_in_the_recorded_run() -> None:
    """Recursion: 3^k products, so ever slower. Chebyshev: ahead at each k, within 1e-5."""
    for case in bjorck_record()["results"]:
        methods, steps = case["methods"], case["steps"]
        assert methods["recursion"]["products"] == 3**steps
        assert methods["chebyshev"]["products"] <= 3**steps
        for row in methods.values():
            if "ratio" in row:
                low, high = row["quartiles"]
                assert 0 < low <= row["ratio"] <= high
                assert row["error"] < 1e-5
        if case["vectors"] == 1:
            assert methods["chebyshev"]["ratio"] > 5
    one = [c for c in bjorck_record()["results"] if (c["vectors"], c["threads"]) == (1, 1)]
    for scaling in ("(11)", "spectral"):
        rows = {c["steps"]: c["methods"]["recursion"] for c in one if c["scaling"] == scaling}
        assert rows[1]["ratio"] > rows[3]["ratio"] > rows[5]["ratio"]
        assert "ratio" not in rows[10]  # 59049 products are counted, not timed
