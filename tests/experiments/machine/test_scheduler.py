"""Cells on a Dask cluster: a worker dies, a run is stopped, a machine does not fit."""

import logging
import multiprocessing
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from cluster_experiment import TINY, Settings
from experiments_support import read_cells

from lipteach.experiments import Experiment, RunError, load_record, run_experiment
from lipteach.experiments.machine import catalogue, command_line, provenance, scheduler
from lipteach.experiments.machine.cell import run_cell
from lipteach.experiments.machine.grid import list_jobs
from lipteach.experiments.machine.lock import hold
from lipteach.experiments.machine.scheduler import Cluster, check_worker, join_cluster, name_task

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has neither forks nor SIGKILL")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    """The place of the workers' checkpoints."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def address(scratch: Path) -> Iterator[str]:
    """The scheduler of two workers."""
    # Workers are forked from one process that has imported all: it spares seconds.
    how = {"distributed.worker.multiprocessing-method": "forkserver"}
    context = multiprocessing.get_context("forkserver")
    with dask.config.set(how):
        distributed.utils.get_mp_context()
        context.set_forkserver_preload(
            ["distributed.nanny", "lipteach.experiments", "torch._dynamo"]
        )
        with start_cluster(2, scratch) as cluster:
            yield cluster.scheduler_address


def start_cluster(workers: int, scratch: Path) -> Any:
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", local_directory=scratch
    )


@pytest.fixture
def here(tmp_path: Path) -> dict:
    """Folders of this test."""
    return {"runs": tmp_path / "runs", "results": tmp_path / "results", "device": "cpu"}


@pytest.fixture
def tiny(monkeypatch, tmp_path: Path):
    """The command line of a package that holds the tiny experiment alone."""

    def call(*options: str, experiment: Experiment = TINY) -> int:
        for module in (command_line, catalogue):
            monkeypatch.setattr(module, "NAMES", ("tiny",))
        monkeypatch.setattr(command_line, "experiment", lambda _name: experiment)
        folders = ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
        return command_line.main(["run", "tiny", "--seeds", "2", *options, *folders])

    return call


def of(*settings: Settings) -> Experiment:
    return replace(TINY, cells=lambda _profile: settings)


def read_diary(path: Path) -> list[tuple[int, int]]:
    """Which process took which step, as far as whole lines tell it."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def wait_until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def left_by(scratch: Path) -> list[Path]:
    return list(scratch.glob("*/lipteach/*/*"))


def test_a_grid_runs_on_a_cluster(tiny, address: str, scratch: Path, capsys, here: dict) -> None:
    alone = read_cells(run_experiment(TINY, seeds=2, **{**here, "results": here["runs"] / "other"}))
    assert tiny("--scheduler", address, "--threads", "3") == 0
    said = capsys.readouterr()
    assert said.out.startswith("tiny, quick: 0 of 4 cells finished.\n")
    assert "4/4" in said.err  # the bar
    record = load_record("tiny", "quick", here["results"])
    assert read_cells(here["results"] / "tiny_quick.json") == alone
    assert record.about["device"][0]["threads"] == 3
    assert "scheduler" not in record.about["command"]
    assert not left_by(scratch)
    assert not list((here["runs"] / "tiny").iterdir())
    assert tiny("--scheduler", address) == 0
    record = load_record("tiny", "quick", here["results"])
    assert record.about["device"][0]["threads"] != 3, "a worker has its own again"


def test_a_cell_whose_worker_dies_goes_on_in_another(
    address: str, tmp_path: Path, here: dict
) -> None:
    diary = tmp_path / "diary"
    experiment = of(Settings("Adam", steps=30, diary=str(diary), dies_at=17), Settings("Adam"))
    with join_cluster(address) as cluster:
        path = run_experiment(experiment, seeds=1, executor=cluster, every=0.0, **here)
    told = read_diary(diary)
    first, second = dict.fromkeys(process for process, _ in told)
    assert [step for process, step in told if process == first] == list(range(1, 18))
    assert (second, 17) == told[17], "it goes on from the checkpoint"
    alone = run_experiment(experiment, seeds=1, **{**here, "results": tmp_path / "alone"})
    assert read_cells(path) == read_cells(alone)


def test_a_stopped_run_keeps_what_is_finished_and_frees_the_workers(
    tiny, address: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    diary = tmp_path / "diary"
    long = Settings("Adam", steps=10**6, pause=0.002, diary=str(diary))

    def interrupt(futures) -> Iterator:
        first, *_ = futures
        yield first  # the short cell
        wait_until(lambda: len(read_diary(diary)) > 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("lipteach.experiments.machine.grid.as_completed", interrupt)
    experiment = of(Settings("Adam", steps=3), long)
    assert tiny("--scheduler", address, "--seeds", "1", experiment=experiment) == 130
    assert "1 of 2 cells finished.\nThe same command goes on from" in capsys.readouterr().err
    taken = []

    def quiet() -> bool:
        taken.append(len(read_diary(diary)))
        time.sleep(0.1)
        return len(taken) > 1 and taken[-1] == taken[-2]

    wait_until(quiet, 10)


def test_a_cell_waits_for_its_predecessor(address: str, scratch: Path, here: dict) -> None:
    """One that Dask has given up, and that has not ended yet."""
    with join_cluster(address) as cluster:
        (job, *_) = list_jobs(TINY, "quick", 1, "cpu", here["runs"], cluster)
        with hold(next(scratch.iterdir()) / "lipteach" / name_task(job)):
            future = cluster.submit(run_cell, job)
            time.sleep(0.3)
            assert not future.done()
        assert future.result(60)["metrics"]["count"] == 45


def test_two_runs_that_ask_for_one_cell_train_it_once(
    address: str, tmp_path: Path, here: dict
) -> None:
    diary = tmp_path / "diary"
    experiment = of(Settings("Adam", steps=20, pause=0.01, diary=str(diary)))
    with join_cluster(address) as one, join_cluster(address) as other:
        (job,) = list_jobs(experiment, "quick", 1, "cpu", here["runs"], one)
        futures = [cluster.submit(run_cell, job) for cluster in (one, other)]
        first, second = (future.result(60) for future in futures)
    assert first == second
    assert len(read_diary(diary)) == 20 + 10, "the steps of both loops, once"


def test_a_worker_that_does_not_fit_is_refused(
    tiny, address: str, monkeypatch, capsys, here: dict
) -> None:
    makers = {**provenance.describe_makers(TINY.train), "torch": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "describe_makers", lambda _: makers)
        assert tiny("--scheduler", address) == 1
    assert re.sub(r"tcp://\S+", "X", capsys.readouterr().err) == (
        "The worker at X cannot be used: it has other code or versions (torch = "
        f"'{torch.__version__}'; here torch = '1.0'): give it the same, and start it again.\n"
    )
    assert tiny("--scheduler", address, "--device", "cuda:99") == 1
    assert "cannot be used: device must be auto, cpu or another" in capsys.readouterr().err
    only_here = sys.modules["only_here"] = ModuleType("only_here")
    exec("def train(settings, seed, run): ...", only_here.__dict__)
    assert tiny("--scheduler", address, experiment=replace(TINY, train=only_here.train)) == 1
    error = capsys.readouterr().err
    assert re.search(r"cannot run this lipteach \(.*No module named 'only_here'.*\)\.\n", error)
    assert error.count("\n") == 1
    assert not here["runs"].exists()


def test_a_worker_whose_code_was_changed_must_start_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(scheduler, "PACKAGE", tmp_path)
    worker, makers = SimpleNamespace(state=SimpleNamespace(nthreads=1)), {}
    monkeypatch.setattr(scheduler, "describe_makers", lambda _: makers)
    assert check_worker(TINY.train, makers, "cpu", worker) == "cpu"
    (tmp_path / "norms.py").touch()
    said = r"its norms\.py was changed after it had begun, or the clocks differ: start it again\."
    with pytest.raises(RunError, match=said):
        check_worker(TINY.train, makers, "cpu", worker)


def test_a_worker_trains_one_cell_at_a_time() -> None:
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=4))
    with pytest.raises(RunError, match=r"4 cells in one process.* --nworkers 4 --nthreads 1\."):
        check_worker(TINY.train, {}, "cpu", worker)


def start_here(threads: int, scratch: Path) -> Any:
    """A cluster of one worker in this process."""
    return distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=threads,
        processes=False,
        protocol="tcp",
        dashboard_address=":0",
        local_directory=scratch,
    )


def test_a_worker_that_comes_late_trains_one_cell_at_a_time(tmp_path: Path, here: dict) -> None:
    with start_here(2, tmp_path) as late, join_cluster(late.scheduler_address) as cluster:
        (job, *_) = list_jobs(TINY, "quick", 1, "cpu", here["runs"])
        with pytest.raises(RunError, match=r"The worker at \S+: it runs 2 cells in one process"):
            cluster.submit(run_cell, job).result(60)


def test_a_bad_cell_names_its_worker(address: str, here: dict) -> None:
    with join_cluster(address) as cluster:
        (job,) = list_jobs(of(Settings("Adam", steps=-1)), "quick", 1, "cpu", here["runs"])
        with pytest.raises(RunError) as refusal:
            cluster.submit(run_cell, job).result(60)
        workers = "|".join(map(re.escape, cluster._client.scheduler_info()["workers"]))
    assert re.match(rf"The worker at ({workers}): .*total", str(refusal.value))


def test_a_cell_ends_with_its_worker(tmp_path: Path, here: dict) -> None:
    diary = tmp_path / "diary"
    experiment = of(Settings("Adam", steps=500, pause=0.002, diary=str(diary)))
    with start_here(1, tmp_path) as closed, join_cluster(closed.scheduler_address) as cluster:
        (job,) = list_jobs(experiment, "quick", 1, "cpu", here["runs"])
        cluster.submit(run_cell, job)
        wait_until(lambda: len(read_diary(diary)) > 2)
        (worker,) = closed.workers.values()
        closed.scale(0)
        wait_until(lambda: worker.status.name == "closed", 10)
    assert len(read_diary(diary)) < 500, "Dask waits for it, but it does not go on to its end"


def test_dask_logs_again_when_a_cluster_is_left(address: str, monkeypatch) -> None:
    def levels() -> list[int]:
        return [logging.getLogger(name).level for name in ("distributed", "distributed.client")]

    before = levels()
    assert logging.CRITICAL not in before
    with join_cluster(address):
        assert levels() == [logging.CRITICAL] * 2
    assert levels() == before
    monkeypatch.setattr(scheduler, "WAIT", 0.3)
    with pytest.raises(RunError, match="No Dask scheduler"), join_cluster("tcp://127.0.0.1:1"):
        pass
    assert levels() == before


def test_workers_agree_on_a_device() -> None:
    answers = {"tcp://a:1": "cuda", "tcp://b:1": "cpu"}
    client = SimpleNamespace(run=lambda *_, **__: answers, run_on_scheduler=lambda *_: True)
    with pytest.raises(RunError, match="several devices: cpu, cuda; name one with --device"):
        Cluster(client, "tcp://a:2").find_device(TINY, "auto")
    del answers["tcp://b:1"]
    assert Cluster(client, "tcp://a:2").find_device(TINY, "auto") == "cuda"


def test_a_scheduler_without_lipteach_is_refused() -> None:
    def lacks(function, train) -> None:
        raise ImportError(f"No module named {train.__module__!r}")

    said = r"scheduler at tcp://a:2 cannot run this lipteach \(No module named '.*'\): start it "
    with pytest.raises(RunError, match=said):
        Cluster(SimpleNamespace(run_on_scheduler=lacks), "tcp://a:2").find_device(TINY, "auto")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, r"The scheduler at tcp://a:2 was lost: .* goes on from the cells that are finished"),
        (distributed.KilledWorker("task", None, 3), r"cell000_seed0: .* died \(4 did\), of too"),
        (KeyError("a bug"), "a bug"),
    ],
)
def test_what_no_worker_can_do_is_said(error, said: str, here: dict) -> None:
    there = SimpleNamespace(status="error" if error else "lost", exception=lambda: error)
    there.add_done_callback = lambda call: call(there)
    cluster = Cluster(SimpleNamespace(submit=lambda *_, **__: there), "tcp://a:2")
    (job, *_) = list_jobs(TINY, "quick", 1, "cpu", here["runs"])
    with pytest.raises(KeyError if isinstance(error, KeyError) else RunError, match=said):
        cluster.submit(run_cell, job).result()


@pytest.mark.parametrize("given", ["", "nonsense", "foo://a:1", "tcp://127.0.0.1", "a b:1"])
def test_an_address_is_one(given: str, tiny, capsys) -> None:
    assert tiny("--scheduler", given) == 1
    error = capsys.readouterr().err
    assert error == (f"--scheduler needs an address like tcp://10.0.0.1:8786; got {given!r}.\n")


def test_what_does_not_answer_is_one_line(tiny, capsys, monkeypatch, here: dict) -> None:
    monkeypatch.setattr(scheduler, "WAIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert tiny("--scheduler", f"tcp://127.0.0.1:{port}") == 1
    assert tiny("--scheduler", f"tcp://127.0.0.1:{port}") == 1  # nobody listens
    said = rf"(No Dask scheduler answers at tcp://127.0.0.1:{port}: start one .*\.\n){{2}}"
    assert re.fullmatch(said, capsys.readouterr().err)
    assert not here["runs"].exists()


def test_a_scheduler_without_workers_is_one_line(tiny, capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scheduler, "WAIT", 0.5)
    with start_cluster(0, tmp_path) as none:
        assert tiny("--scheduler", none.scheduler_address) == 1
        said = f"The scheduler at {none.scheduler_address} has no workers: start some with `dask "
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_without_dask_the_command_that_brings_it_is_named(tiny, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert tiny("--scheduler", "tcp://127.0.0.1:1") == 1
    error = capsys.readouterr().err
    assert 'needs Dask, here and on each machine: pip install -e ".[experiments,cluster]"' in error
    assert error.count("\n") == 1


def test_workers_are_here_or_elsewhere(tiny, capsys) -> None:
    with pytest.raises(SystemExit):
        tiny("--scheduler", "tcp://127.0.0.1:1", "--workers", "2")
    assert "not allowed with argument --scheduler" in capsys.readouterr().err


def test_dask_is_imported_only_on_use() -> None:
    imports = re.compile(r"^(import|from) (dask|distributed|psutil)\b", re.MULTILINE)
    for path in provenance.PACKAGE.rglob("*.py"):
        assert not imports.search(path.read_text(encoding="utf-8")), path
