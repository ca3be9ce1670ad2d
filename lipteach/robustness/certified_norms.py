"""Certified norms of compositions: products along a Sequential, sums at residual connections.

What is neither, and runs a forward that can be traced, is walked through by `graph_norms`.

Source: the composition of Lipschitz maps; Anil, Lucas and Grosse (2019), section 2 and appendix E.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from torch import Tensor, nn

from lipteach.layers.copies import said_name
from lipteach.layers.known_modules import KNOWN, mixes, one_lipschitz
from lipteach.layers.layer_norms import (
    LAYERS,
    MIXES,
    image_sizes,
    input_sizes,
    is_layer,
    upper_norm,
    upper_norm_to_max,
)
from lipteach.layers.magnitudes import Magnitude
from lipteach.layers.module_constants import WITH_CONSTANTS
from lipteach.primitives import Selection
from lipteach.primitives._validate import NORMS
from lipteach.primitives.composition import alteration, runs_as, runs_its_forward, walk
from lipteach.primitives.residual import SUMS, shares_of
from lipteach.robustness.graph_norms import bounds_of_graph
from lipteach.robustness.graph_sums import Sums, conversion
from lipteach.robustness.graphs import traced

ZERO = Magnitude.of(0.0)
Norms = tuple[dict[float, Magnitude], dict[float, Magnitude]]
Key = tuple[int, frozenset[tuple[int, ...]]]  # a module's ``id``, and the shapes that it receives


class Known(NamedTuple):
    """What was computed of a model's modules, and the modules that were made for it.

    These are kept, since the ``id`` of what is forgotten may be given again.
    """

    layers: dict[Key, Norms]
    sums: dict[Key, Sums]
    made: list[nn.Module]


def norms_along(model: nn.Module, x: Tensor, p: float) -> dict[float, float]:
    """Upper bounds from the p-norm of inputs to the q-norm of outputs, by q; infinite if unknown.

    The model is a plain copy, as `measured` makes it.
    """
    bounds, _ = certified(model, x, p)
    return {q: float(bounds[q]) if bounds else math.inf for q in NORMS}


def certified(
    model: nn.Module, x: Tensor, p: float, above: str = "", known: Known | None = None
) -> tuple[dict[float, Magnitude] | None, str]:
    """The upper bounds and "", or None and the first module without a bound.

    bounds[q] is an upper bound of the steps so far, from the p-norm to the q-norm. Of a model that
    is a part of another, `above` is the name there, and `known` keeps what was computed there.
    """
    known = Known({}, {}, []) if known is None else known
    sizes = input_sizes(model, x)
    steps = list(walk(model, above))
    calls = _calls(model, x, [step for _, step in steps])
    bounds = {q: conversion(x[0].numel(), p, q) for q in NORMS}
    for name, step in steps:
        summed = runs_as(step, SUMS)
        plain = summed or is_layer(step) or one_lipschitz(step, sizes)
        if not (plain or runs_its_forward(step)):
            said = alteration(step)
            return None, said_name(name, step) + (f", which has {said}" if said else "")
        if plain and mixes(step, sizes):
            return None, f"{said_name(name, step)}, {MIXES}"
        called, count = next(calls, (None, 0))
        if called is not step:  # what runs is another composition
            return None, said_name(name, step)
        if summed or not plain:
            of = _of_sum if summed else _of_graph
            through, missing = of(step, sizes[id(step)], x, name, known)
            if through is None:
                return None, missing
            bounds = {q: min(bounds[r] * through[r, q] for r in NORMS) for q in NORMS}
        elif is_layer(step):
            own, to_max = _norms(step, image_sizes(step, sizes), known)
            most = min(bounds[q] * to_max[q] for q in NORMS)
            bounds = {q: bounds[q] * own[q] for q in NORMS}
            bounds[math.inf] = min(bounds[math.inf], most)
        bounds = {q: min(bounds[r] * conversion(count, r, q) for r in NORMS) for q in NORMS}
    if more := next(calls, None):  # a chunk took the sample in parts, and each has fewer numbers
        return None, said_name(steps[-1][0], more[0])
    return bounds, ""


def _of_sum(
    block: nn.Module, shapes: set[tuple[int, ...]], x: Tensor, name: str, known: Known
) -> tuple[Sums | None, str]:
    """The same for a residual connection, by the pair (r, q): the sums of its two parts' bounds.

    Each counts with its share.

    The bounds are those of one row: where a sample comes as several, they are not of the whole.
    """
    key, found = (id(block), frozenset(shapes)), Sums()
    shares = [*map(Magnitude.of, shares_of(block))]
    if key in known.sums:  # nested ones would be walked through three times at each depth
        return known.sums[key], ""
    if any(shape[0] != 1 for shape in shapes):
        return None, f"{said_name(name, block)}, which takes a sample as several rows"
    for shape, r in product(shapes, NORMS):
        parts = []
        for part in ("skip", "body"):
            within = f"{name}.{part}" if name else part
            given = x.new_zeros(shape)
            bounds, missing = certified(getattr(block, part), given, r, within, known)
            if bounds is None:
                return None, missing
            parts.append(bounds)
        for q in NORMS:
            skip, body = (share * part[q] for share, part in zip(shares, parts, strict=True))
            found[r, q] = max(found.get((r, q), ZERO), skip + body)
    known.sums[key] = found
    return found, ""


def _of_graph(
    step: nn.Module, shapes: set[tuple[int, ...]], x: Tensor, name: str, known: Known
) -> tuple[Sums | None, str]:
    """The same for a module whose forward can be traced."""
    key, found, said = (id(step), frozenset(shapes)), Sums(), said_name(name, step)
    if key in known.sums:
        return known.sums[key], ""
    if any(shape[0] != 1 for shape in shapes):
        return None, f"{said}, which takes a sample as several rows"

    def ask(module: nn.Module, given: Tensor, within: str) -> tuple[Sums | None, str]:
        whole, sums = f"{name}.{within}" if name else within, Sums()
        known.made.append(module)
        for r in NORMS:
            bounds, missing = certified(module, given, r, whole, known)
            if bounds is None:
                return None, missing
            sums |= {(r, q): bounds[q] for q in NORMS}
        return sums, ""

    for shape in shapes:
        graph = traced(step, x.new_zeros(shape))
        if graph is None:
            return None, said
        bounds, missing = bounds_of_graph(step, said, graph, ask)
        if bounds is None:
            return None, missing
        found = {pair: max(found.get(pair, ZERO), bounds[pair]) for pair in bounds}
    known.sums[key] = found
    return found, ""


def _norms(step: nn.Module, places: set[tuple[int, ...]], known: Known) -> Norms:
    """The norms of a layer from each q to q, and from each q to ∞; computed once."""
    key = id(step), frozenset(places)
    if key not in known.layers:
        own = {q: upper_norm(step, q, places) for q in NORMS}
        wide = not isinstance(step, (nn.Linear, Selection, *WITH_CONSTANTS))  # then the same
        to_max = own if wide else {q: upper_norm_to_max(step, q, places) for q in NORMS}
        known.layers[key] = own, to_max
    return known.layers[key]


def _calls(model: nn.Module, x: Tensor, steps: list[nn.Module]) -> Iterator[tuple[nn.Module, int]]:
    """The steps in the order in which a sample meets them, and how many numbers each one returns.

    A ChunkedSequential gives them rows, in parts: their outputs tell, not what the sample is like.
    """
    found: list[tuple[nn.Module, int]] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        found.append((module, output.numel() if isinstance(output, Tensor) else 0))

    kinds = (*LAYERS, *KNOWN, *SUMS)
    hooked = {id(s): s for s in steps if isinstance(s, kinds) or runs_its_forward(s)}
    hooks = [step.register_forward_hook(note) for step in hooked.values()]
    model(x[:1])
    for hook in hooks:
        hook.remove()
    return iter(found)
