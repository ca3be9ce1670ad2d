r"""Maximum and minimum of two networks, as one network (appendix E, the proof of Theorem 3).

Two networks run side by side in block-diagonal layers; a last MaxMin compares what they say.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives import ChunkedSequential, MaxMin, Selection
from lipteach.primitives._validate import check_integer
from lipteach.primitives.composition import alteration, read, runs_as, walk
from lipteach.theory.frozen import frozen_linear


def stack(f: nn.Sequential, g: nn.Sequential) -> nn.Sequential:
    r"""Put two networks side by side: x ↦ (f(x), g(x)) (appendix E).

    $$W_1 = \begin{pmatrix} W_1^f \\ W_1^g \end{pmatrix}, \qquad
      W_i = \begin{pmatrix} W_i^f & 0 \\ 0 & W_i^g \end{pmatrix} \quad (i \ge 2).$$

    The one stands above the other; the [W^f W^g]ᵀ of the appendix would have another shape. The
    norms ‖·‖_{p,∞} and ‖·‖_∞ of a layer are the larger ones of its blocks. The shallower network is
    padded (`pad_depth`).

    Args:
        f: an ``nn.Sequential`` of ``nn.Linear`` and MaxMin, of even hidden widths.
        g: another one, with as many inputs.

    Returns:
        A frozen network in float64, from (…, n) to (…, outputs of f + outputs of g).

    Raises:
        ValueError: if f or g has other modules than linear layers and MaxMin, a hidden width is
            odd, the numbers of inputs differ, or layers that are merged have a product beyond the
            range of float64.

    Example:
        >>> both = lt.stack(lt.abs_network(math.inf), lt.w_network())
        >>> both(torch.tensor([3.0]).double()).tolist()
        [3.0, 2.0]

    Source: Anil, Lucas and Grosse (2019), appendix E, Theorem 3, corrected.
    """
    left, right = _layers(f, "f"), _layers(g, "g")
    if left[0].in_features != right[0].in_features:
        counts = f"{left[0].in_features} and {right[0].in_features}"
        raise ValueError(f"f and g must have the same number of inputs; got {counts}.")
    depth = max(len(left), len(right))
    left, right = _padded(left, depth), _padded(right, depth)
    rows = torch.cat([left[0].weight, right[0].weight])
    first = frozen_linear(rows, _biases(left[0], right[0]))
    later = [_blocks(a, b) for a, b in zip(left[1:], right[1:], strict=True)]
    return _network([first, *later], f, g)


def pad_depth(f: nn.Sequential, depth: int) -> nn.Sequential:
    """Make a network deeper without changing its function (appendix E).

    What MaxMin has sorted it sorts no further: behind the last hidden layer we put the identity and
    another MaxMin, as often as needed. Behind the output it would be wrong: there is nothing to
    pair a scalar with. An affine network has no hidden layer; it gets one by computing each output
    twice, (w; w), and selecting the first of each pair.

    Args:
        f: an ``nn.Sequential`` of ``nn.Linear`` and MaxMin, of even hidden widths.
        depth: the number of linear layers wanted, at least that of f.

    Returns:
        A frozen network in float64. A linear layer that directly follows another is merged with it.

    Raises:
        ValueError: if f is deeper already, has other modules, or a hidden width is odd.

    Example:
        >>> f = lt.pad_depth(nn.Sequential(lt.frozen_linear([[0.5]])), depth=3)
        >>> [type(module).__name__ for module in f], f(torch.tensor([4.0]).double()).tolist()
        (['Linear', 'MaxMin', 'Selection', 'MaxMin', 'Selection'], [2.0])

    Source: Anil, Lucas and Grosse (2019), appendix E, with the affine case added.
    """
    layers = _layers(f, "f")
    if check_integer(depth, "depth") < len(layers):
        raise ValueError(f"depth must be at least that of f, {len(layers)}; got {depth}.")
    return _network(_padded(layers, depth), f)


def maximum(f: nn.Sequential, g: nn.Sequential, permutation: bool = False) -> nn.Sequential:
    r"""Build the maximum of two networks, entry by entry, as one network (appendix E).

    $$\max(f, g) = (1, 0)\, \mathrm{MaxMin}(f, g).$$

    If f and g satisfy the norms of Theorem 3, so does the maximum: `in_lipschitz_class`. Networks
    with m outputs are compared output by output: (f₁, …, f_m, g₁, …, g_m) must first become
    (f₁, g₁, f₂, g₂, …). The rows of the last blocks are put in that order; or, as the appendix
    does, a permutation follows as a layer of its own.

    Args:
        f: an ``nn.Sequential`` of ``nn.Linear`` and MaxMin, of even hidden widths.
        g: another one, with as many inputs and outputs.
        permutation: whether the permutation is a layer of its own.

    Returns:
        A frozen network in float64, from (…, n) to (…, m).

    Raises:
        ValueError: as `stack` does, and if the numbers of outputs differ.

    Example:
        >>> identity = nn.Sequential(lt.frozen_linear([[1.0]]))
        >>> h = lt.maximum(identity, lt.w_network())
        >>> h(torch.tensor([[-3.0], [3.0]]).double()).flatten().tolist()
        [2.0, 3.0]

    Source: Anil, Lucas and Grosse (2019), appendix E, Theorem 3 and Observation.
    """
    return _extremum(f, g, 0, permutation)


def minimum(f: nn.Sequential, g: nn.Sequential, permutation: bool = False) -> nn.Sequential:
    r"""Build the minimum of two networks, entry by entry: (0, 1) MaxMin(f, g) (appendix E).

    The arguments and what is returned are those of `maximum`.

    Example:
        >>> identity = nn.Sequential(lt.frozen_linear([[1.0]]))
        >>> h = lt.minimum(identity, lt.w_network())
        >>> h(torch.tensor([[-3.0], [3.0]]).double()).flatten().tolist()
        [-3.0, 2.0]

    Source: Anil, Lucas and Grosse (2019), appendix E, Theorem 3 and Observation.
    """
    return _extremum(f, g, 1, permutation)


def _extremum(f: nn.Sequential, g: nn.Sequential, place: int, permutation: bool) -> nn.Sequential:
    """The entry `place` of each sorted pair (f_k, g_k)."""
    if not isinstance(permutation, bool):
        raise TypeError(f"permutation must be True or False; got {permutation!r}.")
    before = stack(f, g)
    layers = _layers(before, "f")
    m = _layers(f, "f")[-1].out_features
    if layers[-1].out_features != 2 * m:
        counts = f"{m} and {layers[-1].out_features - m}"
        raise ValueError(f"f and g must have the same number of outputs; got {counts}.")
    pairs = Selection(torch.arange(2 * m).view(2, m).T.flatten(), 2 * m)
    choice = Selection(torch.arange(place, 2 * m, 2), 2 * m)
    if permutation:
        return type(before)(*before, pairs, MaxMin(), choice)
    return _network([*layers[:-1], compose(pairs, layers[-1]), choice], f, g)


def compose(second: nn.Linear, first: nn.Linear) -> nn.Linear:
    """The two linear layers as one."""
    if isinstance(second, Selection):
        if isinstance(first, Selection):
            return Selection(first.index[second.index], first.in_features)
        bias = None if first.bias is None else first.bias[second.index]
        return frozen_linear(first.weight[second.index], bias)
    W, V = second.weight, first.weight
    b = W.new_zeros(second.out_features) if second.bias is None else second.bias
    held = V if first.bias is None else torch.cat([V, first.bias[:, None]], dim=1)
    terms = (W != 0).double() @ (held != 0).double()
    if bool(((terms > 0) & (W.abs() @ held.abs() < torch.finfo(W.dtype).tiny)).any()):
        raise ValueError("Two linear layers in a row have a product below the range of float64.")
    return frozen_linear(W @ V, b if first.bias is None else W @ first.bias + b)


def _layers(network: Any, name: str) -> list[nn.Linear]:
    """Copies of the linear layers, MaxMin being between each two; adjacent ones are merged."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"{name} must be an nn.Sequential; got {type(network).__name__}.")
    layers: list[nn.Linear] = []
    sorted_last = True
    for _, module in walk(network):
        if runs_as(module, (nn.Linear, Selection)):
            layer = _copied(module)
            layers.append(layer if sorted_last else compose(layer, layers.pop()))
            sorted_last = False
        elif runs_as(module, MaxMin) and module.dim == -1 and not sorted_last:
            sorted_last = True
            if layers[-1].out_features % 2:
                raise ValueError(
                    f"Hidden widths must be even, or a pair would straddle two networks; {name} "
                    f"has {layers[-1].out_features} units in hidden layer {len(layers)}."
                )
        else:
            said = alteration(module)
            kind = type(module).__name__ + (f" with {said}" if said else "")
            raise ValueError(f"{name} must be linear layers with MaxMin between; it has a {kind}.")
    if sorted_last:
        raise ValueError(f"{name} must end with a linear layer.")
    return layers


def _copied(layer: nn.Linear) -> nn.Linear:
    """The layer, frozen, in float64 on the CPU."""
    if isinstance(layer, Selection):
        return Selection(layer.index.cpu(), layer.in_features)
    return frozen_linear(read(layer), None if layer.bias is None else read(layer, "bias"))


def _padded(layers: list[nn.Linear], depth: int) -> list[nn.Linear]:
    if len(layers) == depth:
        return layers
    if len(layers) == 1:
        m = layers[0].out_features
        twice = Selection(torch.arange(m).repeat_interleave(2), m)
        layers = [compose(twice, layers[0]), Selection(torch.arange(0, 2 * m, 2), 2 * m)]
    width = layers[-1].in_features
    identities = [Selection(torch.arange(width), width) for _ in range(depth - len(layers))]
    return [*layers[:-1], *identities, layers[-1]]


def _blocks(a: nn.Linear, b: nn.Linear) -> nn.Linear:
    """The block-diagonal layer of a and b; of two selections it is a selection."""
    if isinstance(a, Selection) and isinstance(b, Selection):
        n = a.in_features
        return Selection(torch.cat([a.index, b.index + n]), n + b.in_features)
    m, n = a.weight.shape
    W = torch.zeros(m + b.out_features, n + b.in_features, dtype=torch.float64)
    W[:m, :n], W[m:, n:] = a.weight, b.weight
    return frozen_linear(W, _biases(a, b))


def _biases(a: nn.Linear, b: nn.Linear) -> Tensor | None:
    """The biases one above the other: zeros where one layer has none, None if both have none."""
    biases: list[Any] = [a.bias, b.bias]
    if biases == [None, None]:
        return None
    zeros = [torch.zeros(layer.out_features, dtype=torch.float64) for layer in (a, b)]
    return torch.cat([z if v is None else v for v, z in zip(biases, zeros, strict=True)])


def _network(layers: list[nn.Linear], *like: nn.Sequential) -> nn.Sequential:
    """The layers with MaxMin between; chunked if one of the networks it is made of is."""
    modules: list[nn.Module] = []
    for layer in layers:
        modules += [layer, MaxMin()]
    chunked = any(isinstance(network, ChunkedSequential) for network in like)
    return (ChunkedSequential if chunked else nn.Sequential)(*modules[:-1])
