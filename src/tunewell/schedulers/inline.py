"""Trials as function calls in the controller's own thread: for objectives that cost next to nothing."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewell.schedulers import hardware, records
from tunewell.schedulers.classify import classify_text, shorten
from tunewell.schedulers.contract import LOST, Sink
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import (
    AttemptKey,
    Ended,
    Event,
    Exit,
    Launch,
    Refused,
    Report,
    Reported,
    Started,
    WorkKey,
)
from tunewell.spec.states import Cause
from tunewell.trial import files
from tunewell.trial.function import call
from tunewell.trial.trial import CAUSES, Failed, Pruned, Trial, made


class InlineScheduler:
    """Calls a function for each attempt, within `poll`. See `tunewell.schedulers.contract.Scheduler`.

    One attempt at a time, no limits, and an attempt ends with the controller. A request to end takes effect at
    the function's next report.
    """

    needs_folder = False
    keeps_checkpoints = False
    host = ""

    def __init__(self, function: Callable[..., Any], metric: str) -> None:
        """Call `function` as `tunewell.trial.function.call` says; a number that it returns is `metric`."""
        self._function = function
        self._metric = metric
        self._trial: InlineTrial | None = None
        #: What there is to tell of attempts that are not called.
        self._answers: deque[Event] = deque()
        self._sink: Sink = _nowhere
        self._sink_error: BaseException | None = None
        # Held while an event is on its way: threads of the function may report, too, even when it has returned.
        self._delivering = threading.RLock()
        self._caller = 0
        #: Whether the function is at work: only an exception can end it then.
        self.calling = False

    def capacity(self) -> Capacity:
        """Return one core, free if no attempt waits for its call. Nothing can be promised of GPUs here."""
        (found,) = hardware.machine().nodes
        node = hardware.empty_node(1, found.memory_bytes, ())
        if self._trial is not None:
            node = replace(node, free_cpus=0, free_memory_bytes=0)
        return Capacity((node,))

    def submit(self, launch: Launch) -> None:
        """Have the next `poll` call the function; refused while another attempt waits for that."""
        if self._trial is None:
            self._trial = InlineTrial(launch, self._deliver)
        else:
            self._answers.append(Refused(launch.key, "one function is called at a time"))

    def preload(self, modules: tuple[str, ...]) -> None:
        """Do nothing: what is called here is imported already."""

    def poll(self, sink: Sink, timeout: float) -> None:
        """Call the function if an attempt waits for it.

        Raises:
            KeyboardInterrupt: it came during the call. The attempt's end, as stopped, has gone to `sink` before.
        """
        if self._trial is None and not self._answers:
            time.sleep(timeout)
            return
        while self._answers:
            sink(self._answers.popleft())
        trial = self._trial
        if trial is None:
            return
        self._sink, self._sink_error = sink, None
        sink(Started(trial.key))
        interrupt = None
        begun, started_at = time.monotonic(), time.time()
        try:
            exit_ = self._call(trial)
        except KeyboardInterrupt as error:
            interrupt, exit_ = error, Exit(stopped=True)
        finally:
            self.calling = False
            with self._delivering:
                self._trial, self._sink = None, _nowhere
        if self._sink_error is not None:
            raise self._sink_error
        duration = time.monotonic() - begun
        exit_ = replace(exit_, started_at=started_at, ended_at=time.time(), duration_seconds=duration)
        sink(Ended(trial.key, exit_))
        if interrupt is not None:
            raise interrupt

    def _call(self, trial: InlineTrial) -> Exit:
        cause, detail, stopped = None, "", trial.asked_to_end
        try:
            if not stopped:
                self._caller = threading.get_ident()
                self.calling = True
                call(self._function, trial, self._metric)
        except KeyboardInterrupt:
            raise
        except Pruned:
            stopped = True
        except BaseException as error:
            self.calling = False
            cause, detail = explain(error)
            if cause is not None and self._sink_error is None:
                trial.leave_traceback()
        return Exit(cause, detail, stopped=stopped)

    def _deliver(self, event: Reported) -> None:
        with self._delivering:
            if self._trial is None or self._trial.key != event.key:
                raise RuntimeError("the trial has ended: its function has returned")
            # What goes wrong in there is the controller's affair, not the function's - which is at work all the same
            # where another thread reports.
            of_caller = threading.get_ident() == self._caller
            if of_caller:
                self.calling = False
            try:
                self._sink(event)
            except BaseException as error:
                self._sink_error = error
                raise
            if of_caller:
                self.calling = True

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Have the attempt end at its next report, or not begin at all."""
        if self._trial is not None and self._trial.key == key:
            self._trial.asked_to_end = True

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Answer that they are lost, but for the one that waits for its call: a call ends with its process."""
        waiting = {self._trial.key} if self._trial is not None else set()
        answered = {event.key for event in self._answers} | waiting
        lost = dict.fromkeys(launch.key for launch in launches if launch.key not in answered)
        self._answers.extend(Ended(key, Exit(Cause.NODE_LOST, LOST)) for key in lost)

    def release(self, keys: Sequence[WorkKey]) -> None:
        """Have what waits never begin, and what is being called end: it can't live on without this process."""
        self._answers = deque(answer for answer in self._answers if answer.key not in keys)
        if self._trial is None or self._trial.key not in keys:
            return
        if self._sink is _nowhere:
            self._trial = None
        else:
            self._trial.asked_to_end = True

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""


class InlineTrial(Trial):
    """The trial of a call: reports go to the controller at once."""

    def __init__(self, launch: Launch, deliver: Callable[[Reported], None]) -> None:
        """Be the trial that `launch` describes; reports go to `deliver`."""
        environment = launch.environment
        super().__init__(
            launch.key.trial if isinstance(launch.key, AttemptKey) else 0,
            dict(launch.parameters),
            float(environment.get("TUNEWELL_FIDELITY", 1.0)),
            float(environment.get("TUNEWELL_SAMPLING", 1.0)),
        )
        self.key = launch.key
        self.asked_to_end = False
        self._launch = launch
        self._deliver = deliver
        self._step = 0

    @property
    def should_stop(self) -> bool:
        """Whether the controller has asked this attempt to end."""
        return self.asked_to_end

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of the checkpoint."""
        return self._made(files.CHECKPOINT)

    @property
    def output_dir(self) -> Path:
        """Folder for whatever is to be kept."""
        return self._made(files.ARTIFACTS)

    def leave_traceback(self) -> None:
        """Write the exception that is being handled to the attempt's log, if that can be done."""
        # The exception is the user's: whatever it is made of may fail while it is being formatted.
        with suppress(Exception):
            text = traceback.format_exc()
            with (self._made() / files.OUTPUT).open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(text)

    def _made(self, *parts: str) -> Path:
        """Return a folder within the attempt's, having made both."""
        if not self._launch.folder.exists():
            records.make_folder(self._launch.folder, self._launch.identity)
        return made(self._launch.folder, *parts)

    def _last_step(self) -> int:
        return self._step

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        self._step = step
        self._deliver(Reported(self.key, Report(step, metrics, time.time(), note=note)))


def explain(error: BaseException) -> tuple[Cause | None, str]:
    """Return cause and detail of an exception that a function raised."""
    if isinstance(error, Failed) and error.cause in CAUSES:
        return Cause(error.cause), shorten(_text(error.detail))
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return None, ""
    detail = shorten(f"{type(error).__name__}: {_text(error)}".removesuffix(": "))
    if isinstance(error, MemoryError):
        return Cause.HOST_OOM, detail
    return classify_text(detail) or Cause.CRASHED, detail


def _text(given: object) -> str:
    try:
        return str(given)
    except Exception as problem:
        return f"(its text can't be had: {type(problem).__name__})"


def _nowhere(event: Event) -> None:
    raise AssertionError(f"{event} came while no function was being called")
