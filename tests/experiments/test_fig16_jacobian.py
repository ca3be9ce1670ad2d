"""Fig. 16: the training keeps its weights orthonormal, and the numbers are those of the network."""

import math
from dataclasses import replace

import pytest
import torch
from experiments_support import Stop, StoppingRun
from torch import nn
from torch.func import jacrev, vmap

from lipteach.experiments import Record, Run, fig16_jacobian, load_record
from lipteach.experiments.fig16_jacobian import BINS, L, Settings
from lipteach.experiments.machine.records import CellRecord
from lipteach.training import orthonormal_network

TALL = Settings("ReLU", side=14, width=256, steps=8, batch=32, images=20)
SQUARE = replace(TALL, activation="MaxMin", width=196)


@pytest.fixture(scope="module")
def trained() -> dict[str, tuple[dict, Run]]:
    found = {}
    for name, settings in (("tall", TALL), ("square", SQUARE)):
        run = Run()
        found[name] = (fig16_jacobian.train(settings, 0, run), run)
    return found


@pytest.mark.parametrize("profile", ["quick", "laptop", "full"])
def test_each_profile_has_both_activations_and_a_square_network(profile: str) -> None:
    grid = fig16_jacobian.cells(profile)
    assert {cell.activation for cell in grid} == {"ReLU", "MaxMin"}
    assert any(cell.width == cell.side**2 for cell in grid)
    assert len(set(grid)) == len(grid)
    for cell in grid:  # the paper's aspect: 784 inputs and 1024 units
        assert cell.width / cell.side**2 in (1, 1024 / 784)


def test_square_layers_and_sorting_give_10_and_nothing_else(trained) -> None:
    metrics, _ = trained["square"]
    for name in ("smallest", "low", "median", "high", "largest"):
        assert metrics[name] == pytest.approx(L, abs=1e-3)
    assert metrics["from_9_to_10"] == 1
    assert metrics["histogram"][-1] == pytest.approx(1)


def test_a_tall_layer_and_relu_give_less(trained) -> None:
    metrics, run = trained["tall"]
    values = [metrics[n] for n in ("smallest", "low", "median", "high", "largest")]
    assert values == sorted(values)
    assert 0 < values[0] < values[2] < 6
    assert len(metrics["histogram"]) == BINS
    assert math.fsum(metrics["histogram"]) == pytest.approx(1)
    steps = [step for step, _ in run.curves["median"]]
    assert steps == list(range(1, 9))


def test_the_measure_is_that_of_explicit_jacobians() -> None:
    generator = torch.Generator().manual_seed(0)
    network = orthonormal_network([9, 12, 10], nn.ReLU, generator)
    x, y = torch.rand(30, 9, generator=generator).double(), torch.arange(30) % 10
    found = fig16_jacobian.measure(network, x, y, images=25)
    with torch.no_grad():
        J = vmap(jacrev(network))(x[:25])
        wrong = int((network(x).argmax(1) != y).sum())
    sigma = 10 * torch.linalg.svdvals(J).flatten()
    assert found["smallest"] == pytest.approx(float(sigma.min()))
    assert found["median"] == pytest.approx(float(sigma.quantile(0.5)))
    assert found["largest"] == pytest.approx(float(sigma.max()))
    inside = [
        float(((low <= sigma) & (sigma <= high)).double().mean()) for low, high in ((4, 8), (9, 10))
    ]
    assert [found["from_4_to_8"], found["from_9_to_10"]] == inside
    assert found["histogram"][16] == pytest.approx(
        float(((sigma >= 4) & (sigma < 4.25)).double().mean())
    )
    assert found["test_error"] == pytest.approx(100 * wrong / 30)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(trained) -> None:
    metrics, run = trained["tall"]
    again = Run()
    assert fig16_jacobian.train(TALL, 0, again) == metrics
    assert again.curves == run.curves
    assert fig16_jacobian.train(replace(TALL, steps=1), 1, Run()) != metrics


def test_a_training_that_was_stopped_ends_with_the_same_numbers(trained, tmp_path) -> None:
    settings = replace(TALL, slower=(3, 6))  # the rate is part of what is saved
    path = tmp_path / "cell.pt"
    with pytest.raises(Stop):
        fig16_jacobian.train(settings, 0, StoppingRun(path, left=4))
    unbroken = fig16_jacobian.train(settings, 0, Run())
    assert fig16_jacobian.train(settings, 0, Run(path=path, every=0.0)) == unbroken
    assert unbroken != trained["tall"][0]


def test_digits_are_pooled_to_means_of_four() -> None:
    small, labels = fig16_jacobian.load_digits(TALL, "test", torch.device("cpu"))
    large, _ = fig16_jacobian.load_digits(replace(TALL, side=28), "test", torch.device("cpu"))
    assert (small.shape, large.shape, labels.shape) == ((1000, 196), (1000, 784), (1000,))
    corner = large.reshape(-1, 28, 28)[:, 14:16, 14:16].mean(dim=(1, 2))
    torch.testing.assert_close(small.reshape(-1, 14, 14)[:, 7, 7], corner)


def test_it_trains_on_the_whole_training_file(monkeypatch) -> None:
    asked = []

    def load(_root, split):
        asked.append(split)
        return torch.zeros(3, 28, 28), torch.zeros(3).long()

    monkeypatch.setattr(fig16_jacobian, "load_mnist", load)
    for split in ("train", "test"):
        fig16_jacobian.load_digits(replace(TALL, data="mnist"), split, torch.device("cpu"))
    assert asked == ["train+validation", "test"]


def test_missing_mnist_says_where_it_belongs(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIPTEACH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        fig16_jacobian.train(fig16_jacobian.cells("full")[0], 0, Run())


def test_the_table_names_every_cell(trained) -> None:
    cells = tuple(
        CellRecord(vars(settings), {name: [value] for name, value in metrics.items()}, {})
        for settings, (metrics, _) in zip((TALL, SQUARE), trained.values(), strict=True)
    )
    table = fig16_jacobian.compare(Record("fig16_jacobian", "quick", [0], cells, {}))
    assert "ReLU, 196-256³-10" in table
    assert line_of(table, "MaxMin, 196-196³-10").endswith("100%")
    assert "4 to 8" in table


def line_of(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(name)).strip()


def test_the_laptop_record_shows_what_the_lesson_says() -> None:
    """The paper's figure: trained ReLU spreads, MaxMin stays near 10, at both sizes."""
    record = load_record("fig16_jacobian", "laptop")
    assert len(record.seeds) >= 3
    for side, width in ((14, 256), (28, 1024)):
        relu, maxmin = (
            record.cell(activation=a, side=side, width=width) for a in fig16_jacobian.ACTIVATIONS
        )
        spread = [cell.mean("high") - cell.mean("low") for cell in (relu, maxmin)]
        assert spread[0] > 2 * spread[1]
        assert relu.mean("median") < 8 < maxmin.mean("low")
    for width in (196, 784):
        square = record.cell(width=width)
        assert square.mean("smallest") == pytest.approx(10, abs=1e-3)
        assert square.mean("largest") == pytest.approx(10, abs=1e-3)
    for cell in record.cells:
        large = cell.settings["side"] == 28
        assert max(cell.metrics["test_error"]) < (3 if large else 20)
