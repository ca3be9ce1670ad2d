"""Kept files: whatever happens to one is noticed, and said with its name."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from experiments_support import Stop, StoppingRun

from lipteach.experiments import Run, RunError
from lipteach.experiments.machine.cell import RESULT
from lipteach.experiments.machine.checkpoints import CHECKPOINT
from lipteach.experiments.machine.files import (
    check_writable,
    load_json,
    load_state,
    misfit,
    save_json,
    save_state,
)

CELL = {
    "identity": {"seed": 0, "made by": {"torch": "2"}},
    "metrics": {"loss": 0.125, "middle": [1.5, -2e-7]},
    "curves": {"loss": [[1, 2], [0.5, 0.25]]},
    "device": {"cpu": "AMD", "gpu": None},
    "commit": "abc",
    "seconds": 1.5,
}
LOOP = {"step": 2, "total": 5, "state": {"x": torch.ones(4)}, "curves": {"loss": [(1, 0.5)]}}
STATE = {"identity": {"seed": 0}, "loops": [LOOP], "seconds": 1.5}


def flips(data: bytes):
    """The same with one bit flipped, in every byte in turn."""
    for k in range(len(data)):
        yield data[:k] + bytes([data[k] ^ (1 << k % 8)]) + data[k + 1 :]


def other_lengths(data: bytes):
    """A file that lost its end or its beginning, or got more of either."""
    yield from (data[:k] for k in range(0, len(data), 7))
    yield from (data[k:] for k in range(1, 40))
    yield from (data + more for more in (b"\0", b"x", data))
    yield b"\0" * len(data)


@pytest.mark.parametrize("damage", [flips, other_lengths])
def test_a_damaged_checkpoint_is_always_noticed(damage: Callable, tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    save_state(path, STATE)
    data = path.read_bytes()
    for other in damage(data):
        path.write_bytes(other)
        with pytest.raises(RunError, match=r"cell.pt is damaged and cannot be read: delete it"):
            load_state(path, CHECKPOINT)
    path.write_bytes(data)
    assert load_state(path, CHECKPOINT)["loops"][0]["state"]["x"].tolist() == [1.0] * 4


@pytest.mark.parametrize("damage", [flips, other_lengths])
def test_a_damaged_cell_is_noticed_or_harmless(damage: Callable, tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    save_json(path, CELL)
    data, noticed = path.read_bytes(), 0
    for other in damage(data):
        path.write_bytes(other)
        try:
            assert load_json(path, RESULT) == CELL  # a blank that became another, or was lost
        except RunError as error:
            assert str(error).startswith(f"{path} is damaged and cannot be read: delete it")  # noqa: PT017
            noticed += 1
    assert noticed > 0.8 * len(list(damage(data)))


WRONG_CELLS = {
    "it lacks 'identity'": {},
    "it lacks 'metrics'": {"identity": {}},
    "it['metrics'] is list, not dict": {**CELL, "metrics": [1.0]},
    "it['seconds'] is str, not float": {**CELL, "seconds": "1"},
    "it['curves']['loss'][1][0] is str, not int | float": {
        **CELL,
        "curves": {"loss": [[1], ["a"]]},
    },
    "it['curves']['loss'] is NoneType, not ": {**CELL, "curves": {"loss": None}},
}
WRONG_STATES = {
    "it is list, not dict": [],
    "it is NoneType, not dict": None,
    "it lacks 'identity'": {},
    "it['loops'] is dict, not ": {**STATE, "loops": {}},
    "it['loops'][0] lacks 'step'": {**STATE, "loops": [{}]},
    "it['loops'][0]['state'] is int, not dict": {**STATE, "loops": [{**LOOP, "state": 1}]},
}


@pytest.mark.parametrize("said", WRONG_CELLS)
def test_a_cell_of_another_structure_is_refused(said: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    save_json(path, WRONG_CELLS[said])
    with pytest.raises(RunError, match=r"cell.json is damaged") as found:
        load_json(path, RESULT)
    assert said in str(found.value)


@pytest.mark.parametrize("said", WRONG_STATES)
def test_a_checkpoint_of_another_structure_is_refused(said: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    save_state(path, WRONG_STATES[said])
    with pytest.raises(RunError, match=r"cell.pt is damaged") as found:
        Run(path=path)
    assert said in str(found.value)


def test_what_fits_a_structure() -> None:
    assert not misfit({"a": 1, "more": None}, {"a": int})
    assert not misfit([(1, 2.5), [3]], [[int | float]])
    assert not misfit({"x": {"n": 1}, "y": {"n": 2}}, {str: {"n": int}})
    assert misfit({"x": {"n": 1}, "y": {}}, {str: {"n": int}}) == "it['y'] lacks 'n'"
    assert misfit([[1], [2, "3"]], [[int]]) == "it[1][1] is str, not int"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1e999"])
def test_a_number_that_is_none_is_named_with_its_file(value: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    save_json(path, CELL)
    path.write_text(path.read_text().replace("0.125", value))
    with pytest.raises(RunError, match=r"cell.json is damaged .*it holds NaN or infinity"):
        load_json(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_json(path, {"loss": math.nan})


def test_an_edited_cell_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    save_json(path, CELL)
    found = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(found.items())), indent=4))
    assert load_json(path, RESULT) == CELL  # another layout is the same
    found["metrics"]["loss"] = 0.12
    path.write_text(json.dumps(found))
    with pytest.raises(RunError, match="its sha256 is of other contents"):
        load_json(path)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    for ending, load in ((".json", load_json), (".pt", load_state)):
        path = (tmp_path / "cell").with_suffix(ending)
        path.mkdir()
        with pytest.raises(RunError, match=rf"cell{ending} cannot be read \("):
            load(path)


def saved(path: Path, **state) -> None:
    with pytest.raises(Stop):
        for _ in StoppingRun(path, left=2).steps(5, **state):
            pass


def adam(layer: torch.nn.Module, groups: int = 1) -> torch.optim.Adam:
    return torch.optim.Adam([{"params": [p]} for p in list(layer.parameters())[:groups]])


def other_states() -> dict[str, tuple]:
    """What was saved, what it is loaded into."""
    linear, generator = torch.nn.Linear, torch.Generator()
    return {
        "a network of other sizes": (linear(1, 1), linear(2, 1)),
        "a network of other names": (linear(1, 1), torch.nn.Sequential(linear(1, 1))),
        "an optimizer of other groups": (adam(linear(1, 1)), adam(linear(1, 1), groups=2)),
        "a number for a tensor": ({"mean": 1.0}, {"mean": torch.zeros(2)}),
        "a network for a generator": (linear(1, 1), generator),
        "a generator for a network": (generator, linear(1, 1)),
        "a generator for a dict": (generator, {"mean": 1.0}),
    }


@pytest.mark.parametrize("case", other_states())
def test_a_state_that_does_not_fit_is_one_sentence(case: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    before, now = other_states()[case]
    saved(path, part=before)
    with pytest.raises(
        RunError, match=r"cell.pt was saved by another training: its part does not"
    ) as f:
        next(Run(path=path).steps(5, part=now))
    assert "\n" not in str(f.value)
    assert str(f.value).endswith("; delete it to begin anew.")


def test_a_loop_of_another_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.pt"
    saved(path)
    with pytest.raises(RunError, match="by another training: of 5 steps, and 6 are needed; delete"):
        next(Run(path=path).steps(6))


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "yet", "--results")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    names = ["file", "file/below"]
    if os.name != "nt":  # where a link needs a right
        (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
        names.append("nowhere")
    for name in names:
        with pytest.raises(RunError, match=rf"{name} cannot be written \(.*choose another folder"):
            check_writable(tmp_path / name, "--results")


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match=r"cannot be written \(Permission denied\)"):
        check_writable(tmp_path / "results", "--results")
