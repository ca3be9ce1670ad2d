"""What runs tell of a module that no class tells of: its matrix, or only what it showed."""

import math

import pytest
import torch
from support import matrix_of, normal
from torch import nn
from torch.nn import functional

import lipteach as lt
from lipteach.auditing.by_running import LOOKALIKES, is_affine, run_and_tell


class Of(nn.Module):
    """A function as a stranger's module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = [function]

    def forward(self, x):
        return self.function[0](x)


class SymmetricConv(nn.Conv2d):
    """A convolution that pads in its own way."""

    def forward(self, x):
        return super().forward(torch.cat([x, x[..., -1:]], dim=-1))


class CheckedConv(nn.Conv2d):
    """A convolution with a forward of its own that does what the class of torch does."""

    def forward(self, x):
        return super().forward(x + 0)


def layers():
    torch.manual_seed(0)
    yield nn.Conv1d(2, 3, 3, groups=1, dilation=2), (2, 9)
    yield nn.Conv3d(2, 2, 2, groups=2), (2, 2, 3, 2)
    yield nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1), (2, 4, 3)
    yield nn.ConvTranspose1d(2, 3, 3), (2, 5)
    yield SymmetricConv(2, 3, 3), (2, 5, 5)
    yield Of(lambda x: 3 * x.roll(1, -1) - x.mean(-1, keepdim=True) + 7), (6,)
    yield Of(lambda x: x.unfold(-1, 3, 1).flatten(1)), (7,)


@pytest.mark.parametrize(("module", "shape"), [*layers()])
def test_an_affine_module_is_measured_by_its_matrix(module: nn.Module, shape) -> None:
    module.double().requires_grad_(False)
    offset = module(torch.zeros(1, *shape).double())
    sigma = torch.linalg.svdvals(matrix_of(lambda x: module(x) - offset, *shape))
    found = run_and_tell(module, normal(3, *shape))
    assert found.method == f"SVD of its map at {'×'.join(map(str, shape))}, found affine"
    ends = [float(sigma[-1]), float(sigma[0])]
    assert [found.smallest, found.largest] == pytest.approx(ends, abs=1e-9)
    assert found.lower == found.if_as_run == found.largest


def test_a_large_offset_hides_no_matrix() -> None:
    W = normal(5, 4)
    for offset in (1e6, -1e12):
        found = run_and_tell(Of(lambda x, b=offset: x @ W.mT + b), normal(3, 4))
        assert found.if_as_run == pytest.approx(float(torch.linalg.matrix_norm(W, 2)), rel=1e-6)


def test_a_layer_that_runs_as_its_base_class_is_measured_by_its_weight() -> None:
    torch.manual_seed(0)
    conv = CheckedConv(2, 3, 3, padding=1).double()
    found = run_and_tell(conv, normal(2, 2, 5, 5))
    K = conv.weight.detach()
    matrix = matrix_of(lambda x: functional.conv2d(x, K, padding=1), 2, 5, 5)
    assert found.method == "SVD of the map at 5×5, as Conv2d when run"
    assert found.if_as_run == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)))
    large = run_and_tell(conv, normal(2, 2, 40, 40))
    assert large.method == "grid, all sizes, as Conv2d when run"
    assert large.lower <= large.if_as_run < 1.1 * large.lower


def test_of_a_large_matrix_there_is_only_a_lower_bound() -> None:
    found = run_and_tell(Of(lambda x: 3 * x.flip(-1)), normal(2, 3, 30, 30))
    assert found.method == "power iteration at 3×30×30: from below, found affine"
    assert found.lower == pytest.approx(3)
    assert math.isnan(found.if_as_run)


@pytest.mark.parametrize(
    "function",
    [
        torch.relu,
        torch.square,
        lt.maxmin,
        lambda x: x.clamp(-50, 50),
        lambda x: x * x.norm(dim=1, keepdim=True),
        lambda x: x + 1e-4 * x.sin(),
        lambda x: torch.where(x.abs() < 1e-3, 2 * x, x),
    ],
)
def test_what_is_not_affine_is_seen(function) -> None:
    assert not is_affine(function, normal(3, 4))
    found = run_and_tell(Of(function), normal(3, 4))
    assert math.isnan(found.largest)


def test_of_a_function_that_is_not_known_a_jacobian_is_a_lower_bound() -> None:
    z = normal(3, 4)
    found = run_and_tell(Of(torch.sin), z)
    assert found.lower == pytest.approx(float(z.cos().abs().max()))
    assert math.isnan(found.if_as_run)
    assert found.method == "Jacobian at 3 inputs: from below"


@pytest.mark.parametrize("name", LOOKALIKES)
def test_known_activations_are_recognized_by_what_they_do(name: str) -> None:
    known = LOOKALIKES[name]
    for shape in ((4,), (6, 3, 3)):
        z = normal(5, *shape)
        found = run_and_tell(Of(known), z)
        assert found.method.startswith("as "), found
        assert found.if_as_run == 1
        assert found.lower == pytest.approx(1)
        J = torch.func.jacrev(lambda x: known(x[None]))(z[0]).reshape(-1, z[0].numel())
        assert torch.linalg.matrix_norm(J, 2) <= 1 + 1e-12
        assert run_and_tell(Of(known), -z.abs()).lower == (0 if name == "ReLU" else found.lower)
        twice = run_and_tell(Of(lambda x: 2 * known(x)), z)
        assert math.isnan(twice.if_as_run)
        assert twice.lower == pytest.approx(2)


@pytest.mark.parametrize(
    "function",
    [lambda x: functional.leaky_relu(x, 0.5), functional.gelu, lambda x: x.sort(0).values],
)
def test_others_are_not(function) -> None:
    assert math.isnan(run_and_tell(Of(function), normal(5, 4)).if_as_run)


def test_nothing_is_told_of_what_mixes_draws_or_fails() -> None:
    z = normal(3, 4)
    for function, why in (
        (lambda x: x - x.mean(0), "none: it mixes the samples of a batch"),
        (lambda x: x.flip(0), "none: it mixes the samples of a batch"),
        (lambda x: x + torch.rand(1), "none: it draws random numbers"),
        (lambda x: (x, x), "none: it could not be run on other inputs: it returns no tensor"),
        (lambda x: x.sum(), "none: it could not be run on other inputs: it returns no tensor"),
        (lambda x: 1 / 0, "none: it could not be run on other inputs: division by zero"),
    ):
        found = run_and_tell(Of(function), z)
        assert found.method.startswith(why)
        assert all(math.isnan(number) for number in found[:-1])
    assert (
        run_and_tell(Of(torch.relu), None).method == "none: it was not given one batch of one shape"
    )


def test_the_audit_counts_runs_apart_from_proofs(capsys) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        SymmetricConv(1, 2, 3), Of(lambda x: x * (x > 0)), nn.Flatten(), lt.linear(normal(3, 32))
    )
    found = lt.audit(model, normal(4, 1, 6, 5))
    conv, relu, dense = found.layers
    assert [layer.name for layer in found.layers] == ["0", "1", "3"]
    assert math.isnan(conv.upper)
    assert math.isnan(relu.upper)
    assert conv.method.startswith(
        "none: it has a forward or a setting of its own; SVD of its map at"
    )
    assert "as run" in found.text
    assert "as ReLU when run" in found.text
    assert found.upper == math.inf
    assert found.unknown == "0 (SymmetricConv)"
    assert found.if_as_run == pytest.approx(conv.largest * dense.upper)
    assert found.lower <= found.if_as_run
    assert f"  {found.if_as_run:.4f} if each module does elsewhere" in found.text
    blind = lt.audit(model)
    assert blind.if_as_run == math.inf
    assert [layer.name for layer in blind.layers] == ["0", "3"]


def test_the_parts_of_a_layer_are_not_layers(capsys) -> None:
    class Padded(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(1, 1, 3)
            self.pad = nn.ReflectionPad2d(1)

        def forward(self, x):
            return super().forward(self.pad(x))

    found = lt.audit(nn.Sequential(Padded()), normal(2, 1, 5, 5))
    assert [layer.name for layer in found.layers] == ["0"]
    assert run_and_tell(nn.ReflectionPad2d(1), normal(2, 1, 5, 5)).largest > 1.4


def test_a_module_that_is_used_at_two_shapes_is_not_measured(capsys) -> None:
    twice = Of(lambda x: x[:, 1:].log1p())  # of which no trace tells
    found = lt.audit(nn.Sequential(twice, twice), normal(2, 5))
    assert found.layers[0].method == "none: it was not given one batch of one shape"
    assert found.if_as_run == math.inf


def test_where_nothing_is_strange_the_bounds_are_one(capsys) -> None:
    model = nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin(), nn.Linear(4, 2))
    found = lt.audit(model, normal(3, 4).float())
    assert found.upper == found.if_as_run == found.in_training
    assert found.training == ()
    assert "as run" not in found.text
    assert "training" not in found.text


def test_a_run_that_a_sample_refutes_counts_for_nothing(capsys) -> None:
    steep = Of(lambda x: torch.where(x > 1e6, 5 * x, x))
    z = torch.cat([normal(8, 4), torch.full((1, 4), 1e7).double()])  # beyond those that are run
    found = lt.audit(nn.Sequential(steep), z)
    assert found.layers[0].if_as_run == pytest.approx(1)
    assert found.lower == pytest.approx(5)
    assert found.if_as_run == math.inf
    assert found.within() is False
