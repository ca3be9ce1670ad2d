"""Judges of functions and networks: type, shape, mutation, value, layout, ties, gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom import guard
from lipteach.classroom.calling import call_with, is_float
from lipteach.classroom.compare import Mistakes, a_kind, close, fault, show_apart, show_values
from lipteach.classroom.hints import Hint, Mistake
from lipteach.classroom.slips import NEARLY, nearly
from lipteach.classroom.trials import Trial, attempt, judge_form, judge_value, matcher
from lipteach.primitives import Selection

Inputs = Iterable[Any]

_FAR = 1e30  # a number in float32, and its sums


def _stage(
    kind: str,
    opening: str,
    earlier: list[Trial],
    trials: list[Trial],
    mistakes: Mistakes,
    tol: float | None,
) -> None:
    """Judge trials whose faults are all of one kind; a mistake must match the earlier ones too."""
    try:
        judge_form(trials, (), tol)
        judge_value(trials, (), tol)
    except Hint as hint:
        if hint.kind == "mutation":
            raise
        known = fault(kind, f"{opening} {hint.text}", mistakes, matcher([*earlier, *trials], tol))
        raise known.at(*hint.example or ()) from None


def _need_callable(answer: Any) -> None:
    if isinstance(answer, type):
        raise Hint("type", f"This is the class {answer.__name__}: hand in an instance of it.")
    if not callable(answer):
        raise Hint("type", f"A function is needed, and this is {a_kind(answer)}.")


def compare_function(
    answer: Any,
    reference: Callable[..., Any],
    inputs: Inputs,
    *,
    layouts: Inputs = (),
    ties: Inputs = (),
    gradient: bool = False,
    permutation_at_ties: bool = False,
    tol: float | None = None,
    mistakes: Mistakes = (),
) -> None:
    """The answer computes what ``reference`` does, judged in stages of rising demand.

    ``inputs``: float64 tensors, or tuples of arguments; then ``layouts`` (batch dimensions,
    transposed views) and ``ties`` (equal entries, kinks), whose faults are told apart. With
    ``gradient`` the vector-Jacobian products at ``inputs`` are compared; with
    ``permutation_at_ties`` the Jacobian J at each tie must satisfy J Jᵀ = I.
    """
    _need_callable(answer)
    trials = [attempt(answer, reference, x, gradient) for x in inputs]
    judge_form(trials, mistakes, tol)
    judge_value(trials, mistakes, tol)
    views = [attempt(answer, reference, x, gradient) for x in layouts]
    opening = "Right on the first inputs, but not on every layout."
    _stage("layout", opening, trials, views, mistakes, tol)
    even = [attempt(answer, reference, x, gradient) for x in ties]
    _stage("ties", "Right until entries tie.", [*trials, *views], even, mistakes, tol)
    if gradient:
        _judge_gradient(answer, reference, trials, mistakes, tol)
    if permutation_at_ties:
        _judge_jacobian(answer, even)


_CUT = (
    "The values are right, but no gradient flows back: "
    "does .detach(), .item(), .numpy() or torch.tensor(…) cut the graph?"
)


def _call_for_gradient(function: Callable[..., Any], leaves: Sequence[Any]) -> Any:
    try:
        return call_with(function, tuple(leaves))
    except Hint as hint:
        text = f"The values are right, but on an input that needs a gradient: {hint.text}"
        raise Hint("gradient", text) from None


def _pull_back(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Tensor | None:
    """Jᵀu for a fixed u, all inputs in one vector; None where no gradient flows.

    It has the dtype of the output, whose precision it has.
    """
    copies = copy.deepcopy(arguments)
    leaves = [a.detach().requires_grad_() if is_float(a) else a for a in copies]
    wanted = [leaf for leaf in leaves if is_float(leaf)]
    out = _call_for_gradient(function, leaves)
    if not isinstance(out, Tensor) or not out.requires_grad:
        return None
    u = torch.linspace(1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)
    try:
        found = torch.autograd.grad(out, wanted, u, allow_unused=True)
    except guard.TimeUp:
        raise
    except Exception as error:
        raised = guard.describe(error).rstrip(".")
        text = f"The values are right, but the backward pass raised {raised}."
        raise Hint("gradient", text) from None
    pairs = zip(found, wanted, strict=True)
    flat = [(torch.zeros_like(x) if g is None else g).flatten() for g, x in pairs]
    return torch.cat(flat).to(out.dtype)


def _judge_gradient(
    answer: Any,
    reference: Callable[..., Any],
    trials: list[Trial],
    mistakes: Mistakes,
    tol: float | None,
) -> None:
    def alike(one: Tensor | None, other: Tensor | None) -> bool:
        if one is None or other is None:
            return one is other
        return close(one, other)

    got = [_pull_back(answer, t.arguments) for t in trials]
    want = [_pull_back(reference, t.arguments) for t in trials]
    if all(alike(g, w) for g, w in zip(got, want, strict=True)):
        return
    if any(g is None for g in got):
        text = _CUT
    else:
        text = "The values are right, but the gradient is not that of the function."

    values = matcher(trials, tol)

    def matches(mistake: Mistake) -> bool:
        if not values(mistake):  # no gradient flows through a wrong value either
            return False
        mine = [_pull_back(mistake.answer, t.arguments) for t in trials]
        return all(alike(g, m) for g, m in zip(got, mine, strict=True))

    wrong = next(t for t, g, w in zip(trials, got, want, strict=True) if not alike(g, w))
    raise fault("gradient", text, mistakes, matches).at(*wrong.arguments)


def _judge_jacobian(answer: Any, trials: list[Trial]) -> None:
    for trial in trials:
        x = trial.arguments[0].detach().clone().requires_grad_()
        out = _call_for_gradient(answer, (x, *trial.arguments[1:]))
        if not isinstance(out, Tensor) or not out.requires_grad:
            raise Hint("gradient", _CUT)
        pulled = [torch.autograd.grad(y, x, retain_graph=True)[0] for y in out.flatten()]
        rows = torch.stack(pulled).flatten(1)
        if not close(rows @ rows.T, torch.eye(len(rows), dtype=rows.dtype), 1e-4):
            text = (
                f"The values are right, but at the tie {show_values(x.detach())} the Jacobian "
                "is not a permutation: where does each entry's gradient go at a tie?"
            )
            raise Hint("ties", text, trial.arguments)


def _layers(network: nn.Module) -> dict[str, nn.Module]:
    """The modules by name, without what parametrizations keep inside."""
    named = network.named_modules()
    return {name: m for name, m in named if "parametrizations" not in name.split(".")}


def _weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every matrix the network multiplies by, in float64, as its layers use it."""
    for layer, module in _layers(network).items():
        if isinstance(module, Selection):  # its matrix is no parameter
            yield f"{layer}.weight".lstrip("."), module.weight.detach().to(torch.float64)
        own = [name for name, _ in module.named_parameters(recurse=False)]
        for name in (*own, *getattr(module, "parametrizations", ())):
            weight = getattr(module, name).detach().to(torch.float64)
            if weight.ndim > 1:
                yield f"{layer}.{name}".lstrip("."), weight


def compare_network(
    answer: Any,
    reference: Callable[..., Any],
    inputs: Inputs,
    *,
    p: float = 2,
    allowed: tuple[type[nn.Module], ...] = (),
    tol: float = 1e-4,
    everywhere: bool = False,
    mistakes: Mistakes = (),
) -> None:
    """The answer is a network of weights with ‖W‖_p ≤ 1 (p is 1, 2 or ∞) that equals ``reference``.

    ``allowed`` names the layers which may be used besides nn.Sequential (none: any); a network
    that is to be right ``everywhere`` is tried far out as well, where every bias has an end.
    """
    if isinstance(answer, type) or not isinstance(answer, nn.Module):
        raise Hint("type", f"A network (an nn.Module) is needed, and this is {a_kind(answer)}.")
    for module in _layers(answer).values():
        if allowed and not isinstance(module, (*allowed, nn.Sequential)):
            names = ", ".join(kind.__name__ for kind in allowed)
            raise Hint(
                "type",
                f"The network uses {type(module).__name__}; allowed are {names}, "
                "in an nn.Sequential.",
            )
    trials = [attempt(answer, reference, x) for x in inputs]
    judge_form(trials, mistakes, tol)
    if found := norm_fault(answer, p):
        values = matcher(trials, tol)

        def matches(mistake: Mistake) -> bool:  # one that does the same has its own norms
            return values(mistake) and str(norm_fault(mistake.answer, p)) == str(found)

        raise fault(found.kind, found.text, mistakes, matches)
    judge_value(trials, mistakes, tol)
    for far in [_FAR * x for x in inputs if everywhere]:
        trial = attempt(answer, reference, far)
        if not trial.matches(trial.want, tol):
            text = "Right near 0, and wrong 10³⁰ times as far out: where does a bias cut it off?"
            raise Hint("constraint", text, (far,))


def norm_fault(network: nn.Module, p: float) -> Hint | None:
    """The first weight which is no matrix of norm at most 1, up to rounding in float32."""
    for name, weight in _weights(network):
        if weight.ndim > 2:
            return Hint("type", f"{name!r} is not a matrix: build the network of linear layers.")
        if not bool(torch.isfinite(weight).all()):
            return Hint("value", f"{name!r} holds a number that is not finite: how did it get in?")
        norm = torch.linalg.matrix_norm(weight, ord=p)
        if not norm <= 1 + 1e-5:
            text = f"The {p if p in (1, 2) else '∞'}-norm of {name!r} is"
            ask = NEARLY if nearly(norm, torch.ones_like(norm)) else "By what is it divided?"
            return Hint("constraint", f"{text} {show_apart(float(norm), 1.0)[0]}, above 1. {ask}")
    return None
