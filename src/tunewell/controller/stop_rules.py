"""All rules that end a search, in one place. Pure: a spec and the progress in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.controller.convergence import Convergence
from tunewell.spec.errors import count
from tunewell.spec.experiment import ExperimentSpec, Objective
from tunewell.spec.quantities import format_duration
from tunewell.spec.states import ExperimentState, TrialState

#: A share of failures says nothing before so many trials have ended: fewer are what a search starts with to see where
#: trials fail. As long as none has succeeded, fewer are enough to tell that something is wrong with all of them.
MINIMUM_ENDED_FOR_SHARE = 10
MINIMUM_ENDED_WITHOUT_SUCCESS = 5


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Which rule ends the search, and how."""

    #: `max_trials`, `exhausted`, `max_duration`, `target`, `no_improvement`, `converged`, `max_failed_trials`,
    #: `by_hand` or `error`.
    rule: str
    state: ExperimentState
    #: One sentence for people.
    detail: str


@dataclass(slots=True)
class Progress:
    """What the rules look at. Kept up to date trial by trial, so that no rule has to read them all."""

    max_trials: int
    suggested: int = 0
    ended: int = 0
    failed: int = 0
    best: float | None = None
    ended_since_improvement: int = 0
    elapsed_seconds: float = 0.0
    #: Why the algorithm has nothing left to suggest; empty while it has.
    exhausted: str = ""
    #: (trial, value) of the report that reached the target.
    target_reached: tuple[int, float] | None = None
    stopped_by_hand: bool = False
    #: Why the search can't go on: what went wrong in the algorithm, say. Empty: it can.
    error: str = ""
    #: Whether a rule has ended the search, so that nothing new is suggested.
    closed: bool = False
    #: Set while the search counts as converged (`stop_when_converged`).
    convergence: Convergence | None = None

    def note_value(self, objective: Objective, trial: int, value: float) -> None:
        """Take note of a finite objective value that a trial reported at some step."""
        if self.target_reached is None and objective.reached(value):
            self.target_reached = (trial, value)

    def note_end(self, objective: Objective, state: TrialState, value: float | None) -> None:
        """Take note of a trial that ended."""
        self.ended += 1
        self.failed += state is TrialState.FAILED
        counts = value is not None and state in (TrialState.SUCCEEDED, TrialState.STOPPED)
        if counts and value is not None and (self.best is None or objective.better(value, self.best)):
            self.best = value
            self.ended_since_improvement = 0
        else:
            self.ended_since_improvement += 1

    def note_retry(self, state: TrialState) -> None:
        """Take note that an ended trial runs again."""
        self.ended -= 1
        self.failed -= state is TrialState.FAILED


def decide(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    """Return the rule that ends the search now, None if it goes on. The first that holds counts."""
    if progress.error:
        return StopDecision("error", ExperimentState.FAILED, progress.error)
    if progress.stopped_by_hand:
        return StopDecision("by_hand", ExperimentState.STOPPED, "It was stopped by hand.")
    if progress.target_reached is not None:
        trial, value = progress.target_reached
        return StopDecision(
            "target",
            ExperimentState.TARGET_REACHED,
            f"Trial {trial} reached the target: {spec.objective.metric} {value:.6g} "
            f"({'at least' if spec.objective.goal == 'maximize' else 'at most'} {spec.objective.target:g} was asked).",
        )
    for rule in (_too_many_failures, _too_long, _no_improvement, _converged, _all_done):
        decision = rule(spec, progress)
        if decision is not None:
            return decision
    return None


def _too_many_failures(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    limit = spec.max_failed_trials
    if isinstance(limit, int):
        if progress.failed <= limit:
            return None
        rule = str(limit)
    else:
        all_failed = progress.failed == progress.ended
        least = MINIMUM_ENDED_WITHOUT_SUCCESS if all_failed else MINIMUM_ENDED_FOR_SHARE
        # Trials that run have not failed. Of a thousand that begin at once, the first to end are those that fail soon.
        if progress.ended < least or progress.failed <= limit * progress.suggested:
            return None
        rule = f"{limit:.0%}"
    return StopDecision(
        "max_failed_trials",
        ExperimentState.FAILED,
        f"{progress.failed} of {progress.suggested} trials failed, more than are allowed (max_failed_trials: {rule}).",
    )


def _too_long(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    if progress.elapsed_seconds < spec.max_duration.total_seconds():
        return None
    return StopDecision(
        "max_duration",
        ExperimentState.TIMED_OUT,
        f"The maximum duration of {format_duration(spec.max_duration)} was reached.",
    )


def _no_improvement(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    patience = spec.max_trials_without_improvement
    if patience is None or progress.best is None or progress.ended_since_improvement < patience:
        return None
    return StopDecision(
        "no_improvement",
        ExperimentState.CONVERGED,
        f"The last {count(progress.ended_since_improvement, 'trial')} brought no better value.",
    )


def _converged(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    figures = progress.convergence
    if not spec.stop_when_converged or figures is None:
        return None
    expected = (
        f", and the probability that a further trial brings one is {figures.probability:.1%}"
        if figures.probability is not None
        else ""
    )
    return StopDecision(
        "converged",
        ExperimentState.CONVERGED,
        f"The last {figures.without_gain} of {figures.ended} trials brought no gain above "
        f"{figures.least_gain:.3g}{expected}.",
    )


def _all_done(spec: ExperimentSpec, progress: Progress) -> StopDecision | None:
    del spec
    if progress.ended < progress.suggested:
        return None
    if progress.suggested >= progress.max_trials:
        all_ended = f"All {progress.suggested} trials have ended." if progress.suggested > 1 else "The trial has ended."
        rule, detail = "max_trials", all_ended
    elif progress.exhausted:
        rule, detail = (
            "exhausted",
            f"Nothing is left to try: {progress.exhausted} in {count(progress.suggested, 'trial')}.",
        )
    else:
        return None
    state = ExperimentState.COMPLETED if progress.best is not None else ExperimentState.FAILED
    return StopDecision(rule, state, detail if progress.best is not None else f"{detail} None has a result.")
