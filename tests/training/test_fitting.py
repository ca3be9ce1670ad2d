"""The fitting loop: an exact projection, the constraint at every step, bad input told."""

import pytest
import torch
from support import generator
from torch import nn

from lipteach.training import clip_singular_values_, fit, minibatches, orthonormal_network


def layer_of(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def squared(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (model(x) - y).square().mean()


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (4, 4), (3, 8), (8, 3)])
def test_the_projection_is_the_nearest_point(shape: tuple[int, int]) -> None:
    """In the Frobenius norm; checked by the condition of optimality."""
    W = 2 * torch.randn(*shape, generator=generator(), dtype=torch.float64)
    P = clip_singular_values_(layer_of(W)).weight.detach()
    assert torch.linalg.matrix_norm(P, ord=2) <= 1 + 1e-12
    # P is the nearest point of a convex set if no point of the set lies further towards W. How far
    # the unit ball of the 2-norm reaches is measured by the dual norm, the nuclear one.
    reach = torch.linalg.matrix_norm(W - P, ord="nuc")
    assert ((W - P) * P).sum() == pytest.approx(float(reach), abs=1e-12)


def test_what_obeys_stays_bit_for_bit() -> None:
    W = torch.tensor([[0.3, 0.1], [0.2, 0.7]])
    assert torch.equal(clip_singular_values_(layer_of(W)).weight, W)


def test_linear_layers_are_found_at_every_depth() -> None:
    model = nn.Sequential(nn.Sequential(layer_of(3 * torch.eye(2))), nn.ReLU(), nn.LayerNorm(2))
    with torch.no_grad():
        model[2].weight.fill_(5.0)
    clip_singular_values_(model)
    assert torch.equal(model[0][0].weight, torch.eye(2))
    assert (model[2].weight == 5).all()  # only Linear layers are constrained


def test_clipping_refuses_what_it_cannot_clip() -> None:
    with pytest.raises(TypeError, match=r"nn\.Module; got Tensor"):
        clip_singular_values_(torch.eye(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"weight of 0 must be finite"):
        clip_singular_values_(nn.Sequential(layer_of(torch.full((2, 2), torch.nan))))


@pytest.mark.parametrize("sizes", [[1, 16, 1], [5, 3, 8, 2]])
def test_a_new_network_is_orthonormal(sizes: list[int]) -> None:
    state = torch.get_rng_state()
    model = orthonormal_network(sizes, nn.ReLU, generator())
    assert torch.equal(torch.get_rng_state(), state)  # nothing drawn globally
    for layer in model[::2]:
        sigma = torch.linalg.svdvals(layer.weight)
        assert layer.weight.dtype == torch.float64
        assert torch.allclose(sigma, torch.ones_like(sigma))
        assert layer.weight.requires_grad
        assert layer.bias.abs().max() <= 0.5
    again = orthonormal_network(sizes, nn.ReLU, generator())
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_bad_sizes_are_told() -> None:
    with pytest.raises(ValueError, match="at least 2 widths; got 1"):
        orthonormal_network([3], nn.ReLU, generator())
    with pytest.raises(ValueError, match="at least 1; got 0"):
        orthonormal_network([3, 0], nn.ReLU, generator())
    with pytest.raises(TypeError, match="must be an integer"):
        orthonormal_network([3, 2.5], nn.ReLU, generator())  # type: ignore[list-item]


def test_every_epoch_shows_every_row_once_and_keeps_rows_together() -> None:
    x = torch.arange(10)
    batches = list(minibatches(x, x * x, size=4, epochs=2, generator=generator()))
    assert [len(a) for a, _ in batches] == [4, 4, 2] * 2
    assert all(torch.equal(b, a * a) for a, b in batches)
    first, second = (torch.cat([a for a, _ in part]) for part in (batches[:3], batches[3:]))
    assert torch.equal(first.sort().values, x)
    assert torch.equal(second.sort().values, x)
    assert not torch.equal(first, second)


def test_bad_batches_are_told() -> None:
    x = torch.zeros(3)
    with pytest.raises(ValueError, match=r"same number of rows"):
        list(minibatches(x, x[:2], size=1, epochs=1, generator=generator()))
    with pytest.raises(ValueError, match="size must be at least 1"):
        list(minibatches(x, size=0, epochs=1, generator=generator()))
    with pytest.raises(TypeError, match="epochs must be an integer"):
        list(minibatches(x, size=1, epochs=1.5, generator=generator()))  # type: ignore[arg-type]


def test_the_constraint_holds_before_the_first_step_and_after_each() -> None:
    model = nn.Sequential(layer_of(5 * torch.eye(3)), nn.ReLU(), layer_of(torch.ones(1, 3)))
    x = torch.randn(20, 3, generator=generator())
    seen = []

    def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(
            max(float(torch.linalg.matrix_norm(W.weight.detach(), ord=2)) for W in model[::2])
        )
        return squared(model, x, y)

    steps: list[int] = []
    losses = fit(model, loss, [(x, 9 * x[:, :1])] * 5, sgd(model), after_step=steps.append)
    assert max(seen) <= 1 + 1e-6
    assert steps == [1, 2, 3, 4, 5]
    assert len(losses) == 5


def test_it_learns_what_the_constraint_allows_and_no_more() -> None:
    """The best 1-Lipschitz line through y = 3x has slope 1."""
    model = orthonormal_network([1, 1], nn.ReLU, generator())
    x = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
    losses = fit(model, squared, [(x, 3 * x)] * 100, sgd(model, 0.5))
    assert losses[-1] == pytest.approx(float((2 * x).square().mean()), abs=1e-6)
    assert float(model[0].weight.detach()) == pytest.approx(1)


def test_an_interrupt_keeps_what_was_done_and_the_constraint() -> None:
    model = orthonormal_network([1, 4, 1], nn.ReLU, generator())
    x = torch.ones(1, 1, dtype=torch.float64)

    class Interrupted(torch.optim.SGD):
        def step(self, closure=None):  # type: ignore[no-untyped-def]
            super().step(closure)
            with torch.no_grad():
                model[0].weight.fill_(9.0)
            if len(losses_seen) == 3:
                raise KeyboardInterrupt

    losses_seen: list[int] = []

    def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses_seen.append(1)
        return squared(model, x, y)

    losses = fit(model, loss, [(x, x)] * 10, Interrupted(model.parameters(), lr=0.1))
    assert len(losses) == 3
    assert torch.linalg.matrix_norm(model[0].weight.detach(), ord=2) <= 1 + 1e-12


def test_it_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = orthonormal_network([1, 1], nn.ReLU, generator())
    x = torch.ones(1, 1, dtype=torch.float64)
    fit(model, squared, [(x, x)] * 2, sgd(model))
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda model, x: 1.0, TypeError, "must return a torch.Tensor; got float"),
        (lambda model, x: model(x), ValueError, r"must return a scalar; got shape \(2, 1\)"),
        (
            lambda model, x: model(x).mean() * torch.inf,
            ValueError,
            "must be finite; got .* at step 0",
        ),
    ],
)
def test_a_bad_loss_is_told(loss, error, words) -> None:
    model = orthonormal_network([1, 1], nn.ReLU, generator())
    with pytest.raises(error, match=words):
        fit(model, loss, [(torch.ones(2, 1, dtype=torch.float64),)], sgd(model))


def test_a_bad_model_is_told() -> None:
    model = orthonormal_network([1, 1], nn.ReLU, generator())
    with pytest.raises(TypeError, match=r"model must be an nn\.Module; got float"):
        fit(1.0, squared, [], sgd(model))  # type: ignore[arg-type]
