"""Generators and critics: InfoGAN's shapes, scaled, and drawn from their own source."""

import pytest
import torch
from support import generator
from torch import nn

import lipteach as lt
from lipteach.training import draw_latent, initialize_, make_critic_network, make_generator


def shapes(network: nn.Module) -> list[tuple]:
    return [tuple(p.shape) for p in network.parameters() if p.ndim > 1]


def test_at_width_64_the_networks_are_infogan_s() -> None:
    maker = make_generator(1, 28, 64, generator())
    assert shapes(maker) == [(1024, 62), (128 * 49, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]
    critic = make_critic_network(1, 28, 64, nn.ReLU, generator())
    assert shapes(critic) == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 128 * 49), (1, 1024)]


def test_the_deep_networks_are_a_linear_layer_and_4_transposed_convolutions_or_5_layers() -> None:
    maker = make_generator(3, 64, 4, generator(), deep=True)
    assert [s[:2] for s in shapes(maker)] == [(512, 62), (32, 16), (16, 8), (8, 4), (4, 3)]
    critic = make_critic_network(3, 64, 4, nn.ReLU, generator(), deep=True)
    assert [s[:2] for s in shapes(critic)] == [(4, 3), (8, 4), (16, 8), (32, 16), (1, 512)]


@pytest.mark.parametrize(("side", "deep"), [(14, False), (28, False), (32, False), (28, True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_side_come_out_and_go_in(side: int, deep: bool, channels: int) -> None:
    maker = make_generator(channels, side, 4, generator(), deep)
    images = maker(draw_latent(5, generator(1))).detach()
    assert images.shape == (5, channels, side, side)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    critic = make_critic_network(channels, side, 4, lambda: lt.MaxMin(1), generator(), deep)
    assert critic(images).shape == (5, 1)
    assert not any("BatchNorm" in type(module).__name__ for module in critic)


def test_a_seed_is_a_network_and_no_global_number_is_drawn() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (make_generator(1, 14, 4, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(map(torch.equal, one.state_dict().values(), same.state_dict().values()))
    assert not torch.equal(one[0].weight, other[0].weight)
    z = draw_latent(3, generator())
    assert torch.equal(one(z), same(z))


def test_in_evaluation_mode_each_point_is_treated_by_itself() -> None:
    maker, z = make_generator(1, 14, 4, generator()), draw_latent(6, generator())
    for _ in range(3):
        maker(z)
    maker.eval()
    assert torch.allclose(maker(z)[2:3], maker(z[2:3]), atol=1e-6)


def test_transposed_convolutions_are_drawn_within_pytorch_s_bounds() -> None:
    layer = nn.ConvTranspose2d(6, 8, 4)
    usual = float(layer.weight.detach().abs().max())
    initialize_(layer, generator())
    bound = (8 * 16) ** -0.5
    assert 0.98 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert 0.98 * bound < usual <= bound
