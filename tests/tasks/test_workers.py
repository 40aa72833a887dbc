"""A search that workers train, as a task: what is checked here, and what is left to them."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.service.submission import make_plan
from tunewell.spec.errors import SpecError
from tunewell.tasks.workers import WorkersTask

SPEC: dict[str, Any] = {
    "name": "w",
    "scheduler": "workers",
    "objective": "accuracy",
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
}


def test_it_needs_no_program() -> None:
    """A space and an objective are enough; a command is for workers, so nobody looks for it here."""
    plan = make_plan(SPEC)
    assert isinstance(plan.task, WorkersTask) and plan.space.names == ("x",) and not plan.task.resumable(plan.spec)
    command = ["no-such-program", "{x}", "{checkpoint_dir}", "{fidelity}"]
    with_command = make_plan({**SPEC, "command": command})
    assert with_command.task.resumable(with_command.spec)


def test_placeholders_are_checked_all_the_same() -> None:
    """They are those of the search."""
    with pytest.raises(SpecError, match=r"\{y\} is no parameter"):
        make_plan({**SPEC, "command": ["train", "{y}"]})


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe", "cmaes", "random", "grid", "auto"])
def test_any_algorithm_searches(algorithm: str) -> None:
    """How trials are started makes no difference to what is tried."""
    parameters = {"x": {"low": 1, "high": 9}, "y": {"low": 1, "high": 9}}
    plan = make_plan({**SPEC, "parameters": parameters, "algorithm": algorithm})
    assert plan.tuner.ask().parameters  # type: ignore[union-attr]
