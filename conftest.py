"""What the examples in docstrings may assume, and no time limit for a test by hypothesis."""

import math

import pytest
import torch
from hypothesis import settings

import lipteach as lt

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _assumed_by_the_examples(doctest_namespace: dict) -> None:
    doctest_namespace.update(lt=lt, math=math, nn=torch.nn, torch=torch)
