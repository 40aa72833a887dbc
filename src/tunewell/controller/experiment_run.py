"""One experiment under way: taken over, prepared, searched, paused, brought to its end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from tunewell.controller.background import Calls, Direct
from tunewell.controller.fair import Party
from tunewell.controller.going_on import goes_on
from tunewell.controller.journal import Journal
from tunewell.controller.loading import Recorded
from tunewell.controller.preparation import Preparation
from tunewell.controller.recovery import launches, recover
from tunewell.controller.resources import explain_concurrency, plan_again
from tunewell.controller.room import Turn
from tunewell.controller.stop_rules import StopDecision, decide
from tunewell.controller.surroundings import Ownership, Place, Surroundings
from tunewell.controller.trial_manager import Helpers, Setting, TrialManager
from tunewell.controller.verdict import cut_of
from tunewell.controller.waits import Waits
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import UserError, count
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import AttemptKey, Event, Launch, Resources, WorkKey
from tunewell.spec.names import CONTROLLER
from tunewell.spec.rules import RAY, WORKERS
from tunewell.spec.states import EXPERIMENT_TRANSITIONS, ExperimentState, JobState, TrialState
from tunewell.spec.waits import PAUSING, Reason
from tunewell.store.dialect import StoreError
from tunewell.store.rows import AttemptEnd, ExperimentRow, JobRow, RequestRow, TrialRow
from tunewell.store.transaction import Transaction
from tunewell.tuners.catalogue import other_version

log = logging.getLogger(__name__)

#: Rules that don't wait for what the tuner makes of the last outcomes.
_AT_ONCE = ("by_hand", "max_duration", "error")
#: How often the running time is put on record.
ELAPSED_SECONDS = 1.0


class ExperimentRun:
    """An experiment that this controller owns."""

    def __init__(
        self,
        surroundings: Surroundings,
        place: Place,
        owned: Ownership,
        row: ExperimentRow,
        requests: Sequence[RequestRow],
    ) -> None:
        """Take over an experiment that is on record; `begin` sets it going.

        Args:
            surroundings: what it shares with others.
            place: where its trials run.
            owned: what says that this process owns it.
            row: its record.
            requests: what is asked of it at this moment.
        """
        self.term = owned.term
        self.scheduler = place.scheduler
        self.state = row.state
        self.journal = Journal()
        self.manager: TrialManager | None = None
        #: The rule that ends the search, once one holds.
        self.decision: StopDecision | None = None
        #: Whether there is nothing more to be done here.
        self.done = False
        #: What a user did wrong, where that has ended it.
        self.error: UserError | None = None
        #: What kept the store from being read, if that is why it can't go on as it is.
        self.unread: StoreError | None = None
        self.unrecorded_seconds = 0.0
        #: What its next trial takes; None while that is not known.
        self.needs: Resources | None = Resources.from_json(row.resources) if row.resources else None
        #: How many trials run at once, and why; empty while that is not known.
        self.concurrency = ""
        self._surroundings = surroundings
        self._owned = owned
        self._row = row
        self._place = place
        self.party = party_of(row)
        #: Why it starts nothing just now.
        self.waits = Waits(surroundings.clock, surroundings.monotonic)
        self._clock, self._monotonic = surroundings.clock, surroundings.monotonic
        self._owners = [surroundings.background.owner(row.name, self.fail) for _ in range(3)]
        calls: Sequence[Calls] = [Direct()] * 3 if surroundings.waits else self._owners
        self._slow, self._tuning, self._copies = calls
        self._recorded: Recorded | None = None
        self._preparation = Preparation(row.name, surroundings.store, surroundings.clock)
        #: Whether it is made from the record what was known of its trials, or is made already.
        self._recovers = False
        #: Why its data could not be prepared, which ends it once nothing runs any more.
        self._unprepared = ""
        self._requests: set[int] = set()
        #: Requests to pause that are obeyed, but not fulfilled yet.
        self._pause_requests: list[int] = []
        # A search that has ended would end again before it is looked for what is asked of it.
        self._retries = [request for request in requests if request.verb == "retry"]
        self._pausing = self._interrupted = False
        #: Whether an interrupted search waits until somebody has it go on.
        self._rests = True
        self._ticked_at = self._monotonic()
        # What was asked for when the search had ended, or was paused, was not meant for its next run.
        idle = row.state.final or row.state is ExperimentState.PAUSED
        stale = {"stop", "stop_trial", "pause"} if row.state.final else {"pause"} if idle else set()
        self._stale = {request.id for request in requests if request.verb in stale}
        wanted = any(request.verb == "stop" for request in requests if request.id not in self._stale)
        self._stopped_by_hand = wanted or (row.state is ExperimentState.STOPPING and row.stop_rule == "by_hand")

    @property
    def id(self) -> int:
        """Id of the experiment."""
        return self._row.id

    @property
    def is_for_workers(self) -> bool:
        """Whether its trials are trained by workers, which ask for them."""
        return bool(self._row.spec.get("scheduler") == WORKERS)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._row.name

    @property
    def key(self) -> str | int:
        """What its slow calls are known by."""
        return self.name

    @property
    def owned(self) -> bool:
        """Whether this process still owns it."""
        return self._owned.lease.held

    @property
    def running_keys(self) -> list[WorkKey]:
        """The attempts that run."""
        return [] if self.manager is None else [trial.launch.key for trial in self.manager.running.values()]

    @property
    def problem(self) -> str:
        """What keeps a trial from going on just now, for people; empty if nothing does."""
        return self.manager.problem if self.manager is not None else ""

    @property
    def held(self) -> int:
        """How many attempts run, or are about to; before it is known which: how many are on record as running."""
        return self._row.counts[TrialState.RUNNING] if self.manager is None else self.manager.attempts

    def take_facts(self, row: ExperimentRow) -> None:
        """Take note of what is on record about it now and may be changed by anybody."""
        self.party = party_of(row)

    @property
    def at_work(self) -> bool:
        """Whether anything of it runs."""
        return self.manager is not None and not self.manager.idle

    # Beginning --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read the record; what follows comes with the answers."""
        self._slow.make(partial(self._surroundings.load, self._row), self._on_recorded)

    def _on_recorded(self, found: Recorded) -> None:
        if self.done:  # paused meanwhile, as in all that follows
            return
        self._recorded = found
        if "prepare" in found.task.jobs and not self._stopped_by_hand:
            self._preparation.begin(self.journal, partial(self.scheduler.preload, found.task.preload))
        # What runs is followed at once: it may take up the very room that the preparation waits for.
        if not self._preparation.under_way or self._row.counts[TrialState.RUNNING]:
            self._recover()

    @property
    def awaits_job(self) -> int | None:
        """Number of the job that prepares the data, while it is waited for."""
        return self._preparation.job

    def on_job_end(self, job: JobRow) -> None:
        """Go on after the preparation, or end with it."""
        self._preparation.end()
        if self.done or self.decision is not None or self._interrupted:
            return
        if job.state is JobState.SUCCEEDED or self._stopped_by_hand:
            if not self._recovers:
                self._recover()
        elif job.state is JobState.FAILED:
            self._end_unprepared(UserError(job.detail.removesuffix(".")))
        else:
            self._end_unprepared(UserError("the preparation of its data was stopped"))

    def _end_unprepared(self, error: UserError) -> None:
        """End the search as failed; what runs of it waits, and goes on if the search ever does."""
        if self.manager is None:
            self.fail(error)
        else:
            self.error, self._unprepared = error, str(error)
            self.manager.interrupt()

    def _recover(self) -> None:
        self._recovers = True
        # A scheduler is asked in the loop alone.
        self._slow.make(partial(self._recovered, self.scheduler.capacity()), self._on_recovered)

    def _recovered(self, capacity: Capacity) -> TrialManager:
        found = self._recorded
        assert found is not None
        resources = plan_again(found.spec, capacity, self._row.resources)
        store, home = self._surroundings.store, self._surroundings.home
        folder = home.experiment(self.name)
        if "prepare" not in found.task.jobs and self.scheduler.needs_folder:  # what needs no job takes no time
            found.task.prepare(found.spec, found.space, folder, home.cache, lambda what, done, total: None)
        attempts, has_attempt = partial(store.attempts, self.name), partial(store.has_attempt, self.name)
        # On nodes of a cluster, programs report into their folders alone: this machine's own address leads nowhere.
        api = self._surroundings.api if found.spec.scheduler != RAY else None
        setting = Setting(found.spec, found.task, self.scheduler, home, folder, resources, attempts, has_attempt, api)
        tuner = found.tuner()
        self.concurrency = explain_concurrency(found.spec, resources, capacity, tuner)
        return recover(self._surroundings, setting, tuner, found.max_trials, self._helpers())

    def _helpers(self) -> Helpers:
        def refusal(needs: Resources) -> Reason | None:
            return self._place.refusal(self.party, needs)

        def spend(cpu_seconds: float, gpu_seconds: float) -> None:
            self._place.ledger.spend(self.party.user, cpu_seconds, gpu_seconds)

        return Helpers(self._tuning, self._copies, self._place.room, refusal, spend)

    def _on_recovered(self, manager: TrialManager) -> None:
        if self.done:
            manager.tuner.close()
            return
        manager.journal = self.journal
        manager.progress.stopped_by_hand = self._stopped_by_hand
        self.manager = manager
        self.needs = manager.setting.resources
        if (resources := self.needs.to_json()) != self._row.resources:
            self.journal.add(lambda tx: tx.set_resources(self.name, resources))
        if note := other_version(self._row.algorithm):
            self.journal.add(lambda tx: tx.add_notes(self.name, [note]))
        self._ticked_at = self._monotonic()
        if self.state is not ExperimentState.RUNNING:
            self._set_state(ExperimentState.RUNNING, None, "")
        for request in self._retries:
            self.take_request(request)
        self.scheduler.reconcile(launches(manager))
        about = {"experiment": self.name}
        if self._row.started_at is not None:  # of a new one it is told that it runs
            running = count(len(manager.running), "trial")
            log.info("experiment '%s' taken over: %s running", self.name, running, extra=about)

    # Going on ---------------------------------------------------------------------------------------------

    def start_next(self) -> Turn:
        """Start the next trial, if there is one and there is room for it."""
        if self.manager is None or self._starts_nothing or self.done:
            self.waits.reason = None
            return Turn.NOTHING
        turn = self.manager.start_next()
        self.waits.reason = PAUSING if self._pausing else self.manager.waits_for
        return turn

    @property
    def _starts_nothing(self) -> bool:
        """Whether its data are not prepared, or it is about to end."""
        return self._preparation.under_way or self._unprepared != "" or self.decision is not None or self._interrupted

    def note_wait(self) -> None:
        """Have it put on record why it starts nothing, where that has changed."""
        if not self.done and (news := self.waits.news()) is not None:
            self.journal.add(lambda tx: tx.set_wait(self.name, *news))

    def on_event(self, event: Event) -> None:
        """Take note of what became of an attempt."""
        self.tick()
        if self.manager is not None and not self.done:
            self.manager.on_event(event)
            self.advance()  # a report may end an inline trial while it is being called

    def let_go(self) -> None:
        """Have trials end for now that can go on later from their checkpoints; that costs them nothing."""
        if self.manager is not None and self.scheduler.needs_folder:
            self.manager.let_go()

    def tick(self) -> None:
        """Count the time that has passed, while the search is at work: not while it waits, and nothing of it runs."""
        now = self._monotonic()
        passed, self._ticked_at = now - self._ticked_at, now
        waits = (self.waits.reason is not None or self._preparation.under_way) and not self.at_work
        if self.manager is not None and self.state is not ExperimentState.PAUSED and not waits:
            self.manager.progress.elapsed_seconds += passed
            self.unrecorded_seconds += passed

    @property
    def time_is_due(self) -> bool:
        """Whether the running time is to be put on record."""
        return self.unrecorded_seconds >= ELAPSED_SECONDS or (self.done and self.unrecorded_seconds > 0)

    def advance(self) -> None:
        """Apply the stop rules; end, or pause, once nothing runs any more."""
        manager = self.manager
        if manager is None or self.done:
            return
        if self.decision is None and not self._interrupted and not self._unprepared:
            assert self._recorded is not None
            decision = self.decision = decide(self._recorded.spec, manager.progress)
            if decision is not None:
                manager.stop_all(cut_of(decision.rule))
                if not manager.idle:
                    self._set_state(ExperimentState.STOPPING, decision.rule, decision.detail)
        if not manager.idle:
            return
        if self.decision is not None:
            if not manager.tuner.telling or self.decision.rule in _AT_ONCE:
                self._end(self.decision)
        elif self._unprepared:
            self._note_pauses_handled()
            self._set_failed(self._unprepared)
            self.done = True
        elif self._interrupted and not self._rests and not self._pausing:
            self.done = True
        elif self._interrupted or self._pausing:
            detail = "It was paused by the end of what ran it." if self._interrupted else "It was paused on request."
            self._set_state(ExperimentState.PAUSED, None, detail)
            self._note_pauses_handled()
            self.done = True

    def _end(self, decision: StopDecision) -> None:
        self._note_pauses_handled()
        self._set_state(decision.state, decision.rule, decision.detail)
        self._preparation.stop(self.journal)
        self.journal.add(partial(self._go_on_or_follow_up, decision))
        self.done = True

    def _go_on_or_follow_up(self, decision: StopDecision, tx: Transaction) -> None:
        """In the transaction that ends it, let the search go on if more was asked for meanwhile, else follow it up."""
        store, recorded = self._surroundings.store, self._recorded
        assert recorded is not None
        row = store.experiment(self.name)
        missed = (one for one in store.requests(self.name) if one.id not in self._requests)
        wanted = goes_on(decision.rule, row, recorded.spec, parse_spec(row.spec))
        if wanted or any(request.verb == "retry" for request in missed):
            tx.set_experiment_state(self.name, decision.state, ExperimentState.RUNNING, now=self._clock())
        elif self._surroundings.follow_up and decision.rule != "error":
            add_follow_up(recorded, self._clock(), tx)

    def _set_state(self, new: ExperimentState, rule: str | None, detail: str) -> None:
        name, old, now = self.name, self.state, self._clock()
        if new is old:
            return
        self.state = new
        log.info("experiment '%s' is %s", name, new, extra={"experiment": name, "state": new.value})
        self.journal.add(lambda tx: tx.set_experiment_state(name, old, new, stop_rule=rule, detail=detail, now=now))

    # Requests ---------------------------------------------------------------------------------------------

    def take_request(self, request: RequestRow) -> None:
        """Do what somebody asks for."""
        if request.id in self._requests or self.done:
            return
        if request.verb == "retry" and self.decision is not None:
            return  # too late for this run: the next one takes it up
        if self.manager is None:
            if request.id in self._stale or not self._obey_early(request):
                return
        elif request.id not in self._stale and not self._obey(request, self.manager):
            return
        self._requests.add(request.id)
        if request.verb == "pause" and self._pausing:
            self._pause_requests.append(request.id)
        elif request.verb != "add_trial" or request.id in self._stale:  # what is added is noted with its trial
            self._note_handled(request.id)

    def _note_handled(self, request: int) -> None:
        self.journal.add(partial(Transaction.handle_request, request_id=request))

    def _note_pauses_handled(self) -> None:
        for request in self._pause_requests:
            self._note_handled(request)
        self._pause_requests.clear()

    def _stop_before_it_began(self) -> None:
        """Stop a search that is still being prepared."""
        if self._stopped_by_hand:
            return
        self._stopped_by_hand = True
        if self.state.final:  # it was to go on
            self._set_state(ExperimentState.RUNNING, None, "")
        self._set_state(ExperimentState.STOPPING, "by_hand", "It was stopped by hand.")
        self._preparation.stop(self.journal)

    def _obey(self, request: RequestRow, manager: TrialManager) -> bool:
        """Do what is asked for; False: that can't be done yet."""
        if request.verb == "retry":
            return self._retry(manager, (request.data or {}).get("trials", []))
        if request.verb == "add_trial":
            handled = partial(Transaction.handle_request, request_id=request.id)
            return self.decision is None and manager.add((request.data or {})["parameters"], handled)
        if request.verb == "update":
            self._slow.make(self._reread, self._on_reread)
        if request.verb == "stop":
            manager.progress.stopped_by_hand = True
        elif request.verb == "stop_trial" and request.trial is not None:
            manager.stop_trial(request.trial)
            return request.trial not in manager.running  # the next controller is asked, too, if this one is killed
        elif request.verb == "pause":
            self._pausing = True
            manager.pause()
        elif request.verb == "resume":
            self._pausing = False
            self._note_pauses_handled()
            manager.resume()
        return True

    def _reread(self) -> tuple[ExperimentRow, Recorded, TrialRow | None]:
        store = self._surroundings.store
        row = store.experiment(self.name)
        return row, self._surroundings.load(row), next(iter(store.top(self.name, 1)), None)

    def _on_reread(self, found: tuple[ExperimentRow, Recorded, TrialRow | None]) -> None:
        """Go on with the record as it is now."""
        self._row, recorded, best = found
        if self.manager is None or self.done:
            return
        self._recorded = recorded
        self.needs = plan_again(recorded.spec, self.scheduler.capacity(), self._row.resources)
        self.manager.change(recorded.spec, recorded.max_trials, self.needs, best)

    def _obey_early(self, request: RequestRow) -> bool:
        """Do what is asked for while the search is being prepared; False: that can't be done yet."""
        if request.verb == "stop":
            self._stop_before_it_began()
        elif request.verb == "pause" and self.state is ExperimentState.CREATED:
            self._set_state(ExperimentState.PAUSED, None, "It was paused on request.")
            self.done = True  # what is being prepared is there when it goes on
        else:
            return False
        return True

    def _retry(self, manager: TrialManager, numbers: list[int]) -> bool:
        retried = [n for n in dict.fromkeys(numbers) if manager.ended.get(n) in (TrialState.FAILED, TrialState.STOPPED)]
        rows = [self._surroundings.store.trial(self.name, number) for number in retried]
        if not all(row.state.final for row in rows):
            return False  # how one has ended is about to be recorded
        for row in rows:
            manager.retry(row)
        return True

    def interrupt(self, grace_seconds: float | None = None, rests: bool = True) -> None:
        """End what runs, so that the same search goes on later: when somebody says so, or without a word.

        `rests` says which.
        """
        self._interrupted, self._rests = True, rests
        if self.manager is None:
            self.done = True
        else:
            self.manager.interrupt(grace_seconds)

    # The end ----------------------------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """End the search as failed: what goes wrong in one is no other's matter.

        Where the store could not be read, nothing is wrong with the search: it is taken over again.
        """
        if isinstance(error, StoreError):
            self.unread = error
            return
        if isinstance(error, UserError):
            self.error, detail = error, str(error)
        else:
            log.error("experiment '%s' fails", self.name, exc_info=error, extra={"experiment": self.name})
            detail = f"{_where(error)}: {type(error).__name__}: {error}"
        if self.manager is None:
            try:
                self._fail_early(detail)
            except StoreError as problem:
                self.unread = problem
        elif not self.manager.progress.error:
            self.manager.progress.error = detail
            self.manager.tuner.close()
        else:  # not even the end goes well
            self._give_up(detail)

    def _fail_early(self, detail: str) -> None:
        """End a search that can't even go on from its record, with what is asked of it."""
        store = self._surroundings.store

        def answer(tx: Transaction) -> None:
            for request in store.requests(self.name):
                tx.handle_request(request.id)

        self._fail_at_once(detail)
        self.journal.add(answer)

    def give_up(self, error: BaseException) -> None:
        """End the search although what it had to record can't be recorded: not even its end goes well."""
        self._give_up(f"{_where(error)}: {type(error).__name__}: {error}")

    def _give_up(self, detail: str) -> None:
        self.journal.entries.clear()
        self.state = self._surroundings.store.experiment(self.name).state
        self._fail_at_once(detail)

    def _fail_at_once(self, detail: str) -> None:
        """End the search as failed, and what runs of it, which begins again if the search ever goes on."""
        store, home = self._surroundings.store, self._surroundings.home
        running: list[TrialRow] = []
        while page := store.trials(self.name, states=(TrialState.RUNNING,), after=running[-1].number if running else 0):
            running += page
        for row in running:
            key = AttemptKey(self.name, row.number, row.attempt)
            self.scheduler.reconcile([Launch(key, home.attempt(key, row.identity), row.identity or "")])
            self.scheduler.stop(key)
            end = AttemptEnd(detail="Its search failed.", now=self._clock())
            self.journal.add(partial(Transaction.lose_attempt, key=key, end=end))
        self._set_failed(detail)
        self.done = True

    def _set_failed(self, detail: str) -> None:
        if ExperimentState.FAILED not in EXPERIMENT_TRANSITIONS[self.state]:
            self._set_state(ExperimentState.RUNNING, None, "")
        self._set_state(ExperimentState.FAILED, "error", detail)
        self._preparation.stop(self.journal)

    def close(self) -> None:
        """Let go of it."""
        self._place.room.leave(self.key)
        for owner in self._owners:
            owner.close()
        self._owned.lock.close()


def party_of(row: ExperimentRow) -> Party:
    """Return for whom the trials of an experiment run."""
    return Party(row.owner, row.name, row.weight, row.spec.get("max_gpus"))


def add_follow_up(found: Recorded, now: float | None, tx: Transaction) -> None:
    """Record the jobs that follow a search: finalists, if asked for, the evaluation of the best, the report."""
    name, after = found.spec.name, None
    if found.spec.finalists == "full":
        after = tx.add_job("finalists", name, caller=CONTROLLER, after=after, now=now)
    if "evaluate" in found.task.jobs:
        after = tx.add_job("evaluate", name, caller=CONTROLLER, after=after, now=now)
    tx.add_job("report", name, caller=CONTROLLER, after=after, now=now)


def _where(error: BaseException) -> str:
    trace, module = error.__traceback__, ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", module)
        trace = trace.tb_next
    parts = {"tuners": "The algorithm failed", "tasks": "The task failed", "schedulers": "The scheduler failed"}
    found = [text for part, text in parts.items() if f"tunewell.{part}" in module]
    return found[0] if found else "It failed"
