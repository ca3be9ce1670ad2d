"""lipteach: learn 1-Lipschitz neural networks by running their mathematics.

>>> import torch
>>> import lipteach as lt
>>> lt.maxmin(torch.tensor([3.0, 1.0, 2.0, 4.0])).tolist()
[3.0, 1.0, 4.0, 2.0]

The primitives, the layers, the theory and the bounds are reachable as ``lt.NAME``. The examples in
their docstrings assume the two imports above, and ``math`` and ``torch.nn`` as ``nn`` where they
need them. The classroom (figures, sliders, exercises) is imported on its own:
``from lipteach import classroom``.

What all of them keep to, and no docstring says again:

- Tensors have any leading batch dimensions, any floating-point dtype, any device; the result has
  the same dtype and device, is differentiable, and passes ``torch.func``. Randomness comes only
  from a ``generator`` argument.
- TypeError is raised for an argument of another type, and for a dtype that is not floating point;
  ValueError for a tensor that is empty, not finite or of another shape, for a number out of its
  range, and for a name that is not known. The one sentence says what was given and what is needed.
  A docstring's "Raises" tells what is the function's own beyond that.
- `ConvergenceWarning`, `RankWarning` and `UnknownBoundWarning` say what an answer falls short of.
"""

import sys as _sys
import types as _types
from typing import Any as _Any

from lipteach.auditing import *
from lipteach.auditing import __all__ as _auditing
from lipteach.layers import *
from lipteach.layers import __all__ as _layers
from lipteach.primitives import *
from lipteach.primitives import __all__ as _primitives
from lipteach.robustness import *
from lipteach.robustness import __all__ as _robustness
from lipteach.theory import *
from lipteach.theory import __all__ as _theory

__version__ = "0.1.0"
__all__ = [*_auditing, *_layers, *_primitives, *_robustness, *_theory]


class _Package(_types.ModuleType):
    """This package, in which `audit` stays the function.

    The import of a submodule sets an attribute of its name: ``import lipteach.audit``, the command
    line, would hide it.
    """

    def __setattr__(self, name: str, value: _Any) -> None:
        if not (name == "audit" and isinstance(value, _types.ModuleType)):
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
