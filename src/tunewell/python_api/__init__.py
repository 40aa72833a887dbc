"""The Python front: search over a function, in a script or a notebook."""

from __future__ import annotations

from tunewell.python_api.result import Plot, Result, experiments, load
from tunewell.python_api.searching import search

__all__ = ["Plot", "Result", "experiments", "load", "search"]
