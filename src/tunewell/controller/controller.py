"""The experiment controller: owns the life cycle of experiments, any number of them in one process.

One thread, one loop. Each step takes what the schedulers tell, lets each experiment advance, records all of
it in one transaction, and only then acts on it. A controller that dies at any point leaves a store that a
new one goes on from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from tunewell.controller.recovery import recover
from tunewell.controller.stop_rules import StopDecision, decide
from tunewell.controller.trial_manager import Experiment, TrialManager, Write
from tunewell.home.home import Home
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.errors import TransitionRefused, UserError
from tunewell.spec.launch import Event
from tunewell.spec.states import ExperimentState
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction
from tunewell.trial import files

log = logging.getLogger(__name__)

#: How often requests of other processes are looked for, and how often the running time is put on record.
REQUEST_SECONDS = 0.5
ELAPSED_SECONDS = 1.0
#: Wait before the store is tried again after it refused to write (a full disk, say).
RETRY_SECONDS = 2.0
#: Longest time that reports wait for the end of a step (an inline trial runs within one).
REPORT_SECONDS = 0.5


@dataclass(slots=True)
class _Active:
    manager: TrialManager
    lock: ExitStack
    #: The rule that ends the search, once one holds.
    decision: StopDecision | None = None
    done: bool = False
    state: ExperimentState = ExperimentState.CREATED
    unrecorded_seconds: float = 0.0
    requests: set[int] = field(default_factory=set)

    @property
    def time_is_due(self) -> bool:
        return self.done or self.unrecorded_seconds >= ELAPSED_SECONDS

    @property
    def experiment(self) -> Experiment:
        return self.manager.experiment


class Controller:
    """Runs experiments to their end."""

    def __init__(
        self,
        store: Store,
        home: Home,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold no experiment yet. `clock` gives dates, `monotonic` measures durations; both in seconds."""
        self.store = store
        self.home = home
        self.clock = clock
        self.monotonic = monotonic
        #: What keeps the store from being written just now, and trials from being started or from reporting.
        self._store_problem = ""
        self._disk_problem = ""
        self._active: dict[str, _Active] = {}
        self._interrupts = 0
        self._interrupts_obeyed = 0
        self._last_step = monotonic()
        self._last_requests = -REQUEST_SECONDS
        self._last_record = self._last_step
        self._hold_until = self._hold_launches_until = 0.0

    # From outside -----------------------------------------------------------------------------------------

    def add(self, experiment: Experiment, max_trials: int, lock: ExitStack | None = None) -> None:
        """Take an experiment of the store over: recover its trials and let it run.

        Args:
            experiment: its fixed parts, with a tuner that has no history yet.
            max_trials: number of trials that it may make.
            lock: its lock, if the caller holds it already; it is released with the experiment.

        Raises:
            ConflictError: another controller runs it.
        """
        name = experiment.name
        with lock or ExitStack() as stack:
            if lock is None:
                stack.enter_context(self.home.lock(name))
            manager = recover(self.store, experiment, max_trials, self.clock, self.monotonic)
            active = _Active(manager, stack.pop_all())
        self._active[name] = active
        row = self.store.experiment(name)
        active.state = row.state
        if row.state is ExperimentState.STOPPING and row.stop_rule == "by_hand":
            manager.progress.stopped_by_hand = True
        if row.state is not ExperimentState.RUNNING:
            self._set_state(active, ExperimentState.RUNNING, None, "")
        self._take_requests(active, after_its_end=row.state.final)
        log.info("experiment '%s' taken over: %s, %d trials running", name, row.state, len(manager.running))

    @property
    def problem(self) -> str:
        """What keeps the controller, or a trial, from going on just now, for people; empty if nothing does."""
        problems = (active.manager.problem for active in self._active.values())
        return self._store_problem or self._disk_problem or next(filter(None, problems), "")

    @property
    def busy(self) -> bool:
        """Whether any experiment is left to run."""
        return bool(self._active)

    def run(self, on_step: Callable[[], None] | None = None) -> None:
        """Step until no experiment is left. KeyboardInterrupt is an orderly interruption, twice is now."""
        while self.busy:
            try:
                self.step()
                if on_step is not None:
                    on_step()
            except KeyboardInterrupt:
                self.interrupt()

    def interrupt(self) -> None:
        """Begin no more trials and end the running ones so that the same search can go on later.

        A second call ends them at once. Takes effect in the next step, so signal handlers may call it.
        """
        self._interrupts += 1

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupts > 0

    def step(self, timeout: float = 0.1) -> None:
        """Do one round: events, requests, decisions, one transaction, effects. Waits at most `timeout` seconds."""
        self._obey_interrupts()
        schedulers = self._schedulers()
        for scheduler in schedulers:
            scheduler.poll(self._on_event, timeout / len(schedulers))
        self._measure_time()
        if self.monotonic() - self._last_requests >= REQUEST_SECONDS:
            self._last_requests = self.monotonic()
            for active in self._active.values():
                self._take_requests(active)
        for active in self._active.values():
            self._advance(active)
        self._launch()
        self._record()
        # Interrupted while nothing can be recorded: the next controller finds out what became of the trials.
        abandoned = self.interrupted and bool(self._store_problem)
        for name, active in list(self._active.items()):
            if abandoned or (active.done and not active.manager.writes):
                self._active.pop(name).lock.close()

    # One step ---------------------------------------------------------------------------------------------

    def _schedulers(self) -> list[Scheduler]:
        unique = {id(active.experiment.scheduler): active.experiment.scheduler for active in self._active.values()}
        return list(unique.values())

    def _obey_interrupts(self) -> None:
        if self._interrupts == self._interrupts_obeyed:
            return
        self._interrupts_obeyed = self._interrupts
        for active in self._active.values():
            active.manager.interrupt(grace_seconds=0.0 if self._interrupts > 1 else None)

    def _on_event(self, event: Event) -> None:
        active = self._active.get(event.key.experiment)
        if active is None:
            return
        self._measure_time()
        active.manager.on_event(event)
        self._advance(active)  # a report may end an inline trial while it is being called
        if self.monotonic() - self._last_record >= REPORT_SECONDS:
            self._record()

    def _measure_time(self) -> None:
        now = self.monotonic()
        passed, self._last_step = now - self._last_step, now
        for active in self._active.values():
            active.manager.progress.elapsed_seconds += passed
            active.unrecorded_seconds += passed

    def _take_requests(self, active: _Active, after_its_end: bool = False) -> None:
        name = active.experiment.name
        for request in self.store.requests(name):
            if request.id in active.requests:
                continue
            if request.verb == "retry" and active.decision is not None:
                continue  # too late for this run: the next one takes it up
            active.requests.add(request.id)
            # A stop that nobody obeyed because the search had ended was not meant for the next run.
            if request.verb == "retry":
                self._retry(active, (request.data or {}).get("trials", []))
            elif request.verb == "stop" and not after_its_end:
                active.manager.progress.stopped_by_hand = True
            elif request.verb == "stop_trial" and not after_its_end and request.trial is not None:
                active.manager.stop_trial(request.trial)
            active.manager.writes.append(partial(Transaction.handle_request, request_id=request.id))

    def _retry(self, active: _Active, numbers: list[int]) -> None:
        manager = active.manager
        for number in numbers:
            if number in manager.running or any(trial.suggestion.number == number for trial in manager.waiting):
                continue
            row = self.store.trial(active.experiment.name, number)
            if row.state in ("failed", "stopped"):
                manager.retry(row)

    def _advance(self, active: _Active) -> None:
        manager = active.manager
        if active.decision is None and not self.interrupted:
            decision = active.decision = decide(active.experiment.spec, manager.progress)
            if decision is not None:
                manager.stop_all()
                if manager.running:
                    self._set_state(active, ExperimentState.STOPPING, decision.rule, decision.detail)
        if manager.running or active.done:
            return
        if active.decision is not None:
            self._set_state(active, active.decision.state, active.decision.rule, active.decision.detail)
        elif self.interrupted:
            self._set_state(active, ExperimentState.PAUSED, None, "It was interrupted.")
        else:
            return
        active.done = True

    def _set_state(self, active: _Active, new: ExperimentState, rule: str | None, detail: str) -> None:
        name, old, now = active.experiment.name, active.state, self.clock()
        active.state = new
        active.manager.writes.append(
            lambda tx: tx.set_experiment_state(name, old, new, stop_rule=rule, detail=detail, now=now)
        )

    def _launch(self) -> None:
        self._look_for_room()
        if self.interrupted or self._store_problem or self._disk_problem:
            return
        reserved: dict[int, float] = {}
        willing = [active for active in self._active.values() if active.decision is None]
        while willing:
            # One trial an experiment in turn, so that none starves the others.
            willing = [active for active in willing if self._launch_one(active, reserved)]

    def _look_for_room(self) -> None:
        """Find out whether trials find room on the disk: what would be started without it would only be lost."""
        now, folder = self.monotonic(), self.home.folder
        needed = [active.manager for active in self._active.values() if active.experiment.scheduler.needs_folder]
        if any(manager.lacked_room for manager in needed):
            self._hold_launches_until = now + RETRY_SECONDS
        for manager in needed:
            manager.lacked_room = False
        lacking = bool(needed) and (now < self._hold_launches_until or files.is_full(folder))
        problem = f"{folder}: the disk is full. Free some space; the search goes on by itself."
        self._disk_problem = problem if lacking else ""

    def _launch_one(self, active: _Active, reserved: dict[int, float]) -> bool:
        scheduler, resources = active.experiment.scheduler, active.experiment.resources
        taken = reserved.get(id(scheduler), 0)
        units = max(resources.cpus, resources.gpus)
        free = scheduler.free(resources) * units
        # Fractions of cores add up to whole ones but for rounding.
        if free - taken < units - 1e-9 or not active.manager.launch_next():
            return False
        reserved[id(scheduler)] = taken + units
        return True

    def _record(self) -> None:
        now = self.monotonic()
        if now < self._hold_until:
            return
        if not self._anything_to_record():
            self._store_problem = ""
            return
        try:
            with self.store.transaction() as tx:
                for active in self._active.values():
                    for write in active.manager.writes:
                        _carry_out(write, tx, active.experiment.name)
                    if active.time_is_due:
                        tx.add_elapsed(active.experiment.name, active.unrecorded_seconds)
        except UserError as error:
            if str(error) != self._store_problem:
                log.error("the store can't be written (%s); trying again", error)
            self._store_problem = str(error)
            self._hold_until = now + RETRY_SECONDS
            return
        self._store_problem = ""
        self._last_record = now
        for active in self._active.values():
            if active.time_is_due:
                active.unrecorded_seconds = 0.0
            active.manager.writes.clear()
            effects, active.manager.effects = active.manager.effects, []
            for effect in effects:
                effect()

    def _anything_to_record(self) -> bool:
        return any(active.manager.writes or active.time_is_due for active in self._active.values())


def _carry_out(write: Write, tx: Transaction, name: str) -> None:
    """Write; what the store refuses as no longer true is dropped, so that it doesn't hold all others back."""
    try:
        write(tx)
    except TransitionRefused as error:
        log.error("experiment '%s': not recorded: %s", name, error)
