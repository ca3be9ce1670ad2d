"""A trace is believed only of a forward that could not tell it from a run, and keeps to itself."""

import collections
import contextlib
import functools
import gc
import itertools
import math
import operator
import sys
import types
import typing
import warnings
from functools import partial

import pytest
import torch
from support import uniform
from torch import Tensor, nn
from torch._tensor import _rebuild_from_type_v2
from torch.fx._symbolic_trace import is_fx_tracing as tracing
from torch.nn import functional as F
from torch.overrides import has_torch_function_unary

import lipteach as lt
from lipteach.robustness.certified_norms import norms_along
from lipteach.robustness.graph_witness import Witness, is_strange
from lipteach.robustness.graphs import traced

FAR = 100.0  # no sample is


def module_of(forward, **parts) -> nn.Module:
    """A module of a class of its own, which has that forward and these attributes."""
    made = type("Net", (nn.Module,), {"forward": forward})()
    for name, part in parts.items():
        setattr(made, name, part)
    return made.double()


def shifted() -> nn.Linear:
    """A layer after which ReLU is 0 where samples are."""
    layer = nn.Linear(4, 4).double()
    layer.weight.data = torch.eye(4).double()
    layer.bias.data.fill_(-50)
    return layer.requires_grad_(False)


@functools.singledispatch
def dispatched(x):
    return 1 * x


@dispatched.register
def _(x: Tensor):
    return x if x.abs().max() < FAR else 5 * x


def asks(question):
    """A forward that looks at the entries where the answer says that it may."""

    def forward(net, x):
        if question(net, x) and x.abs().max() > FAR:
            return 5 * x
        return 1 * x

    return forward


def can(look):
    """A question: whether a look at x succeeds."""

    def question(net, x):
        try:
            look(x)
        except AttributeError:
            return True
        return False

    return question


def goes_on(attempt):
    """A forward that goes on where an attempt fails."""

    def forward(net, x):
        factor = 1.0
        with contextlib.suppress(Exception):
            factor = attempt(x)
        return factor * x

    return forward


class Odd(Tensor):
    """Multiplies otherwise where entries are large."""

    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        out = super().__torch_function__(f, types, args, kwargs or {})
        if "mul" not in f.__name__:
            return out
        plain = out.as_subclass(Tensor)
        return torch.where(plain > FAR, 5 * plain, plain)


class Writer(nn.Module):
    def __init__(self, shared) -> None:
        super().__init__()
        self.shared = shared

    def forward(self, x):
        self.shared.update(x=x)
        return x + 0


class Reader(Writer):
    def forward(self, k):
        return F.relu(self.shared["x"] * 1.0 - 50) * k


class Driven(nn.Module):
    def forward(self, x):
        return F.relu(x - 50) * STATE.k


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.k, self.layer = 1.0, shifted()

    def forward(self, x):
        return self.k * F.relu(self.layer(x))


def toggled(net, x):
    slope = net.act.negative_slope
    net.act.negative_slope = 5.0
    y = net.act(x)
    net.act.negative_slope = slope
    return y


def toggled_by_its_block(net, x):
    factor, net.block.k = net.block.k, 5.0
    y = net.block(x)
    net.block.k = factor
    return y + net.block(x)


def toggled_elsewhere(net, x):
    factor, STATE.k = STATE.k, 5.0
    y = net.driven(x)
    STATE.k = factor
    return y


def in_a_variable():
    factor = 1.0

    class Read(nn.Module):
        def forward(self, x):
            return F.relu(x - 50) * factor

    def forward(net, x):
        nonlocal factor
        factor = 5.0
        y = net.reads(x)
        factor = 1.0
        return y

    return forward, Read()


TO_A_VARIABLE, READS = in_a_variable()


def toggled_by_a_function(net, x):
    net.act.eval()
    y = net.act(x)
    net.act.train()
    return y


def shared_dictionary(net, x):
    return net.writer(x) + net.reader(net.k)


def in_a_list_that_lasts(net, x):
    net.kept.append(1)
    y = x * len(net.kept)
    net.kept.pop()
    return y


def in_a_list_of_another_file(net, x):
    ELSEWHERE.kept.append(1)
    return x * (1.0 if len(ELSEWHERE.kept) < 1000 else 7.0)


def in_a_dictionary_that_lasts(net, x):
    ELSEWHERE.numbers.update(k=2 * ELSEWHERE.numbers["k"])
    return x * (1.0 if ELSEWHERE.numbers["k"] < 1000 else 7.0)


def in_a_list_of_a_finalizer(net, x):
    ELSEWHERE.begun.append(1)
    return x * (1.0 if len(ELSEWHERE.begun) < 1000 else 7.0)


class Finalized:
    """Garbage of a cycle, whose end begins a list anew."""

    def __init__(self) -> None:
        self.own = self

    def __del__(self) -> None:
        ELSEWHERE.begun = []


def counts(add):
    """A factor that is another one after a thousand runs, and what it counts with."""

    def forward(net, x):
        add(ELSEWHERE.kept)
        return x * (1.0 if len(ELSEWHERE.kept) < 1000 else 7.0)

    return forward


def longer_deep(net, x):
    kept = HOLDER.deep.deeper.deepest.noted
    kept += [1.0]
    return x * (1.0 if len(kept) < 1000 else 7.0)


def longer(net, x):
    kept = net.kept
    kept += [1.0]
    return x * (1.0 if len(kept) < 1000 else 7.0)


def in_a_cell(kept=[2.0]):  # noqa: B006
    def forward(net, x):
        kept[0] = 3.0
        return x * kept[0]

    return forward


def erased(net, x):
    c = torch.full((4,), 5.0, dtype=torch.float64)
    y = F.relu(net.layer(x)) * c
    c.data.zero_()
    return y


def erased_as_an_array(net, x):
    c = torch.full((4,), 5.0, dtype=torch.float64)
    y, same = F.relu(net.layer(x)) * c, c.numpy()
    same -= 5
    return y


def written_to_an_attribute(net, x):
    y = x * net.free
    net.free.add_(1)
    return y


def erased_into(net, x):
    c = torch.full((4,), 5.0, dtype=torch.float64)
    y = F.relu(net.layer(x)) * c
    torch.mul(c, 0, out=c)
    return y


def same_object(net, x):
    y = x.contiguous()
    return 5 * x if y is x and x.abs().max() > FAR else x


def by_a_class_held(net, x):
    match x:
        case HELD.kind():
            return 5 * x if x.abs().max() > FAR else x
    return x


class OddNumber(float):
    """Another number to torch."""

    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        x = args[0]
        return torch.where(x > FAR, 5 * x, x)


def counted(counter):
    return 1.0 if next(counter) < 1000 else 7.0


def optional(net, x, mask=None):
    """A parameter that a call leaves out."""
    if mask is not None:
        return 1 * x
    return 1 * x + 5 * F.relu(net.layer(x))


@torch.no_grad()
def clamped(net, x):
    c = net.gain * 5
    y = F.relu(net.layer(x)) * c
    return y + F.hardtanh(c, 0, 0.1, inplace=True)


@torch.no_grad()
def clamped_by_a_view(net, x):
    c = net.gain * 5
    y = F.relu(net.layer(x)) * c
    torch.clamp_(c.view(-1), max=0.1)
    return y


def tried(net, x):
    try:
        torch.finfo(x.dtype)
    except TypeError:
        return 1 * x
    return x if x.abs().max() < FAR else 5 * x


def grown(thing):
    def forward(net, x):
        held = thing
        held += held[:1]
        return x * 1.0

    return forward


def counted_in_a_tensor(net, x):
    n = COUNT
    n += 1
    return x * (1.0 if n < 1000 else 7.0)


def counted_by_an_output(net, x):
    torch.add(COUNT, 1, out=COUNT)
    return x * (1.0 if COUNT < 1000 else 7.0)


def counted_by_an_unpacked_output(net, x):
    torch.add(COUNT, 1, **{"out": COUNT})
    return x * (1.0 if COUNT < 1000 else 7.0)


def counted_by_default(net, x, n=torch.zeros(())):  # noqa: B008
    torch.add(n, 1, out=n)
    return x * (1.0 if n < 1000 else 7.0)


def counted_deep(net, x):
    n = HOLDER.deep.number
    n += 1
    return x * (1.0 if n < 1000 else 7.0)


def counted_in_a_helper(net, x):
    HOLDER.count.add_(1)
    return x * (1.0 if HOLDER.count < 1000 else 7.0)


class Put(nn.Module):
    """Lets another module have its input."""

    def __init__(self, put) -> None:
        super().__init__()
        self.put = (put,)

    def forward(self, x):
        self.put[0](x)
        return x + 0


class Take(nn.Module):
    def forward(self, z):
        return F.relu(SHARED["x"] * 1.0 - 50) * 5 + z


def join(x):
    held = SHARED
    held |= {"x": x}


PUT = {
    "a function": lambda x: operator.setitem(SHARED, "x", x),
    "a method": lambda x: SHARED.__setitem__("x", x),
    "a union": join,
}


@pytest.mark.parametrize("way", PUT)
def test_an_input_that_another_module_has_by_a_dictionary_is_not_believed(way: str) -> None:
    SHARED.clear()
    forward = lambda net, x: net.take(net.put(x))  # noqa: E731
    model = module_of(forward, put=Put(PUT[way]), take=Take())
    model(torch.zeros(1, 4).double())
    assert norms_along(model, uniform(1, 4), 2)[2] == math.inf


def set_around(net, x):
    slope = net.act.negative_slope
    object.__setattr__(net.act, "negative_slope", 5.0)
    y = net.act(-F.relu(x - 50))
    object.__setattr__(net.act, "negative_slope", slope)
    return y


def suppressed(net, x):
    with contextlib.suppress(TypeError):
        torch.finfo(x.dtype)
        return x if x.abs().max() < FAR else 5 * x
    return 1 * x


SHARED: dict = {}
COUNT = torch.zeros(())
COUNTER, ONE = itertools.count(), OddNumber(1.0)
HOLDER = types.SimpleNamespace(counter=COUNTER, count=torch.zeros(()))
HOLDER.deep = types.SimpleNamespace(number=torch.zeros(()))
HOLDER.deep.deeper = types.SimpleNamespace(deepest=types.SimpleNamespace(noted=[]))
COUNTERS, ASKED_FOR = {"one": itertools.count()}, collections.defaultdict(float)
KINDS = (type, Tensor)
STATE = types.SimpleNamespace(k=1.0)
LOOP, NONE = map, type(None)
ELSEWHERE = types.ModuleType("elsewhere")
ELSEWHERE.kept, ELSEWHERE.begun, ELSEWHERE.numbers = [], [], {"k": 1}
HOLDER_OF_ONE = (COUNTER,)
HELD = types.SimpleNamespace(kind=Tensor)
UNBELIEVABLE = {
    "asks for a trace by another name": asks(lambda net, x: not tracing()),
    "asks for the flag of a trace": asks(
        lambda net, x: not torch.fx._symbolic_trace._is_fx_tracing_flag
    ),
    "asks for what a trace wraps": asks(lambda net, x: net.__call__.__closure__ is None),
    "asks by a loop": asks(
        lambda net, x: not [*itertools.takewhile(has_torch_function_unary, [x])]
    ),
    "asks whether torch has an override": asks(lambda net, x: not has_torch_function_unary(x)),
    "asks by an attribute": asks(lambda net, x: net.ask(x)),
    "asks for the class by an attribute": asks(lambda net, x: net.kind_of(x) == HELD.kind),
    "asks by a part of a function": asks(lambda net, x: net.is_one(x)),
    "asks whether gradients are recorded": asks(lambda net, x: torch.is_grad_enabled()),
    "asks for the profile": asks(lambda net, x: sys.getprofile() is None),
    "asks whether it has": asks(lambda net, x: not hasattr(x, "node")),
    "asks for what only stand-ins have": asks(can(lambda x: x.node)),
    "asks for what no tensor has": asks(can(lambda x: x.unknown)),
    "asks in vain what it may be": asks(lambda net, x: net.is_held(x, HELD.kind)),
    "asks by its text": asks(lambda net, x: f"{x}".startswith("tensor")),
    "dispatches on the class": lambda net, x: dispatched(x),
    "a number of the data, or none": goes_on(lambda x: 5.0 if float(x.mean().data) > FAR else 1.0),
    "a number of its absolute": goes_on(lambda x: 5.0 if math.sqrt(x.abs().max()) > 10 else 1.0),
    "a number of its real part": goes_on(lambda x: 5.0 if float(x.sum(1).real) > FAR else 1.0),
    "a setting that is changed": toggled,
    "a factor that is changed": toggled_by_its_block,
    "a factor of a namespace that is changed": toggled_elsewhere,
    "a variable that is changed": TO_A_VARIABLE,
    "a mode that is changed": toggled_by_a_function,
    "a dictionary of two": shared_dictionary,
    "a list that lasts": in_a_list_that_lasts,
    "a list of another file": in_a_list_of_another_file,
    "a list deep in a namespace": longer_deep,
    "a list that grows by a key": counts(lambda kept: max([1], key=kept.append)),
    "a list that grows by a loop": counts(lambda kept: [*itertools.starmap(kept.append, [(1,)])]),
    "a list that grows by a loop of another name": counts(lambda kept: [*LOOP(kept.append, [1])]),
    "a list that grows by torch": counts(
        lambda kept: _rebuild_from_type_v2(kept.append, NONE, (1,), None)
    ),
    "a dictionary that grows when it is asked": lambda net, x: (
        x * (1.0 if ASKED_FOR[len(ASKED_FOR)] + len(ASKED_FOR) < 1000 else 7.0)
    ),
    "a setting that a decorator leaves": lambda net, x: (
        x * (1.0 if typing.dataclass_transform(k=x)(ELSEWHERE) else 7.0)
    ),
    "a dictionary that lasts": in_a_dictionary_that_lasts,
    "a list that grows": longer,
    "what a module of a stranger makes of a constant": lambda net, x: x + net.block(net.four),
    "a cell that lasts": in_a_cell(),
    "a constant that is erased": erased,
    "a constant that is written over": erased_into,
    "a constant that is an array as well": erased_as_an_array,
    "a tensor that is no parameter": written_to_an_attribute,
    "a constant of another class": lambda net, x: x * net.odd[0],
    "a constant that is clamped": clamped,
    "a constant that is clamped by a view": clamped_by_a_view,
    "an error that only a stand-in meets": tried,
    "an error that is suppressed": suppressed,
    "a list that grows by a name": grown([1.0]),
    "an array that grows": grown(torch.zeros(3).numpy()),
    "a count in a tensor": counted_in_a_tensor,
    "a count in a helper's tensor": counted_in_a_helper,
    "a count in a helper of a helper": counted_deep,
    "a count by an output": counted_by_an_output,
    "a count by an output that is unpacked": counted_by_an_unpacked_output,
    "a count by an output of a default": counted_by_default,
    "a setting that object sets": set_around,
    "asks whether it has a gradient": asks(lambda net, x: x.grad is None),
    "asks whether a product records": asks(
        lambda net, x: (next(net.parameters()) * 1).requires_grad
    ),
    "asks by its representation": asks(lambda net, x: f"{x!r}".startswith("tensor")),
    "asks in a list": asks(lambda net, x: f"{[x]}".startswith("[tensor")),
    "asks by a class in a tuple": asks(lambda net, x: KINDS[0](x) == KINDS[1]),
    "asks by a call of a call": asks(lambda net, x: not any(map(has_torch_function_unary, [x]))),
    "asks until an answer": asks(lambda net, x: any(iter(torch.is_grad_enabled, False))),
    "asks by a part of a call": asks(lambda net, x: not partial(has_torch_function_unary)(x)),
    "asks by a part that is held": asks(lambda net, x: net.records()),
    "asks whether it keeps a gradient": asks(lambda net, x: x.retains_grad is False),
    "asks for its file": asks(lambda net, x: x.__module__ == "torch"),
    "asks by a format": asks(lambda net, x: "Tensor" in "{.__class__}".format(x)),  # noqa: UP032
    "asks an operator": asks(lambda net, x: operator.is_(x.contiguous(), x)),
    "a multiple of the number of samples": lambda net, x: x * (1 + 4 * (x.size(0) // 3)),
    "entries by the number of samples": (
        lambda net, x: x[:, torch.tensor([0, 1, 2, 3]) * (x.size(0) - 1)]
    ),
    "a number of another class": lambda net, x: x * ONE,
    "a count": lambda net, x: x * (1.0 if next(COUNTER) < 1000 else 7.0),
    "a count that is held": lambda net, x: x * (1.0 if next(HOLDER.counter) < 1000 else 7.0),
    "a count in a dictionary": lambda net, x: x * (1.0 if next(COUNTERS["one"]) < 1000 else 7.0),
    "a count that is given": lambda net, x: x * counted(*HOLDER_OF_ONE),
    "a name that is hidden": asks(lambda net, x: operator.attrgetter("is_leaf")(x)),
    "a choice by the number of samples": lambda net, x: x * {3: 7.0}.get(x.size(0), 1.0),
    "the same object": same_object,
    "a pattern of a class held": by_a_class_held,
}


def with_parts(forward) -> nn.Module:
    """A module with all that the forwards above need."""
    odd = torch.ones(4).double().as_subclass(Odd)
    parts = {
        **{
            "ask": torch.is_tensor,
            "kind_of": type,
            "kept": [],
            "numbers": {"k": 1},
            "odd": (odd,),
            "block": Block(),
        },
        **{"is_one": partial(lambda kind, x: kind(x) == Tensor, type), "layer": shifted()},
        **{
            "is_held": partial(isinstance),
            "records": partial(torch.is_grad_enabled),
            "free": torch.ones(()).double(),
            "driven": Driven(),
            "reads": READS,
        },
        **{"act": nn.LeakyReLU(1.0), "writer": Writer(SHARED), "reader": Reader(SHARED)},
    }
    model = module_of(forward, **parts)
    model.register_buffer("k", torch.tensor(5.0).double())
    model.gain = nn.Parameter(torch.ones(4).double())
    model.register_buffer("four", torch.ones(1, 4).double())
    SHARED.clear()
    return model


def test_a_forward_is_believed_whatever_the_module_holds() -> None:
    for forward in (
        *(lambda net, x: 1 * x, lambda net, x: net.act(x), lambda net, x: net.block(x)),
        *(lambda net, x: net.layer(x), lambda net, x: x * net.free),
        *(lambda net, x: net.driven(x), lambda net, x: net.reads(x)),
    ):
        assert norms_along(with_parts(forward), uniform(1, 4), 2)[2] == pytest.approx(1)


@pytest.mark.parametrize("name", UNBELIEVABLE)
@pytest.mark.filterwarnings("ignore:.*(torch.fx|leaf Tensor):UserWarning")
def test_what_could_tell_is_not_believed(name: str) -> None:
    model = with_parts(UNBELIEVABLE[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert norms_along(model, uniform(1, 4), 2)[2] == math.inf


def scaled(x, **options):
    return x * options.pop("factor", 1.0) + options.setdefault("shift", 0.0)


def usual(net, x):
    """What forwards are written with, every day."""
    y, found = x, []
    for layer in net.layers:
        y = layer(y)
        found.append(y)
    with torch.no_grad():
        scale = net.gain.abs().max()
    if net.skip is not None and len(net.layers) > 1:
        y = y + net.skip(x)
    names = dict()  # noqa: C408
    names.update({k: v / 2 for k, v in enumerate(found)}, one=y, plain=scaled(y, factor=1))
    y = sum(names.values()) + functools.reduce(operator.add, found)
    y = F.relu(y.view(y.size(0), -1)[:, :4]) * math.sqrt(4) * torch.tensor(2.0) / scale
    left, right = y.chunk(2, dim=1)
    return torch.cat([lt.maxmin(y), left, right], dim=max(1, -1)).clamp(min=0)


def test_a_parameter_that_is_left_out_has_its_default() -> None:
    model = module_of(optional, layer=shifted()).requires_grad_(False)
    assert norms_along(model, uniform(1, 4), 2)[2] == pytest.approx(6)


def test_what_is_usual_is_believed() -> None:
    layers = nn.ModuleList([shifted(), shifted()])
    model = module_of(usual, layers=layers, skip=nn.Identity(), gain=nn.Parameter(torch.ones(3)))
    model.requires_grad_(False)
    assert norms_along(model, uniform(1, 4), 2)[2] < math.inf


def test_what_a_collection_of_garbage_calls_is_not_the_forward_s() -> None:
    model = module_of(lambda net, x: x + sum([x * k for k in range(40)]))
    gc.callbacks.append(lambda phase, info: isinstance(phase, str))
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        assert traced(model, uniform(1, 4)) is not None
        assert gc.isenabled()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.pop()


def test_a_list_that_the_collection_at_the_start_makes_lasts() -> None:
    def begin(phase, info):
        ELSEWHERE.begun = []

    model = module_of(in_a_list_of_a_finalizer)
    gc.callbacks.append(begin)
    try:
        assert traced(model, uniform(1, 4)) is None
    finally:
        gc.callbacks.pop()
    gc.disable()
    try:
        for _ in range(9):
            Finalized()
        assert traced(model, uniform(1, 4)) is None
    finally:
        gc.enable()


def test_what_is_frozen_lasts() -> None:
    model = module_of(in_a_dictionary_that_lasts)
    gc.freeze()  # after which nobody finds who holds the dictionary
    try:
        assert traced(model, uniform(1, 4)) is None
    finally:
        gc.unfreeze()


def test_a_profile_goes_on_after_it() -> None:
    def profile(*_):
        return None

    sys.setprofile(profile)
    try:
        traced(module_of(lambda net, x: 2 * x), uniform(1, 4))
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(None)


def test_what_is_strange() -> None:
    assert is_strange(usual.__code__)
    for known in (F.relu, lt.maxmin, functools.wraps, Witness.__enter__):
        assert not is_strange(known.__code__)


@pytest.mark.parametrize("name", ["sin", "select", "neg", "roll", "__truediv__", "clip"])
def test_a_method_of_tensors_that_was_replaced_is_known_no_more(name: str, monkeypatch) -> None:
    model = module_of(lambda net, x: 2 * x)
    assert traced(model, uniform(1, 4)) is not None
    old = getattr(Tensor, name)
    monkeypatch.setattr(Tensor, name, lambda *given: old(*given))
    assert traced(model, uniform(1, 4)) is None
