"""What the end of an attempt makes of its trial. Pure: what was seen of the attempt in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunewell.controller.sequence import Sequence
from tunewell.spec.epochs import stopped_text
from tunewell.spec.errors import closest, ended
from tunewell.spec.experiment import Objective
from tunewell.spec.launch import AttemptKey, Exit, Launch
from tunewell.spec.states import Cause, Cut, TrialState
from tunewell.tuners.contract import Suggestion

#: Metrics that a message names.
MOST_NAMED = 10
#: Rule that ends a search → what it cuts running trials by; any other: `search_ended`.
_CUTS: Mapping[str, Cut] = {"max_duration": Cut.MAX_DURATION, "by_hand": Cut.BY_HAND, "target": Cut.TARGET}


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
    #: What the attempts reported whose checkpoint this one goes on from: it counts if nothing was left to be done.
    earlier: Mapping[int, float] = field(default_factory=dict)
    #: Names of all metrics reported.
    metrics: set[str] = field(default_factory=set)
    #: Step and text of a non-finite objective, if one was reported.
    non_finite: str | None = None
    #: Why it was asked to end: `pruned`, `interrupted`, `stopped` or `non_finite`.
    asked_to_end: str | None = None
    #: What has it stopped, if it is `stopped`.
    cut_by: Cut | None = None

    @property
    def key(self) -> AttemptKey:
        """Key of the attempt."""
        assert isinstance(self.launch.key, AttemptKey)
        return self.launch.key

    @property
    def epochs(self) -> int | None:
        """Epochs that it has done; None: it is not known that its steps are epochs."""
        return None if self.launch.epochs is None else max(self.curve, default=0)

    def reached(self, objective: Objective) -> float | None:
        """Return the first value that reached the target, be it after other trials have; None: none did."""
        return next((value for value in self.curve.values() if objective.reached(value)), None)


def cut_of(rule: str) -> Cut:
    """Return what a rule that ends the search cuts its running trials by."""
    return _CUTS.get(rule, Cut.SEARCH_ENDED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the end of an attempt makes of its trial."""

    #: `waiting`: the attempt was lost.
    state: TrialState
    cause: Cause | None = None
    #: One line for people.
    detail: str = ""
    #: See `TrialRow`.
    cut_by: Cut | None = None


def lost(detail: str, cause: Cause | None = None) -> Verdict:
    """Return that an attempt went away, and its trial waits for another one."""
    return Verdict(TrialState.WAITING, cause, detail)


def judge_end(objective: Objective, trial: RunningTrial, exit_: Exit, is_function: bool = False) -> Verdict:
    """Return what becomes of a trial whose attempt, which was not lost, ended so; `is_function`: it was a call."""
    if trial.non_finite is not None:
        return Verdict(TrialState.FAILED, Cause.NON_FINITE, trial.non_finite)
    ended_by_us = exit_.stopped or (trial.asked_to_end is not None and exit_.cause is not None)
    if ended_by_us and trial.asked_to_end == "pruned" and trial.curve:
        return Verdict(TrialState.PRUNED, None, f"pruned after step {max(trial.curve)}", Cut.EARLY_STOPPING)
    by_target = trial.reached(objective) is not None
    if ended_by_us:
        cut = Cut.TARGET if by_target else trial.cut_by or Cut.BY_HAND
        detail = "it reached the target" if by_target else stopped_text(cut)
        return Verdict(TrialState.STOPPED, None, detail, cut)
    if exit_.cause is not None:
        limit = Cut.MAX_TRIAL_DURATION if exit_.cause is Cause.TIMEOUT else None
        return Verdict(TrialState.FAILED, exit_.cause, _with_remedy(exit_.detail), limit)
    if not trial.curve:
        detail = " ".join((_no_metric(objective.metric, trial.metrics, is_function), *exit_.notes))
        return Verdict(TrialState.FAILED, Cause.NO_METRIC, detail)
    return Verdict(TrialState.SUCCEEDED, cut_by=_cut_by_itself(trial, by_target))


def _with_remedy(detail: str) -> str:
    """Return why an attempt failed, with what helps where the Python of a command is another than this one."""
    if "No module named 'tunewell'" not in detail:
        return detail
    remedy = "its Python has no Tunewell: install it there, or have `command` begin with the path of a Python that has"
    return f"{detail} ({remedy})"


def _cut_by_itself(trial: RunningTrial, by_target: bool) -> Cut | None:
    """Return why a training that ended by itself was none in full."""
    planned = trial.launch.epochs
    if planned is None or trial.epochs is None or trial.epochs >= planned:
        return None
    if by_target:
        return Cut.TARGET
    return Cut.FIDELITY if trial.suggestion.fidelity < 1 else None


def _no_metric(metric: str, seen: set[str], is_function: bool) -> str:
    if not seen and is_function:
        return (
            f"the function returned nothing (None) and reported nothing; return the value of '{metric}' at its end, "
            "or report it with trial.report."
        )
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
    near = closest(metric, names)
    named = f"metric={names[0]!r}" if is_function else f"`objective: {{metric: {names[0]}}}`"
    remedy = f"Did you mean '{near}'" if near else f"Say which one counts, such as {named}"
    return f"it never reported '{metric}', only {', '.join(names)}. {ended(remedy)}"
