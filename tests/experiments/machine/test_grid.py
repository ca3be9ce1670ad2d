"""The grid: one by one, in processes, on Dask; what is kept, what is refused."""

import math
import multiprocessing
import re
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from experiments_support import read_cells
from tiny_experiment import TINY, Settings, train

from lipteach.experiments import Run, RunError, load_record, run_experiment


def grid_of(*settings: Settings, train=train):
    """The tiny experiment with another grid or training."""
    return replace(TINY, cells=lambda _profile: settings, train=train)


ONE = Settings("Adam", steps=4)


@pytest.fixture
def here(tmp_path: Path) -> dict:
    """Folders of this test."""
    return {"runs": tmp_path / "runs", "results": tmp_path / "results", "device": "cpu"}


def test_a_record_holds_every_cell_and_how_it_was_made(here: dict) -> None:
    path = run_experiment(TINY, "quick", seeds=2, **here)
    assert path == here["results"] / "tiny_quick.json"
    record = load_record("tiny", "quick", here["results"])
    assert [c.settings["optimizer"] for c in record.cells] == ["Adam", "AggMo"]
    for cell in record.cells:
        assert set(cell.metrics) == {"loss", "count", "middle"}
        assert [len(values) for values in cell.metrics.values()] == [2, 2, 2]
        assert cell.metrics["count"] == [90, 90]
        steps, values = cell.curves["loss"][1]
        assert steps == list(range(3, 61, 3))
        assert len(values) == 20
        assert cell.curves["loss"][0] != cell.curves["loss"][1]  # the seeds differ
    assert record.seeds == [0, 1]
    about = record.about
    assert about["command"] == "python -m lipteach.experiments run tiny --profile quick --seeds 2"
    assert about["device"][0]["cpu"]
    assert about["device"][0]["threads"] == torch.get_num_threads()
    assert about["versions"]["torch"] == torch.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"])
    assert re.fullmatch(r"unknown|[0-9a-f]{12}( and changes not committed)?", about["commit"])
    assert str(Path.home()) not in path.read_text()
    assert not list(here["runs"].rglob("*.*"))


def test_a_second_run_gives_the_same_numbers(here: dict) -> None:
    first = read_cells(run_experiment(TINY, "quick", seeds=1, **here))
    before = torch.get_rng_state()
    assert read_cells(run_experiment(TINY, "quick", seeds=1, **here)) == first
    assert torch.equal(torch.get_rng_state(), before)


def dask() -> Executor:
    from distributed import Client

    # One thread: two would share the random numbers of this process.
    return Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0")


def test_processes_give_the_same_numbers(here: dict) -> None:
    alone = read_cells(run_experiment(TINY, "quick", seeds=2, **here))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        path = run_experiment(TINY, "quick", 2, executor=executor, threads=1, **here)
    assert read_cells(path) == alone


def test_dask_gives_the_same_numbers(here: dict) -> None:
    alone = read_cells(run_experiment(TINY, "quick", seeds=2, **here))
    with dask() as client, client.get_executor() as executor:
        path = run_experiment(TINY, "quick", 2, executor=executor, **here)
    assert read_cells(path) == alone


class Backwards(Executor):
    """Runs the last cell first, when its result is asked for."""

    def __init__(self) -> None:
        self.waiting: list = []

    def submit(self, function, /, *arguments, **named) -> Future:
        future: Future = Future()
        self.waiting.append((future, function, arguments))
        if len(self.waiting) == 4:
            for one, call, given in reversed(self.waiting):
                one.set_result(call(*given))
        return future


def test_any_executor_will_do_in_any_order(here: dict) -> None:
    alone = read_cells(run_experiment(TINY, "quick", seeds=2, **here))
    assert read_cells(run_experiment(TINY, "quick", 2, executor=Backwards(), **here)) == alone


def test_finished_cells_are_kept_and_not_trained_again(here: dict) -> None:
    trained = []

    def failing(settings, seed, run):
        if len(trained) == 3:
            raise RuntimeError("the third of four")
        trained.append((settings.optimizer, seed))
        return train(settings, seed, run)

    def counting(settings, seed, run):
        trained.append((settings.optimizer, seed))
        return train(settings, seed, run)

    with pytest.raises(RuntimeError, match="the third of four"):
        run_experiment(replace(TINY, train=failing), "quick", seeds=2, **here)
    assert not here["results"].exists()
    path = run_experiment(replace(TINY, train=counting), "quick", seeds=2, **here)
    assert trained == [("Adam", 0), ("Adam", 1), ("AggMo", 0), ("AggMo", 1)]
    assert len(read_cells(path)) == 2


def test_a_failure_in_a_worker_is_told_and_the_others_are_kept(here: dict) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        broken = replace(TINY, cells=not_all_there)
        with pytest.raises(KeyError, match="Nothing"):
            run_experiment(broken, "quick", 1, executor=executor, **here)
    assert [path.name for path in here["runs"].rglob("*.json")] == ["cell000_seed0.json"]


def not_all_there(_profile: str) -> tuple[Settings, ...]:
    return (ONE, replace(ONE, optimizer="Nothing"))


def test_a_finished_cell_of_other_settings_is_refused(here: dict) -> None:
    def failing(settings, seed, run):
        if seed == 1:
            raise RuntimeError("later")
        return train(settings, seed, run)

    with pytest.raises(RuntimeError, match="later"):
        run_experiment(grid_of(ONE, train=failing), "quick", seeds=2, **here)
    other = replace(ONE, steps=6)
    with pytest.raises(RunError, match=r"other settings \(steps = 4; now steps = 6\): delete it"):
        run_experiment(grid_of(other), "quick", seeds=2, **here)


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, [1.0, math.nan], torch.ones(1)])
def test_a_metric_that_is_no_finite_number_is_refused(value, here: dict) -> None:
    experiment = grid_of(ONE, train=lambda *_: {"loss": value})
    with pytest.raises(RunError, match=r"loss of optimizer=Adam.* must be a finite number; got"):
        run_experiment(experiment, "quick", seeds=1, **here)


def test_a_curve_that_is_not_finite_is_refused(here: dict) -> None:
    def diverging(_settings, _seed, run):
        run.log("loss", math.inf)
        return {}

    with pytest.raises(RunError, match=r"loss of .*, seed 0, must be a finite number; got inf"):
        run_experiment(grid_of(ONE, train=diverging), "quick", seeds=1, **here)


def test_an_unknown_profile_is_refused(here: dict) -> None:
    with pytest.raises(ValueError, match="profile must be one of quick, laptop, full; got 'all'"):
        run_experiment(TINY, "all", **here)
    with pytest.raises(TypeError, match=r"experiment must be an Experiment, like .*; got str"):
        run_experiment("tiny", **here)


@pytest.mark.parametrize("seeds", [0, -1, True, 1.5, "2", "a", None, [0, 1], [0, 0], []])
def test_seeds_are_a_number_of_them(seeds, here: dict) -> None:
    kind = ValueError if type(seeds) is int else TypeError
    with pytest.raises(kind, match=r"seeds must be (an integer|at least 1); got "):
        run_experiment(TINY, "quick", seeds, **here)
    assert not here["runs"].exists()


@pytest.mark.parametrize(
    "device", ["nonsense", "", "CPU", "cuda:99", "meta", "xla", "hpu", 3, None]
)
def test_a_device_that_cannot_be_used_is_refused(device, here: dict) -> None:
    said = (
        "device must be (auto, cpu or another that PyTorch can use here|a name or a torch.device)"
    )
    kind = ValueError if isinstance(device, str) else TypeError
    for call in (lambda: Run(device), lambda: run_experiment(TINY, **{**here, "device": device})):
        with pytest.raises(kind, match=f"{said}; got ") as found:
            call()
        assert "\n" not in str(found.value)
    assert not here["runs"].exists()


def test_a_device_may_be_one_of_pytorch(here: dict) -> None:
    assert Run("auto").device.type in ("cpu", "cuda")
    run_experiment(TINY, seeds=1, **{**here, "device": torch.device("cpu")})
