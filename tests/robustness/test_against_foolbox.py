"""Our attacks break as many images of a trained network as Foolbox's do, or more."""

import math
import warnings

import pytest
import torch
from support import generator
from torch import Tensor, nn
from torch.nn import functional

import lipteach as lt
from lipteach.training import fit, make_scheme, minibatches, mnist_sample, orthonormal_network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what SciPy has moved
    import foolbox as fb


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A network with a margin, and 200 images that it has not seen."""
    x, y = mnist_sample("train")
    network = orthonormal_network([784, 32, 32, 10], lt.MaxMin, generator(), torch.float32)
    scheme = make_scheme("L∞", 1.0)
    network = scheme.prepare(network, generator())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    batches = minibatches(x.flatten(1), y, size=100, epochs=8, generator=generator())
    fit(network, hinge, batches, optimizer, constraint=scheme)
    images, labels = mnist_sample("test")
    return scheme.finish(network).float(), images[:200].flatten(1), labels[:200]


def hinge(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return 100 * functional.multi_margin_loss(network(x), y, margin=0.3)


def share(network: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((network(x).argmax(1) != y).double().mean())


def by_margin(attack):
    """Foolbox ascends cross entropy; here it ascends the margin."""

    class Attack(attack):
        """Climb Z_k − Z_y with the best class k beside y."""

        def get_loss_fn(self, model, labels):
            """Return what is ascended."""

            def loss(inputs):
                logits = model(inputs).raw
                own = functional.one_hot(labels.raw, logits.shape[1]).bool()
                gain = logits.masked_fill(own, -math.inf).amax(1) - logits[own]
                return fb.attacks.base.ep.astensor(gain).sum()

            return loss

    return Attack


def test_errors_are_within_half_a_point(trained) -> None:
    network, x, y = trained
    model = fb.PyTorchModel(network.eval(), bounds=(0, 1), device="cpu")
    peers = {
        (lt.pgd, math.inf, 0.1): by_margin(fb.attacks.LinfPGD)(rel_stepsize=0.05, steps=40),
        (lt.pgd, 2, 1.0): by_margin(fb.attacks.L2PGD)(rel_stepsize=0.05, steps=40),
        (lt.fgs, math.inf, 0.1): by_margin(fb.attacks.LinfFastGradientAttack)(),
    }
    for (attack, p, eps), peer in peers.items():
        more = {"steps": 40} if attack is lt.pgd else {}
        ours = share(network, attack(network, x, y, eps, p=p, **more), y)
        with torch.random.fork_rng(devices=[]):  # Foolbox draws from the global generator
            torch.manual_seed(0)
            theirs = share(network, peer.run(model, x, y, epsilon=eps), y)
        assert share(network, x, y) + 0.03 < ours < 0.97
        assert ours >= theirs - 0.005, (attack.__name__, p, ours, theirs)
        if (
            p == math.inf
        ):  # in the 2-norm the best iterate finds more than the last, which is theirs
            assert ours <= theirs + 0.005, (attack.__name__, p, ours, theirs)
