"""Running searches that are told something else meanwhile: another budget, and configurations of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.controller.fakes import Bench
from tests.controller.test_controller import finish
from tunewell.controller.recovery import recover
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.tuners.catalogue import create as make_tuner
from tunewell.tuners.contract import OWN


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller on an empty home, with two slots."""
    bench = Bench(tmp_path, database=database)
    yield bench
    bench.store.close()


def change(bench: Bench, **fields: Any) -> None:
    """Put other fields of the spec on record, and have the controller read them."""
    spec = parse_spec({**bench.store.experiment("e").spec, **fields})
    with bench.store.transaction() as tx:
        tx.set_spec("e", spec.model_dump(mode="json"))
        tx.add_request("e", "update")


def add(bench: Bench, x: int) -> None:
    """Ask for a trial with this x."""
    bench.store.request("e", "add_trial", data={"parameters": {"x": x}})


def origins(bench: Bench) -> list[str]:
    """Return where the trials on record come from."""
    return [trial.origin for trial in bench.store.trials("e")]


@pytest.mark.parametrize(("budget", "ends"), [({"max_trials": 2}, False), ({"max_concurrency": 2}, True)])
def test_a_budget_that_comes_while_the_search_ends(bench: Bench, budget: dict[str, Any], ends: bool) -> None:
    """Nobody sees the end by the old one where there is more to do by the new one."""
    spec = bench.create(max_trials=1)
    bench.add()
    bench.step(2)
    finish(bench, 1, 0.5)
    with bench.store.transaction() as tx:  # the controller has not been asked yet to read it
        tx.set_spec("e", parse_spec({**spec.model_dump(mode="json"), **budget}).model_dump(mode="json"))
    bench.step(2)
    assert bench.store.experiment("e").state.final is ends and not bench.controller.busy


def test_a_larger_budget_lets_a_running_search_go_on(bench: Bench) -> None:
    """More trials, and more at once, are there without a restart; what ran goes on."""
    bench.create(max_trials=2, max_concurrency=1, resources={"cpus": 1})
    bench.add()
    bench.step(2)
    assert len(bench.scheduler.alive) == 1
    change(bench, max_trials=4, max_concurrency=2)
    bench.step(2)
    assert len(bench.scheduler.alive) == 2
    for number in (1, 2, 3, 4):
        finish(bench, number, 0.5)
        bench.step(2)
    assert (bench.store.experiment("e").state, len(origins(bench))) == (ExperimentState.COMPLETED, 4)
    assert bench.store.requests("e") == []
    assert [key.attempt for key in bench.scheduler.started] == [1, 1, 1, 1]  # type: ignore[union-attr]


def test_more_trials_at_once_share_the_machine(bench: Bench) -> None:
    """A trial that runs keeps all of the cores that it has; those that come after it get their part."""
    bench.create("e", max_trials=9, max_concurrency=1)
    bench.create("f", max_trials=9)
    bench.add("e")
    bench.step()
    bench.add("f")
    bench.step()
    change(bench, max_concurrency=2)
    bench.step(2)
    assert [key.experiment for key in bench.scheduler.alive] == ["e"]  # type: ignore[union-attr]
    finish(bench, 1, 0.5)
    bench.step(3)
    assert len(bench.scheduler.alive) == 2
    assert {launch.resources.cpus for launch in bench.scheduler.alive.values()} == {1}


def test_a_smaller_budget_ends_a_running_search(bench: Bench) -> None:
    """With fewer trials than there are already, nothing is begun, and the search ends when they have ended."""
    bench.create(max_trials=9)
    bench.add()
    bench.step()
    change(bench, max_trials=1)
    bench.step()
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.6)
    bench.step(2)
    assert (bench.store.experiment("e").stop_rule, len(origins(bench))) == ("max_trials", 2)


@pytest.mark.parametrize("running", [False, True])
def test_a_target_that_has_been_reached_already(bench: Bench, running: bool) -> None:
    """A target that some trial has reached, ended or not, ends the search as it is set."""
    bench.create(max_trials=9)
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.8)
    if not running:
        bench.scheduler.end(1)
    bench.step()
    change(bench, objective={"metric": "accuracy", "target": 0.7})
    bench.step(3)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.TARGET_REACHED, "target")


def test_a_target_that_is_taken_away(bench: Bench) -> None:
    """Values that would have reached it end nothing any more."""
    bench.create(max_trials=9, objective={"metric": "accuracy", "target": 0.7})
    bench.add()
    bench.step()
    change(bench, objective={"metric": "accuracy"})
    bench.step()
    bench.scheduler.report(1, 0.8)
    bench.step(2)
    assert bench.store.experiment("e").state is ExperimentState.RUNNING


def test_a_longer_time(bench: Bench) -> None:
    """The time that a search has is what it has now."""
    bench.create(max_duration="5s")
    bench.add()
    bench.step(3)
    change(bench, max_duration="1h")
    bench.step(10)
    assert bench.store.experiment("e").state is ExperimentState.RUNNING


def test_a_controller_that_comes_later_has_the_new_budget(bench: Bench) -> None:
    """A change whose controller died before it took note of it is in force under the next one."""
    bench.create(max_trials=2, max_concurrency=1, resources={"cpus": 1})
    bench.add()
    bench.step(2)
    change(bench, max_concurrency=2)
    bench.crash()
    bench.add()
    bench.step(2)
    assert len(bench.scheduler.alive) == 2
    assert bench.store.requests("e") == []


def test_a_configuration_of_ones_own_comes_next(bench: Bench) -> None:
    """It has the next number, is told to the tuner like every other, and is one of the trials that may be made."""
    bench.create(max_trials=4)
    tuner = bench.add()
    bench.step()
    add(bench, 777)
    bench.step()
    assert origins(bench) == ["list", "list", OWN]
    assert bench.store.requests("e") == []
    for number in (1, 2, 3, 4):
        finish(bench, number, number / 10)
        bench.step(2)
    assert origins(bench) == ["list", "list", OWN, "list"]
    assert bench.store.trial("e", 3).parameters == {"x": 777} == tuner.suggestions[3].parameters
    assert tuner.outcomes[3].objective == 0.3
    assert bench.store.experiment("e").stop_rule == "max_trials"


def test_a_configuration_that_finds_no_trial_left(bench: Bench) -> None:
    """It waits until there is one: a search that ends before takes it up when it goes on."""
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    add(bench, 777)
    bench.step()
    finish(bench, 1, 0.5)
    bench.step(2)
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED
    assert origins(bench) == ["list"]
    assert [request.verb for request in bench.store.requests("e")] == ["add_trial"]
    change(bench, max_trials=9)
    bench.add()
    bench.step(3)
    assert OWN in origins(bench)
    assert bench.store.requests("e") == []


def test_a_configuration_that_was_tried_meanwhile(bench: Bench) -> None:
    """It is not tried again, and the search says so."""
    bench.create(max_trials=4)
    bench.add()
    bench.step()
    add(bench, 1)
    bench.step()
    assert origins(bench) == ["list", "list"]
    assert bench.store.requests("e") == []
    assert "had been tried already" in bench.store.experiment("e").notes[0]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_configuration_is_tried_once_whenever_the_controller_dies(bench: Bench, steps: int) -> None:
    """What is asked for, and the trial that comes of it, are one transaction."""
    bench.create(max_trials=5)
    bench.add()
    bench.step()
    add(bench, 777)
    for _ in range(steps):
        bench.step()
    bench.crash()
    bench.add()
    bench.step(2)
    assert origins(bench).count(OWN) == 1
    assert bench.store.requests("e") == []


def test_a_paused_search_takes_configurations_when_it_goes_on(bench: Bench) -> None:
    """Nothing of it is lost, and nothing begins before."""
    bench.create(max_trials=5)
    bench.add()
    bench.step()
    bench.store.request("e", "pause")
    bench.step(2)
    add(bench, 777)
    bench.step(2)
    assert OWN not in origins(bench)
    bench.add()
    bench.step(2)
    assert origins(bench).count(OWN) == 1


SPACE = {"x": {"low": 0, "high": 1000}}
ALGORITHMS = ("bayesian", "cmaes", "evolutionary", "grid", "pshe2", "random", "tpe")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(course=st.lists(st.sampled_from(["end", "step", "add"]), min_size=4, max_size=16), data=st.data())
def test_recovery_proposes_the_same(
    algorithm: str, course: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whenever configurations come in, a controller that begins from the record proposes what the other would have."""
    bench = Bench(tmp_path_factory.mktemp("home"))

    def tuner() -> Any:
        return make_tuner(algorithm, SPACE, goal="maximize", seed=3, max_trials=40)

    bench.create(max_trials=40)
    bench.tuners["e"] = first = tuner()
    bench.controller.take_experiment("e")
    for what in course:
        if what == "add":
            add(bench, data.draw(st.integers(0, 1000), label="x"))
        alive = sorted(key.trial for key in bench.scheduler.alive if isinstance(key, AttemptKey))
        if what == "end" and alive:
            number = data.draw(st.sampled_from(alive), label="which")
            finish(bench, number, data.draw(st.integers(0, 9), label="value") / 10)
        bench.step()
    bench.step(2)
    second = tuner()
    run = bench.controller._experiments["e"]
    assert run.manager is not None
    manager = recover(bench.surroundings, run.manager.setting, second, 40, run._helpers())
    assert manager.suggestions == run.manager.suggestions
    assert [second.ask() for _ in range(3)] == [first.ask() for _ in range(3)]
    assert replace(manager.progress, elapsed_seconds=0) == replace(run.manager.progress, elapsed_seconds=0)
    assert all(row.state is not TrialState.FAILED for row in bench.store.trials("e"))
    bench.controller.leave()
    bench.store.close()


def test_the_log_tells_of_what_was_taken_over(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """How many trials run matters of a search that ran before; of a new one, that it runs."""
    caplog.set_level("INFO", "tunewell")
    bench.create(max_trials=3, max_concurrency=1, resources={"cpus": 1})
    bench.add()
    bench.step(2)
    assert "taken over" not in caplog.text and "experiment 'e' is running" in caplog.text
    bench.crash()
    bench.add()
    bench.step(2)
    assert "taken over: 1 trial running" in caplog.text
