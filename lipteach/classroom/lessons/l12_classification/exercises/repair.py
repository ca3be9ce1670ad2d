"""12.repair: a training loop with three silent faults."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, fault, recogniser, show_apart
from lipteach.classroom.lessons.l12_classification.exercises import loops
from lipteach.classroom.lessons.l12_classification.exercises.loops import RATE, Part, changed
from lipteach.classroom.lessons.l12_classification.exercises.small_data import (
    CASES,
    Given,
    NotedParts,
    small_case,
)
from lipteach.layers import retract_
from lipteach.primitives import Scale
from lipteach.training import clip_singular_values_


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().double().flatten() for p in network.parameters()])


def _outputs(network: nn.Module, given: Given) -> Tensor:
    """The network at the validation images, of which the judge makes no note."""
    with torch.no_grad():
        out = call(network, dict.__getitem__(given[1], "validation")[0])
    return out.double() if isinstance(out, Tensor) else torch.zeros(0)


@cache
def _outcome(train: Callable[..., nn.Module], k: int) -> tuple[Tensor, bool]:
    """The weights that a loop of ours returns, and whether it has read the test part."""
    given = small_case(k)
    return _weights(train(*given)), "test" in given[1].read


@cache
def _epochs(k: int) -> list[Tensor]:
    """The weights after each epoch of the mended loop."""
    network, parts, L, epochs = small_case(k)
    return [_weights(_one_epoch(network, parts, L)) for _ in range(epochs)]


@cache
def _mended(k: int) -> nn.Module:
    return loops.fit(*small_case(k))


def _one_epoch(network: nn.Module, parts: NotedParts, L: float) -> nn.Module:
    return loops.fit(network, parts, L, 1, copied=False)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def _network(answer: Any, given: Given) -> nn.Module:
    """What an answer returns, if it is the network with other weights."""
    found = call(answer, *given)
    if isinstance(found, dict):
        raise Hint("type", "These are weights by name: return a network that has them.", given)
    if isinstance(found, (tuple, list)):
        text = f"Your loop returns {a_kind(found)}: only the network is asked for."
        raise Hint("type", text, given)
    if not isinstance(found, nn.Module):
        raise Hint("type", f"Your loop returns {a_kind(found)}: where is the network?", given)
    if _weights(found).shape != _weights(given[0]).shape:
        raise Hint("shape", "This is another network: which one is to be trained?", given)
    if not bool(torch.isfinite(_weights(found)).all()):
        raise Hint("value", "A weight is not finite: which step is too long?", given)
    return found


def _judge_repair(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", f"A function is needed, your loop; this is {a_kind(answer)}.")
    cases = [small_case(k) for k in range(len(CASES))]
    networks = [_network(answer, given) for given in cases]
    own = [_weights(network) for network in networks]
    looked = ["test" in given[1].read for given in cases]

    def alike(reads: bool | None, wrong: Callable[..., nn.Module]) -> bool:
        if reads not in (None, _outcome(wrong, 1)[1]):
            return False
        return all(_same(own[k], _outcome(wrong, k)[0]) for k in (1, 2, 3, 0))

    for k, given in enumerate(cases):
        if not _same(own[k], _outcome(loops.fit, k)[0]):
            said = _what(networks[k], own[k], k)
            for reads in (None, any(looked)):  # with the same reading, or at least the same result
                said = fault("value", said, mistakes, recogniser(partial(alike, reads))).text
            raise Hint("value", said, given)
    for k, (network, given) in enumerate(zip(networks, cases, strict=True)):
        if not _same(_outputs(network, given), _outputs(_mended(k), given)):
            text = "The weights are right, but the network computes something else with them"
            raise Hint("value", f"{text}: is a layer added, as a scale?", given)
    if any(looked):
        text = "Right, but the test part is read: whatever it is for, may the loop know of it?"
        raise Hint("constraint", text, cases[0])


def _what(network: nn.Module, own: Tensor, k: int) -> str:
    """What is wrong of a loop in which no mistake is known."""
    norms = [float(torch.linalg.matrix_norm(W, 2)) for W in network.parameters() if W.ndim == 2]
    if max(norms) > 1 + 1e-6:
        text = f"A weight comes back with the norm {show_apart(max(norms), 1.0)[0]}"
        return f"{text}: which line was the last to change it?"
    made, want = _epochs(k), _outcome(loops.fit, k)[0]
    found = [e for e, weights in enumerate(made, start=1) if _same(own, weights)]
    if found:
        best = next(e for e, weights in enumerate(made, start=1) if _same(want, weights))
        text = f"The weights of epoch {found[0]} of {len(made)} come back, and the validation error"
        text = f"{text} is least after epoch {best} first"
        return f"{text}. What chooses, what ends the loop, and is every epoch trained alike?"
    given = small_case(k)
    start = _weights(given[0])
    if k == 0 and (hint := _first_step(own - start, want - start)):
        return hint
    if _same(own, start):
        text = "No weight has moved: is there a gradient when the step is made"
        return f"{text}, and which copy comes back?"
    text = f"For L = {given[2]:g} these are the weights of no epoch of the mended loop: all but the"
    return f"{text} three faults was to stay. What else has changed?"


def _iterate(mapping: NotedParts) -> Iterator[Part]:
    yield from mapping.values()


def _all_parts(network: nn.Module, parts: NotedParts, L: float, epochs: int) -> nn.Module:
    """Right, with the test part taken along."""
    train, validation, _test = _iterate(parts)
    return loops.fit(network, {"train": train, "validation": validation}, L, epochs)


def _first_step(step: Tensor, right: Tensor) -> str:
    """What is said of a single step that is not the right one, where nothing is clipped."""
    factor = float(step @ right / right.square().sum())
    if factor and torch.allclose(step, factor * right, rtol=1e-3, atol=1e-5):
        text = f"The first step has the right direction and {factor:.3g} times its length"
        return f"{text}: is the rate still {RATE}, and the loss the mean over the images?"
    if float(step.abs().max()) < 1.05 * float(step.abs().median()):
        return "In the first step all numbers move by the same amount: is it still plain SGD?"
    weights = torch.cat(
        [right.new_full((p.numel(),), p.ndim > 1) for p in small_case(0)[0].parameters()]
    )
    if torch.allclose(step * weights, right * weights, rtol=1e-3, atol=1e-5):
        return "The weights are right, and the biases are not: does the constraint hold for them?"
    return ""


@torch.no_grad()
def _divided_by(network: nn.Module, number: float) -> nn.Module:
    for weight in network.parameters():
        weight.div_(number)
    return network


def _one_less(network: nn.Module, parts: NotedParts, L: float, epochs: int) -> nn.Module:
    x, y = parts["train"]
    return loops.fit(network, {**parts, "train": (x[1:], y[1:])}, L, epochs)


def _without_bias(network: nn.Module, *given: Any) -> nn.Module:
    found = loops.fit(network, *given)
    for weight in found.parameters():
        if weight.ndim == 1:
            weight.data.zero_()
    return found


def _wrong_classes(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    found: Tensor = (network(x).argmin(dim=1) != y).sum()
    return found


def _with_its_test_error(network: nn.Module, parts: NotedParts, L: float, epochs: int) -> Any:
    best = loops.fit(network, parts, L, epochs)
    return best, loops.errors(best, *parts["validation"])


EXERCISES = (
    Exercise(
        name="12.repair",
        judge=_judge_repair,
        solution=loops.fit,
        right={
            "weights by name": loops.by_state,
            "all epochs kept": loops.by_history,
            "clipped before, too": lambda network, *given: loops.fit(
                clip_singular_values_(network), *given
            ),
        },
        mistakes={
            "as it stands": (
                changed(clip="before", choose="test", copied=False),
                "This trains as the loop does that stands there: print the norms of what it "
                "returns, and the epoch that it means to return.",
            ),
            "a copy": (
                changed(clip="before", choose="test"),
                "A copy is kept now; two faults are left: what was the last to change the "
                "weights, and which images choose the epoch?",
            ),
            "another part": (
                changed(clip="before", copied=False),
                "The test part is left alone, and two faults are left: which line is the last to "
                "change what comes back, and which epoch is it of?",
            ),
            "clipped after": (
                changed(choose="test", copied=False),
                "The clipping is where it belongs; two faults are left: which epoch's weights come "
                "back, and which images were to choose it?",
            ),
            "no copy": (
                changed(copied=False),
                "The weights of the last epoch come back, whichever was the best: what does `best` "
                "hold when the training goes on?",
            ),
            "clipped before": (
                changed(clip="before"),
                "The weights that are kept were clipped before the last step and not after it: "
                "where does the constraint have to hold?",
            ),
            "test": (
                changed(choose="test"),
                "The epoch is chosen by the test images: what is their error worth then?",
            ),
            "never clipped": (
                changed(clip="never"),
                "Nothing is clipped: what keeps the norms at 1 now?",
            ),
            "clipped at the end": (
                changed(clip="end"),
                "Only what is returned is clipped: was its validation error that of these weights?",
            ),
            "clipped between": (
                changed(clip="between"),
                "The weights are clipped between the gradient and the step: which line leaves the "
                "constraint?",
            ),
            "train chooses": (
                changed(choose="train"),
                "The epoch is chosen by the training images: which ones has the network not seen?",
            ),
            "the validation loss": (
                changed(score=loops.loss_of),
                "The epoch with the least validation loss is kept: of what was the least to be "
                "taken?",
            ),
            "measured before the clipping": (
                loops.unclipped,
                "The epoch is chosen by weights that are not clipped yet: of which ones is the "
                "error to be?",
            ),
            "measured before the step": (
                loops.between,
                "The error and the copy are those before the step: does the last step ever count?",
            ),
            "distances of classes": (
                changed(score=loops.distances),
                "A wrong class counts more the further its number is away: is class 2 further from "
                "0 than class 1?",
            ),
            "the training loss": (
                changed(choose="train", score=loops.loss_of),
                "The epoch with the least training loss is kept: which images has the network not "
                "seen, and what is counted?",
            ),
            "the test loss": (
                changed(choose="test", score=loops.loss_of),
                "The epoch with the least test loss is kept: which part is to choose, and by what?",
            ),
            "the validation loss with L": (
                lambda *given: loops.fit(*given, score=partial(loops.loss_of, L=given[2])),
                "The epoch with the least validation loss of L times the output is kept: of what "
                "was the least to be taken?",
            ),
            "a root of L": (
                changed(scale=lambda L: L**0.5),
                "This is √L in the loss: which power of L stands there?",
            ),
            "the last of equals": (
                changed(better=operator.le),
                "Of epochs with the same error this keeps the last one: was it `<` or `<=`?",
            ),
            "the largest": (
                changed(better=operator.gt),
                "This keeps the epoch with the largest error: is an error to be large?",
            ),
            "all gradients": (
                changed(keep=1.0),
                "The gradients of all epochs add up: which line made them 0?",
            ),
            "no gradient": (
                changed(rate=0.0),
                "The gradient is 0 when the step is made: between which two lines is it cleared?",
            ),
            "validation trains": (
                changed(train=("validation",)),
                "The network learns the validation images: which part is it to learn?",
            ),
            "both train": (
                changed(train=("train", "validation")),
                "The validation images are learnt as well: what does their error say then?",
            ),
            "no L": (
                changed(scale=lambda _L: 1.0),
                "This is L = 1 in the loss: where does L enter?",
            ),
            "L twice": (
                changed(scale=lambda L: L**2),
                "L enters twice: how often is the network taken times L?",
            ),
            "divided by L": (
                changed(scale=lambda L: 1 / L),
                "The outputs are divided by L: should the loss see larger ones, or smaller?",
            ),
            "orthonormal": (
                changed(constraint=lambda net: [retract_(m) for m in _linear(net)]),
                "Every singular value of the weights is 1: does clipping enlarge the small ones?",
            ),
            "normalized": (
                changed(constraint=loops.normalize_),
                "Each weight is divided by its norm, below 1 as well: which ones does clipping "
                "leave alone?",
            ),
            "divided": (
                changed(constraint=loops.divide_),
                "A weight of norm above 1 is divided by it, all of it: which singular values does "
                "clipping change?",
            ),
            "the last layer only": (
                changed(constraint=lambda net: clip_singular_values_(net[-1])),
                "Only the last weight is clipped: what of the first one?",
            ),
            "the first layer only": (
                changed(constraint=lambda net: clip_singular_values_(net[0])),
                "Only the first weight is clipped: what of the last one?",
            ),
            "rows": (
                changed(constraint=loops.project_rows_),
                "The rows are projected, as the ∞-norm has it: which norm is to be at most 1?",
            ),
            "lengths": (
                changed(constraint=loops.shorten_),
                "A weight longer than 1 in the Frobenius norm is made shorter: which norm is to be "
                "at most 1?",
            ),
            "exchanged": (
                changed(train=("validation",), choose="train"),
                "The validation part trains and the training part chooses: which is which?",
            ),
            "all train": (
                changed(train=("train", "validation", "test")),
                "The network learns all three parts: which ones are to be new to it?",
            ),
            "test trains": (
                changed(train=("train", "test")),
                "The network learns the test images: which part is it to learn?",
            ),
            "two parts choose": (
                loops.both,
                "Validation and test images choose together: what is the test error worth then?",
            ),
            "one epoch too many": (
                changed(count=lambda epochs: epochs + 1),
                "The loop goes on after the last epoch: how often is it to run?",
            ),
            "one epoch too few": (
                changed(count=lambda epochs: epochs - 1),
                "One epoch is left out, and it was the best or the only one: how often does the "
                "loop run?",
            ),
            "one epoch": (
                changed(count=lambda _epochs: 1),
                "These are the weights of the first epoch: does the function return there, or is "
                "no later error smaller?",
            ),
            "stopped": (
                changed(stop=True),
                "This stops at the first epoch that is no better: may a better one come later?",
            ),
            "late": (
                loops.late,
                "The error is measured before the step, and the copy is made after it: of which "
                "weights is it the error?",
            ),
            "the start": (
                loops.early,
                "The start, before any step, can be returned: did the loop measure it?",
            ),
            "another rate": (
                changed(rate=RATE / 10),
                "The step is a tenth of what it was: which rate had the loop?",
            ),
            "uphill": (
                changed(rate=-RATE),
                "The loss grows: do the weights move along its gradient, or against it?",
            ),
            "momentum": (
                changed(keep=0.9),
                "Here each step repeats nine tenths of the one before: had the optimizer a "
                "momentum?",
            ),
        },
        wrong={
            "test looked at": (_all_parts, "may the loop know of it"),
            "a rate of its own": (changed(rate=0.03), "0.3 times its length"),
            "one image less": (_one_less, "What else has changed"),
            "Adam": (loops.by_signs, "plain SGD"),
            "no bias": (_without_bias, "the biases are not"),
            "a scale": (
                lambda net, *given: nn.Sequential(loops.fit(net, *given), Scale(2.0)),
                "is a layer added",
            ),
            "another epoch": (changed(score=_wrong_classes), "What chooses, what ends"),
            "not finite": (lambda net, *_given: _divided_by(net, 0.0), "is not finite"),
            "a state": (lambda *given: loops.fit(*given).state_dict(), "weights by name"),
            "a pair": (_with_its_test_error, "only the network"),
            "another": (lambda *_given: nn.Linear(4, 3), "another network"),
            "an error": (lambda *_given: 0.25, "where is the network"),
            "a list": ([1, 2], "your loop; this"),
        },
    ),
)


def _linear(network: nn.Module) -> list[nn.Linear]:
    return [m for m in network.modules() if isinstance(m, nn.Linear)]
