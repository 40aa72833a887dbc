"""What is promised of searches side by side, wherever verbs are carried out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import FAILED, SPEC, SUCCEEDED, Bench, bench
from tunewell.service.types import Caller, ExperimentComparison
from tunewell.spec.errors import ArgumentError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cut, ExperimentState
from tunewell.store.rows import AttemptEnd, DataSetRow

__all__ = ["bench"]  # a fixture


#: What a search over pictures has other than one over a command.
TASK = {
    "command": None,
    "environment": {},
    "task": "image-classification",
    "network": "resnet18",
    "data": "/data",
}


def made(bench: Bench, name: str, *values: float, cut_by: Cut | None = None, **fields: Any) -> None:
    """Record a search with trials of these values, of which the first ended last, and one that failed.

    With `cut_by` they were cut off by that, after seven epochs of ten.
    """
    bench.verbs.create({**SPEC, "name": name, "max_trials": 10, **fields})
    if values:
        with bench.service.store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
    for number, value in enumerate(values, start=1):
        key, after = AttemptKey(name, number, 1), 60.0 - number
        with bench.service.store.transaction() as tx:
            tx.add_trial(name, number, {"x": number / 1000}, "random", 1.0, None, 1.0)
            tx.start_attempt(key, f"{name} {number}", 2.0, planned_epochs=None if cut_by is None else 10)
            end = AttemptEnd(SUCCEEDED, value=value, now=3.0, seconds=1.0, ended_after=after)
            tx.finish_trial(key, replace(end, epochs=7, cut_by=cut_by))
    if values:
        bench.add(len(values) + 1, FAILED, name=name)


def row(found: ExperimentComparison, name: str) -> tuple[Any, ...]:
    """Return the values of a field of the specs."""
    (one,) = [one for one in found.fields if one.name == name]
    return one.values


def test_what_came_of_each_and_what_differs(bench: Bench) -> None:
    """Each tells its facts, best parameters and progress; the fields of specs say which differ, name by dotted name."""
    made(bench, "e", 0.5, 0.4, 0.7)
    made(bench, "f", 0.6, max_trials=20, parameters={"x": {"low": 0.0, "high": 1.0, "default": 0.5}})
    found = bench.verbs.compare(["f", "e"])
    assert type(found).model_validate_json(found.model_dump_json()) == found
    first, second = found.experiments
    assert (first.experiment, second.experiment) == (bench.verbs.experiment("f"), bench.verbs.experiment("e"))
    assert [(step.trial, step.value) for step in second.progress] == [(1, 0.5), (3, 0.7)]
    assert [(step.trial, step.elapsed_seconds) for step in second.progress_over_time] == [(3, 57.0)]
    assert (first.last_trial, second.last_trial) == (2, 4)
    assert second.best_parameters == bench.verbs.trial("e", 3).parameters
    assert found.comparable
    assert row(found, "max_trials") == (20, 10)
    assert {one.name for one in found.fields if one.differs} == {"max_trials"}
    assert row(found, "objective.metric") == ("accuracy", "accuracy")
    assert not {"name", "parameters"} & {one.name for one in found.fields}
    assert [(one.name, one.values, one.differs) for one in found.space] == [
        ("x", ("0 … 1, default 0.5", "0 … 1"), True)
    ]
    assert [one.values for one in found.best] == [(0.001, 0.003)]
    assert first.data is None


@pytest.mark.parametrize(
    "objective", [{"metric": "loss", "goal": "minimize"}, {"metric": "accuracy", "goal": "minimize"}]
)
def test_what_can_not_be_compared_is_said(bench: Bench, objective: dict[str, str]) -> None:
    """Where metric or goal differ, the answer says so first."""
    made(bench, "e", 0.5)
    made(bench, "f", 0.5, objective=objective)
    found = bench.verbs.compare(["e", "f"])
    assert not found.comparable
    assert found.notes[0] == (
        f"They search for different things (A: maximize accuracy; B: minimize {objective['metric']}). "
        "Their values and gains can't be compared."
    )


def test_best_trials_that_were_cut_off_are_told(bench: Bench) -> None:
    """Their values may not be all that there is to be had; what the algorithm means to be short is no fault."""
    made(bench, "e", 0.5, 0.4, cut_by=Cut.MAX_DURATION)
    made(bench, "f", 0.6)
    made(bench, "g", 0.6, cut_by=Cut.FIDELITY)
    found = bench.verbs.compare(["e", "f", "g"])
    assert [one.best_training for one in found.experiments] == [
        "epoch 7 of 10, stopped by the time limit of the search",
        "",
        "7 of 10 epochs, all that the search gave it",
    ]
    assert [one.best_cut_by for one in found.experiments] == [Cut.MAX_DURATION, None, Cut.FIDELITY]
    assert (
        "A best trial was cut off (A: epoch 7 of 10, stopped by the time limit of the search): trained to the end, the "
        "value might be better." in found.notes
    )
    assert not any("cut off" in note for note in bench.verbs.compare(["f", "g"]).notes)


def test_whoever_asks_sees_the_same(bench: Bench) -> None:
    """A search of the home's owner has no owner in its full name; others name it with its owner."""
    made(bench, "e", 0.5)
    made(bench, "f", 0.6)
    other = bench.as_caller(Caller(name="ada", role="user", local=True))
    assert other.compare(["owner/e", "owner/f"]).experiments == bench.verbs.compare(["e", "f"]).experiments


def test_searches_without_a_result(bench: Bench) -> None:
    """They stand beside others, with nothing in their columns."""
    made(bench, "e", 0.5)
    made(bench, "new")
    found = bench.verbs.compare(["e", "new"])
    assert found.experiments[1].progress == () == found.experiments[1].importances
    assert found.experiments[1].best_parameters == {}
    assert [one.values for one in found.best] == [(0.001, None)]
    assert found.notes[-1] == "A, B have not ended: the best so far may still change."


def test_data_are_told_apart_by_their_content(bench: Bench) -> None:
    """The same content under another name is the same; another content under the same name is not."""
    contents = {"one": "1" * 64, "again": "1" * 64, "other": "2" * 64}
    for name, sha256 in contents.items():
        made(bench, name, 0.5)
        with bench.service.store.transaction() as tx:
            tx.add_dataset(DataSetRow(0, name, "owner", "team", sha256, "", 1, 1, None, 1.0, None))
            spec = {**bench.service.store.experiment(name).spec, **TASK, "dataset": f"{name}@{sha256}"}
            tx.set_spec(name, spec)
    told = "They use different data (A; B): a better value may be due to easier data."
    same, differ = bench.verbs.compare(["one", "again"]), bench.verbs.compare(["one", "other"])
    assert [one.data.sha256 for one in same.experiments if one.data] == ["1" * 64] * 2
    assert told not in same.notes
    assert differ.notes[0] == told


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["e"], "these are too few"),
        (["e", "f", "e1", "e2", "e3", "e4"], "6 are too many"),
        (["e", "owner/e"], "'e' is named twice"),
    ],
)
def test_too_few_too_many_twice(bench: Bench, names: list[str], told: str) -> None:
    """Two to five are compared, each once."""
    for name in ("e", "f", "e1", "e2", "e3", "e4"):
        made(bench, name)
    with pytest.raises(ArgumentError, match=told):
        bench.verbs.compare(names)
