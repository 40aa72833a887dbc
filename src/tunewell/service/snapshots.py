"""A search at one moment, small enough to be read several times a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunewell.home.home import Home
from tunewell.service.results import SearchResult, search_result
from tunewell.service.submission import trial_budget
from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import TrialState
from tunewell.store.rows import TrialRow
from tunewell.store.store import Store

_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a live view shows."""

    spec: ExperimentSpec
    space: SearchSpace
    #: Name of the algorithm that the search uses.
    algorithm: str
    result: SearchResult
    max_trials: int
    #: Running and waiting trials by number, 100 at most.
    unfinished: Sequence[TrialRow]
    #: The trials that ended last, the latest first.
    ended: Sequence[TrialRow]
    #: Objective of running trials so far: number → (last step, value).
    latest: Mapping[int, tuple[int, float]]

    @property
    def ended_count(self) -> int:
        """How many trials have ended."""
        return sum(count for state, count in self.result.counts.items() if state.final)

    @property
    def remaining_seconds(self) -> float | None:
        """Estimate of the time to the last trial from the pace so far; None before a trial has ended."""
        if not self.ended_count or self.result.state.final:
            return None
        # A running trial is half done, on average.
        done = self.ended_count + 0.5 * self.result.counts.get(TrialState.RUNNING, 0)
        return self.result.elapsed_seconds / done * (self.max_trials - done)


def snapshot(store: Store, home: Home, name: str, recent: int = 30) -> Snapshot:
    """Return the experiment as it is now, with its `recent` last trials; raises `NotFoundError`."""
    row = store.experiment(name)
    spec = parse_spec(row.spec)
    unfinished = store.trials(name, states=_UNFINISHED)
    running = [trial.number for trial in unfinished if trial.state is TrialState.RUNNING]
    latest = {}
    for number in running:
        value = store.latest_value(name, number, spec.objective.metric)
        if value is not None:
            latest[number] = value
    return Snapshot(
        spec=spec,
        space=parse_space(row.space),
        algorithm=str(row.algorithm["name"]),
        result=search_result(store, home, name),
        max_trials=trial_budget(spec, row),
        unfinished=unfinished,
        ended=store.last_ended(name, recent),
        latest=latest,
    )
