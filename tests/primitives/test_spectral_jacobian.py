"""The penalty of Algorithm 2 against explicit Jacobians and autograd (appendix F)."""

import math

import pytest
import torch
from jacobian_support import jacobians, network, random
from torch import nn
from torch.func import functional_call, jacrev, vmap

import lipteach as lt
from lipteach.primitives.spectral_jacobian import READINGS


def diagonal(*entries: float):
    return lambda x: x * torch.tensor(entries, dtype=x.dtype)


@pytest.mark.parametrize("batch", READINGS)
def test_one_step_of_the_penalty_on_diag_3_1(batch: str) -> None:
    """For a linear f all readings agree, but for the length of a u over the whole batch."""
    start = torch.ones(2).double() / math.sqrt(2)
    for size in (1, 4):
        x = random(size, 2)
        penalty, u = lt.spectral_jacobian_penalty(diagonal(3, 1), x, start, batch=batch)
        assert penalty.item() == pytest.approx(2.863564, abs=5e-7)
        rows = u * math.sqrt(size) if batch == "whole" else u
        for row in rows.reshape(-1, 2):
            assert row.tolist() == pytest.approx([0.993884, 0.110432], abs=5e-7)
        assert u.shape == ((2,) if batch == "shared" else (size, 2))


def limit(batch: str, J: torch.Tensor) -> float:
    """What the penalty climbs to (P10), by other means than power iteration."""
    if batch != "shared":
        sigma = torch.linalg.matrix_norm(J, 2)
        return float(sigma.mean() if batch == "sample" else sigma.max())
    angle = torch.linspace(0, math.pi, 200_001).double()  # the outputs are two: try every u
    u = torch.stack([angle.cos(), angle.sin()])
    return float(sum((A.T @ u).norm(dim=0) for A in J).max() / len(J))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", READINGS)
def test_what_each_reading_climbs_to(batch: str, seed: int) -> None:
    f, x = network(4, 2, seed), random(6, 4, seed=seed)
    before, u = 0.0, None
    for _ in range(300):
        penalty, u = lt.spectral_jacobian_penalty(f, x, u, batch=batch)
        assert before <= penalty.item() * (1 + 1e-12)
        before = penalty.item()
    J = jacobians(f, x)
    assert before == pytest.approx(limit(batch, J), rel=1e-5)
    mean = float(torch.linalg.matrix_norm(J, 2).mean())
    assert (before > mean) if batch == "whole" else (before <= mean * (1 + 1e-12))


def test_the_readings_differ() -> None:
    """diag(2, 0) at one sample and diag(0, 1) at the other: one u must serve both."""
    f = lambda x: x * torch.tensor([2.0, 1.0]) * (x > 0)  # noqa: E731
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    found = {}
    for batch in READINGS:
        u = None
        for _ in range(200):
            penalty, u = lt.spectral_jacobian_penalty(f, x, u, batch=batch)
        found[batch] = penalty.item()
    # One u = (a, b) for both: the mean of ‖J_iᵀu‖ is (2 a + b)/2, at most √5/2.
    assert found == pytest.approx({"shared": math.sqrt(5) / 2, "sample": 1.5, "whole": 2})


def test_a_shared_u_may_stop_at_a_local_maximum() -> None:
    """J₁ᵀu = 2 cos t and J₂ᵀu = cos(t − 80°): from 100° their signs differ, and stay different."""
    t, w = (math.radians(degrees) for degrees in (100, 80))
    W = torch.tensor([[2.0, math.cos(w)], [0.0, math.sin(w)]], dtype=torch.float64)
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    u = torch.tensor([math.cos(t), math.sin(t)], dtype=torch.float64)
    for _ in range(100):
        penalty, u = lt.spectral_jacobian_penalty(lambda x: x.relu() @ W.T, x, u)
    assert penalty.item() == pytest.approx(math.sqrt(5 - 4 * math.cos(w)) / 2)  # ‖w − 2 e₁‖/2
    assert penalty.item() < math.sqrt(5 + 4 * math.cos(w)) / 2 - 0.15  # the largest: ‖w + 2 e₁‖/2


@pytest.mark.parametrize("batch", READINGS)
def test_the_gradient_of_the_penalty(batch: str) -> None:
    """Against autograd through an explicit Jacobian, for fixed u and v, before convergence."""
    f, x = network(4, 3), random(5, 4)
    start = random(3, seed=9)
    penalty, u = lt.spectral_jacobian_penalty(f, x, start, batch=batch)
    weights = dict(f.named_parameters())

    def by_hand(weights) -> torch.Tensor:
        J = vmap(jacrev(lambda a: functional_call(f, weights, (a[None],))[0]))(x)
        g = torch.einsum("bmn,m->bn", J, start).detach()
        v = g / (g.norm() if batch == "whole" else g.norm(dim=1, keepdim=True))
        h = torch.einsum("bmn,bn->bm", J, v)
        total = torch.einsum("bm,bm->", h, u.expand(5, 3))
        return total if batch == "whole" else total / 5

    torch.testing.assert_close(penalty, by_hand(weights))
    wanted = [f[0].weight, f[0].bias, f[2].weight]
    got = torch.autograd.grad(penalty, wanted)
    torch.testing.assert_close(got, torch.autograd.grad(by_hand(weights), wanted))
    assert not u.requires_grad


@pytest.mark.parametrize("batch", READINGS)
def test_at_convergence_the_gradient_is_that_of_the_exact_limit(batch: str) -> None:
    f, x, u = network(4, 3), random(5, 4), None
    with torch.no_grad():
        for _ in range(500):
            _, u = lt.spectral_jacobian_penalty(f, x, u, batch=batch)
    penalty, u = lt.spectral_jacobian_penalty(f, x, u, batch=batch)
    J = vmap(jacrev(lambda a: f(a[None])[0]))(x)
    exact = {
        "sample": lambda: torch.linalg.matrix_norm(J, 2).mean(),
        "whole": lambda: torch.linalg.matrix_norm(J, 2).max(),
        "shared": lambda: torch.einsum("bmn,m->bn", J, u).norm(dim=1).mean(),
    }[batch]()
    wanted = [f[0].weight, f[0].bias, f[2].weight]
    got = torch.autograd.grad(penalty, wanted)
    torch.testing.assert_close(got, torch.autograd.grad(exact, wanted))


@pytest.mark.parametrize("batch", READINGS)
def test_it_trains(batch: str) -> None:
    """The graph reaches the weights: the exact norms fall when the penalty is minimized."""
    f, x, u = network(4, 3), random(8, 4), None
    before = lt.jacobian_singular_values(f, x)[:, 0]
    optimizer = torch.optim.Adam(f.parameters(), lr=0.03)
    for _ in range(40):
        penalty, u = lt.spectral_jacobian_penalty(f, x, u, batch=batch)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    after = lt.jacobian_singular_values(f, x)[:, 0]
    for statistic in (torch.Tensor.max, torch.Tensor.mean):
        assert statistic(after) < 0.6 * statistic(before)


def test_a_u_over_the_whole_batch_outlives_a_smaller_batch() -> None:
    """It points all to the last sample; the next batch lacks it, and u starts anew."""
    f, x, u = diagonal(3, 1), random(3, 2), torch.tensor([[0.0, 0], [0, 0], [1, 0]]).double()
    penalty, u = lt.spectral_jacobian_penalty(f, x[:2], u, batch="whole")
    assert 1 < penalty < 3
    assert u.shape == (2, 2)
    assert u.norm().item() == pytest.approx(1)


@pytest.mark.parametrize("batch", READINGS)
def test_a_zero_jacobian_does_no_harm(batch: str) -> None:
    f = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).double()
    f[0].bias.data.fill_(-100.0)
    penalty, u = lt.spectral_jacobian_penalty(f, random(4, 3), torch.ones(2).double(), batch=batch)
    penalty.backward()
    assert penalty.item() == 0
    length = u.norm() if batch == "whole" else u.reshape(-1, 2).norm(dim=1)
    torch.testing.assert_close(length, torch.ones_like(length))  # u stays, to go on from
    assert all(p.grad is None or p.grad.isfinite().all() for p in f.parameters())


@pytest.mark.parametrize("batch", READINGS)
@pytest.mark.parametrize("last", [1, 3, 11])
def test_a_last_batch_of_another_size(batch: str, last: int) -> None:
    f, x = network(4, 3), random(6, 4)
    _, u = lt.spectral_jacobian_penalty(f, x, batch=batch)
    penalty, u = lt.spectral_jacobian_penalty(f, random(last, 4, seed=1), u, batch=batch)
    assert u.shape == ((3,) if batch == "shared" else (last, 3))
    assert penalty.item() > 0


@pytest.mark.parametrize("batch", READINGS)
def test_penalty_under_transforms_and_seeds(batch: str) -> None:
    f, x = network(4, 3).requires_grad_(False), random(2, 5, 4)
    call = lambda a: lt.spectral_jacobian_penalty(f, a, batch=batch)[0]  # noqa: E731
    torch.testing.assert_close(vmap(call)(x), torch.stack([call(part) for part in x]))
    assert torch.func.grad(call)(x[0]).isfinite().all()
    seeded = [
        lt.spectral_jacobian_penalty(f, x[0], None, torch.Generator().manual_seed(s), batch)[0]
        for s in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1] != seeded[2]
