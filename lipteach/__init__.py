"""lipteach: learn 1-Lipschitz neural networks by running their mathematics.

>>> import torch
>>> import lipteach as lt
>>> lt.maxmin(torch.tensor([3.0, 1.0, 2.0, 4.0])).tolist()
[3.0, 1.0, 4.0, 2.0]

The primitives, the layers, the theory and the bounds are reachable as ``lt.NAME``. The examples in
their docstrings assume the two imports above, and ``math`` and ``torch.nn`` as ``nn`` where they
need them. The classroom (figures, sliders, exercises) is imported on its own:
``from lipteach import classroom``.
"""

from lipteach.layers import *
from lipteach.layers import __all__ as _layers
from lipteach.primitives import *
from lipteach.primitives import __all__ as _primitives
from lipteach.robustness import *
from lipteach.robustness import __all__ as _robustness
from lipteach.theory import *
from lipteach.theory import __all__ as _theory

__version__ = "0.1.0"
__all__ = [*_layers, *_primitives, *_robustness, *_theory]
