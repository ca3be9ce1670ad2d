"""What the examples in docstrings may assume; every test begins at the same seed.

`pytest --hypothesis-profile=default` lets hypothesis look for new examples.
"""

import math

import pytest
import torch
from hypothesis import settings

import lipteach as lt

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
# A busy machine is no failure, and a failure is there again in the next run.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _assumed_by_the_examples(doctest_namespace: dict) -> None:
    doctest_namespace.update(lt=lt, math=math, nn=torch.nn, torch=torch)


@pytest.fixture(autouse=True)
def _seed() -> None:
    # torch.manual_seed keeps a stack for each kind of GPU: four tenths of a millisecond a test
    torch.default_generator.manual_seed(0)
