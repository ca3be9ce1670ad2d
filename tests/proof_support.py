"""What the tests of proofs share."""

import torch

from lipteach.theory.proof import Counterexample
from lipteach.theory.terms import Max, Min, Sqrt

R = Sqrt(2)
M = [[1 / R, 1 / R], [1 / R, -1 / R]]


def maxmins(x):
    return [f(x[i], x[i + 1]) for i in range(0, len(x), 2) for f in (Max, Min)]


def ran(network, result):
    """What torch computes at a counterexample, which must be what the counterexample says."""
    assert isinstance(result, Counterexample)
    assert not result
    with torch.no_grad():
        output = network(result.input)
    assert torch.equal(output, result.output)
    return output
