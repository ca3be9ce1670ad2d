"""Constrained layers: `orthonormal`, `spectral` and `linf` register a parametrization."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.convolution_settings import check_kernel, kernel_class, orthogonal_class
from lipteach.layers.parametrizations import LInf, OrthogonalConvolution, Orthonormal, Spectral
from lipteach.layers.weights import CONVOLUTIONS, TRANSPOSED, WEIGHTED, plain_weight
from lipteach.primitives._validate import check_real
from lipteach.primitives.polar import METHODS

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def orthonormal(
    module: Layer, name: str = "weight", tol: float = 1e-5, method: str = "auto"
) -> Layer:
    r"""Keep the weight of a layer orthonormal (appendix B).

    On ``nn.Linear`` the weight is the polar factor of the parameter: rows or columns, whichever
    are fewer, are orthonormal, so that ‖W‖₂ = 1 and no gradient norm is lost on their side.

    On a convolution it is the operator that is orthonormal, not the flattened kernel, whose
    convolution can have a norm up to the root of the number of taps. The kernel is a product

    $$K(z) = R(z) \prod_i \bigl(P_i + (I - P_i) z_{d_i}\bigr)$$

    of isometries of the infinite grid, P_i projectors of rank ⌊c/2⌋ on the side with more channels
    (with a stride, on the input side), R orthonormal. A finite image with zero padding writes zeros
    around it and leaves outputs unread: a compression, so that the norm is at most 1 for every
    image size and padding, and it comes near to 1 on images that are larger than the kernel. Where
    patches do not overlap (kernel ≤ stride, or 1 × 1) it is the flattened kernel that is
    orthonormal, which is exact. A thin kernel (one side more than four times the other) is made of
    orthogonal blocks. Each group has a kernel of its own; of 1 × 1 channels at stride 1 (depthwise)
    there are no other kernels than one tap of ±1, so that nothing is learnt. A transposed
    convolution is the adjoint of the one with its weight, in which inputs are the outputs.

    - Circular padding: of images whose sides the stride divides, all singular values are 1, if it
      keeps the size (over the stride). Of others patches meet across the seam at other places than
      elsewhere, and the norm may be above 1, by √2 a dimension unless the image is smaller than its
      padding: `audit` and `lipschitz_bounds` count that.
    - "reflect" and "replicate" repeat pixels near the border, which a shift can move into the
      image. The weight is divided by what that may add, so that the norm is at most 1 for every
      image: at stride 1, for p pixels on both sides of a dimension that keep its length, by √2 and
      by √(1 + p). What lies further inside is that much smaller, a half of it at 3 × 3, where
      zeros or circular padding keep it all.

    In ``train()`` the parameter of an ``nn.Linear`` with at least 160 rows and columns is moved
    onto its own polar factor, in place, whenever the weight is read with gradients on, by the
    method "auto" and not under torch.vmap or torch.compile. The weight is not changed by it, and
    evaluation gives the same. What an optimizer sees is an orthonormal parameter and the
    gradient there, which is tangent to the manifold; its state is left alone. Without that the
    parameter drifts away, and its weight becomes ever more costly; with it a step takes 4 to 6
    products of the weight's size, however long the training (PyTorch's map of Cayley: as much time
    as 10). What to mind, since the parameter changes when it is read:

    - A graph may not hold it already: a penalty on the parameter itself is written behind the
      forward pass, else torch refuses to go back.
    - A ``state_dict()`` shares it, as always, and is to be copied before the next forward pass.
    - An optimizer that steps away and comes back (SAM) comes back to its polar factor.
    - A layer without a constraint must not share it, and a parameter handed in by
      ``torch.func.functional_call`` is moved as well (a plain tensor is not).

    `retract_` by "qr" takes less than half of that time, and is the one for large layers if the
    weight may be the parameter itself, and a call may follow each step of the optimizer.

    A stride s with a dilation d counts as s / gcd(s, d). Per step of it a kernel k sees
    c_in·min(k, s)² inputs. If there are no more outputs, the rows of the operator are orthonormal,
    on every image without padding; else its columns, with a padding of d(k − 1). Neither can be
    where there are more outputs and unseen pixels, with k < s or a common divisor of s and d.

    ``layer.weight = Q`` works: a Q of the class comes back up to rounding, any other is replaced
    by a member near it, so that the weight of a fresh layer is kept in spirit. (What ``nn.init``
    or ``reset_parameters`` writes to is a copy.) A stride or a padding that is set afterwards makes
    another map, of which nothing is promised. Make the optimizer afterwards: a convolution has
    other parameters then. A tied ``nn.Linear`` stays tied.

    Args:
        module: an ``nn.Linear``, ``nn.Conv1d``, ``nn.Conv2d``, ``nn.ConvTranspose1d`` or
            ``nn.ConvTranspose2d``, with any stride, dilation, groups and padding; where it skips
            pixels, c_out ≤ c_in·min(k, s)² (exchanged, if transposed).
        name: the name of the parameter.
        tol: the tolerance of `polar`: ‖QᵀQ − I‖₂ on the smaller Gram side, of W or of R.
        method: the method of `polar`: "auto", "bjorck", "polynomial" or "svd".

    Returns:
        The module, with the parametrization registered on it.

    Raises:
        TypeError: if it is a module of another class.
        ValueError: if it has no such parameter, one which is parametrized already or zero, or it is
            a convolution that cannot be orthonormal, or of another padding than it was made with.

    Example:
        >>> layer = lt.orthonormal(nn.Linear(3, 5))
        >>> bool(lt.is_orthonormal(layer.weight))
        True
        >>> lt.orthonormal(nn.Conv2d(3, 8, 3, padding=1)).weight.shape
        torch.Size([8, 3, 3, 3])

    Source: Anil, Lucas and Grosse (2019), appendix B; of convolutions, Q. Li et al. (2019), and
    T. Boissin et al. (2025) for strides, dilation, groups and transposition.
    """
    weight = check_layer(module, name)
    check_real(tol, "tol", above=0.0)
    _check_method(method)
    parametrization: nn.Module = Orthonormal(weight.shape, tol, method)
    if isinstance(module, CONVOLUTIONS):
        kernels = orthogonal_class(module, weight)
        parametrization = OrthogonalConvolution(weight.shape, kernels, tol, method)
    return register(module, name, parametrization)


def spectral(module: Layer, name: str = "weight") -> Layer:
    r"""Divide the weight of a layer by its spectral norm (appendix B.2).

    On ``nn.Linear`` it is W / ‖W‖₂ with the norm of an exact singular value decomposition and its
    gradient: 1 at once, not after some power iterations, which would only bound it from below. For
    a float32 matrix with more than 160 rows and columns that would take nine matrix products; for
    about two, the norm is found within 2·10⁻⁴ from above, and certified by a Cholesky
    decomposition of c²I − WᵀW: ‖W / c‖₂ is at most 1 up to rounding, and has no second derivative.
    Nothing is kept from call to call, and training and evaluation do not differ. On a
    convolution it is the kernel over the upper bound of `convolution_norm_bounds`: the operator
    norm is at most 1 for every image size, and its supremum over them lies above 0.998; of more
    than 256 channels, if the norm is almost the same at all frequencies, above 0.92. What is said
    of circular, reflecting and replicating padding in `orthonormal` holds here too: the last two
    cost a further divisor. Of groups the largest norm counts, so that the others may keep less. At
    64 channels
    the bound takes some 15 to 30 ms, the time of a training step on 64 images of 16 × 16.
    Within ``parametrize.cached()`` the bound is computed once. The singular values below the
    largest are left as they are: spectral normalization keeps no gradient norm.

    The arguments are those of `orthonormal`; here a convolution may skip pixels.

    Example:
        >>> layer = lt.spectral(nn.Linear(3, 5))
        >>> round(lt.operator_norm(layer.weight).item(), 5)
        1.0

    Source: T. Miyato et al. (2018); Anil, Lucas and Grosse (2019), appendix B.2.
    """
    weight = check_layer(module, name)
    kernels = kernel_class(module, weight) if isinstance(module, CONVOLUTIONS) else None
    return register(module, name, Spectral(weight.shape, kernels))


def linf(module: Layer, name: str = "weight", bound: float = 1.0) -> Layer:
    r"""Keep ‖W‖_∞, the largest row sum of |W|, within a bound (appendix C).

    Each row is projected onto the L1 ball of radius `bound` (`project_linf_norm`); a row inside
    stays exactly as it is. On a convolution a row is the flattened kernel of an output channel: the
    largest of their L1 norms is ‖conv‖_∞ on images large enough that a patch lies within, and a
    bound of it on all others, for every stride, dilation, number of groups and kind of padding. On
    a transposed one it is the part of that kernel that meets in one output, of which there are as
    many as places in a step of its stride.

    Module and name are as for `orthonormal`, but every setting will do; the bound is positive.

    Example:
        >>> layer = lt.linf(nn.Linear(2, 1))
        >>> layer.weight = torch.tensor([[3.0, 0.5]])
        >>> layer.weight.tolist()
        [[1.0, 0.0]]

    Source: Anil, Lucas and Grosse (2019), appendix C.
    """
    weight = check_layer(module, name)
    bound = check_real(bound, "bound", above=0.0)
    if isinstance(module, CONVOLUTIONS):
        check_kernel(module, weight)
    steps = kernel_class(module, weight) if isinstance(module, TRANSPOSED) else None
    return register(module, name, LInf(weight.shape, bound, steps))


def _check_method(method: Any) -> None:
    if not isinstance(method, str):
        raise TypeError(f"method must be a string; got {type(method).__name__}.")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")


def check_layer(module: Any, name: Any) -> Tensor:
    """Return the parameter of that name of a layer that can be constrained."""
    if not isinstance(module, WEIGHTED):
        names = ", ".join(f"nn.{kind.__name__}" for kind in WEIGHTED)
        raise TypeError(f"module must be one of {names}; got {type(module).__name__}.")
    if not isinstance(name, str):
        raise TypeError(f"name must be a string; got {type(name).__name__}.")
    if parametrize.is_parametrized(module, name):
        raise ValueError(f"{name} of this {type(module).__name__} is parametrized already.")
    return plain_weight(module, name)


def register(module: Layer, name: str, parametrization: nn.Module) -> Layer:
    """Put a parametrization on the parameter of that name."""
    weight: Any = getattr(module, name)
    if hasattr(weight, "_replaced"):
        kind = type(module).__name__
        why = "a tied convolution was constrained, which has other parameters since"
        raise ValueError(f"{name} of this {kind} must not be shared; {why}.")
    if isinstance(parametrization, OrthogonalConvolution) and parametrization.kernels.factors:
        weight._replaced = True  # by parameters of other shapes, while a tied layer keeps it
        setattr(module, name, nn.Parameter(weight.detach(), weight.requires_grad))
    # "unsafe": torch does not compute the weight once more only to see that its shape is kept. What
    # is made of a weight that can be trained must be so too, within torch.inference_mode().
    with torch.inference_mode(weight.is_inference()):
        parametrize.register_parametrization(module, name, parametrization, unsafe=True)
    return module
