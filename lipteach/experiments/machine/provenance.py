"""Where and with what a run was made, for its record; no path and no name of a machine."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import os
import platform
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import torch

from lipteach.experiments.machine.records import REPOSITORY

LIBRARIES = ("lipteach", "numpy", "POT", "pytorch-optimizer")
PACKAGE = Path(__file__).resolve().parents[2]
MACHINE = PACKAGE / "experiments" / "machine"
OTHERS = {PACKAGE / "classroom", PACKAGE / "experiments"}  # no training rests on what is there


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


def describe_makers(train: Callable[..., Any]) -> dict[str, str]:
    """Name what the numbers of a training depend on: its code (`digest_code`), and versions."""
    return {"code": digest_code(train), **list_versions()}


@cache
def digest_code(train: Callable[..., Any]) -> str:
    """Digest the file in which a training stands, and the package under it with its data.

    Comments, docstrings and blanks do not count, nor do lessons and other experiments. Of a
    training that stands in no file (in a notebook, say) it is the function alone.
    """
    train = getattr(train, "func", train)  # of a functools.partial
    try:
        own = _meaning(Path(inspect.getsourcefile(train) or "").read_text(encoding="utf-8"))
    except OSError:
        own = _instructions(train.__code__)
    found = hashlib.sha256(own.encode())
    for path in sorted(PACKAGE.rglob("*")):
        if MACHINE in path.parents or not OTHERS & set(path.parents):
            if path.suffix == ".py":
                found.update(_meaning(path.read_text(encoding="utf-8")).encode())
            elif path.suffix == ".npz":
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            said = [isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in body]
            body[:] = [one for one, idle in zip(body, said, strict=True) if not idle]
    return ast.dump(tree)


def _instructions(code: CodeType) -> str:
    inner = [_instructions(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, inner))


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
