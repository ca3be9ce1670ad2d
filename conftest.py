"""What the examples in docstrings may assume."""

import math

import pytest
import torch

import lipteach as lt

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait


@pytest.fixture(autouse=True)
def _assumed_by_the_examples(doctest_namespace: dict) -> None:
    doctest_namespace.update(lt=lt, math=math, nn=torch.nn, torch=torch)
