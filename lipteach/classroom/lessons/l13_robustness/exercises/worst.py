"""13.worst: the least margin of two affine logits within ε, where two pixels meet 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number

EPS = 0.1
W = torch.tensor([[2, -1, 0.5, 2, 3], [-1, 1, 2.5, 0, -1]]).double()
B = torch.tensor([0.25, 0.3]).double()
X = torch.tensor([0.5, 0.25, 0.98, 0.97, 0.02]).double()
_D, _B = W[0] - W[1], float(B[0] - B[1])
CLEAN = float(_D @ X) + _B


def loss(d: Tensor, eps: float = EPS, cut: tuple[int, ...] = (0, 1, 2, 3, 4)) -> float:
    """How much d z falls at most, from z = x, if these pixels are cut off at 0 and 1."""
    moved = X - eps * d.sign()
    places = list(cut)
    moved[places] = moved[places].clamp(0, 1)
    return float(d @ (X - moved))


LEAST, UNCUT = CLEAN - loss(_D), CLEAN - loss(_D, cut=())
_LENGTH, _SIZES = float(_D.norm()), _D.abs()
_ROUND = (X - EPS * _D / _LENGTH).clamp(0, 1)
_ROOM = torch.minimum(X, 1 - X).clamp(max=EPS)


def _between(low: float, high: float) -> Callable[[float], bool]:
    return lambda got: low < got < high


EXERCISES = (
    Exercise(
        name="13.worst",
        judge=partial(
            compare_number,
            value=LEAST,
            otherwise="Which way does each pixel move, and how far can it?",
        ),
        solution=LEAST,
        right={
            "a tensor": torch.tensor(LEAST),
            "pixel by pixel": 1.01 - (3 * 0.1 + 2 * 0.1 + 2 * 0.02 + 2 * 0.1 + 4 * 0.02),
            "nineteen hundredths": 0.19,
        },
        mistakes={
            "no edges": (
                UNCUT,
                "This is margin − ε ‖w₀ − w₁‖₁: are all pixels still in [0, 1] then?",
            ),
            "only 1": (
                CLEAN - loss(_D, cut=(2,)),
                "Only the third pixel is cut off, at 1: is there a pixel that falls below 0?",
            ),
            "only 0": (
                CLEAN - loss(_D, cut=(4,)),
                "Only the fifth pixel is cut off, at 0: is there a pixel that rises above 1?",
            ),
            "near an edge": (
                CLEAN - float(_SIZES @ _ROOM),
                "The fourth pixel is cut off as well, and it does not move towards 1: which way "
                "does it move?",
            ),
            "near pixels stay": (
                CLEAN - EPS * float(_SIZES[[0, 1, 3]].sum()),
                "The third and the fifth pixel stay where they are: may they not move as far as "
                "the edge?",
            ),
            "the 2-norm": (
                CLEAN - EPS * _LENGTH,
                "This takes the 2-norm of w₀ − w₁: which norm is dual to the ∞-norm of the move?",
            ),
            "a step along the gradient": (
                CLEAN - float(_D @ (X - _ROUND)),
                "The move is along w₀ − w₁, of length 0.1: may each pixel not move by 0.1 by "
                "itself?",
            ),
            "the ∞-norm": (
                CLEAN - EPS * float(_SIZES.max()),
                "This takes the largest entry of w₀ − w₁ alone: may the other pixels not move as "
                "well?",
            ),
            "all the same way": (
                CLEAN - EPS * float(_D.sum()),
                "All pixels fall by 0.1: what does that do where w₀ − w₁ is below 0?",
            ),
            "all the same way, cut": (
                CLEAN - float(_D @ (X - (X - EPS).clamp(0, 1))),
                "All pixels become darker: what does that do where w₀ − w₁ is below 0?",
            ),
            "the other way, cut": (
                CLEAN + loss(-_D),
                "This is the largest margin within ε: which sign has the move?",
            ),
            "the other way": (
                CLEAN + EPS * float(_SIZES.sum()),
                "The margin rises here, and leaves [0, 1]: which sign has the move?",
            ),
            "the drop": (
                CLEAN - LEAST,
                "By so much the margin falls: and what is left of it?",
            ),
            "the uncut drop": (
                CLEAN - UNCUT,
                "This is ε ‖w₀ − w₁‖₁ alone, a fall without edges: what is the margin, and what "
                "keeps pixels from moving so far?",
            ),
            "at x": (CLEAN, "This is the margin of x itself: what can a move take away?"),
            "row 0": (
                CLEAN - loss(W[0]),
                "The move is the one that is worst for Z₀ alone, and Z₁ stays as it is: what do "
                "the same pixels do to Z₁?",
            ),
            "moved for row 0": (
                CLEAN - float(_D @ (X - (X - EPS * W[0].sign()).clamp(0, 1))),
                "The pixels move against the signs of w₀: whose signs decide on the margin?",
            ),
            "row 1": (
                CLEAN - loss(-W[1]),
                "The move is the one that is best for Z₁ alone, and Z₀ stays as it is: what do "
                "the same pixels do to Z₀?",
            ),
            "each for itself": (
                CLEAN - loss(W[0]) - loss(-W[1]),
                "Z₀ is the least and Z₁ the largest, each at an image of its own: are both "
                "reached at one image?",
            ),
            "each for itself, uncut": (
                CLEAN - EPS * float(W.abs().sum()),
                "Here ‖w₀‖₁ and ‖w₁‖₁ are added: is the norm of a difference the sum of the norms, "
                "and where are the edges?",
            ),
            "the least logit": (
                float(W[0] @ X + B[0]) - loss(W[0]),
                "This is the least Z₀: what is taken from it in a margin?",
            ),
            "2 L ε": (
                CLEAN - 2 * EPS * float(W.abs().sum(1).max()),
                "This is the certificate by 2 L ε with L = ‖W‖_∞: is it reached, by w₀ − w₁ and "
                "within the edges?",
            ),
            "no bias": (LEAST - _B, "The biases are left out: what is b₀ − b₁?"),
            "plus the bias": (
                LEAST - _B + float(B.sum()),
                "b₁ is added: with which sign does it stand in Z₀ − Z₁?",
            ),
            "bias the wrong way": (
                LEAST - 2 * _B,
                "Here the biases are b₁ − b₀: which one is taken from which?",
            ),
            "turned": (
                -LEAST,
                "This is the largest Z₁ − Z₀: which is taken from which in the margin?",
            ),
            "turned, at x": (-CLEAN, "This is Z₁ − Z₀ at x: which is taken from which?"),
            "turned, the least": (
                -CLEAN - loss(-_D),
                "This is the least Z₁ − Z₀: which is taken from which in the margin?",
            ),
            "half of ε": (
                CLEAN - loss(_D, EPS / 2),
                "The pixels move by 0.05: how long is ε?",
            ),
            "twice ε": (
                CLEAN - loss(_D, 2 * EPS),
                "The pixels move by 0.2: how long is ε?",
            ),
            "a tenth of ε": (
                CLEAN - loss(_D, EPS / 10),
                "The pixels move by 0.01: how long is ε?",
            ),
            "ε = 1": (
                CLEAN - loss(_D, 1.0),
                "Each pixel moves to 0 or 1: how long is ε?",
            ),
            "0": (0, "Is a tie reached here? Count what is left after the move."),
            "above": (
                1.5,
                "Above the margin of x itself: can the least one within ε be larger?",
                _between(CLEAN, 50),
            ),
            "too much": (
                0.1,
                "No image within ε has so small a margin: which pixel moves by more than 0.1, or "
                "leaves [0, 1]?",
                _between(-50, LEAST - 1e-3),
            ),
            "too little": (
                0.5,
                "An image within ε has less: which pixel can still move, and which way?",
                _between(LEAST + 1e-3, CLEAN),
            ),
        },
        wrong={
            "an image": ([0.4, 0.35, 1.0, 0.87, 0.0], "A number is needed; this is a list of 5"),
            "both logits": ((W @ X + B), "this has shape (2,)"),
            "in words": ("0.19", "a str"),
        },
    ),
)
