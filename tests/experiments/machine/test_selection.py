"""The choice is made on validation, and the test error of one cell alone is read, after it."""

import pytest

from lipteach.experiments import CellRecord, select_and_test


class Watched(dict):
    """Metrics that note which of them are read, of which cell and in which order."""

    def __init__(self, name: str, log: list, **metrics: list[float]) -> None:
        super().__init__(metrics)
        self.name, self.log = name, log

    def get(self, key, default=None):
        self.log.append((self.name, key))
        return super().get(key, default)

    def __getitem__(self, key):
        self.log.append((self.name, key))
        return super().__getitem__(key)


def cells_of(log: list, **errors: tuple[list[float], list[float]]) -> list[CellRecord]:
    return [
        CellRecord({"L": name}, Watched(name, log, validation_error=a, test_error=b), {})
        for name, (a, b) in errors.items()
    ]


def test_the_test_error_is_read_of_the_chosen_cell_alone_and_after_the_choice() -> None:
    log = []
    cells = cells_of(log, a=([3, 5], [1, 1]), b=([2, 4], [7, 9]), c=([9, 0], [0, 0]))
    chosen = select_and_test(cells)
    assert (chosen.cell.settings, chosen.error, chosen.spread) == ({"L": "b"}, 8, 2)
    read = [k for k, (_, name) in enumerate(log) if name == "test_error"]
    assert {log[k][0] for k in read} == {"b"}
    assert {name for name, _ in log[: read[0]]} == {"a", "b", "c"}
    assert all(name == "test_error" for _, name in log[read[0] :]), "no choice comes after it"


def test_of_equals_the_first_is_chosen_whatever_their_test_errors() -> None:
    cells = cells_of([], a=([2], [9]), b=([2], [1]))
    assert select_and_test(cells).error == 9
    with pytest.raises(ValueError, match="at least one cell"):
        select_and_test([])
