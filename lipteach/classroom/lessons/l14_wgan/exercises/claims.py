"""14.cheat and 14.price: how much a critic claims at most, and what a penalty leaves of it."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number

# --- 14.cheat: three layers of these norms between two distributions at this distance.

NORMS, DISTANCE = (2.0, 0.75, 4.0), 0.4
MOST = 2.4


# --- 14.price: the slope 1 + 1/(2λ) is to be 1.01.

STRENGTH = 50


EXERCISES = (
    Exercise(
        name="14.cheat",
        judge=partial(
            compare_number,
            value=MOST,
            otherwise="What is the critic's constant at most, and by what is a claim bounded then?",
        ),
        solution=MOST,
        right={"a fraction": Fraction(12, 5), "a product": 2 * 0.75 * 4 * 0.4},
        mistakes={
            "the distance": (
                0.4,
                "This is the distance, which a critic of constant 1 cannot exceed: which constant "
                "has this one?",
            ),
            "the constant": (
                6,
                "This is the bound of the constant: how far apart are the two distributions?",
            ),
            "the largest norm": (
                4 * 0.4,
                "This takes the largest norm alone: what becomes of the norms in a row?",
            ),
            "added": (
                6.75 * 0.4,
                "The norms are added here: what do maps in a row do to their constants?",
            ),
            "norms added": (
                6.75,
                "This is the sum of the norms: do they add up or multiply, and how far apart are "
                "the two distributions?",
            ),
            "the mean": (
                2.25 * 0.4,
                "This takes the mean of the norms: what do maps in a row do to their constants?",
            ),
            "no shrinking": (
                8 * 0.4,
                "The layer of norm 0.75 is missing: does it not shrink what passes?",
            ),
            "the first layer": (2 * 0.4, "This is the first layer alone: what do the others do?"),
            "two layers": (
                1.5 * 0.4,
                "These are the first two layers: what does the last one do?",
            ),
            "the last two": (
                3 * 0.4,
                "These are the last two layers: what does the first one do?",
            ),
            "the excess": (
                2.0,
                "This is by how much the claim exceeds the distance: how large is the claim?",
            ),
            "divided": (
                0.4 / 6,
                "This is the distance over the constant: can a steep critic claim less for it?",
            ),
            "turned": (15, "This is the constant over the distance: which of them limits which?"),
            "squared": (
                36 * 0.4,
                "The constant enters twice here: how often is the critic asked on the way from x "
                "to y?",
            ),
            "both points": (
                2 * MOST,
                "Twice as much: the bound is one of the difference f(x) − f(y), so how often does "
                "it enter?",
            ),
            "a root": (
                6**0.5 * 0.4,
                "This has the root of the constant: with which power does a slope enter?",
            ),
        },
        wrong={
            "in words": ("six times the distance", "A number is needed"),
            "infinite": (float("inf"), "Infinite"),
        },
    ),
    Exercise(
        name="14.price",
        judge=partial(
            compare_number,
            value=STRENGTH,
            otherwise="Which slope gains most for a given λ, and which one is 1 % above 1?",
        ),
        solution=STRENGTH,
        right={"a fraction": Fraction(1, 2) / Fraction(1, 100), "a float": 50.0},
        mistakes={
            "the gain": (
                25,
                "So it is for 1/(4λ), by which the gain after the price exceeds 1: which number "
                "does the critic claim, the gain or the slope?",
            ),
            "no half": (
                100,
                "So it is for 1/λ: what is the derivative of λ (s − 1)²?",
            ),
            "a quarter": (
                200,
                "A quarter is too much: how does the 2 in 1/(2λ) go to the other side?",
            ),
            "10 per cent": (5, "With λ = 5 the claim is 10 % too large: and for 1 %?"),
            "5 per cent": (10, "This is the usual λ, with 5 %: and for 1 %?"),
            "1 per mille": (500, "With λ = 500 it is 0.1 %: and for 1 %?"),
            "turned": (
                0.02,
                "With so weak a penalty the claim is 26 times the distance: which way does λ work?",
            ),
            "half": (0.5, "With λ = ½ the claim is twice the distance: and for 1 %?"),
            "the slope": (1.01, "This is the slope: for which λ is it the best one?"),
            "1 per cent of λ": (0.01, "This is the 1 %: which λ leads to it?"),
            "squared": (
                2500,
                "Squared: is it the slope that is 1 % above 1, or its square?",
            ),
            "the price of 1": (
                10_000,
                "So large a λ makes the price of the slope 1.01 as large as 1: where is the gain "
                "largest?",
            ),
        },
        wrong={
            "in words": ("a strong one", "A number is needed"),
            "infinite": (float("inf"), "Infinite"),
        },
    ),
)
