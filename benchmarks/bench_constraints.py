"""Time what bounds a norm in training: projections, `lt.spectral` and `lt.orthonormal`.

    python benchmarks/bench_constraints.py [--record FILE]

Everything is timed in turn with what it is divided by, on one thread, in one run: the projection of
a 1024 × 1024 weight over one 1024³ float32 product and over Algorithm 1 as it is printed, by
sorting all rows (which is what torch.func gets); a step of Adam on 784-1024³-10, fresh, with
every weight constrained, over the same step without; and a step of Adam on one layer of 1024 with
an orthonormal weight, at the beginning and after 100 steps, with the products of its forward and
backward pass, and of a convolution, over the same step without. Of torch's spectral_norm, which
bounds nothing from above, the time stands beside.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import Products, hand_back_free_memory, interleaved, write_record
from torch import Tensor, nn

import lipteach as lt

SEED, N, BATCH = 0, 1024, 512
# The rows' part outside of the ball, by the size of Gaussian entries; the goal over the sort.
CASES = (("none", 1e-5, 30.0), ("about half", 0.00122, None), ("all", 0.03, 5.0))
STEPS = ("projection", "lt.spectral", "torch spectral_norm")
STEP_GOALS = {"projection": 1.6, "lt.spectral": 2.0}
ORTHONORMAL = ("lt.orthonormal", "retract_ by qr", "torch cayley", "torch matrix_exp")
ORTHONORMAL_GOALS = {128: 15.0, 512: 6.0}  # of lt.orthonormal
LATER = 100  # steps
# 3 × 3 convolutions of 64 channels on 64 images of 16 × 16: constraint, stride, goal.
CONVOLUTIONS = (("spectral", 2, 4.0), ("spectral", 1, 4.0), ("orthonormal", 1, 1.15))


def weight(size: float, dtype: torch.dtype) -> Tensor:
    """Return an N × N matrix of Gaussian entries."""
    generator = torch.Generator().manual_seed(SEED)
    return (size * torch.randn(N, N, generator=generator)).to(dtype)


def by_sorting(W: Tensor) -> Tensor:
    """Project every row by a sort, inside or outside."""
    return torch.vmap(lt.project_l1_ball)(W)


def trainer(way: str = "plain") -> Callable[[], None]:
    """Return one training step of Adam, in one of `STEPS` or without a constraint."""
    torch.manual_seed(SEED)
    sizes = [784, N, N, N, 10]
    layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
    for layer in layers:
        if way == "lt.spectral":
            lt.spectral(layer)
        if way == "torch spectral_norm":
            nn.utils.parametrizations.spectral_norm(layer)
    stack = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
    network, x = nn.Sequential(*stack), torch.rand(BATCH, 784)
    y = torch.randint(10, (BATCH,))
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
        if way == "projection":
            with torch.no_grad():
                for layer in layers:
                    layer.weight.copy_(lt.project_linf_norm(layer.weight))

    return step


def layer_trainer(batch: int, way: str = "plain") -> Callable[[], None]:
    """Return one training step of Adam of a square layer, in one of `ORTHONORMAL` or plain."""
    torch.manual_seed(SEED)
    layer = nn.Linear(N, N)
    nn.init.orthogonal_(layer.weight)
    if way == "lt.orthonormal":
        lt.orthonormal(layer)
    elif way.startswith("torch"):
        nn.utils.parametrizations.orthogonal(layer, orthogonal_map=way.removeprefix("torch "))
    x, y = torch.randn(batch, N), torch.randn(batch, N)
    optimizer = torch.optim.Adam(layer.parameters())

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(x), y).backward()
        optimizer.step()
        if way == "retract_ by qr":
            lt.retract_(layer, method="qr")

    return step


def orthonormal_steps() -> dict[str, dict[str, object]]:
    """Time a step of a layer with an orthonormal weight over a plain one; ours later on as well."""
    rows = {}
    for batch, way in product(ORTHONORMAL_GOALS, ORTHONORMAL):
        step, plain = layer_trainer(batch, way), layer_trainer(batch)
        row = compare(step, plain, 3 if way == "torch matrix_exp" else 9)
        row["goal"] = None
        if way == "lt.orthonormal":
            for _ in range(LATER):
                step()
            row["later"], row["goal"] = compare(step, plain), ORTHONORMAL_GOALS[batch]
        with Products(N) as products:
            step()
        rows[f"a layer, batch {batch}: {way}"] = {**row, "products": round(products.count, 1)}
    return rows


def convolution_trainer(stride: int, way: str = "plain") -> Callable[[], None]:
    """Return one training step of Adam of a convolution, constrained or plain."""
    torch.manual_seed(SEED)
    conv = nn.Conv2d(64, 64, 3, stride, 1)
    if way != "plain":
        getattr(lt, way)(conv)
    x, y = torch.randn(64, 64, 16, 16), torch.randn(64, 64, 16 // stride, 16 // stride)
    optimizer = torch.optim.Adam(conv.parameters())

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(conv(x), y).backward()
        optimizer.step()

    return step


def convolution_steps() -> dict[str, dict[str, object]]:
    """Time a step of a constrained convolution over a plain one."""
    rows = {}
    for way, stride, goal in CONVOLUTIONS:
        row = compare(convolution_trainer(stride, way), convolution_trainer(stride), 31)
        rows[f"a convolution, stride {stride}: lt.{way}"] = {**row, "goal": goal}
    return rows


def compare(
    f: Callable[[], object], g: Callable[[], object], repetitions: int = 9
) -> dict[str, object]:
    """Return the quartiles of f's time over g's."""
    hand_back_free_memory()
    ratio, spread = interleaved(f, g, passes=1, repetitions=repetitions)
    return {"ratio": ratio, "quartiles": spread}


@torch.no_grad()
def projections() -> list[dict[str, object]]:
    """Time the projection of a weight in each case and dtype."""
    A, B = weight(1.0, torch.float32), weight(1.0, torch.float32)
    rows = []
    for name, size, goal in CASES:
        for dtype in (torch.float32, torch.float64):
            W = weight(size, dtype)
            far = (lt.project_linf_norm(W) - by_sorting(W)).abs().max().item()
            own = lambda W=W: lt.project_linf_norm(W)  # noqa: E731
            row = {
                "rows outside": name,
                "dtype": str(dtype).removeprefix("torch."),
                "sort over it": compare(lambda W=W: by_sorting(W), own),  # type: ignore[misc]
                "goal": goal,
                "over a product": compare(own, lambda: A @ B),
                "distance": far,
            }
            rows.append(row)
            times = f"{row['sort over it']['ratio']:6.1f} times as fast as by sorting"  # type: ignore[index]
            products = f"{row['over a product']['ratio']:.2f} products"  # type: ignore[index]
            print(f"{name:>10} outside, {row['dtype']}: {times}, {products}; apart {far:.0e}")
    return rows


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="Time what bounds a norm in training.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    record = parser.parse_args().record
    torch.set_num_threads(1)
    rows = projections()
    steps: dict[str, dict] = {way: compare(trainer(way), trainer()) for way in STEPS}  # type: ignore[type-arg]
    for way, step in steps.items():
        step["goal"] = STEP_GOALS.get(way)
    steps |= orthonormal_steps() | convolution_steps()
    for way, step in steps.items():
        aim = f" (goal: at most {step['goal']})" if step["goal"] else ""
        later = f", after {LATER} steps {step['later']['ratio']}" if "later" in step else ""
        count = f"; {step['products']} products" if "products" in step else ""
        print(f"{way}: a step over a plain one {step['ratio']}{later}{aim}{count}")
    if record:
        settings = {"threads": 1, "weight": [N, N], "batch": BATCH, "seed": SEED}
        report = {"settings": settings, "results": rows, "steps": steps}
        write_record(record, {**report, "spread": "quartiles of the repetitions' ratios"})


if __name__ == "__main__":
    main()
