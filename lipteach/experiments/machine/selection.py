"""The choice of a setting: made on the validation error, and only then is the test error read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lipteach.experiments.machine.records import CellRecord


class Selected(NamedTuple):
    """The cell whose setting was chosen, and its test error: mean and spread over the seeds."""

    cell: CellRecord
    error: float
    spread: float


def select_and_test(cells: Sequence[CellRecord]) -> Selected:
    """Choose the cell of the least validation error, and read the test error of that one alone.

    Args:
        cells: those of one column of a table, which differ in a searched setting; each with the
            metrics "validation_error" and "test_error". Of equals the first is chosen.

    Returns:
        The chosen cell and its test error.

    Raises:
        ValueError: if there is no cell.

    Example:
        >>> from lipteach.experiments import CellRecord, select_and_test
        >>> errors = {1: (4.0, 9.0), 10: (3.0, 5.0), 100: (3.5, 2.0)}
        >>> cells = [
        ...     CellRecord({"L": L}, {"validation_error": [a], "test_error": [b]}, {})
        ...     for L, (a, b) in errors.items()
        ... ]
        >>> select_and_test(cells).cell.settings, select_and_test(cells).error
        ({'L': 10}, 5.0)
    """
    if not cells:
        raise ValueError("cells must hold at least one cell to choose from; it is empty.")
    chosen = min(cells, key=lambda cell: cell.mean("validation_error"))
    return Selected(chosen, chosen.mean("test_error"), chosen.spread("test_error"))
