"""How many threads the linear algebra of tuners takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tunewell.tuners import gaussian_process
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion


def threads() -> set[int]:
    """Return the numbers of threads that libraries of linear algebra would take now."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize(
    ("algorithm", "module", "function"),
    [("bayesian", gaussian_process, "cholesky"), ("pshe2", gaussian_process, "cholesky"), ("cmaes", np.linalg, "eigh")],
)
def test_proposals_take_one_thread(algorithm: str, module: Any, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment allows, a proposal decomposes its matrices on one thread, and leaves the rest alone."""
    seen: list[set[int]] = []
    original = getattr(module, function)

    def look(*arguments: Any, **options: Any) -> Any:
        seen.append(threads())
        return original(*arguments, **options)

    monkeypatch.setattr(module, function, look)
    tuner = create(algorithm, {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}, goal="minimize")
    with threadpool_limits(2, user_api="blas"):
        for place in range(20):
            suggestion = tuner.ask()
            assert isinstance(suggestion, Suggestion)
            tuner.tell(suggestion.outcome((place * 0.37) % 1))
        after = threads()
    assert seen
    assert all(found == {1} for found in seen)
    assert after == {2}
