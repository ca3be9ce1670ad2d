"""H.2: no critic finds more than there is, on the samples that it saw and on others."""

import json
from dataclasses import replace
from itertools import product

import pytest
import torch
from experiments_support import Stop, StoppingRun
from support import generator, normal
from torch import nn

import lipteach as lt
from lipteach.experiments import CellRecord, Record, Run, fig17_wgan, h2_distance
from lipteach.experiments.h2_distance import (
    ACTIVATIONS,
    SPACES,
    Settings,
    cells,
    compare,
    look,
    projection,
    train,
    value_of,
)
from lipteach.experiments.machine import adversarial
from lipteach.experiments.machine.adversarial import Trained
from lipteach.training import cone, make_generator

TINY = replace(cells("quick")[0], width=2, samples=60, hidden=8, looks=12, rows=40)


def test_the_full_profile_is_the_authors_and_every_profile_has_few_cells() -> None:
    as_there = {match.data: match.steps for match in fig17_wgan.cells("full")}
    for cell in cells("full"):
        assert cell.steps == as_there[cell.data]
        assert (cell.hidden, cell.looks, cell.look_rate) == (720, 512 * 32, 0.001)
        assert (cell.samples, cell.width, cell.critic_rate) == (2000, 64, 2e-3)
    for profile in ("quick", "laptop", "full"):
        grid = cells(profile)
        as_there = {match.data: match for match in fig17_wgan.cells(profile)[::3]}
        for cell in grid:
            names = ("critic", "side", "width", "rate", "critic_rate", "betas", "critic_steps")
            assert all(getattr(cell, n) == getattr(as_there[cell.data], n) for n in names)
        assert len(set(grid)) == len(grid) <= 2
        assert {cell.critic for cell in grid} == {"Lipschitz, MaxMin"}


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the generator be as it was drawn."""

    def drawn(settings: Settings, seed: int, _run: Run) -> Trained:
        maker = make_generator(1, settings.side, settings.width, generator(seed)).eval()
        return Trained(maker, [adversarial.take_samples(maker, 12, 0)], {})

    monkeypatch.setattr(h2_distance, "train_match", drawn)


@pytest.mark.usefixtures("untrained")
def test_no_critic_finds_more_than_exact_transport_on_the_same_samples() -> None:
    run = Run()
    found = train(TINY, 0, run)
    for space, activation in product(SPACES, ACTIVATIONS):
        exact = found[f"{space}_exact"]
        assert 0 < found[f"{space}_{activation}"] <= exact * (1 + 1e-9)
        assert found[f"{space}_{activation}_held"] <= found[f"{space}_exact_held"] * (1 + 1e-9)
        curve = [value for _, value in run.curves[f"{space}_{activation}"]]
        assert curve[-1] == pytest.approx(found[f"{space}_{activation}"])
        assert max(curve) <= exact * (1 + 1e-9)
    for name in ("exact", "real"):  # a projection makes no distance larger
        assert found[f"components_{name}"] <= found[f"pixels_{name}"]
    assert found["pixels_real"] < found["pixels_exact"], "an untrained generator is far away"
    assert run.picture is not None


@pytest.mark.usefixtures("untrained")
def test_a_broken_look_ends_as_an_unbroken_one(tmp_path) -> None:
    """In the second of its four loops."""
    own = replace(TINY, looks=5)
    whole = train(own, 0, Run())
    with pytest.raises(Stop):
        train(own, 0, StoppingRun(tmp_path / "cell.pt", left=8))
    assert train(own, 0, Run(path=tmp_path / "cell.pt", every=0)) == whole
    assert train(own, 1, Run()) != whole


def test_a_fresh_critic_finds_a_distance_that_is_known() -> None:
    """The origin and the sphere have distance 1; MaxMin finds more of it than ReLU does."""
    x, y = (side.float() for side in cone(3).sample(100, generator()))
    own = replace(TINY, hidden=32, looks=60, rows=100, look_rate=0.02)
    values = {a: value_of(look(own, a, 0, Run(), x, y, a), x, y) for a in ACTIVATIONS}
    assert 0.3 < values["ReLU"] < values["MaxMin"] <= 1 + 1e-9
    assert values["MaxMin"] > 0.8


def test_what_is_found_is_divided_by_the_norms() -> None:
    x, y = torch.zeros(4, 2), torch.ones(4, 2)
    steep = nn.Sequential(nn.Linear(2, 1))
    nn.init.constant_(steep[0].weight, -3.0)
    assert value_of(steep, x, y) == pytest.approx(2**0.5)


def test_the_projection_is_that_of_the_singular_vectors() -> None:
    x = normal(50, 9) * torch.arange(1, 10)
    centred = x - x.mean(dim=0)
    axes = torch.linalg.svd(centred).Vh[:4]
    assert torch.allclose(projection(x)(x).abs(), (centred @ axes.T).abs())
    z = normal(6, 9, seed=1)
    near = float(lt.exact_wasserstein(projection(x)(x[:6]), projection(x)(z)))
    assert near <= float(lt.exact_wasserstein(x[:6], z))


def test_the_text_shows_what_was_found_beside_exact_transport() -> None:
    made = []
    for k, one in enumerate(cells("laptop")):
        values = {}
        for space in SPACES:
            exact = 2.0 + k if space == "pixels" else 0.5
            values |= {f"{space}_exact": [exact] * 2, f"{space}_real": [exact / 4] * 2}
            for activation, share in zip(ACTIVATIONS, (0.25, 0.5), strict=True):
                values[f"{space}_{activation}"] = [exact * share] * 2
                values[f"{space}_{activation}_held"] = [exact * share / 2] * 2
        made.append(CellRecord(json.loads(json.dumps(vars(one))), values, {}))
    text = compare(Record("h2_distance", "laptop", [0, 1], tuple(made), {}))
    assert "fashion, 2000 samples a side, pixels\n  exact, data to generator    3.000" in text
    assert "exact, data to data         0.750 (0.000)" in text
    assert "found by MaxMin             1.500 (0.000),  50% of the exact one; on unseen" in text
    assert "unseen samples 0.750" in text
    assert text.count("found by ReLU") == 4
