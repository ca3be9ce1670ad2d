"""The page for those who come from other libraries: its names exist, and what it says is so."""

import inspect
import re
import warnings
from pathlib import Path

import pytest
import torch
from support import normal
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import lipteach as lt
from lipteach import training

PAGE = (Path(__file__).resolve().parent.parent / "COMING_FROM.md").read_text(encoding="utf-8")
CODE = [code for code in re.findall(r"`([^`\n]+)`", PAGE) if not code.startswith("import")]


def their_names(heading: str) -> list[str]:
    """The names in the first column of a table."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([\w.]+)", cell)]


def test_our_names_exist_and_take_what_is_given() -> None:
    for code in [*CODE, *re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]:
        for room, name in re.findall(r"\b(lt|training)\.(\w+)", code):
            thing = getattr({"lt": lt, "training": training}[room], name)
            call = re.match(rf"{room}\.{name}\((.*)\)$", code)
            names = re.findall(r"(\w+)=", call[1]) if call else []
            own = [key for key in names if key not in ("padding_mode",)]
            assert set(own) <= set(inspect.signature(thing).parameters), code
    assert len(CODE) > 80
    for method in ("within", "faults"):
        assert callable(getattr(lt.Audit, method))


def test_names_of_torch_exist() -> None:
    for name in their_names("PyTorch"):
        thing = {"nn": nn, "torch": torch}[name.split(".")[0]]
        for part in name.split(".")[1:]:
            thing = getattr(thing, part)


def test_names_of_torchlip_exist() -> None:
    defined_in("deel.torchlip", their_names("deel-torchlip"))


def test_names_of_orthogonium_exist() -> None:
    defined_in("orthogonium", their_names("orthogonium"))


def defined_in(package: str, names: list[str]) -> None:
    folder = Path(inspect.getfile(pytest.importorskip(package))).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    assert len(names) > 12
    for name in names:
        assert re.search(rf"^ *(class|def) {name}\b", text, re.MULTILINE), name


def test_names_of_geotorch_exist() -> None:
    geotorch = pytest.importorskip("geotorch")
    for name in their_names("geotorch"):
        assert hasattr(geotorch, name.removeprefix("geotorch."))


def test_torch_s_constraints_are_of_slices_and_of_flattened_kernels() -> None:
    torch.manual_seed(0)
    conv = parametrizations.orthogonal(nn.Conv2d(4, 4, 3))
    assert torch.allclose(torch.linalg.svdvals(conv.weight), torch.ones(4, 4, 3), atol=1e-5)
    assert float(lt.convolution_norm_bounds(conv.weight.detach())[0]) > 2
    ours = lt.orthonormal(nn.Conv2d(4, 4, 3))
    assert float(lt.convolution_norm_bounds(ours.weight.detach())[1]) == pytest.approx(1, abs=2e-3)


def test_their_activations_are_what_is_said() -> None:
    torchlip = pytest.importorskip("deel.torchlip")
    x = normal(3, 6)
    assert torch.equal(torchlip.MaxMin()(x), torch.cat([x.relu(), (-x).relu()], dim=1))
    assert torch.equal(torchlip.GroupSort2()(x), lt.group_sort(x, 2, 1, descending=False))
    assert torch.equal(torchlip.GroupSort(3)(x), lt.group_sort(x, 3, 1, descending=False))
    assert torch.equal(torchlip.FullSort()(x), lt.full_sort(x, 1, descending=False))
    images = normal(2, 3, 4, 4)
    assert torch.equal(torchlip.InvertibleDownSampling(2)(images), nn.PixelUnshuffle(2)(images))


def test_their_losses_are_what_is_said() -> None:
    torchlip = pytest.importorskip("deel.torchlip")
    Z, y = normal(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    f, signs = Z[:, :1], torch.tensor([1, -1, 1, 1, -1, -1])
    m = 0.4
    for theirs, ours in (
        (torchlip.NegKRLoss()(f, signs[:, None]), training.kr_loss(f, signs)),
        (-torchlip.KRLoss()(f, signs[:, None]), training.kr_loss(f, signs)),
        (
            torchlip.HKRLoss(0.3, min_margin=2 * m)(f, signs[:, None]),
            training.hkr_loss(f, signs, 0.3, margin=m),
        ),
        (
            torchlip.HKRMulticlassLoss(0.3, min_margin=2 * m)(Z, functional.one_hot(y)),
            training.hkr_multiclass_loss(Z, y, 0.3, margin=m),
        ),
        (torchlip.TauCrossEntropyLoss(5.0)(Z, y), training.tau_cross_entropy(Z, y, 5.0)),
    ):
        assert torch.allclose(theirs, ours)


def test_orthogonium_s_activations_are_what_is_said() -> None:
    pytest.importorskip("orthogonium")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from orthogonium.layers.custom_activations import Abs, MaxMin

    x = normal(3, 6)
    order = [0, 2, 4, 1, 3, 5]  # ours side by side, theirs in halves
    halves = torch.stack(x.chunk(2, dim=1), dim=2).flatten(1)
    assert torch.equal(MaxMin()(x), lt.maxmin(halves, 1)[:, order])
    assert torch.equal(Abs()(x), lt.Abs()(x))
