"""Running an experiment in this process, to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from types import FrameType

from tunewell.controller.controller import Controller
from tunewell.controller.resources import explain_concurrency, plan_resources
from tunewell.controller.trial_manager import Experiment
from tunewell.home.home import Home
from tunewell.schedulers.contract import Scheduler
from tunewell.schedulers.inline import InlineScheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.service.submission import (
    Function,
    make_tuner,
    recorded_plan,
    trial_budget,
)
from tunewell.store.store import Store
from tunewell.tasks.contract import OnProgress


def run_experiment(
    store: Store,
    home: Home,
    name: str,
    *,
    function: Function | None = None,
    inline: bool = False,
    progress: OnProgress = lambda what, done, total: None,
    on_step: Callable[[Controller], None] = lambda controller: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> bool:
    """Prepare and run a recorded experiment until it has ended or is interrupted; return whether it has ended.

    Args:
        function: the Python function, for a search over one.
        inline: call the function in this thread, instead of in a process a trial.
        progress: told how far the preparation is.
        on_step: called after each step of the controller.
        tell: told, at the start, how many trials run at once and why.

    Raises:
        UserError: the data can't be used, or another process runs the experiment.
    """
    row = store.experiment(name)
    spec, task, space = recorded_plan(home, row, function)
    max_trials = trial_budget(spec, row)
    tuner = make_tuner(spec, task, space, max_trials, row.algorithm)
    scheduler: Scheduler = InlineScheduler(function, spec.objective.metric) if inline and function else LocalScheduler()
    controller = Controller(store, home)
    with closing(scheduler), ExitStack() as lock:
        resources = plan_resources(spec, scheduler)
        lock.enter_context(home.lock(name))
        notes = [] if inline else task.prepare(spec, space, home.experiment(name), home.cache, progress)
        with store.transaction() as tx:
            tx.add_notes(name, notes)
        if not inline:
            tell(explain_concurrency(spec, resources, scheduler, tuner))
        experiment = Experiment(spec, task, tuner, scheduler, home, resources)
        controller.add(experiment, max_trials, lock.pop_all())
        with _interruptible(controller, scheduler):
            controller.run(lambda: on_step(controller))
    return not controller.interrupted


@contextmanager
def _interruptible(controller: Controller, scheduler: Scheduler) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an orderly interruption (twice: at once), where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        # A function that runs in this very thread can only be ended by an exception.
        if getattr(scheduler, "calling", False):
            raise KeyboardInterrupt
        controller.interrupt()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
