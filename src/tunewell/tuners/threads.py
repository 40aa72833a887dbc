"""One thread for the linear algebra of tuners, whatever the environment says.

Their matrices are small, and machines that train are busy: threads of a BLAS that wait for each other by spinning make
a proposal several times as dear there, and no faster anywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function do its linear algebra on one thread; costs some ten microseconds a call."""

    @wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        with _controller(with_scipy="scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return bounded


@cache
def _controller(with_scipy: bool) -> ThreadpoolController:
    """Look up the libraries that are loaded; SciPy brings one of its own."""
    del with_scipy
    return ThreadpoolController()
