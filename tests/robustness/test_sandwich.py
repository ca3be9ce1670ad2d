"""The attack is below the truth, the certificate above, and a lie is found out."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from robustness_support import differences, grid, network
from support import generator, uniform
from torch import nn

import lipteach as lt
from lipteach.primitives.composition import linear_layers
from lipteach.training import orthonormal_network

room = sys.modules[lt.sandwich.__module__]


@pytest.mark.filterwarnings("ignore::lipteach.AttackWarning")  # of units that are dead
@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(["relu", "maxmin", "full sort", "abs"]),
    eps=st.floats(0.005, 0.3),
    p=st.sampled_from([2, math.inf]),
    double=st.booleans(),
)
def test_in_two_dimensions_the_truth_lies_between(seed, activation, eps, p, double) -> None:
    model = network(seed, activation).to(torch.float64 if double else torch.float32)
    x = uniform(8, 2, low=0, high=1, seed=seed).to(model[0].weight.dtype)
    y = model(x).argmax(1)
    y[0] = (y[0] + 1) % 3
    found = lt.sandwich(model, x, y, eps, p, steps=30)
    assert found.clean_images.tolist() == [True] + [False] * 7
    assert found.clean <= found.attacked <= found.certified
    plain = lt.export(model).double()
    for k in range(8):
        points = grid(x[k].double(), eps)
        points = points[torch.linalg.vector_norm(points - x[k].double(), p, dim=1) <= eps]
        worst = differences(plain, points, y[k].expand(len(points)))
        worst[:, y[k]] = math.inf
        if (worst <= 0).any():
            assert found.certified_images[k]
        if found.attacked_images[k]:
            z = found.adversarial[k : k + 1].double()
            assert torch.linalg.vector_norm(z - x[k].double(), p) <= eps * (1 + 1e-12)
            with torch.no_grad():
                Z = plain(z)[0]
            assert Z[y[k]] <= Z[torch.arange(3) != y[k]].max()


def test_shares_are_of_the_images_and_the_table_says_them() -> None:
    x = torch.tensor([[0.2, 0.5], [0.6, 0.5], [0.9, 0.5], [0.8, 0.5]]).double()
    rows = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
    found = lt.sandwich(rows, x, torch.zeros(4).long(), 0.1)
    assert (found.clean, found.attacked, found.certified) == (0.25, 0.5, 0.5)
    assert torch.equal(found.adversarial[0], x[0])
    assert not torch.equal(found.adversarial[2], x[2])
    lines = str(found).splitlines()
    assert lines[0] == "Errors of 4 images within ε = 0.1 in the ∞-norm"
    assert [line.split()[:2] for line in lines[1:]] == [
        ["clean", "25.00"],
        ["attacked", "50.00"],
        ["certified", "50.00"],
    ]
    assert "2-norm" in str(lt.sandwich(rows, x, torch.zeros(4).long(), 0.1, 2))


def test_what_ties_is_wrong_in_all_three() -> None:
    x = torch.full((1, 2), 0.5).double()
    for y in (0, 1):
        found = lt.sandwich(nn.Identity(), x, torch.tensor([y]), 0.1)
        assert found.clean == found.attacked == found.certified == 1


def test_large_batches_are_taken_in_parts(monkeypatch) -> None:
    model, x = network(1, "maxmin", inputs=4).double(), uniform(50, 4, low=0, high=1)
    y = torch.arange(50) % 3
    whole = lt.sandwich(model, x, y, 0.05, steps=5)
    monkeypatch.setattr(room, "ROWS", 7)
    parts = lt.sandwich(model, x, y, 0.05, steps=5)
    assert torch.equal(parts.clean_images, whole.clean_images)
    assert torch.equal(parts.certified_images, whole.certified_images)
    assert abs(parts.attacked - whole.attacked) < 0.1
    other = lt.sandwich(model, x, y, 0.05, steps=5, generator=generator(1))
    assert not torch.equal(other.adversarial, parts.adversarial)


def test_pgd_goes_on_where_one_step_has_failed() -> None:
    model = orthonormal_network([8, 32, 32, 4], lt.MaxMin, generator(2))
    with torch.no_grad():
        for layer in linear_layers(model):
            layer.bias.mul_(0.1)
    x = uniform(60, 8, low=0, high=1)
    y = model(x).argmax(1)
    one = (differences(model, lt.fgs(model, x, y, 0.2), y) < 0).any(1)
    assert one.any()
    found = lt.sandwich(model, x, y, 0.2)
    assert (found.attacked_images >= one).all()
    assert found.attacked > one.double().mean()


def test_a_false_certificate_is_refuted(monkeypatch) -> None:
    monkeypatch.setattr(room, "margin_bounds", lambda _m, x, *_: torch.ones(len(x), 2))
    x = torch.tensor([[0.9, 0.1], [0.5, 0.45]]).double()
    with pytest.raises(RuntimeError, match="certificate of image 1 is refuted"):
        lt.sandwich(nn.Identity(), x, torch.tensor([0, 0]), 0.1)


def test_without_a_bound_every_image_may_be_wrong() -> None:
    x = torch.tensor([[0.9, 0.1]]).double()
    with pytest.warns(lt.UnknownBoundWarning, match="Tanh"):
        found = lt.sandwich(nn.Sequential(nn.Tanh()), x, torch.tensor([0]), 0.1)
    assert (found.clean, found.attacked, found.certified) == (0, 0, 1)
