"""Whether a search that has ended goes on with another budget. Pure: two specs and the record in, the answer out."""

from __future__ import annotations

from tunewell.controller.loading import trial_budget
from tunewell.spec.experiment import ExperimentSpec
from tunewell.store.rows import ExperimentRow


def goes_on(rule: str | None, row: ExperimentRow, old: ExperimentSpec, new: ExperimentSpec) -> bool:
    """Whether the rule that has ended a search (see `StopDecision.rule`) holds no more with the new spec's budget.

    What was stopped by hand, or failed, goes on with more trials or more time; any search, if finalists are to follow.
    """
    if new.finalists == "full" != old.finalists:
        return True
    trials = max(trial_budget(old, row), sum(row.counts.values()))
    more = trial_budget(new, row) > trials
    longer = new.max_duration > old.max_duration
    if rule == "max_duration":
        return longer
    if rule == "target":
        reached = row.best_value is not None and new.objective.reached(row.best_value)
        return new.objective.target != old.objective.target and not reached
    if rule == "no_improvement":
        patience, before = new.max_trials_without_improvement, old.max_trials_without_improvement
        return patience is None or (before is not None and patience > before)
    if rule == "converged":
        return old.stop_when_converged and not new.stop_when_converged
    if rule == "max_failed_trials":
        return new.max_failed_trials != old.max_failed_trials
    if rule in ("max_trials", "exhausted"):
        return more
    return more or longer
