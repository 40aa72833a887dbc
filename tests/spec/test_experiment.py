"""The experiment spec: what is accepted and in which forms, and its way through JSON."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.spec.strategies import spaces
from tunewell.spec.declaration import declare
from tunewell.spec.errors import SpecError, UserError
from tunewell.spec.experiment import (
    Algorithm,
    ExperimentSpec,
    Objective,
    TrialResources,
    guess_goal,
    parse_spec,
)
from tunewell.spec.launch import Resources
from tunewell.spec.space import SearchSpace

MINIMAL: dict[str, Any] = {
    "name": "sweep",
    "command": ["python3", "train.py", "{x}"],
    "objective": "accuracy",
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
}
EVERYTHING: dict[str, Any] = {
    **MINIMAL,
    "objective": {"metric": "loss", "goal": "minimize", "target": 0.1},
    "algorithm": {"name": "evolutionary", "population_size": 8},
    "initial": [{"x": 0.5}],
    "max_trials": 50,
    "max_concurrency": 2,
    "max_duration": "1h30m",
    "max_failed_trials": "30%",
    "max_trials_without_improvement": 10,
    "max_trial_duration": 90,
    "max_trial_silence": "0.25s",
    "max_attempts": 1,
    "sampling": "50%",
    "seed": 7,
    "resources": {"cpus": 1, "gpus": 0, "memory": "8G"},
    "metric_pattern": "(?P<name>\\w+) is (?P<value>[\\d.]+)",
    "environment": {"DEBUG": 1, "FAST": True},
    "working_directory": "/tmp",
}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
VARIABLE_NAMES = TEXTS.filter(lambda name: name and "=" not in name)


def test_fractions_of_cores() -> None:
    """Trials may take a part of a core, or none if it is said how many run at once; each has a thread."""
    for cpus in (0.25, 2, 1.5):
        assert parse_spec({**MINIMAL, "resources": {"cpus": cpus}}).resources.cpus == cpus
    assert parse_spec({**MINIMAL, "max_concurrency": 9, "resources": {"cpus": 0}}).resources.cpus == 0
    for wrong in (0, -1, 0.001, "1", True):
        with pytest.raises(SpecError, match=r"^resources.cpus: "):
            parse_spec({**MINIMAL, "resources": {"cpus": wrong}})
    assert [Resources(cpus=cpus).threads for cpus in (0, 0.25, 1.5, 3)] == [1, 1, 1, 3]


def test_a_pattern_that_is_nested_too_deeply() -> None:
    """However deep in the program a spec is read, its pattern makes an error at worst."""

    def read_below(depth: int) -> None:
        if depth:
            read_below(depth - 1)
        else:
            parse_spec({**MINIMAL, "metric_pattern": "(?P<name>a)(?P<value>b)" + "(" * 450 + ")" * 450})

    with pytest.raises(SpecError, match=r"^metric_pattern: .* is nested too deeply\. Write it flatter"):
        read_below(sys.getrecursionlimit() // 2)


def test_a_short_spec_is_enough() -> None:
    """What is trained, what is optimised and what is searched: the rest has defaults."""
    spec = parse_spec(MINIMAL)
    assert spec.objective == Objective(metric="accuracy", goal="maximize", target=None)
    assert spec.algorithm.name == "auto"
    assert spec.max_duration == timedelta(hours=24)
    assert (spec.max_trials, spec.max_failed_trials, spec.max_attempts) == (None, 0.5, 3)
    assert (spec.sampling, spec.seed, spec.resources) == (1.0, 0, TrialResources())


def test_every_form_of_a_value() -> None:
    """Durations, shares, sizes and options come out as plain values."""
    spec = parse_spec(EVERYTHING)
    assert spec.algorithm.options == {"population_size": 8}
    assert spec.max_duration == timedelta(minutes=90)
    assert spec.max_trial_duration == timedelta(seconds=90)
    assert spec.max_trial_silence == timedelta(milliseconds=250)
    assert spec.max_failed_trials == 0.3
    assert spec.sampling == 0.5
    assert spec.resources.memory == 8 * 1024**3
    assert spec.environment == {"DEBUG": "1", "FAST": "true"}


def test_a_command_may_be_a_text() -> None:
    """A command in one text is split as a shell would, and numbers in a list become texts."""
    assert parse_spec({**MINIMAL, "command": "python3 'my train.py' {x}"}).command == (
        "python3",
        "my train.py",
        "{x}",
    )
    numbers = parse_spec({**MINIMAL, "command": ["run", 5, 0.1, True]})
    assert numbers.command == ("run", "5", "0.1", "true")


def test_counts_and_shares_of_failures_stay_apart() -> None:
    """1 is one failure, 1.0 and 100% are all of the trials."""
    counts = [parse_spec({**MINIMAL, "max_failed_trials": value}).max_failed_trials for value in (1, 1.0, "100%", 0)]
    assert counts == [1, 1.0, 1.0, 0]
    assert [type(count) for count in counts] == [int, float, float, int]


def test_whole_floats_are_whole_numbers() -> None:
    """`1e3`, a float in YAML, is a number of trials."""
    assert parse_spec({**MINIMAL, "max_trials": 1e3}).max_trials == 1000


def test_a_field_without_a_value_has_its_default() -> None:
    """A field whose value is null (as where a YAML section is commented out) counts as left out."""
    assert parse_spec({**MINIMAL, "max_trials": None, "resources": None, "initial": None}) == parse_spec(MINIMAL)


def test_values_from_numpy_are_plain() -> None:
    """Tuples and NumPy numbers in Python specs become what JSON would give back."""
    spec = parse_spec({**MINIMAL, "parameters": {"x": (np.int64(1), np.float64(0.5))}, "initial": [{"x": np.int64(1)}]})
    assert spec.parameters == {"x": [1, 0.5]}
    assert type(spec.initial[0]["x"]) is int


@pytest.mark.parametrize("raw", [MINIMAL, EVERYTHING, {**MINIMAL, "max_failed_trials": 0.0, "max_duration": 1e-3}])
def test_json_round_trip(raw: dict[str, Any]) -> None:
    """A spec written as JSON and read again is equal, and writes the same JSON."""
    spec = parse_spec(raw)
    dumped = spec.model_dump(mode="json")
    back = parse_spec(json.loads(json.dumps(dumped, allow_nan=False)))
    assert back == spec
    assert json.dumps(back.model_dump(mode="json")) == json.dumps(dumped)


@given(
    spaces(),
    st.fixed_dictionaries(
        {},
        optional={
            "max_duration": st.timedeltas(timedelta(microseconds=1), timedelta(days=10_000)),
            "max_failed_trials": st.integers(0, 10**6) | st.floats(0, 1),
            "sampling": st.floats(0, 1, exclude_min=True),
            "max_trials": st.integers(1, 10**9),
            "seed": st.integers(0, 2**63),
            "environment": st.dictionaries(VARIABLE_NAMES, TEXTS, max_size=3),
        },
    ),
)
def test_json_round_trip_of_any_spec(space: SearchSpace, fields: dict[str, Any]) -> None:
    """Whatever the values, a spec survives JSON."""
    spec = parse_spec({**MINIMAL, "parameters": declare(space), **fields})
    assert parse_spec(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    ("metric", "goal"),
    [
        ("accuracy", "maximize"),
        ("val_acc", "maximize"),
        ("val/accuracy", "maximize"),
        ("mAP50", "maximize"),
        ("f1_macro", "maximize"),
        ("r2", "maximize"),
        ("loss", "minimize"),
        ("valLoss", "minimize"),
        ("RMSE", "minimize"),
        ("mape", "minimize"),
        ("error_rate", "minimize"),
        ("throughput", None),
        ("f1_loss", None),
        ("time_to_accuracy", None),
        ("accelerated", None),
        ("lossless", None),
    ],
)
def test_goals_are_guessed_from_whole_words_only(metric: str, goal: str | None) -> None:
    """Common metrics have a goal; names that say nothing, or both, have none."""
    assert guess_goal(metric) == goal


def test_a_goal_that_is_given_is_not_guessed() -> None:
    """What the user says counts, whatever the name of the metric implies."""
    assert parse_spec({**MINIMAL, "objective": {"metric": "loss", "goal": "maximize"}}).objective.goal == "maximize"


@pytest.mark.parametrize(("goal", "better", "worse"), [("maximize", 0.9, 0.8), ("minimize", 0.8, 0.9)])
def test_objective_compares_by_its_goal(goal: Any, better: float, worse: float) -> None:
    """Values are better, and targets reached, in the direction of the goal."""
    objective = Objective(metric="m", goal=goal, target=better)
    assert objective.better(better, worse)
    assert not objective.better(worse, better)
    assert not objective.better(better, better)
    assert objective.reached(better)
    assert not objective.reached(worse)
    assert not Objective(metric="m", goal=goal).reached(better)


JUNK: list[Any] = [5, -1, 2.5, True, "", "junk", [], [1], {}, {"a": 1}, {1: 2}, float("nan"), 10**400, object()]


@pytest.mark.parametrize("field", list(ExperimentSpec.model_fields))
def test_junk_never_brings_up_the_validator(field: str) -> None:
    """Whatever is put into a field, it is accepted or refused in plain words, never in the validator's own."""
    for junk in JUNK:
        try:
            parse_spec({**MINIMAL, field: junk})
        except UserError as error:
            assert "Input should" not in str(error)
            assert "does not fit here" not in str(error)
            for part in error.parts:
                message = str(part)
                assert (
                    message.startswith(field.split(".")[0])
                    or part.field == f"{field} and command"
                    or ("command and function" in message)
                )


@pytest.mark.parametrize(
    "field",
    [
        f"{part}.{name}"
        for part, model in (("objective", Objective), ("resources", TrialResources))
        for name in model.model_fields
    ],
)
def test_junk_in_inner_fields(field: str) -> None:
    """The same holds for the fields of `objective` and `resources`."""
    part, name = field.split(".")
    for junk in JUNK:
        inner = {"metric": "accuracy", name: junk} if part == "objective" else {name: junk}
        try:
            parse_spec({**MINIMAL, part: inner})
        except SpecError as error:
            assert str(error).startswith(part)
            assert "does not fit here" not in str(error)


@pytest.mark.parametrize("model", [ExperimentSpec, Objective, Algorithm, TrialResources])
def test_every_field_is_described(model: type[BaseModel]) -> None:
    """Each field has a description: the reference is made of them."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_spec_is_a_mapping() -> None:
    """Anything but a mapping is refused."""
    with pytest.raises(SpecError, match=r"spec: \['a'\] is not a mapping"):
        parse_spec(["a"])


def test_paths_are_paths() -> None:
    """Folders come out as paths."""
    assert parse_spec(EVERYTHING).working_directory == Path("/tmp")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "caf\udce9"}, r"name: 'caf\udce9' is not valid Unicode. Write it, or rename the file, in UTF-8."),
        ({"command": ["python3", "\udce9.py"]}, r"command: '\udce9.py' is not valid Unicode"),
        ({"working_directory": Path("/caf\udce9")}, r"working_directory: '/caf\udce9' is not valid Unicode"),
        ({"objective": {"metric": "\udce9", "goal": "minimize"}}, r"objective.metric: '\udce9' is not valid Unicode"),
        ({"initial": [{"x": "\udce9"}]}, r"initial.x: '\udce9' is not valid Unicode"),
        ({"environment": {"\udce9": "1"}}, r"environment: the name '\udce9' is not valid Unicode"),
        ({"environment": {"A": "\udce9"}}, r"environment.A: it is not valid Unicode"),
        ({"environment": {"A": "b\0"}}, r"environment.A: it has a NUL character. Remove it."),
        ({"environment": {"A\0": "b"}}, r"environment: the name 'A\x00' has a NUL character. Remove it."),
        ({"parameters": {"x": ["a\0"]}}, r"parameters.x: 'a\x00' has a NUL character. Remove it."),
    ],
)
def test_texts_that_nothing_can_take_are_refused(change: dict[str, Any], message: str) -> None:
    """Lone surrogates and NUL are refused wherever there is text, in a message that can be printed."""
    with pytest.raises(SpecError) as caught:
        parse_spec({**MINIMAL, **change})
    assert str(caught.value).startswith(message)
    str(caught.value).encode()
