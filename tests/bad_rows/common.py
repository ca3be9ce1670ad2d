"""What every function of a tensor, a number or an integer refuses."""

import math

import torch
from torch import nn

NOT_TENSORS = [[1.0, 2.0], None, "x", 3]
NOT_FLOATS = [torch.ones(4, dtype=d) for d in (torch.int64, torch.bool, torch.complex64)]


def tensor_rows(call, name: str):
    """What every function of a tensor refuses."""
    yield from ((call, [x], TypeError, f"{name} must be a torch.Tensor; got") for x in NOT_TENSORS)
    for x in NOT_FLOATS:
        shaped = x.reshape(2, 2)
        yield (
            call,
            [shaped],
            TypeError,
            f"{name} must have a floating-point dtype from float16 to float64; got torch.",
        )
    yield call, [torch.ones(2, 2).to(torch.float8_e5m2)], TypeError, "got torch.float8_e5m2"
    yield call, [torch.eye(2).to_sparse()], TypeError, f"{name} must be a dense tensor; got layout"
    yield call, [torch.ones(0, 2)], ValueError, f"{name} must not be empty; got shape (0, 2)"
    yield call, [torch.full((2, 2), math.nan)], ValueError, "NaN"


def number_rows(call, name: str, low: str):
    """What every function of one positive number refuses."""
    for bad in ("1", None, True, torch.ones(1)):
        yield call, [bad], TypeError, f"{name} must be a real number; got"
    for bad in (math.nan, math.inf):
        yield call, [bad], ValueError, f"{name} must be finite; got"
    if low:
        yield call, [-1.0], ValueError, f"{name} must be {low}; got -1.0"


def integer_rows(call, name: str, least: int = 1):
    """What every function of one positive integer refuses."""
    for bad in (2.0, "2", None, True):
        yield call, [bad], TypeError, f"{name} must be an integer; got"
    for bad in (0, -2):
        yield call, [bad], ValueError, f"{name} must be at least {least}; got {bad}"


class Raising(nn.Module):
    """A module whose forward, or whose copy, raises what no layer of torch does."""

    def __init__(self, error: Exception, copied: bool = False) -> None:
        super().__init__()
        self.error, self.copied = error, copied

    def forward(self, x):
        raise self.error

    def __deepcopy__(self, memo):
        if self.copied:
            raise self.error
        return Raising(self.error)


def raising_rows(call):
    """Of a function of a model: what a stranger's code raises is said, with its module."""
    for error, said in (
        (KeyError("boom"), "KeyError: 'boom'"),
        (AssertionError(), "AssertionError"),
        (AttributeError("no such\nthing"), "AttributeError: no such"),
        (ZeroDivisionError("by 0"), "ZeroDivisionError: by 0"),
    ):
        model = nn.Sequential(nn.Identity(), Raising(error))
        said = f"does not fit the model: 1 (Raising) raises {said}"
        yield call, [model], ValueError, said
