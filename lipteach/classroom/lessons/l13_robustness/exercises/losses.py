"""13.f6: the loss of Carlini and Wagner, on a batch of logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import call, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import need_own_code
from lipteach.robustness import cw_f6


def others(logits: Tensor, target: Tensor, filled: float = -torch.inf) -> Tensor:
    """The logits, with another number in the place of the target's."""
    return logits.scatter(1, target[:, None], filled)


def own(logits: Tensor, target: Tensor) -> Tensor:
    """The target's logits."""
    return logits.gather(1, target[:, None])[:, 0]


def gap(logits: Tensor, target: Tensor) -> Tensor:
    """What f6 cuts off at 0."""
    return others(logits, target).amax(1) - own(logits, target)


def _by_loop(logits: Tensor, target: Tensor) -> Tensor:
    found = []
    for z, t in zip(logits, target.tolist(), strict=True):
        rest = max(z[i] for i in range(len(z)) if i != t)
        found.append(torch.clamp(rest - z[t], min=0))
    return torch.stack(found)


def _by_mask(logits: Tensor, target: Tensor) -> Tensor:
    mask = functional.one_hot(target, logits.shape[1]).bool()
    gaps = logits.masked_fill(mask, -1e9).max(dim=1).values - logits[mask]
    return torch.where(gaps > 0, gaps, torch.zeros_like(gaps))


def _over_all(logits: Tensor, target: Tensor) -> Tensor:
    """The maximum over all classes: where the target is the largest this is 0, as f6 is."""
    return (logits.max(dim=1).values - own(logits, target)).relu()


def _by_order(logits: Tensor, target: Tensor) -> Tensor:
    ranked = logits.sort(dim=1, descending=True)
    runner = torch.where(ranked.indices[:, 0] == target, ranked.values[:, 1], ranked.values[:, 0])
    return functional.relu(runner - own(logits, target))


def _after(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda logits, target: cw_f6(change(logits), target)


def _top(logits: Tensor, place: int) -> Tensor:
    return logits.sort(dim=1, descending=True).values[:, place]


def _columns(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.max(dim=1).values - logits[0, target]).relu()


def _changes(logits: Tensor, target: Tensor) -> Tensor:
    chosen = own(logits, target).clone()
    logits.scatter_(1, target[:, None], -torch.inf)
    return (logits.amax(1) - chosen).relu()


def _filled(got: Tensor, want: Tensor, logits: Tensor, target: Tensor) -> bool:
    """Whether one constant stands for the maximum wherever the result is wrong."""
    constants = (got + own(logits, target))[(got - want).abs() > 1e-4]
    return float(constants.max()) < -1 and float(constants.max() - constants.min()) < 1e-4


_GIVEN = [
    (torch.tensor([[2.0, 5.0, 1.0], [-1.0, -4.0, -2.5]]).double(), torch.tensor([0, 0])),
    (3 * seeded(6, 4, seed=1), torch.tensor([0, 1, 2, 3, 1, 2])),
    (2 * seeded(1, 5, seed=2) - 8, torch.tensor([3])),
    (seeded(5, 2, seed=3), torch.tensor([1, 0, 1, 0, 1])),
    (seeded(4, 4, seed=4) + 3, torch.tensor([2, 3, 0, 1])),
    (seeded(3, 3, seed=5) - 3000, torch.tensor([2, 1, 2])),
]
_TIES = [(torch.tensor([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]).double(), torch.tensor([0, 2]))]
_ASK = "Which of your steps makes the difference?"


def _which_case(answer: Any) -> str:
    """Whether it is wrong where the target has won, or where it is behind."""
    pairs = [(call(answer, *given), cw_f6(*given)) for given in _GIVEN]
    got, want = (torch.cat([torch.as_tensor(pair[k]).double() for pair in pairs]) for k in (0, 1))
    wrong = (got - want).abs() > 1e-4 * (1 + want.abs())
    if bool((want[wrong] == 0).all()):
        return "Wrong just where t has the largest logit: what is a positive part there?"
    if bool((want[wrong] > 0).all()):
        return "Wrong just where t is behind: which logit is ahead of it, and by how much?"
    return "Wrong where t has won and where it is behind: which two logits are in the difference?"


def _judge_f6(answer: Any, mistakes: Sequence[Mistake]) -> None:
    try:
        compare_function(answer, cw_f6, _GIVEN, ties=_TIES, gradient=True, mistakes=mistakes)
    except Hint as hint:
        if _ASK not in hint.text or not hint.example:
            raise
        text = hint.text.replace(_ASK, _which_case(answer))
        raise Hint(hint.kind, text, hint.example) from None
    need_own_code(answer, _GIVEN[:1], "write the formula yourself.")


EXERCISES = (
    Exercise(
        name="13.f6",
        judge=_judge_f6,
        solution=lambda logits, target: gap(logits, target).clamp(min=0),
        right={
            "row by row": _by_loop,
            "by a mask": _by_mask,
            "over all classes": _over_all,
            "by order": _by_order,
            "the largest of the cut ones": lambda logits, target: (
                (logits - own(logits, target)[:, None]).relu().amax(1)
            ),
        },
        mistakes={
            "not cut": (
                gap,
                "Where the target is the largest the result is below 0: what does ( )⁺ do?",
            ),
            "turned": (
                lambda logits, target: (-gap(logits, target)).relu(),
                "This is (Z_t − max)⁺, as if t were the true class: which class does the attack "
                "want, and when has it won?",
            ),
            "turned, not cut": (
                lambda logits, target: -gap(logits, target),
                "This is Z_t − max, the margin of t as the true class: what is taken from what, "
                "and what does ( )⁺ do?",
            ),
            "minus f6": (
                lambda logits, target: -cw_f6(logits, target),
                "The sign is turned after the cut: may a positive part be below 0?",
            ),
            "cut above": (
                lambda logits, target: gap(logits, target).clamp(max=0),
                "This keeps the negative part: which one is ( )⁺?",
            ),
            "sizes": (
                lambda logits, target: gap(logits, target).abs(),
                "This is |max − Z_t|: what is the result where the target has won already?",
            ),
            "softmax": (
                _after(lambda z: z.softmax(dim=1)),
                "These are differences of probabilities: what does softmax do to large logits, "
                "and of what is f6 taken?",
            ),
            "logarithms": (
                lambda logits, target: functional.cross_entropy(logits, target, reduction="none"),
                "This is the cross entropy of t: is there a logarithm in f6?",
            ),
            "sigmoid": (
                _after(torch.sigmoid),
                "These are differences of sigmoids: of what is f6 taken?",
            ),
            "tanh": (
                _after(torch.tanh),
                "These are differences of tanh Z: of what is f6 taken?",
            ),
            "argmax": (
                lambda logits, _target: cw_f6(logits, logits.argmax(1)),
                "All of it is 0, for the largest logit stands where Z_t belongs: is t the class "
                "that is predicted?",
            ),
            "the two largest": (
                lambda logits, _target: _top(logits, 0) - _top(logits, 1),
                "This is the largest logit minus the second: where does t enter?",
            ),
            "the second": (
                lambda logits, target: (_top(logits, 1) - own(logits, target)).relu(),
                "The second largest logit stands where the largest of the others belongs: is the "
                "largest one always that of t?",
            ),
            "the second, not cut": (
                lambda logits, target: _top(logits, 1) - own(logits, target),
                "The second largest logit minus Z_t: is the largest one always that of t, and "
                "what does ( )⁺ do?",
            ),
            "mean": (
                lambda logits, target: cw_f6(logits, target).mean(),
                "This is the mean over the batch: how many results has a batch?",
            ),
            "sum": (
                lambda logits, target: cw_f6(logits, target).sum(),
                "This is the sum over the batch: how many results has a batch?",
            ),
            "column": (
                lambda logits, target: cw_f6(logits, target)[:, None],
                "The result is a column, (batch, 1): is there a keepdim, or a gather without its "
                "[:, 0]?",
            ),
            "least": (
                lambda logits, target: (
                    others(logits, target, torch.inf).amin(1) - own(logits, target)
                ).relu(),
                "The least of the others is taken: which one does the target have to beat?",
            ),
            "their mean": (
                lambda logits, target: (
                    others(logits, target, 0.0).sum(1) / (logits.shape[1] - 1) - own(logits, target)
                ).relu(),
                "The mean of the others is taken: which one does the target have to beat?",
            ),
            "all gaps": (
                lambda logits, target: (logits - own(logits, target)[:, None]).relu().sum(1),
                "The gaps to all larger logits are added: how many of them count?",
            ),
            "each gap": (
                lambda logits, target: (logits - own(logits, target)[:, None]).relu(),
                "These are the gaps to all classes, (batch, classes): which of a row is f6?",
            ),
            "filled with 0": (
                lambda logits, target: (
                    others(logits, target, 0.0).amax(1) - own(logits, target)
                ).relu(),
                "In the place of t stands a 0, which is the largest where all logits are below 0: "
                "which number never is?",
            ),
            "times 0, not cut": (
                lambda logits, target: others(logits, target, 0.0).amax(1) - own(logits, target),
                "In the place of t stands a 0, which may be the largest, and nothing is cut at 0: "
                "which number never is the largest?",
            ),
            "filled with a number": (
                lambda logits, target: (
                    others(logits, target, -10.0).amax(1) - own(logits, target)
                ).relu(),
                "In the place of t stands a number that is the largest where all logits are far "
                "below 0: which number never is?",
                _filled,
            ),
            "a slope below 0": (
                lambda logits, target: functional.leaky_relu(gap(logits, target)),
                "Where the target has won the result is a little below 0: what is a positive part "
                "there?",
            ),
            "one more": (
                lambda logits, target: (gap(logits, target) + 1).relu(),
                "1 is added before the cut: does f6 ask the target to win by 1?",
            ),
            "at most 1": (
                lambda logits, target: gap(logits, target).clamp(0, 1),
                "The result is cut off at 1 as well: has a positive part an upper end?",
            ),
            "a soft maximum": (
                lambda logits, target: (
                    others(logits, target).logsumexp(1) - own(logits, target)
                ).relu(),
                "The maximum is a logsumexp, which is above it: how is the largest one taken?",
            ),
            "another Z_t": (
                lambda logits, target: (
                    others(logits, target).amax(1) - own(logits, (target - 1) % logits.shape[1])
                ).relu(),
                "The maximum leaves out t, and another class's logit is taken away: do the classes "
                "begin with 0?",
            ),
            "added": (
                lambda logits, target: (
                    others(logits, target).amax(1) + own(logits, target)
                ).relu(),
                "Z_t is added to the maximum: what is taken from what?",
            ),
            "the mean of all": (
                lambda logits, target: (logits.mean(1) - own(logits, target)).relu(),
                "The mean of all logits is taken: which one does the target have to beat?",
            ),
            "a place": (
                lambda logits, target: (logits.argmax(1) - own(logits, target)).relu(),
                "The place of the largest logit, argmax, is taken for its value: which of the two "
                "is a logit?",
            ),
            "class 0": (
                lambda logits, target: (logits[:, 0] - own(logits, target)).relu(),
                "Z₀ stands for the largest of the others: which class is ahead?",
            ),
            "elu": (
                lambda logits, target: functional.elu(gap(logits, target)),
                "This is ELU, below 0 where the target has won: what is a positive part there?",
            ),
            "each cut": (
                lambda logits, target: (
                    others(logits, target).amax(1).relu() - own(logits, target).relu()
                ),
                "Both logits are cut at 0 before the difference is taken, and it is not: of what "
                "is the positive part?",
            ),
            "over the batch": (
                lambda logits, target: (others(logits, target).amax() - own(logits, target)).relu(),
                "The maximum is taken over the whole batch: over which dimension are the classes?",
            ),
            "over the first dimension": (
                lambda logits, target: (logits.amax(0)[target] - own(logits, target)).relu(),
                "The maximum is over the images, class by class: which dimension has the classes?",
            ),
            "the first row": (
                _columns,
                "Z_t is that of the first image in every row: which entry of `logits` is Z_t of "
                "row k?",
            ),
            "the first target": (
                lambda logits, target: cw_f6(logits, target[:1].expand(len(target))),
                "The first target is taken for the whole batch: which one has each row?",
            ),
            "the target's logit only": (
                own,
                "This is Z_t alone: from what is it taken?",
            ),
            "the largest other only": (
                lambda logits, target: others(logits, target).amax(1),
                "This is max over i ≠ t alone: what is taken from it?",
            ),
            "before": (
                lambda logits, target: cw_f6(logits, (target - 1) % logits.shape[1]),
                "Z of the class before t is taken: do the classes begin with 0?",
            ),
            "squared": (
                lambda logits, target: cw_f6(logits, target).square(),
                "This is the square of f6: is there a power in it?",
            ),
            "relu first": (
                _after(torch.relu),
                "The logits are cut at 0 before the difference is taken: of what is the positive "
                "part?",
            ),
            "sizes of logits": (
                _after(torch.abs),
                "The sizes of the logits are taken: may a logit not be below 0?",
            ),
            "true or false": (
                lambda logits, target: (gap(logits, target) > 0).to(logits),
                "This is 1 where the target has not won yet: by how much is it behind?",
            ),
            "half": (
                lambda logits, target: cw_f6(logits, target) / 2,
                "This is half of it: is the ½ from another of their losses?",
            ),
            "softplus": (
                lambda logits, target: functional.softplus(gap(logits, target)),
                "This is softplus, log(1 + e^u), which is never 0: what is u⁺?",
            ),
            "with a tie": (
                lambda logits, target: torch.where(
                    gap(logits, target) > 0, gap(logits, target), 1.0
                ),
                "Where the target has won, the result is 1: what is a positive part there?",
            ),
        },
        wrong={
            "a low cut": (
                lambda logits, target: gap(logits, target).clamp(min=-0.25),
                "Wrong just where t has the largest logit",
            ),
            "less": (
                lambda logits, target: (cw_f6(logits, target) - 0.5).relu(),
                "Wrong just where t is behind",
            ),
            "a sum": (
                lambda logits, target: (gap(logits, target) + 2 * own(logits, target)).relu() + 1,
                "where t has won and where it is behind",
            ),
            "pairs": (
                lambda logits, target: (logits.amax(1) - logits[:, target]).relu(),
                "the result has shape (2, 2)",
            ),
            "max as a pair": (
                lambda logits, target: others(logits, target).max(dim=1),
                "a pair (values, indices)",
            ),
            "changes the logits": (_changes, "changes its input"),
            "detached": (
                lambda logits, target: cw_f6(logits, target).detach(),
                "no gradient flows",
            ),
            "the package's": (lambda logits, target: cw_f6(logits, target), "lt.cw_f6"),
            "a list": (
                lambda logits, target: cw_f6(logits, target).tolist(),
                "a gradient can flow",
            ),
            "a number": (1.0, "A function is needed"),
        },
    ),
)
