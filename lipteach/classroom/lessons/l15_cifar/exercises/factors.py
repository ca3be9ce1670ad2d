"""15.factors: what a batch normalization multiplies its channels by, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Mistake
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function


def made_norm(channels: int, eps: float, seed: int, affine: bool = True) -> nn.BatchNorm2d:
    """A batch normalization in evaluation mode that has seen something, in float32."""
    norm = nn.BatchNorm2d(channels, eps=eps, affine=affine).eval()
    norm.running_var = 0.02 + seeded(channels, seed=seed).abs().float()
    norm.running_mean = seeded(channels, seed=seed + 1).float()
    if affine:
        norm.weight.data = seeded(channels, seed=seed + 2).float()
        norm.bias.data = seeded(channels, seed=seed + 3).float()
    return norm.requires_grad_(False)


NORMS = [made_norm(3, 0.1, 0), made_norm(4, 1e-5, 5), made_norm(2, 1.0, 10)]
PLAIN = [made_norm(3, 0.1, 20, affine=False)]


def _weight(norm: Any) -> Tensor:
    given: Tensor = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight
    return given


def factors(norm: Any) -> Tensor:
    """|γ|/√(v + ε) of each channel."""
    found: Tensor = _weight(norm).abs() / (norm.running_var + norm.eps).sqrt()
    return found


def _by_two_images(norm: Any, training: bool = False) -> Tensor:
    """The distance of two images of one pixel, at a distance 1 in each channel."""
    pixels = torch.tensor([[0.0], [1.0]]).expand(2, norm.num_features)
    with torch.no_grad():
        out = norm.train(training)(pixels[:, :, None, None])
    distance: Tensor = (out[1] - out[0]).abs().flatten()
    return distance


def _judge_factors(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(answer, factors, NORMS, mistakes=mistakes)
    compare_function(answer, factors, [*NORMS, *PLAIN], mistakes=mistakes)


def _with(of: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[[Any], Tensor]:
    """The factors as ``of(|γ|, v, ε)``."""
    return lambda norm: of(_weight(norm).abs(), norm.running_var, norm.eps)


EXERCISES = (
    Exercise(
        name="15.factors",
        judge=_judge_factors,
        solution=factors,
        right={
            "by two images": _by_two_images,
            "by rsqrt": _with(lambda gamma, v, eps: gamma * (v + eps).rsqrt()),
            "a list": lambda norm: factors(norm).tolist(),
            "under one root": _with(lambda gamma, v, eps: (gamma**2 / (v + eps)).sqrt()),
        },
        mistakes={
            "no ε": (
                _with(lambda gamma, v, _eps: gamma / v.sqrt()),
                "ε is missing: what keeps the root from 0 where a channel does not vary?",
            ),
            "no γ": (
                _with(lambda _gamma, v, eps: 1 / (v + eps).sqrt()),
                "γ is missing: what multiplies a channel after it is divided?",
            ),
            "no root": (
                _with(lambda gamma, v, eps: gamma / (v + eps)),
                "This divides by the variance itself: in which unit is a deviation?",
            ),
            "ε behind the root": (
                _with(lambda gamma, v, eps: gamma / (v.sqrt() + eps)),
                "ε is added to the root: does it stand under it?",
            ),
            "γ under the root": (
                _with(lambda gamma, v, eps: (gamma / (v + eps)).sqrt()),
                "γ stands under the root as well: where does it enter?",
            ),
            "signed": (
                lambda norm: _weight(norm) / (norm.running_var + norm.eps).sqrt(),
                "The sign of γ is left: is a channel that is turned over stretched by less than 0?",
            ),
            "signed, no ε": (
                lambda norm: _weight(norm) / norm.running_var.sqrt(),
                "ε is missing under the root, and the sign of γ is left: what keeps a channel that "
                "does not vary finite?",
            ),
            "signed, no root": (
                lambda norm: _weight(norm) / (norm.running_var + norm.eps),
                "No root of the variance, and the sign of γ is left: in which unit is a deviation, "
                "and can a stretch be below 0?",
            ),
            "no ε, no root": (
                _with(lambda gamma, v, _eps: gamma / v),
                "γ is divided by the variance alone: where are ε and the root?",
            ),
            "no ε, no γ": (
                _with(lambda _gamma, v, _eps: 1 / v.sqrt()),
                "1 over the deviation alone: where do ε and γ enter?",
            ),
            "β": (
                lambda norm: (
                    (torch.zeros_like(norm.running_var) if norm.bias is None else norm.bias).abs()
                    / (norm.running_var + norm.eps).sqrt()
                ),
                "This is |β| over the root: does a shift stretch anything?",
            ),
            "the mean": (
                lambda norm: _weight(norm).abs() / (norm.running_mean.abs() + norm.eps).sqrt(),
                "This has the running mean under the root: what is only taken away, and by what "
                "is divided?",
            ),
            "multiplied": (
                _with(lambda gamma, v, eps: gamma * (v + eps).sqrt()),
                "This multiplies by the root: does a normalization make a loud channel louder?",
            ),
            "γ alone": (
                _with(lambda gamma, _v, _eps: gamma),
                "This is |γ| alone: what is each channel divided by first?",
            ),
            "of the batch": (
                lambda norm: _by_two_images(norm, training=True),
                "This is what two images do to one another in training mode, 2 |γ| over √(1 + 4 ε) "
                "or so: which variance counts in evaluation mode?",
            ),
            "the variance of the γ": (
                lambda norm: (
                    _weight(norm).abs() / (_weight(norm).var(correction=0) + norm.eps).sqrt()
                ),
                "This has the variance of the weights under the root: of what is it kept, and "
                "where?",
            ),
        },
        wrong={
            "the largest": (lambda norm: factors(norm).max(), "shape ()"),
            "needs γ": (
                lambda norm: norm.weight.abs() / (norm.running_var + norm.eps).sqrt(),
                "affine=False",
            ),
            "a new image": (lambda norm: norm(torch.ones(1, norm.num_features, 1, 1)), "shape (1,"),
            "a pair": (lambda norm: (factors(norm), norm.eps), "of its 2 parts"),
            "numbers": ([1.0, 2.0, 3.0], "A function is needed"),
            "reciprocals": (lambda norm: 1 / factors(norm), "reciprocal"),
            "nothing": (lambda norm: 0 * factors(norm), "is 0"),
        },
    ),
)
