"""Where and with what a run was made, for its record; no path and no name of a machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from lipteach.experiments.machine.records import REPOSITORY

LIBRARIES = ("lipteach", "numpy", "POT", "pytorch-optimizer")


def describe_device(device: torch.device) -> dict[str, Any]:
    """Name the processor, its cores, PyTorch's threads, and the GPU if one was used."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    threads = torch.get_num_threads()
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": threads, "gpu": gpu}


def cpu_name() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def list_versions() -> dict[str, str]:
    """Name the versions of Python and of the libraries that a number may depend on."""
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}  # and its build
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_commit() -> str:
    """Name the commit of the repository, and say whether the package differs from it."""
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != REPOSITORY:
            return "unknown"  # installed under somebody's other repository
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", "lipteach")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} and changes not committed" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
