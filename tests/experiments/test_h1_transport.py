"""H.1: the networks are 1-Lipschitz, and what is measured of them is a distance."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from experiments_support import Stop, StoppingRun
from support import generator
from torch import nn

from lipteach.experiments import CellRecord, Record, Run, RunError, experiment, load_record
from lipteach.experiments.h1_transport import (
    ACTIVATIONS,
    CONSTRAINTS,
    PAIRS,
    Settings,
    batch_distance,
    cells,
    compare,
    make_network,
    make_pair,
    measure,
    share_of_rate,
    train,
)
from lipteach.layers import export
from lipteach.training import absolute_value, three_cones

SMALL = Settings("absolute value", "MaxMin", "retraction", (16,), steps=12, batch=12)


def test_the_full_profile_is_the_papers() -> None:
    found = {(c.pair, c.n if c.pair == "cone" else 0, c.hidden, c.steps) for c in cells("full")}
    assert found == {
        ("absolute value", 0, (128,) * 3, 225 * 16),
        ("three cones", 0, (312,) * 3, 600 * 16),
        ("cone", 128, (256,) * 6, 150 * 128),
    }
    for cell in cells("full"):
        assert cell.batch == 32
        assert not cell.stratified
        assert cell.rate == (0.005 if cell.pair == "cone" else 0.01)


@pytest.mark.parametrize("profile", ["quick", "laptop", "full"])
def test_every_profile_has_every_activation_under_every_constraint(profile: str) -> None:
    grid = cells(profile)
    assert len(set(grid)) == len(grid)
    wanted = {(p, a, c) for p in PAIRS for a in ACTIVATIONS for c in CONSTRAINTS}
    assert {(s.pair, s.activation, s.constraint) for s in grid} == wanted


def test_the_rate_falls_to_0_or_by_tenths() -> None:
    assert [share_of_rate(replace(SMALL, steps=4), k) for k in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    milestones = replace(SMALL, slower=(2, 4))
    assert [round(share_of_rate(milestones, k), 9) for k in range(6)] == [
        1,
        1,
        0.9,
        0.9,
        0.81,
        0.81,
    ]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("pair", PAIRS)
def test_each_network_keeps_its_constraint_and_stays_below_1(pair: str, constraint: str) -> None:
    for activation in ACTIVATIONS:
        found = train(
            replace(SMALL, pair=pair, activation=activation, constraint=constraint), 0, Run()
        )
        assert found["norms"] == pytest.approx(1, abs=1e-3)
        assert found["estimate"] <= 1 + 1e-12
        assert found["batch_distance"] >= 1 - 1e-12


def test_spectral_bounds_the_largest_singular_value_and_bjorck_keeps_all() -> None:
    smallest = {}
    for constraint in CONSTRAINTS[:2]:
        network = make_network(replace(SMALL, constraint=constraint, hidden=(16, 16)), generator())
        with torch.no_grad():
            for parameter in network[2].parametrizations.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator(1))
        sigma = torch.linalg.svdvals(export(network)[2].weight)
        assert sigma[0].item() == pytest.approx(1, abs=1e-4)
        smallest[constraint] = sigma[-1].item()
    assert smallest["Björck"] == pytest.approx(1, abs=1e-4)
    assert smallest["spectral"] < 0.9


def test_maxmin_learns_the_distance_and_relu_does_not() -> None:
    long = replace(SMALL, hidden=(32, 32), steps=80)
    run = Run()
    maxmin, relu = (
        train(replace(long, activation=a), 0, run)["estimate"] for a in ("MaxMin", "ReLU")
    )
    assert maxmin > 0.97
    assert 0.4 < relu < 0.7
    assert len(run.curves["estimate"]) >= 30


def test_without_the_extra_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(
        RunError, match=r"AggMo.* not installed: pip install -e \"\.\[experiments\]\""
    ):
        train(SMALL, 0, Run())


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_broken_training_ends_as_an_unbroken_one(constraint: str, tmp_path: Path) -> None:
    settings = replace(SMALL, pair="three cones", constraint=constraint, stratified=True)
    unbroken = Run()
    wanted = train(settings, 0, unbroken)

    with pytest.raises(Stop):
        train(settings, 0, StoppingRun(tmp_path / "cell.pt", left=6))
    run = Run(path=tmp_path / "cell.pt", every=0)
    assert train(settings, 0, run) == wanted
    assert run.curves == unbroken.curves


def abs_network(slope: float) -> nn.Sequential:
    """−slope·|x| + 3, of norms 1 and slope."""
    made = nn.Sequential(nn.Linear(1, 2), ACTIVATIONS["MaxMin"](), nn.Linear(2, 1))
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor([[1.0], [-1.0]]) / 2**0.5)
        made[0].bias.zero_()
        made[2].weight.copy_(slope * torch.tensor([[-1.0, 1.0]]) / 2**0.5)
        made[2].bias.fill_(3)
    return made


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_what_is_measured_of_a_known_network(slope: float) -> None:
    """The estimate is of f over its norm; the error is of f itself, up to its constant."""
    found = measure(abs_network(slope), absolute_value())
    assert found["norms"] == pytest.approx(slope, abs=1e-6)
    assert found["estimate"] == pytest.approx(1, abs=1e-6)
    assert found["error"] == pytest.approx(abs(slope - 1) / 2, abs=1e-6)


def test_the_error_sees_each_centre_and_each_circle() -> None:
    class Off(nn.Module):
        def __init__(self, where: torch.Tensor) -> None:
            super().__init__()
            self.where = where

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (three_cones().dual(z) + 0.1 * (z - self.where).norm(dim=1).lt(0.02))[:, None]

    for where in (*three_cones().centres, torch.tensor([2.0, 1.0]).double()):
        found = measure(nn.Sequential(Off(where)), three_cones())
        assert found["error"] == pytest.approx(0.05)


def test_batches_of_cones_are_further_apart_than_the_distributions() -> None:
    assert batch_distance(absolute_value(), 30, 0) == pytest.approx(1, abs=1e-12)
    assert 1.03 < batch_distance(three_cones(), 30, 0) < 1.2
    assert make_pair(replace(SMALL, pair="cone", n=5)).centres.shape == (1, 5)


def test_compare_shows_every_cell() -> None:
    made = []
    for k, one in enumerate(cells("laptop")):
        own = {**vars(one), "hidden": list(one.hidden)}
        values = [k / 1000, k / 1000 + 0.002]
        made.append(CellRecord(own, {"estimate": values}, {}))
    text = compare(Record("h1_transport", "laptop", [0, 1], tuple(made), {}))
    for k in range(len(made)):
        assert f"{k / 1000 + 0.001:.3f} (0.002)" in text
    assert experiment("h1_transport").compare is compare
    assert "three cones, 128-128-128-128-128, 2000 steps" in text


def test_the_laptop_record_finds_97_percent_of_the_three_cones_at_the_paper_s_size() -> None:
    """Each seed does, with the authors' 9,600 steps; and each record is a lower bound."""
    record = load_record("h1_transport", "laptop")
    wide = record.cell(pair="three cones", hidden=[312, 312, 312])
    assert (wide.settings["activation"], wide.settings["constraint"]) == ("MaxMin", "Björck")
    assert wide.settings["steps"] == 9600
    assert min(wide.metrics["estimate"]) >= 0.97
    assert max(wide.metrics["estimate"]) < 0.98
    assert all(max(cell.metrics["estimate"]) <= 1 for cell in record.cells)
