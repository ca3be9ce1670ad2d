"""What tests of the classroom share: a judge's hint, a figure's words, answers without an end."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from matplotlib.figure import Figure
from torch import nn

from lipteach.classroom.checks import Hint


def kind_of(block: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, str]:
    """The kind and the text of the hint that a block raises."""
    with pytest.raises(Hint) as caught:
        block(*args, **kwargs)
    return caught.value.kind, caught.value.text


def drawn(figure: Figure) -> str:
    """The statement of a figure that can be rendered."""
    figure.canvas.draw()
    statement = str(figure.get_label())
    assert statement.endswith(".")
    assert "\n" not in statement
    assert "nan" not in statement
    assert "-0," not in statement
    return statement


class Recursive(nn.Module):
    """A network that calls itself."""

    def forward(self, *x: Any) -> Any:
        return self(*x)


def recursive(*x: Any) -> Any:
    """Call itself without end."""
    return recursive(*x)


def endless(*_x: Any) -> NoReturn:
    """Never return."""
    while True:
        pass
