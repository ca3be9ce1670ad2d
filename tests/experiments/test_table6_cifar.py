"""Table 6: the usual training of these networks, and no other images under the paper's name."""

from dataclasses import asdict, replace

import pytest
import torch
from experiments_support import Stop, StoppingRun
from support import generator
from torch import nn

import lipteach as lt
from lipteach.experiments import CellRecord, Record, Run, table6_cifar
from lipteach.experiments.table6_cifar import (
    ACTIVATIONS,
    PAPER,
    TITLES,
    Settings,
    cells,
    colour,
    compare,
    load_images,
    measure,
    move,
    train,
)
from lipteach.training import mnist_sample, wide_resnet

TINY = Settings(
    *("Standard", "MaxMin", 0.0),
    **{"depth": 10, "width": 1, "epochs": 2, "slower": (1,), "data": "coloured", "batch": 20},
)


def test_the_full_profile_is_wrn_28_4_on_cifar() -> None:
    grid = cells("full")
    assert {(c.scheme, c.activation) for c in grid} == {(s, a) for s in PAPER for a in ACTIVATIONS}
    for c in grid:
        assert (c.depth, c.width, c.epochs, c.batch, c.data) == (28, 4, 200, 128, "cifar")
        assert (c.rate, c.slower) == (0.1, (60, 120, 160))
    for profile in ("quick", "laptop"):
        assert {c.data for c in cells(profile)}.isdisjoint({"cifar"})
        assert len(cells(profile)) == 6


@pytest.fixture
def few(monkeypatch) -> None:
    """Of each part a few images."""
    load = load_images
    first = lambda data, split: tuple(t[:60] for t in load(data, split))  # noqa: E731
    monkeypatch.setattr(table6_cifar, "load_images", first)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("scheme", "value"), [("Standard", 0.0), ("Spectral Jac", 0.01)])
def test_a_broken_training_ends_as_an_unbroken_one(scheme, value, tmp_path, monkeypatch) -> None:
    def weights(network: nn.Module, _parts: object) -> dict[str, float]:
        state = network.state_dict().values()  # with the statistics of the normalizations
        return {"sum": sum(float(value.double().sum()) for value in state)}

    monkeypatch.setattr(table6_cifar, "measure", weights)
    own = replace(TINY, scheme=scheme, value=value)
    with pytest.raises(Stop):
        train(own, 0, StoppingRun(tmp_path / "cell.pt", left=4))
    assert train(own, 0, Run(path=tmp_path / "cell.pt", every=0)) == train(own, 0, Run())


def test_digits_in_two_colours_each() -> None:
    grey = torch.tensor([[[0.0, 1.0, 0.5]], [[1.0, 0.0, 0.0]]])
    found = colour(grey, "train")
    assert found.shape == (2, 3, 1, 3)
    assert (found[0, :, 0, 1] >= 0.5).all(), "ink"
    assert (found[0, :, 0, 0] <= 0.5).all(), "paper"
    torch.testing.assert_close(found[0, :, 0, 2], (found[0, :, 0, 0] + found[0, :, 0, 1]) / 2)
    assert not torch.equal(found[0, :, 0, 1], found[1, :, 0, 0]), "each has its own"
    assert not torch.equal(found, colour(grey, "test"))
    images, labels = load_images("coloured", "test")
    assert images.shape == (1000, 3, 16, 16)
    assert labels.equal(mnist_sample("test")[1])
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5


def test_moved_images_are_cut_from_the_padded_ones() -> None:
    x = torch.arange(2 * 3 * 16 * 16.0).view(2, 3, 16, 16)
    seen = set()
    for seed in range(60):
        moved = move(x, generator(seed), mirrored=True)
        assert moved.shape == x.shape
        for image, own in zip(moved, x, strict=True):
            padded = nn.functional.pad(own[None], 4 * [2], mode="reflect")[0]
            places = {
                (mirrored, down, right): cut
                for down in range(5)
                for right in range(5)
                for mirrored, cut in enumerate(
                    [
                        padded[:, down : down + 16, right : right + 16],
                        padded[:, down : down + 16, right : right + 16].flip(2),
                    ]
                )
            }
            found = [place for place, cut in places.items() if torch.equal(cut, image)]
            assert found
            seen.add(found[0])
    assert len(seen) > 40, "of 50"
    straight = {float((move(x, generator(s), False)[0, 0, 8].diff()).mean()) for s in range(20)}
    assert min(straight) > 0, "no mirror image of what has a direction"


def test_the_constant_is_bounded_from_both_sides() -> None:
    network = wide_resnet(10, 1, ACTIVATIONS["MaxMin"], generator())
    x = load_images("coloured", "test")[0]
    network(x[:64])
    part = (x[:100], torch.zeros(100).long())
    found = measure(network.eval(), {"train": part, "test": part})
    assert found["train_error"] == found["test_error"]
    assert 0 < found["lower"] < found["upper"]
    audit = lt.audit(network, x[:1])
    assert 0.5 < found["upper"] / audit.upper <= 1 + 1e-9, "the norm at this size, and not above"


@pytest.mark.parametrize("data", TITLES)
def test_the_papers_numbers_stand_only_beside_its_images(data: str) -> None:
    own = [replace(c, data=data) for c in cells("full")]
    metrics = {"test_error": [5.0, 6.0], "lower": [2.0, 4.0], "upper": [1e4, 3e4]}
    record = Record(
        "table6_cifar", "full", [0, 1], tuple(CellRecord(asdict(c), metrics, {}) for c in own), {}
    )
    text = compare(record)
    assert text.startswith(f"WRN-28-4 on {TITLES[data]}; 200 epochs.")
    assert text.count("94.50 (1.00)") == 6
    assert ("/ 95.29" in text) == ("the paper" in text) == (data == "cifar")
    assert text.count("3 and 2e+04") == 6
