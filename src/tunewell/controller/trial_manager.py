"""The trial manager: has hyperparameters proposed, hands trials to the scheduler, takes their reports and ends.

It decides everything in memory, in the controller's loop. What must be recorded, and what is done once it is, goes into
the journal; what may take long (the tuner's work, copying a checkpoint) is done elsewhere, and its answer comes later.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tunewell.controller.attempts import build_launch
from tunewell.controller.background import Calls, Direct
from tunewell.controller.convergence import Convergence
from tunewell.controller.journal import Journal, Write
from tunewell.controller.losses import Losses
from tunewell.controller.reporting import reporting
from tunewell.controller.retention import Retention
from tunewell.controller.room import Room, Turn
from tunewell.controller.sequence import Sequence
from tunewell.controller.staging import Staged, stage, wants_checkpoint
from tunewell.controller.stop_rules import Progress
from tunewell.controller.tuner_calls import TunerCalls
from tunewell.controller.verdict import RunningTrial, Verdict, judge_end, lost
from tunewell.home.home import Home
from tunewell.home.keeping import remove_now
from tunewell.schedulers.contract import Scheduler
from tunewell.schedulers.records import not_started
from tunewell.spec.errors import count
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Refused, Report, Reported, Resources
from tunewell.spec.names import owner_of
from tunewell.spec.secrets import REPORT_TOKEN
from tunewell.spec.space import Configuration
from tunewell.spec.states import LOST_CAUSES, Cause, Cut, TrialState
from tunewell.spec.waits import Reason
from tunewell.store.rows import AttemptEnd, AttemptRow, TrialRow
from tunewell.store.transaction import Transaction
from tunewell.tasks.contract import Task
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Wait

log = logging.getLogger(__name__)

#: What is told of an attempt that reports nothing, since the one before it was at its end.
NOTHING_LEFT = "It went on from its checkpoint and had nothing left to do: what it had reported before counts."
#: Wait before a trial that could not be started is tried again; it doubles with each time, up to the longest.
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 60.0


@dataclass(slots=True)
class WaitingTrial:
    """A trial that is to be started."""

    suggestion: Suggestion
    #: Number of its latest attempt; 0: there was none.
    attempt: int
    #: Finite objective at each step that the latest attempt to report has reported.
    curve: Mapping[int, float] = field(default_factory=dict)
    #: Why its next attempt could not be started, for people; empty if nothing has kept it.
    problem: str = ""
    #: How often that was so, and when it is tried again, on the monotonic clock.
    refusals: int = 0
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a search is run with, from its start to its end."""

    spec: ExperimentSpec
    task: Task
    scheduler: Scheduler
    home: Home
    #: Where the home keeps the experiment.
    folder: Path
    #: Of each trial.
    resources: Resources
    #: Trial number → the attempts at it that are on record.
    attempts: Callable[[int], list[AttemptRow]]
    #: Whether an attempt of this identity is on record at the trial of this number.
    has_attempt: Callable[[int, str], bool]
    #: See `Surroundings.api`.
    api: str | None = None

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.spec.name

    def launch(self, suggestion: Suggestion, attempt: int, identity: str) -> Launch:
        """Return the launch of an attempt at a suggestion."""
        key = AttemptKey(self.name, suggestion.number, attempt)
        place = self.home.place(key)
        launch = build_launch(self.spec, self.task, self.resources, suggestion, attempt, identity, self.folder, place)
        if self.api is None or self.spec.command is None:  # who calls `tunewell.report` writes into the folder
            return launch
        given = reporting(self.home, self.api, key, identity)
        environment = {**given, **launch.environment}
        return replace(launch, environment=environment, secrets=(*launch.secrets, given[REPORT_TOKEN]))


@dataclass(frozen=True, slots=True)
class Helpers:
    """What a trial manager has done by others."""

    #: Makes the calls of the tuner, and those that copy and delete folders.
    tuning: Calls
    copies: Calls
    #: What the scheduler has free.
    room: Room
    #: Says why an attempt that takes so much can't be started now; None: it can.
    refusal: Callable[[Resources], Reason | None]
    #: Told what an attempt has used that has ended, in seconds times cores and GPUs.
    spend: Callable[[float, float], None]


class TrialManager:
    """Owns the trials of one experiment."""

    def __init__(
        self,
        setting: Setting,
        progress: Progress,
        tuner: TunerCalls,
        helpers: Helpers,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Start with no trials; `recovery.recover` fills in what the store knows.

        Args:
            setting: what the search is run with.
            progress: what the stop rules look at.
            tuner: the tuner, with the history of the search.
            helpers: what slow calls are made by, and the room for trials.
            clock: gives dates, in seconds since the epoch.
            monotonic: measures durations, in seconds.
        """
        self.setting = setting
        self.progress = progress
        self.tuner = tuner
        self.room, self._refusal, self._spent = helpers.room, helpers.refusal, helpers.spend
        self.clock = clock
        self.monotonic = monotonic
        self.journal = Journal()
        #: Every suggestion that is on record, and the final states of ended trials, by number.
        self.suggestions: dict[int, Suggestion] = {}
        self.ended: dict[int, TrialState] = {}
        #: Trial number → number of the trial that it resumes from, where it does.
        self.parents: dict[int, int] = {}
        self.running: dict[int, RunningTrial] = {}
        self.waiting: deque[WaitingTrial] = deque()
        #: Trials whose next attempt is being prepared.
        self.staging: dict[int, WaitingTrial] = {}
        #: How often each waiting or running trial was lost.
        self.losses: defaultdict[int, Losses] = defaultdict(Losses)
        #: What the earlier attempts at each waiting or running trial have cost together, in seconds.
        self.costs: dict[int, float] = {}
        #: Whether an attempt could not be started for want of room on the disk.
        self.lacked_room = False
        #: Why no trial was started that could have been; None: nothing keeps any.
        self.waits_for: Reason | None = None
        #: Whether nothing more is to be started, for now.
        self.paused = False
        self.retention = Retention(setting.spec)
        self._copies = helpers.copies
        self._tuner_waits = False
        #: Number of folders that are about to be deleted, and those that a backup keeps: it is tried again later.
        self._deleting = 0
        self._kept: list[Path] = []

    # Starting ---------------------------------------------------------------------------------------------

    def start_next(self) -> Turn:
        """Take the next trial on its way, if there is one, the limits allow and there is room for it."""
        if self.paused or (self._next_waiting() is None and not self._may_ask()):
            if not self.tuner.asking:
                self.waits_for = None
            return Turn.NOTHING
        if not self._may_start():
            self.waits_for = self._own_limit()
            return Turn.NOTHING
        self.waits_for = self._refusal(self.setting.resources)
        if self.waits_for is not None:
            code = self.waits_for.code
            if code == "workers" and self.attempts:  # all that have asked are at work
                self.waits_for = None
            return Turn.NO_ROOM if code == "no_room" else Turn.LIMITED
        if self._next_waiting() is None:
            self.tuner.ask(self._on_answer)
        trial = self._next_waiting()  # a tuner that costs nothing has answered already
        if trial is None:
            return Turn.NOTHING
        self.waiting.remove(trial)
        self._stage(trial)
        return Turn.STARTED

    @property
    def problem(self) -> str:
        """What keeps a trial from being started just now, for people; empty if nothing does."""
        return next((trial.problem for trial in self.waiting if trial.problem), "")

    @property
    def attempts(self) -> int:
        """How many attempts run, or are about to."""
        return len(self.running) + len(self.staging)

    @property
    def idle(self) -> bool:
        """Whether no attempt runs or is about to, and nothing is being deleted."""
        return not self.running and not self.staging and not self._deleting

    def _may_start(self) -> bool:
        s, busy = self.setting, self._busy()
        limits = (s.spec.max_concurrency, self.tuner.standing.concurrency, self.room.slots(s.resources))
        return all(limit is None or busy < limit for limit in limits)

    def _busy(self) -> int:
        now = self.monotonic()
        # A trial that can't be started keeps its place: else a full disk would have all trials suggested, one by one.
        return self.attempts + sum(trial.retry_at > now for trial in self.waiting)

    def _own_limit(self) -> Reason | None:
        """Return what the user has said on how many trials run at once, if that is what keeps another one."""
        most = self.setting.spec.max_concurrency
        if most is None or self._busy() < most:
            return None
        return Reason("max_concurrency", f"The search may run {count(most, 'trial')} at once.")

    def _may_ask(self) -> bool:
        if self._tuner_waits or self.tuner.asking:
            return False
        return not self.progress.exhausted and self._is_left()

    def _is_left(self) -> bool:
        """Whether one more trial may be proposed."""
        expected = self.progress.suggested + self.tuner.adding + self.tuner.asking
        return expected < self.progress.max_trials

    def _next_waiting(self) -> WaitingTrial | None:
        now = self.monotonic()
        return next((trial for trial in self.waiting if trial.retry_at <= now), None)

    def _on_answer(self, answer: Suggestion | Wait | Exhausted, known: int) -> None:
        to_come = self.running or self.waiting or self.staging or self.tuner.adding or known < self.tuner.told
        if isinstance(answer, Wait) and to_come:
            self._tuner_waits = known == self.tuner.told
            return
        if isinstance(answer, Exhausted | Wait):  # waiting for nothing would be for ever
            self.progress.exhausted = answer.reason if isinstance(answer, Exhausted) else "the algorithm waits in vain"
            return
        if not self.progress.closed:
            self._add(answer, known)

    def _add(self, suggestion: Suggestion, known: int, *also: Write) -> None:
        """Have a suggestion wait for its start; `also` is written in the same transaction."""
        self.note_suggestion(suggestion)
        name, now = self.setting.name, self.clock()

        def write(tx: Transaction) -> None:
            tx.add_trial(
                name,
                suggestion.number,
                suggestion.parameters,
                suggestion.origin,
                suggestion.fidelity,
                suggestion.resume_from,
                now,
                known,
            )
            for one in also:
                one(tx)

        self.journal.add(write)
        self.waiting.append(WaitingTrial(suggestion, attempt=0))

    def note_suggestion(self, suggestion: Suggestion) -> None:
        """Take note of a suggestion that is, or is going to be, on record."""
        self.progress.suggested += 1
        self.suggestions[suggestion.number] = suggestion
        if suggestion.resume_from is not None:
            self.parents[suggestion.number] = suggestion.resume_from

    def _stage(self, trial: WaitingTrial) -> None:
        """Have the folder of the next attempt at a trial prepared, and then the attempt started."""
        s, suggestion = self.setting, trial.suggestion
        launch = s.launch(suggestion, trial.attempt + 1, identity=uuid.uuid4().hex)
        self.room.take(launch.key, launch.resources)
        self.staging[suggestion.number] = trial
        if not s.scheduler.needs_folder:
            self._on_staged(trial, launch, Staged())
            return
        calls = self._copies if wants_checkpoint(launch, suggestion) else Direct()
        calls.make(partial(self._staged, launch, suggestion), partial(self._on_staged, trial, launch))

    def _staged(self, launch: Launch, suggestion: Suggestion) -> Staged | OSError:
        try:
            s = self.setting
            if not s.scheduler.keeps_checkpoints:
                suggestion = replace(suggestion, resume_from=None)
            return stage(s.home, s.attempts, partial(s.has_attempt, suggestion.number), launch, suggestion)
        except OSError as error:
            return error

    def _on_staged(self, trial: WaitingTrial, launch: Launch, staged: Staged | OSError) -> None:
        number = trial.suggestion.number
        if self.staging.pop(number, None) is None or isinstance(staged, OSError) or self.paused:
            self.room.give_back(launch.key)
            if isinstance(staged, OSError):
                self._hold(trial, staged)
            elif self.paused:
                self.waiting.appendleft(trial)
            return
        if staged.note:
            self._note(staged.note)
        now = self.clock()
        sequence = Sequence(self.setting.spec.objective.metric)
        running = self.running[number] = RunningTrial(trial.suggestion, launch, now, self.monotonic(), sequence)
        if staged.goes_on:
            running.earlier = trial.curve
        self.journal.add(
            lambda tx: tx.start_attempt(
                running.key, launch.identity, now, self.setting.scheduler.host, planned_epochs=launch.epochs
            ),
            partial(self._carry_out_start, launch, staged),
        )

    def _hold(self, trial: WaitingTrial, error: OSError) -> None:
        """Have a trial wait for a while that can't be started; that costs no attempt."""
        number = trial.suggestion.number
        place = error.filename2 or error.filename
        reason = f"{error.strerror} ({place})" if error.strerror else str(error)
        trial.problem = f"Trial {number} can't be started: {reason}"
        wait = min(RETRY_SECONDS * 2**trial.refusals, LONGEST_RETRY_SECONDS)
        trial.refusals += 1
        trial.retry_at = self.monotonic() + wait
        self.waiting.appendleft(trial)
        self._note(f"Trial {number} had to wait before it could be started: {reason}")

    def _note(self, note: str) -> None:
        self.journal.add(lambda tx: tx.add_notes(self.setting.name, [note]))

    def _carry_out_start(self, launch: Launch, staged: Staged) -> None:
        self.room.give_back(launch.key)
        if staged.folder is not None:
            try:
                staged.folder.rename(launch.folder)
            except OSError as error:
                self.on_event(Ended(launch.key, not_started(error)))
                return
        if staged.missing:
            self.on_event(Ended(launch.key, Exit(Cause.DATA_ERROR, staged.missing)))
            return
        key = launch.key
        assert isinstance(key, AttemptKey)
        about = {"experiment": key.experiment, "trial": key.trial, "attempt": key.attempt}
        log.info("trial %d starts", key.trial, extra=about)
        self.setting.scheduler.submit(launch)

    # Events -----------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take note of a report or an end. Those of attempts that are not the current one change nothing."""
        key = event.key
        trial = self.running.get(key.trial) if isinstance(key, AttemptKey) else None
        if trial is None or trial.launch.key != key:
            return
        if isinstance(event, Reported):
            self._on_report(trial, event.report)
        elif isinstance(event, Refused):
            self._on_refusal(trial, event.reason)
        elif isinstance(event, Ended):
            self._on_end(trial, event.exit)

    def _on_report(self, trial: RunningTrial, report: Report) -> None:
        objective = self.setting.spec.objective
        report = trial.sequence.place(report)
        self.journal.add(lambda tx: tx.add_reports(trial.key, [report]))
        trial.metrics.update(report.metrics)
        value = report.metrics.get(objective.metric)
        if value is None:
            return
        if not math.isfinite(value):
            trial.non_finite = f"{objective.metric} was {value} at step {report.step}"
            self.ask_to_end(trial.suggestion.number, "non_finite")
            return
        trial.curve[report.step] = value
        self.progress.note_value(objective, trial.suggestion.number, value)
        self.tuner.judge(trial.suggestion.number, trial.curve, report.step, partial(self._on_judgement, trial))

    def _on_judgement(self, trial: RunningTrial, judgement: str) -> None:
        current = self.running.get(trial.suggestion.number)
        if judgement == "prune" and current is trial:
            self.ask_to_end(trial.suggestion.number, "pruned")

    def ask_to_end(
        self, number: int, reason: str, grace_seconds: float | None = None, cut_by: Cut | None = None
    ) -> None:
        """Have a running trial end. The first reason counts; a later call can only shorten the grace time."""
        trial = self.running.get(number)
        if trial is None:
            return
        if trial.asked_to_end is None:
            trial.asked_to_end, trial.cut_by = reason, cut_by
        self.setting.scheduler.stop(trial.launch.key, grace_seconds)

    def _on_refusal(self, trial: RunningTrial, reason: str) -> None:
        """Have a trial wait that the scheduler had no room for after all; that costs it nothing."""
        if trial.asked_to_end is not None:
            self._on_end(trial, Exit(stopped=True, duration_seconds=0.0))
            return
        self._lose(trial, Exit(duration_seconds=0.0), lost(f"It was not started: {reason}."))
        self.waiting[-1].retry_at = self.monotonic() + RETRY_SECONDS
        self.waiting.rotate(1)

    def _on_end(self, trial: RunningTrial, exit_: Exit) -> None:
        number = trial.suggestion.number
        # Stopped, but not by this controller: by an interruption, or by one that is gone.
        interrupted = exit_.stopped and trial.asked_to_end is None
        if interrupted or (trial.asked_to_end == "interrupted" and (exit_.stopped or exit_.cause is not None)):
            self.losses[number].note(trial.sequence.last_step, was_lost=False)
            self._lose(trial, exit_, lost("The search was paused."))
            return
        if exit_.cause in LOST_CAUSES and not exit_.stopped and trial.asked_to_end is None:
            lacked_room = exit_.cause is Cause.DISK_FULL and exit_.started_at is None
            self.lacked_room |= lacked_room
            losses = self.losses[number]
            # What could not even begin has used up no attempt.
            losses.note(trial.sequence.last_step, was_lost=not lacked_room)
            if losses.allow_another(self.setting.spec.max_attempts):
                self._lose(trial, exit_, lost(exit_.detail, exit_.cause))
                return
        spec = self.setting.spec
        if exit_.cause is None and not exit_.stopped and not trial.curve and trial.earlier:
            trial.curve.update(trial.earlier)
            exit_ = replace(exit_, notes=(*exit_.notes, NOTHING_LEFT))
        self._finish(trial, judge_end(spec.objective, trial, exit_, spec.function is not None), exit_)

    def _lose(self, trial: RunningTrial, exit_: Exit, verdict: Verdict) -> None:
        end = self._end(trial, exit_, verdict)
        del self.running[trial.suggestion.number]
        self.waiting.append(WaitingTrial(trial.suggestion, trial.key.attempt, trial.curve or trial.earlier))
        self._record_end(trial, end, lambda tx: tx.lose_attempt(trial.key, end))

    def _finish(self, trial: RunningTrial, verdict: Verdict, exit_: Exit) -> None:
        number, state = trial.suggestion.number, verdict.state
        value = self._value(trial) if state is not TrialState.FAILED else None
        end = self._end(trial, exit_, verdict, value)
        del self.running[number]
        self.losses.pop(number, None)
        self.ended[number] = state
        self._record_end(trial, end, lambda tx: tx.finish_trial(trial.key, end))
        self.progress.note_end(self.setting.spec.objective, state, value)
        outcome = Outcome(number, state, value, verdict.cause, self.costs.pop(number), dict(trial.curve))
        self.tuner.tell(outcome, partial(self._on_told, trial, outcome))

    def _record_end(self, trial: RunningTrial, end: AttemptEnd, record: Callable[[Transaction], None]) -> None:
        name, resources = self.setting.name, trial.launch.resources
        used = (end.seconds * resources.cpus, end.seconds * resources.gpus)
        self._spent(*used)

        def write(tx: Transaction) -> None:
            record(tx)
            tx.add_use(owner_of(name), name, *used, end.now)

        self.journal.add(write)

    def _end(self, trial: RunningTrial, exit_: Exit, verdict: Verdict, value: float | None = None) -> AttemptEnd:
        key, state, cause = trial.key, verdict.state, verdict.cause
        about = {"experiment": key.experiment, "trial": key.trial, "attempt": key.attempt}
        facts = {"state": state.value} | ({"cause": cause.value} if cause is not None else {})
        log.info("trial %d has ended", key.trial, extra={**about, **facts})
        return AttemptEnd(
            state=state,
            cause=cause,
            detail=verdict.detail,
            notes=(*trial.sequence.notes(), *exit_.notes),
            value=value,
            exit_code=exit_.exit_code,
            peak_memory_bytes=exit_.peak_memory_bytes,
            epochs=trial.epochs,
            cut_by=verdict.cut_by,
            seconds=self._spend(trial, exit_),
            ended_after=self.progress.elapsed_seconds,
            # An attempt that is adopted may have ended long before this controller began.
            now=max(trial.started_at, exit_.ended_at or self.clock()),
        )

    def _on_told(self, trial: RunningTrial, outcome: Outcome, convergence: Convergence | None) -> None:
        self._tuner_waits = False
        self.progress.convergence = convergence
        if not self.retention.applies:
            return
        surplus = self.retention.note_end(
            trial.suggestion, trial.launch.folder, outcome.state, outcome.objective, self.wanted_checkpoints()
        )
        for folder in [*surplus, *self._kept]:
            self._deleting += 1
            self.journal.add(None, partial(self._delete, folder))
        self._kept.clear()

    def _delete(self, folder: Path) -> None:
        home = self.setting.home.folder
        self._copies.make(partial(remove_now, home, folder), partial(self._on_deleted, folder))

    def _on_deleted(self, folder: Path, is_gone: bool) -> None:
        self._deleting -= 1
        if not is_gone:
            self._kept.append(folder)

    def wanted_checkpoints(self) -> Collection[int]:
        """Return the ended trials whose checkpoints may be resumed from, by new trials or by retried ones."""
        may_run_again = (None, TrialState.FAILED, TrialState.STOPPED)
        parents = {parent for child, parent in self.parents.items() if self.ended.get(child) in may_run_again}
        return {*self.tuner.standing.checkpoints, *parents}

    def _spend(self, trial: RunningTrial, exit_: Exit) -> float:
        """Return how long an attempt took, and add it to the cost of its trial.

        Of one whose supervisor was killed only the part that this controller saw is known.
        """
        seconds = exit_.duration_seconds
        if seconds is None:
            seconds = self.monotonic() - trial.watched_from
        number = trial.suggestion.number
        self.costs[number] = self.costs.get(number, 0.0) + seconds
        return seconds

    def _value(self, trial: RunningTrial) -> float | None:
        reached = trial.reached(self.setting.spec.objective)
        if reached is not None:
            return reached
        return trial.curve[max(trial.curve)] if trial.curve else None

    # Requests ---------------------------------------------------------------------------------------------

    def add(self, configuration: Configuration, handled: Write) -> bool:
        """Have a configuration from outside tried next; `handled` is written with it. False: no trial is left for it.

        Where the search ends first, nothing is written.
        """
        if not self._is_left() or self.progress.closed:
            return False

        def take(suggestion: Suggestion | None, known: int) -> None:
            if self.progress.closed:
                return
            if suggestion is None:
                self._note("A configuration that was to be added had been tried already.")
                self.journal.add(handled)
            else:
                self._add(suggestion, known, handled)

        self.tuner.add(configuration, take)
        return True

    def change(self, spec: ExperimentSpec, max_trials: int, resources: Resources, best: TrialRow | None) -> None:
        """Go on with another budget.

        Args:
            spec: the spec with it.
            max_trials: number of trials that there may be now.
            resources: of each trial from now on.
            best: the best trial that has ended; None: there is none with a value.
        """
        self.setting = replace(self.setting, spec=spec, resources=resources)
        progress, objective = self.progress, spec.objective
        progress.max_trials, progress.exhausted, progress.target_reached = max_trials, "", None
        if best is not None and best.value is not None:
            progress.note_value(objective, best.number, best.value)
        for number, trial in self.running.items():
            for value in trial.curve.values():
                progress.note_value(objective, number, value)
        if not spec.stop_when_converged:
            progress.convergence = None
        self._tuner_waits = False
        self.tuner.expect(max_trials, spec.max_concurrency, spec.stop_when_converged)

    def interrupt(self, grace_seconds: float | None = None) -> None:
        """Start nothing more; have all running trials end and wait for the next time that the experiment runs."""
        self.paused = True
        for number in list(self.running):
            self.ask_to_end(number, "interrupted", grace_seconds)

    def pause(self) -> None:
        """Start nothing more; trials that can go on from their checkpoints end for now, the others run to their end."""
        self.paused = True
        if self.setting.task.resumable(self.setting.spec):
            self.interrupt()

    def let_go(self) -> None:
        """Have all running trials that can go on from their checkpoints end for now, and wait."""
        if self.setting.task.resumable(self.setting.spec):
            for number, trial in list(self.running.items()):
                if trial.asked_to_end is None:
                    self.ask_to_end(number, "interrupted")

    def resume(self) -> None:
        """Start trials again."""
        self.paused = False

    def stop_all(self, cut_by: Cut) -> None:
        """Have all running trials end for good, because of what ends the search, and stop those that wait."""
        self.progress.closed = True
        for number in list(self.running):
            self.ask_to_end(number, "stopped", cut_by=cut_by)
        for trial in [*self.waiting, *self.staging.values()]:
            self._stop_waiting(trial)

    def stop_trial(self, number: int) -> None:
        """Stop one trial, running or waiting; no effect on one that has ended, or is asked to already."""
        if number in self.running and self.running[number].asked_to_end is None:
            self.ask_to_end(number, "stopped", cut_by=Cut.BY_HAND)
        for trial in [*self.waiting, *self.staging.values()]:
            if trial.suggestion.number == number:
                self._stop_waiting(trial)

    def _stop_waiting(self, trial: WaitingTrial) -> None:
        name, now = self.setting.name, self.clock()
        number, state = trial.suggestion.number, TrialState.STOPPED
        if self.staging.pop(number, None) is None:
            self.waiting.remove(trial)
        self.ended[number] = state
        self.journal.add(lambda tx: tx.stop_waiting(name, number, now))
        self.progress.note_end(self.setting.spec.objective, state, None)
        outcome = Outcome(number, state, cost_seconds=self.costs.pop(number, 0.0))
        self.tuner.tell(outcome, self._on_stopped)

    def _on_stopped(self, convergence: Convergence | None) -> None:
        self._tuner_waits = False
        self.progress.convergence = convergence

    def retry(self, trial: TrialRow) -> None:
        """Let a trial that failed or was stopped run again."""
        name, number, now = self.setting.name, trial.number, self.clock()
        self.costs[number] = trial.cost_seconds
        del self.ended[number]
        self.journal.add(lambda tx: tx.retry_trial(name, number, now))
        self.progress.note_retry(trial.state)
        self.progress.convergence = None
        self.waiting.append(WaitingTrial(self.suggestions[number], trial.attempt))
