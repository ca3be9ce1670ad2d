"""Time our layers beside those of deel-torchlip, orthogonium and geotorch, at an equal guarantee.

    python benchmarks/bench_peers.py [--record FILE]

A step of Adam on one layer over the same step of the plain layer, timed in turn, on one thread, in
one run; for an activation, a forward and backward pass over that of ReLU. Beside it stands what the
layer keeps to after these steps: the smallest and the largest singular value of its whole linear
map, on images of 6 × 6, by a decomposition of its matrix. A peer that is not installed is left out:
`pip install --no-deps deel-torchlip orthogonium geotorch` brings them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import hand_back_free_memory, interleaved, write_record
from torch import Tensor, nn

import lipteach as lt

SEED, REPETITIONS = 0, 15
Make = Callable[[], nn.Module]


def conv(stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A plain 3 × 3 convolution of 64 channels on the torus."""
    return nn.Conv2d(64, 64, 3, stride, 1, groups=groups, padding_mode="circular")


def orthogonal_start() -> nn.Linear:
    """A plain layer whose weight is orthogonal as yet."""
    layer = nn.Linear(1024, 1024)
    nn.init.orthogonal_(layer.weight)
    return layer


def transposed() -> nn.ConvTranspose2d:
    """A plain transposed convolution that doubles an image."""
    return nn.ConvTranspose2d(64, 64, 2, 2)


def torchlip_layers() -> dict[str, dict[str, Make]]:
    """What deel-torchlip has for each case."""
    from deel import torchlip

    return {
        "dense": {"SpectralLinear": lambda: torchlip.SpectralLinear(1024, 1024)},
        "bounded convolution": {
            "SpectralConv2d": lambda: torchlip.SpectralConv2d(
                64, 64, 3, padding=1, padding_mode="circular"
            )
        },
        "GroupSort(2)": {"GroupSort2": torchlip.GroupSort2},
        "GroupSort(4)": {"GroupSort": lambda: torchlip.GroupSort(4)},
    }


def orthogonium_layers() -> dict[str, dict[str, Make]]:
    """What orthogonium has for each case."""
    from orthogonium import reparametrizers as ways
    from orthogonium.layers.conv.AOC.ortho_conv import (
        AdaptiveOrthoConv2d,
        AdaptiveOrthoConvTranspose2d,
    )
    from orthogonium.layers.conv.AOL.aol import AOLConv2D
    from orthogonium.layers.custom_activations import MaxMin
    from orthogonium.layers.linear.ortho_linear import OrthoLinear

    dense = {
        "Björck": ways.DEFAULT_ORTHO_PARAMS,
        "QR": ways.QR_ORTHO_PARAMS,
        "Cholesky": ways.CHOLESKY_ORTHO_PARAMS,
        "exponential": ways.EXP_ORTHO_PARAMS,
    }
    aoc = partial(AdaptiveOrthoConv2d, 64, 64, 3, padding=1)
    up = partial(AdaptiveOrthoConvTranspose2d, 64, 64, 2, 2)
    aol = partial(AOLConv2D, 64, 64, 3, padding=1, padding_mode="circular")
    return {
        "dense": {
            f"OrthoLinear, {name}": partial(OrthoLinear, 1024, 1024, ortho_params=way)
            for name, way in dense.items()
        },
        "convolution": {"AOC": aoc},
        "convolution, stride 2": {"AOC": partial(aoc, stride=2)},
        "convolution, 4 groups": {"AOC": partial(aoc, groups=4)},
        "transposed convolution": {"AOC": up},
        "bounded convolution": {"AOL": aol},
        "GroupSort(2)": {"MaxMin": MaxMin},
    }


def geotorch_layers() -> dict[str, dict[str, Make]]:
    """What geotorch has for each case."""
    import geotorch

    def made(name: str) -> nn.Module:
        layer = nn.Linear(1024, 1024)
        geotorch.orthogonal(layer, "weight", triv=name)
        return layer

    return {"dense": {"orthogonal, " + name: partial(made, name) for name in ("expm", "cayley")}}


PEERS = {
    "deel-torchlip": torchlip_layers,
    "orthogonium": orthogonium_layers,
    "geotorch": geotorch_layers,
}
IMAGES = (64, 64, 16, 16)
PLAIN: dict[str, tuple[Make, tuple[int, ...]]] = {
    "dense": (lambda: nn.Linear(1024, 1024), (512, 1024)),
    "convolution": (conv, IMAGES),
    "convolution, stride 2": (lambda: conv(2), IMAGES),
    "convolution, 4 groups": (lambda: conv(1, 4), IMAGES),
    "transposed convolution": (transposed, IMAGES),
    "bounded convolution": (conv, IMAGES),
    "GroupSort(2)": (nn.ReLU, IMAGES),
    "GroupSort(4)": (nn.ReLU, IMAGES),
}
OURS: dict[str, dict[str, Make]] = {
    "bounded convolution": {"lt.spectral": lambda: lt.spectral(conv())},
    "GroupSort(2)": {"lt.MaxMin": lambda: lt.MaxMin(dim=1)},
    "GroupSort(4)": {"lt.GroupSort": lambda: lt.GroupSort(4, dim=1)},
}


def ours(case: str) -> dict[str, Make]:
    """Our layers of a case: `lt.orthonormal` of the plain one where nothing else is said."""
    plain, _ = PLAIN[case]
    return OURS.get(case) or {"lt.orthonormal": lambda: lt.orthonormal(plain())}  # type: ignore[type-var]


def trainer(layer: nn.Module, shape: tuple[int, ...], retract: bool = False) -> Callable[[], None]:
    """Return one training step of a layer; of one without parameters, a pass there and back."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(SEED), requires_grad=True)
    with torch.no_grad():
        y = torch.randn_like(layer(x))
    parameters = list(layer.parameters())
    optimizer = torch.optim.Adam(parameters) if parameters else None

    def step() -> None:
        layer.zero_grad()
        nn.functional.mse_loss(layer(x), y).backward()
        if optimizer:
            optimizer.step()
        if retract:
            lt.retract_(layer, method="qr")

    return step


@torch.no_grad()
def singular_values(layer: nn.Module, shape: tuple[int, ...]) -> list[float]:
    """The smallest and the largest of the layer's linear map, as it is used in evaluation."""
    layer = layer.eval()
    one = (shape[1], 6, 6) if len(shape) == 4 else shape[1:]
    basis = torch.eye(int(torch.tensor(one).prod())).view(-1, *one)
    found = (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1).double()
    values: Tensor = torch.linalg.svdvals(found)
    return [round(values.min().item(), 5), round(values.max().item(), 5)]


def contest(case: str, peers: dict[str, Make]) -> dict[str, dict[str, object]]:
    """Time all layers of a case over the plain one."""
    make_plain, shape = PLAIN[case]
    rows = {}
    layers = {**ours(case), **peers}
    if case == "dense":
        layers["lt.retract_ by qr"] = orthogonal_start
    for name, make in layers.items():
        torch.manual_seed(SEED)
        layer, plain = make(), make_plain()
        hand_back_free_memory()
        retract = name.startswith("lt.retract_")
        step, other = trainer(layer, shape, retract), trainer(plain, shape)
        ratio, spread = interleaved(step, other, passes=1, repetitions=REPETITIONS)
        row: dict[str, object] = {"ratio": ratio, "quartiles": spread}
        if list(layer.parameters()):
            row["singular values"] = singular_values(layer, shape)
        rows[name] = row
        print(f"{case:24}{name:40}{ratio:7.2f}  {row.get('singular values', '')}", flush=True)
    return rows


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="Time our layers beside the peers'.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    record = parser.parse_args().record
    torch.set_num_threads(1)
    peers: dict[str, dict[str, Make]] = {case: {} for case in PLAIN}
    versions = {}
    for package, layers in PEERS.items():
        try:
            found = layers()
        except ImportError as error:
            sys.stderr.write(f"{package} is left out: {error}\n")
            continue
        for case, made in found.items():
            peers[case] |= {f"{package}: {name}": make for name, make in made.items()}
        versions[package] = importlib.metadata.version(package)
    results = {case: contest(case, made) for case, made in peers.items()}
    if record:
        settings = {"threads": 1, "repetitions": REPETITIONS, "seed": SEED, "peers": versions}
        report = {"settings": settings, "results": results}
        write_record(record, {**report, "spread": "quartiles of the repetitions' ratios"})


if __name__ == "__main__":
    main()
