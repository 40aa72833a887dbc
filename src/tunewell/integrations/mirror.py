"""What all copies of a search have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewell.spec.states import TrialState

if TYPE_CHECKING:
    from tunewell.python_api import Result
    from tunewell.service.types import Trial


@dataclass(frozen=True, slots=True)
class MirroredTrial:
    """A trial that has ended, as it is copied."""

    number: int
    #: Such as "succeeded".
    state: str
    #: Active parameters only.
    parameters: Mapping[str, Any]
    #: Its objective; None: it has none.
    value: float | None
    #: Metric → (step, value) of each report; empty in a copy that is made as the search goes on.
    curves: Mapping[str, list[tuple[int, float]]]


class Mirror(ABC):
    """Copies each trial that has ended, once: as `on_trial_end` of a search, or all of a result by `copy`.

    As a search goes on, parameters, state and value are copied; of a result, everything that was reported, too.
    """

    def __init__(self) -> None:
        self._copied: set[int] = set()

    def __call__(self, trial: Trial) -> None:
        """Copy a trial that has ended: what `tunewell.search(…, on_trial_end=mirror)` calls."""
        self._copy(MirroredTrial(trial.number, str(trial.state), trial.parameters, trial.value, {}))

    def copy(self, result: Result) -> None:
        """Copy all trials of a search that have ended."""
        for trial in result.trials():
            if TrialState(trial["state"]).final:
                curves = _curves(trial["reports"])
                self._copy(MirroredTrial(trial["number"], trial["state"], trial["parameters"], trial["value"], curves))

    def _copy(self, trial: MirroredTrial) -> None:
        if trial.number not in self._copied:
            self._write(trial)
            self._copied.add(trial.number)

    @abstractmethod
    def _write(self, trial: MirroredTrial) -> None:
        """Write a trial that was not written yet."""


def _curves(reports: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for report in reports:
        for name, value in report["metrics"].items():
            if isinstance(value, int | float):  # what is not finite is a text
                curves.setdefault(name, []).append((report["step"], value))
    return curves
