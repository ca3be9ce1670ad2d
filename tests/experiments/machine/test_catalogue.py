"""Every experiment keeps the machine's contract."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from experiments_support import Stop, StoppingRun

import lipteach.experiments
from lipteach.appendix import rows
from lipteach.experiments import NAMES, PROFILES, Experiment, Run, experiment
from lipteach.experiments.machine import adversarial, sample_table
from lipteach.experiments.machine.cell import settings_dict
from lipteach.training import classification, critics


def test_the_list_names_every_file_with_an_experiment() -> None:
    folder = Path(lipteach.experiments.__file__).parent
    made = {p.stem for p in folder.glob("*.py") if "\nEXPERIMENT = " in p.read_text("utf-8")}
    assert list(NAMES) == sorted(NAMES), "NAMES is in alphabetical order"
    assert set(NAMES) == made


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_a_grid_of_frozen_settings(name: str) -> None:
    one = experiment(name)
    assert isinstance(one, Experiment)
    assert one.name == name
    assert one.item in {row.item for row in rows()}, "item is a row of lipteach/appendix.toml"
    assert pickle.loads(pickle.dumps(one)) == one  # it can be sent to a process
    for profile in PROFILES:
        grid = one.grid(profile)
        assert len(set(grid)) == len(grid) > 0
        for settings in grid:
            kind = type(settings)
            restored = kind(**{k: as_tuple(v) for k, v in settings_dict(settings).items()})
            assert restored == settings  # JSON keeps it
            assert not {"experiment", "seed", "device"} & set(settings_dict(settings))
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(settings, dataclasses.fields(settings)[0].name, None)


def as_tuple(value):
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def largest_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lipschitz bounds take longer than a quick training: the largest output stands for them."""

    def measure(network, x, _p):
        largest = float(network(x).detach().abs().max())
        return largest, largest

    monkeypatch.setattr(classification, "lipschitz_bounds", measure)
    monkeypatch.setattr(critics, "lipschitz_bounds", lambda network, x: measure(network, x, 2))


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator's samples are few, and its judge learns little: their own tests have more."""
    monkeypatch.setattr(adversarial, "SAMPLES", 60)
    monkeypatch.setattr(adversarial, "MEASURED", 20)
    judge = sample_table.train_judge
    monkeypatch.setattr(sample_table, "train_judge", lambda x, y, g, _: judge(x, y, g, 1))


def first_cell(one: Experiment):
    """The first quick cell; of a generator, which would take a minute, narrow and a few steps."""
    settings = one.grid("quick")[0]
    if isinstance(settings, adversarial.Match):
        shorter = {"looks": 5} if hasattr(settings, "looks") else {}
        return dataclasses.replace(settings, steps=5, width=2, **shorter)
    return settings


@pytest.mark.parametrize("name", NAMES)
def test_a_training_repeats_itself_and_leaves_the_global_generator_alone(name: str) -> None:
    one = experiment(name)
    settings = first_cell(one)
    before = torch.get_rng_state()
    first, second = Run(), Run()
    metrics = one.train(settings, 1, first)
    assert metrics == one.train(settings, 1, second)
    assert first.curves == second.curves
    assert torch.equal(torch.get_rng_state(), before)
    assert json.loads(json.dumps(metrics)) == metrics
    other = Run()
    assert one.train(settings, 2, other) != metrics


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_was_stopped_ends_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    """Whatever changes from step to step is given to ``run.steps``."""
    one, path = experiment(name), tmp_path / "cell.pt"
    settings = first_cell(one)
    with pytest.raises(Stop):
        one.train(settings, 1, StoppingRun(path, left=4))
    unbroken, resumed = Run(), Run(path=path)
    assert one.train(settings, 1, resumed) == one.train(settings, 1, unbroken)
    assert resumed.curves == unbroken.curves
