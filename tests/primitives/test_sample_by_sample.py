"""What torch.func refuses is differentiated sample by sample, to the same numbers."""

import warnings

import pytest
import torch
from jacobian_support import jacobians, random
from torch import nn

import lipteach as lt


class Branch(nn.Module):
    def forward(self, x):
        return 2 * x if x.sum() > 0 else 3 * x


class Item(nn.Module):
    def forward(self, x):
        return x * (2.0 + (x.sum().item() > 0))


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += x.abs().sum().detach().float()
        return x.sin()


class InPlace(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y[:, :2] = 2 * x[:, :2]
        return x.mul_(3) + y


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g


class Custom(nn.Module):
    def forward(self, x):
        return Twice.apply(x.sin())


class Constant(nn.Module):
    def forward(self, x):
        return torch.full_like(x, float(x.sum() > 99))


def models():
    linear = nn.Linear(4, 3).double()
    linear.weight.data, linear.bias.data = random(3, 4), random(3, seed=1)
    yield from (nn.Sequential(linear, nn.PReLU()).double(), nn.Sequential(linear, nn.RReLU()))
    yield from (Branch(), Item(), Counts(), Custom(), Constant())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripts are deprecated
        yield torch.jit.script(nn.Sequential(linear, nn.Tanh()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("f", [*models()], ids=lambda f: type(f).__name__)
def test_the_numbers_are_those_of_each_sample(f: nn.Module) -> None:
    f, x = f.double().eval(), random(5, 4)
    want = torch.stack([jacobians(f, sample[None])[0] for sample in x])
    sigma = torch.linalg.svdvals(want)
    torch.testing.assert_close(lt.jacobian_singular_values(f, x), sigma)
    found = lt.jacobian_spectral_norm(f, x, 200)
    torch.testing.assert_close(found, sigma[:, 0], rtol=1e-5, atol=1e-12)
    penalty, _ = lt.spectral_jacobian_penalty(f, x, batch="sample")
    assert penalty <= sigma[:, 0].mean() * (1 + 1e-9)
    again = lt.jacobian_singular_values(f, x)
    torch.testing.assert_close(again, sigma)


@pytest.mark.filterwarnings("ignore:The upper bound is infinite")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("f", [*models()], ids=lambda f: type(f).__name__)
def test_the_bounds_and_the_audit_take_them(f: nn.Module, capsys) -> None:
    f, x = f.double().eval(), random(40, 4)
    most = max(float(torch.linalg.matrix_norm(jacobians(f, a[None])[0], 2)) for a in x)
    lower, upper = lt.lipschitz_bounds(f, x)
    assert most * (1 - 1e-5) <= lower <= upper
    assert lt.lipschitz_bounds(f, x) == (lower, upper)
    assert lt.audit(f, x).lower == pytest.approx(most)


def test_a_module_may_work_in_place() -> None:
    x = random(3, 4)
    before = x.clone()
    values = lt.jacobian_singular_values(lambda a: InPlace()(a.clone()), x)
    assert values.tolist() == [pytest.approx([5, 5, 3, 3])] * 3
    assert torch.equal(x, before)


def test_the_gradient_passes() -> None:
    """Through what vmap refuses: σ of W · 2 in W, where the branch is the same for all samples."""
    f, x = nn.Sequential(nn.Linear(4, 3).double(), nn.PReLU().double()), random(5, 4)
    g = nn.Sequential(f[0], nn.LeakyReLU(0.25))
    for norms in (
        lambda h: lt.jacobian_singular_values(h, x)[:, 0],
        lambda h: lt.jacobian_spectral_norm(h, x, 300),
    ):
        got = torch.autograd.grad(norms(f).sum(), f[0].weight)[0]
        torch.testing.assert_close(got, torch.autograd.grad(norms(g).sum(), f[0].weight)[0])


def test_what_cannot_be_differentiated_is_refused_in_one_sentence() -> None:
    class Opaque(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("no derivative")

    x = random(2, 3)
    for call in (lt.jacobian_singular_values, lt.jacobian_spectral_norm):
        with pytest.raises(ValueError, match="Jacobian of f cannot be computed: no derivative"):
            call(Opaque.apply, x)
        with pytest.raises(ValueError, match="f must not draw random numbers"):
            call(lambda x: x * torch.rand(()), x)
        with pytest.raises(ValueError, match=r"x of shape \(2, 3\) does not fit f: mat1 and mat2"):
            call(nn.Linear(4, 4).double(), x)
        with pytest.raises(TypeError, match=r"1 \(LazyLinear\) of f has no shape yet; run the"):
            call(nn.Sequential(nn.Identity(), nn.LazyLinear(2)), x)
        with pytest.raises(ValueError, match=r"x of shape \(2, 3\) does not fit f: mat1 and mat2"):
            call(nn.Linear(3, 4), x)  # of another dtype
        with pytest.raises(ValueError, match=r"does not fit f: 'NoneType' object is not callable"):
            call(holding_none(), x)
        with pytest.raises(ValueError, match="does not fit f: RuntimeError"):
            call(Speechless(), x)


class Speechless(nn.Module):
    def forward(self, x):
        raise RuntimeError


def holding_none() -> nn.Sequential:
    f = nn.Sequential(nn.Identity(), nn.ReLU())
    f._modules["1"] = None
    return f


def test_what_does_not_fit_a_model_is_said_of_bounds_audit_and_export_too() -> None:
    x = random(2, 3)
    for call in (lt.lipschitz_bounds, lt.audit, lt.export):
        for model in (holding_none(), Speechless(), nn.Linear(4, 4).double()):
            with pytest.raises(ValueError, match=r"x of shape \(2, 3\) does not fit the model: "):
                call(model, x)
    with pytest.raises(ValueError, match=r"x of shape \(2, 3\) does not fit the model: .* dtype"):
        lt.export(nn.Linear(3, 3), x)


class Remembers(nn.Module):
    """Keeps its sums in a buffer, in another in place, in an attribute, and its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(()).double())
        self.register_buffer("added", torch.zeros(()).double())
        self.held, self.calls = torch.zeros(()), 0

    def forward(self, x):
        self.sums = self.sums + x.sum()
        if not torch._C._functorch.is_batchedtensor(x):
            self.added += x.detach().sum()
        self.held, self.calls = self.held + x.sum(), self.calls + 1
        self.last = x.sin()
        return self.last


@pytest.mark.filterwarnings("ignore:The upper bound is infinite")
@pytest.mark.parametrize("inner", [nn.Identity(), Item()], ids=["vmap", "loop"])
@pytest.mark.parametrize(
    "measure",
    [
        lt.jacobian_singular_values,
        lt.jacobian_spectral_norm,
        lt.spectral_jacobian_penalty,
        lt.lipschitz_bounds,
        lt.audit,
        lt.export,
    ],
    ids=lambda f: f.__name__,
)
def test_a_model_that_remembers_is_left_as_it_was(measure, inner, capsys) -> None:
    model = nn.Sequential(inner, Remembers())
    before = {**vars(model[1]), **model[1]._buffers}
    for n in (4, 70):  # of 70 numbers the Jacobian of a bound is not formed
        measure(model, random(3, n))
        after = {**vars(model[1]), **model[1]._buffers}
        assert after.keys() == before.keys()
        assert all(after[name] is before[name] for name in before)
        assert model[1].added == 0


def test_what_works_in_place_leaves_x_alone_sample_by_sample_too() -> None:
    f, x = nn.Sequential(InPlace(), Item()), random(3, 4).abs()
    before = x.clone()
    for call in (lt.jacobian_singular_values, lt.jacobian_spectral_norm):
        call(f, x)
        assert torch.equal(x, before)
