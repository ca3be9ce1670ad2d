"""What more points cost: memory, building and evaluating the networks of appendix E, in one run.

    python benchmarks/bench_lattice.py [--record FILE]

Only ratios to the smallest case of each method are claimed. A case and the smallest one are timed
in turn, so that whatever else the machine does falls on both alike; the median of these ratios is
printed with its quartiles. "memory" is that of the numbers a network stores. The expected growth:
N² for the lattice, N for the cones, whose memory and time to evaluate are those of their pieces.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

# Waiting threads that spin rob each other on a busy machine; read when torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import hand_back_free_memory, quartiles, write_record
from torch import Tensor, nn

import lipteach as lt

SEED = 0
SIDES = (4, 6, 8, 12, 16)  # N = side² points of the square
METHODS = ("lattice", "mcshane")
EVALUATED = 500  # points at which a network is evaluated


def wave(x: Tensor) -> Tensor:
    """Give each point a value: 1-Lipschitz in the L∞ metric, and no two pieces are alike."""
    return torch.sin(2 * x[:, 0] + x[:, 1]) / 3


def build(method: str, side: int) -> nn.Module:
    """Build the network for side × side points of the square."""
    steps = (2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1
    return lt.approximate(wave, torch.cartesian_prod(steps, steps), math.inf, method)


def stored(network: nn.Module) -> int:
    """Count the bytes of the numbers and indices that a network keeps."""
    kept = itertools.chain(network.parameters(), network.buffers())
    return sum(t.numel() * t.element_size() for t in kept)


def seconds(f: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def over(
    f: Callable[[], object], base: Callable[[], object], repetitions: int
) -> dict[str, object]:
    """Return quartiles of the time of f over that of base, timed in turn."""
    hand_back_free_memory()
    seconds(base), seconds(f)  # the first of a loop is not counted
    ratios = [seconds(f) / seconds(base) for _ in range(repetitions)]
    ratio, spread = quartiles(ratios)
    return {"ratio": ratio, "quartiles": spread}


def case(method: str, side: int, x: Tensor, repetitions: int) -> dict[str, object]:
    """Measure the network for side × side points beside that for the fewest."""
    network, base = build(method, side), build(method, SIDES[0])
    memory = round(stored(network) / stored(base), 2)
    return {
        "method": method,
        "points": side * side,
        **lt.network_size(network)._asdict(),
        "bytes": stored(network),
        "memory": {"ratio": memory, "quartiles": [memory, memory]},
        "build": over(lambda: build(method, side), lambda: build(method, SIDES[0]), repetitions),
        "evaluate": over(lambda: network(x), lambda: base(x), repetitions),
    }


def print_case(row: dict[str, object]) -> None:
    """Print one line."""
    numbers = "".join(
        f"{row[what]['ratio']:10.2f} ({row[what]['quartiles'][0]:.2f} to "  # type: ignore[index]
        f"{row[what]['quartiles'][1]:.2f})"  # type: ignore[index]
        for what in ("build", "evaluate")
    )
    counts = f"{row['points']:6}{row['pieces']:8}{row['layers']:8}"
    print(f"{row['method']:9}{counts}{row['memory']['ratio']:10.2f}{numbers}")  # type: ignore[index]


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="How the networks of appendix E grow.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--repetitions", type=int, default=7, help="of each timing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    x = 2 * torch.rand(EVALUATED, 2, generator=generator, dtype=torch.float64) - 1
    print("over the smallest case of the method, one thread")
    print("method   points  pieces  layers    memory     build (quartiles)    evaluate (quartiles)")
    entries = []
    for method, side in itertools.product(METHODS, SIDES):
        row = case(method, side, x, arguments.repetitions)
        print_case(row)
        entries.append(row)
    if arguments.record:
        settings = {"dtype": "float64", "seed": SEED, "evaluated": EVALUATED, "threads": 1}
        spread = "quartiles of the repetitions' ratios to the smallest case"
        write_record(arguments.record, {"settings": settings, "results": entries, "spread": spread})


if __name__ == "__main__":
    main()
