"""Matrices whose top direction has nothing of the start of a power iteration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lipteach.classroom.checks import Hint
from lipteach.classroom.compare import (
    call,
    need_tensor,
)
from lipteach.primitives import operator_norm
from lipteach.primitives.norms import start_vector

BLIND = torch.tensor([[2.5, 0, 0, 0], [0, 2, -1, 0], [0, -1, 2, 0], [0, 0, 0, 2]]).double()
"""Of norm 3 along (0, 1, −1, 0): neither a start of ones nor a first axis has anything of it."""

_SIGNS = torch.tensor([(-1.0) ** bin(k).count("1") for k in range(16)]).double()
"""Orthogonal to 1, k, k² and k³ (k = 0, …, 15): the signs of Prouhet, Thue and Morse."""

SPREAD = torch.zeros(18, 18).double()
SPREAD[:2, :2] = torch.diag(torch.tensor([1.01, 1]))
SPREAD[2:, 2:] = _SIGNS.outer(_SIGNS) / 4
"""Of norm 4, in 16 small columns: no single column, nor the sum of all, has anything of it."""


class _Exact(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Note the vectors that code works with; keep those orthogonal to q so, against rounding."""

    def __init__(self, q: Tensor | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.q, self.vectors = q, list[Tensor]()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = [a for a in args if isinstance(a, Tensor) and a.numel() == _SIZE]
        self.vectors += [a.detach().double().flatten().clone() for a in found]
        result = func(*args, **(kwargs or {}))
        if self.q is not None and isinstance(result, Tensor) and result.is_floating_point():
            flat = result.detach().double().flatten()
            if len(flat) == _SIZE and abs(flat @ self.q) <= 1e-6 * flat.norm():
                clean: Tensor = flat - (flat @ self.q) * self.q
                result = clean.reshape(result.shape).to(result.dtype)
        return result


_SIZE = 12


def search_for_a_start(answer: Any) -> None:
    """Lay the top direction orthogonal to every vector that the answer is seen to start from."""

    def seen(W: Tensor, q: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        torch.manual_seed(0)  # the guard gives the student's state back
        np.random.seed(0)  # noqa: NPY002
        with _Exact(q) as mode:
            return need_tensor(call(answer, W)), mode.vectors

    identity = torch.eye(_SIZE).double()
    usual = [start_vector(_SIZE, None).double(), torch.ones(_SIZE).double(), identity[0]]
    vectors = [v / v.norm() for v in [*usual, *seen(identity)[1]] if 0 < v.norm() < math.inf]
    starts = torch.cat([torch.stack(vectors), torch.zeros(_SIZE, _SIZE).double()])
    q = torch.linalg.svd(starts, full_matrices=False).Vh[-1]
    for top in (4.0, 1.1):
        W = identity + (top - 1) * torch.outer(q, q)
        got = seen(W, q)[0]
        if not bool(got.isfinite().all()):
            text = f"For a matrix of norm {top:g} whose top direction has nothing of your start a"
            raise Hint("value", f"{text} number is not finite: what is divided by 0?", (W,))
        norm = float(operator_norm(got))
        if norm > 1 + 2e-6:
            text = f"For a matrix of norm {top:g} whose top direction has nothing of your start the"
            ask = "a margin helps a slow iteration; which bound needs no luck with its start?"
            raise Hint(
                "constraint", f"{text} norm becomes {norm:.4f}, without rounding: {ask}", (W,)
            )
