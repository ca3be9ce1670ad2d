"""Recorded runs: what each must hold, and that the code would still make the same run."""

import importlib.util
import itertools
import json
import math
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lipteach import experiments

ROOT = Path(__file__).resolve().parent.parent
PARTS = {
    "bench_activations": {"results", "import", "small"},
    "bench_bjorck_apply": {"results"},
    "bench_lattice": {"results"},
    "bench_orthonormal": {"polar", "training"},
    "bench_constraints": {"results", "steps"},
    "bench_peers": {"results"},
}
NAMES = tuple(PARTS)


def record(name: str) -> dict:
    return json.loads((ROOT / "notebooks/results" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    """Loads a benchmark, which finds the others beside it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def measured(found: object) -> list[dict]:
    """Every row with a ratio and its spread, at any depth."""
    if isinstance(found, dict):
        own = [found] if {"ratio", "quartiles"} <= set(found) else []
        return own + [row for value in found.values() for row in measured(value)]
    if isinstance(found, list):
        return [row for value in found for row in measured(value)]
    return []


def test_every_record_is_of_a_benchmark_or_an_experiment() -> None:
    made = {path.stem for path in (ROOT / "notebooks/results").glob("bench_*.json")}
    assert made == set(NAMES) == {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")}
    others = {path.stem for path in (ROOT / "notebooks/results").glob("*.json")} - made
    profiles = itertools.product(experiments.NAMES, experiments.PROFILES)
    assert others <= {f"{name}_{profile}" for name, profile in profiles}


@pytest.mark.parametrize("name", NAMES)
def test_a_record_says_where_when_and_with_what_it_was_made(name: str, benchmark) -> None:
    found = record(name)
    assert set(found) == {"settings", "spread", "device", "versions", "date", *PARTS[name]}
    assert set(found["versions"]) == {"python", "torch"}
    assert found["device"]["cpu"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["settings"]["seed"] == benchmark(name).SEED
    assert len(measured(found)) > 10
    for row in measured(found):
        low, high = row["quartiles"]
        assert 0 < low <= row["ratio"] <= high


# --- A.4: the activations


def cases() -> dict[tuple, dict]:
    found = record("bench_activations")["results"]
    return {(tuple(case["shape"]), case["dim"], case["threads"]): case for case in found}


def test_the_record_of_the_activations_is_of_the_benchmark_as_it_stands(benchmark) -> None:
    bench = benchmark("bench_activations")
    made = {(shape, dim, threads) for threads in (1, 2) for shape, dim, _, _ in bench.CASES}
    assert set(cases()) == made
    for case in cases().values():
        assert list(case["activations"]) == list(bench.ACTIVATIONS)


def test_the_cost_of_maxmin_in_the_recorded_run() -> None:
    """A.4: on one thread MaxMin costs a few ReLUs, and less than sorting or joining its pairs."""
    for shape, dim in (((256, 1024), -1), ((128, 64, 32, 32), 1)):
        rows = cases()[shape, dim, 1]["activations"]
        assert 0.8 < rows["ReLU"]["ratio"] < 1.25  # ReLU over itself: the noise
        for other in ("torch.sort on pairs", "cat of max and min"):
            assert rows["maxmin"]["ratio"] < rows[other]["ratio"]
    assert record("bench_activations")["import"]["ratio"] <= 1.1


# --- Table 3


def test_the_record_of_table_3_is_of_the_benchmark_as_it_stands(benchmark) -> None:
    bench, found = benchmark("bench_bjorck_apply"), record("bench_bjorck_apply")
    assert found["settings"]["side"] == bench.SIDE
    made = {(c["scaling"], c["vectors"], c["threads"], c["steps"]) for c in found["results"]}
    assert made == set(itertools.product(bench.GOALS, bench.BATCHES, bench.THREADS, bench.STEPS))


def test_table_3_in_the_recorded_run() -> None:
    """Recursion: 3^k products, so ever slower. Chebyshev: ahead at each k, within 1e-5."""
    results = record("bench_bjorck_apply")["results"]
    for case in results:
        methods, steps = case["methods"], case["steps"]
        assert methods["recursion"]["products"] == 3**steps
        assert methods["chebyshev"]["products"] <= 3**steps
        assert all(row["error"] < 1e-5 for row in methods.values() if "ratio" in row)
        if case["vectors"] == 1:
            assert methods["chebyshev"]["ratio"] > 5
    one = [c for c in results if (c["vectors"], c["threads"]) == (1, 1)]
    for scaling in ("(11)", "spectral"):
        rows = {c["steps"]: c["methods"]["recursion"] for c in one if c["scaling"] == scaling}
        assert rows[1]["ratio"] > rows[3]["ratio"] > rows[5]["ratio"]
        assert "ratio" not in rows[10]  # 59049 products are counted, not timed


# --- B.4: polar factors and training


def test_the_record_of_polar_is_of_the_benchmark_as_it_stands(benchmark) -> None:
    bench, found = benchmark("bench_orthonormal"), record("bench_orthonormal")
    made = [(tuple(c["shape"]), c["noise"], c["goal"], c["threads"]) for c in found["polar"]]
    assert made == [(*weight, threads) for threads in (1, 2) for weight in bench.WEIGHTS]
    for case in found["polar"]:
        assert list(case["methods"]) == list(bench.methods((8, 8)))
    for case in found["training"]:
        assert list(case["ways"]) == list(benchmark("orthonormal_training").WAYS)


def test_what_orthonormal_weights_cost_in_the_recorded_run() -> None:
    """The choice of "auto" is the cheapest of polar's methods, and exact to its tolerance."""
    for case in record("bench_orthonormal")["polar"]:
        rows = case["methods"]
        auto = rows["polar, auto"]
        assert auto["defect"] <= 1e-5
        assert auto["gradient error"] < 1e-3
        for name, row in rows.items():
            if name.startswith("polar"):
                assert auto["ratio"] <= 1.2 * row["ratio"]  # itself among them, timed apart
            else:
                assert name.startswith("torch orthogonal") or auto["ratio"] < row["ratio"]
    for case in record("bench_orthonormal")["training"]:
        ways = case["ways"]
        assert ways["plain"]["ratio"] < ways["retract_ by qr"]["ratio"]
        assert ways["retract_ by polar"]["ratio"] < ways["Björck × 15, unrolled"]["ratio"] / 5
        assert all(ways[name]["distance"] <= 1e-3 for name in ways if name.startswith("retract_"))


# --- E: the lattice


def test_the_record_of_the_lattice_is_of_the_benchmark_as_it_stands(benchmark) -> None:
    bench, found = benchmark("bench_lattice"), record("bench_lattice")
    assert found["settings"]["evaluated"] == bench.EVALUATED
    made = [(case["method"], case["points"]) for case in found["results"]]
    assert made == [(m, side**2) for m, side in itertools.product(bench.METHODS, bench.SIDES)]


def test_how_the_lattice_grows_in_the_recorded_run() -> None:
    """E: pieces and memory like N² for the lattice, like N for the cones."""
    for case in record("bench_lattice")["results"]:
        N, lattice = case["points"], case["method"] == "lattice"
        assert 4 * N / 2 < case["pieces"] <= (N * (N - 1) // 2 if lattice else 4 * N)
        assert 0.5 < case["memory"]["ratio"] / (N / 16) ** (2 if lattice else 1) < 2
        assert case["layers"] <= 2 * math.ceil(math.log2(N))


# --- B.2, C: what bounds a norm in training


def test_the_record_of_the_constraints_reaches_what_it_claims() -> None:
    """Where no row is outside the sort is left far behind; a step keeps the prices that we name."""
    found = record("bench_constraints")
    for row in found["results"]:
        assert row["distance"] <= (1e-6 if row["dtype"] == "float32" else 1e-12)
        least = 20 if row["rows outside"] == "none" else 3
        assert row["sort over it"]["ratio"] > least
    for step in found["steps"].values():
        assert step["goal"] is None or step["ratio"] <= step["goal"]
        assert "later" not in step or step["later"]["ratio"] <= step["goal"]
    for name, step in found["steps"].items():
        layer, _, way = name.partition(": torch ")  # what torch has for an orthonormal weight
        assert not way or step["ratio"] > 1.2 * found["steps"][f"{layer}: lt.orthonormal"]["ratio"]


# --- Beside the peers


def test_the_record_of_the_peers_is_of_the_benchmark_as_it_stands(benchmark) -> None:
    bench, found = benchmark("bench_peers"), record("bench_peers")
    assert list(found["results"]) == list(bench.PLAIN)
    assert set(found["settings"]["peers"]) == set(bench.PEERS)
    for case, rows in found["results"].items():
        assert set(bench.ours(case)) < set(rows)


def test_no_peer_is_faster_at_an_equal_guarantee_in_the_recorded_run() -> None:
    """Orthonormal layers keep all singular values at 1; of bounded ones ours loses least."""
    for case, rows in record("bench_peers")["results"].items():
        all_ours = [row for name, row in rows.items() if name.startswith("lt.")]
        ours = min(all_ours, key=ratio)
        peers = [row for name, row in rows.items() if not name.startswith("lt.")]
        assert peers
        if case == "bounded convolution":  # theirs is faster, and shrinks more
            assert 1 >= ours["singular values"][1] > max(p["singular values"][1] for p in peers)
            continue
        for own in all_ours:
            if "singular values" in own:
                assert own["singular values"] == pytest.approx([1.0, 1.0], abs=2e-5)
            assert own["ratio"] < min(map(ratio, peers)), case


def ratio(row: dict) -> float:
    return row["ratio"]
