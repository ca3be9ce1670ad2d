"""The answers of `prove`: each is one line of text, and a Proof alone is true in a condition."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lipteach.theory.floats import shown

BLUR = 1e-12  # differences below this, relative to the numbers at hand, may be float64's rounding


@dataclass(frozen=True, eq=False)
class Proof:
    """The claim holds for every input of the domain. True in a condition.

    Attributes:
        domain: the domain, in words.
        tol: the difference that was allowed, 0 for an identity.
        reading: what the weights were read as: "stored" for the fractions that the floats are,
            "fractions" p/q or "algebraic numbers" (p/q)√m where at least one was read so, or
            "written" if the network is a function of terms.

    Example:
        >>> proof = lt.prove(lt.relu_network(1), nn.ReLU())
        >>> bool(proof), proof.domain, proof.reading
        (True, 'real input', 'stored')
    """

    domain: str
    tol: float
    reading: str

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        within = f"within {shown(self.tol, 6)}, " if self.tol else ""
        how = "" if self.reading in ("stored", "written") else f" (weights read as {self.reading})"
        return f"Proof: {within}for every {self.domain}{how}"


@dataclass(frozen=True, eq=False)
class Counterexample:
    """The claim fails at `input`, in the solver's arithmetic and when it is run in float64.

    Attributes:
        input: the point, of shape (n,), float64.
        output: what the network gives there, of shape (m,).
        expected: what the claim asks for, of shape (m,); None for a claim that is a comparison.
        gap: by how much the claim fails, tol not counted: the largest |output − expected|, or the
            margin of the comparison.
        names: the names of the inputs, if the network is a function of terms.

    Example:
        >>> found = lt.prove(nn.ReLU(), lambda x: abs(x[0]), [(None, None)])
        >>> bool(found), found.input.tolist(), nn.ReLU()(found.input).tolist(), found.gap
        (False, [-1.0], [0.0], 1.0)
    """

    input: Tensor
    output: Tensor
    expected: Tensor | None
    gap: float
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        point = _shown(self.input)
        if self.names:
            named = zip(self.names, self.input.tolist(), strict=True)
            point = ", ".join(f"{name} = {shown(value)}" for name, value in named)
        numbers = [self.input, self.output] + ([] if self.expected is None else [self.expected])
        blur = BLUR * max(float(v.abs().max()) for v in numbers if v.numel())
        output = _shown(self.output, blur)
        if self.expected is None:
            return f"Counterexample at {point}: gives {output}, where the claim fails"
        expected, gap = _shown(self.expected, blur), ""
        few = [[f"{v + 0.0:.4g}" for v in y.tolist()] for y in (self.output, self.expected)]
        if few[0] == few[1]:
            output = expected = f"({', '.join(few[0])})"
        if output == expected:  # where rounding hides the difference
            gap = f" (gap {self.gap:.2g})"
        return f"Counterexample at {point}: gives {output} instead of {expected}{gap}"


@dataclass(frozen=True, eq=False)
class Undecided:
    """Neither a proof nor a counterexample was found, for the stated reason.

    Example:
        >>> answer = lt.prove(lambda x: x / x, lambda x: 1)
        >>> bool(answer), answer
        (False, Undecided: the claim divides by zero at x = 0)
    """

    reason: str

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Undecided: {self.reason}"


def _shown(values: Tensor, blur: float = 0.0) -> str:
    return f"({', '.join(shown(v, blur=blur) for v in values.tolist())})"
