"""Scores: the Fréchet distance against its closed form and SciPy, and a judge that knows digits."""

import math

import pytest
import scipy.linalg
import torch
from support import generator, normal
from torch import nn

import lipteach as lt
from lipteach.training import frechet_distance, load_image_set, score_samples, train_judge
from lipteach.training.sample_scores import features_of


def with_moments(mean: torch.Tensor, root: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Points whose mean and covariance are exactly `mean` and root @ root.T."""
    z = normal(40, len(mean), seed=seed)
    z = z - z.mean(dim=0)
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T.cov()), z.T, upper=False)
    return (root @ whitened).T + mean


def test_it_is_the_closed_form_where_the_covariances_commute() -> None:
    """Of diagonal covariances: the squares of differences of means and standard deviations."""
    mean, s, t = normal(5), normal(5, seed=1).abs() + 0.1, normal(5, seed=2).abs() + 0.1
    x = with_moments(torch.zeros(5).double(), torch.diag(s))
    y = with_moments(mean, torch.diag(t), seed=3)
    wanted = float(mean.square().sum() + (s - t).square().sum())
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("rank", [6, 3])
def test_it_is_scipy_s_root_of_the_product(rank: int) -> None:
    roots = [normal(6, rank, seed=k) @ normal(rank, 6, seed=k + 9) / 3 for k in (1, 2)]
    x, y = (with_moments(normal(6, seed=k + 4), root, k) for k, root in enumerate(roots))
    A, B = (root @ root.T for root in roots)
    product = (A @ B + 1e-13 * torch.eye(6)).numpy()  # SciPy's root refuses a singular matrix
    wanted = (normal(6, seed=4) - normal(6, seed=5)).square().sum() + (A + B).trace()
    wanted = float(wanted) - 2 * scipy.linalg.sqrtm(product).trace().real
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-5)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-7)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5)  # roots of rounded zeros


def test_it_is_the_transport_of_the_fitted_normal_distributions() -> None:
    """In one dimension quantile meets quantile: W₂² of two large stratified samples."""
    z = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(20_000) + 0.5).double() / 20_000)
    x, y = (2 * z + 1)[:, None], (0.5 * z - 1)[:, None]
    assert frechet_distance(x, y) == pytest.approx(float((x - y).square().mean()), rel=1e-3)


def test_the_scores_of_known_probabilities() -> None:
    """A judge that reads its logits off: half of the samples sure, of two classes."""
    judge = nn.Sequential(nn.Flatten(), lt.Scale(1.0))
    p = torch.full((8, 10), 1e-12).double()
    p[:4, 0] = 1
    p[4:, 1] = 0.89
    p[4:, 2] = 0.11
    found = score_samples(judge, p.log().view(8, 1, 1, 10), p.log().view(8, 1, 1, 10))
    mean = (0.5, 0.445, 0.055)
    entropy = -sum(share * math.log(share) for share in mean)
    own = -(0.89 * math.log(0.89) + 0.11 * math.log(0.11)) / 2
    assert found["entropy"] == pytest.approx(entropy, rel=1e-6)
    assert found["score"] == pytest.approx(math.exp(entropy - own), rel=1e-6)
    assert found["confident"] == 0.5
    assert found["frechet"] == pytest.approx(0, abs=1e-4)


@pytest.fixture(scope="module")
def judge() -> nn.Sequential:
    return train_judge(*load_image_set("sample", "train", 14, ""), generator(), epochs=12)


def test_the_judge_knows_digits_and_a_seed_is_a_judge(judge: nn.Sequential) -> None:
    x, y = load_image_set("sample", "test", 14, "")
    assert float((judge(x).argmax(dim=1) == y).double().mean()) > 0.8
    few = [part[::20] for part in load_image_set("sample", "train", 14, "")]
    one, same, other = (train_judge(*few, generator(k), epochs=1)(x[:3]) for k in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_real_digits_beat_blurred_ones_and_one_class_and_noise(judge: nn.Sequential) -> None:
    x, y = load_image_set("sample", "train", 14, "")
    real = load_image_set("sample", "test", 14, "")[0]
    noise = torch.rand(1000, 1, 14, 14, generator=generator())
    blurred = nn.functional.avg_pool2d(x, 3, 1, padding=1)
    truth, soft, few, none = (score_samples(judge, z, real) for z in (x, blurred, x[y == 1], noise))
    assert truth["entropy"] > 2.29
    assert truth["confident"] > soft["confident"]
    assert truth["frechet"] < soft["frechet"] < none["frechet"]
    assert few["entropy"] < 1
    assert few["score"] < 2 < 5 < truth["score"]
    assert features_of(judge, real).shape == (1000, 64)
