"""Running a controller in this process: for one experiment, for jobs, or for all work of a home."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from types import FrameType

from tunewell.controller.controller import Controller, Work, sets_going
from tunewell.controller.experiment_run import add_follow_up
from tunewell.controller.job_run import belongs_to_search
from tunewell.controller.loading import Function, recorded
from tunewell.controller.surroundings import Surroundings
from tunewell.home.home import Home
from tunewell.schedulers.inline import InlineScheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.service import wire
from tunewell.service.job_kinds import KINDS
from tunewell.spec.states import OPEN_JOB_STATES, ExperimentState, JobState
from tunewell.store.dialect import StoreError, Unreachable
from tunewell.store.rows import JobRow
from tunewell.store.store import Store

#: How often it is looked whether anything has changed where another process does the work.
FOLLOW_SECONDS = 0.1
#: How often it is looked what the jobs of an experiment do.
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Situation:
    """How it stands with a controller in this process."""

    #: What keeps it from going on just now, for people; empty if nothing does.
    problem: str
    #: Whether it was interrupted and brings what runs to an end.
    interrupted: bool
    #: What is done for the experiment beside its trials, a line; empty if nothing is.
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """How an experiment is run in this process."""

    #: The Python function, for a search over one.
    function: Function | None = None
    #: Whether the function is called in this thread, instead of in a process a trial.
    inline: bool = False
    #: Whether finalists, evaluation and report follow the search.
    follow_up: bool = True


PLAIN = Given()
OnStep = Callable[[Situation], None]
Tell = Callable[[str], None]


def run_experiment(
    store: Store,
    home: Home,
    name: str,
    given: Given = PLAIN,
    on_step: OnStep = lambda situation: None,
    tell: Tell = lambda sentence: None,
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

    Raises:
        UserError: it can't be run, or another process runs it.
    """
    if home.is_served and given.function is None:
        if _follow(store, home, name, on_step, tell):
            return store.experiment(name).state.final
        tell("The controller of this home has ended; its work goes on here.")
        if store.experiment(name).state.final and not _is_to_go_on(store, name):
            return not open_follow_up(store, name) or run_follow_up(store, home, name, on_step)
    row = store.experiment(name)
    told = False
    with ExitStack() as stack:
        calls = None
        if given.inline and given.function is not None:
            metric = row.spec["objective"]["metric"]
            calls = stack.enter_context(closing(InlineScheduler(given.function, metric)))
        scheduler = stack.enter_context(closing(LocalScheduler(home.claims)))
        surroundings = _surroundings(store, home, given, waits=calls is not None)
        controller = Controller(surroundings, Work(experiments=frozenset({name})), scheduler, calls)
        _take(controller, name, on_step)
        stack.enter_context(_interruptible(controller, calls))
        stack.callback(controller.leave)
        doing = _Doing(store, home, name)

        def until() -> bool:
            nonlocal told
            if controller.concurrency and not told and calls is None:
                told = True
                tell(controller.concurrency)
            on_step(Situation(controller.problem, controller.interrupted, doing.line()))
            return not controller.busy and not open_follow_up(store, name)

        controller.run(_unless_absent(until))
    if name in controller.errors:
        raise controller.errors[name]
    return not controller.interrupted and store.experiment(name).state is not ExperimentState.PAUSED


def _take(controller: Controller, name: str, on_step: OnStep) -> None:
    """Have a controller take an experiment over, which is to go on; a server that is gone is waited for."""
    while True:
        try:
            _take_back_pause(controller.store, name)
            controller.take_experiment(name)
            return
        except Unreachable as error:
            on_step(Situation(str(error), False))
            time.sleep(FOLLOW_SECONDS)


def run_follow_up(store: Store, home: Home, name: str, on_step: OnStep = lambda situation: None) -> bool:
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
        controller = Controller(_surroundings(store, home), Work(experiments=frozenset({name})), scheduler)

        def until() -> bool:
            on_step(Situation(controller.problem, controller.interrupted, doing.line()))
            return not controller.busy and not open_follow_up(store, name)

        with _interruptible(controller, None):
            controller.run(_unless_absent(until))
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
) -> bool:
    """Run a recorded job, those that it waits for, and those that it brings about, to their end.

    Return whether it has ended, and they too.

    Another process may be at it: then its end is waited for.

    Args:
        store: where it is on record.
        home: the home of that store.
        job: its number.
        on_step: called after each step.
        leave: asked at an interruption whether the job is to go on without this process; default: it is ended, and
            waits for the next controller.
    """
    wanted, after = {job}, store.job(job).after
    while after is not None:
        wanted.add(after)
        after = store.job(after).after
    work, asked = Work(jobs=frozenset(wanted)), threading.Event()

    def ended() -> bool:
        return store.job(job).state.final and not any(map(work.wants_job, store.open_jobs()))

    if _wait(store, home, ended, on_step):
        return True
    with closing(LocalScheduler(home.claims)) as scheduler:
        controller = Controller(_surroundings(store, home), work, scheduler)

        def until() -> bool:
            on_step(Situation(controller.problem, controller.interrupted))
            if asked.is_set():
                asked.clear()
                if leave is not None and leave():
                    return True
                controller.interrupt()
            return ended()

        with _interruptible(controller, None, asked if leave is not None else None):
            controller.run(_unless_absent(until))
        controller.leave()
    return ended()


def run_all(
    store: Store,
    home: Home,
    stop: threading.Event,
    on_step: OnStep = lambda situation: None,
    lost_hosts: Collection[str] = (),
) -> None:
    """Run everything that is on record, and what is recorded meanwhile, until `stop` is set; trials live on then.

    Args:
        store: where it is on record.
        home: the home of that store.
        stop: ends it.
        on_step: called after each step.
        lost_hosts: machines that are gone for good; what ran there is lost, and begins anew.

    Raises:
        ConflictError: another process does so, and the database is a file.
    """
    with home.serve(), closing(LocalScheduler(home.claims)) as scheduler:
        surroundings = replace(_surroundings(store, home), lost_hosts=frozenset(lost_hosts))
        controller = Controller(surroundings, Work(everything=True), scheduler)

        def until() -> bool:
            on_step(Situation(controller.problem, controller.interrupted))
            return stop.is_set()

        controller.run(until)
        controller.leave()


def _take_back_pause(store: Store, name: str) -> None:
    """Let the wish to go on, which is newer, undo a pause that was asked for when nothing ran the experiment."""
    verbs = [request.verb for request in store.requests(name) if request.verb in ("pause", "resume")]
    if verbs and verbs[-1] == "pause":
        store.request(name, "resume")


def _follow(store: Store, home: Home, name: str, on_step: OnStep, tell: Tell) -> bool:
    """Wait while the controller of the home runs an experiment; return whether it has ended or rests."""
    row = store.experiment(name)
    if row.state.final or row.state is ExperimentState.PAUSED:
        store.request(name, "resume")
    _take_back_pause(store, name)
    tell("A controller of this home runs the search; Ctrl-C here leaves it running.")

    def is_over() -> bool:
        state = store.experiment(name).state
        resting = state.final or state is ExperimentState.PAUSED
        return resting and not _is_to_go_on(store, name) and not open_follow_up(store, name)

    return _wait(store, home, is_over, on_step, _Doing(store, home, name).line)


def _is_to_go_on(store: Store, name: str) -> bool:
    """Whether an experiment that rests is asked to go on; what else is asked of it may never be answered."""
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
            running = self._store.jobs(self._name, states=(JobState.RUNNING,), limit=1)
            self._line = next((wire.progress_line(wire.job(self._home, row)) for row in running), "")
        return self._line


def _wait(
    store: Store, home: Home, is_over: Callable[[], bool], on_step: OnStep, doing: Callable[[], str] = lambda: ""
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
            on_step(Situation("", False, doing()))
        except StoreError as error:
            served_until = time.monotonic() + home.away_seconds  # nobody can be seen to serve
            on_step(Situation(str(error), False))
        time.sleep(FOLLOW_SECONDS)


def _unless_absent(until: Callable[[], bool]) -> Callable[[], bool]:
    """Return what says whether it is over: not as long as the store can't be read."""

    def is_over() -> bool:
        try:
            return until()
        except StoreError:
            return False

    return is_over


def _surroundings(store: Store, home: Home, given: Given = PLAIN, waits: bool = False) -> Surroundings:
    return Surroundings(store, home, KINDS, lambda row: recorded(home, row, given.function), given.follow_up, waits)


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
