"""What the benchmarks share: quartiles of ratios, products counted, and the record of a run."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lipteach.experiments.machine.provenance import cpu_name


def quartiles(values: Sequence[float], digits: int = 2) -> tuple[float, list[float]]:
    """Return the median, and the lower and upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return round(middle, digits), [round(low, digits), round(high, digits)]


def hand_back_free_memory() -> None:
    """Let every loop start alike: memory that an earlier one freed would spare it page faults."""
    with contextlib.suppress(OSError, AttributeError):  # glibc's habit, and glibc's mend
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def interleaved(
    f: Callable[[], object], g: Callable[[], object], passes: int, repetitions: int = 31
) -> tuple[float, list[float]]:
    """Return quartiles of the time of f over that of g, timed in turn, so many passes at a time."""

    def seconds(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        for _ in range(passes):
            call()
        return time.perf_counter() - start

    seconds(f), seconds(g)  # the first is not counted
    return quartiles([seconds(f) / seconds(g) for _ in range(repetitions)])


class Products(TorchDispatchMode):
    """Counts matrix products in units of n³; what LAPACK does inside is not among them."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.count = n, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            *_, a, b = args
            self.count += a.numel() * b.shape[-1] / self.n**3
        return result


def write_record(path: Path, report: dict[str, object]) -> None:
    """Write a run as JSON, with the device, the versions and the date."""
    report = {
        **report,
        "device": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": datetime.date.today().isoformat(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
