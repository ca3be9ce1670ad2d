"""Time what keeps weights orthonormal, in units of one 1024³ float32 matrix product, in one run.

    python benchmarks/bench_orthonormal.py [--record FILE]

A case and the product are timed in turn, so that whatever else the machine does falls on both; the
medians of the ratios are printed with their quartiles, beside the accuracy that was reached and the
matrix products which were counted: the floor of that method. Threads wait as OpenMP has it by
default, since a decomposition that must wake them for each of its many small steps takes twice as
long; so the machine should be otherwise idle.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from common import Products, hand_back_free_memory, interleaved, quartiles, write_record
from orthonormal_training import SEED, N, defect, orthonormal, trainings, unrolled
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import lipteach as lt

# The weights: shape, noise about an orthonormal matrix (None: Gaussian), goal for polar.
WEIGHTS = (
    ((N, N), 0.02, 12.0),
    ((N, N), 0.1, 17.0),
    ((N, N), None, 22.0),
    ((N, 784), None, 13.0),
)
SMALL = ((4, 4), (16, 16), (32, 16), (32, 32), (64, 64), (128, 64), (128, 128))
SMALL_GOAL = 1.2  # over torch.linalg.svd and its gradient
STEP_GOALS = {"retract_ by qr": 8.0, "retract_ by polar": 10.0}
STEPS = 40
REACHED = ("defect", "gradient error", "distance")


def weight(shape: tuple[int, int], noise: float | None) -> Tensor:
    """Return one of the weights, in float32."""
    generator = torch.Generator().manual_seed(SEED)
    m, n = shape
    if noise is None:
        return torch.randn(m, n, generator=generator)
    W = orthonormal(m, n, generator)
    W += noise * torch.randn(m, n, generator=generator, dtype=torch.float64) / math.sqrt(m)
    return W.float()


def by_torch_svd(W: Tensor) -> Tensor:
    """Compute the polar factor as one would with torch alone."""
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return U @ Vh


class Parametrized:
    """torch.nn.utils.parametrizations.orthogonal: forward from its own parameter."""

    def __init__(self, shape: tuple[int, int], map_: str) -> None:
        layer = nn.Linear(shape[1], shape[0], bias=False)
        self.layer = parametrizations.orthogonal(layer, orthogonal_map=map_)

    def __call__(self, _W: Tensor) -> Tensor:
        """Return the weight."""
        return self.layer.weight


def methods(shape: tuple[int, int]) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return what is timed at one weight."""
    return {
        "polar, auto": lt.polar,
        "polar, svd": lambda W: lt.polar(W, method="svd"),
        "polar, polynomial": lambda W: lt.polar(W, method="polynomial"),
        "polar, bjorck": lambda W: lt.polar(W, method="bjorck"),
        "torch.linalg.svd, autograd": by_torch_svd,
        "Björck × 15, unrolled": unrolled,
        "torch orthogonal, matrix_exp": Parametrized(shape, "matrix_exp"),
        "torch orthogonal, cayley": Parametrized(shape, "cayley"),
        "torch orthogonal, householder": Parametrized(shape, "householder"),
    }


class Clock:
    """Times calls in units of one product, taken before and after each."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.A, self.B = (torch.randn(N, N, generator=generator) for _ in range(2))
        self.out = torch.empty(N, N)
        for _ in range(3):
            self.product()

    def product(self) -> float:
        """Return the seconds of one product."""
        start = time.perf_counter()
        torch.mm(self.A, self.B, out=self.out)
        return time.perf_counter() - start

    def ratio(self, call: Callable[[], object]) -> float:
        """Return the time of one call over that of a product."""
        before = min(self.product() for _ in range(2))
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        return seconds / ((before + min(self.product() for _ in range(2))) / 2)


def true_gradient(W: Tensor, G: Tensor) -> Tensor:
    """Return the gradient of the polar factor by SVD in float64."""
    V = W.detach().double().requires_grad_()
    return torch.autograd.grad(by_torch_svd(V), V, G.double())[0]


def time_weight(clock: Clock, shape: tuple[int, int], noise: float | None) -> dict[str, object]:
    """Return for each method the quartiles of forward + backward, and what it reached."""
    W = weight(shape, noise).requires_grad_()
    G = torch.randn(shape, generator=torch.Generator().manual_seed(SEED + 1))
    want = true_gradient(W, G)
    results = {}
    for name, method in methods(shape).items():
        own = isinstance(method, Parametrized)
        parameter = method.layer.parametrizations.weight.original if own else W

        def both(f=method, x=parameter) -> None:  # type: ignore[no-untyped-def]
            Q = f(W)
            torch.autograd.grad(Q, x, G)

        hand_back_free_memory()
        with Products(N) as products:
            both()  # the first is not timed
        times = [clock.ratio(both) for _ in range(9 if name == "polar, auto" else 2)]
        ratio, spread = quartiles(times)
        Q = method(W)
        results[name] = {
            "ratio": ratio, "quartiles": spread, "products": round(products.count, 1),
            "defect": defect(Q),
        }  # fmt: skip
        if name.startswith("polar") or name == "torch.linalg.svd, autograd":
            got = torch.autograd.grad(Q, W, G)[0]
            results[name]["gradient error"] = float((got - want).norm() / want.norm())
    return results


def time_training(clock: Clock) -> dict[str, object]:
    """Return for each way the quartiles of a step, and |σ − 1| after every step."""
    results = {}
    for name, training in trainings().items():
        steps = STEPS if name == "plain" or name.startswith("retract_") else 3
        hand_back_free_memory()
        times, distances = [], []
        for _ in range(steps):
            times.append(clock.ratio(training.step))
            distances.append(0.0 if name == "plain" else training.distance())
        ratio, spread = quartiles(times)
        results[name] = {"ratio": ratio, "quartiles": spread, "slowest": round(max(times), 1)}
        if name != "plain":
            results[name]["distance"] = max(distances)
    return results


def time_small(shape: tuple[int, int]) -> tuple[float, list[float]]:
    """Return quartiles of polar's time over that of torch's SVD, forward + backward."""
    W, G = weight(shape, None).requires_grad_(), torch.ones(shape)

    def both(f: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(f(W), W, G)

    return interleaved(both(lt.polar), both(by_torch_svd), max(1, 256 // shape[1]))


def lines(results: dict, goals: dict[str, float]) -> Iterable[str]:  # type: ignore[type-arg]
    """Yield one line a method."""
    for name, row in results.items():
        low, high = row["quartiles"]
        aim = ""
        if name in goals:
            aim = f"at most {goals[name]:g}: {'met' if row['ratio'] <= goals[name] else 'missed'}"
        rest = "".join(f"  {key} {row[key]:.1e}" for key in REACHED if key in row)
        count = f"{row['products']:9.1f}" if "products" in row else ""
        yield f"{name:30}{row['ratio']:8.2f}  {low:6.2f} to {high:6.2f}{count}{rest}  {aim}"


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="Time what keeps weights orthonormal.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    record = parser.parse_args().record
    entries, steps, smalls = [], [], []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        print(f"\npolar on small W, forward + backward, threads: {threads}; over torch's SVD")
        for few in SMALL:
            ratio, (low, high) = time_small(few)
            met = "met" if ratio <= SMALL_GOAL else "missed"
            name = f"{few[0]} × {few[1]}"
            print(f"{name:30}{ratio:8.2f}  {low:6.2f} to {high:6.2f}  at most {SMALL_GOAL}: {met}")
            row = {"shape": few, "threads": threads, "goal": SMALL_GOAL, "ratio": ratio}
            smalls.append({**row, "quartiles": [low, high]})
        clock = Clock()
        for shape, noise, goal in WEIGHTS:
            results = time_weight(clock, shape, noise)
            what = "Gaussian" if noise is None else f"orthonormal + {noise} noise"
            print(f"\n{shape[0]} × {shape[1]} {what}, forward + backward, threads: {threads}")
            print("\n".join(lines(results, {"polar, auto": goal})), flush=True)
            entries.append(
                {
                    "shape": shape,
                    "noise": noise,
                    "threads": threads,
                    "goal": goal,
                    "methods": results,
                }
            )
        results = time_training(clock)
        print(f"\none step of 784-1024×3-10, batch 128, Adam 1e-3, threads: {threads}")
        print("\n".join(lines(results, STEP_GOALS)), flush=True)
        steps.append({"threads": threads, "goals": STEP_GOALS, "ways": results})
    print("\ndefect: ‖QᵀQ − I‖₂; distance: the largest |σ − 1| after any step; both in float64")
    if record:
        write_record(
            record,
            {
                "settings": {"unit": "one 1024³ float32 product", "seed": SEED},
                "polar": entries,
                "small": smalls,
                "training": steps,
                "spread": "quartiles of the repetitions' ratios to the product",
            },
        )


if __name__ == "__main__":
    main()
