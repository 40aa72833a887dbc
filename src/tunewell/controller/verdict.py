"""What the end of an attempt makes of its trial. Pure: what was seen of the attempt in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunewell.controller.sequence import Sequence
from tunewell.controller.stop_rules import Progress
from tunewell.spec.errors import ended, nearest
from tunewell.spec.launch import AttemptKey, Exit, Launch
from tunewell.spec.states import Cause, TrialState
from tunewell.tuners.contract import Suggestion

#: Metrics that a message names.
MOST_NAMED = 10


@dataclass(slots=True)
class RunningTrial:
    """What is known of an attempt while it runs."""

    suggestion: Suggestion
    launch: Launch
    #: Date, in seconds since the epoch; and when this controller began to watch it, on the monotonic clock.
    started_at: float
    watched_from: float
    sequence: Sequence
    #: Finite objective at each step.
    curve: dict[int, float] = field(default_factory=dict)
    #: Names of all metrics reported.
    metrics: set[str] = field(default_factory=set)
    #: Step and text of a non-finite objective, if one was reported.
    non_finite: str | None = None
    #: Why it was asked to end: `pruned`, `interrupted`, `stopped` or `non_finite`.
    asked_to_end: str | None = None

    @property
    def key(self) -> AttemptKey:
        """Key of the attempt."""
        assert isinstance(self.launch.key, AttemptKey)
        return self.launch.key


def judge_end(
    metric: str, trial: RunningTrial, exit_: Exit, progress: Progress
) -> tuple[TrialState, Cause | None, str]:
    """Return state, cause and detail of a trial whose attempt, which was not lost, ended so.

    `metric` is the objective.
    """
    if trial.non_finite is not None:
        return TrialState.FAILED, Cause.NON_FINITE, trial.non_finite
    ended_by_us = exit_.stopped or (trial.asked_to_end is not None and exit_.cause is not None)
    if ended_by_us and trial.asked_to_end == "pruned" and trial.curve:
        return TrialState.PRUNED, None, f"pruned after step {max(trial.curve)}"
    if ended_by_us:
        reached = progress.target_reached
        by_target = reached is not None and reached[0] == trial.suggestion.number
        return TrialState.STOPPED, None, "it reached the target" if by_target else "stopped on request"
    if exit_.cause is not None:
        return TrialState.FAILED, exit_.cause, exit_.detail
    if not trial.curve:
        return TrialState.FAILED, Cause.NO_METRIC, " ".join((_no_metric(metric, trial.metrics), *exit_.notes))
    return TrialState.SUCCEEDED, None, ""


def _no_metric(metric: str, seen: set[str]) -> str:
    if not seen:
        return (
            f"it ended without reporting '{metric}' or any other metric; report it with tunewell.report, "
            f"`tunewell report {metric}=…` or a line '{metric}=…' on stdout."
        )
    names = sorted(seen)
    if len(names) > MOST_NAMED:
        return (
            f"it never reported '{metric}', only {', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} others."
        )
    return f"it never reported '{metric}', only {', '.join(names)}. {ended(nearest(metric, names))}"
