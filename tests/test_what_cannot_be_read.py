"""Tensors that hold no numbers, or not one at each place: every function says so in a sentence."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import lipteach as lt
from lipteach.training import Cones, clip_singular_values_, minibatches, three_cones

EYE = torch.eye(2)
NET = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
VALUE = lambda z: z.sum(dim=-1)  # noqa: E731
G = torch.Generator()


def quantized() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8)


def made(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # prototypes of torch
        return make()


UNREADABLE = {
    "meta": EYE.to("meta"),
    "a meta parameter": nn.Parameter(EYE.to("meta")),
    "fake": FakeTensorMode().from_tensor(EYE),
    "nested": made(lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])),
    "jagged": made(
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    ),
    "COO": EYE.to_sparse(),
    "CSR": made(EYE.to_sparse_csr),
    "CSC": made(EYE.to_sparse_csc),
    "masked": made(lambda: torch.masked.masked_tensor(EYE.clone(), EYE > 0)),
    "MKL-DNN": EYE.to_mkldnn() if torch.backends.mkldnn.is_available() else EYE.to_sparse(),
    "quantized": quantized(),
    "lazy": nn.UninitializedParameter(),
    "a lazy buffer": nn.UninitializedBuffer(),
    **{str(d): EYE.to(d) for d in (torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64)},
    "NumPy": EYE.numpy(),
    "masked NumPy": np.ma.masked_array(EYE.numpy(), mask=True),
    "list": EYE.tolist(),
    "storage": EYE.untyped_storage(),
}
NO_VALUES = ("meta", "a meta parameter", "fake")
SHAPE_ONLY = {  # what computes on shapes alone, and may meet such tensors
    "group_sort": lambda x: lt.group_sort(x, 2),
    "maxmin": lt.maxmin,
    "full_sort": lt.full_sort,
    "Abs": lt.Abs(),
    "Maxout": lt.Maxout(2),
    "Scale": lt.Scale(2.0),
    "Centering": lt.Centering(),
    "householder": lambda x: lt.householder(x, torch.zeros(1, device=getattr(x, "device", "cpu"))),
}
READERS = {
    "Selection": lt.Selection([1, 0], 2),
    "ChunkedSequential": lt.ChunkedSequential(lt.MaxMin()),
    "operator_norm": lt.operator_norm,
    "mixed_norm": lambda W: lt.mixed_norm(W, 2),
    "norm_upper_bounds": lt.norm_upper_bounds,
    "power_iteration": lt.power_iteration,
    "its u": lambda u: lt.power_iteration(EYE, u=u),
    "is_orthonormal": lt.is_orthonormal,
    "bjorck": lt.bjorck,
    "bjorck_trajectory": lt.bjorck_trajectory,
    "parseval_step": lambda W: lt.parseval_step(W, 0.5),
    "bjorck_apply": lambda W: lt.bjorck_apply(W, EYE[0], 3),
    "its v": lambda v: lt.bjorck_apply(EYE, v, 3),
    **{m: lambda W, m=m: lt.polar(W, method=m) for m in ("auto", "svd", "bjorck", "polynomial")},
    "project_simplex": lt.project_simplex,
    "project_l1_ball": lt.project_l1_ball,
    "project_linf_norm": lt.project_linf_norm,
    "in_l1_ball": lt.in_l1_ball,
    "jacobian_power_iteration": lambda x: lt.jacobian_power_iteration(NET, x),
    "jacobian_spectral_norm": lambda x: lt.jacobian_spectral_norm(NET, x),
    "jacobian_singular_values": lambda x: lt.jacobian_singular_values(NET, x),
    "spectral_jacobian_penalty": lambda x: lt.spectral_jacobian_penalty(NET, x),
    "wasserstein_dual": lambda x: lt.wasserstein_dual(VALUE, x, EYE),
    "exact_wasserstein": lambda y: lt.exact_wasserstein(EYE, y),
    "transport_plan": lambda x: lt.transport_plan(x, EYE),
    "its weights": lambda a: lt.transport_plan(EYE, EYE, a),
    "audit": lambda x: lt.audit(NET, x),
    "lipschitz_bounds": lambda x: lt.lipschitz_bounds(NET, x),
    "Cones": Cones,
    "dual": three_cones().dual,
}


NEEDS_NONE = (*SHAPE_ONLY, "Selection", "ChunkedSequential")
CASES = [
    (reader, kind)
    for reader in (*READERS, *SHAPE_ONLY)
    for kind in UNREADABLE
    if not (reader in NEEDS_NONE and kind in NO_VALUES)
]


@pytest.mark.parametrize(("reader", "kind"), CASES)
def test_what_cannot_be_read_is_said(reader: str, kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        {**READERS, **SHAPE_ONLY}[reader](UNREADABLE[kind])
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 200
    if kind in NO_VALUES:
        assert "must hold numbers; it is" in message


@pytest.mark.parametrize("kind", [k for k in UNREADABLE if k not in ("NumPy", "list", "storage")])
def test_weights_that_cannot_be_read_are_said(kind: str) -> None:
    bad = UNREADABLE[kind]
    for call in (lambda: lt.linear(bad), lambda: lt.linear([[1.0]], bad)):
        with pytest.raises(TypeError, match=r"^[Wb] (must|has) [^\n]*\.$"):
            call()
    layer = nn.Linear(2, 2)
    if isinstance(bad, nn.Parameter) or kind == "meta":
        layer.weight = nn.Parameter(bad, requires_grad=False) if kind == "meta" else bad
        with pytest.raises(TypeError, match=r"^model: weight (must|of|has) [^\n]*\.$"):
            clip_singular_values_(layer)


@pytest.mark.parametrize("kind", ["nested", "jagged", "COO", "CSR", "masked", "MKL-DNN", "lazy"])
def test_batches_are_cut_of_dense_tensors(kind: str) -> None:
    with pytest.raises(TypeError, match=r"^Each of tensors (must|has) [^\n]*\.$"):
        minibatches(UNREADABLE[kind], size=1, epochs=1, generator=G)


@pytest.mark.parametrize("function", SHAPE_ONLY)
def test_sorts_know_shapes(function: str) -> None:
    assert SHAPE_ONLY[function](EYE.to("meta")).is_meta


def test_numbers_of_any_length_are_refused_in_one_sentence() -> None:
    for huge in (2**63, 10**400, 10**5000):
        for call in (lt.relu_network, lt.GroupSort, lambda n: lt.bjorck(EYE, n), lt.MaxMin):
            with pytest.raises(ValueError, match=r"must be less than 2⁶³; got .{1,50}\.$"):
                call(huge)
    with pytest.raises(ValueError, match=r"p must be 1, 2 or math.inf; got 10{39}….$"):
        lt.operator_norm(EYE, 10**400)
    with pytest.raises(ValueError, match=r"c must be finite; got an integer of more than 4300 dig"):
        lt.w_network(10**5000)
    assert bool(lt.is_orthonormal(EYE, 2**80))
    with pytest.raises(ValueError, match=r"must be one of .*; got 'a{39}….$"):
        lt.polar(EYE, method="a" * 1000)


def test_what_can_be_read_is() -> None:
    """Views with a conjugate or negative bit, expanded ones, inference tensors, subclasses."""

    class Sub(torch.Tensor):
        pass

    with torch.inference_mode():
        inferred = EYE.clone()
    negative = torch.complex(torch.zeros(2, 2), -EYE).conj().imag
    assert negative.is_neg()
    for x in (inferred, negative, EYE.as_subclass(Sub), EYE[:, :1].expand(2, 2), nn.Parameter(EYE)):
        plain = x.detach().clone().as_subclass(torch.Tensor) + 0
        for call in (lt.maxmin, lt.operator_norm, lt.project_simplex, lt.norm_upper_bounds):
            got, want = call(x), call(plain)
            if isinstance(want, dict):
                got, want = (torch.stack([*v.values()]) for v in (got, want))
            torch.testing.assert_close(got.detach().as_subclass(torch.Tensor), want)
    assert lt.linear(np.eye(2, dtype=np.int64)).weight.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert math.isclose(lt.linear(torch.tensor([[3]], dtype=torch.uint16)).weight.item(), 3.0)
