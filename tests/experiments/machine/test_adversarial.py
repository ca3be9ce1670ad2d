"""A generator against a critic: each goes its own way, and a broken match ends as an unbroken."""

from dataclasses import replace

import pytest
import torch
from experiments_support import Stop, StoppingRun
from support import generator

import lipteach as lt
from lipteach.experiments import Run
from lipteach.experiments.machine import adversarial
from lipteach.experiments.machine.adversarial import (
    MOMENTS,
    Match,
    improve_critic,
    improve_maker,
    lay_out,
    load_images,
    take_samples,
    to_unit,
    train_match,
)
from lipteach.training import CRITICS, draw_latent, make_critic_network, make_generator

SMALL = Match(
    "sample", "Lipschitz, MaxMin", 20, side=14, width=2, batch=16, rate=0.01, falling=True
)
X = load_images(SMALL, "test")[0][:16]


def parameters(network: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def pair(name: str):
    """A generator, a critic of that name, its scheme, and an optimizer of each."""
    row, source = CRITICS[name], generator()
    maker = make_generator(1, 14, 2, source)
    network = make_critic_network(1, 14, 2, row.activation, source)
    critic = row.scheme.prepare(network, source)
    adams = [torch.optim.Adam(one.parameters(), lr=0.01) for one in (maker, critic)]
    return maker, critic, row.scheme, adams


@pytest.mark.parametrize("name", CRITICS)
def test_a_critic_s_steps_raise_its_claim_and_leave_the_generator(name: str) -> None:
    maker, critic, scheme, adams = pair(name)
    scheme.after_step(critic)
    before = parameters(maker)
    with torch.no_grad():
        y = maker(draw_latent(16, generator(7)))
    first = float(lt.wasserstein_dual(critic, X, y).detach())
    for _ in range(10):  # always the same latent points
        claim = improve_critic(scheme, critic, maker, adams[1], X, generator(7))
    last = float(lt.wasserstein_dual(critic, X, y).detach())
    assert last > first
    assert claim > first
    assert all(map(torch.equal, before, parameters(maker)))


def test_a_generator_s_step_raises_the_critic_s_value_and_leaves_the_critic() -> None:
    maker, critic, _, adams = pair("Lipschitz, MaxMin")
    before = parameters(critic)
    values = []
    for _ in range(10):
        values.append(float(critic(maker(draw_latent(16, generator(7)))).mean().detach()))
        improve_maker(critic, maker, adams[0], 16, generator(7))
    assert values[-1] > values[0]
    assert all(map(torch.equal, before, parameters(critic)))
    assert all(parameter.requires_grad for parameter in critic.parameters())


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep few samples."""
    monkeypatch.setattr(adversarial, "SAMPLES", 6)
    monkeypatch.setattr(adversarial, "MEASURED", 6)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("critic", ["Lipschitz, MaxMin", "penalty, LeakyReLU"])
def test_a_broken_match_ends_as_an_unbroken_one(critic: str, tmp_path, monkeypatch) -> None:
    def few(critic, x, y) -> dict:
        return dict.fromkeys(
            ("claimed", "exact", "lower", "upper"), float(critic(x.double()).detach().sum())
        )

    monkeypatch.setattr(adversarial, "measure_critic", few)
    own = replace(SMALL, critic=critic, steps=6)
    unbroken = Run()
    whole = train_match(own, 0, unbroken)
    with pytest.raises(Stop):
        train_match(own, 0, StoppingRun(tmp_path / "cell.pt", left=4))
    run = Run(path=tmp_path / "cell.pt", every=0)
    again = train_match(own, 0, run)
    assert again.measured == whole.measured
    assert run.curves == unbroken.curves
    for ours, theirs in zip(again.samples, whole.samples, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(train_match(own, 1, Run()).samples[-1], whole.samples[-1])


@pytest.mark.usefixtures("quickly")
def test_what_is_kept_is_of_each_moment_and_the_last_of_the_generator_itself() -> None:
    run = Run()
    trained = train_match(replace(SMALL, steps=8), 0, run)
    assert len({str(part.tolist()) for part in trained.samples}) == len(MOMENTS) == 5
    assert torch.equal(trained.samples[-1], take_samples(trained.maker, 6, seed=0))
    assert trained.samples[0].shape == (6, 1, 14, 14)
    assert {name: len(values) for name, values in trained.measured.items()} == (
        dict.fromkeys(("claimed", "exact", "lower", "upper"), 5)
    )
    for claimed, exact, upper in zip(
        *(trained.measured[name] for name in ("claimed", "exact", "upper")), strict=True
    ):
        assert upper <= 1 + 1e-9
        assert claimed <= exact * (1 + 1e-9)
    assert [step for step, _ in run.curves["estimate"]] == list(range(1, 9))
    assert all(value < 14 for _, value in run.curves["estimate"])


def test_falling_rates_end_near_0_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    for name in ("keep_moment", "improve_critic", "improve_maker"):
        monkeypatch.setattr(adversarial, name, lambda *_: 0.0)
    real = adversarial.set_rates

    def watch(optimizers, rates, share) -> None:
        real(optimizers, rates, share)
        seen.extend(optimizer.param_groups[0]["lr"] for optimizer in optimizers)

    monkeypatch.setattr(adversarial, "set_rates", watch)
    for falling in (True, False):
        with pytest.raises(KeyError):  # nothing was kept
            train_match(replace(SMALL, steps=4, falling=falling, critic_rate=0.1), 0, Run())
    assert seen == pytest.approx([0.01, 0.1, 0.0075, 0.075, 0.005, 0.05, 0.0025, 0.025])


def test_samples_are_of_256_levels_and_shown_in_rows_of_16() -> None:
    maker = make_generator(3, 14, 2, generator())
    maker(draw_latent(8, generator()))
    samples = take_samples(maker, 5, seed=0)
    assert maker.training
    with torch.no_grad():
        exact = maker.eval()(draw_latent(5, generator()))
    assert float((to_unit(samples) - exact).abs().max()) <= 0.5 / 255 + 1e-6
    page = lay_out([samples, 255 - samples], across=3)
    assert page.shape == (28, 42, 3)
    assert torch.equal(page[14 + 4, 28 + 5], (255 - samples)[2, :, 4, 5] // 17 * 17)
    assert len(page.unique()) <= 16
    assert lay_out([samples[:, :1]], across=5).shape == (14, 70)
