"""What all tasks over pictures make of a spec: libraries that it needs, its objective, a description of its data."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunewell.spec.errors import SpecError, UserError, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.tasks.data_view import DataSummary

#: Most classes that a check lists.
_LISTED_CLASSES = 20
#: Libraries that were found to be installed.
_found: set[str] = set()


def require_libraries(what: str, libraries: Sequence[str]) -> None:
    """Raise `UserError` if a library of the extra `vision` that something needs is not installed."""
    missing = [name for name in libraries if not _is_installed(name)]
    if missing:
        remedy = "Install them: pip install 'tunewell[vision]'"
        raise UserError(f"{what} needs {', '.join(missing)}", remedy=remedy, kind="library-missing")


def _is_installed(library: str) -> bool:
    """Whether a library can be imported. It's looked for once: to look takes as long as a query of the database."""
    if library not in _found and importlib.util.find_spec(library) is not None:
        _found.add(library)
    return library in _found


def complete_objective(objective: object, metrics: Mapping[str, str]) -> object:
    """Return a spec's objective with metric and goal filled in.

    Args:
        objective: as the user wrote it; what is malformed is left for the spec's own validation to refuse.
        metrics: metric → goal, of all that the task reports; the first one is the default.

    Raises:
        SpecError: the task does not report the metric, or it can't reach the target.
    """
    default = next(iter(metrics))
    given = {} if objective is None else {"metric": objective} if isinstance(objective, str) else objective
    if not isinstance(given, Mapping) or not isinstance(metric := given.get("metric", default), str):
        return objective
    if metric not in metrics:
        raise SpecError("objective.metric", f"this task does not report '{metric}'", nearest(metric, metrics))
    target = given.get("target")
    if metrics[metric] == "maximize" and isinstance(target, int | float) and target > 1:
        raise SpecError(
            "objective.target", f"{metric} never gets above 1, let alone to {target:g}", "Write 0.95 for 95 %"
        )
    return {"metric": metric, "goal": metrics[metric], **given}


def data_folder(spec: ExperimentSpec) -> Path:
    """Return where a spec's data set lies: every spec with a task has one."""
    assert spec.data is not None
    return spec.data


def by_class(data: DataSummary) -> str:
    """Return how often each class occurs in each split, in a line, the most frequent classes first."""
    train = list(data.items).index("train")
    order = sorted(data.counts, key=lambda name: -data.counts[name][train])
    named = [f"{name}: {' + '.join(map(str, data.counts[name]))}" for name in order[:_LISTED_CLASSES]]
    more = f" and {len(order) - _LISTED_CLASSES} more" if len(order) > _LISTED_CLASSES else ""
    return f"By class ({' + '.join(data.items)}): {', '.join(named)}{more}."
