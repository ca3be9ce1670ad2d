"""Figs. 15 and 17: the grids, a tiny run with its scores and picture, and the text of a record."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lipteach.experiments import (
    CellRecord,
    Record,
    experiment,
    fig15_wgan_gp,
    fig17_wgan,
    load_record,
    run_experiment,
)
from lipteach.experiments.machine import adversarial, sample_table
from lipteach.experiments.machine.adversarial import MOMENTS
from lipteach.training import train_judge

BOTH = (fig15_wgan_gp, fig17_wgan)


def test_the_full_profiles_are_the_authors() -> None:
    for match in fig17_wgan.cells("full"):
        assert (match.width, match.batch, match.critic_steps) == (64, 64, 5)
        assert (match.rate, match.betas, match.falling) == (2e-4, (0.5, 0.999), False)
        assert match.critic_rate == (2e-4 if match.critic == "clipped" else 2e-3)
        images = {"mnist": 60_000, "cifar": 50_000}[match.data]
        assert match.steps * 5 == pytest.approx(50 * images / 64, rel=0.01), "passes of the critic"
    for match in fig15_wgan_gp.cells("full"):
        assert (match.data, match.side, match.deep) == ("faces", 64, True)
        seen = match.steps * match.critic_steps * match.batch
        assert seen == pytest.approx(50 * 0.9 * 202_599, rel=0.01)
    faces = {match.critic for match in fig15_wgan_gp.cells("full")}
    assert faces == {"penalty, LeakyReLU", "penalty, MaxMin"}


@pytest.mark.parametrize("module", BOTH)
def test_few_cells_that_differ_in_critic_and_images(module) -> None:
    for profile in ("quick", "laptop", "full"):
        grid = module.cells(profile)
        assert len(set(grid)) == len(grid) <= 12
        assert {match.critic for match in grid} == set(module.CRITICS_SHOWN)
    assert {match.data for match in module.cells("quick")} == {"sample"}
    assert {match.data for match in module.cells("laptop")} == {"mnist", "fashion"}


@pytest.mark.parametrize("module", BOTH)
def test_maxmin_takes_the_settings_of_the_other_activation(module) -> None:
    for profile in ("quick", "laptop", "full"):
        grid = [m for m in module.cells(profile) if m.critic != "clipped"]
        assert len({replace(match, critic="", data="") for match in grid}) == (
            2 if module is fig17_wgan and profile == "full" else 1  # MNIST's and CIFAR's size
        )


def test_a_tiny_run_is_recorded_with_scores_and_a_picture(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(adversarial, "SAMPLES", 40)
    monkeypatch.setattr(adversarial, "MEASURED", 20)
    monkeypatch.setattr(
        sample_table, "train_judge", lambda x, y, g, _: train_judge(x[::4], y[::4], g, 1)
    )
    known = {"claimed": 1.0, "exact": 2.0, "lower": 0.5, "upper": 1.0}
    monkeypatch.setattr(adversarial, "measure_critic", lambda *_: known)
    tiny = replace(fig17_wgan.cells("quick")[0], steps=8, width=2)
    one = replace(experiment("fig17_wgan"), cells=lambda _: (tiny,))
    run_experiment(one, seeds=1, runs=tmp_path / "runs", results=tmp_path)
    record = load_record("fig17_wgan", "quick", tmp_path)
    (cell,) = record.cells
    for name in (*sample_table.SCORES, "claimed", "exact", "lower", "upper"):
        assert len(cell.mean(name)) == len(MOMENTS)
    assert cell.mean("frechet_real") < min(cell.mean("frechet"))
    assert 1 < cell.mean("score_real") <= 10
    assert record.picture is not None
    assert record.picture.startswith(b"\x89PNG")
    assert "sample, Lipschitz, MaxMin" in one.compare(record)
    assert len(json.dumps(cell.metrics)) < 4000


def test_pictures_without_labels_have_no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = adversarial.Trained(None, [], {"claimed": [1.0]})
    monkeypatch.setattr(sample_table, "train_match", lambda *_: trained)
    monkeypatch.setattr(sample_table, "lay_out", lambda *_: None)
    labels = fig15_wgan_gp.cells("quick")[0]
    monkeypatch.setattr(
        sample_table,
        "load_images",
        lambda *_: (sample_table.torch.zeros(2), sample_table.torch.zeros(2).long()),
    )
    assert sample_table.train_and_score(labels, 0, adversarial.Run()) == {"claimed": [1.0]}


def test_the_text_shows_every_number_of_every_cell() -> None:
    made = []
    for k, match in enumerate(fig15_wgan_gp.cells("laptop")):
        lists = {"claimed": 6.5 + k, "exact": 6.25, "lower": 2.0, "upper": 40.0}
        lists |= {name: 10 * k + j for j, name in enumerate(sample_table.SCORES)}
        values = {name: [[0, v / 2, 0, 0, v], [0, v / 2, 0, 0, v]] for name, v in lists.items()}
        values |= {f"{name}_real": [0.25, 0.25] for name in sample_table.SCORES}
        own = json.loads(json.dumps(vars(match)))
        made.append(CellRecord(own, values, {}))
    text = fig15_wgan_gp.EXPERIMENT.compare(
        Record("fig15_wgan_gp", "laptop", [0, 1], tuple(made), {})
    )
    for k, cell in enumerate(made):
        name = sample_table.name_text(cell)
        first, *scores = (line for line in text.splitlines() if line.startswith(f"{name}  "))
        numbers = f"{6.5 + k:.2f} (0.00) 6.25 (0.00) 2 to 40 {(6.5 + k) / 2:.2f}"
        assert first.removeprefix(name).split() == numbers.split()
        for j, line in enumerate(scores):
            last = 10 * k + j
            wanted = f"0.00 {last / 2:.2f} {last:.2f} (0.00) 0.25"
            assert line.removeprefix(name).split() == wanted.split()
        assert len(scores) == 4
