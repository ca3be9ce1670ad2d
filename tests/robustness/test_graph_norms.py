"""Certified bounds of traced forwards: exact ones, random ones, and those not to believe."""

import itertools
import math
import random
import re
import types
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn
from torch.nn import functional as F

import lipteach as lt
from lipteach.layers.measured import measured
from lipteach.robustness.certified_norms import norms_along
from lipteach.robustness.graph_memory import numbered, uses
from lipteach.robustness.graphs import traced

NORMS = (1, 2, math.inf)


def module_of(forward, **parts) -> nn.Module:
    """A module of a class of its own, which has that forward."""
    made = type("Net", (nn.Module,), {"forward": forward})()
    for name, part in parts.items():
        setattr(made, name, part)
    return made.double().requires_grad_(False)


def linear(m: int, n: int, seed: int = 0) -> nn.Linear:
    return lt.frozen_linear(uniform(m, n, seed=seed), uniform(m, seed=seed + 50))


def norm(W: torch.Tensor, p: float) -> float:
    return float(torch.linalg.matrix_norm(W, p))


DOUBLE = [
    lambda _, x: x + x,
    lambda _, x: 2.0 * x + 1,
    lambda _, x: torch.relu(x) - (-x),
    lambda _, x: x / 0.5,
    lambda _, x: (4 - x) * 2,
    lambda net, x: x * (net.c - 1) / 5 - 3,
    lambda net, x: x.mul(net.c.abs().max() - 7),
]
TWICE = [
    lambda _, x: torch.cat([x, x], 1),
    lambda _, x: torch.stack([x, -x], dim=1),
    lambda _, x: x.repeat(1, 2),
    lambda _, x: torch.cat([x.unsqueeze(1), x[:, None, :]], 2).flatten(1),
    lambda _, x: torch.cat((x, x + 1), dim=-1),
    lambda _, x: x[:, [0, 1, 2, 3, 0, 1, 2, 3]],
    lambda _, x: x.unsqueeze(1).expand(-1, 2, -1),
]
ONCE = [
    lambda _, x: lt.maxmin(x),
    lambda _, x: lt.full_sort(lt.group_sort(x, 2)),
    lambda _, x: x.flip(1)[:, 1:].clamp(min=0.1),
    lambda _, x: x.view(-1, 2, 2).permute(0, 2, 1).reshape(x.size(0), -1),
    lambda _, x: x.reshape(x.shape[0], x.shape[1] // 2, 2).transpose(1, 2).contiguous(),
    lambda _, x: x.chunk(2, dim=1)[1].abs(),
    lambda net, x: x + net.c,
    lambda _, x: F.leaky_relu(F.relu(x), 0.2),
    lambda net, x: F.dropout(x, 0.5, training=net.training),
    lambda _, x: F.max_pool1d(x.unsqueeze(1), 2).squeeze(1),
]


@pytest.mark.parametrize("p", NORMS)
def test_bounds_that_are_exact(p: float) -> None:
    """Upper bounds that a Jacobian reaches."""
    x, A, B = uniform(4, 4), linear(4, 4), linear(3, 4, 1)
    for bound, forwards in ((2, DOUBLE), (2 ** (1 / p), TWICE), (1, ONCE)):
        for forward in forwards:
            model = module_of(forward)
            model.register_buffer("c", torch.full((1, 4), -9.0).double())
            found = lt.lipschitz_bounds(model, x, p)
            assert found == pytest.approx((bound, bound), rel=1e-9)
    detached = module_of(lambda _, x: x.detach() - 2)
    assert lt.lipschitz_bounds(detached, x, p).upper == 1
    summed = module_of(lambda net, x: net.A(x) + net.A(x) * 0.5, A=A)
    exact = 1.5 * norm(A.weight, p)
    assert lt.lipschitz_bounds(summed, x, p) == pytest.approx((exact, exact), rel=1e-12)
    chain = module_of(lambda net, x: net.B(F.relu(net.A(x))), A=A, B=B)
    sequence = nn.Sequential(A, nn.ReLU(), B)
    assert lt.lipschitz_bounds(chain, x, p) == lt.lipschitz_bounds(sequence, x, p)
    block = module_of(lambda net, x: x + net.body(x), body=nn.Sequential(A, lt.MaxMin()))
    assert lt.lipschitz_bounds(block, x, p).upper == pytest.approx(
        lt.lipschitz_bounds(lt.Residual(block.body), x, p).upper, rel=1e-12
    )


@pytest.mark.parametrize("p", NORMS)
def test_sums_and_means_along_dimensions(p: float) -> None:
    x = uniform(3, 2, 4, 5)
    for forward, count, over in (
        (lambda _, x: x.mean((2, 3)), 20, 20),
        (lambda _, x: x.sum(dim=-1, keepdim=True), 5, 1),
        (lambda _, x: torch.mean(x, 1), 2, 2),
        (lambda _, x: torch.sum(x, dim=[1, 2]), 8, 1),
        (lambda _, x: F.avg_pool2d(x, 2), 4, 4),
        (lambda _, x: F.adaptive_avg_pool2d(x, 1).flatten(1), None, 1),
    ):
        lower, upper = lt.lipschitz_bounds(module_of(forward), x, p)
        want = 1.0 if count is None else norm(torch.ones(1, count).double() / over, p)
        assert upper == pytest.approx(want, rel=1e-12)
        assert lower <= upper


class Block(nn.Module):
    """A residual block as torchvision writes it, in place."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.norm = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.short = nn.Conv2d(before, after, 1) if before != after else None
        self.gain = nn.Parameter(torch.tensor(-0.7))

    def forward(self, x):
        out = self.relu(self.norm(self.first(x)))
        out = self.second(out) * self.gain
        out += x if self.short is None else self.short(x)
        return self.relu(out)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(2, 4), nn.MaxPool2d(2), Block(4, 4))
        self.head = nn.Linear(20, 3)

    def forward(self, x):
        y = self.blocks(x)
        y = torch.cat([y.flatten(1), y.mean(dim=(2, 3))], dim=1)
        return self.head(y.view(y.size(0), -1))


@pytest.mark.parametrize("p", NORMS)
def test_a_network_with_blocks_written_in_place(p: float) -> None:
    torch.manual_seed(0)
    network, x = Network().eval(), uniform(6, 2, 4, 4).float()
    lower, upper = lt.lipschitz_bounds(network, x, p)
    assert 0 < lower <= upper < 1000
    by_hand = nn.Sequential(network.blocks[0], network.blocks[1])
    assert lt.lipschitz_bounds(by_hand, x, p).upper < math.inf
    block = network.blocks[2]
    body = nn.Sequential(block.first, block.norm, nn.ReLU(), block.second, lt.Scale(-0.7))
    same = nn.Sequential(lt.Residual(body), nn.ReLU())
    y = uniform(2, 4, 2, 2).float()
    assert lt.lipschitz_bounds(block, y, p).upper == pytest.approx(
        lt.lipschitz_bounds(same, y, p).upper, rel=1e-6
    )


def one_step(net, kind: int, y, z):
    head, tail = y.chunk(2, 1)
    steps = [
        lambda: y + z,
        lambda: y - 0.5 * z,
        lambda: net.m0(y),
        lambda: net.m1(y) + net.m2(z),
        lambda: net.s(torch.relu(y)),
        lambda: lt.maxmin(y) / -2,
        lambda: torch.cat([y[:, :2], z[:, 2:]], 1),
        lambda: torch.cat([y, z], 1).view(-1, 2, 4).mean(1),
        lambda: torch.stack([y, z], 2).sum(2),
        lambda: torch.minimum(y, z.flip(1)),
        lambda: net.h(y.clamp(-1, 1)),
        lambda: F.avg_pool1d(torch.cat([y, z], 1).unsqueeze(1), 3, 2, 1).flatten(1),
        lambda: torch.cat([tail.abs(), head, z[..., :1]], 1)[:, :4],
    ]
    return steps[kind]()


def random_forward(seed: int):
    """A program of steps on a list of tensors, (…, 4) each, and the modules that it calls."""
    draw = random.Random(seed)
    parts = {f"m{k}": linear(4, 4, seed + k) for k in range(3)}
    parts["s"] = nn.Sequential(linear(4, 4, seed + 7), lt.MaxMin(), lt.Scale(-0.5))
    parts["h"] = lt.Householder(4)
    length = draw.randint(2, 7)
    program = [(draw.randrange(13), draw.random(), draw.random()) for _ in range(length)]

    def forward(net, x):
        held = [x]
        for kind, a, b in program:
            y, z = held[int(a * len(held))], held[int(b * len(held))]
            held.append(one_step(net, kind, y, z))
        return torch.cat(held[-2:], dim=1)

    return module_of(forward, **parts)


@given(st.integers(0, 10**6), st.sampled_from(NORMS), st.sampled_from(NORMS))
@settings(max_examples=60, deadline=None)
def test_no_pair_of_points_refutes_a_random_program(seed: int, p: float, q: float) -> None:
    """Points far apart and near, in directions that are sparse or signs; and Jacobians."""
    network = random_forward(seed)
    upper = norms_along(network, uniform(2, 4), p)[q]
    assert upper < math.inf
    x = 2 * uniform(400, 4, seed=seed)
    ways = torch.cat([uniform(200, 4, seed=seed + 1).sign(), torch.eye(4).double().repeat(50, 1)])
    y = x + torch.logspace(-4, 0.5, 400, dtype=torch.float64)[:, None] * ways
    rise = torch.linalg.vector_norm(network(y) - network(x), q, dim=1)
    run = torch.linalg.vector_norm(y - x, p, dim=1)
    assert float((rise / run).max()) <= upper * (1 + 1e-9)
    if p == q:
        bounds = lt.lipschitz_bounds(network, x[:6], p)  # which raises if a Jacobian refutes it
        assert bounds.upper == pytest.approx(upper, rel=1e-9)


def branch(net, x):
    return x if x.norm() > 100 else 7 * x


def guarded(net, x):
    if isinstance(x, torch.Tensor) and x.abs().max() > 100:
        return 7 * x
    return x


def is_far(x):
    return isinstance(x, torch.Tensor) and bool(x.abs().max() > 100)


def guarded_elsewhere(net, x):
    return 7 * x if is_far(x) else x


is_one_of = isinstance
elsewhere = types.SimpleNamespace(is_far=is_far)


def guarded_by_another_name(net, x):
    return 7 * x if is_one_of(x, Array) and x.abs().max() > 100 else x


def guarded_in_a_module(net, x):
    return 7 * x if elsewhere.is_far(x) else x


def guarded_by_a_pattern(net, x):
    match x:
        case Array():
            return 7 * x if x.abs().max() > 100 else x
    return x


Array = torch.Tensor


def caught(net, x):
    try:
        far = float(x.detach().abs().max()) > 100
    except Exception:
        far = False
    return 7 * x if far else x


def caught_branch(net, x):
    try:
        if x.sum() > 100:
            return 7 * x
    except Exception:
        pass
    return x


def revealed(net, x):
    return x if torch.fx._symbolic_trace.is_fx_tracing() else 7 * x


def revealed_far_away(net, x):
    if torch.fx._symbolic_trace.is_fx_tracing():
        return x
    return 7 * x if x.norm() > 1000 else x


def of_a_class(net, x):
    return 7 * x if type(x) is torch.Tensor else x


def counted(net, x):
    net.calls += 1
    return x * (1.0 if net.calls < 1000 else 7.0)


def written(net, x):
    net.state.add_(1e-13)
    return x * net.state


def aliased(net, x):
    y = x + 0
    z = y.view(-1, 4)
    y += 3 * z
    return z + y


def written_over(net, x):
    y = net.m(x)
    z = y * 1
    net.over(y)
    return z + y


def over_the_input(net, x):
    return net.over(x) + x


UNBELIEVABLE = {
    "a branch": branch,
    "a guarded branch": guarded,
    "a guard in another function": guarded_elsewhere,
    "a guard by another name": guarded_by_another_name,
    "a guard in a module": guarded_in_a_module,
    "a guard by a pattern": guarded_by_a_pattern,
    "a number that was asked for": caught,
    "a branch whose refusal is caught": caught_branch,
    "a look for a trace": revealed,
    "a look for a trace, far away": revealed_far_away,
    "a look at the class": of_a_class,
    "a count of calls": counted,
    "a state": written,
    "two names of one memory": aliased,
    "a result that is written over": written_over,
    "an input that is written over": over_the_input,
    "a product of two": lambda net, x: x * x,
    "a quotient": lambda net, x: 1 / (x * x + 1),
    "a square": lambda net, x: x**2,
    "an exponential": lambda net, x: torch.exp(x),
    "a division by zero": lambda net, x: x / 0.0,
    "numbers of the batch": lambda net, x: x * x.shape[0],
    "a sum over the batch": lambda net, x: x + x.sum(0, keepdim=True),
    "a mean over all": lambda net, x: x - x.mean(),
    "a flip of the batch": lambda net, x: x.flip(0),
    "a turned batch": lambda net, x: x.t().reshape(-1, 4),
    "a joined batch": lambda net, x: torch.cat([x, x])[::2],
    "a part of the batch": lambda net, x: x[:1] + x,
    "entries that are repeated to fit": lambda net, x: x[:, :1] + x,
    "a batch that is repeated": lambda net, x: x[:, None] + x[None],
    "a noise": lambda net, x: x + 1e-9 * torch.randn(4),
    "a rounding": lambda net, x: x.round(),
    "half precision": lambda net, x: x.half().double(),
    "gelu": lambda net, x: F.gelu(x),
    "numbers of another": lambda net, x: net.m.weight @ x.mT,
    "a module it does not hold": lambda net, x: HELD(x),
    "a sort along the batch": lambda net, x: lt.full_sort(x, 0),
    "a function of a stranger": lambda net, x: strange(x),
    "a stranger's constant": lambda net, x: x * strange(net.m.bias),
    "dropout": lambda net, x: F.dropout(x, 1e-9, True),
    "a mask": lambda net, x: torch.where(x > 1, 7 * x, x),
    "entries at indices of x": lambda net, x: x[:, x.argmax(1)],
}
HELD = nn.Linear(4, 4).double()


@torch.fx.wrap
def strange(x):
    return 7 * x if float(x.norm()) > 1000 else x


@pytest.mark.parametrize("name", UNBELIEVABLE)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.filterwarnings("ignore:.*torch.fx:UserWarning")
def test_what_is_not_believed(name: str, inside: bool) -> None:
    over = nn.ReLU(inplace=True)
    model = module_of(UNBELIEVABLE[name], m=linear(4, 4), over=over)
    model.register_buffer("state", torch.ones((), dtype=torch.float64))
    model.calls = 0
    if inside:
        model = nn.Sequential(nn.Identity(), module_of(lambda net, x: 2 * net.part(x), part=model))
    measured_copy, _ = measured(model)
    assert norms_along(measured_copy, uniform(1, 4), 2)[2] == math.inf
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        try:
            upper = lt.lipschitz_bounds(model, uniform(4, 4)).upper
        except ValueError as refused:  # its samples are not treated one by one
            said = str(refused)
        else:
            said = str(noted[-1].message) if upper == math.inf else ""
    assert re.search("none is known|does not fit the model|batch|samples", said)


@pytest.mark.parametrize("forward", [branch, guarded, caught, caught_branch, counted, written])
def test_a_trace_is_refused_by_itself(forward) -> None:
    """Whatever steps the forward has: also where the refusal is caught, or a state moves on."""
    model = module_of(forward)
    model.register_buffer("state", torch.ones((), dtype=torch.float64))
    model.calls = 0
    assert traced(measured(model)[0], uniform(1, 4)) is None


def test_entries_that_are_of_another_sample_are_told() -> None:
    labels = numbered(uniform(2, 3))
    assert uses(labels[:, [0, 2, 0, 0]], 3) == 3
    for mixed in (labels[[0, 0]], labels[[1, 1]], labels.flip(0), labels[:1], labels.T):
        assert uses(mixed, 3) == 0


def far(_, given, out):
    """What a hook may do where no sample lies."""
    return out if out.abs().max() < 1000 else 5 * out


def test_hooks_calls_and_forwards_of_an_instance_stay_unbelieved() -> None:
    def plain(net, x):
        return x + net.m(x)

    made = [module_of(plain, m=linear(4, 4)) for _ in range(6)]
    made[0].register_forward_hook(far)
    made[1].m.register_forward_hook(far)
    made[2].forward = lambda x: far(None, x, x)
    kind = type("Called", (type(made[3]),), {"__call__": lambda self, x: far(self, x, x)})
    made[3].__class__ = kind
    looked = type("Looked", (type(made[4]),), {"__getattr__": nn.Module.__getattr__})
    made[4].__class__ = looked
    mixed = type("Mixin", (), {"_call_impl": lambda self, x: far(self, x, x)})
    made[5].__class__ = type("Mixed", (mixed, type(made[5])), {})
    for model in made:
        with pytest.warns(lt.UnknownBoundWarning):
            assert lt.lipschitz_bounds(model, uniform(4, 4)).upper == math.inf


def test_what_has_none_is_named() -> None:
    inner = module_of(lambda net, x: net.act(x) + x, act=nn.GELU())
    outer = nn.Sequential(nn.Identity(), inner)
    with pytest.warns(lt.UnknownBoundWarning, match=r"known for 1\.act \(GELU\)\.$"):
        lt.lipschitz_bounds(outer, uniform(3, 2))
    odd = module_of(lambda net, x: F.softplus(x))
    with pytest.warns(lt.UnknownBoundWarning, match="for Net, whose forward uses softplus in a"):
        lt.lipschitz_bounds(odd, uniform(3, 2))
    constant = module_of(lambda net, x: net.m(net.c), m=linear(4, 4))
    constant.register_buffer("c", torch.zeros(1, 4).double())
    assert norms_along(constant, uniform(1, 4), 2)[2] == math.inf


def test_blocks_within_blocks_are_traced_once(monkeypatch) -> None:
    from lipteach.robustness import certified_norms

    calls, real = [], certified_norms.traced
    monkeypatch.setattr(certified_norms, "traced", lambda *given: calls.append(1) or real(*given))
    block = nn.Sequential(linear(4, 4))
    for _ in range(6):
        block = module_of(lambda net, x: net.inner(x) / 2 + x, inner=block)
    assert lt.lipschitz_bounds(block, uniform(3, 4)).upper < math.inf
    assert len(calls) == 6


def test_the_model_is_left_as_it_is() -> None:
    model = module_of(lambda net, x: x * torch.tensor(2.0) + net.m(x), m=linear(4, 4))
    before = dict(vars(model))
    assert lt.lipschitz_bounds(model, uniform(3, 4)).upper < math.inf
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)


def test_what_a_trace_leaves_is_taken_away() -> None:
    """A stand-in in a buffer or in an attribute would meet the next run."""

    def forward(net, x):
        net.c = net.c + x.sum()
        net.last = x
        return x * 2

    model = module_of(forward)
    model.register_buffer("c", torch.zeros(()).double())
    assert traced(model, uniform(1, 4)) is None
    assert float(model.c) == 0
    assert not hasattr(model, "last")


def test_joined_bounds_are_those_of_the_norm_behind() -> None:
    """(f, g) from p to q: reached where both stretch the same direction most."""
    network = module_of(lambda net, x: torch.cat([3 * x, 4 * x], 1))
    for p, q in itertools.product(NORMS, NORMS):
        found = norms_along(network, uniform(2, 1), p)[q]
        assert found == pytest.approx({1: 7, 2: 5, math.inf: 4}[q], rel=1e-12)
