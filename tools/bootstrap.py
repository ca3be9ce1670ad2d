#!/usr/bin/env python3
"""Make a virtual environment with torch and this project in it, using the standard library alone.

    python3 tools/bootstrap.py .venv lab,test

Plain pip takes a CUDA build of several GB on Linux. So torch comes first, by itself, from PyTorch's
index of CPU wheels; the rest then finds it installed. Which versions, pyproject.toml says. Two
variables change that:

    LIPTEACH_TORCH=torch==2.12.0      one version of these
    LIPTEACH_TORCH_INDEX=             (empty) pip's own default, which on Linux is the CUDA build;
    LIPTEACH_TORCH_INDEX=https://…    or another index of PyTorch wheels
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
INDEX = os.environ.get("LIPTEACH_TORCH_INDEX", CPU_WHEELS)
# pip would compile every module of every package, which takes longer than to install them. A first
# start compiles those that the lessons import; the rest follows when it is used.
FIRST_START = """
import lipteach
from importlib.util import find_spec
if find_spec("jupyterlab"):
    import ipykernel.kernelapp, jupyterlab.labapp, lipteach.classroom
"""


def read_torch() -> str:
    """Return which torch to install: the variable's, or as pyproject.toml has it."""
    import tomllib  # not at the top: an older Python lacks it, and is to hear what it needs

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (needed,) = (need for need in project["dependencies"] if need.startswith("torch>"))
    return os.environ.get("LIPTEACH_TORCH", needed)


def works(python: Path, code: str) -> bool:
    """Whether that Python exists and runs the code."""
    if not python.exists():
        return False
    return subprocess.call([str(python), "-c", code], stderr=subprocess.DEVNULL) == 0


def wait(doing: str, command: list[str], every: float = 5) -> int:
    """Run a command, say what it is doing and, meanwhile, for how long; return its exit status.

    Its own output is kept back until it ends, and printed if it failed.
    """
    print(f"{doing} ", end="", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while True:
            try:
                status = running.wait(every)
                break
            except subprocess.TimeoutExpired:
                print(f"{time.monotonic() - start:.0f} s … ", end="", flush=True)
        print(f"{'failed after' if status else 'done in'} {time.monotonic() - start:.0f} s")
        if status:
            output.seek(0)
            print(output.read().decode(errors="replace"), flush=True)
    return status


def main() -> int:
    """Create the environment named by the first argument with the extras of the second."""
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = ".".join(map(str, sys.version_info[:2]))
        print(f"lipteach needs Python 3.11, 3.12 or 3.13; this is {found} ({sys.executable}).")
        print("Name another one:  make lab PYTHON=python3.12")
        return 1
    target, extras = Path(sys.argv[1]), sys.argv[2]
    python = target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", "--no-compile"]
    if not works(python, "import pip"):  # none yet, or one that an interrupt left half made
        print(
            "Setting up, once. In all this takes one to three minutes, by your network.", flush=True
        )
        print(f"1/4  making the environment {target} (5 to 20 s) …", flush=True)
        try:
            venv.create(target, clear=True, with_pip=True)
        except subprocess.CalledProcessError:
            print("Python cannot make environments here; on Debian: apt install python3-venv")
            return 1
    if not works(python, "import torch"):
        torch = read_torch()
        one_try = ["--no-deps", "--retries", "0", "--timeout", "15", "--index-url", INDEX]
        step = f"2/4  installing {torch}, some 200 MB (15 to 60 s) …"
        if (not INDEX or wait(step, [*pip, *one_try, torch])) and wait(
            f"2/4  installing {torch} from pip's own index …", [*pip, torch]
        ):
            return 1
    step = f"3/4  installing lipteach[{extras}] and what it needs (20 to 60 s) …"
    if wait(step, [*pip, "-e", f"{ROOT}[{extras}]"]):
        return 1
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if wait("4/4  a first start (5 to 20 s) …", [str(python), "-c", FIRST_START]):
        return 1
    report = "import torch; print('torch', torch.__version__, '· CUDA', torch.version.cuda or 'no')"
    return subprocess.call([str(python), "-c", report])


if __name__ == "__main__":
    sys.exit(main())
