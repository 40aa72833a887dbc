"""A store that fails now and then under a controller: nothing is lost, done twice, or done without being on record."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controller.fakes import Bench
from tests.store.faulty import Fault, Faults, faulty
from tunewell.controller.work import Work
from tunewell.spec.launch import AttemptKey, Ended, Exit, Launch, Report, Reported, WorkKey
from tunewell.spec.states import ExperimentState, TrialState

TRIALS = 6


class World(Bench):
    """A bench whose controller sees a store that fails, and whose trials end by themselves."""

    def __init__(self, folder: Path, faults: Faults, seed: int) -> None:
        """Begin with an experiment on record."""
        super().__init__(folder)
        self.faults = faults
        self.random = random.Random(seed)
        self.sound = self.store
        self.work = Work(everything=True)
        self.ended: Counter[WorkKey] = Counter()
        submit = self.scheduler.submit

        def checked(launch: Launch) -> None:
            key = cast(AttemptKey, launch.key)
            row = self.sound.trial(key.experiment, key.trial)
            assert (row.state, row.attempt) == (TrialState.RUNNING, key.attempt), "it starts without being on record"
            submit(launch)

        self.scheduler.submit = checked  # type: ignore[method-assign]
        self.create(max_trials=TRIALS, max_attempts=100)
        self.store = faulty(self.sound, faults)
        self.crash()

    def live(self) -> None:
        """Let a second pass: trials report and end, the controller steps, or is killed and made again."""
        for key in list(self.scheduler.alive):
            if isinstance(key, AttemptKey) and self.random.random() < 0.5:
                del self.scheduler.alive[key]
                value = float(key.trial)
                self.scheduler.ended[key] = [Reported(key, Report(1, {"accuracy": value}, 0.0)), Ended(key, Exit())]
                self.scheduler.events += self.scheduler.ended[key]
        if self.random.random() < 0.05:
            self.crash()
        self.step()


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.3]))
def test_a_failing_store_loses_and_doubles_nothing(seed: int, rate: float) -> None:
    """However calls fail, each trial ends once with its value, and no attempt starts twice or unrecorded."""
    rates = dict.fromkeys(Fault, rate / 4)
    with TemporaryDirectory() as folder:
        faults = Faults(rates=rates, seed=seed)
        world = World(Path(folder), faults, seed)
        try:
            for _ in range(200):
                world.live()
            faults.active = False
            for _ in range(100):
                world.live()
            assert world.sound.experiment("e").state is ExperimentState.COMPLETED
            assert [(t.number, t.state, t.value) for t in world.sound.trials("e")] == [
                (number, TrialState.SUCCEEDED, float(number)) for number in range(1, TRIALS + 1)
            ]
            ends = Counter(event.trial for event in world.sound.events("e") if event.kind == "ended")
            assert ends == dict.fromkeys(range(1, TRIALS + 1), 1)
        finally:
            world.sound.close()


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.TIME_OUT, Fault.DONE_THEN_ERROR])
@pytest.mark.parametrize("call", range(1, 13))
def test_one_failing_transaction_costs_no_attempt(tmp_path: Path, fault: Fault, call: int) -> None:
    """Whichever transaction fails, and however, no trial is lost by it, and no attempt is made in vain."""
    world = World(tmp_path, Faults({call: fault}, on={"transaction"}), seed=call)
    try:
        world.random.random = lambda: 0.4  # type: ignore[method-assign] - trials end at once, nothing is killed
        for _ in range(60):
            world.live()
        assert world.sound.experiment("e").state is ExperimentState.COMPLETED
        assert [trial.attempt for trial in world.sound.trials("e")] == [1] * TRIALS
    finally:
        world.sound.close()


def test_a_refused_start_starts_nothing(tmp_path: Path) -> None:
    """An attempt whose record the store refuses is not started; the search goes on from its record."""
    bench = Bench(tmp_path)
    bench.create(max_trials=2, max_concurrency=1)
    bench.add()
    with bench.store.transaction() as tx:  # somebody else's hand
        tx.add_trial("e", 1, {"x": 7}, "by hand", 1.0, None)
    bench.step(5)
    running = bench.store.trial("e", 1)
    assert running.origin == "by hand"
    assert [key.trial for key in bench.scheduler.started] == [1]  # type: ignore[union-attr]
    assert (running.state, running.parameters) == (TrialState.RUNNING, {"x": 7})
    bench.store.close()


def test_who_was_taken_over_writes_and_starts_nothing(tmp_path: Path) -> None:
    """A controller whose term is over lets go of the experiment: it records nothing more of it and starts nothing."""
    bench = Bench(tmp_path)
    bench.create(max_trials=5)
    bench.add()
    bench.step()
    with bench.store.transaction() as tx:
        tx.take_over("e")
    bench.scheduler.end(1)
    bench.step(3)
    assert not bench.controller.busy
    assert bench.store.trial("e", 1).state is TrialState.RUNNING
    assert len(bench.scheduler.started) == 2
    bench.store.close()


def test_one_that_was_taken_over_holds_up_no_other(tmp_path: Path) -> None:
    """What is recorded of other experiments in the same step is kept."""
    bench = Bench(tmp_path, slots=4)
    for name in ("a", "b"):
        bench.create(name, max_trials=5, max_concurrency=1, resources={"cpus": 1})
        bench.add(name)
    bench.step()
    with bench.store.transaction() as tx:
        tx.take_over("a")
    for key in list(bench.scheduler.alive):
        del bench.scheduler.alive[key]
        bench.scheduler.events += [Reported(key, Report(1, {"accuracy": 0.5}, 0.0)), Ended(key, Exit())]
    bench.step(3)
    assert bench.store.trial("b", 1).state is TrialState.SUCCEEDED
    assert bench.store.trial("a", 1).state is TrialState.RUNNING
    bench.store.close()
