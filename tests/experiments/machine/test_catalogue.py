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
from lipteach.experiments import NAMES, PROFILES, Experiment, Run, experiment, table6_cifar
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
    """What is measured is few, and a generator's judge learns little: their own tests have more."""
    monkeypatch.setattr(adversarial, "SAMPLES", 60)
    monkeypatch.setattr(adversarial, "MEASURED", 20)
    monkeypatch.setattr(table6_cifar, "SAMPLES", 2)
    judge = sample_table.train_judge
    monkeypatch.setattr(sample_table, "train_judge", lambda x, y, g, _: judge(x, y, g, 1))


def first_cell(name: str):
    """The first quick cell; of what would take a minute, narrower or fewer steps."""
    settings = experiment(name).grid("quick")[0]
    if isinstance(settings, adversarial.Match):
        shorter = {"looks": 5} if hasattr(settings, "looks") else {}
        return dataclasses.replace(settings, steps=5, width=2, **shorter)
    if name == "table6_cifar":
        return dataclasses.replace(settings, epochs=1, slower=())
    return settings


@pytest.mark.parametrize("name", NAMES)
def test_a_training_repeats_itself_and_leaves_the_global_generator_alone(name: str) -> None:
    one = experiment(name)
    settings = first_cell(name)
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
    settings = first_cell(name)
    with pytest.raises(Stop):
        one.train(settings, 1, StoppingRun(path, left=4))
    unbroken, resumed = Run(), Run(path=path)
    assert one.train(settings, 1, resumed) == one.train(settings, 1, unbroken)
    assert resumed.curves == unbroken.curves
