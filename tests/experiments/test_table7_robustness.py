"""Table 7: the rows are the paper's, margins are in the right units, and what is counted is so."""

import math
from dataclasses import replace

import pytest
import torch
from experiments_support import Stop, StoppingRun
from support import generator
from torch import nn

import lipteach as lt
from lipteach.experiments import CellRecord, Record, Run, table7_robustness
from lipteach.experiments.table7_robustness import (
    CLASSES,
    OTHERS,
    PAPER,
    Settings,
    cells,
    compare,
    hinge,
    load_images,
    make_loss,
    make_network,
    make_optimizer,
    measure_readability,
    train,
    worst,
)
from lipteach.training import input_gradients

TINY = Settings(
    *("Margin", "MaxMin", 0.3),
    **{"width": 8, "epochs": 2, "data": "sample", "side": 14, "batch": 300, "rate": 0.02},
    **{"inner": 2, "inner_size": 0.05, "steps": 24, "judged": 60},
)


@pytest.mark.parametrize("profile", ["quick", "laptop", "full"])
def test_every_profile_has_the_rows_of_the_paper_and_the_others(profile: str) -> None:
    grid = cells(profile)
    rows = [(c.training, c.activation, c.value) for c in grid]
    assert list(dict.fromkeys(rows)) == [*PAPER, *OTHERS]
    assert len(set(grid)) == len(grid)
    rates = {(c.training == "Margin", c.rate) for c in grid}
    assert len(rates) == (2 if profile == "full" else 3)
    unlike = {"training": "", "activation": "", "value": 0, "inner_size": 0, "rate": 0}
    assert len({replace(c, **unlike) for c in grid}) == 1
    for cell in grid:
        if cell.training == "PGD":  # its attacks can cross the ball, and come back by a third
            assert cell.inner * cell.inner_size >= 4 / 3 * cell.value - 1e-3
    if profile != "quick":
        assert {(c.data, c.side, c.steps, c.judged) for c in grid} == {("mnist", 28, 200, 10_000)}


def test_the_full_profile_is_the_authors() -> None:
    for cell in cells("full"):
        assert (cell.width, cell.L) == (1024, 1000)
        assert cell.rate == (0.0033 if cell.training == "Margin" else 0.001)
        assert (cell.inner, cell.inner_size, cell.epochs, cell.batch) == (40, 0.01, 200, 128)


def test_the_hinge_of_l_f_is_that_of_f_times_l() -> None:
    z = torch.randn(7, 10, generator=generator(), dtype=torch.float64)
    y = torch.arange(7)
    total = 0.0
    for row, own in zip(z.tolist(), y.tolist(), strict=True):
        total += sum(max(0.0, 0.3 - row[own] + row[k]) for k in range(10) if k != own)
    found = make_loss(TINY, generator())(lt.Scale(TINY.L), z, y)
    assert float(found) == pytest.approx(TINY.L * total / 7 / 10)
    assert float(hinge(0.3, nn.Identity(), z, y)) == pytest.approx(total / 7 / 10)


def test_the_networks_and_their_optimizers() -> None:
    network = make_network(replace(TINY, side=28), generator())
    shapes = [tuple(m.weight.shape) for m in network if isinstance(m, nn.Linear)]
    assert shapes == [(8, 784), (8, 8), (8, 8), (10, 8)]
    assert network(torch.rand(2, 784)).shape == (2, 10)
    assert type(make_optimizer(TINY, network)).__name__ == "AggMo"
    assert isinstance(make_optimizer(replace(TINY, training="PGD"), network), torch.optim.Adam)
    other = make_network(replace(TINY, activation="ReLU", training="PGD"), generator())
    assert isinstance(other[1], nn.ReLU)
    assert float(other[2].weight.detach().abs().max()) <= 1 / math.sqrt(8), "as PyTorch draws them"


def test_madry_s_training_takes_the_loss_of_what_pgd_found() -> None:
    own = replace(TINY, training="PGD", activation="ReLU", value=0.1)
    network = make_network(replace(own, training="Margin", width=32), generator())
    x, y = (tensor[:40] for tensor in load_images(own, "train"))
    at_rest = float(nn.functional.cross_entropy(network(x), y).detach())
    images = []
    network.register_forward_pre_hook(lambda _, given: images.append(given[0]))
    assert float(worst(own, generator(), network, x, y).detach()) > at_rest + 0.1
    assert float((images[-1] - x).abs().max()) == pytest.approx(0.1, abs=1e-6)
    assert make_loss(replace(own, training="Standard"), generator()) is make_loss(
        replace(own, training="Björck"), generator()
    )


@pytest.fixture(scope="module")
def found() -> dict:
    """What a tiny training with a margin gives."""
    return train(TINY, 0, Run())


def test_a_small_run_keeps_its_constant_and_nothing_crosses(found: dict) -> None:
    assert 0 < found["lower"] <= found["upper"] <= 1000 + 1e-6
    assert found["norms"] == pytest.approx([1, 1, 1, 1], abs=1e-6)
    assert found["gradients"][-1] <= 2000 + 1e-6
    for eps in (0.1, 0.3):
        fgs, pgd, attacked, intervals, product = (
            found[f"{name}_{eps}"] for name in ("fgs", "pgd", "attacked", "intervals", "product")
        )
        assert max(fgs, pgd) <= attacked <= intervals <= product <= 100
        assert found[f"crossings_{eps}"] == 0
    assert found["fgs_0.1"] <= found["fgs_0.3"] > found["test_error"]


@pytest.fixture
def weights_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sum of its weights be all that is measured of a network."""

    def summed(network: nn.Module, *_: object) -> dict:
        return {"upper": sum(float(p.detach().sum()) for p in network.parameters())}

    monkeypatch.setattr(table7_robustness, "measure_classifier", summed)
    for name in ("measure_margins", "measure_readability", "measure_attacks"):
        monkeypatch.setattr(table7_robustness, name, lambda *_: {})


@pytest.mark.usefixtures("weights_alone")
@pytest.mark.parametrize("training", ["Standard", "Margin", "PGD", "Björck"])
def test_a_broken_training_ends_as_an_unbroken_one(training: str, tmp_path) -> None:
    own = replace(TINY, training=training)
    with pytest.raises(Stop):
        train(own, 0, StoppingRun(tmp_path / "cell.pt", left=7))
    whole = train(own, 0, Run())
    assert train(own, 0, Run(path=tmp_path / "cell.pt", every=0)) == whole
    assert train(own, 1, Run()) != whole


def test_the_pictures_are_of_digits_of_their_class() -> None:
    """They are gradients at the sample's first image of each class, whichever data train."""
    own = replace(TINY, training="Björck", value=1.0)
    network = make_network(own, generator()).double()
    x, y = load_images(own, "test")
    kept = measure_readability(replace(own, data="mnist"), network, x[:20], y[:20])
    for digit in CLASSES:
        first = y.tolist().index(digit)
        gradient = input_gradients(network, x[first : first + 1], y[first : first + 1])[0]
        levels = kept[f"gradient_of_{digit}"]
        assert all(isinstance(level, int) for level in levels)
        assert max(map(abs, levels)) == 99
        largest = float(gradient.abs().max())
        picture = torch.tensor(levels).double() / 99 * largest
        assert torch.allclose(picture, gradient, rtol=0, atol=largest / 190)
    others = measure_readability(TINY, network, x[:20], y[:20])
    assert others == {name: kept[name] for name in ("on_strokes", "strokes", "variation")}


def made_up(crossings: int = 0) -> Record:
    """A record in which every number tells its row, and of two rates the first errs more."""
    made = []
    rows = [*PAPER, *OTHERS]
    for one in cells("quick"):
        k, worse = rows.index((one.training, one.activation, one.value)), one.rate == 0.0033
        numbers = {"validation_error": 2 if worse else 1, "test_error": k + 30 * worse}
        numbers |= {"lower": 0.5, "upper": 1.0, "margins": [0, 0, k, 0, 0]}
        numbers |= {"on_strokes": k / 20, "strokes": 0.25, "variation": k / 10}
        for i, eps in enumerate((0.1, 0.3)):
            names = ("fgs", "pgd", "attacked", "intervals", "product")
            numbers |= {f"{n}_{eps}": 20 * (i + 1) + k + j / 8 for j, n in enumerate(names)}
            numbers |= {f"crossings_{eps}": crossings}
        made.append(CellRecord(vars(one), {n: [v, v] for n, v in numbers.items()}, {}))
    return Record("table7_robustness", "quick", [0, 1], tuple(made), {})


def test_the_table_shows_ours_beside_the_paper_and_what_is_certified() -> None:
    text = compare(made_up(crossings=1))
    for k, (row, paper) in enumerate(PAPER.items()):
        name = table7_robustness.name_text(row)
        first, second = (line for line in text.splitlines() if line.startswith(f"{name} "))
        for line, start, (fgs, pgd) in ((first, 20, paper[1:3]), (second, 40, paper[3:5])):
            assert f"{k:.2f} (0.00) / {paper[0]:g} " in line
            assert f"{start + k:.2f} (0.00) / {fgs:g} " in line
            assert f"{start + k + 0.125:.2f} (0.00) / {pgd:g} " in line
            for number in (0.25, 0.375, 0.5):
                assert f" {start + k + number:.2f}" in line
            assert line.endswith(" 2"), "crossings of both seeds"
    last = "0.001-0.001           0.008"  # the constant and the middle margin, over L
    (margins,) = (line for line in text.splitlines() if line.endswith(f"     {last}"))
    assert margins.split()[:2] == ["0.03", "8.00"]
    assert "Björck 10         0.600 (0.250)   1.200   12.00" in text


def test_a_table_without_a_row_is_refused() -> None:
    record = made_up()
    few = tuple(c for c in record.cells if c.settings["training"] != "PGD")
    with pytest.raises(ValueError, match="cells must hold at least one cell to choose from"):
        compare(replace(record, cells=few))


def test_the_paper_s_claims_are_in_its_numbers() -> None:
    """[45]: with a margin MaxMin resists better than ReLU, and PGD is never weaker than FGS."""
    for margin in (0.1, 0.3):
        relu, maxmin = (PAPER["Margin", a, margin] for a in ("ReLU", "MaxMin"))
        assert all(ours <= theirs for ours, theirs in zip(maxmin, relu, strict=True))
    for _, fgs, pgd, far_fgs, far_pgd in PAPER.values():
        assert fgs <= pgd
        assert far_fgs <= far_pgd
        assert fgs <= far_fgs
