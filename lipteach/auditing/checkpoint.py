"""Checkpoints: read without running their code, and audited where they hold tensors alone."""

from __future__ import annotations

import importlib
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.primitives import operator_norm
from lipteach.primitives._validate import check_dense, first_line

STATES = ("state_dict", "model_state_dict", "model", "net", "network")  # where others put it
COMPUTED = ("parametrizations.", "weight_orig", "weight_g", "weight_v", "weight_u")
KINDS = {
    2: "a Linear's weight",
    3: "a Conv1d's kernel, stride 1, 1 group",
    4: "a Conv2d's kernel, stride 1, 1 group",
}


class CheckpointError(ValueError):
    """What a file holds that cannot be audited, in one sentence."""


class TensorAudit(NamedTuple):
    """The norm of one tensor of a state, in [lower, upper], read as what its shape says.

    Of a kernel it is the norm of the convolution of stride 1 and one group. If it pads by zeros, or
    circularly to no more than the size of its input, `upper` also bounds every stride, dilation and
    number of groups; and the transposed convolution, which pads by zeros.

    With more groups the norm may be smaller. An output channel is in one of them, whatever their
    number, and sees its own row of the kernel: the largest norm of a row's convolution is a lower
    bound at stride 1, `in_groups`. What one output pixel shows, the length of that row, is one at
    every stride as well: `least`.
    """

    name: str
    shape: tuple[int, ...]
    lower: float
    upper: float
    in_groups: float
    least: float
    read_as: str


def load_checkpoint(path: str | Path, trust: bool = False) -> nn.Module | dict[str, Any]:
    """Return what a file holds: a dictionary of tensors, or, if its code may run, a module.

    Without `trust` it is read by torch's ``weights_only``, which builds tensors and plain
    containers and calls nothing else. A pickled module is a program: to load it is to run it.

    Raises:
        CheckpointError: if the file holds something else, or needs trust.
    """
    name = Path(path).name
    if not Path(path).is_file():
        raise CheckpointError(f"There is no file {path}.")
    inside = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if any("/code/" in member for member in inside):
        raise CheckpointError(
            f"{name} is a TorchScript archive, whose layers cannot be read: audit the module that "
            "it was made from."
        )
    if inside and not any(member.endswith("data.pkl") for member in inside):
        raise CheckpointError(f"{name} is an archive of another kind: torch.save did not write it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=not trust)
    except (Exception, SystemExit) as error:  # whatever the code in a pickle may raise
        if not trust and isinstance(error, pickle.UnpicklingError) and _is_pickle(path, inside):
            raise CheckpointError(
                f"{name} holds Python objects, and loading them runs the file's own code: give "
                "--trust only if you know where it comes from, or save the state_dict()."
            ) from error
        raise CheckpointError(
            f"{name} could not be loaded: {type(error).__name__}: {first_line(error)}"
        ) from error
    return _module_or_state(held, name)


def model_with(made_by: str, state: nn.Module | dict[str, Any]) -> nn.Module:
    """Return what ``"module:name"`` makes when it is called, with the tensors of a state.

    Raises:
        CheckpointError: if there is no such name, it makes no module, or the state is not its own.
    """
    if isinstance(state, nn.Module):
        raise CheckpointError("The file holds a module of its own, so that none is to be made.")
    place, _, name = made_by.partition(":")
    try:
        model = getattr(importlib.import_module(place), name)()
    except (Exception, SystemExit) as error:  # whatever the code of others may raise
        raise CheckpointError(
            f"{made_by} makes no module: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"{made_by} must make an nn.Module; it made {type(model).__name__}.")
    try:
        model.load_state_dict(state)
    except (Exception, SystemExit) as error:
        lines = str(error).splitlines()
        said = lines[1].strip() if len(lines) > 1 else first_line(error)
        raise CheckpointError(f"The state is not one of {made_by}: {said[:120]}") from error
    return model


def audit_tensors(state: dict[str, Any]) -> tuple[list[TensorAudit], list[str]]:
    """The norms of the matrices and kernels of a state, and the names of what cannot be known.

    Vectors are left out; what a parametrization computes a weight from has a norm that says
    nothing of the weight.

    Raises:
        CheckpointError: if one holds NaN or infinity.
        TypeError: if one is sparse.
    """
    found, unknown = [], []
    for name, tensor in _tensors(state, ""):
        if not tensor.is_floating_point() or tensor.ndim < 2 or tensor.numel() == 0:
            continue
        if any(part in name for part in COMPUTED) or tensor.ndim not in KINDS:
            unknown.append(name)
            continue
        check_dense(tensor, name)
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{name} must be finite; it holds NaN or infinity.")
        W = tensor.detach().double()
        norms = _of_a_kernel(W) if W.ndim > 2 else _of_a_matrix(W)
        found.append(TensorAudit(name, tuple(W.shape), *norms, KINDS[W.ndim]))
    return found, unknown


def _of_a_matrix(W: Tensor) -> tuple[float, float, float, float]:
    norm = float(operator_norm(W))
    return norm, norm, norm, norm


def _of_a_kernel(K: Tensor) -> tuple[float, float, float, float]:
    """The numbers of a `TensorAudit` of a kernel of shape (out, in / groups, …)."""
    lower, upper = map(float, convolution_norm_bounds(K))
    in_groups = float(convolution_norm_bounds(K, groups=len(K))[0])
    return lower, upper, in_groups, float(K.flatten(1).norm(dim=1).max())


def _is_pickle(path: str | Path, inside: list[str]) -> bool:
    with Path(path).open("rb") as file:
        return bool(inside) or file.read(1) == b"\x80"


def _module_or_state(held: Any, name: str) -> nn.Module | dict[str, Any]:
    if isinstance(held, nn.Module):
        return held
    if not isinstance(held, dict):
        raise CheckpointError(
            f"{name} must hold a module or a dictionary of tensors; it holds {type(held).__name__}."
        )
    within = [held[key] for key in STATES if isinstance(held.get(key), (dict, nn.Module))]
    if within:
        return _module_or_state(within[0], name)
    if not any(True for _ in _tensors(held, "")):
        raise CheckpointError(f"{name} must hold tensors; it holds a dictionary without any.")
    return held


def _tensors(held: dict[Any, Any], above: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a dictionary, at every depth, with their names."""
    for key, value in held.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, dict):
            yield from _tensors(value, name)
