"""Errors under attack are those of the attacks and certificates by themselves, image by image."""

import math

import pytest
import torch
from support import generator
from torch import nn

import lipteach as lt
from lipteach.training import initialize_, measure_attacks
from lipteach.training.attack_errors import margin_bounds


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    """A network that tells each class about as often."""
    layers = [nn.Linear(6, 16), lt.MaxMin(), nn.Linear(16, 16), lt.MaxMin(), nn.Linear(16, 3)]
    made = initialize_(nn.Sequential(*layers), generator()).double()
    with torch.no_grad():
        made[-1].bias -= made(torch.rand(60, 6, generator=generator()).double()).mean(0)
    return made


@pytest.fixture(scope="module")
def images(network: nn.Sequential) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(60, 6, generator=generator())
    y = network(x.double()).argmax(1)
    y[::3] = (y[::3] + 1) % 3
    return x, y


def test_the_errors_are_those_of_the_attacks_one_by_one(network, images) -> None:
    x, y = images
    L = lt.lipschitz_bounds(network, x.double(), math.inf).upper
    found = measure_attacks(network, x, y, 0.02, 40, L)

    def percent(wrong: torch.Tensor) -> float:
        return 100 * float(wrong.double().mean())

    told = lambda z: network(z.double()).argmax(1) != y  # noqa: E731
    single = nn.Sequential(*network).double()
    fgs = told(lt.fgs(single, x.double(), y, 0.02))
    pgd = told(x) | told(lt.pgd(single, x.double(), y, 0.02, steps=40))
    assert found["fgs"] == pytest.approx(percent(told(x) | fgs))
    assert found["pgd"] == pytest.approx(percent(pgd))
    assert found["attacked"] == pytest.approx(percent(told(x) | fgs | pgd))
    bounds = lt.margin_bounds(network, x, y, 0.02)
    open_ = (bounds + torch.nn.functional.one_hot(y, 3)).amin(1) <= 0
    assert found["intervals"] == pytest.approx(percent(open_))
    top = network(x.double()).topk(2).values
    near = (top[:, 0] - top[:, 1]) / (2 * L) <= 0.02
    assert found["product"] == pytest.approx(percent(told(x) | near))
    assert percent(told(x)) < found["fgs"] < found["intervals"] < found["product"] < 100
    assert found["crossings"] == 0
    assert next(network.parameters()).dtype == torch.float64


@pytest.mark.parametrize("certificate", ["intervals", "product"])
def test_a_certificate_that_says_too_much_is_seen(
    network, images, monkeypatch, certificate
) -> None:
    L = 1e-3 if certificate == "product" else 1e3
    if certificate == "intervals":

        def wrong(model, x, y, eps):
            return torch.ones_like(margin_bounds(model, x, y, eps))

        monkeypatch.setattr("lipteach.training.attack_errors.margin_bounds", wrong)
    found = measure_attacks(network, *images, 0.3, 8, L)
    wronged = round(60 * (found["attacked"] - found[certificate]) / 100)
    assert found["crossings"] >= wronged > 0


def test_an_image_without_a_gradient_counts_as_it_is() -> None:
    flat = nn.Sequential(nn.Linear(2, 2)).double()
    with torch.no_grad():
        flat[0].weight.zero_()
        flat[0].bias.copy_(torch.tensor([1.0, 0.0]))
    found = measure_attacks(flat, torch.full((4, 2), 0.5), torch.tensor([0, 0, 0, 1]), 0.1, 8, 1.0)
    assert {found[name] for name in ("fgs", "pgd", "attacked", "intervals", "product")} == {25.0}
