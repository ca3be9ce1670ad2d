"""Table 3 again: Björck's iteration on a vector beside the dense iteration, in one run.

    python benchmarks/bench_bjorck_apply.py [--record FILE]

Only ratios are claimed: how many times faster than `lt.bjorck(W, k) @ v`, and than the bare loop of
its two matrix products a step, which checks nothing. They are timed in turn, so that whatever else
the machine does falls on all alike; the median is printed with its quartiles. The look at ‖W‖ and
the checks of the result are part of what is timed; the scalar coefficients, which depend on no
entry of W, are computed at the first call. "floor" is the ratio by products alone: 2k products of
matrices over those made with vectors, each as long as it takes alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

# Waiting threads that spin rob each other on a busy machine; read when torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import hand_back_free_memory, quartiles, write_record
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt

SEED = 0
SIDE = 1000
STEPS = (1, 2, 3, 5, 10)
BATCHES = (1, 64, 256)
THREADS = (1, 2)
PAPER = {1: 99.98, 2: 78.59, 3: 53.56, 5: 7.77, 10: 0.07}
GOALS = {
    "(11)": dict.fromkeys(STEPS, 110),
    "spectral": {1: 110, 2: 65, 3: 60, 5: 45, 10: 14},
}
HEAD = "bare loop    floor     error"
MOST_PRODUCTS = 1000  # the recursion with more is not timed: at k = 10 it makes 59049


def scaled(scaling: str) -> Tensor:
    """Return a Gaussian matrix, divided by its bound (11) or by its norm."""
    W = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    bound = lt.norm_upper_bounds(W)["inf"] if scaling == "(11)" else lt.operator_norm(W)
    return (W / bound).float()


def two_products(W: Tensor, steps: int) -> Tensor:
    """Iterate with nothing but the products: A ← 3/2 A − 1/2 A AᵀA."""
    for _ in range(steps):
        W = torch.addmm(W, W, W.mT @ W, beta=1.5, alpha=-0.5)
    return W


class CountProducts(TorchDispatchMode):
    """Counts products of a matrix with a vector or a batch of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += func.overloadpacket in (torch.ops.aten.mv, torch.ops.aten.mm)
        return func(*args, **(kwargs or {}))


def products(f: Callable[[], Tensor]) -> int:
    """Count the products that f makes."""
    f()  # the scalar coefficients are made at the first call
    with CountProducts() as counter:
        f()
    return counter.count


def seconds(f: Callable[[], Tensor], inner: int = 1) -> float:
    """Return the mean time of `inner` calls."""
    start = time.perf_counter()
    for _ in range(inner):
        f()
    return (time.perf_counter() - start) / inner


def in_turn(
    fs: list[Callable[[], Tensor]], inner: list[int], repetitions: int
) -> list[list[float]]:
    """Return for each function its times, all timed in turn; a first round is not counted."""
    hand_back_free_memory()
    rounds = [
        [seconds(f, n) for f, n in zip(fs, inner, strict=True)] for _ in range(repetitions + 1)
    ]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def case(W: Tensor, V: Tensor, steps: int, repetitions: int) -> dict[str, object]:
    """Time both methods beside the dense iteration for the vectors V, and measure their error."""
    exact = V.double() @ two_products(W.double(), steps).mT
    dense = [lambda: V @ lt.bjorck(W, steps).mT, lambda: V @ two_products(W, steps).mT]
    units = [lambda: W @ W, lambda: V @ W.mT]
    row: dict[str, object] = {}
    for method in ("chebyshev", "recursion"):
        apply = lambda method=method: lt.bjorck_apply(W, V, steps, method=method)  # noqa: E731
        count = 3**steps if method == "recursion" else products(apply)
        if method == "recursion" and count > MOST_PRODUCTS:
            row[method] = {"products": count}
            continue
        inner = max(1, 60 // count)
        times = in_turn([apply, *dense, *units], [inner, 1, 1, 1, 10], repetitions)
        mine, checked, bare, matrix, vector = times
        over, spread = quartiles([a / b for a, b in zip(checked, mine, strict=True)])
        floors = [2 * steps * a / (count * b) for a, b in zip(matrix, vector, strict=True)]
        row[method] = {
            "products": count,
            "ratio": over,
            "quartiles": spread,
            "over_two_products": quartiles([a / b for a, b in zip(bare, mine, strict=True)])[0],
            "floor": quartiles(floors)[0],
            "error": float(f"{float((apply() - exact).norm() / exact.norm()):.1e}"),
        }
    return row


def print_case(row: dict[str, object], steps: int, goal: int | None) -> None:
    """Print the lines of one k."""
    for method, found in row.items():
        start = f"{steps:3}  {method:10}{found['products']:9}"  # type: ignore[index]
        if "ratio" not in found:  # type: ignore[operator]
            print(f"{start}   not timed")
            continue
        low, high = found["quartiles"]  # type: ignore[index]
        aim = ""
        if method == "chebyshev" and goal:
            aim = f"at least {goal}: {'met' if found['ratio'] >= goal else 'missed'}"  # type: ignore[index]
        numbers = f"{found['ratio']:9.2f}  {low:7.2f} to {high:7.2f}"  # type: ignore[index]
        rest = f"{found['over_two_products']:12.2f}{found['floor']:9.2f}{found['error']:10.1e}"  # type: ignore[index]
        print(f"{start}{numbers}{rest}  {aim}")


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="Time bjorck_apply beside the dense iteration.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--repetitions", type=int, default=7, help="of each timing")
    arguments = parser.parse_args()
    entries = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for scaling in GOALS:
            W = scaled(scaling)
            for batch in BATCHES:
                V = torch.randn(batch, SIDE, generator=torch.Generator().manual_seed(SEED + 1))
                V = V[0] if batch == 1 else V
                print(f"\n{SIDE}², scaling {scaling}, vectors: {batch}, threads: {threads}")
                print(f"  k  method      products    ratio  {'quartiles':^19}   {HEAD}")
                for steps in STEPS:
                    row = case(W, V, steps, arguments.repetitions if batch == 1 else 3)
                    goal = GOALS[scaling][steps] if batch == 1 else None
                    print_case(row, steps, goal)
                    entry = {"scaling": scaling, "vectors": batch, "threads": threads}
                    entries.append({**entry, "steps": steps, "goal": goal, "methods": row})
    print("\nratio: over lt.bjorck(W, k) @ v; bare loop: over its two products a step, unchecked.")
    if arguments.record:
        settings = {"side": SIDE, "dtype": "float32", "seed": SEED, "tol": 1e-5}
        spread = "quartiles of the repetitions' ratios to lt.bjorck"
        write_record(arguments.record, {"settings": settings, "results": entries, "spread": spread})


if __name__ == "__main__":
    main()
