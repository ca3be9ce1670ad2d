"""The loop in which a generator and a critic are trained against each other, resumable."""

from __future__ import annotations
