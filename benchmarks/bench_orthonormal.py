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
import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from common import hand_back_free_memory, quartiles, write_record
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt

SEED = 0
N = 1024
# The weights: shape, noise about an orthonormal matrix (None: Gaussian), goal for polar.
WEIGHTS = (
    ((N, N), 0.02, 12.0),
    ((N, N), 0.1, 17.0),
    ((N, N), None, 22.0),
    ((N, 784), None, 13.0),
)
SIZES = (784, N, N, N, 10)
STEP_GOALS = {"retract_ by qr": 8.0, "retract_ by polar": 10.0}
STEPS = 40
WAYS = (
    "plain", "retract_ by qr", "retract_ by polar", "lt.orthonormal", "Björck × 15, unrolled",
    "torch orthogonal",
)  # fmt: skip
REACHED = ("defect", "gradient error", "distance")


def orthonormal(m: int, n: int, generator: torch.Generator) -> Tensor:
    """Return a random m × n matrix with orthonormal columns, in float64."""
    Q, R = torch.linalg.qr(torch.randn(m, n, generator=generator, dtype=torch.float64))
    return Q * R.diagonal().sign()


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


def unrolled(W: Tensor) -> Tensor:
    """Fifteen Björck steps that autograd follows, behind the scale (11): the paper's own way."""
    return lt.bjorck(W / lt.norm_upper_bounds(W.detach())["inf"], steps=15)


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


class Products(TorchDispatchMode):
    """Counts matrix products in units of 1024³; what LAPACK does inside is not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            *_, a, b = args
            self.count += a.numel() * b.shape[-1] / N**3
        return result


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


def defect(Q: Tensor) -> float:
    """Return ‖QᵀQ − I‖₂ of the smaller Gram side, in float64."""
    A = Q.detach().double()
    gram = A @ A.mT if A.shape[0] < A.shape[1] else A.mT @ A
    return float((torch.linalg.eigvalsh(gram) - 1).abs().max())


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
        with Products() as products:
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


@dataclass
class Training:
    """One way to train 784-1024×3-10 with orthonormal weights."""

    model: nn.Sequential
    after: Callable[[nn.Module], object]

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        generator = torch.Generator().manual_seed(SEED)
        self.x = torch.rand(128, SIZES[0], generator=generator)
        self.y = torch.randint(10, (128,), generator=generator)

    def step(self) -> None:
        """Take one step."""
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
        self.after(self.model)

    def distance(self) -> float:
        """Return the largest |σ − 1| of all weights, from |σ² − 1|."""
        largest = max(defect(m.weight) for m in self.model if isinstance(m, nn.Linear))
        return 1 - math.sqrt(max(0.0, 1 - largest))


def trainings() -> dict[str, Training]:
    """Return the ways of training, from the same orthonormal start."""
    generator = torch.Generator().manual_seed(SEED)
    modules: list[nn.Module] = []
    for n, m in itertools.pairwise(SIZES):
        layer = nn.Linear(n, m)
        W = orthonormal(max(m, n), min(m, n), generator).float()
        layer.weight.data = (W if m >= n else W.T).contiguous()
        modules += [layer, lt.MaxMin()]
    plain = nn.Sequential(*modules[:-1])

    def parametrized(change: Callable[[nn.Linear], object]) -> nn.Sequential:
        model = copy.deepcopy(plain)
        for module in model:
            if isinstance(module, nn.Linear):
                change(module)
        return model

    def nothing(_model: nn.Module) -> None: ...

    def unroll(layer: nn.Linear) -> None:
        nn.utils.parametrize.register_parametrization(layer, "weight", Unrolled())

    made = (
        Training(copy.deepcopy(plain), nothing),
        Training(copy.deepcopy(plain), lambda m: lt.retract_(m, method="qr")),
        Training(copy.deepcopy(plain), lt.retract_),
        Training(parametrized(lt.orthonormal), nothing),
        Training(parametrized(unroll), nothing),
        Training(parametrized(parametrizations.orthogonal), nothing),
    )
    return dict(zip(WAYS, made, strict=True))


class Unrolled(nn.Module):
    """`unrolled` as a parametrization."""

    def forward(self, W: Tensor) -> Tensor:
        """Return the fifteenth iterate."""
        return unrolled(W)


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
    entries, steps = [], []
    for threads in (1, 2):
        torch.set_num_threads(threads)
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
                "training": steps,
                "spread": "quartiles of the repetitions' ratios to the product",
            },
        )


if __name__ == "__main__":
    main()
