"""A model of the life of jobs, and a state machine that holds the store against it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tunewell.spec.errors import TermOver, TransitionRefused
from tunewell.spec.states import FINAL_JOB_STATES, Cause, JobState
from tunewell.store import JobEnd, Store, Transaction

#: What, the number of the job, the attempt, the part, the final state.
Move = tuple[str, int, int, int, JobState]

WAITING, RUNNING = JobState.WAITING, JobState.RUNNING
MOVES = st.tuples(
    st.sampled_from(["start", "start", "start", "lose", "part", "finish", "stop", "retry", "report"]),
    st.integers(0, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(sorted(FINAL_JOB_STATES)),
)


@dataclass
class Model:
    """One job as it should be."""

    #: Place of the job that must have ended before.
    after: int | None
    state: JobState = WAITING
    attempt: int = 0
    part: int = 0
    progress: dict[str, float] = field(default_factory=dict)
    result: int | None = None
    term: int = 0
    version: int = 0

    def move(self, move: Move, free: bool) -> bool:
        """Do what the move says; return whether it is allowed. `free`: nothing has to end before."""
        what, _, attempt, part, final = move
        current = self.state is RUNNING and attempt == self.attempt
        match what:
            case "start" if self.state is WAITING and attempt == self.attempt + 1 and free:
                self.state, self.attempt, self.progress = RUNNING, attempt, {}
            case "lose" if current:
                self.state = WAITING
            case "part" if current and part == self.part + 1:
                self.state, self.part = WAITING, part
            case "finish" if current:
                self.state, self.result = final, part
            case "stop" if self.state is WAITING:
                self.state = JobState.STOPPED
            case "retry" if self.state in (JobState.FAILED, JobState.STOPPED):
                self.state, self.progress, self.result = WAITING, {}, None
            case "report":
                if current:
                    self.progress = {"training": part / 4}
            case _:
                return False
        return True


def carry_out(tx: Transaction, job: int, move: Move) -> bool:
    """Do what the move says; return whether the store allowed it."""
    what, _, attempt, part, final = move
    try:
        match what:
            case "start":
                tx.start_job(job, attempt, f"identity-{attempt}")
            case "lose":
                tx.lose_job(job, attempt, Cause.NODE_LOST, "gone")
            case "part":
                tx.next_part(job, part, attempt=attempt)
            case "finish":
                tx.finish_job(job, attempt, JobEnd(final, result={"part": part}))
            case "stop":
                tx.end_waiting_job(job, JobEnd(JobState.STOPPED))
            case "retry":
                tx.retry_job(job)
            case "report":
                tx.report_job(job, {"training": part / 4}, attempt=attempt)
    except TransitionRefused:
        return False
    return True


class JobLife(RuleBasedStateMachine):
    """Makes moves in the store and in the model, each with the same answer and the same effect."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.ids: list[int] = []
        for after in (None, None, 1):
            with store.transaction() as tx:
                self.ids.append(tx.add_job("retrain", after=None if after is None else self.ids[after]))
        self.models = [Model(None), Model(None), Model(1)]

    @rule(moves=st.lists(MOVES, min_size=1, max_size=3))
    def commit(self, moves: list[Move]) -> None:
        """Make moves, legal or not, in one transaction."""
        with self.store.transaction() as tx:
            self.make(tx, moves)

    @rule(moves=st.lists(MOVES, min_size=1, max_size=3), job=st.integers(0, 2))
    def take_over(self, moves: list[Move], job: int) -> None:
        """Take a job over; what is written to it under the old term afterwards is undone as a whole."""
        with self.store.transaction() as tx:
            term = tx.take_over_job(self.ids[job])
        self.models[job].term += 1
        assert term == self.models[job].term
        before = [replace(model, progress=dict(model.progress)) for model in self.models]
        touched = self.store.version()
        try:
            with self.store.transaction() as tx:
                tx.name_job_term(self.ids[job], term - 1)
                self.make(tx, moves)
        except TermOver as error:
            assert error.job == self.ids[job]
            self.models = before
            assert self.store.version() == touched
        else:
            allowed = [a for a in self.store.changed(touched) if a.id == self.ids[job]]
            assert allowed == []

    def make(self, tx: Transaction, moves: list[Move]) -> None:
        """Make moves in both, and compare the answers."""
        for move in moves:
            model = self.models[move[1]]
            free = model.after is None or self.models[model.after].state.final
            assert carry_out(tx, self.ids[move[1]], move) == model.move(move, free), move

    @invariant()
    def same_jobs(self) -> None:
        """The jobs are what the model says, and their versions only grow."""
        for identity, model in zip(self.ids, self.models, strict=True):
            row = self.store.job(identity)
            assert (row.state, row.attempt, row.part, row.term) == (model.state, model.attempt, model.part, model.term)
            assert row.progress == model.progress
            assert row.result == (None if model.result is None else {"part": model.result})
            assert row.version >= model.version
            model.version = row.version
        waiting = {job.id for job in self.store.open_jobs()}
        assert waiting >= {n for n, m in zip(self.ids, self.models, strict=True) if not m.state.final}
