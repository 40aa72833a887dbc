"""The controller: owns the life of experiments and jobs, any number of them, for as long as its process lives.

One thread, one loop. Each step takes what the schedulers tell, looks for work that is wanted, lets everything advance,
records all of it in one transaction, and only then acts on it. Nothing slow happens in the loop. A controller that dies
at any point leaves a store that another one goes on from.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial

from tunewell.controller.allowances import Allowances
from tunewell.controller.disk import DiskCounter
from tunewell.controller.disk_room import DiskRoom
from tunewell.controller.experiment_run import ExperimentRun, party_of
from tunewell.controller.fair import Ledger, Party, Use
from tunewell.controller.job_run import JobRun, brought_about_by, owner_of_job
from tunewell.controller.lines import Lines, Run, no_cluster
from tunewell.controller.recording import Recorder, StoreProblems, term_over, time_is_due
from tunewell.controller.room import Turn
from tunewell.controller.surroundings import Ownership, Surroundings
from tunewell.controller.work import Work, sets_going
from tunewell.home.locks import LOCK_SECONDS
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.errors import ConflictError, TermOver, UserError
from tunewell.spec.experiment import needs_its_program
from tunewell.spec.launch import AttemptKey, Event, Resources
from tunewell.spec.states import ExperimentState, JobState, TrialState
from tunewell.spec.waits import Reason, recorded_reason
from tunewell.store.errors import Moved, StoreError
from tunewell.store.rows import ExperimentRow, JobRow, RequestRow

log = logging.getLogger(__name__)

#: How often it is looked whether anything has changed in the store, and longest time between two looks at the work.
NUDGE_SECONDS, LOOK_SECONDS = 0.05, 0.5
#: Longest time that reports wait for the end of a step (an inline trial runs within one).
REPORT_SECONDS = 0.5
#: Longest wait for events while a slow call is under way, whose answer ends no wait.
SHORT_WAIT_SECONDS = 0.01
#: How often all that is owned is looked at, whether or not something has happened to it.
SWEEP_SECONDS = 0.25
#: How long new work is left to other controllers where there is no room for it.
LEAVE_SECONDS = 2.0
#: How often an experiment is taken over again whose memory and record differ, before it fails.
MOST_RELOADS = 3


class Controller:
    """Runs experiments and jobs."""

    def __init__(
        self,
        surroundings: Surroundings,
        work: Work,
        scheduler: Scheduler,
        inline: Scheduler | None = None,
        cluster: SchedulerApart | None = None,
    ) -> None:
        """Own nothing yet.

        Args:
            surroundings: what all experiments and jobs share.
            work: what to look for in the store.
            scheduler: what runs trials and jobs.
            inline: runs the trials of experiments in this thread, instead of `scheduler`.
            cluster: runs those of experiments for a cluster, and their jobs that can run there; None: there is none.
        """
        self.store, self.home = surroundings.store, surroundings.home
        self.work = work
        self._surroundings = surroundings
        self._background = surroundings.background
        self._monotonic = surroundings.monotonic
        self._ledger = Ledger(scheduler.capacity())
        self._lines = Lines(surroundings, self._ledger, scheduler, inline, cluster)
        self._experiments: dict[str, ExperimentRun] = {}
        self._jobs: dict[int, JobRun] = {}
        #: Those that something has happened to in this step, and those that may have something to start.
        self._touched: dict[Run, None] = {}
        self._hungry: dict[Run, None] = {}
        #: Experiments that are to be taken over again, and how often that was so since the last success.
        self._reloads: dict[str | int, int] = {}
        self._to_reload: set[str] = set()
        #: Why an experiment of this name, or a job of this number, can't be taken over; it is tried again.
        self.refused: dict[str | int, UserError] = {}
        #: Errors of users that have ended experiments.
        self.errors: dict[str, UserError] = {}
        self._store_problems = StoreProblems()
        self._recorder = Recorder(self.store, self._store_problems, self._monotonic, self._guarded)
        #: What keeps trials from being started just now.
        self._room_problem = ""
        #: Since when something is known that was left to others.
        self._seen_at: dict[str | int, float] = {}
        self._interrupts = self._interrupts_obeyed = 0
        self._rests = True
        self._seen_version = -1
        #: How long the latest step took, without what it waited for.
        self.step_seconds = 0.0
        self._last_nudge = self._last_look = self._last_terms = -LOOK_SECONDS
        counter = DiskCounter(surroundings.home.size_of) if work.everything else None
        self._allowances = Allowances(self.store, self._ledger, surroundings.clock, counter)
        self._disk_room = DiskRoom(surroundings)
        self._last_sweep = -SWEEP_SECONDS

    # From outside -----------------------------------------------------------------------------------------

    def take_experiment(self, name: str, patience: float = LOCK_SECONDS) -> None:
        """Take an experiment over, whatever its state: it goes on. Its lock is waited for `patience` seconds at most.

        Raises:
            ConflictError: another controller owns it.
            DataError: the store or the home can't be written.
        """
        lock = ExitStack()
        lease = lock.enter_context(self.home.lock(name, patience))
        with lock:
            line = self._lines.of_experiment(self.store.experiment(name))
            self._check_hosts(f"experiment '{name}'", lambda: self.store.hosts(name), line.place.scheduler)
            with self.store.transaction() as tx:
                term = tx.take_over(name)
            row, requests = self.store.experiment(name), self.store.requests(name)
            run = ExperimentRun(self._surroundings, line.place, Ownership(term, lease, lock.pop_all()), row, requests)
        self._experiments[name] = run
        self._lines.keep(run, line)
        self._seen_at.pop(name, None)
        self._guarded(run, run.begin)

    def take_job(self, job: JobRow) -> None:
        """Take a job over.

        Raises:
            ConflictError: another controller owns it.
            DataError: the store or the home can't be written.
        """
        lock = ExitStack()
        lease = lock.enter_context(self.home.lock_job(job.id, patience=0.0))
        with lock:
            line = self._lines.of_job(job)
            self._check_hosts(f"job {job.id}", lambda: self._hosts_of(job.id), line.place.scheduler)
            with self.store.transaction() as tx:
                term = tx.take_over_job(job.id)
            events = self.store.job_events(job.id)
            owned, row = Ownership(term, lease, lock.pop_all()), self.store.job(job.id)
            run = JobRun(self._surroundings, line.place, owned, row, self._party_of(row), events)
        self._jobs[job.id] = run
        self._seen_at.pop(job.id, None)
        self._guarded(run, run.begin)

    def _party_of(self, job: JobRow) -> Party:
        """Return for whom a job runs: it has part in what its experiment gets."""
        if job.experiment is None:
            return Party(owner_of_job(job), f"job {job.id}")
        return party_of(self.store.experiment(job.experiment))

    def _hosts_of(self, job: int) -> Collection[str]:
        row = self.store.job(job)
        return [row.host] if row.state is JobState.RUNNING and row.host else []

    def _check_hosts(self, what: str, hosts: Callable[[], Collection[str]], scheduler: Scheduler) -> None:
        """Refuse to take over what runs on another machine: nobody here could tell what became of it.

        A database in a file has no controllers on other machines.
        """
        if self.store.session is None:
            return
        elsewhere = sorted(set(hosts()) - {scheduler.host} - self._surroundings.lost_hosts)
        if elsewhere:
            raise UserError(
                f"{what} has work running on host {elsewhere[0]}",
                remedy=f"Start a controller there, or say that {elsewhere[0]} is gone for good",
                kind="work-elsewhere",
                host=elsewhere[0],
            )

    @property
    def problem(self) -> str:
        """What keeps the controller, or a trial, from going on just now, for people; empty if nothing does."""
        of_runs = (run.problem for run in self._experiments.values())
        every = (str(self._store_problems), self._disk_room.problem, *of_runs, self._room_problem)
        return next(filter(None, every), "")

    @property
    def absent(self) -> bool:
        """Whether the problem is that the store can't be used."""
        return str(self._store_problems) != ""

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that it owns, by name."""
        return tuple(self._experiments)

    @property
    def busy(self) -> bool:
        """Whether it owns anything now, or is about to take something over again."""
        return bool(self._experiments or self._jobs or self._to_reload)

    @property
    def concurrency(self) -> str:
        """How many trials run at once, and why: a sentence; empty while that is not known."""
        return next((run.concurrency for run in self._experiments.values() if run.concurrency), "")

    def run(self, until: Callable[[], bool]) -> None:
        """Step until `until`, called after each step, says so, or until it is interrupted and nothing is left."""
        while True:
            try:
                self.step()
                if until() or (self.interrupted and not self.busy):
                    return
            except KeyboardInterrupt:
                self.interrupt()

    def interrupt(self, rests: bool = True) -> None:
        """Begin nothing more and end what runs so that it can go on later.

        Searches rest then until somebody has them go on, or, if they don't (`rests`), until there is a controller.
        A second call ends it at once. Takes effect in the next step, so signal handlers may call it; a server that is
        silent or gone keeps the step no longer.
        """
        self._rests = rests
        self._interrupts += 1
        self.store.hurry()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupts > 0

    def leave(self) -> None:
        """Let go of everything, and leave running what lives without a controller; another one takes it over."""
        for run in self._runs():
            run.close()
        self._experiments.clear()
        self._jobs.clear()
        self._lines.forget()

    def step(self, timeout: float = 0.1) -> None:
        """Do one round: events, work, decisions, one transaction, effects. Waits at most `timeout` seconds."""
        self._obey_interrupts()
        lines = self._lines.all(bool(self._jobs))
        wait = min(timeout, SHORT_WAIT_SECONDS) if self._background.outstanding else timeout
        for line in lines:
            line.place.scheduler.poll(self._on_event, wait / len(lines))
        began = self._monotonic()
        self._deliver()
        self._look_for_work()
        self._advance()
        self._start()
        self._record()
        self._let_go()
        self.step_seconds = self._monotonic() - began

    # One step ---------------------------------------------------------------------------------------------

    def _runs(self) -> list[Run]:
        return [*self._experiments.values(), *self._jobs.values()]

    def _guarded(self, run: Run, call: Callable[[], object]) -> None:
        """Make a call for one experiment or job, whose failure is its own."""
        self._touched[run] = self._hungry[run] = None
        try:
            call()
        except Exception as error:
            try:
                run.fail(error)
            except Exception:
                log.exception("'%s' can't even fail", run.key, extra=_about(run.key))
                run.done = True

    def _obey_interrupts(self) -> None:
        if self._interrupts == self._interrupts_obeyed:
            return
        self._interrupts_obeyed = self._interrupts
        grace = 0.0 if self._interrupts > 1 else None
        for run in self._runs():
            rest = {"rests": self._rests} if isinstance(run, ExperimentRun) else {}
            self._guarded(run, partial(run.interrupt, grace, **rest))

    def _on_event(self, event: Event) -> None:
        key = event.key
        run: Run | None
        run = self._experiments.get(key.experiment) if isinstance(key, AttemptKey) else self._jobs.get(key.job)
        if run is None:
            return
        self._guarded(run, partial(run.on_event, event))
        if self._monotonic() - self._recorder.recorded_at >= REPORT_SECONDS:
            self._record()

    def _deliver(self) -> bool:
        """Do what follows from slow calls that were made; say whether there were any."""
        owners = self._background.deliver()
        for key in owners:
            run = self._experiments.get(key) if isinstance(key, str) else self._jobs.get(key)
            if run is not None:
                self._touched[run] = self._hungry[run] = None
        return bool(owners)

    # Work -------------------------------------------------------------------------------------------------

    def _look_for_work(self) -> None:
        """Take up requests, experiments and jobs: at once if something has changed in the store, else now and then."""
        now = self._monotonic()
        if now - self._last_nudge < NUDGE_SECONDS:
            return
        self._last_nudge = now
        try:
            if not self.store.nudged() and now - self._last_look < LOOK_SECONDS:
                return
            version = self.store.version()
            if version == self._seen_version and now - self._last_look < LOOK_SECONDS:
                return
            self._seen_version, self._last_look = version, now
            requests = self.store.open_requests()
            self._look_for_terms(now)
            if not self.interrupted:
                self._reload_lost()
                self._take_work(requests)
            for request in requests:
                self._pass_on(request)
            self._look_after_jobs()
            self._store_problems.reading = ""
        except Moved:
            raise
        except UserError as error:
            self._note_read_problem(error)

    def _look_for_terms(self, now: float) -> None:
        """Find out what the cluster has, and what administrators and the record let users have."""
        if now - self._last_terms < LOOK_SECONDS:
            return
        self._last_terms = now
        self._lines.look_at_cluster()
        self._disk_room.read_settings()
        self._allowances.look()

    def _reload_lost(self) -> None:
        for name in list(self._to_reload):
            self._try_to_take(name, partial(self.take_experiment, name, 0.0))
            self._to_reload.discard(name)

    def _take_work(self, requests: list[RequestRow]) -> None:
        jobs = self.store.open_jobs()
        if self.work.everything:
            rows = self.store.open_experiments()
            self._ledger.elsewhere = self._used_elsewhere(rows, jobs)
            self._take_experiments(rows)
            for name in {request.experiment for request in requests if request.experiment is not None}:
                row = self.store.experiment(name)
                if any(request.experiment == name and sets_going(request, row) for request in requests):
                    self._take_if_free(row)
        others = self.store.owned("job")
        for job in jobs:
            free = job.id not in self._jobs and job.id not in others
            if free and self.work.wants_job(job) and self._is_ready(job, jobs) and not self._leaves(job.id):
                reason = self._try_to_take(job.id, partial(self.take_job, job))
                if reason is not None and reason != recorded_reason(job.waits_for):
                    self.store.set_job_wait(job.id, reason.to_json(self._surroundings.clock()))

    def _used_elsewhere(self, experiments: Sequence[ExperimentRow], jobs: Sequence[JobRow]) -> dict[str, Use]:
        """Return what users use of which this controller has nothing."""
        used: defaultdict[str, Use] = defaultdict(Use)
        for row in experiments:
            if row.name not in self._experiments and row.resources is not None:
                used[row.owner].add(Resources.from_json(row.resources), row.counts[TrialState.RUNNING])
        for job in jobs:
            if job.state is JobState.RUNNING and job.id not in self._jobs and job.resources is not None:
                used[owner_of_job(job)].add(Resources.from_json(job.resources), 1)
        return dict(used)

    def _take_experiments(self, rows: Sequence[ExperimentRow]) -> None:
        """Take over what goes on and nobody has: one at a time where there are other controllers, who get some, too."""
        owned = self.store.owned("experiment")
        for row in rows:
            if row.name in self._experiments:
                self._experiments[row.name].take_facts(row)
            if row.name in self._experiments or row.id in owned or row.state is ExperimentState.PAUSED:
                continue
            if not self._leaves(row.name):
                self._take_if_free(row)
                if row.name in self._experiments and self.store.session is not None:
                    self._last_look = -LOOK_SECONDS
                    break

    def _leaves(self, key: str | int) -> bool:
        """Whether something is left to others for a while: there is no room for it here, but there may be with them."""
        if self.store.session is None or not (self._lines.here.turns.waits and self._runs()):
            return False
        now = self._monotonic()
        return now - self._seen_at.setdefault(key, now) < LEAVE_SECONDS

    def _take_if_free(self, row: ExperimentRow) -> None:
        """Take an experiment over that nobody has; one over a function of a program is left to that program."""
        if row.name not in self._experiments and not needs_its_program(row.spec):
            reason = self._try_to_take(row.name, partial(self.take_experiment, row.name, 0.0))
            if reason is not None and reason != recorded_reason(row.waits_for):
                self.store.set_wait(row.name, reason.to_json(self._surroundings.clock()))

    def _is_ready(self, job: JobRow, jobs: Sequence[JobRow]) -> bool:
        """Whether the job that it comes after has ended, and those that this one has brought about, too."""
        if job.after is None:
            return True
        before = self.store.job(job.after)
        return before.state.final and not any(other.caller == brought_about_by(before.id) for other in jobs)

    def _try_to_take(self, key: str | int, take: Callable[[], None]) -> Reason | None:
        """Take something over; return why that can't be done, where people are to know it."""
        refusal = None
        try:
            take()
        except StoreError:
            raise
        except ConflictError:  # another controller has it
            pass
        except UserError as error:  # its folder can't be written, say, which is no other's matter
            refusal = error
        self._note_refusal(key, refusal)
        if refusal is not None and refusal.kind == "no-cluster":
            return no_cluster(str(refusal.facts["problem"]))
        if refusal is None or refusal.kind != "work-elsewhere":
            return None
        host = refusal.facts["host"]
        return Reason("other_host", f"It has work running on host {host}, which has no controller now.", host)

    def _note_refusal(self, key: str | int, refusal: UserError | None) -> None:
        known = self.refused.pop(key, None)
        if refusal is not None:
            self.refused[key] = refusal
            if str(refusal) != str(known):
                log.info("%s It is tried again.", refusal, extra=_about(key))

    def _pass_on(self, request: RequestRow) -> None:
        if request.job is not None:
            job = self._jobs.get(request.job)
            if job is not None:  # the request stays open until the job has ended, whoever runs it then
                self._guarded(job, job.stop)
            return
        run = self._experiments.get(request.experiment or "")
        if run is not None:
            self._guarded(run, partial(run.take_request, request))

    def _look_after_jobs(self) -> None:
        """Tell experiments of the ends of jobs that they wait for, whoever ran these."""
        for run in list(self._experiments.values()):
            if run.awaits_job is None:
                continue
            job = self.store.job(run.awaits_job)
            if job.state.final:
                self._guarded(run, partial(run.on_job_end, job))

    # Starting ---------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        now = self._monotonic()
        if now - self._last_sweep >= SWEEP_SECONDS:
            self._last_sweep = now
            self._drop_lost()
            for run in self._runs():
                self._touched[run] = self._hungry[run] = None
        for run in list(self._touched):
            if isinstance(run, ExperimentRun):
                run.tick()
                self._guarded(run, run.advance)

    def _start(self) -> None:
        self._look_for_disk()
        if self._disk_room.reason is not None:
            for run in self._runs():
                run.waits.reason = self._disk_room.reason
        if self.interrupted or self.absent or self._disk_room.problem:
            return
        for line in self._lines.all(bool(self._jobs)):
            line.place.room.refresh()
        again = True
        while again:
            hungry, self._hungry = list(self._hungry), {}
            for line in self._lines.all(bool(self._jobs)):
                line.place.room.forget_awaited()
                here = [run for run in hungry if run.scheduler is line.place.scheduler]
                line.turns.take(here, self._start_one, line.place.room)
            self._look_for_room()
            # What slow calls have answered by now may be started in the same step.
            again = self._deliver()
        if (away := self._lines.away()) is not None:
            cluster, problem = away
            there = [run for run in self._runs() if run.scheduler is cluster]
            for run in there:
                run.waits.reason = no_cluster(problem)
            if there and not self.work.everything:  # else it keeps some from going on, and is in the log
                self._room_problem = f"{problem}."

    def _look_for_room(self) -> None:
        """Find out whether all wait for what other processes have taken."""
        waits = any(line.turns.waits for line in self._lines.all(bool(self._jobs)))
        waits = waits and not any(run.at_work for run in self._runs())
        self._room_problem = "other searches and jobs of this home take up the machine." if waits else ""

    def _start_one(self, run: Run) -> Turn:
        try:
            turn = run.start_next()
        except Exception as error:
            self._guarded(run, partial(run.fail, error))
            return Turn.NOTHING
        self._touched[run] = None
        return turn

    def _look_for_disk(self) -> None:
        """Find out whether trials find room on the disk; let go of those that can go on later where there is none."""
        runs = list(self._experiments.values())
        managers = [run.manager for run in runs if run.scheduler.needs_folder and run.manager]
        if self._disk_room.look(managers, bool(self._jobs)):
            for run in runs:
                self._guarded(run, run.let_go)

    # Recording --------------------------------------------------------------------------------------------

    def _record(self) -> None:
        try:
            differing = self._recorder.record(self._touched)
        except TermOver as over:
            self._drop(over)
        else:
            for run in differing:
                self._reload(run)

    def _note_read_problem(self, error: UserError) -> None:
        if not self._store_problems.knows(error):
            log.info("%s It is tried again.", error)
        self._store_problems.reading = str(error)

    def _drop(self, over: TermOver) -> None:
        """Let go of what another controller has taken over; nothing of it is recorded or done."""
        log.error("%s; it is let go of", over, extra=_about(over.experiment if over.job is None else over.job))
        for run in self._runs():
            if over.concerns(run.key):
                run.scheduler.release(run.running_keys)
                self._forget(run)

    def _drop_lost(self) -> None:
        """Let go of what this process no longer owns, whether or not there is anything to write on it."""
        for run in self._runs():
            if not run.owned:
                self._drop(term_over(run))

    def _reload(self, run: Run) -> None:
        """Begin again from the record with something that differs from it in memory."""
        log.error(
            "'%s' is taken over again, because its record is another than expected: %s",
            run.key,
            run.journal.refusal,
            extra=_about(run.key),
        )
        self._reloads[run.key] = self._reloads.get(run.key, 0) + 1
        if self._reloads[run.key] > MOST_RELOADS:
            run.journal.refusal = ""
            self._guarded(run, partial(run.fail, RuntimeError("its record can't be written")))
            return
        if isinstance(run, ExperimentRun):
            self._to_reload.add(run.name)
        self._forget(run)

    def _forget(self, run: Run) -> None:
        run.close()
        self._touched.pop(run, None)
        self._hungry.pop(run, None)
        self._lines.leave(run)
        if isinstance(run, ExperimentRun):
            del self._experiments[run.name]
        else:
            del self._jobs[run.id]

    def _let_go(self) -> None:
        # Interrupted while nothing can be recorded: the next controller finds out what became of everything.
        abandoned = self.interrupted and self.absent
        for run in self._runs() if abandoned else list(self._touched):
            if run.unread is not None and not abandoned:
                self._note_read_problem(run.unread)
                if isinstance(run, ExperimentRun):
                    self._to_reload.add(run.name)
                self._forget(run)
            elif abandoned or (run.done and not run.journal.entries and not time_is_due(run)):
                self._reloads.pop(run.key, None)
                if isinstance(run, ExperimentRun) and run.error is not None:
                    self.errors[run.name] = run.error
                self._forget(run)
            elif not run.journal.entries:
                del self._touched[run]


def _about(key: str | int | None) -> dict[str, object]:
    """Return what a line of the log is about: an experiment, or the job of this number."""
    return {"experiment": key} if isinstance(key, str) else {"job": key}
