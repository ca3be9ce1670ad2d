"""Fig. 14: what is trained, and what is measured of it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lipteach.experiments import CellRecord, Record, Run, experiment
from lipteach.experiments.fig14_spectral import (
    Settings,
    cells,
    constrain,
    measure,
    steps_to,
    train,
)
from lipteach.primitives import MaxMin
from lipteach.primitives.composition import linear_layers
from lipteach.training import cone, orthonormal_network

SMALL = Settings(16, "orthonormal", width=32, batch=64, steps=60)


def network(method: str, seed: int = 0, sizes=(6, 16, 16, 16, 1)) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    made = orthonormal_network(sizes, MaxMin, generator, torch.float32)
    with torch.no_grad():
        for layer in linear_layers(made):
            layer.weight += torch.randn(layer.weight.shape, generator=generator)
    for layer in linear_layers(made):
        constrain(layer, method, generator)
    return made


def test_the_full_profile_is_the_papers_network() -> None:
    grid = cells("full")
    assert {(c.n, c.method) for c in grid} == {
        (n, method) for n in (2, 16, 128, 512) for method in ("orthonormal", "spectral")
    }
    assert {c.width for c in (*grid, *cells("laptop"))} == {512}


def test_spectral_normalization_is_pytorchs_with_vectors_of_our_own() -> None:
    made = network("spectral").eval()
    for layer, twin in zip(made[::2], network("spectral").eval()[::2], strict=True):
        reference = parametrizations.spectral_norm(nn.Linear(layer.in_features, 1))
        assert type(layer.parametrizations.weight[0]) is type(reference.parametrizations.weight[0])
        assert torch.equal(layer.weight, twin.weight)  # of the seed, not of PyTorch's generator
        assert torch.linalg.matrix_norm(layer.weight, 2) < 1.1


def test_the_estimate_is_that_of_a_1_lipschitz_network() -> None:
    for method in ("orthonormal", "spectral"):
        made = network(method)
        x, y = (side.float() for side in cone(6).sample(50, torch.Generator().manual_seed(1)))
        found = measure(made, x, y)
        assert made.training
        made.eval()
        sigma = [torch.linalg.svdvals(layer.weight.detach().double()) for layer in made[::2]]
        norms = math.prod(float(s[0]) for s in sigma)
        assert math.isclose(found["norms"], norms, rel_tol=1e-6)
        value = float(made(torch.zeros(1, 6)).detach() - made(y).detach().mean())
        assert math.isclose(found["raw"], value, abs_tol=1e-6)
        assert math.isclose(found["estimate"], value / norms, abs_tol=1e-6)
        assert abs(norms - 1) < 1e-4 if method == "orthonormal" else norms > 1.0001


def test_measuring_changes_nothing() -> None:
    made = network("spectral")
    kept = {name: value.clone() for name, value in made.state_dict().items()}
    measure(made, torch.zeros(1, 6), torch.ones(4, 6))
    assert all(torch.equal(value, kept[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_orthonormal_network_is_ahead_and_neither_exceeds_the_distance(seed: int) -> None:
    runs = {method: Run() for method in ("orthonormal", "spectral")}
    found = {
        method: train(replace(SMALL, method=method), seed, run) for method, run in runs.items()
    }
    assert found["orthonormal"]["estimate"] > found["spectral"]["estimate"] + 0.2
    for run in runs.values():
        steps, values = zip(*run.curves["estimate"], strict=True)
        assert steps == tuple(range(2, 61, 2))
        assert max(values) <= 1 + 1e-6


def test_steps_to_asks_every_seed() -> None:
    curves = {"estimate": [([10, 20, 30], [0.1, 0.5, 0.4]), ([10, 20, 30], [0.0, 0.2, 0.5])]}
    cell = CellRecord({}, {}, curves)
    assert [steps_to(cell, value) for value in (0.0, 0.1, 0.5, 0.6)] == [10, 20, 30, 0]


def test_compare_shows_both_methods_in_every_dimension() -> None:
    made = []
    for one in cells("quick"):
        value = 0.5 if one.method == "spectral" else 0.75
        metrics = {name: [value, value + 0.1] for name in ("estimate", "raw", "norms")}
        curves = {"estimate": [([30, 60], [0.4, 0.8])] * 2}
        made.append(CellRecord({"n": one.n, "method": one.method, "steps": 60}, metrics, curves))
    text = experiment("fig14_spectral").compare(
        Record("fig14_spectral", "quick", [0, 1], tuple(made), {})
    )
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["2"], ["512"])]
    assert len(rows) == 2
    assert rows[0][1:5] == ["0.800", "(0.100)", "0.550", "(0.100)"]
    assert rows[0][-4:] == ["60", "of", "60", "steps"]
