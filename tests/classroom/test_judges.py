"""What single judges rest on, by another way."""

import math

import pytest
import torch

from lipteach.auditing import audit
from lipteach.classroom import check
from lipteach.classroom.compare import seeded
from lipteach.classroom.lessons.l11_wasserstein.critic import AUDITED, X, Y, distance
from lipteach.classroom.lessons.l11_wasserstein.exercises import PLAN, POINTS
from lipteach.classroom.lessons.l12_classification.exercises.biases import network, spread
from lipteach.classroom.lessons.l12_classification.exercises.frequencies import dense, transfer
from lipteach.classroom.lessons.l12_classification.exercises.kernels import largest_gain
from lipteach.classroom.lessons.l12_classification.exercises.loops import errors, fit
from lipteach.classroom.lessons.l12_classification.exercises.small_data import small_case
from lipteach.classroom.lessons.l12_classification.suspect import suspect
from lipteach.primitives import Scale, exact_wasserstein
from lipteach.training import clip_singular_values_, three_cones


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


def _gains(kernel, size):
    return torch.linalg.svdvals(torch.fft.fft2(kernel, s=(size, size)).permute(2, 3, 0, 1))[..., 0]


def _clipped_in_part(layer, *given):
    return fit(*given, constraint=lambda network: clip_singular_values_(network[layer]))


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
    ("12.biases", lambda biases, K: [max(1, K) ** (k / 3) * b for k, b in enumerate(biases)]),
    ("12.transfer", lambda kernel, size: _gains(kernel, size)[:, : size // 2].max()),
    (
        "12.transfer",
        lambda kernel, size: _gains(kernel, size)[: size // 2 + 1, : size // 2 + 1].max(),
    ),
    ("12.transfer", lambda kernel, size: _gains(kernel, size).diagonal().max()),
    ("12.repair", lambda *given: _clipped_in_part(0, *given)),
    ("12.repair", lambda *given: _clipped_in_part(-1, *given)),
    ("12.repair", lambda *given: fit(*given, count=lambda epochs: epochs + 1)),
    ("12.repair", lambda *given: torch.nn.Sequential(fit(*given), Scale(2.0))),
]


@pytest.mark.parametrize(("name", "answer"), NEARLY_RIGHT)
def test_what_is_right_on_the_first_inputs_is_not_yet_right(name: str, answer) -> None:
    report = check(name, answer)
    assert report.tried
    assert not report.passed
    assert "itself" not in report.hint


def test_the_norm_by_frequencies_is_that_of_the_dense_matrix():
    for out, into, k, size in (
        (2, 3, 3, 5),
        (3, 1, 2, 6),
        (1, 2, 4, 4),
        (2, 2, 5, 7),
        (1, 1, 1, 2),
    ):
        kernel = seeded(out, into, k, k, seed=size)
        norm = torch.linalg.matrix_norm(dense(kernel, size), 2)
        torch.testing.assert_close(transfer(kernel, size), norm)


@pytest.mark.parametrize("K", [0.3, 1, 8, 50])
def test_the_spread_network_is_the_network_times_k(K):
    biases, x = [seeded(n, seed=n) for n in (4, 6, 3)], 3 * seeded(50, 2)
    torch.testing.assert_close(network(spread(biases, K), x, K ** (1 / 3)), K * network(biases, x))


def test_the_gain_of_a_wave_is_reached_by_a_large_image():
    kernel = torch.full((5, 5), 0.2).double()
    image = torch.ones(1, 1, 200, 200).double()
    ratio = torch.nn.functional.conv2d(image, kernel[None, None]).norm() / image.norm()
    assert 4.89 < ratio < largest_gain(kernel) + 1e-9 < 5 + 1e-6


def test_the_suspect_has_weights_of_norm_1_and_random_pairs_do_not_show_it():
    f, x, y = suspect(), seeded(20_000, 1, 10, 10), seeded(20_000, 1, 10, 10, seed=1)
    audited = audit(f)
    assert all(math.isclose(layer.upper, 1, rel_tol=1e-9) for layer in audited.layers)
    assert "MaxPool2d" in audited.unknown
    with torch.no_grad():
        moved = (f(x) - f(y)).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert moved.max() < 0.6


def test_the_mended_loop_keeps_its_word():
    """Constraint and choice, measured on what it returns: the first of the best epochs."""
    for k in (1, 2, 3):
        start, parts, L, epochs = small_case(k)
        best = fit(start, parts, L, epochs)
        weights = [p for p in best.parameters() if p.ndim == 2]
        assert all(torch.linalg.matrix_norm(W, 2) <= 1 + 1e-9 for W in weights)
        network, wrong = small_case(k)[0], []
        for _ in range(epochs):
            network = fit(network, parts, L, 1)
            wrong.append(int(errors(network, *parts["validation"])))
            if wrong[-1] == min(wrong) and wrong.count(wrong[-1]) == 1:
                first = [p.clone() for p in network.parameters()]
        assert all(torch.equal(*pair) for pair in zip(best.parameters(), first, strict=True))
        assert wrong[0] > min(wrong) or wrong[-1] > min(wrong)
