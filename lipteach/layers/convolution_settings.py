"""What the settings of a convolution make of it: a class of kernels, or the reason why not."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from lipteach.layers.convolution import KernelClass, Pair
from lipteach.layers.padding import MODES, padding_norm
from lipteach.layers.weights import TRANSPOSED, Convolution, weight_dims


def kernel_class(conv: Convolution, weight: Tensor) -> KernelClass:
    """The class of kernels of a convolution, if its operator is one that we can bound.

    A transposed convolution has that of the convolution with its weight, whose adjoint it is.
    """
    check_kernel(conv, weight)
    size, stride, dilation = map(_pair, (conv.kernel_size, conv.stride, conv.dilation))
    common = [math.gcd(s, d) for s, d in zip(stride, dilation, strict=True)]
    modes = MODES[:1] if isinstance(conv, TRANSPOSED) else MODES
    if conv.padding_mode not in modes:
        need = f"padding_mode must be one of {', '.join(modes)}"
        raise ValueError(f"{need}; got {conv.padding_mode!r}.")
    if conv.padding_mode != "zeros" and _repeated(conv) != _repeated(_made(conv)):
        raise ValueError("The padding of the convolution must be the one that it was made with.")
    return KernelClass(
        len(weight) // conv.groups,
        weight.shape[1],
        size,
        (stride[0] // common[0], stride[1] // common[1]),
        conv.groups,
        skips=max(common) > 1,
        scale=1 / padding_norm(conv, divided=True),
    )


def orthogonal_class(conv: Convolution, weight: Tensor) -> KernelClass:
    """The class of orthogonal kernels of a convolution, if there are any."""
    kernels = kernel_class(conv, weight)
    if kernels.is_empty:
        side = "in_channels" if isinstance(conv, TRANSPOSED) else "out_channels"
        most = kernels.groups * kernels.c_in * math.prod(kernels.base)
        got = f"{len(weight)}, with kernel_size {conv.kernel_size} and stride {conv.stride}"
        got += f" and dilation {conv.dilation}" if kernels.skips else ""
        need = f"at most {most} {side} to be orthonormal"
        raise ValueError(f"A convolution that skips pixels needs {need}; got {got}.")
    return kernels


def check_kernel(conv: Convolution, weight: Tensor) -> None:
    """Require that the parameter is the kernel."""
    if tuple(weight.shape[2:]) != _pair(conv.kernel_size)[4 - weight_dims(conv) :]:
        got = f"shape {tuple(weight.shape)} and kernel_size {conv.kernel_size}"
        raise ValueError(f"The parameter must be the kernel of the convolution; got {got}.")


def _pair(value: Any) -> Pair:
    """A setting for two dimensions, of which a tuple of one is the last; a number is both."""
    if not isinstance(value, (tuple, list)):
        return value, value
    return (1, value[0]) if len(value) == 1 else (value[0], value[1])


def _made(conv: Any) -> nn.Module:
    kind = nn.Conv1d if isinstance(conv, nn.Conv1d) else nn.Conv2d
    size, padding, dilation = conv.kernel_size, conv.padding, conv.dilation
    return kind(1, 1, size, padding=padding, dilation=dilation, device="meta")


def _repeated(conv: Any) -> list[int]:
    """The padding that torch stores beside `padding`, and uses where it is not zeros."""
    return [*conv._reversed_padding_repeated_twice]
