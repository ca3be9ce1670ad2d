"""What is private to PyTorch may move: what we compute stays right."""

from types import SimpleNamespace

import pytest
import torch
from support import svd_polar, uniform
from torch import nn

import lipteach as lt
from lipteach.classroom import guard
from lipteach.primitives import _torch_private as private


def test_functorch_may_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """The careful answer: a transform may be at work."""
    monkeypatch.setattr(private, "torch", SimpleNamespace(_C=SimpleNamespace()))
    assert private.transforms_active()
    assert private.is_batched(torch.ones(1))
    W = uniform(60, 40).requires_grad_()
    assert torch.allclose(lt.polar(W, 1e-12), svd_polar(W))
    got, want = (torch.autograd.grad(f(W).sum(), W)[0] for f in (lt.polar, svd_polar))
    assert torch.allclose(got, want)
    sorted_pairs = W.detach().view(60, 20, 2).sort(descending=True).values.view(60, 40)
    assert torch.equal(lt.maxmin(W), sorted_pairs)


def test_nothing_is_at_work_or_something_is() -> None:
    seen = []
    look = lambda x: (seen.append((private.transforms_active(), private.is_batched(x))), x)[1]  # noqa: E731
    look(torch.ones(1))
    torch.vmap(look)(torch.ones(1))
    x = torch.ones(2, requires_grad=True)
    y = x.square()
    y.register_hook(lambda g: (look(g), None)[1])
    torch.autograd.grad(y, x, torch.eye(2), is_grads_batched=True)
    assert seen == [(False, False), (True, True), (False, True)]


@pytest.mark.parametrize("left", [SimpleNamespace(), SimpleNamespace(_tensor_str=None)])
def test_the_settings_of_print_may_move(left, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "torch", left)
    assert private.print_options() is None
    private.restore_print_options(None)
    monkeypatch.setattr(guard, "print_options", lambda: None)
    assert guard.run(lambda: 3).value == 3


def test_hooks_that_cannot_be_seen_are_feared(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(1, 1)
    assert not private.has_hooks(layer)
    monkeypatch.delattr(torch.nn.modules.module, "_global_forward_hooks")
    assert private.has_hooks(layer)
