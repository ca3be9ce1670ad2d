"""Time the sorting activations beside ReLU: forward and backward, on a CPU, in one run.

    python benchmarks/bench_activations.py [--record FILE]

Only ratios to ReLU are claimed: an activation and ReLU are timed in turn, so that whatever else the
machine does falls on both alike, and the median of these ratios is printed with its quartiles. The
look for NaN is part of what is timed. ReLU over itself shows the noise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Waiting threads that spin rob each other on a busy machine; read when torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import hand_back_free_memory, interleaved, quartiles, write_record
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt
from lipteach.primitives.activations import sort_groups

SEED = 0
# What is timed: shape, dim, repetitions, the goal for MaxMin.
CASES = (
    ((256, 1024), -1, 60, 5.0),
    ((128, 64, 32, 32), 1, 20, 1.5),
    ((128, 64, 32, 32), -1, 5, None),
)
IMPORT_GOAL = 1.1
SMALL = ((4, 8), (32, 32), (32, 64), (64, 64), (128, 128), (256, 256))
SMALL_GOAL = 1.2  # over the plain form


def relu(x: Tensor, _dim: int) -> Tensor:
    """Compute ReLU, for which every dim is alike."""
    return torch.relu(x)


def pairs_by_torch_sort(x: Tensor, dim: int) -> Tensor:
    """Sort pairs by torch.sort: the plain way."""
    inner = dim % x.ndim + 1
    return x.unflatten(dim, (-1, 2)).sort(dim=inner, descending=True).values.reshape(x.shape)


def fours_by_torch_sort(x: Tensor, dim: int) -> Tensor:
    """Sort groups of 4 by torch.sort as torchlip does: without a care for equal entries."""
    inner = dim % x.ndim + 1
    return x.unflatten(dim, (-1, 4)).sort(dim=inner, descending=True).values.reshape(x.shape)


def halves_by_maximum(x: Tensor, dim: int) -> Tensor:
    """Concatenate maxima and minima of the pairs: another order, and another gradient at ties."""
    first, second = x.unflatten(dim, (-1, 2)).unbind(dim % x.ndim + 1)
    return torch.cat((torch.maximum(first, second), torch.minimum(first, second)), dim=dim)


ACTIVATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "ReLU": relu,
    "maxmin": lt.maxmin,
    "torch.sort on pairs": pairs_by_torch_sort,
    "cat of max and min": halves_by_maximum,
    "group_sort, size 4": lambda x, dim: lt.group_sort(x, 4, dim),
    "torch.sort on fours": fours_by_torch_sort,
    "full_sort": lt.full_sort,
}


class Counter(TorchDispatchMode):
    """Counts operators that compute, and the bytes of the tensors they read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.name() and "detach" not in func.name():
            self.calls += 1
            inputs = torch.utils._pytree.tree_leaves((args, kwargs, result))
            tensors = {
                (t.data_ptr(), t.shape): t.numel() * t.element_size()
                for t in inputs
                if isinstance(t, Tensor)
            }
            self.bytes += sum(tensors.values())
        return result


def forward_and_backward(
    f: Callable[[Tensor, int], Tensor], x: Tensor, g: Tensor, dim: int
) -> None:
    """Compute f(x) and its gradient for the upstream gradient g."""
    torch.autograd.grad(f(x, dim), x, g)


def counted(
    f: Callable[[Tensor, int], Tensor], x: Tensor, g: Tensor, dim: int
) -> dict[str, object]:
    """Count operator calls and bytes moved per entry."""
    with Counter() as counter:
        forward_and_backward(f, x, g, dim)
    return {"calls": counter.calls, "bytes_per_entry": round(counter.bytes / x.numel(), 1)}


def timed(shape: tuple[int, ...], dim: int, repetitions: int) -> dict[str, dict[str, object]]:
    """Return for each activation quartiles of its time over ReLU's, calls and bytes."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    g = torch.randn(shape, generator=generator)
    inner = max(1, 2**19 // x.numel())  # passes in one timing

    def seconds(f: Callable[[Tensor, int], Tensor]) -> float:
        start = time.perf_counter()
        for _ in range(inner):
            forward_and_backward(f, x, g, dim)
        return (time.perf_counter() - start) / inner

    results = {}
    for name, f in ACTIVATIONS.items():
        hand_back_free_memory()
        seconds(relu), seconds(f)  # the first of a loop is not counted
        count = repetitions if name in ("ReLU", "maxmin") else 5
        ratios = [seconds(f) / seconds(relu) for _ in range(count)]
        ratio, spread = quartiles(ratios)
        results[name] = {"ratio": ratio, "quartiles": spread, **counted(f, x, g, dim)}
    return results


def small(shape: tuple[int, int]) -> dict[str, object]:
    """Return quartiles of maxmin's time over the plain form's, and over torch's unstable sort's."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(SEED), requires_grad=True)
    g = torch.ones(shape)

    def both(f: Callable[[Tensor, int], Tensor]) -> Callable[[], object]:
        return lambda: forward_and_backward(f, x, g, -1)

    passes = max(1, 2**16 // x.numel() // 8)
    rows = {"plain form": lambda x, _: sort_groups(x, 2, 1, True), "sort": pairs_by_torch_sort}
    found = {}
    for name, f in rows.items():
        ratio, spread = interleaved(both(lt.maxmin), both(f), passes)
        found[name] = {"ratio": ratio, "quartiles": spread}
    return found


def import_ratio(repetitions: int = 7) -> dict[str, object]:
    """Return the time of `import lipteach` over that of `import torch`, both in one interpreter."""
    clock = "time.perf_counter()"
    code = f"import time; a = {clock}; import torch; b = {clock}; import lipteach; c = {clock}"
    ratios = []
    for _ in range(repetitions):
        command = [sys.executable, "-c", f"{code}; print((c - a) / (b - a))"]
        ratios.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
    ratio, spread = quartiles(ratios, digits=3)
    return {"ratio": ratio, "quartiles": spread}


def print_case(results: dict[str, dict[str, object]], goal: float | None) -> None:
    """Print one table."""
    print(f"{'':22}{'over ReLU':>10}  {'quartiles':^15}{'calls':>6}{'bytes an entry':>16}  goal")
    for name, row in results.items():
        low, high = row["quartiles"]  # type: ignore[misc, attr-defined]
        aim = ""
        if name == "maxmin" and goal:
            aim = f"at most {goal}: {'met' if row['ratio'] <= goal else 'missed'}"  # type: ignore[operator]
        numbers = f"{row['ratio']:10.2f}  {low:6.2f} to {high:5.2f}{row['calls']:6}"
        print(f"{name:22}{numbers}{row['bytes_per_entry']:16.1f}  {aim}")


def main() -> None:
    """Run, print and, if asked, record."""
    parser = argparse.ArgumentParser(description="Time the sorting activations beside ReLU.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the results as JSON")
    record = parser.parse_args().record
    entries, smalls = [], []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for shape, dim, repetitions, goal in CASES:
            results = timed(shape, dim, repetitions)
            print(f"\nx of shape {shape}, float32, dim {dim}, threads: {threads}")
            print_case(results, goal)
            entry = {"shape": shape, "dim": dim, "threads": threads, "goal": goal}
            entries.append({**entry, "activations": results})
        print(f"\nmaxmin on small x, threads: {threads}; goal: at most {SMALL_GOAL} plain forms")
        for few in SMALL:
            rows = small(few)
            said = "   ".join(
                f"over the {name} {row['ratio']:5.2f} ({row['quartiles'][0]:.2f} to "
                f"{row['quartiles'][1]:.2f})" for name, row in rows.items()
            )  # fmt: skip
            print(f"{few[0]:4} × {few[1]:<6}{said}", flush=True)
            smalls.append({"shape": few, "threads": threads, "maxmin over": rows})
    imports = import_ratio()
    print(f"\nimport lipteach over import torch: {imports['ratio']} (goal: at most {IMPORT_GOAL})")
    print("Bytes are those of the tensors each operator reads and writes; the look for NaN counts.")
    if record:
        report = {
            "settings": {"passes": "forward and backward", "dtype": "float32", "seed": SEED},
            "results": entries,
            "small": smalls,
            "import": imports,
            "spread": "quartiles of the repetitions' ratios to ReLU",
        }
        write_record(record, report)


if __name__ == "__main__":
    main()
