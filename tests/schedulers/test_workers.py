"""Trials that workers train: what becomes of attempts, whoever asks, dies, comes late or begins again."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.schedulers.bench import Bench
from tests.schedulers.workers import complete, lease_of
from tunewell.schedulers import leases, records
from tunewell.schedulers.contract import LOST
from tunewell.schedulers.leases import Board, Lease, WrongOffset
from tunewell.schedulers.report_reader import ReportReader
from tunewell.schedulers.workers import LONGEST_LOOK_SECONDS, OFFER_SECONDS, WorkersScheduler
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Limits, Refused, Reported, Resources, Started
from tunewell.spec.states import Cause
from tunewell.trial import files

LEASE = 60.0


class Clock:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class WorkersBench(Bench):
    """A scheduler of workers whose time passes as a test says."""

    scheduler: WorkersScheduler

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        super().__init__(folder, WorkersScheduler(folder, lease_seconds=LEASE, monotonic=self.clock))
        self.fields = {"resources": Resources(cpus=0), "metric": "score"}

    def offered(self, number: int = 1, **fields: Any) -> Launch:
        """Have a worker wait, and offer it an attempt."""
        lease_of(self.folder, f"waiting {number}")
        return self.start(self.launch(number, **fields))

    def taken(self, worker: str = "a", number: int = 1, **fields: Any) -> tuple[Launch, Lease]:
        """Have a worker take an attempt."""
        launch = self.offered(number, **fields)
        lease = lease_of(self.folder, worker)
        assert lease is not None
        self.pass_(0.1)
        return launch, lease

    def pass_(self, seconds: float) -> None:
        """Let time pass, as long as it takes in pieces that all count."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + LONGEST_LOOK_SECONDS)
            self.scheduler.poll(self.events.append, 0.0)

    def begun_again(self) -> WorkersBench:
        """Return a bench with a scheduler that knows nothing yet, as after a controller was killed."""
        return WorkersBench(self.folder)


@pytest.fixture
def bench(tmp_path: Path) -> WorkersBench:
    """A scheduler of workers."""
    return WorkersBench(tmp_path)


def test_suggestions_are_made_when_somebody_asks(bench: WorkersBench) -> None:
    """There is room for as many attempts as workers wait, and what is beyond that is refused."""
    need = Resources(cpus=0)
    assert bench.scheduler.capacity().free(need) == 0
    for worker in "ab":
        assert lease_of(bench.folder, worker) is None
    assert bench.scheduler.capacity().free(need) == 2
    first = bench.start(bench.launch(1))
    assert bench.scheduler.capacity().free(need) == 1
    assert lease_of(bench.folder, "a") is not None
    assert bench.scheduler.capacity().free(need) == 1, "b still waits"
    bench.start(bench.launch(2))
    third = bench.start(bench.launch(3))
    bench.pass_(0.1)
    assert Started(first.key) in bench.events
    assert [event.key for event in bench.events if isinstance(event, Refused)] == [third.key]


def test_a_worker_that_is_not_heard_from_loses_its_attempt(bench: WorkersBench) -> None:
    """After the time of a lease, and not before: each sign of life begins it again."""
    launch, lease = bench.taken()
    for _ in range(3):
        bench.pass_(LEASE - 1)
        leases.touch(lease.folder)
    bench.pass_(LEASE - 1)
    assert bench.exit_of(launch) is None
    bench.pass_(3)
    exit_ = bench.exit_of(launch)
    assert exit_ is not None and exit_.cause is Cause.NODE_LOST
    assert "'a' was not heard from for 60 s" in exit_.detail
    assert not complete(lease, 1.0), "what comes late changes nothing"
    assert records.read_exit(lease.folder) == exit_ and bench.reports_of(launch) == []
    assert lease_of(bench.folder, "a") is None, "it may have another one"


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_a_clock_that_is_set_loses_nothing(bench: WorkersBench, jump: float) -> None:
    """Dates of files tell that a worker was heard from, and nothing else."""
    launch, lease = bench.taken()
    for step in range(4):
        bench.pass_(LEASE / 2)
        moment = time.time() + jump + step
        os.utime(lease.folder / leases.WORKER, (moment, moment))
    assert bench.exit_of(launch) is None


def test_time_in_which_nobody_could_be_heard_does_not_count(bench: WorkersBench) -> None:
    """A machine that sleeps, or a service that stands still, wakes up to workers that it had."""
    launch, _ = bench.taken()
    bench.clock.now += 3600.0
    bench.poll(0.0)
    bench.pass_(LEASE / 2)
    assert bench.exit_of(launch) is None


def test_a_controller_that_begins_again_gives_leases_their_full_time(bench: WorkersBench) -> None:
    """It finds offers and leases, tells all reports from the first, and what has ended meanwhile."""
    launch, lease = bench.taken()
    offered = bench.offered(2)
    ended, its_lease = bench.taken("b", 3)
    del offered
    bench.pass_(LEASE - 1)
    complete(its_lease, 0.5)
    with leases.living(lease.folder) as reports:
        assert reports is not None
        files.append(reports, files.report_line(1, {"score": 0.25}, 1.0))
    second = bench.begun_again()
    launches = [launch, ended, bench.launch(2), bench.launch(4)]
    second.scheduler.reconcile(launches)
    second.pass_(LEASE - 1)
    assert Started(launch.key) in second.events and second.exit_of(launch) is None
    assert [report.metrics for report in second.reports_of(launch)] == [{"score": 0.25}]
    assert second.exit_of(ended) is not None and second.reports_of(ended)[-1].metrics == {"score": 0.5}
    assert second.exit_of(bench.launch(4)) == Exit(Cause.NODE_LOST, LOST), "it was never offered"


def test_an_offer_that_nobody_comes_for_costs_nothing(bench: WorkersBench) -> None:
    """It is refused after a while, and can't be had any more."""
    launch = bench.offered()
    bench.pass_(OFFER_SECONDS + 1)
    (refused,) = bench.events
    assert isinstance(refused, Refused) and refused.key == launch.key
    assert lease_of(bench.folder, "late") is None


def test_a_stop_gives_the_worker_time_to_hear_of_it(bench: WorkersBench) -> None:
    """It is left in the folder at once; the attempt ends when its worker could have ended it."""
    launch, lease = bench.taken(limits=Limits(grace_seconds=10.0))
    bench.scheduler.stop(launch.key)
    assert (lease.folder / files.STOP).exists()
    leases.touch(lease.folder)
    bench.pass_(10.0)
    assert bench.exit_of(launch) is None
    leases.touch(lease.folder)
    bench.pass_(LEASE / 2 + 1)
    exit_ = bench.exit_of(launch)
    assert exit_ is not None and (exit_.stopped, exit_.cause) == (True, None)


def test_a_stop_without_grace_is_one_at_once(bench: WorkersBench) -> None:
    """Its worker learns of it by its next word."""
    launch, lease = bench.taken()
    bench.scheduler.stop(launch.key, 0.0)
    bench.pass_(0.2)
    exit_ = bench.exit_of(launch)
    assert exit_ is not None and exit_.stopped and not complete(lease)


@pytest.mark.parametrize(
    ("limits", "cause"),
    [(Limits(wall_seconds=5.0), Cause.TIMEOUT), (Limits(silence_seconds=5.0), Cause.SILENT)],
)
def test_limits_hold_where_a_worker_does_not_keep_them(bench: WorkersBench, limits: Limits, cause: Cause) -> None:
    """A worker that lives and keeps no limit loses its attempt some time after it."""
    launch, lease = bench.taken(limits=limits)
    for _ in range(4):
        leases.touch(lease.folder)
        bench.pass_(LEASE / 2)
    assert bench.exit_of(launch) is None
    leases.touch(lease.folder)
    bench.pass_(7.0)
    exit_ = bench.exit_of(launch)
    assert exit_ is not None and exit_.cause is cause


def test_an_offer_of_what_has_ended_is_worth_nothing(bench: WorkersBench) -> None:
    """A controller that wakes up late may offer what another one has ended meanwhile."""
    launch = bench.offered()
    records.write_exit(launch.folder, Exit(Cause.NODE_LOST, LOST))
    assert lease_of(bench.folder, "a") is None
    assert Board(bench.folder).offers() == []


def test_a_log_that_comes_twice_is_there_once(tmp_path: Path) -> None:
    """Whatever pieces it comes in; one that leaves a gap is refused."""
    whole = b"".join(b"line %d\n" % number for number in range(20))
    for offset, end in ((0, 30), (0, 50), (20, 60), (60, len(whole)), (0, len(whole))):
        assert leases.append_log(tmp_path, offset, whole[offset:end]) >= end
    with pytest.raises(WrongOffset):
        leases.append_log(tmp_path, len(whole) + 1, b"x")
    assert (tmp_path / files.OUTPUT).read_bytes() == whole


def test_tidying_keeps_what_is_in_use(bench: WorkersBench) -> None:
    """Leases of what has ended go, and workers that asked long ago."""
    _, lease = bench.taken("a", 1)
    _, over = bench.taken("b", 2)
    lease_of(bench.folder, "c")
    complete(over)
    board = Board(bench.folder)
    board.tidy(time.time())
    assert [one.name for one in board.workers() if one.lease] == ["a"]
    board.tidy(time.time() + 2 * leases.FORGOTTEN_SECONDS)
    assert [one.name for one in board.workers()] == ["a"] and lease_of(bench.folder, "a") == lease


# Whatever happens, in whatever order ---------------------------------------------------------------------

WORKERS = st.sampled_from("abc")


class Protocol(RuleBasedStateMachine):
    """Trials, workers that die and come late, and controllers that are killed: one end each, and one finish a trial."""

    TRIALS = 4

    @initialize()
    def begin(self) -> None:
        """Begin with trials that nobody has asked for."""
        self._folder = TemporaryDirectory()
        self.bench = WorkersBench(Path(self._folder.name))
        self.seen: list[Event] = []
        self.attempts = dict.fromkeys(range(1, self.TRIALS + 1), 0)
        self.running: dict[AttemptKey, Launch] = {}
        self.finished: Counter[int] = Counter()
        self.ends: Counter[AttemptKey] = Counter()
        #: How attempts that have ended were when that was told.
        self.left: dict[Path, tuple[Exit | None, int]] = {}
        #: What each worker believes to have, and has reported, with what of it counted.
        self.believed: dict[str, Lease] = {}
        self.given: dict[tuple[int, int], str] = {}
        self.values: dict[AttemptKey, list[float]] = {}
        self.told: dict[AttemptKey, list[float]] = {}

    def _settle(self) -> None:
        """Do what a controller does with events: lost attempts get their next one."""
        events, self.bench.events = self.bench.events, []
        for event in events:
            key = event.key
            assert isinstance(key, AttemptKey)
            if isinstance(event, Reported):
                self.told.setdefault(key, []).append(event.report.metrics["score"])
            if isinstance(event, Refused):
                del self.running[key]
            if isinstance(event, Ended):
                self.ends[key] += 1
                folder = self.running.pop(key).folder
                self.left[folder] = (records.read_exit(folder), len(ReportReader(folder).read_rest()))
                assert self.told.get(key, []) == self.values.get(key, []), "what was taken counts, and nothing else"
                if event.exit.cause is None and not event.exit.stopped:
                    self.finished[key.trial] += 1

    @rule(trial=st.integers(1, TRIALS))
    def start(self, trial: int) -> None:
        """Have the next attempt at a trial offered, if it is its turn and somebody asks."""
        busy = any(key.trial == trial for key in self.running)
        if self.finished[trial] or busy or not self.bench.scheduler.capacity().free(Resources(cpus=0)):
            return
        self.attempts[trial] += 1
        number, attempt = trial, self.attempts[trial]
        folder = self.bench.folder / str(number) / str(attempt)
        records.make_folder(folder, f"{number} {attempt}")
        key = AttemptKey("bench", number, attempt)
        launch = Launch(key, folder, f"{number} {attempt}", metric="score", resources=Resources(cpus=0))
        self.running[key] = launch
        self.bench.start(launch)

    @rule(worker=WORKERS)
    def ask(self, worker: str) -> None:
        """Have a worker ask; it may have died, and then it gets what it had."""
        lease = lease_of(self.bench.folder, worker)
        if lease is None:
            self.believed.pop(worker, None)
            return
        assert self.given.setdefault((lease.trial, lease.attempt), worker) == worker, "two workers have the same"
        self.believed[worker] = lease

    @rule(worker=WORKERS)
    def heartbeat(self, worker: str) -> None:
        """Have a worker show that it lives."""
        if worker in self.believed:
            leases.touch(self.believed[worker].folder)

    @rule(worker=WORKERS, value=st.floats(0, 1))
    def report(self, worker: str, value: float) -> None:
        """Have a worker report, in time or late."""
        if worker not in self.believed:
            return
        lease = self.believed[worker]
        with leases.living(lease.folder) as reports:
            if reports is not None:
                files.append(reports, files.report_line(None, {"score": value}, 1.0))
                self.values.setdefault(AttemptKey("bench", lease.trial, lease.attempt), []).append(value)

    @rule(worker=WORKERS, times=st.integers(1, 2))
    def complete(self, worker: str, times: int) -> None:
        """Have a worker complete its attempt, in time or late, once or twice."""
        for _ in range(times):
            if worker in self.believed:
                complete(self.believed[worker])

    @rule(seconds=st.sampled_from([0.1, 30.0, 61.0, 130.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.bench.pass_(seconds)
        self._settle()

    @rule()
    def poll(self) -> None:
        """Have the controller look."""
        self.bench.pass_(0.1)
        self._settle()

    @rule()
    def kill_controller(self) -> None:
        """Have the controller be killed, with what it had seen and not recorded, and another one take over."""
        self.bench = self.bench.begun_again()
        for key in self.running:
            self.told.pop(key, None)
        self.bench.scheduler.reconcile(list(self.running.values()))

    @rule(trial=st.integers(1, TRIALS))
    def stop(self, trial: int) -> None:
        """Have the running attempt at a trial stopped."""
        for key in [key for key in self.running if key.trial == trial]:
            self.bench.scheduler.stop(key)

    @invariant()
    def ends_are_single(self) -> None:
        """No attempt ends twice, and no trial is finished twice."""
        assert all(times == 1 for times in self.ends.values())
        assert all(times <= 1 for times in self.finished.values())

    @invariant()
    def what_has_ended_stays(self) -> None:
        """Nothing that comes late changes what is known of an attempt that has ended."""
        for folder, known in getattr(self, "left", {}).items():
            assert (records.read_exit(folder), len(ReportReader(folder).read_rest())) == known

    def teardown(self) -> None:
        """Let everything end: what runs is lost or completed in the end."""
        if not hasattr(self, "bench"):
            return
        self.believed.clear()
        for _ in range(3):
            self.bench.pass_(2 * LEASE)
            self._settle()
        assert self.running == {}
        self._folder.cleanup()


Protocol.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestProtocol = Protocol.TestCase
