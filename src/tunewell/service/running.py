"""Running a controller in this process: for one experiment, for jobs, or for all work of a home."""

from __future__ import annotations

import math
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import FrameType

from tunewell.controller.controller import Controller
from tunewell.controller.experiment_run import add_follow_up
from tunewell.controller.job_run import belongs_to_search
from tunewell.controller.loading import recorded
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.work import Work, sets_going
from tunewell.home.cluster import forget_cluster
from tunewell.home.home import Home
from tunewell.home.removal import finish_removals
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.inline import InlineScheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.schedulers.trial_user import find_trial_user
from tunewell.service import wire
from tunewell.service.job_kinds import KINDS, ON_NODES
from tunewell.service.notifications.deliverer import delivering
from tunewell.service.runs import ALONE, PLAIN, Given, OnStep, Serving, Situation, Tell
from tunewell.service.upkeep.collecting import keep_within
from tunewell.spec.errors import ArgumentError, listed
from tunewell.spec.rules import WORKERS
from tunewell.spec.states import OPEN_JOB_STATES, ExperimentState, JobState
from tunewell.spec.waits import recorded_reason
from tunewell.store.errors import Busy, Moved, StoreError, Unreachable
from tunewell.store.rows import JobRow
from tunewell.store.store import Store

#: How often it is looked whether anything has changed where another process does the work.
FOLLOW_SECONDS = 0.1
#: How often it is looked what the jobs of an experiment do.
LOOK_SECONDS = 0.25
#: After how long it is told that no controller of the home has taken something over.
UNOWNED_SECONDS = 10.0


def run_experiment(
    store: Store,
    home: Home,
    name: str,
    given: Given = PLAIN,
    on_step: OnStep = lambda situation: None,
    tell: Tell = lambda sentence: None,
    cluster: SchedulerApart | None = None,
) -> bool:
    """Run a recorded experiment, and the jobs that follow it, to their end; return whether it has ended.

    False: it was interrupted, or paused.

    Args:
        store: where it is on record.
        home: the home of that store.
        name: the experiment.
        given: how it is run.
        on_step: called after each step.
        tell: told, once it is known, how many trials run at once and why.
        cluster: the cluster that this process has joined; None: none.

    Raises:
        UserError: it can't be run, or another process runs it.
    """
    if home.is_served and given.function is None:
        if _follow(store, home, name, on_step, tell):
            return store.experiment(name).state.final
        tell("The controller of this home has ended; its work goes on here.")
        if store.experiment(name).state.final:
            return not open_follow_up(store, name) or run_follow_up(store, home, name, on_step)
    row = store.experiment(name)
    if row.spec.get("scheduler") == WORKERS and home.address is None:
        tell("Its trials are for workers, which need a service to ask: none serves this home yet.")
    told = False
    with ExitStack() as stack:
        calls = None
        if given.inline and given.function is not None:
            metric = row.spec["objective"]["metric"]
            calls = stack.enter_context(closing(InlineScheduler(given.function, metric)))
        scheduler = stack.enter_context(closing(LocalScheduler(home.claims)))
        surroundings = _surroundings(store, home, given, waits=calls is not None)
        controller = Controller(surroundings, Work(experiments=frozenset({name})), scheduler, calls, cluster)
        _take(controller, name, on_step)
        stack.enter_context(_interruptible(controller, calls))
        stack.callback(controller.leave)
        doing = _Doing(store, home, name)

        def until() -> bool:
            nonlocal told
            if controller.concurrency and not told and calls is None:
                told = True
                tell(controller.concurrency)
            on_step(_situation(controller, doing.line()))
            return not controller.busy and not open_follow_up(store, name)

        controller.run(_until_refused(controller, until))
    if name in controller.errors:
        raise controller.errors[name]
    return not controller.interrupted and store.experiment(name).state is not ExperimentState.PAUSED


def _take(controller: Controller, name: str, on_step: OnStep) -> None:
    """Have a controller take an experiment over, which is to go on."""

    def take() -> None:
        _take_back_pause(controller.store, name)
        controller.take_experiment(name)

    _outlast(take, on_step)


def _outlast(call: Callable[[], object], on_step: OnStep, stop: threading.Event | None = None) -> bool:
    """Make a call again and again while the server is gone or busy; False: it was not made before `stop` was set."""
    stop = stop or threading.Event()
    while not stop.is_set():
        try:
            call()
        except (Unreachable, Busy) as error:
            on_step(Situation(str(error), False, absent=True))
            stop.wait(FOLLOW_SECONDS)
        else:
            return True
    return False


def run_follow_up(
    store: Store,
    home: Home,
    name: str,
    on_step: OnStep = lambda situation: None,
    cluster: SchedulerApart | None = None,
) -> bool:
    """Run the jobs that follow a search which has ended: those that are open, or new ones if it has no report yet.

    Return whether they have ended; False: they were interrupted, and wait.
    """
    if not open_follow_up(store, name):
        row, report = store.experiment(name), wire.report_file(home, name)
        if report is not None and (row.ended_at is None or report.written_at >= wire.moment(row.ended_at)):
            return True
        found = recorded(home, store.experiment(name))
        with store.transaction() as tx:
            add_follow_up(found, None, tx)
    doing = _Doing(store, home, name)
    if _wait(store, home, lambda: not open_follow_up(store, name), on_step, doing.line):
        return True
    with closing(LocalScheduler(home.claims)) as scheduler:
        work = Work(experiments=frozenset({name}))
        controller = Controller(_surroundings(store, home), work, scheduler, cluster=cluster)

        def until() -> bool:
            on_step(_situation(controller, doing.line()))
            return not controller.busy and not open_follow_up(store, name)

        with _interruptible(controller, None):
            controller.run(_until_refused(controller, until))
        controller.leave()
    return not controller.interrupted


def open_follow_up(store: Store, name: str) -> list[JobRow]:
    """Return the jobs that belong to a search and have not ended."""
    return [job for job in store.jobs(name, states=OPEN_JOB_STATES) if belongs_to_search(job)]


def run_job(
    store: Store,
    home: Home,
    job: int,
    on_step: OnStep = lambda situation: None,
    leave: Callable[[], bool] | None = None,
    cluster: SchedulerApart | None = None,
) -> bool:
    """Run a recorded job, those that it waits for, and those that it brings about, to their end.

    Return whether it has ended, and they too.

    Another process may be at it: then its end is waited for.

    Raises:
        UserError: it can't be run here.

    Args:
        store: where it is on record.
        home: the home of that store.
        job: its number.
        on_step: called after each step.
        leave: asked at an interruption whether the job is to go on without this process; default: it is ended, and
            waits for the next controller.
        cluster: the cluster that this process has joined; None: none.
    """
    wanted, after = {job}, store.job(job).after
    while after is not None:
        wanted.add(after)
        after = store.job(after).after
    work, asked = Work(jobs=frozenset(wanted)), threading.Event()

    def ended() -> bool:
        return store.job(job).state.final and not any(map(work.wants_job, store.open_jobs()))

    if _wait(store, home, ended, on_step, problem=_unowned_job(store, job).problem):
        return True
    with closing(LocalScheduler(home.claims)) as scheduler:
        controller = Controller(_surroundings(store, home), work, scheduler, cluster=cluster)

        def until() -> bool:
            on_step(_situation(controller))
            if asked.is_set():
                asked.clear()
                if leave is not None and leave():
                    return True
                controller.interrupt()
            return ended()

        with _interruptible(controller, None, asked if leave is not None else None):
            controller.run(_until_refused(controller, until))
        controller.leave()
    return ended()


def run_all(
    store: Store,
    home: Home,
    stop: threading.Event,
    on_step: OnStep = lambda situation: None,
    tell: Tell = lambda sentence: None,
    serving: Serving = ALONE,
    cluster: SchedulerApart | None = None,
) -> None:
    """Run everything that is on record, and what is recorded meanwhile, until `stop` is set; trials live on then.

    Args:
        store: where it is on record.
        home: the home of that store.
        stop: ends it.
        on_step: called when it begins to serve, and after each step.
        tell: told in sentences what may not be meant so.
        serving: how it is done.
        cluster: the cluster that this process has joined, or is about to; None: none.

    Raises:
        ArgumentError: one of the machines can't be meant.
        ConflictError: another process does so, and the database is a file.
        DataError: the database can't be written, or was moved away.
        UserError: there is no such user, or this process may not become one.
    """
    for sentence in _check_lost_hosts(store, serving.lost_hosts):
        tell(sentence)
    user = find_trial_user(serving.trial_user, home.folder) if serving.trial_user is not None else None
    with ExitStack() as stack:
        if not _outlast(lambda: stack.enter_context(home.serve()), on_step, stop):
            return
        scheduler = stack.enter_context(closing(LocalScheduler(home.claims, trial_user=user)))
        on_step(Situation("", False))
        if user is not None:
            user.prepare()
        if cluster is None:
            forget_cluster(home.folder)
        finish_removals(home, store)
        surroundings = replace(_surroundings(store, home), lost_hosts=frozenset(serving.lost_hosts), api=serving.api)
        controller = Controller(surroundings, Work(everything=True), scheduler, cluster=cluster)
        stack.callback(controller.leave)
        stack.enter_context(delivering(store, serving.outgoing))

        def until() -> bool:
            on_step(_situation(controller))
            if stop.is_set() and serving.stop_trials and not controller.interrupted:
                controller.interrupt(rests=False)
            return stop.is_set() and not serving.stop_trials

        controller.run(until)


def _check_lost_hosts(store: Store, hosts: Collection[str]) -> list[str]:
    """Return notes on machines that are said to be gone for good; raise `ArgumentError` for what can't be meant."""
    if hosts and store.session is None:
        problem = "the database is a file, and all that it runs is on one machine"
        raise ArgumentError("lost_host", problem, "Leave it out")
    for host in hosts:
        if not host.strip():
            raise ArgumentError("lost_host", "it is no name", "Give the name of a machine, or leave it out", host)
        if host == socket.gethostname():
            problem = f"'{host}': it is this machine itself"
            raise ArgumentError("lost_host", problem, "Leave it out: what runs here is followed", host)
    if not hosts:
        return []
    known = {host for row in store.open_experiments() for host in store.hosts(row.name)}
    known |= {row.host for row in store.open_jobs() if row.state is JobState.RUNNING and row.host}
    there = f"; there is work on {listed(sorted(known))}" if known else ""
    return [f"Nothing on record runs on host {host}{there}." for host in hosts if host not in known]


def _take_back_pause(store: Store, name: str) -> None:
    """Let the wish to go on, which is newer, undo a pause that was asked for when nothing ran the experiment."""
    verbs = [request.verb for request in store.requests(name) if request.verb in ("pause", "resume")]
    if verbs and verbs[-1] == "pause":
        store.request(name, "resume")


def _follow(store: Store, home: Home, name: str, on_step: OnStep, tell: Tell) -> bool:
    """Wait while the controller of the home runs an experiment; return whether it has ended or rests."""
    if store.experiment(name).state is ExperimentState.PAUSED:
        store.request(name, "resume")
    _take_back_pause(store, name)
    tell("A controller of this home is to run the search; Ctrl-C here does not end it.")

    def is_over() -> bool:
        state = store.experiment(name).state
        resting = state.final or state is ExperimentState.PAUSED
        return resting and not _is_to_go_on(store, name) and not open_follow_up(store, name)

    unowned = _unowned_experiment(store, home, name)
    return _wait(store, home, is_over, on_step, _Doing(store, home, name).line, unowned.problem)


def _is_to_go_on(store: Store, name: str) -> bool:
    """Whether an experiment that is paused is asked to go on; what else is asked of it may never be answered."""
    row = store.experiment(name)
    return any(sets_going(request, row) for request in store.requests(name))


class _Doing:
    """What is done for an experiment beside its trials."""

    def __init__(self, store: Store, home: Home, name: str) -> None:
        self._store, self._home, self._name = store, home, name
        self._looked_at, self._line = float("-inf"), ""

    def line(self) -> str:
        """Return what its running job does, as of a moment ago; empty if none runs."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            with suppress(StoreError):  # what keeps it from being read is told elsewhere
                running = self._store.jobs(self._name, states=(JobState.RUNNING,), limit=1)
                self._line = next((wire.progress_line(wire.job(self._home, row)) for row in running), "")
        return self._line


class _Unowned:
    """Whether the controllers of a home leave something alone that one of them is to run."""

    def __init__(
        self,
        what: str,
        is_owned: Callable[[], bool],
        hosts: Callable[[], Collection[str]],
        reason: Callable[[], str] = lambda: "",
    ) -> None:
        """Take what people call it, whether a process has it, and the machines that it has work running on.

        `reason`: why it can't go on, though there is a controller for it, as that says; empty: it says nothing.
        """
        self._what, self._is_owned, self._hosts, self._reason = what, is_owned, hosts, reason
        self._looked_at = self._owned_at = time.monotonic()
        self._problem = ""

    def problem(self) -> str:
        """Return, as of a moment ago, why nothing happens for long: for people; empty if something does."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            if self._is_owned():
                self._owned_at = now
            self._problem = self._reason() or (self._why() if now - self._owned_at >= UNOWNED_SECONDS else "")
        return self._problem

    def _why(self) -> str:
        hosts = listed(sorted(self._hosts()))
        where = f", which has work running on {hosts}" if hosts else ""
        remedy = f" Start one there, or say that {hosts} is gone for good." if hosts else ""
        return f"no controller has taken over {self._what}{where}.{remedy}"


def _unowned_experiment(store: Store, home: Home, name: str) -> _Unowned:
    def is_owned() -> bool:
        # Nobody need have a search that has ended: what follows it are jobs.
        return home.is_running(name) or (store.experiment(name).state.final and not _is_to_go_on(store, name))

    def what_it_waits_for() -> str:
        reason = recorded_reason(store.experiment(name).waits_for)
        return reason.detail if reason is not None and reason.code == "no_cluster" else ""

    return _Unowned(f"experiment '{name}'", is_owned, lambda: _bound_to(store, name), what_it_waits_for)


def _bound_to(store: Store, name: str) -> Collection[str]:
    """Return the machines that an experiment is bound to: none where all who open the database are on one."""
    return store.hosts(name) if store.session is not None else ()


def _unowned_job(store: Store, job: int) -> _Unowned:
    """Return whether nobody goes on with a job that has begun; a file has no controllers on other machines."""

    def is_owned() -> bool:
        return store.session is None or store.job(job).state is not JobState.RUNNING or job in store.owned("job")

    return _Unowned(f"job {job}", is_owned, lambda: [host for host in [store.job(job).host] if host])


def _wait(
    store: Store,
    home: Home,
    is_over: Callable[[], bool],
    on_step: OnStep,
    doing: Callable[[], str] = lambda: "",
    problem: Callable[[], str] = lambda: "",
) -> bool:
    """Wait for the controller of the home to bring something about; False: it is not over, and there is none."""
    version, served_until = -1, -math.inf
    while True:
        try:
            if home.is_served:
                served_until = time.monotonic() + home.away_seconds
            elif time.monotonic() >= served_until:
                return False
            now = store.version()
            if now != version:
                if is_over():
                    return True
                version = now
            on_step(Situation(problem(), False, doing()))
        except Moved:
            raise
        except StoreError as error:
            served_until = time.monotonic() + home.away_seconds  # nobody can be seen to serve
            on_step(Situation(str(error), False, absent=True))
        time.sleep(FOLLOW_SECONDS)


def _until_refused(controller: Controller, until: Callable[[], bool]) -> Callable[[], bool]:
    """Return what says whether it is over: not as long as the store can't be read.

    It raises `UserError` where nothing is left but what this controller can't take over.
    """

    def is_over() -> bool:
        try:
            over = until()
        except StoreError:
            return False
        if not over and not controller.busy:
            for refusal in controller.refused.values():
                raise refusal
        return over

    return is_over


def _situation(controller: Controller, doing: str = "") -> Situation:
    return Situation(
        controller.problem,
        controller.interrupted,
        doing,
        step_seconds=controller.step_seconds,
        absent=controller.absent,
        experiments=controller.experiments,
        refused=tuple(controller.refused.values()),
    )


def _surroundings(store: Store, home: Home, given: Given = PLAIN, waits: bool = False) -> Surroundings:
    return Surroundings(
        store,
        home,
        KINDS,
        lambda row: recorded(home, row, given.function),
        given.follow_up,
        waits,
        on_nodes=ON_NODES,
        keep_within=partial(keep_within, store, home),
    )


@contextmanager
def _interruptible(
    controller: Controller, inline: InlineScheduler | None, asked: threading.Event | None = None
) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an orderly interruption (twice: at once), where this is the main thread.

    With `asked`, the first SIGINT only sets that: somebody is to be asked what is meant.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        del frame
        # A function that runs in this very thread can only be ended by an exception.
        if inline is not None and inline.calling:
            raise KeyboardInterrupt
        if asked is not None and signum == signal.SIGINT and not controller.interrupted:
            asked.set()
        else:
            controller.interrupt()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
