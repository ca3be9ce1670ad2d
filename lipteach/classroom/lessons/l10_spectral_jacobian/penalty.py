"""10.repair: a loop in which the penalty moves the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, fault, recogniser

RATE = 0.1


def _network(sizes: Sequence[int], seed: int) -> nn.Sequential:
    """A tanh network in float32, whatever the default of the lesson is."""
    generator = torch.Generator().manual_seed(seed)
    modules: list[nn.Module] = []
    for n, m in pairwise(sizes):
        layer = nn.Linear(n, m, dtype=torch.float32)
        for parameter in layer.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.data = noise / n**0.5
        modules += [layer, nn.Tanh()]
    return nn.Sequential(*modules[:-1])


def _batch(count: int, n: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, n, generator=generator, dtype=torch.float32)
    return x, torch.randint(classes, (count,), generator=generator)


# Behind a layer of one unit J has rank 1, and one step of power iteration is exact from any start:
# here every right way has the same gradient.
_NARROW = [
    (_network([3, 1, 3], seed=0), *_batch(5, 3, 3, seed=1), strength, steps)
    for strength, steps in ((0.5, 1), (2.0, 1), (0.5, 4))
]
_WIDE = (_network([4, 16, 3], seed=2), *_batch(24, 4, 3, seed=3), 1.0, 20)


Penalty = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


def one_step(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the uᵀh over the batch, differentiable, and the new u."""
    x, u = x.detach().requires_grad_(), u.detach().requires_grad_()
    g = torch.autograd.grad(net(x), x, u, create_graph=True)[0]
    v = (g / g.norm(dim=1, keepdim=True)).detach()
    h = torch.autograd.grad(g, u, v, create_graph=True)[0]
    u = (h / h.norm(dim=1, keepdim=True)).detach()
    return (u * h).sum(dim=1).mean(), u


def _length_of_h(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The same as ‖h‖, and with a v that is no constant; neither makes a difference."""
    x, u = x.detach().requires_grad_(), u.detach().requires_grad_()
    g = torch.autograd.grad(net(x), x, u, create_graph=True)[0]
    h = torch.autograd.grad(g, u, g / g.norm(dim=1, keepdim=True), create_graph=True)[0]
    return h.norm(dim=1).mean(), (h / h.norm(dim=1, keepdim=True)).detach()


def singular_values(net: nn.Module, x: Tensor) -> Tensor:
    """Those of the Jacobian at each sample; not by `torch.func`, whose import takes seconds."""
    x = x.detach().requires_grad_()
    rows = [torch.autograd.grad(y, x, create_graph=True)[0] for y in net(x).sum(dim=0)]
    found: Tensor = torch.linalg.svdvals(torch.stack(rows, dim=1))
    return found


def _exact(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return singular_values(net, x)[:, 0].mean(), u


def _largest(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return singular_values(net, x)[:, 0].max(), u


def _frobenius(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return singular_values(net, x).norm(dim=1).mean(), u


def _old_u(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The penalty with the u before the step, which is ‖Jᵀu‖."""
    x, u = x.detach().requires_grad_(), u.detach().requires_grad_()
    g = torch.autograd.grad(net(x), x, u, create_graph=True)[0]
    v = (g / g.norm(dim=1, keepdim=True)).detach()
    h = torch.autograd.grad(g, u, v, create_graph=True)[0]
    return (u.detach() * h).sum(dim=1).mean(), (h / h.norm(dim=1, keepdim=True)).detach()


def _start_of_length_1(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """‖Jᵀu‖ for a u of length 1."""
    return _old_u(net, x, u / u.norm(dim=1, keepdim=True))


def _longer_v(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    x, u = x.detach().requires_grad_(), u.detach().requires_grad_()
    g = torch.autograd.grad(net(x), x, u, create_graph=True)[0]
    h = torch.autograd.grad(g, u, g.detach(), create_graph=True)[0]
    return h.norm(dim=1).mean(), (h / h.norm(dim=1, keepdim=True)).detach()


def descend(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    strength: float,
    steps: int,
    *,
    penalty: Penalty = one_step,
    reach: Callable[[Tensor], Any] = lambda value: value,
    data: float = 1,
    rate: float = RATE,
    keep: float = 0,
) -> nn.Module:
    """Gradient descent on the cross-entropy (times ``data``) and the penalty as it is reached."""
    weights, u = list(net.parameters()), torch.ones_like(net(x)).detach()
    before = [torch.zeros_like(weight) for weight in weights]
    for _ in range(steps):
        value, u = penalty(net, x, u)
        loss = data * functional.cross_entropy(net(x), y) + strength * reach(value)
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        slopes = [
            torch.zeros_like(w) if s is None else s for s, w in zip(found, weights, strict=True)
        ]
        before = [keep * old + new for old, new in zip(before, slopes, strict=True)]
        with torch.no_grad():
            for weight, slope in zip(weights, before, strict=True):
                weight.sub_(slope, alpha=rate)
    return net


def _with(**changed: Any) -> Callable[..., nn.Module]:
    return lambda *given: descend(*given, **changed)


def _in_the_first_step(
    net: nn.Module, x: Tensor, y: Tensor, strength: float, steps: int
) -> nn.Module:
    return descend(descend(net, x, y, strength, 1), x, y, 0.0, steps - 1)


def _decayed(net: nn.Module, x: Tensor, y: Tensor, strength: float, steps: int) -> nn.Module:
    """Weight decay in place of the penalty."""
    for _ in range(steps):
        descend(net, x, y, 0.0, 1)
        for weight in net.parameters():
            weight.data *= 1 - 0.01 * strength
    return net


def _two_passes(net: nn.Module, x: Tensor, y: Tensor, strength: float, steps: int) -> nn.Module:
    """By backward passes: the gradients add up in the parameters."""
    u = torch.ones(len(y), 3, dtype=x.dtype)
    for _ in range(steps):
        net.zero_grad()
        value, u = one_step(net, x, u)
        for part in (strength * value, functional.cross_entropy(net(x), y)):
            torch.autograd.backward(part)
        for weight in net.parameters():
            if weight.grad is not None:
                weight.data -= RATE * weight.grad
    return net


def _anew(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return one_step(net, x, torch.ones_like(u))[0], u


def _squared(net: nn.Module, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return singular_values(net, x)[:, 0].square().mean(), u


def _weights(net: Any) -> Tensor:
    return torch.cat([p.detach().double().flatten() for p in net.parameters()])


def _after(answer: Any, given: tuple[Any, ...]) -> Tensor:
    """All weights of the network after an answer's training."""
    net = call(answer, *given)
    if not isinstance(net, nn.Module):
        raise Hint("type", f"Your loop returns {a_kind(net)}: where is the trained net?", given)
    own, first = _weights(net), _weights(given[0])
    if own.shape != first.shape:
        raise Hint("shape", "This is another network: which one is to be trained?", given)
    if not bool(torch.isfinite(own).all()):
        raise Hint("value", "A weight is not finite: which step is too long?", given)
    return own


_AIM = (
    "This is not a step along the gradient of the cross-entropy plus λ times the mean σ(J): take "
    "one (`example` of the report) with `jacobian_singular_values`. Which part differs?"
)


def _judge_repair(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """A step and some, by the true gradient; then a training in which the norm falls."""
    if not callable(answer):
        raise Hint("type", f"A function is needed, your loop; this is {a_kind(answer)}.")
    own = [_after(answer, given) for given in _NARROW]
    for k, (got, given) in enumerate(zip(own, _NARROW, strict=True), start=1):
        if not _same(got, _after(_with(penalty=_exact), given)):
            known = fault("gradient", _AIM, mistakes, recogniser(partial(_alike, own)))
            first = _longer(got, given) or (_shrunk(got, given) if known.text == _AIM else None)
            raise (first or known if k == 1 else known).at(*given)
    found, want = (
        singular_values(call(train, *_WIDE), _WIDE[1]).mean(dim=0).tolist()
        for train in (answer, descend)
    )
    shown = f"the mean norm is {found[0]:.2f} after {_WIDE[-1]} steps"
    if found[0] > 1.1 * want[0]:
        text = f"Right where J has rank 1, but elsewhere {shown}, and {want[0]:.2f} can be reached"
        raise Hint(
            "value", f"{text}: is there a u for each sample, handed on to the next step?", _WIDE
        )
    if found[1] < 0.85 * want[1]:
        text = "Right where J has rank 1, but elsewhere the second singular value falls as well"
        raise Hint(
            "value", f"{text}: is a norm of all of J penalized, or the largest alone?", _WIDE
        )


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=2e-5)


def _alike(own: list[Tensor], wrong: Any) -> bool:
    """Whether a mistake leads to the same weights, in all trainings."""
    pairs = zip(own, _NARROW, strict=True)
    return all(_same(got, _after(wrong, given)) for got, given in pairs)


def _longer(got: Tensor, given: tuple[Any, ...]) -> Hint | None:
    """The hint of a step in the right direction and of another length."""
    first = _weights(given[0])
    step, right = got - first, _after(_with(penalty=_exact), given) - first
    factor = float(step @ right / right.square().sum())
    if factor > 0 and _same(step, factor * right):
        text = f"The first step has the right direction and {factor:.3g} times its length"
        return Hint("gradient", f"{text}: is the loop's rate still {RATE}?", given)
    return None


def _shrunk(got: Tensor, given: tuple[Any, ...]) -> Hint | None:
    """The hint of weights (perhaps without the biases) that are only made smaller."""
    plain = _after(_with(data=1, reach=lambda value: 0 * value), given)
    off, matrices = (
        got - plain,
        torch.cat([p.new_full((p.numel(),), p.ndim > 1) for p in given[0].parameters()]),
    )
    for start in (_weights(given[0]), plain):
        for part in (start, start * matrices):
            share = float(off @ part / part.square().sum())
            if share < -1e-4 and torch.allclose(off, share * part, rtol=1e-2, atol=2e-5):
                text = "Beside the cross-entropy the weights only become smaller, all by one factor"
                return Hint("gradient", f"{text}: is that a weight decay, and where is J?", given)
    return None


REPAIR = Exercise(
    name="10.repair",
    judge=_judge_repair,
    solution=descend,
    right={
        "the length of h": _with(penalty=_length_of_h),
        "exact": _with(penalty=_exact),
        "two backward passes": _two_passes,
    },
    mistakes={
        "no gradient": (
            _with(reach=lambda value: value.item()),
            "The weights are those of λ = 0: have h and the penalty a gradient "
            "(`requires_grad`), and is it there still in the sum?",
        ),
        "no step": (
            _with(rate=0),
            "No weight of net has moved: which line changes them?",
        ),
        "turned": (
            _with(reach=lambda value: -value),
            "The penalty grows in this loop: with which sign does it enter the loss?",
        ),
        "the old u": (
            _with(penalty=_old_u),
            "This penalizes uᵀh with the u from before the step, which is ‖Jᵀu‖: which u is it?",
        ),
        "the old u, of length 1": (
            _with(penalty=_start_of_length_1),
            "This penalizes ‖Jᵀu‖ for a u of length 1 before its step: is the new u in uᵀh?",
        ),
        "half": (
            _with(reach=lambda value: value / 2),
            "Half of the penalty enters the loss: which factor stands before λ?",
        ),
        "twice": (
            _with(reach=lambda value: 2 * value),
            "The penalty enters the loss twice: which factor stands before λ?",
        ),
        "in the first step": (
            _in_the_first_step,
            "Right in the first step, and then the penalty is gone: is it in the loss of each?",
        ),
        "momentum": (
            _with(keep=0.9),
            "Right in the first step: in the second, nine tenths of the first come again. Which "
            "optimizer has no momentum?",
        ),
        "the sum": (
            _with(reach=lambda value: 5 * value),
            "This penalizes the sum over the samples: how large may a batch be?",
        ),
        "squared": (
            _with(penalty=_squared),
            "This penalizes σ², as uᵀh with u = h does: which length has the new u?",
        ),
        "the penalty alone": (
            _with(data=0),
            "Only the penalty is made small: what of the cross-entropy?",
        ),
        "added up": (
            _with(keep=1),
            "Right in the first step: in the second, is the gradient of the first still there?",
        ),
        "the largest": (
            _with(penalty=_largest),
            "This penalizes the largest σ of the batch: which reading has the loop?",
        ),
        "climbing": (
            _with(rate=-RATE),
            "The loss grows: are the weights moved along its slope, or against it?",
        ),
        "the mean of all": (
            _with(reach=lambda value: value / 3),
            "This divides by the number of outputs too: what is summed, and what is a mean?",
        ),
        "a longer v": (
            _with(penalty=_longer_v),
            "In this penalty v is Jᵀu as it comes: which length has v in power iteration?",
        ),
        "λ twice": (
            lambda net, x, y, strength, steps: descend(net, x, y, strength**2, steps),
            "This is λ² times the penalty: how often does `strength` enter?",
        ),
        "no λ": (
            lambda net, x, y, _strength, steps: descend(net, x, y, 1.0, steps),
            "This is λ = 1, whatever is given: where does `strength` enter?",
        ),
        "one step": (
            lambda net, x, y, strength, _steps: descend(net, x, y, strength, 1),
            "Right, but for one step only: where does the function return?",
        ),
        "one step too many": (
            lambda net, x, y, strength, steps: descend(net, x, y, strength, steps + 1),
            "This is one step too many: how often does the loop run?",
        ),
    },
    wrong={
        "u anew": (_with(penalty=_anew), "handed on to the next step"),
        "Frobenius": (_with(penalty=_frobenius), "a norm of all of J"),
        "another rate": (_with(rate=0.05), "0.5 times its length"),
        "weight decay": (_decayed, "where is J"),
        "noise": (_with(reach=lambda value: 0.3 * value), "Which part differs"),
        "the losses": (lambda *_given: [1.0, 0.5], "returns a list"),
        "another network": (lambda *_given: nn.Linear(3, 3), "another network"),
        "too long steps": (_with(rate=float("inf")), "not finite"),
        "a number": (1.0, "A function"),
    },
)
