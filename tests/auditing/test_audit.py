"""The audit: its numbers against SVD, its text, and what it refuses to claim."""

import math

import pytest
import torch
from support import matrix_of, uniform
from torch import nn
from torch.nn import functional as F

import lipteach as lt


def net() -> nn.Sequential:
    layers = nn.Sequential(
        lt.orthonormal(nn.Conv2d(1, 4, 3, padding=1)),
        lt.MaxMin(1),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        lt.linf(nn.Linear(36, 8), bound=0.5),
        lt.MaxMin(),
        nn.Linear(8, 3),
    )
    for i, p in enumerate(layers.parameters()):
        p.data = uniform(*p.shape, seed=i).float()
    return layers


def test_a_module_that_overwrites_its_input_leaves_the_samples_alone() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), lt.linear([[3.0, 4.0]]))
    x = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [2.0, -1.0]]).double()
    before = x.clone()
    assert lt.audit(model, x).lower == pytest.approx(5)
    assert lt.lipschitz_bounds(model, x) == (pytest.approx(5), pytest.approx(5))
    assert torch.equal(x, before)
    assert model[0].inplace


def test_the_numbers_are_those_of_singular_values(capsys) -> None:
    model, x = net(), uniform(6, 1, 8, 8).float()
    found = lt.audit(model, x)
    assert capsys.readouterr().out == found.text + "\n"
    first, second, third, fourth = found.layers
    for layer, conv, size in ((first, model[0], (1, 8, 8)), (second, model[2], (4, 8, 8))):
        K = conv.weight.double()
        matrix = matrix_of(lambda x, c=conv, K=K: F.conv2d(x, K, None, c.stride, c.padding), *size)
        sigma = torch.linalg.svdvals(matrix)
        assert [layer.smallest, layer.largest] == pytest.approx([sigma[-1].item(), sigma[0].item()])
        assert layer.lower == layer.upper == layer.largest
    assert second.upper > torch.linalg.matrix_norm(model[2].weight.detach().flatten(1), 2) * 1.01
    sigma = torch.linalg.svdvals(model[5].weight.detach().double())
    assert [third.smallest, third.largest] == pytest.approx([sigma[-1].item(), sigma[0].item()])
    assert third.inf_norm == pytest.approx(0.5)
    assert math.isnan(fourth.inf_norm)
    assert found.upper == pytest.approx(math.prod(layer.upper for layer in found.layers))
    norms = [
        torch.linalg.matrix_norm(torch.autograd.functional.jacobian(model, s[None]).view(3, 64), 2)
        for s in x
    ]
    assert found.lower == pytest.approx(float(max(norms)), rel=1e-5)
    assert found.lower < found.upper
    assert found.unknown == ""


def test_without_samples_the_convolutions_have_two_bounds(capsys) -> None:
    found = lt.audit(net())
    low, high = found.layers[1].lower, found.layers[1].upper
    assert low < high < 1.002 * low
    assert f"{low:.4f} to {high:.4f}" in found.text
    assert "no lower bound: no samples x" in found.text
    assert found.lower == 0
    assert lt.audit(net()).text == found.text, "deterministic"


@pytest.mark.parametrize(
    ("module", "known"),
    [
        (nn.Tanh(), True),
        (nn.LeakyReLU(0.3), True),
        (nn.LeakyReLU(1.5), False),
        (nn.LeakyReLU(-1.5), False),
        (nn.PReLU(init=-1.5), False),
        (nn.ELU(), True),
        (nn.ELU(-1.5), False),
        (lt.GroupSort(2), True),
        (lt.FullSort(), True),
        (lt.Abs(), True),
        (nn.Dropout(0.5), True),
        (nn.BatchNorm1d(4), True),
        (nn.LayerNorm(4), False),
        (nn.PReLU(), True),
        (nn.GELU(), False),
    ],
)
def test_an_upper_bound_needs_known_modules(module: nn.Module, known: bool, capsys) -> None:
    found = lt.audit(nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), module))
    assert (found.upper == pytest.approx(1, abs=1e-4)) is known
    assert (found.unknown == "") is known
    assert ("no upper bound: 1 (" in found.text) is not known


@pytest.mark.parametrize(
    "pool",
    [nn.AvgPool2d(2), nn.MaxPool2d(2), nn.AvgPool2d(2, 3), nn.MaxPool2d(3, 3), nn.AvgPool2d(3)],
)
def test_pools_that_are_known_do_not_stretch(pool: nn.Module, capsys) -> None:
    mean = isinstance(pool, nn.AvgPool2d)
    assert lt.audit(nn.Sequential(pool)).upper == (1 / pool.kernel_size if mean else 1)
    for seed in range(20):
        J = torch.func.jacrev(pool)(uniform(1, 7, 7, seed=seed)).reshape(-1, 49)
        assert torch.linalg.matrix_norm(J, 2) <= 1 + 1e-12


def test_pools_that_overlap_are_not_known(capsys) -> None:
    J = torch.func.jacrev(nn.MaxPool2d(3, 1))(torch.eye(5)[None].double()).reshape(-1, 25)
    assert torch.linalg.matrix_norm(J, 2) > 1.5
    for pool in (
        nn.MaxPool2d(3, 1),
        nn.MaxPool2d(2, (2, 1)),
        nn.MaxPool2d(2, dilation=2),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=-1),
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
    ):
        assert lt.audit(nn.Sequential(pool)).upper == math.inf


def test_other_containers_and_repeated_layers(capsys) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.inner(x).exp()

    found = lt.audit(nn.Sequential(Residual()), uniform(2, 4).float())
    assert found.unknown == "0 (Residual)"
    assert [layer.name for layer in found.layers] == ["0", "0.inner"]
    assert found.lower > 0
    layer = nn.Linear(4, 4)
    layer.weight.data = 2 * torch.eye(4)
    assert lt.audit(nn.Sequential(layer, nn.Sequential(layer))).upper == pytest.approx(4)


def test_a_convolution_at_two_sizes_is_bounded_for_all(capsys) -> None:
    conv = nn.Conv2d(2, 2, 3, bias=False)
    found = lt.audit(nn.Sequential(conv, conv), uniform(1, 2, 7, 7))
    assert [layer.method for layer in found.layers] == ["grid, all sizes"]
    assert found.lower <= found.upper == found.layers[0].upper ** 2


def test_a_convolution_without_a_bound(capsys) -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    conv.padding = (2, 2)  # not what torch pads by
    found = lt.audit(nn.Sequential(conv))
    assert found.unknown == "0 (Conv2d)"
    assert "none for this convolution" in found.text
    assert lt.audit(nn.Sequential(conv), uniform(1, 4, 5, 5)).upper < math.inf, "SVD at that size"


def test_nothing_says_one_lipschitz_without_a_method_and_the_model_is_left_alone(capsys) -> None:
    model = net().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    text = lt.audit(model, uniform(2, 1, 8, 8)).text
    for line in text.splitlines():
        assert "1-Lipschitz" not in line or "upper bound" in line
    assert "float64" in text
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("index", "n"), [([0, 1], 2), ([1, 1, 0], 2), ([0, 0, 0], 2), ([2], 4), ([3, 0, 3, 1], 5)]
)
def test_a_selection_is_counted_as_its_matrix_would_be(index: list[int], n: int) -> None:
    selection = lt.Selection(index, n)
    report = lt.audit(nn.Sequential(selection))
    sigma = torch.linalg.svdvals(selection.weight)
    layer = report.layers[0]
    assert [layer.smallest, layer.largest] == pytest.approx([float(sigma[-1]), float(sigma[0])])
