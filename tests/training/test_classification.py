"""Parts of the data, balanced draws, batches that can be saved, and what is measured."""

import math

import pytest
import torch
from support import generator, normal
from torch import nn

import lipteach as lt
from lipteach.training import (
    Epochs,
    classification,
    draw_balanced,
    load_digits,
    measure_classifier,
    measure_margins,
    mnist_sample,
)
from lipteach.training.classification import error_percent


def test_the_sample_s_parts_share_no_image_and_keep_its_order() -> None:
    images, labels = mnist_sample("train")
    rows = {
        split: [int((images == image).all(dim=(1, 2)).nonzero()) for image in found[::50]]
        for split in ("train", "validation")
        if (found := load_digits("sample", split, "")[0]) is not None
    }
    for found in rows.values():
        assert found == sorted(set(found))
    train, validation = (load_digits("sample", s, "") for s in ("train", "validation"))
    assert (len(train[0]), len(validation[0])) == (1800, 200)
    together = torch.cat([train[0], validation[0]]).flatten(1)
    assert len(torch.unique(together, dim=0)) == 2000
    assert torch.equal(torch.cat([train[1], validation[1]]).sort().values, labels.sort().values)
    assert torch.equal(load_digits("sample", "test", "")[0], mnist_sample("test")[0])


def test_all_of_mnist_is_asked_for_by_the_part_s_name(monkeypatch) -> None:
    monkeypatch.setattr(classification, "load_mnist", lambda *asked: asked)
    assert load_digits("mnist", "validation", "there") == ("there", "validation")
    with pytest.raises(ValueError, match='data must be "mnist" or "sample"; got \'cifar\''):
        load_digits("cifar", "train", "")
    with pytest.raises(ValueError, match='split must be "train", "validation" or "test"'):
        load_digits("sample", "train+validation", "")


def test_a_balanced_draw_is_balanced_and_another_with_another_seed() -> None:
    labels = mnist_sample("train")[1]
    rows = draw_balanced(labels, 300, generator(1))
    assert labels[rows].bincount().tolist() == [30] * 10
    assert len(rows.unique()) == 300
    assert torch.equal(rows, draw_balanced(labels, 300, generator(1)))
    assert not torch.equal(rows, draw_balanced(labels, 300, generator(2)))
    with pytest.raises(ValueError, match="multiple of the 10 labels; got 301"):
        draw_balanced(labels, 301, generator())
    with pytest.raises(ValueError, match="enough rows of each label; got 2010"):
        draw_balanced(labels, 2010, generator())


def test_epochs_show_every_row_once_and_go_on_where_they_were_saved() -> None:
    source = generator()
    epochs = Epochs(10, 4, source)
    rows = [epochs.draw() for _ in range(6)]
    assert [len(batch) for batch in rows] == [4, 4, 2] * 2
    first, second = torch.cat(rows[:3]), torch.cat(rows[3:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == [*range(10)]
    assert not torch.equal(first, second)
    epochs.draw()
    saved, state = epochs.state_dict(), source.get_state()
    after = [epochs.draw() for _ in range(5)]
    again = Epochs(10, 4, generator(9))
    again.generator.set_state(state)
    again.load_state_dict(saved)
    assert all(map(torch.equal, after, [again.draw() for _ in range(5)]))
    assert epochs.steps(3) == 9


def test_what_is_measured_of_a_classifier(monkeypatch) -> None:
    """Against the rows themselves, a singular value, and a convolution known by its taps."""
    monkeypatch.setattr(classification, "ROWS", 7)  # in parts, the last of them smaller
    network = nn.Sequential(nn.Linear(4, 3), lt.Scale(2), nn.Linear(3, 3)).double()
    x, y = normal(30, 4), torch.arange(30) % 3
    wrong = sum(int(network(x[k]).argmax()) != int(y[k]) for k in range(30))
    found = measure_classifier(network, {"train": (x.float(), y), "test": (x[:9], y[:9])})
    assert found["train_error"] == pytest.approx(100 * wrong / 30)
    assert found["train_error"] == error_percent(network, x, y)
    J = network[2].weight.detach() @ network[0].weight.detach() * 2
    assert found["lower"] == pytest.approx(float(torch.linalg.svdvals(J)[0]))
    norms = [float(torch.linalg.svdvals(network[k].weight.detach())[0]) for k in (0, 2)]
    assert found["norms"] == pytest.approx(norms)
    assert found["upper"] == pytest.approx(2 * math.prod(norms))
    rows = measure_classifier(network, {"test": (x, y)}, math.inf)["norms"]
    assert rows[0] == pytest.approx(float(network[0].weight.detach().abs().sum(1).max()))
    conv = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False), nn.Flatten()).double()
    conv[0].weight.data.fill_(0.5)
    images = normal(4, 1, 5, 5)
    found = measure_classifier(conv, {"test": (images, torch.zeros(4).long())})
    assert found["norms"] == pytest.approx([4.5], rel=2e-3)
    conv[0] = nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect", groups=2, bias=False).double()
    conv[0].weight.data.fill_(0.5)
    found = measure_classifier(conv, {"test": (normal(4, 2, 5, 5), torch.zeros(4).long())})
    assert found["norms"] == pytest.approx([9], rel=2e-3), "the padding may double it"


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_margins_and_their_gradients_row_by_row(monkeypatch, p: float) -> None:
    """Of a linear map the gradient is a difference of two rows."""
    monkeypatch.setattr(classification, "ROWS", 7)
    network = nn.Linear(4, 3).double()
    x, y = normal(30, 4), torch.arange(30) % 3
    dropping = nn.Sequential(network, nn.Dropout(0.5))  # in evaluation mode it drops nothing
    W, q = network.weight.detach(), {1: math.inf, 2: 2, math.inf: 1}[p]
    margins, gradients = [], []
    for a, own in zip(x, y.tolist(), strict=True):
        z = network(a).detach()
        other = max((k for k in range(3) if k != own), key=z.tolist().__getitem__)
        margins.append(float(z[own] - z[other]))
        gradients.append(float(torch.linalg.vector_norm(W[own] - W[other], q)))
    with torch.no_grad():
        found = measure_margins(dropping, x.float(), y, p)
    assert dropping.training
    ranks = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    for name, one_by_one in (("margins", margins), ("gradients", gradients)):
        assert found[name] == pytest.approx(torch.tensor(one_by_one).quantile(ranks), rel=1e-6)
    assert all(parameter.grad is None for parameter in network.parameters())
