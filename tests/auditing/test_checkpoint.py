"""Checkpoints are read without running their code, and bounded as what their tensors may be."""

import math
import pickle
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
from support import matrix_of, normal
from torch import nn
from torch.nn import functional

import lipteach as lt
from lipteach.auditing.checkpoint import CheckpointError, audit_tensors, load_checkpoint


class Harmful:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), lt.orthonormal(nn.Linear(8, 2)))


def test_a_state_dict_needs_no_trust(tmp_path: Path) -> None:
    state = net().state_dict()
    for held in (state, {"epoch": 3, "state_dict": state}, {"model": state, "optimizer": {}}):
        torch.save(held, tmp_path / "a.pt")
        for trust in (False, True):
            loaded = load_checkpoint(tmp_path / "a.pt", trust)
            assert loaded.keys() == state.keys()


def test_code_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    path, sign = tmp_path / "a.pt", tmp_path / "ran"
    for old in (False, True):
        torch.save(
            {"w": torch.ones(2), "x": Harmful(sign)}, path, _use_new_zipfile_serialization=not old
        )
        with pytest.raises(
            CheckpointError, match=r"a.pt holds Python objects, .* give --trust only"
        ):
            load_checkpoint(path)
        assert not sign.exists()
    load_checkpoint(path, trust=True)
    assert sign.exists()
    torch.save(nn.Sequential(nn.ReLU()), path)
    with pytest.raises(CheckpointError, match="runs the file's own code"):
        load_checkpoint(str(path))
    assert isinstance(load_checkpoint(str(path), trust=True), nn.Sequential)


def zipped(path: Path, member: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "x")


def test_what_is_no_checkpoint_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    rows = [(lambda: None, "There is no file")]
    rows.append((lambda: path.write_text("hello"), "a.pt could not be loaded: "))
    rows.append((lambda: path.write_text(""), "a.pt could not be loaded: EOFError"))
    rows.append((lambda: torch.save(torch.ones(2), path), "holds Tensor"))
    rows.append((lambda: torch.save({"epoch": 3}, path), "dictionary without any"))
    for member, part in (("a/code/b.py", "is a TorchScript archive"), ("a/b", "of another kind")):
        rows.append((partial(zipped, path, member), part))
    for make, part in rows:
        path.unlink(missing_ok=True)
        make()
        for trust in (False, True):
            with pytest.raises(CheckpointError, match=part) as caught:
                load_checkpoint(path, trust)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 300
    path.write_bytes(b"\x80\x05garbage")
    with pytest.raises(CheckpointError, match="could not be loaded: UnpicklingError"):
        load_checkpoint(path, trust=True)
    path.write_bytes(pickle.dumps(Missing()).replace(b"Missing", b"Missed_"))
    with pytest.raises(CheckpointError, match="could not be loaded: AttributeError"):
        load_checkpoint(path, trust=True)


class Missing:
    """A class that the file knows by a name which this module has not."""


def test_the_norms_are_those_of_the_maps() -> None:
    W, K, k = normal(4, 6), normal(3, 2, 3, 3, seed=1), normal(3, 2, 5, seed=2)
    state = {
        "a": W.float(),
        "net": {"b": K, "c": k},
        "bias": normal(4),
        "n": torch.ones(2, 2).long(),
    }
    found, unknown = audit_tensors(state)
    assert unknown == []
    assert [tensor.name for tensor in found] == ["a", "net.b", "net.c"]
    a, b, c = found
    assert a.lower == a.upper == pytest.approx(float(torch.linalg.matrix_norm(W, 2)), rel=1e-6)
    matrix = matrix_of(lambda x: functional.conv2d(x, K, padding=1), 2, 9, 9)
    truth = float(torch.linalg.matrix_norm(matrix, 2))
    assert b.lower <= b.upper < 1.01 * b.lower
    assert 0.9 * b.upper < truth <= b.upper
    matrix = matrix_of(lambda x: functional.conv1d(x, k, padding=2), 2, 40)
    assert 0.9 * c.upper < float(torch.linalg.matrix_norm(matrix, 2)) <= c.upper
    assert b.least == pytest.approx(float(K.flatten(1).norm(dim=1).max()))
    matrices = [
        matrix_of(lambda x, r=row: functional.conv2d(x, r[None], padding=1), 2, 30, 30) for row in K
    ]
    alone = max(float(torch.linalg.matrix_norm(matrix, 2)) for matrix in matrices)
    assert 0.98 * b.in_groups < alone <= 1.002 * b.in_groups
    assert a.in_groups == a.least == a.lower


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_bounds_hold_for_what_a_state_does_not_say(stride: int, dilation: int) -> None:
    K = normal(4, 2, 3, 3, seed=1)
    ((_, _, lower, upper, in_groups, least, _),) = audit_tensors({"K": K})[0]
    options = {"stride": stride, "dilation": dilation}
    assert least < in_groups < lower < upper
    for groups in (1, 2, 4):
        conv = partial(functional.conv2d, weight=K, groups=groups, **options)
        norm = float(torch.linalg.matrix_norm(matrix_of(conv, 2 * groups, 11, 11), 2))
        assert (least if stride > 1 else 0.85 * in_groups) - 1e-9 <= norm <= upper
    for padding in (0, 1):
        conv = partial(functional.conv2d, weight=K, padding=padding, **options)
        norm = float(torch.linalg.matrix_norm(matrix_of(conv, 2, 9, 9), 2))
        assert least - 1e-9 <= norm <= upper

    def circular(x):
        return functional.conv2d(functional.pad(x, [dilation] * 4, "circular"), K, **options)

    assert float(torch.linalg.matrix_norm(matrix_of(circular, 2, 8, 8), 2)) <= upper + 1e-9
    grouped = matrix_of(lambda x: functional.conv2d(x, K, groups=2, **options), 4, 8, 8)
    assert float(torch.linalg.matrix_norm(grouped, 2)) <= upper
    back = matrix_of(lambda x: functional.conv_transpose2d(x, K, **options), 4, 5, 5)
    assert float(torch.linalg.matrix_norm(back, 2)) <= upper


def test_what_a_parametrization_starts_from_tells_nothing() -> None:
    found, unknown = audit_tensors(net().state_dict())
    assert [tensor.name for tensor in found] == ["0.weight"]
    assert unknown == ["2.parametrizations.weight.original"]
    old = nn.utils.spectral_norm(nn.Linear(4, 4)).state_dict()
    assert audit_tensors(old) == ([], ["weight_orig"])
    with pytest.raises(CheckpointError, match="w must be finite"):
        audit_tensors({"w": torch.full((2, 2), math.nan)})
