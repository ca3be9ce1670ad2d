"""What a watched call is seen to do."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import lipteach as lt
from lipteach.classroom.compare import seeded
from lipteach.classroom.watch import watch

W = seeded(5, 4)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (torch.linalg.svdvals, "linalg_svd"),
        (lambda W: torch.linalg.matrix_norm(W, 2), "linalg_svd"),
        (lambda W: torch.linalg.eigvalsh(W.T @ W), "linalg_eigh"),
        (torch.linalg.qr, "linalg_qr"),
        (lambda W: torch.linalg.solve(W.T @ W, W.T), "linalg_solve_ex"),
        (lt.operator_norm, "linalg_svd"),
        (lambda W: np.linalg.norm(W.numpy(), 2), "numpy.linalg.svd"),
        (lambda W: np.linalg.norm(W.numpy()), ""),
        (lambda W: torch.linalg.matrix_norm(W, 1), ""),
        (lambda W: W.norm(), ""),
    ],
)
def test_decompositions(code, name):
    with watch() as seen:
        code(W)
    assert seen.decomposition == name


@pytest.mark.parametrize(
    ("code", "matrices", "vectors"),
    [
        (lambda W: W.T @ W, 1, 0),
        (lambda W: torch.linalg.matrix_power(W.T @ W, 3), 3, 0),
        (lambda W: torch.einsum("ij,kj->ik", W, W), 1, 0),
        (lambda W: W @ W[0], 0, 1),
        (lambda W: W @ W[:1].T, 0, 1),
        (lambda W: W[0] @ W.T, 0, 1),
        (lambda W: torch.einsum("ij,j->i", W, W[0]), 0, 1),
        (lambda W: (W * W[0]).sum(), 0, 0),
    ],
)
def test_products(code, matrices, vectors):
    with watch() as seen:
        code(W)
    assert (seen.matrix_products, seen.vector_products) == (matrices, vectors)


def test_entries_draws_and_calls_of_the_package():
    with watch() as seen:
        torch.tanh(W)
        drawn = torch.randn(3)
        lt.maxmin(W)
    assert seen.entries("tanh") == 20
    assert torch.equal(seen.drawn[0], drawn)
    assert seen.lipteach[0] == "maxmin"
    with watch() as seen:
        lt.MaxMin()(W)
    assert seen.lipteach[0] == "MaxMin"
    with watch() as seen:
        torch.tanh(W)
    assert (seen.drawn, seen.lipteach) == ([], [])


def test_the_compiler_is_not_imported_for_it():
    code = (
        "import sys, torch; from lipteach.classroom.watch import watch\n"
        "with watch(): torch.eye(2) @ torch.eye(2)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: torch.autograd.grad((x * x).sum(), x)[0],
        lambda x: (x * x).sum().backward(),
        lambda x: torch.func.grad(lambda y: (y * y).sum())(x),
        lambda x: torch.func.vjp(torch.sin, x)[1](x),
        lambda x: torch.autograd.functional.jacobian(torch.sin, x),
    ],
)
def test_derivatives_are_seen(answer):
    with watch() as seen:
        answer(torch.ones(3, requires_grad=True))
    assert seen.derivatives


def test_every_decomposition_is_counted():
    with watch() as seen:
        for _ in range(3):
            torch.linalg.svd(torch.eye(2))
        np.linalg.eigh(np.eye(2))
        torch.linalg.matrix_norm(torch.eye(2))
    assert len(seen.decompositions) == 4
    assert not seen.derivatives
