"""Words and signs that the live table, the plain lines and the summary share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunewell.service.types import Experiment, Objective, SearchResult
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import count
from tunewell.spec.experiment import EarlyStoppingRule
from tunewell.spec.format import NOTHING, number, scalar, shortened, signed, within
from tunewell.spec.space import Value
from tunewell.spec.standing import gain_text, standing_text
from tunewell.spec.states import JobState, TrialState

_COMMAND_LENGTH = 70
#: What goes without being asked for, which no plan to remove files has in it.
TIDIED = (
    "Not among them, as they go by themselves: uploads to which nothing came for a day, data sets and models after 30 "
    "days in the bin, answers to repeated requests after a day, tokens and sessions 30 days after they were good."
)
#: A SHA-256, and how many letters of it tell it from others.
_CHECKSUM, _LETTERS = re.compile(r"\b[0-9a-f]{64}\b"), 8
#: Rank correlation from which on two orders are called much the same.
AGREES = 0.6
#: State → (sign, rich style).
SIGNS: Mapping[TrialState, tuple[str, str]] = {
    TrialState.WAITING: ("…", "dim"),
    TrialState.RUNNING: ("●", "cyan"),
    TrialState.SUCCEEDED: ("✓", "green"),
    TrialState.STOPPED: ("■", "yellow"),
    TrialState.PRUNED: ("✂", "dim"),
    TrialState.FAILED: ("✗", "red"),
}

#: State of a job → (sign, rich style).
JOB_SIGNS: Mapping[JobState, tuple[str, str]] = {
    JobState.WAITING: SIGNS[TrialState.WAITING],
    JobState.RUNNING: SIGNS[TrialState.RUNNING],
    JobState.SUCCEEDED: SIGNS[TrialState.SUCCEEDED],
    JobState.STOPPED: SIGNS[TrialState.STOPPED],
    JobState.FAILED: SIGNS[TrialState.FAILED],
}


def searched(experiment: Experiment) -> list[str]:
    """Return the names of the parameters that have more than one value."""
    return [parameter.name for parameter in parse_space(experiment.space) if parameter.size != 1]


def parameters_text(parameters: Mapping[str, Value], names: list[str] | None = None) -> str:
    """Return `learning_rate=0.00213 batch_size=32`, floats rounded; only `names`, if given."""
    shown = parameters if names is None else {name: parameters[name] for name in names if name in parameters}
    return " ".join(f"{name}={scalar(value)}" for name, value in shown.items())


def value_text(value: Any) -> str:
    """Return a value of a spec, or of a parameter, on one line; `–` for none."""
    if value is None or value in ([], {}, ""):
        return NOTHING
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {value_text(inner)}" for name, inner in value.items())
    return scalar(value, 4)


def field_text(name: str, value: Any) -> str:
    """Return the value of a field of a spec on one line, checksums short; see `value_text`."""
    text = " ".join(map(str, value)) if name == "command" and value else value_text(value)
    return _CHECKSUM.sub(lambda found: found[0][:_LETTERS], text)


def subject_text(experiment: Experiment, joint: str) -> str:
    """Return what is trained: task and network as `joint` has them, or the function, or the command in short."""
    spec = experiment.spec
    if spec.get("task"):
        return joint.format(task=spec["task"], network=spec["network"])
    if spec.get("scheduler") == "workers":
        return "what its workers train"
    return spec.get("function") or shortened(" ".join(" ".join(spec.get("command") or ()).split()), _COMMAND_LENGTH)


#: Rule that has ended a search → what lets it go on; all others: more trials or more time.
_GOES_ON_WITH: Mapping[str, str] = {
    "max_failed_trials": "when more failures are allowed",
    "max_duration": "with more time",
    "target": "with another target",
    "no_improvement": "with a larger max_trials_without_improvement",
    "converged": "when stop_when_converged is off",
    "max_trials": "with more trials",
    "exhausted": "with more trials",
}


#: Rule → which trials it trains no further.
_EARLY_STOPPING: Mapping[EarlyStoppingRule, str] = {
    "off": "off, every trial trains to its end",
    "halving": "halving, of trials that report at several steps only the best third goes on at each rung",
    "median": "median, trials that report at several steps end where they are worse than the median",
    "promotion": "promotion, trials train a part first, and only the best third goes on",
    "data-promotion": "data-promotion, trials train on a part of the data first, and only the best third goes on",
}


def early_stopping_text(rule: EarlyStoppingRule) -> str:
    """Return what saves training on trials that promise little: one sentence."""
    return f"Early stopping: {_EARLY_STOPPING[rule]}."


def stays_ended(changed: Experiment) -> str:
    """Return that a search has ended in spite of its new budget, and what lets it go on; empty if it goes on."""
    if not changed.state.final:
        return ""
    return (
        f"The search stays ended; it goes on {_GOES_ON_WITH.get(changed.stop_rule or '', 'with more trials or time')}."
    )


def conditions_text(when: Mapping[str, Sequence[Value]]) -> str:
    """Return when a parameter is active: `optimizer: sgd|lion`; empty if it always is."""
    return ", ".join(f"{parent}: {'|'.join(map(scalar, values))}" for parent, values in when.items())


def arrow(objective: Objective) -> str:
    """Return an arrow towards better values."""
    return "↑" if objective.goal == "maximize" else "↓"


def best_text(result: SearchResult) -> str:
    """Return the best value and what the search gained over the default: one line."""
    best = result.best
    if best is None:
        return "no result yet" if not result.state.final else "no result"
    which = ", ".join(part for part in (f"trial {best.number}", best.training) if part)
    text = f"best {result.objective.metric} {number(best.value)} ({which})"
    if result.default is None or result.gain is None:
        return text
    if result.default.number == best.number:
        return f"{text}, the default configuration"
    difference = best.value - result.default.value
    return f"{text}, default {number(result.default.value)} ({signed(difference, 2)})"


def test_text(result: SearchResult) -> str:
    """Return whether the gain over the default carries over to the test data: a sentence, empty if nobody knows."""
    best, default, measured = result.best, result.default, result.test
    if best is None or best.number not in measured:
        return ""
    value = measured[best.number]
    known = result.uncertainty.test_intervals if result.uncertainty is not None else {}
    ends = known.get(best.number)
    is_beside = default is not None and default.number in measured and result.is_beside_default(best.number)
    if default is None or not is_beside or default.number == best.number:
        return f"On the test data: {within(value, ends)}."
    difference = value - measured[default.number]
    other = within(measured[default.number], known.get(default.number))
    gain = result.uncertainty.test_gains.get(best.number) if result.uncertainty is not None else None
    chance = ", within chance" if gain is not None and gain[0] <= 0 <= gain[1] else ""
    figures = f"{within(value, ends)} against {other} with the default ({signed(difference, 2)}{chance})"
    if (difference if result.objective.goal == "maximize" else -difference) > 0:
        return f"On the test data: {figures}."
    return f"The gain does not carry over to the test data: {figures}."


def standing_lines(result: SearchResult) -> list[str]:
    """Return what is known of how far chance moves the best values, a sentence each; nothing where nothing is."""
    known = result.uncertainty
    if known is None:
        return []
    lines = ["In parentheses: 95 % intervals, by resampling the validation data."] if known.intervals else []
    best = result.best.number if result.best is not None and not result.finalists else None
    gain = known.gains.get(best) if best is not None else None
    told = gain_text(gain), standing_text(known.ties, known.compared, known.items, known.unit, in_full=known.in_full)
    return [*lines, *filter(None, told)]


def failures_text(result: SearchResult) -> str:
    """Return how many trials failed and for which causes, with the first of the commonest: one line."""
    first = result.failures[0]
    if sum(one.trials for one in result.failures) == 1:
        return f"Trial {first.number} failed ({first.cause}): {first.detail}"
    several = len(result.failures) > 1
    causes = ", ".join(f"{one.trials} {one.cause}" if several else one.cause for one in result.failures)
    failed = count(sum(one.trials for one in result.failures), "trial")
    return f"{failed} failed ({causes}), such as trial {first.number}: {first.detail}"


def agreement_text(agreement: float | None) -> str:
    """Return how far the order on all data is that on the sample: one sentence."""
    if agreement is None:
        return "Too few to say whether the sample ranks them as all data do."
    verdict = "much the same as" if agreement >= AGREES else "another than"
    return f"The order on all data is {verdict} on the sample (rank correlation {number(agreement, 2)})."


def counts_text(result: SearchResult) -> str:
    """Return `12 succeeded, 1 failed, 2 running`: the states that occur."""
    parts = [f"{amount} {state}" for state in TrialState if (amount := result.trials.get(state, 0))]
    return ", ".join(parts) or "no trials yet"
