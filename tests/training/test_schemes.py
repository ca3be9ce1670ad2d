"""Schemes: what each does before, during and after a step, and that a promised constant holds."""

import copy
import math

import pytest
import torch
from support import generator
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import lipteach as lt
from lipteach.training import (
    SCHEMES,
    Scheme,
    fit,
    initialize_,
    make_scheme,
    measure_classifier,
    mnist_sample,
    spread_scale,
)
from lipteach.training.arrangement import Dropout, layers_of

IMAGES, LABELS = mnist_sample("train")
POOLED = functional.avg_pool2d(IMAGES, 4)[::8]
DIGITS, Y = POOLED.flatten(1), LABELS[::8]
FULLY = (lt.MaxMin, nn.ReLU, lt.FullSort)
PROMISING = [(name, v) for name, row in SCHEMES.items() for v in row.grid if row.symbol == "L"]


def dense(activation=lt.MaxMin) -> nn.Sequential:
    network = nn.Sequential(
        *(nn.Linear(49, 12), activation(), nn.Linear(12, 12), activation(), nn.Linear(12, 10))
    )
    return initialize_(network, generator())


def convolutional() -> nn.Sequential:
    network = nn.Sequential(
        *(nn.Conv2d(1, 4, 2), nn.MaxPool2d(2), lt.MaxMin(1), nn.Conv2d(4, 6, 2), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(6, 10)),
    )
    return initialize_(network, generator())


def trained(name: str, value: float, network: nn.Sequential, x, steps: int = 6, lr: float = 0.05):
    """The scheme, and the network after some steps at a rate that leaves no weight in place."""
    scheme = make_scheme(name, value)
    network = scheme.prepare(network, generator(1))
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    loss = lambda model, x, y: functional.cross_entropy(model(x), y)  # noqa: E731
    fit(network, loss, [(x, Y)] * steps, optimizer, constraint=scheme)
    return scheme, network


@pytest.mark.parametrize(("name", "value"), PROMISING)
def test_a_constant_that_is_promised_is_kept(name: str, value: float) -> None:
    """By the certified bound of the finished network; the flattened kernels promise nothing."""
    convolutions = (convolutional(), POOLED[:, None])
    for network, x in ((dense(), DIGITS), convolutions)[
        : 2 if value == 10 or "flattened" in name else 1
    ]:
        scheme, after = trained(name, value, network, x)
        found = measure_classifier(scheme.finish(after), {"test": (x, Y)}, scheme.p, points=1)
        if scheme.constant is None:
            assert name == "Björck, flattened"
            assert (found["upper"] > 1.5) == (x.ndim == 4)
            continue
        assert scheme.constant == value
        assert found["lower"] <= found["upper"] <= value + 1e-4
        if scheme.p == 2:  # and it is not kept by shrinking
            assert math.prod(found["norms"]) == pytest.approx(1, abs=0.01)


class Own(nn.Sequential):
    def forward(self, x):
        return 3 * super().forward(x)


@pytest.mark.parametrize("name", ["Björck", "Spectral Norm", "L∞"])
@pytest.mark.parametrize(
    "module",
    [
        *(nn.BatchNorm1d(8), nn.LayerNorm(8), nn.GELU(), nn.Conv1d(1, 1, 3), lt.Scale(3)),
        *(nn.MaxPool1d(3, 2), nn.Upsample(scale_factor=2), Own(nn.ReLU()), lt.MaxMin(0)),
        *(nn.ReflectionPad1d(1), lt.Selection([0, 0], 8), nn.Bilinear(2, 2, 2)),
        *(nn.LeakyReLU(2), nn.Sequential(nn.Tanh(), nn.Softplus()), nn.PReLU(8)),
        *(lt.linf(nn.Linear(8, 8), bound=10), parametrizations.weight_norm(nn.Linear(8, 8))),
    ],
    ids=lambda module: type(module).__name__,
)
def test_no_constant_is_promised_where_something_else_may_stretch(name: str, module) -> None:
    """Found by an attack: batch norm made a promised 1 a 22."""
    layers = [nn.Linear(6, 8), module, lt.MaxMin(), nn.Linear(8, 2)]
    with pytest.raises(ValueError, match=r"no constant can be promised; got 1(\.1)? \("):
        make_scheme(name, 1.0).prepare(nn.Sequential(*layers), generator())
    good = nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.Dropout(0.5), nn.Tanh(), lt.MaxMin(1)))
    assert len(make_scheme(name, 1.0).prepare(good, generator())) == 3
    with pytest.raises(TypeError, match=r"network must be an nn.Sequential; got Linear"):
        make_scheme(name, 1.0).prepare(nn.Linear(2, 2), generator())


@pytest.mark.parametrize("name", ["Björck", "L∞"])
def test_finishing_takes_away_the_rounding_of_float32(name: str) -> None:
    scheme, network = trained(name, 1.0, dense(), DIGITS)
    norms = [
        float(lt.operator_norm(m.weight.detach(), scheme.p))
        for m in layers_of(scheme.finish(network))
    ]
    assert max(norms) <= 1 + 1e-13


def test_the_promise_is_broken_where_the_step_after_is_left_out() -> None:
    """So the test above can fail."""
    scheme = make_scheme("L∞", 1.0)
    network = scheme.prepare(dense(), generator())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    functional.cross_entropy(network(DIGITS), Y).backward()
    optimizer.step()
    assert lt.lipschitz_bounds(network, DIGITS[:2], math.inf).upper > 1.5


@pytest.mark.parametrize("name", SCHEMES)
def test_each_scheme_learns_and_finishes_as_it_was_trained(name: str) -> None:
    value = SCHEMES[name].grid[-1]
    scheme, after = trained(name, value, dense(), DIGITS, steps=1, lr=1e-6)
    before = functional.cross_entropy(after.eval()(DIGITS), Y)
    scheme, after = trained(name, value, dense(), DIGITS, steps=12, lr=0.005)
    finished = scheme.finish(after)
    assert not any(isinstance(module, Dropout) for module in finished)
    assert all(p.dtype == torch.float64 for p in finished.parameters())
    want = after.eval()(DIGITS).double()
    torch.testing.assert_close(finished(DIGITS.double()), want, rtol=1e-3, atol=1e-3)
    assert functional.cross_entropy(want, Y) < before


@pytest.mark.parametrize("L", [0.1, 4.0])
@pytest.mark.parametrize("activation", FULLY)
def test_scales_between_the_layers_are_one_scale_of_the_output(L: float, activation) -> None:
    """H.4 with biases: only if each bias is multiplied by the scales before it."""
    network = dense(activation)
    plain = copy.deepcopy(network)
    spread = spread_scale(network, L)
    torch.testing.assert_close(spread(DIGITS), L * plain(DIGITS))
    factors = [module.factor for module in spread if isinstance(module, lt.Scale)]
    assert factors == pytest.approx([L ** (1 / 3)] * 3)
    naive = copy.deepcopy(spread)
    for layer, old in zip(layers_of(naive), layers_of(plain), strict=True):
        layer.bias.data.copy_(old.bias)
    assert not torch.allclose(naive(DIGITS), L * plain(DIGITS), rtol=1e-2)
    conv = convolutional()
    plain = copy.deepcopy(conv)
    x = POOLED[:, None]
    torch.testing.assert_close(spread_scale(conv, L)(x), L * plain(x))


def test_what_each_penalty_is() -> None:
    network, memory = dense(), {}
    loss = functional.cross_entropy(network(DIGITS), Y)
    decayed = make_scheme("Weight decay", 0.5).add_penalty(loss, network, (DIGITS,), memory)
    squares = sum(float(p.detach().double().square().sum()) for p in network.parameters())
    assert float((decayed - loss).detach()) == pytest.approx(squares / 4, rel=1e-5)
    assert memory == {}
    scheme = make_scheme("Spectral Jac", 0.05)
    for _ in range(30):
        added = scheme.add_penalty(loss, network, (DIGITS,), memory)
    want, u = lt.spectral_jacobian_penalty(network, DIGITS, memory["u"])
    assert float((added - loss).detach()) == pytest.approx(0.05 * float(want.detach()), rel=1e-3)
    torch.testing.assert_close(u, memory["u"], atol=1e-2, rtol=0)
    same = Scheme().add_penalty(loss, network, (), memory)
    assert same is loss


def test_weight_decay_is_that_of_torch_s_gradient_descent() -> None:
    ours, theirs = dense(), dense()
    scheme = make_scheme("Weight decay", 0.3)
    mine = torch.optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    torchs = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.3)
    for _ in range(3):
        loss = functional.cross_entropy(ours(DIGITS), Y)
        scheme.step(ours, scheme.add_penalty(loss, ours, (DIGITS,), {}), mine)
        torchs.zero_grad()
        functional.cross_entropy(theirs(DIGITS), Y).backward()
        torchs.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_parseval_takes_its_step_with_beta_and_promises_nothing() -> None:
    scheme, network = make_scheme("Parseval", 0.1), dense()
    weights = [layer.weight.detach().clone() for layer in layers_of(network)]
    scheme.after_step(network)
    for layer, W in zip(layers_of(network), weights, strict=True):
        torch.testing.assert_close(layer.weight.detach(), 1.1 * W - 0.1 * W @ W.mT @ W)
    assert scheme.constant is None
    before = [p.detach().double() for p in network.parameters()]
    assert all(map(torch.equal, before, scheme.finish(network).parameters()))


def test_bjorck_learns_along_the_manifold() -> None:
    scheme = make_scheme("Björck", 1.0)
    network = scheme.prepare(dense(), generator())
    functional.cross_entropy(network(DIGITS), Y).backward()
    scheme.before_step(network)
    for layer in layers_of(network):
        W, G = layer.weight.detach(), layer.weight.grad
        W, G = (W, G) if len(W) >= W.shape[1] else (W.mT, G.mT)
        torch.testing.assert_close(W.mT @ G, -(W.mT @ G).mT, atol=1e-6, rtol=1e-4)
        assert lt.is_orthonormal(layer.weight)


def test_flattened_kernels_are_orthonormal_and_their_convolutions_are_not() -> None:
    _, network = trained("Björck, flattened", 1.0, convolutional(), POOLED[:, None])
    for layer in layers_of(network):
        assert lt.is_orthonormal(layer.weight.flatten(1))
        if isinstance(layer, nn.Conv2d):
            assert float(lt.convolution_norm_bounds(layer.weight.detach())[0]) > 1.2


def test_dropout_draws_from_its_generator_and_from_no_other() -> None:
    plain, conv = dense(), convolutional()
    state = torch.get_rng_state()
    network = make_scheme("Dropout", 0.5).prepare(plain, generator(3))
    rates = [module.rate for module in network if isinstance(module, Dropout)]
    assert rates == [0.2, 0.5, 0.5]
    once, twice = network(DIGITS), network(DIGITS)
    assert not torch.equal(once, twice)
    network = make_scheme("Dropout", 0.5).prepare(plain, generator(3))
    assert torch.equal(network(DIGITS), once)
    assert torch.equal(torch.get_rng_state(), state)
    conv = nn.Sequential(*conv, lt.MaxMin(), nn.Linear(10, 2))
    conv = make_scheme("Dropout", 0.5).prepare(conv, generator(3))
    names = ["Flatten", "Linear", "MaxMin", "Dropout", "Linear"]
    assert [type(m).__name__ for m in conv[-5:]] == names
    kept = Dropout(0.3, generator())(torch.ones(20_000))
    assert float((kept == 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(kept.mean()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name", ["Björck", "L∞"])
def test_an_interrupt_leaves_the_weights_within_the_scheme(name: str) -> None:
    scheme = make_scheme(name, 2.0)
    network = scheme.prepare(dense(), generator())
    steps = []

    class Interrupted(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            steps.append(1)
            if len(steps) == 3:
                with torch.no_grad():
                    network[0].weight.add_(1.0)
                raise KeyboardInterrupt

    loss = lambda model, x: model(x).square().mean()  # noqa: E731
    optimizer = Interrupted(network.parameters(), lr=0.1)
    assert len(fit(network, loss, [(DIGITS,)] * 9, optimizer, constraint=scheme)) == 3
    assert lt.lipschitz_bounds(network, DIGITS[:2], scheme.p).upper <= 2 + 1e-4


def test_fit_takes_any_function_that_projects() -> None:
    network = nn.Sequential(nn.Linear(3, 4), lt.MaxMin(), nn.Linear(4, 2)).double()
    seen = []

    def constraint(model: nn.Module) -> None:
        seen.append(1)
        lt.retract_(model)

    x = torch.randn(20, 3, generator=generator(), dtype=torch.float64)
    loss = lambda model, x: (model(x) - 9).square().mean()  # noqa: E731
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    fit(network, loss, [(x,)] * 4, optimizer, constraint=constraint)
    assert len(seen) == 5  # before the first step and after each
    assert all(lt.is_orthonormal(network[k].weight) for k in (0, 2))


@pytest.mark.parametrize("name", ["Parseval", "L∞"])
def test_fit_takes_the_steps_of_a_scheme_and_no_other(name: str) -> None:
    """No projection before the first: a step of Parseval's would move the weights."""
    scheme, by_fit = trained(name, 0.5, dense(), DIGITS, steps=3)
    by_hand = scheme.prepare(dense(), generator(1))
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.05)
    for _ in range(3):
        scheme.step(by_hand, functional.cross_entropy(by_hand(DIGITS), Y), optimizer)
    assert all(map(torch.equal, by_fit.parameters(), by_hand.parameters()))
