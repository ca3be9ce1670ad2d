"""What single judges rest on, by another way."""

import math

import pytest
import torch

from lipteach.classroom import check
from lipteach.classroom.lessons.l11_wasserstein.critic import AUDITED, X, Y, distance
from lipteach.classroom.lessons.l11_wasserstein.exercises import PLAN, POINTS
from lipteach.primitives import exact_wasserstein
from lipteach.training import three_cones


def test_the_plan_that_others_are_compared_with_is_the_best():
    centres = three_cones().centres
    cost = (PLAN * torch.cdist(centres, POINTS)).sum()
    torch.testing.assert_close(cost, exact_wasserstein(centres, POINTS))


def test_a_single_point_has_one_plan_to_others():
    for x, y in [(X, Y), *(given[1:] for given in AUDITED)]:
        torch.testing.assert_close(distance(x, y), exact_wasserstein(x, y))


def test_half_of_an_answer_is_tried():
    """Two functions are asked for; a stub beside one that is written does not make it untried."""

    def my_critic(x, y):
        return torch.nn.Linear(x.shape[1], 1)

    def my_audit(critic, x, y): ...

    assert not check("11.critic", (my_audit, my_audit)).tried
    assert "my_audit is not yet" in check("11.critic", (my_critic, my_audit)).hint


def _pairs(n: int) -> torch.Tensor:
    return torch.arange(n // 2 - 1, -1, -1.0).repeat_interleave(2)


def _step(W, beta):
    return (1 + beta) * W - beta * W @ W.mT @ W


def _count(N: int) -> int:
    return N * (N - 1) // 2


# Right on the first inputs that come to mind, and wrong a little further.
NEARLY_RIGHT = [
    ("02.chunk-biases", lambda n, low, high: _pairs(n) * (high - low) * (n < 8)),
    ("02.chunk-biases", lambda n, low, high: (_pairs(n) % 3) * (high - low)),
    (
        "04.condition",
        lambda W: bool(torch.linalg.svdvals(W)[0] < 1.4 and torch.linalg.svdvals(W)[-1] > 0),
    ),
    (
        "04.condition",
        lambda W: bool(torch.linalg.svdvals(W)[0] < 2**0.5 and torch.linalg.svdvals(W)[-1] > 0.01),
    ),
    ("04.parseval-step", lambda W, beta: _step(W, min(beta, 0.5))),
    ("04.parseval-step", lambda W, beta: _step(W, beta).clamp(-1, 1)),
    (
        "08.slope",
        lambda d, c: c * d / (d @ d) if len(d) > 4 else c * (d.abs() == d.abs().max()) / d,
    ),
    ("09.pieces", lambda d, eps: _count(max(2, math.ceil(2 / eps)) ** d)),
    ("09.pieces", lambda d, eps: _count(math.ceil(round(2 / eps, 1)) ** d)),
    ("09.pieces", lambda d, eps: _count(math.ceil(2 / eps - 1e-3) ** d)),
    ("09.pieces", lambda d, eps: _count(math.ceil(2 / eps) ** min(d, 3))),
]


@pytest.mark.parametrize(("name", "answer"), NEARLY_RIGHT)
def test_what_is_right_on_the_first_inputs_is_not_yet_right(name: str, answer) -> None:
    report = check(name, answer)
    assert report.tried
    assert not report.passed
    assert "itself" not in report.hint
