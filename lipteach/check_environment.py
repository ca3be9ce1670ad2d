"""Say whether this machine is ready for the lessons: ``python lipteach/check_environment.py``.

One line for each need, [OK] or [FAIL] with the mend; the exit status is 1 if anything failed. Run
as a file it needs only the standard library, so that it can say what is missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial

IMPORTED_AS = {
    "ipython": "IPython",
    "pillow": "PIL",
    "POT": "ot",
    "z3-solver": "z3",
}
MEND = 'pip install -e ".[lab]", or `make lab`'


class Problem(Exception):
    """What is wrong and how to mend it, in one sentence."""


def check_python() -> str:
    """Python 3.11 to 3.13."""
    found = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Problem(f"found {found}; lipteach needs 3.11, 3.12 or 3.13: use another Python")
    return found


def check_package(name: str, least: str) -> str:
    """The package is installed, new enough, and can be imported."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise Problem(f"not installed; {MEND}") from None
    if _numbers(found) < _numbers(least):
        raise Problem(f"found {found}, need at least {least}; {MEND}")
    try:
        with warnings.catch_warnings():  # what Python says of its source when it compiles it
            warnings.simplefilter("ignore")
            importlib.import_module(IMPORTED_AS.get(name, name))
    except Exception as error:
        raise Problem(f"{found} cannot be imported ({type(error).__name__}); {MEND}") from error
    return found


def check_primitive() -> str:
    """MaxMin sorts a pair and routes its gradient."""
    import torch

    from lipteach import maxmin

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    maxmin(x)[0].backward()  # type: ignore[no-untyped-call]
    if x.grad is None or x.grad.tolist() != [0.0, 1.0]:
        raise Problem(f"MaxMin gave a wrong gradient on this machine; {MEND}")
    return "maxmin([1, 2]) = [2, 1], gradient routed"


def check_solver() -> str:
    """The solver decides |x|."""
    from lipteach import abs_network, prove

    if not prove(abs_network(), lambda x: abs(x[0]), None):
        raise Problem(f"the solver could not prove |x|; {MEND}")
    return "abs_network() = |x| proved for every real x"


def check_digits() -> str:
    """The embedded sample of MNIST is whole."""
    from lipteach.training import mnist_sample

    return f"{len(mnist_sample('train')[0])} + {len(mnist_sample('test')[0])} images"


def check_device() -> str:
    """CPU is enough; a GPU is named when there is one."""
    import torch

    if torch.cuda.is_available():
        return f"CUDA ({torch.cuda.get_device_name()})"
    return "MPS" if torch.backends.mps.is_available() else "CPU (enough for every lesson)"


def check_installed() -> str:
    """Lipteach itself is installed in this Python."""
    try:
        return importlib.metadata.version("lipteach")
    except importlib.metadata.PackageNotFoundError:
        raise Problem(f"not installed in {sys.prefix}; {MEND}") from None


def requirements() -> dict[str, str]:
    """Name and least version of each package that the lessons need; none if lipteach is missing."""
    wanted = {}
    try:
        lines = importlib.metadata.requires("lipteach") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    for line in lines:
        spec, _, extra = line.partition(";")
        match = re.match(r"([\w.-]+).*>=([\d.]+)", spec)  # "torch<2.14,>=2.9"
        if match and (not extra or "'lab'" in extra.replace('"', "'")):
            wanted[match[1]] = match[2]
    return wanted


def run_checks() -> Iterator[tuple[bool, str, str]]:
    """Run each check in turn: whether it passed, its name, and what was found or how to mend it."""
    checks: dict[str, Callable[[], str]] = {"Python": check_python, "lipteach": check_installed}
    for name, least in requirements().items():
        checks[name] = partial(check_package, name, least)
    checks |= {
        "device": check_device,
        "MaxMin": check_primitive,
        "solver": check_solver,
        "digits": check_digits,
    }
    for name, check in checks.items():
        try:
            yield True, name, check()
        except Problem as problem:
            yield False, name, str(problem)
        except Exception as error:
            yield False, name, f"{type(error).__name__}: {error}"


def problems() -> list[str]:
    """Return one line for each check that failed; an empty list on a machine that is ready."""
    return [f"{name}: {text}" for passed, name, text in run_checks() if not passed]


def main() -> int:
    """Print the table and return the exit status."""
    results = list(run_checks())
    for passed, name, text in results:
        print(f"{'[OK]  ' if passed else '[FAIL]'} {name:<12} {text}")
    failed = sum(not passed for passed, _, _ in results)
    print("Ready." if not failed else f"{failed} of {len(results)} checks failed.")
    return int(failed > 0)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:3])


if __name__ == "__main__":
    sys.exit(main())
