"""Trials as function calls in the controller's own thread: for objectives that cost next to nothing."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tunewell.schedulers import records
from tunewell.schedulers.classify import classify_text, shorten
from tunewell.schedulers.contract import Sink
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Report, Reported, Resources
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

    def __init__(self, function: Callable[..., Any], metric: str) -> None:
        """Call `function` as `tunewell.trial.function.call` says; a number that it returns is `metric`."""
        self._function = function
        self._metric = metric
        self._trial: InlineTrial | None = None
        self._sink: Sink = _nowhere
        self._sink_error: BaseException | None = None
        # Held while an event is on its way: threads of the function may report, too, even when it has returned.
        self._delivering = threading.RLock()
        self._caller = 0
        #: Whether the function is at work: only an exception can end it then.
        self.calling = False

    def slots(self, resources: Resources) -> int:
        """Return 1, or 0 if GPUs are asked for: nothing can be promised of them here."""
        return 0 if resources.gpus else 1

    def free(self, resources: Resources) -> int:
        """Return 1 if no attempt waits for its call."""
        return self.slots(resources) if self._trial is None else 0

    def start(self, launch: Launch) -> None:
        """Have the next `poll` call the function."""
        self._trial = InlineTrial(launch, self._deliver)

    def poll(self, sink: Sink, timeout: float) -> None:
        """Call the function if an attempt waits for it.

        Raises:
            KeyboardInterrupt: it came during the call. The attempt's end, as stopped, has gone to `sink` before.
        """
        trial = self._trial
        if trial is None:
            time.sleep(timeout)
            return
        self._sink, self._sink_error = sink, None
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
            cause, detail = _explain(error)
            if cause is not None and self._sink_error is None:
                trial.leave_traceback()
        return Exit(cause, detail, stopped=stopped)

    def _deliver(self, event: Reported) -> None:
        with self._delivering:
            if self._trial is None or self._trial.key != event.key:
                raise RuntimeError(f"trial {event.key.trial} has ended: its function has returned")
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

    def stop(self, key: AttemptKey, grace_seconds: float | None = None) -> None:
        """Have the attempt end at its next report, or not begin at all."""
        if self._trial is not None and self._trial.key == key:
            self._trial.asked_to_end = True

    def adopt(self, launch: Launch) -> Literal["alive", "ended", "unknown"]:
        """Return "unknown": a call ends with its process."""
        del launch
        return "unknown"

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""


class InlineTrial(Trial):
    """The trial of a call: reports go to the controller at once."""

    def __init__(self, launch: Launch, deliver: Callable[[Reported], None]) -> None:
        """Be the trial that `launch` describes; reports go to `deliver`."""
        environment = launch.environment
        super().__init__(
            launch.key.trial,
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

    def _send(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        self._deliver(Reported(self.key, Report(step, metrics, time.time())))


def _explain(error: BaseException) -> tuple[Cause | None, str]:
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
