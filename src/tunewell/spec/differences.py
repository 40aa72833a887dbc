"""What differs between two specs, and which of it may differ when an experiment is continued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tunewell.spec.errors import shown
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.labels import LABELS
from tunewell.spec.secrets import is_secret

#: Fields that may change when an experiment is continued: they say how far it goes, not what is searched.
BUDGET_FIELDS = frozenset(
    {
        "max_trials",
        "max_duration",
        "max_concurrency",
        "max_gpus",
        "max_failed_trials",
        "max_trials_without_improvement",
        "max_attempts",
        "stop_when_converged",
        "finalists",
        "objective.target",
    }
)

#: Fields that may differ, too, and make no difference to the search.
LABEL_FIELDS = frozenset({*LABELS, "visibility"})

#: Characters of a value that are shown: two paths or commands may differ at their ends alone.
_LONGEST_VALUE = 500


class Difference(NamedTuple):
    """One field that differs; a side where it is absent has None."""

    #: Dotted path, such as `objective.target` or `parameters.learning_rate`.
    field: str
    #: Plain JSON values, as a spec file could hold them.
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return it for people: both values, or just the field if its values are secret."""
        if is_secret(self.field):
            return f"{self.field}: {self._which()}, with a value that is not shown"
        if self.field == "code":
            return f"the files of its program: {'others' if self.old and self.new else 'sent'} here"
        return f"{self.field}: {shown(self.old, _LONGEST_VALUE)} there, {shown(self.new, _LONGEST_VALUE)} here"

    def _which(self) -> str:
        if self.old is None or self.new is None:
            return "only here" if self.old is None else "only there"
        return "another one here"


def spec_differences(old: ExperimentSpec, new: ExperimentSpec) -> list[Difference]:
    """Return the fields in which two specs differ, in the order of the spec's fields."""
    found = _compare("", old.model_dump(mode="json"), new.model_dump(mode="json"), depth=2)
    if old.code is not None and new.code is not None:  # its folder follows from it
        found = [one for one in found if one.field != "working_directory"]
    return found


def _compare(prefix: str, old: Mapping[str, Any], new: Mapping[str, Any], depth: int) -> list[Difference]:
    found: list[Difference] = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if depth > 1 and isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _compare(f"{prefix}{name}.", before, after, depth - 1)
        elif before != after or isinstance(before, bool) != isinstance(after, bool):
            found.append(Difference(prefix + name, before, after))
    return found
