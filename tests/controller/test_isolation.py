"""What is slow or fails in one experiment or job is no other's matter."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.controller.fakes import Bench, ListTuner
from tests.schedulers.bench import wait_until
from tunewell.controller import staging
from tunewell.spec.declaration import parse_space
from tunewell.spec.launch import Ended, Exit, Launch, Report, Reported
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Wait


class SlowTuner(ListTuner):
    """Works out each suggestion from the second on until the test opens a gate."""

    def __init__(self, *arguments: Any, **hints: Any) -> None:
        """Have the gate shut."""
        super().__init__(*arguments, **hints)
        self.gate = threading.Event()
        #: What was asked and told, in the order in which it was done.
        self.done: list[str] = []

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Take a long time over it."""
        if number > 1:
            assert self.gate.wait(60)
        self.done.append(f"ask {number}")
        return super().propose(number)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take note of when it was told."""
        self.done.append(f"tell {outcome.number}")


class BusyTuner(ListTuner):
    """Computes in Python, without ever letting go by itself, until the test has seen enough."""

    enough = False

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Count as long as is needed."""
        count = 0
        while number > 1 and not self.enough:
            count += 1
        return super().propose(number)


class BrokenTuner(ListTuner):
    """Fails at one of its calls."""

    def __init__(self, *arguments: Any, fails_at: str, **hints: Any) -> None:
        """Fail at `ask`, `tell` or `judge`."""
        super().__init__(*arguments, **hints)
        self.fails_at = fails_at

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Fail, if that is the call, from the third trial on."""
        if self.fails_at == "ask" and number > 2:
            raise ZeroDivisionError("a bug")
        return super().propose(number)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Fail, if that is the call."""
        if self.fails_at == "tell":
            raise ZeroDivisionError("a bug")

    def judge(self, number: int, curve: Mapping[int, float]) -> Literal["keep", "prune"]:
        """Fail, if that is the call."""
        if self.fails_at == "judge":
            raise ZeroDivisionError("a bug")
        return "keep"


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller that waits for nothing, with four slots and an experiment 'other' that has one trial at a time."""
    bench = Bench(tmp_path, slots=4, database=database)
    bench.waits = False
    bench.crash()
    bench.create("other", max_trials=5, max_concurrency=1, resources={"cpus": 1})
    yield bench
    bench.store.close()


def add(bench: Bench, name: str, kind: type[ListTuner], **hints: Any) -> Any:
    """Hand an experiment to the controller with a tuner of a kind, which suggests 0, 1, 2, …"""
    space = parse_space(bench.store.experiment(name).space)
    tuner = bench.tuners[name] = kind(space, list(range(100)), **hints)
    bench.controller.take_experiment(name)
    return tuner


def run_other(bench: Bench) -> None:
    """Bring the other experiment to its end."""
    bench.add("other")
    for number in range(1, 6):
        step_until(bench, lambda number=number: key_of(bench, "other", number))  # type: ignore[misc]
        end(bench, "other", number)
    step_until(bench, lambda: bench.store.experiment("other").state is ExperimentState.COMPLETED)


def step_until(bench: Bench, condition: Any) -> Any:
    """Let the controller go on until something holds, while hardly any time passes."""

    def look() -> Any:
        bench.now += 0.1
        bench.controller.step(timeout=0)
        return condition()

    return wait_until(look)


def key_of(bench: Bench, name: str, number: int) -> Any:
    """Return the attempt of a trial that runs, None if none does."""
    return next((key for key in bench.scheduler.alive if (key.experiment, key.trial) == (name, number)), None)  # type: ignore[union-attr]


def end(bench: Bench, name: str, number: int, value: float = 0.5, cause: Cause | None = None) -> None:
    """Have a trial report and end."""
    key = key_of(bench, name, number)
    del bench.scheduler.alive[key]
    bench.scheduler.events += [Reported(key, Report(1, {"accuracy": value}, 0.0)), Ended(key, Exit(cause))]


def test_a_slow_tuner_holds_up_no_other_search(bench: Bench) -> None:
    """While one tuner works on a suggestion, another search runs to its end, and the slow one's trials are recorded."""
    bench.create("slow", max_trials=3)
    tuner = add(bench, "slow", SlowTuner)
    step_until(bench, lambda: key_of(bench, "slow", 1))
    run_other(bench)
    end(bench, "slow", 1, 0.7)
    step_until(bench, lambda: bench.store.trial("slow", 1).state is TrialState.SUCCEEDED)
    assert [trial.number for trial in bench.store.trials("slow")] == [1]
    tuner.gate.set()
    step_until(bench, lambda: key_of(bench, "slow", 3))
    assert tuner.done[:3] == ["ask 1", "ask 2", "tell 1"]


def test_a_tuner_that_computes_in_python_holds_up_no_other_search(bench: Bench) -> None:
    """So it is with one that computes in Python all the time."""
    bench.create("busy", max_trials=3)
    tuner = add(bench, "busy", BusyTuner)
    try:
        step_until(bench, lambda: key_of(bench, "busy", 1))
        run_other(bench)
    finally:
        tuner.enough = True


def test_what_a_slow_tuner_knew_is_on_record(bench: Bench) -> None:
    """A replay shows a tuner suggestions and outcomes in the order in which it did them, not in that of the record."""
    bench.create("slow", max_trials=3)
    tuner = add(bench, "slow", SlowTuner)
    step_until(bench, lambda: key_of(bench, "slow", 1))
    end(bench, "slow", 1)
    step_until(bench, lambda: bench.store.trial("slow", 1).state is TrialState.SUCCEEDED)
    tuner.gate.set()
    step_until(bench, lambda: key_of(bench, "slow", 2))
    recorded = [(entry.kind, entry.number) for entry in bench.store.history("slow")]
    assert recorded[:3] == [("suggested", 1), ("ended", 1), ("suggested", 2)]
    bench.crash()
    again = add(bench, "slow", Recorder)
    step_until(bench, lambda: "slow" in bench.controller._experiments and again.seen)
    assert again.seen[:3] == [("suggested", 1), ("suggested", 2), ("ended", 1)]


class Recorder(ListTuner):
    """Takes note of what it is shown."""

    def __init__(self, *arguments: Any, **hints: Any) -> None:
        """Have seen nothing."""
        super().__init__(*arguments, **hints)
        self.seen: list[tuple[str, int]] = []

    def accept(self, suggestion: Suggestion) -> None:
        """Take note."""
        self.seen.append(("suggested", suggestion.number))

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take note."""
        self.seen.append(("ended", outcome.number))


@pytest.mark.parametrize("fails_at", ["ask", "tell", "judge"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_broken_tuner_fails_its_own_search(bench: Bench, fails_at: str, waits: bool) -> None:
    """An exception in a tuner fails its search, with the cause, its trials are stopped, and another one goes on."""
    bench.waits = waits
    bench.crash()
    bench.create("broken", max_trials=9, max_concurrency=2, resources={"cpus": 1})
    add(bench, "broken", BrokenTuner, fails_at=fails_at)
    step_until(bench, lambda: key_of(bench, "broken", 2))
    end(bench, "broken", 1)
    step_until(bench, lambda: bench.store.experiment("broken").state.final)
    row = bench.store.experiment("broken")
    assert (row.state, row.stop_rule) == (ExperimentState.FAILED, "error")
    assert "ZeroDivisionError: a bug" in row.detail
    states = {trial.number: trial.state for trial in bench.store.trials("broken")}
    assert states.pop(1) is TrialState.SUCCEEDED
    assert set(states.values()) == {TrialState.STOPPED}
    run_other(bench)


def test_a_record_that_can_not_be_loaded_fails_its_own_search(bench: Bench) -> None:
    """What goes wrong while an experiment is taken over fails it, and no other one."""
    bench.create("odd", max_trials=2)
    with bench.store.transaction() as tx:
        tx.set_spec("odd", {**bench.store.experiment("odd").spec, "max_trials": "many"})
    bench.controller.take_experiment("odd")
    step_until(bench, lambda: bench.store.experiment("odd").state is ExperimentState.FAILED)
    assert "max_trials" in bench.store.experiment("odd").detail
    run_other(bench)


def test_a_large_checkpoint_holds_up_no_other_search(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a checkpoint is copied, another search runs to its end; then the trial goes on from it."""
    gate, copying = threading.Event(), threading.Event()
    copy = staging.prepare_folder

    def slow(folder: Path, launch: Launch, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            copying.set()
            assert gate.wait(60)
        copy(folder, launch, checkpoint)

    monkeypatch.setattr(staging, "prepare_folder", slow)
    bench.scheduler.needs_folder = True
    bench.create("large", max_trials=2, max_concurrency=1, resources={"cpus": 1})
    bench.add("large", [0, Suggestion(2, {"x": 0}, "child", 1.0, 1)])
    key = step_until(bench, lambda: key_of(bench, "large", 1))
    (bench.scheduler.alive[key].folder / "checkpoint" / "weights").write_bytes(b"w")
    end(bench, "large", 1)
    step_until(bench, copying.is_set)
    run_other(bench)
    gate.set()
    key = step_until(bench, lambda: key_of(bench, "large", 2))
    assert (bench.scheduler.alive[key].folder / "checkpoint" / "weights").read_bytes() == b"w"


def test_a_trial_that_is_being_prepared_can_be_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stopped while its checkpoint is copied never begins, and its room is free again."""
    gate, copying = threading.Event(), threading.Event()

    def slow(folder: Path, launch: Launch, checkpoint: Path | None) -> None:
        folder.mkdir(parents=True)
        if launch.key.trial == 2:  # type: ignore[union-attr]
            copying.set()
            assert gate.wait(60)

    monkeypatch.setattr(staging, "prepare_folder", slow)
    bench.scheduler.needs_folder = True
    bench.create("large", max_trials=3)
    tuner = bench.add("large", [0, Suggestion(2, {"x": 0}, "child", 1.0, 1), 0])
    tuner.limit = 1
    step_until(bench, lambda: key_of(bench, "large", 1))
    end(bench, "large", 1)
    step_until(bench, copying.is_set)
    bench.store.request("large", "stop_trial", trial=2)
    step_until(bench, lambda: bench.store.trial("large", 2).state is TrialState.STOPPED)
    gate.set()
    step_until(bench, lambda: key_of(bench, "large", 3))
    assert [key.trial for key in bench.scheduler.started] == [1, 3]  # type: ignore[union-attr]


def test_what_can_not_be_written_is_one_experiments_matter(bench: Bench) -> None:
    """A suggestion that no store can hold ends its own search, and the others are recorded all the same."""
    bench.create("broken", max_trials=3)
    bench.create("sound", max_trials=2)
    bench.add("broken", [1, Suggestion(2, {"x": object()}, "list")])
    bench.add("sound")
    wait_until(lambda: bench.step() or bench.store.experiment("broken").state.final)
    row = bench.store.experiment("broken")
    assert row.state is ExperimentState.FAILED and "object" in row.detail
    wait_until(lambda: bench.step() or len(bench.scheduler.alive) == 2)
    assert {key.experiment for key in bench.scheduler.alive} == {"sound"}  # type: ignore[union-attr]
    assert not bench.store.trials("broken", states=(TrialState.RUNNING,))
