"""A model of the life of trials, and a state machine that holds the store against it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tunewell.spec.errors import TransitionRefused
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store, Transaction

Verb = Literal["add", "start", "lose", "finish", "stop", "retry", "report"]
#: What, and the trial's number, the attempt, the final state, the step.
Move = tuple[Verb, int, int, TrialState, int]


@dataclass
class Model:
    """One trial as it should be."""

    state: TrialState = TrialState.WAITING
    attempt: int = 0
    value: float | None = None
    cause: Cause | None = None
    #: attempt → step → loss
    reports: dict[int, dict[int, float]] = field(default_factory=dict)
    #: How each attempt ended.
    ends: list[str] = field(default_factory=list)

    def move(self, move: Move) -> bool:
        """Do what the move says; return whether it is allowed."""
        verb, _, attempt, final, step = move
        current = self.state is TrialState.RUNNING and attempt == self.attempt
        match verb:
            case "start" if self.state is TrialState.WAITING and attempt == self.attempt + 1:
                self.state, self.attempt = TrialState.RUNNING, attempt
            case "lose" if current:
                self.state = TrialState.WAITING
                self.ends.append("lost")
            case "finish" if current:
                self.state, self.value, self.cause = final, step / 4, cause_of(final)
                self.ends.append(final.value)
            case "stop" if self.state is TrialState.WAITING:
                self.state = TrialState.STOPPED
            case "retry" if self.state in (TrialState.FAILED, TrialState.STOPPED):
                self.state, self.value, self.cause = TrialState.WAITING, None, None
            case "report":
                if current:
                    self.reports.setdefault(attempt, {}).setdefault(step, step / 8)
            case _:
                return False
        return True


def cause_of(state: TrialState) -> Cause | None:
    """Return the cause that the machine gives with a final state."""
    return Cause.CRASHED if state is TrialState.FAILED else None


def carry_out(tx: Transaction, name: str, move: Move) -> bool:
    """Do what the move says; return whether the store allowed it."""
    verb, number, attempt, final, step = move
    key = AttemptKey(name, number, attempt)
    try:
        match verb:
            case "add":
                tx.add_trial(name, number, {"x": number}, "random", 1.0, None)
            case "start":
                tx.start_attempt(key)
            case "lose":
                tx.lose_attempt(key, AttemptEnd(cause=Cause.KILLED))
            case "finish":
                tx.finish_trial(key, AttemptEnd(final, cause_of(final), value=step / 4))
            case "stop":
                tx.stop_waiting(name, number)
            case "retry":
                tx.retry_trial(name, number)
            case "report":
                tx.add_reports(key, [Report(step, {"loss": step / 8}, 0.0)])
    except TransitionRefused:
        return False
    return True


FINAL = st.sampled_from([state for state in TrialState if state.final])
LIVES: list[tuple[Verb, ...]] = [
    ("start", "report"),
    ("start", "report", "lose"),
    ("start", "report", "finish"),
    ("start", "finish", "report"),
]
MOVES = st.tuples(
    st.sampled_from(["start", "start", "lose", "finish", "stop", "retry", "report", "report", "add"]),
    st.integers(1, 3),
    st.integers(1, 3),
    FINAL,
    st.integers(0, 3),
)


class TrialLife(RuleBasedStateMachine):
    """Makes moves in the store and in the model, each with the same answer and the same effect."""

    def __init__(self, store: Store, url: str) -> None:
        super().__init__()
        self.store = store
        self.url = url
        self.trials: dict[int, Model] = {}

    @initialize()
    def create(self) -> None:
        """Begin with an experiment of its own and one trial."""
        self.name = f"life-{len(self.store.experiments(limit=10_000))}"
        self.store.create_experiment(self.name, {}, {}, {})
        self.commit([("add", 1, 1, TrialState.FAILED, 0)])

    @rule()
    def add(self) -> None:
        """Add the next trial, up to three."""
        self.commit([("add", len(self.trials) + 1, 0, TrialState.FAILED, 0)] if len(self.trials) < 3 else [])

    @rule(verbs=st.sampled_from(LIVES), number=st.integers(1, 3), final=FINAL, step=st.integers(0, 3))
    def live(self, verbs: tuple[Verb, ...], number: int, final: TrialState, step: int) -> None:
        """Let a trial that waits go a part of its way, or all of it."""
        trial = self.trials.get(number)
        if trial is not None and trial.state is TrialState.WAITING:
            self.commit([(verb, number, trial.attempt + 1, final, step) for verb in verbs])

    @rule(number=st.integers(1, 3), verb=st.sampled_from(["retry", "lose"]))
    def again(self, number: int, verb: Verb) -> None:
        """Let a trial wait again, if it can."""
        attempt = self.trials[number].attempt if number in self.trials else 0
        self.commit([(verb, number, attempt, TrialState.FAILED, 0)])

    @rule(moves=st.lists(MOVES, min_size=1, max_size=3))
    def commit(self, moves: list[Move]) -> None:
        """Make moves, legal or not, in one transaction."""
        before = self.store.experiment(self.name).version, len(self.store.events(self.name))
        with self.store.transaction() as tx:
            self.make(tx, moves)
        after = self.store.experiment(self.name).version, len(self.store.events(self.name))
        assert after[0] >= before[0]
        assert after[1] == before[1] or after[0] == self.store.version()

    @rule(moves=st.lists(MOVES, min_size=1, max_size=3))
    def undo(self, moves: list[Move]) -> None:
        """Make moves in a transaction that fails in the end."""
        before = copy.deepcopy(self.trials)
        try:
            with self.store.transaction() as tx:
                self.make(tx, moves)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            self.trials = before

    def make(self, tx: Transaction, moves: list[Move]) -> None:
        """Make moves in both, and compare the answers."""
        for move in moves:
            verb, number = move[:2]
            if verb == "add":
                allowed = number == len(self.trials) + 1
                if allowed:
                    self.trials[number] = Model()
            else:
                # A report of a trial that is not there is late or early, but no mistake.
                allowed = self.trials[number].move(move) if number in self.trials else verb == "report"
            assert carry_out(tx, self.name, move) == allowed, move

    @invariant()
    def summed_up(self) -> None:
        """The experiment's row says what its trials say."""
        row, trials = self.store.experiment(self.name), self.store.trials(self.name)
        assert row.counts == {state: sum(trial.state is state for trial in trials) for state in TrialState}
        counting = [t for t in trials if t.value is not None and t.state in (TrialState.SUCCEEDED, TrialState.STOPPED)]
        best = min(counting, key=lambda t: (-(t.value or 0.0), t.number), default=None)
        assert (row.best_trial, row.best_value) == ((best.number, best.value) if best else (None, None))

    @invariant()
    def same_trials(self) -> None:
        """The trials are what the model says."""
        rows = self.store.trials(self.name)
        found = {row.number: (row.state, row.attempt, row.value, row.cause) for row in rows}
        assert found == {n: (m.state, m.attempt, m.value, m.cause) for n, m in self.trials.items()}

    def teardown(self) -> None:
        """Another process would read all that the model says."""
        with Store(self.url) as store:
            for number, model in self.trials.items():
                ends = [a.state for a in store.attempts(self.name, number) if a.state != "running"]
                assert ends == model.ends
                for attempt in range(1, 4):
                    stored = {r.step: r.metrics["loss"] for r in store.reports(self.name, number, attempt)}
                    assert stored == model.reports.get(attempt, {})
            ended = [entry for entry in store.history(self.name) if entry.kind == "ended"]
            final = {entry.number: (entry.state, entry.value) for entry in ended}
            for number, model in self.trials.items():
                assert not model.state.final or final[number] == (model.state, model.value)
