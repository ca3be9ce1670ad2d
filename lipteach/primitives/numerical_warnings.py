"""Warnings of our own: what was reached where an iteration or a rank falls short.

Both are `UserWarning`s, so that ``warnings.filterwarnings("error", category=…)`` can turn either
into an error.
"""

from __future__ import annotations

import inspect
import warnings


class ConvergenceWarning(UserWarning):
    """An iteration ended before its tolerance, or cannot reach it; the text names the figure."""


class RankWarning(UserWarning):
    """A matrix lacks full rank, so that its polar factor is not unique; the text says by how far.

    A direction with singular value 0 stays 0 in exact arithmetic. In floating point it may fill
    with rounding noise, and an orthonormal matrix comes out that W did not determine.
    """


def warn_caller(warning: Warning) -> None:
    """Give a warning at the line of the reader's code, however deep in this package and torch.

    From Python 3.12 on, ``warnings.warn(…, skip_file_prefixes=…)`` does the same.
    """
    frame, level, ours = inspect.currentframe(), 0, ("lipteach", "torch")
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level + 1)
