"""The words of a report: the result in a sentence, the key figures, and what can be done next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewell.reports.evaluations import measure_on
from tunewell.reports.view import (
    ExperimentView,
    TrialView,
    best_so_far,
    counts,
    failures_by_cause,
    gain,
    is_result,
    total_cost_seconds,
)
from tunewell.spec.errors import count
from tunewell.spec.format import NOTHING, duration, number, percent, scalar, signed
from tunewell.spec.states import Cause, Cut, ExperimentState, TrialState
from tunewell.tasks.catalogue import task_for

#: Causes of failure in words.
CAUSES: Mapping[str, str] = {
    Cause.GPU_OOM: "out of GPU memory",
    Cause.HOST_OOM: "out of main memory",
    Cause.GPU_ERROR: "the GPU failed",
    Cause.NON_FINITE: "the metric was not a finite number",
    Cause.NO_METRIC: "the metric was never reported",
    Cause.TIMEOUT: "over the time limit",
    Cause.SILENT: "silent for too long",
    Cause.CRASHED: "crashed",
    Cause.KILLED: "killed from outside",
    Cause.NODE_LOST: "the machine was lost",
    Cause.DISK_FULL: "the disk was full",
    Cause.INVALID_PARAMETERS: "the parameters were refused",
    Cause.DATA_ERROR: "the data could not be used",
}


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number at the top of the report."""

    name: str
    value: str
    #: A few words below it.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next: a sentence, and the command for it."""

    text: str
    command: str


def headline(view: ExperimentView) -> str:
    """Return the result in one sentence, and how it came to its end in another."""
    best = view.best
    if best is None:
        return f"{_no_result(view)} {_end(view)}".strip()
    so_far = "" if view.state.final else " so far"
    which = ", ".join(part for part in (f"trial {best.number}", best.training) if part)
    result = f"Best {view.metric}{so_far} {number(best.value)} ({which})"
    return f"{result}{_compared(view, best)}. {_end(view)}".strip()


def _compared(view: ExperimentView, best: TrialView) -> str:
    """Return how the best trial compares with the default configuration, as the end of a sentence."""
    default, gained = view.default, gain(view)
    whose = "the network's default" if view.spec.get("network") else "the default"
    if default is None:
        return ""
    if default.number == best.number:
        rivals = sum(map(is_result, view.trials)) > 1
        return f", with {whose} parameters" + (", which no other trial has beaten" if rivals else "")
    if gained is None or default.value is None:
        if default.state is TrialState.FAILED:
            return f"; {whose} parameters failed ({_cause(default)}), so there is nothing to compare it with"
        return f"; {whose} parameters have no value to compare it with"
    if gained.absolute == 0:
        return f", no better than {whose} parameters"
    side = "above" if best.value is not None and best.value > default.value else "below"
    return f", {number(abs(gained.absolute), 3)} {side} {whose} {number(default.value)}"


def _cause(trial: TrialView) -> str:
    return CAUSES.get(trial.cause, "for an unknown cause") if trial.cause else "for an unknown cause"


def _no_result(view: ExperimentView) -> str:
    if not view.trials:
        return "It ended before any trial." if view.state.final else "No trial has started yet."
    if counts(view)[TrialState.FAILED] == len(view.trials):
        causes = failures_by_cause(view)
        which = ", ".join(f"{len(trials)} {CAUSES.get(cause, cause)}" for cause, trials in causes.items())
        return f"No result: {'all trials' if len(view.trials) > 1 else 'the only trial'} failed ({which})."
    return "No result: no trial succeeded." if view.state.final else "No result yet."


def _end(view: ExperimentView) -> str:
    if view.state.final:
        return view.stop_detail
    ended = count(sum(trial.state.final for trial in view.trials), "ended trial")
    if view.running:
        return f"The search is still going on, with {ended} so far."
    if view.state is ExperimentState.CREATED:
        return ""
    return f"The search is paused after {ended}; the command that began it, or `tunewell serve`, goes on."


def key_figures(view: ExperimentView) -> list[KeyFigure]:
    """Return the numbers at the top: result, gain, trials, time."""
    figures = []
    best, gained = view.best, gain(view)
    if best is not None:
        figures.append(KeyFigure(f"best {view.metric}", number(best.value), f"trial {best.number}"))
    if view.default is not None and view.default.value is not None:
        figures.append(KeyFigure("default", number(view.default.value), f"trial {view.default.number}"))
    if gained is not None and best is not None and view.default is not None and best.number != view.default.number:
        change = gained.absolute if view.goal == "maximize" else -gained.absolute
        relative = percent(abs(gained.relative)) if gained.relative is not None else ""
        figures.append(KeyFigure("difference", signed(change), f"{relative} better" if gained.absolute else ""))
    figures += _test_figure(view)
    amounts = counts(view)
    others = ", ".join(
        f"{amounts[state]} {state}" for state in TrialState if amounts[state] and state is not TrialState.SUCCEEDED
    )
    figures.append(KeyFigure("succeeded trials", str(amounts[TrialState.SUCCEEDED]), others))
    figures.append(KeyFigure("search time", duration(view.elapsed_seconds), _cost_note(view)))
    found = _found_after(view)
    if found is not None:
        figures.append(KeyFigure("best found after", duration(found), "of search time"))
    return figures


def _test_figure(view: ExperimentView) -> list[KeyFigure]:
    """Return what the best trial reaches on the test data, and whether the gain over the default carries over."""
    best, default = view.best, view.default
    value = measure_on(view, best.number, "test") if best is not None else None
    if best is None or value is None:
        return []
    other = measure_on(view, default.number, "test") if default is not None and default is not best else None
    on_all_data = {one.number for one in view.finalists if one.value is not None}
    is_beside = default is not None and (best.number in on_all_data) == (default.number in on_all_data)
    if other is None or not is_beside:  # a model that has learned from a sample is no rival of one that had all data
        return [KeyFigure("on the test data", number(value))]
    better = value > other if view.goal == "maximize" else value < other
    note = f"default {number(other)}" + ("" if better else ": the gain does not carry over")
    return [KeyFigure("on the test data", number(value), note)]


def _cost_note(view: ExperimentView) -> str:
    cost = total_cost_seconds(view)
    return f"{duration(cost)} in trials" if cost else ""


def _found_after(view: ExperimentView) -> float | None:
    """Return for how many seconds the search had been running when the best trial ended."""
    if view.best is None or len(best_so_far(view.trials, view.goal)) < 2:
        return None
    return view.best.ended_after


def next_steps(view: ExperimentView) -> list[Step]:
    """Return the commands that use, repeat or continue the search."""
    name = shlex.quote(view.name)
    steps = []
    if view.more_time is not None:
        steps.append(Step("Give the search more time", f"tunewell set {name} --max-duration {view.more_time}"))
        cut = next((number for number in view.top if view.trial(number).cut_by is Cut.MAX_DURATION), None)
        if cut is not None:
            steps.append(Step(f"Then train trial {cut} to its end", f"tunewell retry {name} {cut}"))
    best = view.best
    if best is not None and view.spec.get("task"):
        what = "Train on all data with the parameters of the best trial"
        steps.append(Step(what, f"tunewell retrain {name} --trial {best.number}"))
    jobs = task_for(view.spec).jobs if view.spec.get("task") else {}
    if best is not None and "predict" in jobs:
        steps.append(Step("Use the model on new pictures", f"tunewell predict {name} PICTURE_OR_FOLDER"))
    if best is not None and "export-model" in jobs:
        folder = shlex.quote(f"{view.name}-model/")
        hand_over = "Write a folder to hand over: weights, ONNX and a model card"
        steps.append(Step(hand_over, f"tunewell export-model {name} --output {folder}"))
    if view.best_command:
        steps.append(Step("Run the best trial's command by hand", shlex.join(view.best_command)))
    if counts(view)[TrialState.FAILED]:
        failed = next(trial for trial in view.trials if trial.state is TrialState.FAILED)
        steps.append(Step("Read the log of a failed trial", f"tunewell logs {name} {failed.number}"))
    steps.append(Step("Write all trials to a table", f"tunewell export {name} --format csv --output trials.csv"))
    steps.append(Step("Write this report again", f"tunewell report {name}"))
    return steps


def describe_subject(view: ExperimentView) -> str:
    """Return what was trained: task and network, the command, or the function."""
    spec = view.spec
    if spec.get("task"):
        return " · ".join(str(part) for part in (spec["task"], spec.get("network")) if part)
    if spec.get("command"):
        return " ".join(str(word) for word in spec["command"])
    if spec.get("scheduler") == "workers":
        return "what its workers train"
    return f"Python function {spec['function']}" if spec.get("function") else NOTHING


def differs(parameters: Mapping[str, Any], other: Mapping[str, Any] | None, name: str) -> bool:
    """Whether a parameter's value is another one than in `other`, as far as a reader can tell."""
    if other is None or name not in parameters or name not in other:
        return other is not None and (name in parameters) != (name in other)
    return scalar(parameters[name]) != scalar(other[name])
