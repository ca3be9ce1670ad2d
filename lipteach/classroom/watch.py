"""Which operations of PyTorch a student's code runs: what a text forbids can be seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach
from lipteach.classroom.calling import call
from lipteach.classroom.hints import Hint

_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}
_VECTORS = {"mv", "addmv"}
_BY_NUMPY = {
    *("svd", "svdvals", "eig", "eigh", "eigvals", "eigvalsh", "qr", "cholesky"),
    *("inv", "pinv", "solve", "lstsq", "polar"),
}
_AUTOGRAD = (["torch", "autograd"], ["torch", "_functorch"])
_DERIVATIVES = {"grad", "backward", "jvp", "vjp", "jacobian", "jacrev", "jacfwd"}


@dataclass
class Seen:
    """What ran: each operation with its tensors' shapes and the size of its result.

    ``drawn`` are the random tensors, ``lipteach`` the functions of this package that were called,
    ``numpy`` the decompositions of numpy or scipy, ``derivatives`` the calls of autograd.
    """

    operations: list[tuple[str, list[tuple[int, ...]], int]] = field(default_factory=list)
    drawn: list[Tensor] = field(default_factory=list)
    lipteach: list[str] = field(default_factory=list)
    numpy: list[str] = field(default_factory=list)
    derivatives: list[str] = field(default_factory=list)

    @property
    def decompositions(self) -> list[str]:
        """The names of all decompositions and solutions of linear systems, torch's first."""
        names = (name for name, *_ in self.operations)
        return [n.strip("_") for n in names if "linalg" in n and "norm" not in n] + self.numpy

    @property
    def decomposition(self) -> str:
        """The first of them, or ""."""
        return next(iter(self.decompositions), "")

    @property
    def matrix_products(self) -> int:
        """Products of two matrices, neither of which is a single row or column."""
        return sum(
            min(*shapes[left][-2:], shapes[right][-1]) > 1
            for name, shapes, _ in self.operations
            if name in _PRODUCTS
            for left, right in [_PRODUCTS[name]]
        )

    @property
    def vector_products(self) -> int:
        """Products of a matrix with a vector."""
        one = sum(name in _VECTORS for name, *_ in self.operations)
        products = sum(name in _PRODUCTS for name, *_ in self.operations)
        return one + products - self.matrix_products

    def entries(self, name: str) -> int:
        """The numbers that an operation has computed, in all its calls."""
        return sum(size for one, _, size in self.operations if one == name)


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seen: Seen) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = seen

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler for this, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
        size = result.numel() if isinstance(result, Tensor) else 0
        name = func.overloadpacket.__name__
        self.seen.operations.append((name, shapes, size))
        if name.startswith(("rand", "normal", "uniform")) and isinstance(result, Tensor):
            self.seen.drawn.append(result.detach().clone())
        return result


@contextmanager
def watch() -> Iterator[Seen]:
    """Record what runs in this thread: torch's operations, and what it calls of lipteach.

    >>> with watch() as seen:
    ...     _ = torch.eye(2) @ torch.eye(2)
    >>> seen.matrix_products, seen.decomposition
    (1, '')
    """
    seen, before = Seen(), sys.getprofile()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        parts = str(frame.f_globals.get("__name__", "")).split(".")
        called = frame.f_code.co_name
        if event == "call" and parts[0] == "lipteach" and parts[1:2] != ["classroom"]:
            if called == "forward":  # of a module
                called = type(frame.f_locals.get("self")).__name__
            if called[0] != "_" and hasattr(lipteach, called):  # what a student has written
                seen.lipteach.append(called)
        if event == "call" and parts[0] in ("numpy", "scipy") and called in _BY_NUMPY:
            seen.numpy.append(f"{parts[0]}.linalg.{called}")
        if event == "call" and parts[:2] in _AUTOGRAD and called in _DERIVATIVES:
            seen.derivatives.append(called)

    sys.setprofile(note)
    try:
        with _Mode(seen):
            yield seen
    finally:
        sys.setprofile(before)


def refuse_package(answer: Any, arguments: tuple[Any, ...], ask: str) -> None:
    """Refuse a right answer that calls this package for what it is to write itself."""
    with watch() as seen:
        call(answer, *arguments)
    if seen.lipteach:
        raise Hint(
            "constraint", f"Right, but your code calls lt.{seen.lipteach[0]}: {ask}", arguments
        )
