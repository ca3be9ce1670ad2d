"""13.pgd: projected gradient descent, written by hand, with the best image of all that it met."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, fault, shape_of, show_apart
from lipteach.classroom.lessons.l13_robustness.exercises.attacked import (
    COUNT,
    Given,
    attack_case,
)
from lipteach.classroom.lessons.l13_robustness.exercises.attacks import (
    ascend,
    changed,
    excess,
    into,
)
from lipteach.classroom.lessons.l13_robustness.exercises.wrong_attacks import WRONG_ATTACKS

TOL = 1e-5


class Noted(nn.Module):
    """A network that notes the images which it is shown, and how it was left."""

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f, self.seen = f, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        """As the network itself."""
        self.seen.append(x.detach().clone())
        out: Tensor = self.f(x)
        return out


@cache
def _outcome(attack: Callable[..., Tensor], k: int) -> Tensor:
    return attack(*attack_case(k)).detach()


@cache
def way(k: int) -> list[Tensor]:
    """The start and the iterates."""
    met: list[Tensor] = []

    def kept(_f: nn.Module, _y: Tensor, images: list[Tensor]) -> Tensor:
        met.extend(images[1:])
        return images[0]

    ascend(*attack_case(k), choose=kept)
    return met


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(
        one.double(), other.double(), rtol=0, atol=TOL
    )


def _call(answer: Callable[..., Any], k: int) -> tuple[Tensor, Noted, bool]:
    """The images, what the network was shown, and whether its parameters are as they were."""
    rest: list[Any]
    f, *rest = attack_case(k)
    noted, given = Noted(copy.deepcopy(f)), copy.deepcopy(rest)
    found = _images(call_with(answer, (noted, *given)), rest[0])
    for name, place in (("x", 0), ("y", 1), ("noise", 5)):
        if not torch.equal(given[place], rest[place]):
            text = f"Your code changes {name} in place: where do you work on a copy?"
            raise Hint("mutation", text)
    return found, noted, _untouched(noted.f, f)


def _untouched(now: nn.Module, before: nn.Module) -> bool:
    pairs = zip(now.parameters(), before.parameters(), strict=True)
    return all(
        a.grad is None and torch.equal(a, b) and a.requires_grad == b.requires_grad
        for a, b in pairs
    )


def _images(found: Any, x: Tensor) -> Tensor:
    if isinstance(found, (tuple, list)):
        raise Hint("type", f"Your attack returns {a_kind(found)}: only the images are asked for.")
    if not isinstance(found, Tensor):
        raise Hint("type", f"Your attack returns {a_kind(found)}: where are the images?")
    if found.shape != x.shape:
        text = f"For x of shape {shape_of(x)} your attack returns {shape_of(found)}"
        raise Hint("shape", f"{text}: one image for each of x is needed.")
    if not bool(torch.isfinite(found).all()):
        raise Hint("value", "A pixel is not finite: what is divided by 0?")
    return found.detach()


def _judge_pgd(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", f"A function is needed, your attack; this is {a_kind(answer)}.")
    found, noted, kept = [], [], True
    for k in range(COUNT):
        try:
            images, f, untouched = _call(answer, k)
        except Hint as hint:
            raise hint.at(*attack_case(k)) from None
        found.append(images)
        noted.append(f)
        kept = kept and untouched
    wrong = [k for k in range(COUNT) if not _same(found[k], _outcome(ascend, k))]
    if wrong:
        k = wrong[0]
        order = [k, *(j for j in range(COUNT) if j != k)]

        def alike(mistake: Mistake) -> bool:
            return all(_same(found[j], _outcome(mistake.answer, j)) for j in order)

        where, said = _what(found, noted, wrong)
        known = fault("value", said, mistakes, alike)
        raise known.at(*attack_case(where if known.text == said else k))
    if not kept:
        text = (
            "The images are right, but the parameters of f are not as they were: does backward() "
            "leave a .grad in them? What does torch.autograd.grad(…, z) ask for?"
        )
        raise Hint("constraint", text, attack_case(0))


def _what(found: list[Tensor], noted: list[Noted], wrong: list[int]) -> tuple[int, str]:
    """Where and what is wrong, in an attack in which no mistake is known: the first thing."""
    looks: tuple[Callable[[int], str], ...] = (
        lambda k: _outside(found[k], attack_case(k)),
        lambda k: _start_astray(noted[k].seen, k),
        lambda k: _astray(noted[k].seen, k),
        lambda k: _worse(found[k], noted[k].seen, k),
    )
    for say in looks:
        for k in wrong:
            if text := say(k):
                return k, text
    k = wrong[0]
    margin, right, _ = _margins(found[k], k)
    row = int((margin - right).argmax())
    one, other = show_apart(float(margin[row]), float(right[row]))
    text = f"image {row} comes back with the margin {one}; {other} is met on the way"
    return k, f"{_lead(noted[k].seen, k)}{text}: which image is kept, for each sample by itself?"


def _outside(z: Tensor, given: Given) -> str:
    _, x, _, eps, *_ = given
    low, high, far = float(z.min()), float(z.max()), float((z - x).abs().max())
    if low < -TOL or high > 1 + TOL:
        text = f"A pixel that comes back is {low if low < -TOL else high:.4g}"
        return f"{text}: which line keeps images within [0, 1], and is it the last to change them?"
    if far > eps + TOL:
        text = f"With eps = {eps:g} a pixel has moved by {far:.4g} from that of x"
        return f"{text}: which line keeps it in the ball around x, and is it the last to change z?"
    return ""


def _start_astray(seen: list[Tensor], k: int) -> str:
    """What is said where the first image that f is shown, beside x, is not the start."""
    _, x, _, eps, *_ = attack_case(k)
    mine, right = _distinct([z for z in seen if z.shape == x.shape], x), way(k)[0]
    if not mine or _same(right, x) or _same(mine[0], right):
        return ""
    at = int((mine[0] - right).abs().argmax())
    one, other = show_apart(float(mine[0].flatten()[at]), float(right.flatten()[at]))
    text = f"With eps = {eps:g} a pixel of the start is {one}; {other} is right"
    return f"{text}: how large is 0.1 · eps · noise there, and is it kept within [0, 1]?"


def _astray(seen: list[Tensor], k: int) -> str:
    """Where the images shown to f leave the way of the attack."""
    _, x, _, eps, _, step_size, _ = attack_case(k)
    mine = _distinct([z for z in seen if z.shape == x.shape], x)
    right = _distinct(way(k), x)
    if _one_by_one(seen, k):
        return ""
    on = f"With eps = {eps:g} and step_size = {step_size:g}"
    for place, z in enumerate(right):
        if place >= len(mine):
            if place == len(right) - 1:  # a gradient there is not needed
                break
            text = f"{on} f is shown {len(mine)} images of the way"
            return f"{text} beside x, and at {len(right) - 1} at least a gradient is needed."
        if _same(mine[place], z):
            continue
        at = int((mine[place] - z).abs().argmax())
        got, want = (v.flatten()[at].item() for v in (mine[place], z))
        one, other = show_apart(got, want)
        what = "first step" if place + _same(way(k)[0], x) == 1 else f"step {place}"
        text = f"{on} a pixel is {one} after the {what}; {other} is right"
        return f"{text}: of what is the sign, where does z begin, and what is kept in the ball?"
    return ""


def _distinct(images: list[Tensor], x: Tensor) -> list[Tensor]:
    """Without x, and each one once."""
    found: list[Tensor] = []
    for z in images:
        if not any(_same(z, old) for old in (x, *found)):
            found.append(z)
    return found


def _one_by_one(seen: list[Tensor], k: int) -> bool:
    """Whether f was shown other batches than x, so that nothing can be said of the way."""
    return any(z.shape != attack_case(k)[1].shape for z in seen)


def _lead(seen: list[Tensor], k: int) -> str:
    return "Image by image, " if _one_by_one(seen, k) else "The way is right, and "


def _worse(z: Tensor, seen: list[Tensor], k: int) -> str:
    """What is said where an image is worse for the attacker than x."""
    margin, _, at_x = _margins(z, k)
    row = int((margin - at_x).argmax())
    if margin[row] < at_x[row] + 1e-3 * at_x[row].abs():
        return ""
    text = f"image {row} comes back with the margin {float(margin[row]):.4g}"
    text = f"{text}, more than that of x itself, {float(at_x[row]):.4g}"
    return f"{_lead(seen, k)}{text}: what is kept, and when?"


@torch.no_grad()
def _margins(z: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """The margins of these images, of the best that were met, and of x."""
    f, x, y, *_ = attack_case(k)
    margin, right, at_x = (-excess(f(v), y) for v in (z, _outcome(ascend, k), x))
    return margin, right, at_x


def _by_loop(
    f: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, step_size: float, noise: Tensor
) -> Tensor:
    """Image by image, and the best so far."""
    found = []
    for image, label, drawn in zip(x, y, noise, strict=True):
        one, its = image[None], label[None]
        z = (one + 0.1 * eps * drawn[None]).clamp(0, 1)
        best, least = one, -excess(f(one), its)
        for step in range(steps + 1):
            z = z.detach().clone().requires_grad_()
            margin = -excess(f(z), its)
            if margin < least:
                best, least = z.detach(), margin
            if step < steps:
                (slope,) = torch.autograd.grad(margin, z)
                z = (one + (z - step_size * slope.sign() - one).clamp(-eps, eps)).clamp(0, 1)
        found.append(best)
    return torch.cat(found)


def _with_hooks(
    f: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, step_size: float, noise: Tensor
) -> Tensor:
    """Backwards to z alone, the mean for the sum, and best images put in place by a mask."""
    low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
    best, least = x.clone(), -excess(f(x), y).detach()
    z = torch.min(torch.max(x + noise * eps / 10, low), high)
    for step in range(steps + 1):
        z = z.detach().requires_grad_(True)
        gains = excess(f(z), y)
        better = -gains.detach() < least
        best[better], least[better] = z.detach()[better], -gains.detach()[better]
        if step == steps:
            break
        gains.mean().backward(inputs=[z])  # type: ignore[no-untyped-call]
        slope = torch.sign(z.grad) if z.grad is not None else z
        z = torch.min(torch.max(z.detach() + step_size * slope, low), high)
    return best


def _by_backward(*given: Any) -> Tensor:
    """Right images, and gradients left in the parameters."""
    f, x, y, *_ = given
    torch.autograd.backward(excess(f(x), y).sum())
    return ascend(*given)


def _best_of_half(*given: Any) -> Tensor:
    """All steps are made, and the best of the first half of them comes back."""
    f, x, y, eps, steps, *rest = given
    ascend(*given)
    return ascend(f, x, y, eps, steps // 2, *rest)


def _first_of_each(*given: Any) -> Tensor:
    """Image by image, and the first iterate comes back."""
    f, x, y, eps, steps, step_size, noise = given
    found = [
        ascend(f, image, label, eps, steps, step_size, drawn, choose=lambda _f, _y, met: met[2])
        for image, label, drawn in zip(x.split(1), y.split(1), noise.split(1), strict=True)
    ]
    return torch.cat(found)


def _in_place(*given: Any) -> Tensor:
    found = ascend(*given)
    given[1].copy_(found)
    return found


EXERCISES = (
    Exercise(
        name="13.pgd",
        judge=_judge_pgd,
        solution=ascend,
        right={
            "image by image": _by_loop,
            "by a mask": _with_hooks,
            "the ball last": changed(
                project=lambda z, x, eps, **_: torch.max(torch.min(z.clamp(0, 1), x + eps), x - eps)
            ),
            "by the mean": changed(goal=lambda logits, y: excess(logits, y) / len(y)),
        },
        mistakes=WRONG_ATTACKS,
        wrong={
            "gradients left": (_by_backward, "leave a .grad"),
            "x changed": (_in_place, "changes x in place"),
            "a pair": (lambda *given: (ascend(*given), 0.5), "only the images"),
            "margins": (
                lambda f, x, y, *_: -excess(f(x), y),
                "one image for each of x",
            ),
            "a number": (lambda *_given: 0.25, "where are the images"),
            "not finite": (lambda _f, x, *_: x / 0, "is not finite"),
            "no function": ([0.5], "your attack; this"),
            "a start beyond, and no ball": (
                changed(keep_start=False, project=lambda z, _x, _eps, **_: z),
                "A pixel that comes back is",
            ),
            "a wide ball, and a start": (
                changed(
                    project=lambda z, x, eps, **_: into(z, x, 1.5 * eps),
                    start=lambda x, _eps, _noise: x,
                ),
                "a pixel has moved by 0.15",
            ),
            "a start of half": (
                changed(start=lambda x, eps, noise: x + 0.5 * eps * noise),
                "a pixel of the start is",
            ),
            "steps of a third": (
                changed(length=lambda step_size, _eps, _steps, _k: step_size / 3),
                "after the first step",
            ),
            "the best of the first half": (
                _best_of_half,
                "0.24 is met on the way",
            ),
            "the first iterate, image by image": (_first_of_each, "Image by image, "),
            "the first iterate": (
                changed(choose=lambda _f, _y, met: met[2]),
                "more than that of x itself",
            ),
            "x alone": (
                lambda f, x, _y, *_: x + 0 * f(x).sum(),
                "a gradient is needed",
            ),
        },
    ),
)
