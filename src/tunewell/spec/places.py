"""Paths on record, and where they lead after a folder was moved.

A path is recorded as it was, together with a base: a folder of ours (the home, an experiment) that tells by its own
place whether anything was moved. What was moved along with its base still has the same place relative to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tunewell.spec.experiment import ExperimentSpec

#: Fields of a spec that are paths. (`weights` is one unless it is a word.)
PLACES = ("data", "weights", "working_directory")
_WORDS = ("auto", "none")


def moved(path: Path, before: Path, now: Path) -> Path:
    """Return where `path` lies, recorded when its base lay at `before`, which lies at `now` today.

    A base that was moved alone leaves it where it was, and one that was copied has its own copy beside it, if there is
    one. Else it was moved along.
    """
    if before == now:
        return path
    along = beside(path, before, now)
    copied = _is_there(before) and _is_there(along)
    return path if _is_there(path) and not copied else along


def beside(path: Path, before: Path, now: Path) -> Path:
    """Return what has the place relative to `now` that `path` had relative to `before`."""
    return Path(os.path.normpath(now / os.path.relpath(path, before)))


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises where a folder on the way is closed to us


def moved_spec(
    spec: ExperimentSpec, before: Path, now: Path, rule: Callable[[Path, Path, Path], Path] = moved
) -> ExperimentSpec:
    """Return a spec, recorded when the home lay at `before`, with its paths as they are with a home at `now`.

    `rule` may be `beside`, for what they are if all was moved or copied together.
    """
    return _with_paths(spec, lambda path: rule(path, before, now))


def resolved_spec(spec: ExperimentSpec) -> ExperimentSpec:
    """Return a spec whose paths are absolute and free of links: two ways to one folder are one."""
    return _with_paths(spec, Path.resolve)


def _with_paths(spec: ExperimentSpec, change: Callable[[Path], Path]) -> ExperimentSpec:
    update: dict[str, object] = {}
    for name in PLACES:
        value = getattr(spec, name)
        if value is not None and value not in _WORDS:
            path = change(Path(value))
            update[name] = path if isinstance(value, Path) else str(path)
    return spec.model_copy(update=update)
