"""13.evaluate: the errors at rest, under attack and by certificate, counted over all images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    a_kind,
    call,
    fault,
    need_tensor,
    recogniser,
    seeded,
    shape_of,
    show_values,
)
from lipteach.primitives import MaxMin, Scale
from lipteach.robustness import fgs, margin_bounds, pgd, sandwich

Given = tuple[nn.Module, Tensor, Tensor, float]
STEPS = 25
NAMES = ("clean", "attacked", "certified")


def _layer(into: int, out: int, seed: int) -> nn.Linear:
    layer = nn.Linear(into, out)
    layer.weight.data = (1.5 * seeded(out, into, seed=seed) / into**0.5).float()
    layer.bias.data = (0.2 * seeded(out, seed=seed + 50)).float()
    return layer


CASES = ((6, 0.15, 1.0), (2, 0.05, 2000.0))
"""Seed, ε, and a factor of the logits, which saturates softmax where it is large."""


@cache
def count_case(k: int) -> Given:
    """A small network, 20 images of 4 pixels, their labels, of which some are not told, and ε."""
    seed, eps, factor = CASES[k]
    f = nn.Sequential(_layer(4, 6, seed), MaxMin(), _layer(6, 3, seed + 1), Scale(factor))
    x = torch.rand(20, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        y = f(x).argmax(1)
    y[:6] = (y[:6] + 1) % 3
    return f, x, y, eps


def told(model: nn.Module, x: Tensor) -> Tensor:
    """The predicted classes."""
    with torch.no_grad():
        found: Tensor = model(x).argmax(dim=1)
    return found


def sure(bounds: Tensor, y: Tensor) -> Tensor:
    """Whether all bounds but that of y, which is 0, are above 0."""
    others = torch.arange(bounds.shape[1]) != y[:, None]
    return ((bounds > 0) | ~others).all(dim=1)


def share(which: Tensor) -> float:
    """The share of True."""
    return float(which.double().mean())


class Pieces:
    """What counts are made of, each found once: classes under attack, and bounds."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, eps: float) -> None:
        self.given, self.predicted, self.y = (model, x, eps), told(model, x), y
        self._found: dict[Any, Tensor] = {}

    def _labels(self, of: str) -> Tensor:
        return self.y if of == "y" else self.predicted

    def after(self, of: str, loss: str, scale: float, steps: int) -> Tensor:
        """The classes that are told of attacked images."""
        key = (of, loss, scale, steps)
        if key not in self._found:
            model, x, eps = self.given
            attack = partial(pgd, steps=steps) if steps > 1 else fgs
            self._found[key] = told(
                model, attack(model, x, self._labels(of), scale * eps, loss=loss)
            )
        return self._found[key]

    def bounds(self, of: str, scale: float) -> Tensor:
        """The margins' lower bounds."""
        if (of, scale) not in self._found:
            model, x, eps = self.given
            self._found[of, scale] = margin_bounds(model, x, self._labels(of), scale * eps)
        return self._found[of, scale]

    def shares(
        self,
        out_of: str = "all",
        attacked: str = "y",
        loss: str = "cw",
        steps: int = STEPS,
        certified: str = "y",
        safe: Callable[[Tensor, Tensor], Tensor] = sure,
        scales: tuple[float, float] = (1.0, 1.0),
    ) -> tuple[float, float, float]:
        """The three shares; a keyword changes one thing."""
        right = self.predicted == self.y
        wrong = self.after(attacked, loss, scales[0], steps) != self.y
        wrong = {"all": wrong, "right": wrong[right], "new": wrong & right}[out_of]
        holds = safe(self.bounds(certified, scales[1]), self._labels(certified))
        return share(~right), share(wrong), share(~holds)


class Count:
    """A way to count: options of `Pieces.shares`, and what is done with the three."""

    def __init__(self, change: Callable[..., Any] = lambda *three: three, **options: Any) -> None:
        self.change, self.options = change, options

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Any:
        """As a student's function."""
        return self.of(Pieces(model, x, y, eps))

    def of(self, pieces: Pieces) -> Any:
        """What it returns."""
        return self.change(*pieces.shares(**self.options))


errors = Count()
_AS_IT_STANDS: dict[str, Any] = {"out_of": "right", "loss": "ce", "certified": "told"}


@cache
def _pieces(k: int) -> Pieces:
    return Pieces(*count_case(k))


@cache
def _outcome(count: Count, k: int) -> Tensor:
    return need_tensor(count.of(_pieces(k)))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-5)


def _shares(found: Any) -> Tensor:
    if isinstance(found, dict):
        raise Hint("type", "This is a dict: the three shares are asked for in their order.")
    if isinstance(found, (int, float)) or (isinstance(found, Tensor) and found.ndim == 0):
        text = f"Your function returns {a_kind(found)}"
        raise Hint("type", f"{text}: three shares are needed, (clean, attacked, certified).")
    if isinstance(found, (tuple, list)) and len(found) != 3:
        text = f"Your function returns {len(found)} values"
        raise Hint("type", f"{text}: (clean, attacked, certified) are three.")
    values = need_tensor(found)
    if values.shape != (3,):
        text = f"The three have the shape {shape_of(values)}"
        raise Hint("shape", f"{text}: is one of them a number for each image, not a share?")
    return values


def _judge_evaluate(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", f"A function is needed, your count; this is {a_kind(answer)}.")
    found = []
    for k in range(len(CASES)):
        result = call(answer, *count_case(k))
        try:
            found.append(_shares(result))
        except Hint as hint:
            raise hint.at(*count_case(k)) from None
    rows = range(len(CASES))
    wrong = [k for k in rows if not _same(found[k], _outcome(errors, k))]
    if wrong:

        def alike(count: Count) -> bool:
            return all(_same(found[k], _outcome(count, k)) for k in rows)

        said = _what(found[wrong[0]], _outcome(errors, wrong[0]), wrong[0])
        known = fault("value", said, mistakes, recogniser(alike, torch.stack(found)))
        raise known.at(*count_case(wrong[0]))


def _what(got: Tensor, want: Tensor, k: int) -> str:
    """What is wrong of a count in which no mistake is known."""
    place = int(((got - want).abs() > 1e-5).nonzero()[0])
    text = f"On {len(count_case(k)[1])} images {NAMES[place]} is {show_values(float(got[place]))}"
    text = f"{text}; {show_values(float(want[place]))} is right"
    if float(got.min()) < 0 or float(got.max()) > 1:
        return f"{text}: is it a share of all images, between 0 and 1?"
    if place == 0:
        return f"{text}: which images are told wrongly as they are, and out of how many?"
    below = got[place] < got[place - 1] - 1e-6
    if below:
        ask = "an image that is wrong before" + (" the attack" if place == 1 else "")
        return f"{text}, less than {NAMES[place - 1]}: what of {ask}?"
    if place == 1:
        side = "More is" if got[1] > want[1] else "Less is"
        return f"{text}. {side} counted than lt.pgd finds: of which images, and against which y?"
    side = "is certified" if got[2] > want[2] else "is counted as safe"
    word = "Less" if got[2] > want[2] else "More"
    return f"{text}. {word} {side} than the bounds say: which of a row's must be above 0?"


def _by_sandwich(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> tuple[float, float, float]:
    found = sandwich(model, x, y, eps, steps=40)
    return found.clean, found.attacked, found.certified


def _by_subset(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Any:
    """Only what is told rightly is attacked, and the rest counted on top."""
    n, right = len(x), model(x).argmax(1) == y
    z = pgd(model, x[right], y[right], eps, STEPS)
    still = (model(z).argmax(1) == y[right]).sum()
    least = margin_bounds(model, x, y, eps).scatter(1, y[:, None], torch.inf).amin(1)
    return torch.stack([1 - right.sum() / n, 1 - still / n, 1 - (least > 0).sum() / n])


def _by_loop(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> list[float]:
    counts = [0, 0, 0]
    images, bounds = pgd(model, x, y, eps, steps=40), margin_bounds(model, x, y, eps)
    for k, label in enumerate(y.tolist()):
        counts[0] += int(model(x[k : k + 1]).argmax()) != label
        counts[1] += int(model(images[k : k + 1]).argmax()) != label
        counts[2] += any(b <= 0 for i, b in enumerate(bounds[k].tolist()) if i != label)
    return [c / len(y) for c in counts]


def _no_less(clean: float, attacked: float, certified: float) -> tuple[float, float, float]:
    return clean, max(clean, attacked), max(clean, attacked, certified)


EXERCISES = (
    Exercise(
        name="13.evaluate",
        judge=_judge_evaluate,
        solution=errors,
        right={
            "the right ones attacked": _by_subset,
            "one by one": _by_loop,
            "by the package": _by_sandwich,
            "0 and above": Count(safe=lambda bounds, _y: (bounds >= 0).all(dim=1)),
        },
        mistakes={
            "as it stands": (
                Count(**_AS_IT_STANDS),
                "These are the shares of the function that stands there: compare clean and "
                "attacked, and ask each line of which images it speaks.",
            ),
            "all images": (
                Count(loss="ce", certified="told"),
                "All images are counted now; two faults are left: what does the attack ascend "
                "where softmax saturates, and of which class is the certificate?",
            ),
            "the loss": (
                Count(out_of="right", certified="told"),
                "The attack is mended; two faults are left: out of how many images is attacked a "
                "share, and of which class is the certificate?",
            ),
            "the certificate": (
                Count(out_of="right", loss="ce"),
                "The certificate is mended; two faults are left, both in the attack: what does it "
                "ascend, and out of how many images is it a share?",
            ),
            "right ones only": (
                Count(out_of="right"),
                "Only images that are told rightly are attacked and counted: out of how many is "
                "the error to be, and what of the others?",
            ),
            "cross entropy": (
                Count(loss="ce"),
                'The attack ascends the cross entropy: what does loss="ce" find where softmax '
                "saturates?",
            ),
            "the class that is told": (
                Count(certified="told"),
                "The certificate is that the class stays as it is told: what if that is wrong?",
            ),
            "attacked: the class that is told": (
                Count(attacked="told"),
                "The attack leads away from the class that is told, and so repairs some images: of "
                "which class is the margin to fall?",
            ),
            "told, twice": (
                Count(attacked="told", certified="told"),
                "Attack and certificate are both of the class that is told: where does y enter?",
            ),
            "told, and cross entropy": (
                Count(attacked="told", loss="ce", certified="told"),
                "Attack and certificate are of the class that is told, by cross entropy: where "
                "does y enter, and what does softmax do to the loss?",
            ),
            "new errors": (
                Count(out_of="new"),
                "Attacked counts only the images that the attack has turned: what of those that "
                "are wrong before it?",
            ),
            "new errors, told": (
                Count(out_of="new", certified="told"),
                "Attacked counts only what the attack has turned, and the certificate is of the "
                "class that is told: is an image that is wrong before safe?",
            ),
            "new errors, cross entropy": (
                Count(out_of="new", loss="ce"),
                "Attacked counts only what the attack has turned, by cross entropy: what of images "
                "that are wrong before, and of a softmax that saturates?",
            ),
            "new errors, all else": (
                Count(out_of="new", loss="ce", certified="told"),
                "Only the denominator is mended: what of the images that are wrong before the "
                "attack, of the loss, and of the certificate's class?",
            ),
            "one bound": (
                Count(safe=lambda bounds, _y: (bounds > 0).any(dim=1)),
                "An image counts as safe if one bound is above 0: how many rivals has y?",
            ),
            "all bounds": (
                Count(safe=lambda bounds, _y: (bounds > 0).all(dim=1)),
                "No image is certified: is the bound of y itself, which is 0, among those that are "
                "to be above 0?",
            ),
            "their sum": (
                Count(safe=lambda bounds, _y: bounds.sum(dim=1) > 0),
                "The sum of the bounds decides: which of the rivals is to stay below y?",
            ),
            "the largest": (
                Count(safe=lambda bounds, y: bounds.argmax(dim=1) == y),
                "The largest bound decides, and it is that of y, 0, where no other is above 0: "
                "which sign have the others, if y is safe?",
            ),
            "the certified ones": (
                Count(lambda clean, attacked, certified: (clean, attacked, 1 - certified)),
                "The third is the share of images that are certified: is it an error?",
            ),
            "what is right": (
                Count(lambda *all_three: tuple(1 - one for one in all_three)),
                "These are accuracies, 1 minus each error: which is asked for?",
            ),
            "in percent": (
                Count(lambda *all_three: tuple(100 * one for one in all_three)),
                "These are percent: between which numbers is a share?",
            ),
            "numbers": (
                Count(lambda *all_three: tuple(20 * one for one in all_three)),
                "These are numbers of images: of how many?",
            ),
            "turned": (
                Count(lambda *all_three: all_three[::-1]),
                "The order is turned: which comes first, clean or certified?",
            ),
            "clean thrice": (
                Count(lambda clean, _attacked, certified: (clean, clean, certified)),
                "Attacked is the clean error again: is the network shown the images that the "
                "attack returns?",
            ),
            "two of the same": (
                Count(lambda clean, attacked, _certified: (clean, attacked, attacked)),
                "The third is the attacked error again: is what no attack found certified?",
            ),
            "the certificate twice": (
                Count(lambda clean, _attacked, certified: (clean, certified, certified)),
                "The second is the certified error: what did the attack find?",
            ),
            "added to the third": (
                Count(lambda clean, attacked, certified: (clean, attacked, clean + certified)),
                "The clean error is added to certified, which counts those images already: which "
                "are counted twice?",
            ),
            "apart": (
                Count(
                    lambda clean, attacked, certified: (
                        clean,
                        attacked - clean,
                        certified - attacked,
                    )
                ),
                "These are the steps from one error to the next: does each count all images that "
                "are wrong?",
            ),
            "times the rest": (
                Count(
                    lambda clean, attacked, certified: (
                        clean,
                        clean + attacked * (1 - clean),
                        certified,
                    )
                ),
                "Attacked is taken for a share of the images told rightly: of which images was it "
                "one?",
            ),
            "exchanged": (
                Count(lambda clean, attacked, certified: (clean, certified, attacked)),
                "The second and the third are exchanged: which of the two bounds the other?",
            ),
            "added": (
                Count(lambda clean, attacked, certified: (clean, clean + attacked, certified)),
                "The clean error is added to attacked, which counts those images already: which "
                "are counted twice?",
            ),
            "sorted": (
                Count(lambda *three: sorted(three), **_AS_IT_STANDS),
                "These are the old shares in another order: does sorting mend a count?",
            ),
            "no ε": (
                Count(scales=(1.0, 0.0)),
                "The bounds are those at x itself: within which radius are they to hold?",
            ),
            "half of ε": (
                Count(scales=(1.0, 0.5)),
                "The bounds are for half of eps: is ε a radius or a width?",
            ),
            "twice ε": (
                Count(scales=(1.0, 2.0)),
                "The bounds are for 2 eps: is ε a radius or a width?",
            ),
            "half of ε in both": (
                Count(scales=(0.5, 0.5)),
                "Attack and bounds have half of eps: is ε a radius or a width?",
            ),
            "each bound": (
                Count(safe=lambda bounds, _y: bounds > 0),
                "The third is a share of all bounds, those of y too: how many images are not safe?",
            ),
            "half of ε in the attack": (
                Count(scales=(0.5, 1.0)),
                "The attack finds what half of eps allows: which radius has its ball, which norm?",
            ),
            "one step": (
                Count(steps=1),
                "The attack is FGS, of one long step: does a network with folds not bend on the "
                "way?",
            ),
            "at least clean": (
                Count(_no_less, **_AS_IT_STANDS),
                "Attacked and certified are lifted to the clean error: are the images counted "
                "that it hides?",
            ),
        },
        wrong={
            "two": (lambda *given: errors(*given)[:2], "returns 2 values"),
            "one": (lambda *given: errors(*given)[1], "three shares are needed"),
            "by name": (lambda *given: dict(zip(NAMES, errors(*given), strict=True)), "a dict"),
            "each image": (
                lambda model, x, y, _eps: torch.stack([told(model, x) != y] * 3).double(),
                "for each image",
            ),
            "below 0": (
                Count(lambda clean, attacked, certified: (clean, clean - attacked, certified)),
                "between 0 and 1",
            ),
            "another clean": (
                Count(lambda clean, attacked, certified: (clean / 2, attacked, certified)),
                "told wrongly as they are",
            ),
            "less than clean": (
                Count(lambda clean, _attacked, certified: (clean, clean / 2, certified)),
                "wrong before the attack?",
            ),
            "too few attacked": (
                Count(lambda clean, attacked, certified: (clean, attacked - 0.05, certified)),
                "Less is counted",
            ),
            "too many attacked": (
                Count(lambda clean, attacked, certified: (clean, attacked + 0.05, certified)),
                "More is counted",
            ),
            "certified less": (
                Count(lambda clean, attacked, _certified: (clean, attacked, attacked - 0.05)),
                "less than attacked: what of an image that is wrong before?",
            ),
            "too many certified": (
                Count(lambda clean, attacked, certified: (clean, attacked, certified - 0.025)),
                "More is counted as safe",
            ),
            "too few certified": (
                Count(lambda clean, attacked, certified: (clean, attacked, certified + 0.025)),
                "Less is certified",
            ),
            "no function": ((0.1, 0.2, 0.3), "A function is needed"),
        },
    ),
)
