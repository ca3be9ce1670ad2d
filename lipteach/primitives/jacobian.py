"""The singular values of a network's Jacobian: the largest from below, or all of them (appendix F).

A function f maps a batch (batch, …) to a batch (batch, …), one sample as any other. J is the
Jacobian of one sample, with all its outputs as m rows and all its inputs as n columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lipteach.primitives._sample_by_sample import (
    Function,
    jacobians,
    leaving,
    pull_and_push,
)
from lipteach.primitives._validate import (
    FLOATS,
    check_integer,
    check_tensor,
    first_line,
    raised_in,
    transforming,
)
from lipteach.primitives.norms import normalized, start_vector

BY_MODE = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.Dropout, nn.Dropout1d,
    nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU,
)  # fmt: skip
"""What treats a sample in training by its batch, or by chance."""


def jacobian_power_iteration(
    f: Function,
    x: Tensor,
    steps: int = 10,
    u: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Estimate the spectral norm of the Jacobian at each sample, and its singular vectors.

    Each step is $v \leftarrow J^\top u / \|J^\top u\|$, $u \leftarrow J v / \|J v\|$, and in the
    end $\sigma = u^\top J v = \|J v\|$ (appendix F). J is never formed: $J^\top u$ is reverse-mode
    differentiation, and since it is linear in u, its own reverse mode gives $J v$. What holds for
    `power_iteration` holds here: σ is a **lower bound** that never falls from step to step. A
    Jacobian that is zero has σ = 0 and v = 0, and u stays where it was.

    Args:
        f: a network; it maps a batch to a batch, each sample for itself and without randomness (so
            dropout and batch normalization must be in eval mode).
        x: a batch of inputs, of shape (batch, …).
        steps: at least 1.
        u: where to start, of shape (m,) or (batch, m), such as the u of an earlier call at these
            samples; any length.
        generator: the source of a start for each sample, as in `power_iteration`.

    Returns:
        ``(sigma, u, v)`` of shapes (batch,), (batch, m) and (batch, n). u and v have length 1 and
        carry no gradient; sigma is differentiable in x and in the parameters of f, with the
        gradient of uᵀ J v for constant u and v.

    Raises:
        ValueError: if f is in training mode where that makes a difference, u is zero, or the
            Jacobian is not finite.

    Example:
        >>> f = lambda x: x * torch.tensor([3.0, 1.0])
        >>> sigma, u, v = lt.jacobian_power_iteration(f, torch.zeros(1, 2), 1, u=torch.ones(2))
        >>> sigma, v  # below 3
        (tensor([2.8636]), tensor([[0.9487, 0.3162]]))

    Source: Anil, Lucas and Grosse (2019), appendix F, Algorithm 2 with one u for each sample.
    """
    check_integer(steps, "steps")
    one, m = of_one(f, x)
    u = start(u, len(x), m, generator).to(x)
    with torch.no_grad():
        for _ in range(steps - 1):
            u, _, _ = step(one, x, u)
    u, v, h = step(one, x, u)
    return check_finite((u * h).sum(1)), u, v


def jacobian_spectral_norm(
    f: Function,
    x: Tensor,
    steps: int = 10,
    u: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Estimate the spectral norm of the Jacobian at each sample, from below (appendix F).

    $$\sigma(J) = \max_{\|v\| = 1} \|J v\|$$

    is the largest singular value of the Jacobian; the Lipschitz constant of a differentiable f on
    an open convex set, in the 2-norm, is the supremum of them. This is the first result of
    `jacobian_power_iteration`, of shape (batch,); that also returns the u to go on from. The
    arguments and errors are the same.

    >>> f = lambda x: x.square().sum(1, keepdim=True)  # its gradient is 2 x
    >>> lt.jacobian_spectral_norm(f, torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([10.,  0.])

    Source: Anil, Lucas and Grosse (2019), appendix F.
    """
    return jacobian_power_iteration(f, x, steps, u, generator)[0]


def jacobian_singular_values(f: Function, x: Tensor, chunk_size: int = 64) -> Tensor:
    r"""All singular values of the Jacobian at each sample, in descending order (appendix G.3).

    The Jacobians $J_{ij} = \partial f_i / \partial x_j$ are formed, by m reverse passes, and
    decomposed: exact, up to rounding. float16 and bfloat16 are decomposed in float32. Under
    ``torch.no_grad()`` the Jacobians of a chunk are forgotten as soon as it is done.

    f, x and the errors are those of `jacobian_power_iteration`; the Jacobians of `chunk_size`
    samples are in memory together. The result has shape (batch, k), with k the smaller number of
    outputs and inputs.

    >>> f = lambda x: x * torch.tensor([3.0, -1.0])
    >>> lt.jacobian_singular_values(f, torch.zeros(2, 2))
    tensor([[3., 1.],
            [3., 1.]])

    Source: Anil, Lucas and Grosse (2019), appendix G.3, Fig. 16.
    """
    check_integer(chunk_size, "chunk_size")
    of_one(f, x)
    found = []
    for chunk in torch.split(x, chunk_size):
        J = check_finite(jacobians(f, chunk))
        found.append(torch.linalg.svdvals(J if J.itemsize > 2 else J.float()).to(J.dtype))
    return torch.cat(found)


def of_one(f: Any, x: Any) -> tuple[Function, int]:
    """What f does to one sample, from its shape to a vector, and the length of that vector."""
    if not callable(f):
        raise TypeError(f"f must be a function or an nn.Module; got {type(f).__name__}.")
    check_tensor(x, "x", min_dim=2)
    _check_mode(f)

    m = run_once(f, x).numel()
    run = leaving(f)

    def one(sample: Tensor) -> Tensor:
        return _checked(run(sample.unsqueeze(0)), "f").flatten()

    return one, m


def run_once(f: Any, x: Tensor, name: str = "f") -> Tensor:
    """The output at the first sample of x; requires that f takes it and returns numbers."""
    check_initialized(f, name)
    y = _checked(run_on(f, x[:1], name, x.shape), name)
    if y.numel() == 0:
        raise ValueError(
            f"{name} must return at least one number for each sample; it returns none."
        )
    return y


@torch.no_grad()
def run_on(f: Any, x: Tensor, name: str, shape: torch.Size) -> object:
    """What f gives for x, a part of what has that shape; requires that f takes it."""
    try:
        return leaving(f)(x.clone())  # f may work in place
    except Exception as error:  # whatever a stranger's code may raise
        usual = isinstance(error, (RuntimeError, ValueError, IndexError, TypeError))
        said = first_line(error) if usual else raised_in(f, error)
        whole = name if name == "f" else f"the {name}"
        raise ValueError(f"x of shape {tuple(shape)} does not fit {whole}: {said}") from error


def _checked(y: object, name: str) -> Tensor:
    if not isinstance(y, Tensor):
        kind = "torch.Tensor" if name == "f" else "floating-point tensor"
        raise TypeError(f"{name} must return a {kind}; got {type(y).__name__}.")
    if y.dtype not in FLOATS:
        raise TypeError(f"{name} must return a floating-point tensor; got {y.dtype}.")
    return y


def check_initialized(f: Any, name: str) -> None:
    """Require that every parameter has a shape and numbers."""
    for key, module in f.named_modules() if isinstance(f, nn.Module) else ():
        kind = f"{key} ({type(module).__name__})" if key else type(module).__name__
        held = [tensor for tensor in module._parameters.values() if tensor is not None]
        if any(map(is_lazy, held)):
            raise TypeError(f"{kind} of {name} has no shape yet; run the lazy module once.")
        if any(tensor.is_meta for tensor in held):
            raise TypeError(f"{kind} of {name} must hold numbers; it is on the meta device.")


def _check_mode(f: Any) -> None:
    """Require that f treats a sample alone as it does in its batch, and always alike."""
    for name, module in f.named_modules() if isinstance(f, nn.Module) else ():
        if module.training and isinstance(module, BY_MODE):
            kind = type(module).__name__
            raise ValueError(
                "f must be in evaluation mode, f.eval() or `with lt.evaluating(f)`, for one "
                f"Jacobian a sample; its {name} ({kind}) is in training mode."
            )


def start(u: Tensor | None, batch: int, m: int, generator: Any) -> Tensor:
    """One start for each sample: u where it is given, random numbers, or the fixed vector."""
    if u is None:
        size = m if generator is None else batch * m
        return start_vector(size, generator).reshape(-1, m).expand(batch, m)
    check_tensor(u, "u")
    if u.shape not in {(m,), (batch, m)}:
        raise ValueError(f"u must have shape {(m,)} or {(batch, m)}; got {tuple(u.shape)}.")
    refuse_zero_rows(u)
    return u.detach().expand(batch, m)


def refuse_zero_rows(u: Tensor) -> None:
    """A start of zero has no direction."""
    if not transforming() and not bool(u.any(-1).all()):
        raise ValueError("u must not be zero; it has no direction to start from.")


def step(one: Function, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step from u for each sample: the new u, v, and h = J v, the only one with a gradient."""
    g, push = pull_and_push(one, x, u)
    v = normalized(g.detach().flatten(1))
    h = push(v.view_as(g))
    return torch.where(h.any(1, keepdim=True), normalized(h.detach()), u), v, h


def check_finite(found: Tensor) -> Tensor:
    """What was found, if it is finite; a Jacobian need not be."""
    if not transforming() and not bool(found.isfinite().all()):
        raise ValueError("The Jacobian of f must be finite at each sample; it is not.")
    return found
