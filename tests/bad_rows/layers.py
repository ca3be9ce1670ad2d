"""What the layers refuse."""

import math
from functools import partial

import torch
from torch import nn
from torch.nn.utils import prune

import lipteach as lt
from bad_rows.common import Raising, integer_rows, number_rows, raising_rows, tensor_rows
from lipteach.training import clip_singular_values_


def rows():
    """(callable, arguments, error, part of its message)."""
    for constrain in (lt.orthonormal, lt.spectral, lt.linf):
        yield from constrained(constrain)
        yield from replaced(constrain)
    layer = nn.Linear(2, 2)
    yield from number_rows(lambda t: lt.orthonormal(layer, tol=t), "tol", "greater than 0.0")
    yield lambda m: lt.orthonormal(layer, method=m), [3], TypeError, "method must be a string"
    yield lambda m: lt.orthonormal(layer, method="qr"), [0], ValueError, "svd; got 'qr'"
    yield from number_rows(lambda b: lt.linf(layer, bound=b), "bound", "greater than 0.0")
    yield lt.spectral, [filled(0.0)], ValueError, "must not be zero"
    yield lt.orthonormal, [filled(0.0)], ValueError, "zero matrix"

    yield from retracted()
    yield lt.make_tangent_, [None], TypeError, "model must be an nn.Module; got NoneType"
    yield from scaled()
    yield lambda model: lt.evaluating(model).__enter__(), [3], TypeError, "an nn.Module; got int"
    yield lt.export, [None], TypeError, "model must be an nn.Module; got NoneType"
    yield lt.export, [layer, [1.0]], TypeError, "x must be a torch.Tensor or None; got list"
    yield lt.audit, [None], TypeError, "model must be an nn.Module; got NoneType"
    yield lt.audit, [filled(math.nan)], ValueError, "The weight of model must be finite"
    yield lt.audit, [layer, [1.0]], TypeError, "x must be a torch.Tensor; got list"
    yield lt.audit, [layer, torch.full((1, 2), math.nan)], ValueError, "x must be finite"
    for call in (lt.audit, lt.export):
        yield from raising_rows(lambda model, call=call: call(model, torch.ones(1, 2)))
        copied = nn.Sequential(Raising(KeyError("boom"), copied=True))
        yield call, [copied], TypeError, "that can be copied: 0 (Raising) raises KeyError: 'boom'"
    audited = lt.audit(nn.Identity())
    for ask in (audited.within, audited.faults):
        yield from number_rows(lambda b, ask=ask: ask(b), "bound", "greater than 0.0")
        yield from number_rows(lambda t, ask=ask: ask(tol=t), "tol", "at least 0.0")

    bounds = lt.convolution_norm_bounds
    yield from tensor_rows(bounds, "kernel")
    for dims in (2, 5):
        text = "kernel must have 3 or 4 dimensions; got shape"
        yield bounds, [torch.ones(dims * [1])], ValueError, text
    kernel = torch.ones(4, 1, 2, 2)
    for name in ("stride", "dilation", "groups"):
        call = lambda n, name=name: bounds(kernel, **{name: n})  # noqa: E731
        yield from integer_rows(call, name)
        if name != "groups":
            text = f"{name} must be one integer or a tuple of 2; got 3"
            yield call, [(1, 2, 3)], ValueError, text
    text = "groups must divide the length of kernel; got 3, 4"
    yield bounds, [kernel, 1, 1, 3], ValueError, text


def scaled():
    yield from number_rows(lt.Scale, "factor", "")
    yield from tensor_rows_of(lt.Scale(2.0))
    yield lt.Residual, [None], TypeError, "body must be an nn.Module; got NoneType"
    yield lt.Residual, [nn.ReLU(), 3], TypeError, "skip must be an nn.Module; got int"
    wide = lt.Residual(nn.Linear(2, 3))
    yield wide, [torch.ones(1, 2)], ValueError, "skip and body must return one shape; got (1, 2)"
    yield from around()
    yield from integer_rows(lt.Maxout, "size")
    yield from tensor_rows_of(lt.Maxout(2))
    yield lt.Maxout(2), [torch.full((2,), math.nan)], ValueError, "NaN"
    yield lt.Maxout(2), [torch.ones(3)], ValueError, "size must divide the length along dim; got l"
    yield lt.Maxout(2), [torch.tensor(1.0)], ValueError, "x must have at least 1 dimension"


def around():
    """Unit rows, centring, reflections and mixtures."""
    for bad in (None, nn.Conv2d(1, 1, 1)):
        yield lt.unit_rows, [bad], TypeError, f"must be an nn.Linear; got {type(bad).__name__}"
    yield lt.unit_rows, [nn.Linear(2, 2), 3], TypeError, "name must be a string; got int"
    yield lt.unit_rows, [lt.linf(nn.Linear(2, 2))], ValueError, "is parametrized already"
    yield lt.unit_rows, [nn.Linear(2, 2), "bias"], ValueError, "bias of Linear must have 2 dim"
    yield lt.unit_rows, [filled(0.0)], ValueError, "must have a direction; one is zero"
    yield lt.unit_rows, [filled(math.nan)], ValueError, "weight must be finite"
    mix = partial(lt.ConvexCombination, nn.ReLU())
    yield from number_rows(lambda s: mix(share=s), "share", "")
    for share in (0.0, 1.0, -1.0):
        yield lambda s: mix(share=s), [share], ValueError, "share must be"
    yield lt.ConvexCombination, [None], TypeError, "body must be an nn.Module; got NoneType"
    yield mix, [3], TypeError, "skip must be an nn.Module; got int"
    for bad in (2.0, "2", None, True):
        yield lt.Centering, [bad], TypeError, "dim must be an integer; got"
    yield lt.Centering, [()], ValueError, "dim must be an integer or some of them; got ()"
    yield from tensor_rows_of(lt.Centering())
    yield lt.Centering(2), [torch.ones(2, 2)], ValueError, "dim must be in [-2, 1] for this x"
    yield lt.Centering((1, -1)), [torch.ones(2, 2)], ValueError, "each dimension once; got (1, -1)"
    yield from integer_rows(lt.Householder, "features")
    yield lt.Householder, [3], ValueError, "features must be even, since pairs are reflected; got 3"
    for bad in (2.0, "2", None, True):
        yield lambda d: lt.Householder(2, dim=d), [bad], TypeError, "dim must be an integer; got"
    one = torch.zeros(1)
    yield from tensor_rows(lambda x: lt.householder(x, one), "x")
    rows = tensor_rows(lambda a: lt.householder(torch.ones(4), a), "angle")
    yield from (row for row in rows if row[3] != "NaN")
    need = "x must have two entries along dim for each angle; got length"
    for length, angle in ((3, one), (4, one), (2, torch.zeros(1, 1)), (2, torch.tensor(0.0))):
        yield lt.householder, [torch.ones(length), angle], ValueError, need
    yield lambda d: lt.householder(torch.ones(2), one, d), [1], ValueError, "dim must be in [-1, 0]"
    yield from integer_rows(lt.BoundedBatchNorm, "features")
    yield from number_rows(lambda b: lt.BoundedBatchNorm(2, b), "bound", "greater than 0.0")
    yield from number_rows(lambda e: lt.BoundedBatchNorm(2, eps=e), "eps", "greater than 0.0")
    yield from number_rows(
        lambda m: lt.BoundedBatchNorm(2, momentum=m), "momentum", "in [0.0, 1.0]"
    )
    norm = lt.BoundedBatchNorm(2)
    yield from tensor_rows_of(norm)
    yield norm, [torch.ones(2)], ValueError, "x must have at least 2 dimensions"
    yield norm, [torch.ones(2, 3)], ValueError, "x must have 2 channels; got shape (2, 3)"
    yield norm, [torch.ones(1, 2)], ValueError, "Training needs two values in a channel; got 1"
    yield mix(nn.Linear(2, 3)), [torch.ones(1, 2)], ValueError, "return one shape; got (1, 3)"


def tensor_rows_of(module):
    """What a module of tensors refuses; infinity and NaN are its own matter."""
    rows = tensor_rows(module, "x")
    yield from (row for row in rows if row[3] != "NaN")


def filled(value: float) -> nn.Linear:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, value)
    return layer


def constrained(constrain):
    need = "module must be one of nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, "
    need += "nn.ConvTranspose2d; got"
    for bad in (None, nn.Conv3d(1, 1, 1), nn.BatchNorm2d(2), torch.ones(2, 2)):
        yield constrain, [bad], TypeError, f"{need} {type(bad).__name__}"
    yield constrain, [nn.Linear(2, 2), 3], TypeError, "name must be a string; got int"
    need = "name must be a parameter of Linear (weight, bias); got 'wight'"
    yield constrain, [nn.Linear(2, 2), "wight"], ValueError, need
    yield constrain, [nn.Linear(2, 2), "bias"], ValueError, "bias of Linear must have 2 dimensions"
    yield constrain, [lt.Selection([0], 2)], ValueError, "of Selection (it has none); got 'weight'"
    yield from weights_without_numbers(constrain)
    wrapped = nn.utils.parametrizations.orthogonal(nn.Linear(2, 2))
    yield constrain, [wrapped], ValueError, "is parametrized already"
    yield constrain, [filled(math.nan)], ValueError, "weight must be finite"
    for kind, got in ((nn.Conv1d, "Conv1d"), (nn.ConvTranspose2d, "ConvTranspose2d")):
        dims = kind(1, 1, 1).weight.ndim
        bias = f"bias of {got} must have {dims} dimensions; got shape (2,)"
        yield constrain, [kind(2, 2, 1), "bias"], ValueError, bias
        other = kind(2, 2, 3)
        other.kernel_size = (2,) * (dims - 2)
        text = "The parameter must be the kernel of the convolution; got shape (2, 2, 3"
        yield constrain, [other], ValueError, text
    if constrain is lt.linf:  # its bound holds for every padding and every stride
        return
    moved = nn.Conv1d(2, 2, 3, padding=1, padding_mode="reflect")
    moved.padding = (2,)
    text = "The padding of the convolution must be the one that it was made with"
    yield constrain, [moved], ValueError, text
    for kind, modes in ((nn.Conv2d, "zeros, circular, "), (nn.ConvTranspose2d, "zeros; got 'sym")):
        other = kind(2, 2, 3)
        other.padding_mode = "symmetric"
        yield constrain, [other], ValueError, f"padding_mode must be one of {modes}"
    if constrain is lt.orthonormal:
        skips = [
            (
                nn.Conv1d(2, 3, 1, 2),
                "2 out_channels to be orthonormal; got 3, with kernel_size (1,",
            ),
            (
                nn.Conv2d(2, 4, 2, 2, dilation=2, groups=2),
                "2 out_channels to be orthonormal; got 4",
            ),
            (nn.Conv2d(2, 4, 2, 2, dilation=2), "and stride (2, 2) and dilation (2, 2)"),
            (nn.ConvTranspose2d(3, 2, 1, 2), "most 2 in_channels to be orthonormal; got 3, with"),
        ]
        for conv, text in skips:
            yield constrain, [conv], ValueError, text


def weights_without_numbers(call):
    """Layers whose weight no function can compute with, or not change."""
    for lazy in (nn.LazyLinear(2), nn.LazyConv2d(2, 3)):
        if call is not clip_singular_values_ or isinstance(lazy, nn.Linear):
            yield call, [lazy], TypeError, "weight has no shape yet; run its lazy module once"
    for hooked in (
        prune.random_unstructured(nn.Linear(2, 2), "weight", 0.5),
        nn.utils.spectral_norm(nn.Linear(2, 2)),
    ):
        text = "weight of this Linear must be a parameter; it is computed by a hook"
        yield call, [hooked], ValueError, text
    for dtype in (torch.complex64, torch.int8, torch.bool, torch.float8_e4m3fn):
        text = f"weight must have a floating-point dtype from float16 to float64; got {dtype}"
        yield call, [holding(torch.eye(2).to(dtype))], TypeError, text
    text = "weight must be a dense tensor; got layout torch.sparse_coo"
    yield call, [holding(torch.eye(2).to_sparse())], TypeError, text
    text = "weight of Linear must have 2 dimensions; got shape (2, 2, 2)"
    yield call, [holding(torch.ones(2, 2, 2))], ValueError, text
    if call not in (lt.orthonormal, lt.spectral, lt.linf):  # which need none yet
        for layer in (nn.Linear(2, 2, device="meta"), nn.Sequential(nn.Linear(2, 2)).to("meta")):
            yield call, [layer], TypeError, "weight must hold numbers; it is on the meta device"


def holding(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def replaced(constrain):
    """Weights that are assigned to a constrained layer."""
    for layer in (nn.Linear(3, 2), nn.Conv2d(2, 2, 3), nn.ConvTranspose1d(2, 2, 3)):
        assign = partial(setattr, constrain(layer), "weight")
        good = tuple(layer.weight.shape)
        for shape in (good[::-1], (1, *good), good[:1]):
            if shape != good:
                need = f"weight must have shape {good}; got {shape}"
                yield assign, [torch.ones(shape)], ValueError, need
        yield assign, [torch.full(good, math.nan)], ValueError, "weight must be finite"
        yield assign, [torch.ones(good).int()], TypeError, "weight must have a floating-point dtype"


def retracted():
    for change in (lt.retract_, lt.make_tangent_, clip_singular_values_):
        yield from weights_without_numbers(change)
    layer = nn.Linear(2, 2)
    yield lt.retract_, [None], TypeError, "model must be an nn.Module; got NoneType"
    yield from integer_rows(lambda s: lt.retract_(layer, steps=s), "steps")
    yield from number_rows(lambda t: lt.retract_(layer, tol=t), "tol", "greater than 0.0")
    yield lambda t: lt.retract_(layer, tol=t), [1.0], ValueError, "tol must be less than 1; got 1.0"
    for bad in ("svd", None, 3):
        yield lambda m: lt.retract_(layer, method=m), [bad], ValueError, 'be "polar" or "qr"; got'
    for method in ("polar", "qr"):
        call = lambda m, method=method: lt.retract_(m, method=method)  # noqa: E731
        for value in (math.nan, math.inf):
            model = nn.Sequential(nn.Identity(), filled(value))
            yield call, [model], ValueError, "1 cannot be retracted: "
    skipping = nn.Sequential(nn.Conv1d(2, 3, 1, 2))
    yield lt.retract_, [skipping], ValueError, "0 cannot be retracted: A convolution that skips"
