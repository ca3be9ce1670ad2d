"""Steps, curves and checkpoints."""

import errno
import os
from pathlib import Path

import pytest
import torch
from experiments_support import Stop, StoppingRun
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_experiment import Settings, train

from lipteach.experiments import Run, RunError
from lipteach.experiments.machine.files import load_json, load_state, save_json, save_state

SHORT = [Settings("Adam", steps=8), Settings("AggMo", steps=8)]


@pytest.fixture(scope="module")
def unbroken() -> list[tuple[dict, dict]]:
    found = []
    for one in SHORT:
        run = Run()
        found.append((train(one, 3, run), run.curves))
    return found


@settings(max_examples=15, deadline=None)
@given(stops=st.lists(st.integers(0, 12), max_size=4), which=st.integers(0, 1))
def test_a_training_that_is_stopped_goes_on_to_the_same_numbers(
    stops: list[int], which: int, unbroken, tmp_path_factory
) -> None:
    path = tmp_path_factory.mktemp("stopped") / "cell.pt"
    for left in stops:
        try:
            train(SHORT[which], 3, StoppingRun(path, left))
        except Stop:
            continue
    run = Run(path=path, every=0.0)
    metrics = train(SHORT[which], 3, run)
    assert (metrics, run.curves) == unbroken[which]


def test_steps_are_counted_from_1_and_curves_carry_them() -> None:
    run = Run()
    run.log("x", 5)
    for step in run.steps(3):
        run.log("x", step / 2)
    assert run.curves == {"x": [(0, 5.0), (1, 0.5), (2, 1.0), (3, 1.5)]}
    assert list(run.steps(0)) == []


def test_a_training_without_a_path_leaves_no_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(SHORT[0], 0, Run())
    assert not list(tmp_path.iterdir())


def test_it_saves_between_steps_when_it_is_time_and_after_the_last(tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    for _ in Run(path=path, every=1e9).steps(3):
        assert not path.exists()
    assert load_state(path)["loops"][0]["step"] == 3
    for step in Run(path=tmp_path / "other.pt", every=0.0).steps(3):
        if step > 1:
            assert load_state(tmp_path / "other.pt")["loops"][0]["step"] == step - 1


def test_seconds_count_all_starts_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    run = Run(path=path)
    run._began -= 100
    list(run.steps(1))
    assert 100 <= Run(path=path).seconds < 130


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(damage, tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    list(Run(path=path).steps(1, numbers={"x": torch.ones(1000)}))
    path.write_bytes(path.read_bytes()[:500] if damage is None else damage)
    with pytest.raises(RunError, match=r"cell.pt is damaged and cannot be read: delete it, and"):
        Run(path=path)


def test_a_damaged_result_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cell.json").write_text('{"metr')
    with pytest.raises(RunError, match=r"cell.json is damaged and cannot be read"):
        load_json(tmp_path / "cell.json")


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    torch.save({"identity": {}, "loops": [Path("x")]}, path)  # an object of a class
    with pytest.raises(RunError, match="is damaged"):
        Run(path=path)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    list(Run(path=path, identity={"n": 2, "seed": 0}).steps(1))
    Run(path=path, identity={"n": 2, "seed": 0})
    with pytest.raises(RunError) as found:
        Run(path=path, identity={"n": 3, "seed": 0})
    assert "saved with other settings (n = 2; now n = 3): delete it" in str(found.value)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(
    call: str, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "cell.pt"
    numbers = {"x": torch.zeros(3)}

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def five_steps() -> None:
        for step in Run(path=path, every=0.0).steps(5, numbers=numbers):
            numbers["x"] = torch.full((3,), float(step))
            if step == 3:
                monkeypatch.setattr(os, call, full)

    with pytest.raises(RunError, match=r"cell.pt cannot be written \(No space left on device\)"):
        five_steps()
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["cell.pt"]
    assert list(Run(path=path).steps(5, numbers=numbers)) == [3, 4, 5]
    assert numbers["x"].tolist() == [2, 2, 2]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot be written"):
        save_json(tmp_path / "runs" / "tiny" / "cell.json", {})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = {"x": torch.rand(3, dtype=torch.float64), "k": [1, (2, "three")], "none": None}
    save_state(tmp_path / "s.pt", state)
    found = load_state(tmp_path / "s.pt")
    assert torch.equal(found.pop("x"), state.pop("x"))
    assert found == state
    save_json(tmp_path / "s.json", {"a": [1.5, None]})
    assert load_json(tmp_path / "s.json") == {"a": [1.5, None]}
    assert torch.load(tmp_path / "s.pt", weights_only=True)["k"] == state["k"]  # PyTorch's own
    assert load_state(tmp_path / "no.pt") is load_json(tmp_path / "no.json") is None


def test_a_checkpoint_of_another_training_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    path, layer = tmp_path / "cell.pt", torch.nn.Linear(1, 1)
    with pytest.raises(Stop):
        for _ in StoppingRun(path, left=2).steps(5, network=layer):
            pass
    with pytest.raises(RunError, match=r"it holds network, and extra, network is needed; delete"):
        next(iter(Run(path=path).steps(5, network=layer, extra=layer)))
