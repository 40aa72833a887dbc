"""The trial manager: asks the tuner, hands trials to the scheduler, takes their reports and ends.

It decides everything in memory and collects what must be recorded (`writes`) and done (`effects`). The
controller records the writes of one step in one transaction, then carries out the effects: what is not in the
store has not happened.
"""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tunewell.controller.attempts import build_launch, newest_checkpoint, prepare_folder
from tunewell.controller.convergence import examine
from tunewell.controller.retention import Retention
from tunewell.controller.sequence import Sequence
from tunewell.controller.stop_rules import Progress
from tunewell.home.home import SET_ASIDE, Home
from tunewell.schedulers.contract import Scheduler
from tunewell.schedulers.leftovers import ask_to_end, settle
from tunewell.schedulers.records import identity_of, not_started
from tunewell.spec.errors import ended, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Ended, Event, Exit, Launch, Report, Reported, Resources
from tunewell.spec.states import LOST_CAUSES, Cause, TrialState
from tunewell.store.rows import AttemptEnd, AttemptRow, TrialRow
from tunewell.store.transaction import Transaction
from tunewell.tasks.contract import Task
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Tuner, Wait

#: States of ended trials whose value counts.
RESULT_STATES = frozenset({TrialState.SUCCEEDED, TrialState.STOPPED})

#: Wait before a trial that could not be started is tried again; it doubles with each time, up to the longest.
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 60.0
#: Metrics that a message names.
MOST_NAMED = 10

Write = Callable[[Transaction], object]


@dataclass(slots=True)
class RunningTrial:
    """What is known of an attempt while it runs."""

    suggestion: Suggestion
    launch: Launch
    #: Date, in seconds since the epoch; and when this controller began to watch it, on the monotonic clock.
    started_at: float
    watched_from: float
    sequence: Sequence
    #: Finite objective at each step.
    curve: dict[int, float] = field(default_factory=dict)
    #: Names of all metrics reported.
    metrics: set[str] = field(default_factory=set)
    #: Step and text of a non-finite objective, if one was reported.
    non_finite: str | None = None
    #: Why it was asked to end: `pruned`, `interrupted`, `stopped` or `non_finite`.
    asked_to_end: str | None = None


@dataclass(slots=True)
class WaitingTrial:
    """A trial that is to be started."""

    suggestion: Suggestion
    #: Number of its latest attempt; 0: there was none.
    attempt: int
    #: Why its next attempt could not be started, for people; empty if nothing has kept it.
    problem: str = ""
    #: How often that was so, and when it is tried again, on the monotonic clock.
    refusals: int = 0
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """The fixed parts of an experiment that runs."""

    spec: ExperimentSpec
    task: Task
    tuner: Tuner
    scheduler: Scheduler
    home: Home
    resources: Resources

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.spec.name


class TrialManager:
    """Owns the trials of one experiment."""

    def __init__(
        self,
        experiment: Experiment,
        progress: Progress,
        attempts: Callable[[int], list[AttemptRow]],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Start with no trials; `recovery.recover` fills in what the store knows.

        Args:
            experiment: its fixed parts.
            progress: what the stop rules look at.
            attempts: trial number → the attempts at it that are on record.
            clock: gives dates, in seconds since the epoch.
            monotonic: measures durations, in seconds.
        """
        self.experiment = experiment
        self.progress = progress
        self.attempts = attempts
        self.clock = clock
        self.monotonic = monotonic
        self.running: dict[int, RunningTrial] = {}
        self.waiting: deque[WaitingTrial] = deque()
        #: How often each waiting or running trial was lost.
        self.losses: dict[int, int] = {}
        #: What the earlier attempts at each waiting or running trial have cost together, in seconds.
        self.costs: dict[int, float] = {}
        #: Whether an attempt could not be started for want of room on the disk.
        self.lacked_room = False
        self.retention = Retention(experiment.spec)
        self.writes: list[Write] = []
        self.effects: list[Callable[[], None]] = []
        self._tuner_waits = False

    # Starting ---------------------------------------------------------------------------------------------

    def launch_next(self) -> bool:
        """Take the next trial on its way, if there is one and the limits allow; say whether there was."""
        e, now = self.experiment, self.monotonic()
        # A trial that can't be started keeps its place: else a full disk would have all trials suggested, one by one.
        busy = len(self.running) + sum(trial.retry_at > now for trial in self.waiting)
        limits = (e.spec.max_concurrency, e.tuner.concurrency(), e.scheduler.slots(e.resources))
        if any(limit is not None and busy >= limit for limit in limits):
            return False
        trial = next((trial for trial in self.waiting if trial.retry_at <= now), None)
        if trial is not None:
            self.waiting.remove(trial)
        else:
            trial = self._ask()
        return trial is not None and self._start(trial)

    @property
    def problem(self) -> str:
        """What keeps a trial from being started just now, for people; empty if nothing does."""
        return next((trial.problem for trial in self.waiting if trial.problem), "")

    def _ask(self) -> WaitingTrial | None:
        if self._tuner_waits or self.progress.exhausted or self.progress.suggested >= self.progress.max_trials:
            return None
        answer = self.experiment.tuner.ask()
        if isinstance(answer, Wait) and (self.running or self.waiting):
            self._tuner_waits = True
            return None
        if isinstance(answer, Exhausted | Wait):  # waiting for nothing would be for ever
            self.progress.exhausted = answer.reason if isinstance(answer, Exhausted) else "the algorithm waits in vain"
            return None
        self.progress.suggested += 1
        name, now = self.experiment.name, self.clock()
        self.writes.append(
            lambda tx: tx.add_trial(
                name,
                answer.number,
                answer.parameters,
                answer.origin,
                answer.fidelity,
                answer.resume_from,
                now,
            )
        )
        return WaitingTrial(answer, attempt=0)

    def _start(self, trial: WaitingTrial) -> bool:
        """Have the next attempt at a trial started; False: that can't be done now, and the trial waits on."""
        e, suggestion = self.experiment, trial.suggestion
        identity = uuid.uuid4().hex
        launch = build_launch(e.spec, e.task, e.home, e.resources, suggestion, trial.attempt + 1, identity)
        try:
            self._make_way(launch)
            missing = self._prepare(launch, suggestion)
        except OSError as error:
            self._hold(trial, error)
            return False
        now = self.clock()
        self.running[suggestion.number] = RunningTrial(
            suggestion, launch, now, self.monotonic(), Sequence(e.spec.objective.metric)
        )
        key = launch.key
        self.writes.append(lambda tx: tx.start_attempt(key, identity, now))
        self.effects.append(partial(self._carry_out_start, launch, missing))
        return True

    def _make_way(self, launch: Launch) -> None:
        """Set aside what lies where the folder of a new attempt belongs: it can only be another life's.

        Raises OSError if it can't be moved, or the processes that work in it have to end first.
        """
        place, home = launch.folder, self.experiment.home
        if not os.path.lexists(place):
            return
        if identity_of(place) is not None:
            detail = "another life of its search has taken its place"
            if settle(place, Cause.NODE_LOST, detail) is None:
                ask_to_end(place, launch.limits.grace_seconds)
                raise BlockingIOError(f"{place}: an attempt that is not on record runs there; it was asked to end")
        home.set_aside(place)
        self._note(
            "Where trials of this search begin lay folders of attempts that are not on record, as when an older copy "
            f"of the database was put back. They were set aside, to {home.folder / SET_ASIDE}."
        )

    def _prepare(self, launch: Launch, suggestion: Suggestion) -> str:
        """Prepare the folder of a new attempt beside its place; return what is missing for it, for people.

        An attempt goes on from the newest checkpoint of the attempts before it, or else from that of the trial that
        its suggestion names. Raises OSError.
        """
        e, source = self.experiment, suggestion.resume_from
        if not e.scheduler.needs_folder:
            return ""
        checkpoint = self._checkpoint(suggestion.number) if launch.key.attempt > 1 else None
        if checkpoint is None and source is not None:
            checkpoint = self._checkpoint(source)
        prepare_folder(_staged(launch), launch, suggestion, checkpoint)
        if checkpoint is None and source is not None:
            return f"Trial {source} has left nothing in its checkpoint folder to go on from."
        return ""

    def _checkpoint(self, trial: int) -> Path | None:
        return newest_checkpoint(self.experiment.home, self.experiment.name, trial, self.attempts(trial))

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
        self.writes.append(lambda tx: tx.add_notes(self.experiment.name, [note]))

    def _carry_out_start(self, launch: Launch, missing: str) -> None:
        scheduler = self.experiment.scheduler
        if scheduler.needs_folder:
            try:
                _staged(launch).rename(launch.folder)
            except OSError as error:
                self.on_event(Ended(launch.key, not_started(error)))
                return
        if missing:
            self.on_event(Ended(launch.key, Exit(Cause.DATA_ERROR, missing)))
            return
        scheduler.start(launch)

    # Events -----------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take note of a report or an end. Those of attempts that are not the current one change nothing."""
        trial = self.running.get(event.key.trial)
        if trial is None or trial.launch.key != event.key:
            return
        if isinstance(event, Reported):
            self._on_report(trial, event.report)
        else:
            self._on_end(trial, event.exit)

    def _on_report(self, trial: RunningTrial, report: Report) -> None:
        objective = self.experiment.spec.objective
        report = trial.sequence.place(report)
        self.writes.append(lambda tx: tx.add_reports(trial.launch.key, [report]))
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
        if self.experiment.tuner.judge(trial.suggestion.number, trial.curve) == "prune":
            self.ask_to_end(trial.suggestion.number, "pruned")

    def ask_to_end(self, number: int, reason: str, grace_seconds: float | None = None) -> None:
        """Have a running trial end. The first reason counts; a later call can only shorten the grace time."""
        trial = self.running.get(number)
        if trial is None:
            return
        if trial.asked_to_end is None:
            trial.asked_to_end = reason
        self.experiment.scheduler.stop(trial.launch.key, grace_seconds)

    def _on_end(self, trial: RunningTrial, exit_: Exit) -> None:
        number = trial.suggestion.number
        # Stopped, but not by this controller: by an interruption, or by one that is gone.
        interrupted = exit_.stopped and trial.asked_to_end is None
        if interrupted or (trial.asked_to_end == "interrupted" and (exit_.stopped or exit_.cause is not None)):
            self._lose(trial, exit_, None, "The search was interrupted.")
            return
        if exit_.cause in LOST_CAUSES and not exit_.stopped and trial.asked_to_end is None:
            if exit_.cause is Cause.DISK_FULL and exit_.started_at is None:
                self.lacked_room = True  # what could not even begin has used up no attempt
            else:
                self.losses[number] = self.losses.get(number, 0) + 1
            if self.losses.get(number, 0) < self.experiment.spec.max_attempts:
                self._lose(trial, exit_, exit_.cause, exit_.detail)
                return
        state, cause, detail = self._judge_end(trial, exit_)
        self._finish(trial, state, cause, detail, exit_)

    def _judge_end(self, trial: RunningTrial, exit_: Exit) -> tuple[TrialState, Cause | None, str]:
        metric = self.experiment.spec.objective.metric
        if trial.non_finite is not None:
            return TrialState.FAILED, Cause.NON_FINITE, trial.non_finite
        ended_by_us = exit_.stopped or (trial.asked_to_end is not None and exit_.cause is not None)
        if ended_by_us and trial.asked_to_end == "pruned" and trial.curve:
            return TrialState.PRUNED, None, f"pruned after step {max(trial.curve)}"
        if ended_by_us:
            reached = self.progress.target_reached
            by_target = reached is not None and reached[0] == trial.suggestion.number
            return TrialState.STOPPED, None, "it reached the target" if by_target else "stopped on request"
        if exit_.cause is not None:
            return TrialState.FAILED, exit_.cause, exit_.detail
        if not trial.curve:
            return TrialState.FAILED, Cause.NO_METRIC, " ".join((_no_metric(metric, trial.metrics), *exit_.notes))
        return TrialState.SUCCEEDED, None, ""

    def _lose(self, trial: RunningTrial, exit_: Exit, cause: Cause | None, detail: str) -> None:
        key, now, seconds = trial.launch.key, self._end_time(trial, exit_), self._spend(trial, exit_)
        notes = (*trial.sequence.notes(), *exit_.notes)
        del self.running[key.trial]
        self.waiting.append(WaitingTrial(trial.suggestion, key.attempt))
        end = AttemptEnd(cause=cause, detail=detail, notes=notes, seconds=seconds, now=now)
        self.writes.append(lambda tx: tx.lose_attempt(key, end))

    def _finish(self, trial: RunningTrial, state: TrialState, cause: Cause | None, detail: str, exit_: Exit) -> None:
        key, spec = trial.launch.key, self.experiment.spec
        now, seconds = self._end_time(trial, exit_), self._spend(trial, exit_)
        ended_after = self.progress.elapsed_seconds
        value = self._value(trial) if state is not TrialState.FAILED else None
        del self.running[key.trial]
        self.losses.pop(key.trial, None)
        self._tuner_waits = False
        end = AttemptEnd(
            state,
            cause,
            detail,
            notes=(*trial.sequence.notes(), *exit_.notes),
            value=value,
            exit_code=exit_.exit_code,
            peak_memory_bytes=exit_.peak_memory_bytes,
            ended_after=ended_after,
            seconds=seconds,
            now=now,
        )
        self.writes.append(lambda tx: tx.finish_trial(key, end))
        self.progress.note_end(spec.objective, state, value)
        self.experiment.tuner.tell(Outcome(key.trial, state, value, cause, self.costs.pop(key.trial), trial.curve))
        self.examine_convergence()
        for folder in self.retention.note_end(
            trial.suggestion, trial.launch.folder, state, value, self.wanted_checkpoints()
        ):
            self.effects.append(partial(shutil.rmtree, folder, ignore_errors=True))

    def examine_convergence(self) -> None:
        """Find out whether the search has converged, if it is to stop then; called whenever a trial has ended."""
        spec, tuner = self.experiment.spec, self.experiment.tuner
        if not spec.stop_when_converged:
            return
        losses = [
            tuner.loss(outcome) if outcome.state in RESULT_STATES else None
            for number, outcome in tuner.outcomes.items()
            if tuner.suggestions[number].fidelity == 1  # parts of a training say nothing about its end
        ]
        varying = sum(parameter.size != 1 for parameter in tuner.space)
        self.progress.convergence = examine(losses, varying, tuner.probability_of_gain)

    def wanted_checkpoints(self) -> Collection[int]:
        """Return the ended trials whose checkpoints may be resumed from, by new trials or by retried ones."""
        tuner = self.experiment.tuner
        may_run_again = (None, TrialState.FAILED, TrialState.STOPPED)
        states = {child: tuner.outcomes[child].state if child in tuner.outcomes else None for child in tuner.parents}
        return {*tuner.checkpoints(), *(tuner.parents[child] for child in states if states[child] in may_run_again)}

    def _end_time(self, trial: RunningTrial, exit_: Exit) -> float:
        # An attempt that is adopted may have ended long before this controller began.
        return max(trial.started_at, exit_.ended_at or self.clock())

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
        reached = self.progress.target_reached
        if reached is not None and reached[0] == trial.suggestion.number:
            return reached[1]
        return trial.curve[max(trial.curve)] if trial.curve else None

    # Requests ---------------------------------------------------------------------------------------------

    def interrupt(self, grace_seconds: float | None = None) -> None:
        """Have all running trials end and wait for the next time that the experiment runs."""
        for number in list(self.running):
            self.ask_to_end(number, "interrupted", grace_seconds)

    def stop_all(self) -> None:
        """Have all running trials end for good, and stop those that wait."""
        for number in list(self.running):
            self.ask_to_end(number, "stopped")
        while self.waiting:
            self._stop_waiting(self.waiting.popleft())

    def stop_trial(self, number: int) -> None:
        """Stop one trial, running or waiting; no effect on one that has ended."""
        self.ask_to_end(number, "stopped")
        for trial in [trial for trial in self.waiting if trial.suggestion.number == number]:
            self.waiting.remove(trial)
            self._stop_waiting(trial)

    def _stop_waiting(self, trial: WaitingTrial) -> None:
        name, now = self.experiment.name, self.clock()
        number, state = trial.suggestion.number, TrialState.STOPPED
        self.writes.append(lambda tx: tx.stop_waiting(name, number, now))
        self.progress.note_end(self.experiment.spec.objective, state, None)
        self.experiment.tuner.tell(Outcome(number, state, cost_seconds=self.costs.pop(number, 0.0)))

    def retry(self, trial: TrialRow) -> None:
        """Let a trial that failed or was stopped run again."""
        name, number, now = self.experiment.name, trial.number, self.clock()
        self.costs[number] = trial.cost_seconds
        self.writes.append(lambda tx: tx.retry_trial(name, number, now))
        self.progress.note_retry(trial.state)
        self.progress.convergence = None
        self.waiting.append(WaitingTrial(self.experiment.tuner.suggestions[number], trial.attempt))


def _staged(launch: Launch) -> Path:
    """Return where an attempt's folder lies until the attempt is on record: no attempt has such a name."""
    return launch.folder.with_name(".next")


def _no_metric(metric: str, seen: set[str]) -> str:
    if not seen:
        return (
            f"it ended without reporting '{metric}' or any other metric; report it with tunewell.report, "
            f"`tunewell report {metric}=…` or a line '{metric}=…' on stdout."
        )
    names = sorted(seen)
    if len(names) > MOST_NAMED:
        return (
            f"it never reported '{metric}', only {', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} others."
        )
    return f"it never reported '{metric}', only {', '.join(names)}. {ended(nearest(metric, names))}"
