"""H.2's laptop record: what critics find, what is there, and how far data is from data."""

from itertools import product

import pytest

from lipteach.experiments import CellRecord, Record, load_record
from lipteach.experiments.h2_distance import ACTIVATIONS, SPACES


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_record("h2_distance", "laptop")


@pytest.fixture(params=["mnist", "fashion"])
def found(request, recorded: Record) -> CellRecord:
    return recorded.cell(data=request.param)


def test_it_is_of_two_thousand_samples_and_three_seeds(found: CellRecord) -> None:
    assert (found.settings["samples"], found.settings["side"]) == (2000, 28)
    assert all(len(values) == 3 for values in found.metrics.values())


@pytest.mark.parametrize("held", ["", "_held"])
@pytest.mark.parametrize("space", SPACES)
def test_maxmin_finds_more_than_relu_and_never_more_than_there_is(
    found: CellRecord, space: str, held: str
) -> None:
    """On seen samples and on others, with every seed."""
    names = ("ReLU", "MaxMin", "exact")
    columns = (found.metrics[f"{space}_{name}{held}"] for name in names)
    for relu, maxmin, exact in zip(*columns, strict=True):
        assert 0 < relu < maxmin < exact


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_critic_exceeds_exact_transport_while_it_learns(
    found: CellRecord, activation: str
) -> None:
    for space in SPACES:
        name = f"{space}_{activation}"
        pairs = zip(found.curves[name], found.metrics[f"{space}_exact"], strict=True)
        assert all(max(values) <= exact for (_, values), exact in pairs)


def test_data_is_nearly_as_far_from_data_as_from_the_generator(found: CellRecord) -> None:
    """On average more so in pixels than in few components."""
    shares = {
        space: [
            real / exact
            for real, exact in zip(
                found.metrics[f"{space}_real"], found.metrics[f"{space}_exact"], strict=True
            )
        ]
        for space in SPACES
    }
    assert all(abs(share - 0.9) < 0.02 for share in shares["pixels"])
    assert all(0.765 < share < 0.905 for share in shares["components"])
    assert sum(shares["components"]) < sum(shares["pixels"])


def test_less_remains_on_samples_that_a_critic_has_not_seen(found: CellRecord) -> None:
    for space, activation in product(SPACES, ACTIVATIONS):
        name = f"{space}_{activation}"
        pairs = zip(found.metrics[name], found.metrics[f"{name}_held"], strict=True)
        assert all(unseen < seen for seen, unseen in pairs)
