"""The supervisor: a small process around each attempt that starts it, watches it and records its end.

It lives in a session of its own, so neither controller nor fork server takes it along when it ends. It is the
subreaper of everything that the trial starts (Linux), so nothing of the trial outlives it; should it be killed
itself, the kernel kills the trial.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.schedulers import cgroups, processes, records
from tunewell.schedulers.child import Surroundings, become_trial
from tunewell.schedulers.classify import TAIL_BYTES, classify_exit, shorten
from tunewell.schedulers.output import Output
from tunewell.schedulers.trial_user import TrialUser
from tunewell.spec.launch import Exit, Launch
from tunewell.spec.states import Cause
from tunewell.trial import files

#: How often limits, requests and output are looked at.
TICK_SECONDS = 0.1
#: How often memory is measured; at every tick once half of what is allowed is taken.
MEMORY_SECONDS = 0.5
#: Longest wait for killed processes to be gone: one that hangs in the kernel can't be killed.
REAP_SECONDS = 10.0
#: How often a full disk is tried again.
RETRY_SECONDS = 0.2


def supervise(folder: Path, environment: Mapping[str, str], user: TrialUser | None = None) -> None:
    """Run the attempt that `launch.json` in `folder` describes, to its recorded end.

    To be called in a process of its own with a single thread, with SIGTERM blocked. Does nothing in a folder
    where an attempt has ended, or that has no (sound) launch.json.

    Args:
        folder: the attempt's folder, absolute.
        environment: what the trial's environment is built upon.
        user: whom users' programs run as; None: as this process does.
    """
    with records.locked(folder, wait=True) as lock:
        launch = records.read_launch(folder)
        if lock is None or launch is None or (folder / records.EXIT).exists():
            return
        try:
            exit_ = Supervisor(launch, user).run(environment, lock)
        except OSError as error:  # the output file can't be opened, no process can be forked
            exit_ = records.not_started(error)
        _record(folder, exit_)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the supervisor has a trial end before it does so by itself."""

    cause: Cause | None
    detail: str = ""


class Supervisor:
    """Watches one trial. One instance lives as long as its process."""

    def __init__(self, launch: Launch, user: TrialUser | None = None) -> None:
        """Prepare to run `launch`, perhaps as a user; raise OSError if its output can go nowhere."""
        self.launch, self._user = launch, user
        self.folder = launch.folder
        self.limits = launch.limits
        self._output = Output(self.folder, launch.metric_pattern, launch.metric)
        self._wake = _Wake()
        self._leash = records.Process(*launch.ends_with) if launch.ends_with is not None else None
        self._trial = 0
        self._status: int | None = None
        self._ending: Ending | None = None
        self._kill_at = float("inf")
        self._peak_bytes = 0
        #: When the trial ended: on the monotonic clock, and as a date.
        self._ended = self._ended_at = 0.0
        self._started = self._last_sign = self._last_measured = self._last_look = 0.0
        #: Seconds that its limit on time leaves out.
        self._excused = 0.0
        #: Whether the disk was full at some time.
        self._was_full = False
        self._seen_bytes = (-1, -1)

    def run(self, environment: Mapping[str, str], lock: int) -> Exit:
        """Start the trial, watch it to its end, and return how it ended.

        `lock` is the descriptor of the attempt's lock, which the trial must not keep. Raises OSError if the trial
        can't be started.
        """
        started_at = time.time()
        if records.read_stop(self.folder) is not None:
            return Exit(stopped=True, started_at=started_at, ended_at=started_at, duration_seconds=0.0)
        oom_kills = cgroups.oom_kills()
        processes.become_subreaper()
        problem = self._start(environment, lock)
        try:
            self._watch()
            self._sweep()
            self._await_output()
            exit_ = self._judge(_read_all(problem), cgroups.oom_kills() > oom_kills)
        finally:
            os.close(problem)
            self._output.close()
        return replace(
            exit_,
            started_at=started_at,
            ended_at=self._ended_at,
            duration_seconds=self._ended - self._started,
            peak_memory_bytes=self._peak_bytes or None,
            notes=self._output.notes(),
        )

    def _start(self, environment: Mapping[str, str], lock: int) -> int:
        """Fork the trial; return the descriptor that tells why it could not be started, if so."""
        problem, theirs = os.pipe()
        os.set_blocking(problem, False)
        me = os.getpid()
        output = self._output.trials_end
        private = (lock, problem, *self._wake.descriptors, *self._output.descriptors)
        self._trial = os.fork()
        if self._trial == 0:
            become_trial(self.launch, Surroundings(me, environment, output, theirs, private, self._user))
        os.close(theirs)
        os.close(output)
        with suppress(OSError):  # the child does it, too: whoever comes first
            os.setpgid(self._trial, self._trial)
        self._started = self._last_sign = self._last_measured = self._last_look = time.monotonic()
        supervisor, trial = (records.Process(pid, processes.identity(pid) or "") for pid in (me, self._trial))
        with suppress(OSError):  # a full disk; it is only missed if this process is killed
            records.write_supervised(self.folder, records.Supervised(supervisor, trial, self._output.link))
        return problem

    # Watching ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            more = self._output.step()
            told_to_end = self._wake.wait(0.0 if more else TICK_SECONDS)
            self._reap()
            now = time.monotonic()
            if self._status is not None or now >= self._kill_at + REAP_SECONDS:
                self._ended, self._ended_at = now, time.time()
                return
            self._make_up_for_a_full_disk(now)
            self._heed_requests(now, told_to_end)
            self._enforce_limits(now)
            if now >= self._kill_at:
                self._kill()

    def _heed_requests(self, now: float, told_to_end: bool) -> None:
        grace = records.read_stop(self.folder)
        if grace is not None:
            self._end(Ending(None), now, grace)
        elif told_to_end:
            detail = "its supervisor was ended by SIGTERM"
            self._end(Ending(Cause.KILLED, detail), now, self.limits.grace_seconds)
        elif self._leash is not None and not processes.is_running(self._leash):
            detail = "the process that had started it is gone"
            self._end(Ending(Cause.NODE_LOST, detail), now, self.limits.grace_seconds)

    def _make_up_for_a_full_disk(self, now: float) -> None:
        """Leave the time in which the trial may have to wait for room on the disk out of what its limits count."""
        passed, self._last_look = now - self._last_look, now
        if self._output.waits or files.is_full(self.folder):
            self._was_full = True
            self._excused += passed
            self._last_sign += passed

    def _enforce_limits(self, now: float) -> None:
        limits = self.limits
        if self._output.problem:
            detail = f"its output can't be written: {self._output.problem}"
            self._end(Ending(Cause.NODE_LOST, detail), now, limits.grace_seconds)
        if limits.wall_seconds is not None and now - self._started - self._excused > limits.wall_seconds:
            detail = f"it ran longer than {limits.wall_seconds:g} s"
            self._end(Ending(Cause.TIMEOUT, detail), now, limits.grace_seconds)
        if limits.silence_seconds is not None and now - self._last_sign_of_life(now) > limits.silence_seconds:
            detail = f"it printed and reported nothing for {limits.silence_seconds:g} s"
            self._end(Ending(Cause.SILENT, detail), now, limits.grace_seconds)
        if now - self._last_measured >= MEMORY_SECONDS or 2 * self._peak_bytes > (limits.memory_bytes or 1 << 62):
            self._last_measured = now
            self._measure_memory(now)

    def _measure_memory(self, now: float) -> None:
        limit = self.limits.memory_bytes
        used = processes.resident_bytes(processes.descendants(os.getpid()), limit)
        self._peak_bytes = max(self._peak_bytes, used)
        if limit is not None and used > limit:
            detail = f"it took {used >> 20} MiB of memory, more than the {limit >> 20} MiB allowed"
            self._end(Ending(Cause.HOST_OOM, detail), now, 0.0)

    def _last_sign_of_life(self, now: float) -> float:
        sizes = (_size(self.folder / files.OUTPUT), _size(self.folder / files.REPORTS))
        if sizes != self._seen_bytes:
            self._seen_bytes, self._last_sign = sizes, now
        return self._last_sign

    # Ending -----------------------------------------------------------------------------------------------

    def _end(self, ending: Ending, now: float, grace: float) -> None:
        """Have the trial end. The first reason counts; a later one can only shorten the grace time."""
        if self._ending is None:
            self._ending = ending
            if grace > 0:
                processes.signal_group(self._trial, signal.SIGTERM)
        self._kill_at = min(self._kill_at, now + grace)

    def _kill(self) -> None:
        processes.signal_group(self._trial, signal.SIGKILL)
        processes.kill(processes.descendants(os.getpid()))

    def _reap(self) -> bool:
        """Collect what has ended; say whether anything is left."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._trial:
                    self._status = status
                    self._peak_bytes = max(self._peak_bytes, usage.ru_maxrss * _MAXRSS_UNIT)
        except ChildProcessError:
            return False

    def _sweep(self) -> None:
        """End whatever the trial has left behind."""
        deadline = time.monotonic() + REAP_SECONDS
        if not processes.LINUX:
            processes.signal_group(self._trial, signal.SIGKILL)
        while self._reap() and time.monotonic() < deadline:
            processes.kill(processes.descendants(os.getpid()))
            self._wake.wait(TICK_SECONDS)

    def _await_output(self) -> None:
        """Write what the trial has printed and its metrics, however long there is no room for it."""
        while not self._output.finish():
            self._was_full = True
            if not self.folder.is_dir():
                return
            self._wake.wait(RETRY_SECONDS)

    def _judge(self, problem: str, oom_killed: bool) -> Exit:
        if self._status is None:
            ending = self._ending or Ending(Cause.KILLED)
            detail = f"{ending.detail} (it hangs in the kernel and can't be killed)".strip()
            return Exit(ending.cause, detail, stopped=ending.cause is None)
        code = os.waitstatus_to_exitcode(self._status)
        if problem:
            return Exit(Cause.CRASHED, shorten(problem), code)
        if self._ending is None and code != 0 and (self.folder / files.STOP).exists():
            # It saw the request itself, at a report, before this process could pass it on.
            self._ending = Ending(None)
        if self._ending is not None:
            return Exit(self._ending.cause, self._ending.detail, code, stopped=self._ending.cause is None)
        failure = files.read_json(self.folder / files.FAILURE)
        if failure is not None:
            return Exit(_cause(failure.get("cause")), shorten(str(failure.get("detail", ""))), code)
        cause, detail = classify_exit(code, _tail(self.folder / files.OUTPUT), oom_killed)
        if cause is Cause.CRASHED and (self._was_full or files.is_full(self.folder)):
            # Programs say all sorts of things, or nothing, when they can't write.
            cause, detail = Cause.DISK_FULL, f"the disk was full while it ran; {detail}"
        return Exit(cause, detail, code)


class _Wake:
    """Turns SIGCHLD and SIGTERM into the end of a wait."""

    def __init__(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        self.descriptors = (read, write)
        self._poll = select.poll()
        self._poll.register(read, select.POLLIN)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda signum, frame: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def wait(self, seconds: float) -> bool:
        """Wait for a signal; return whether SIGTERM was among those that came."""
        if not self._poll.poll(seconds * 1000):
            return False
        return signal.SIGTERM in os.read(self.descriptors[0], 512)


#: Linux counts in KiB, macOS in bytes.
_MAXRSS_UNIT = 1024 if processes.LINUX else 1


def _record(folder: Path, exit_: Exit) -> None:
    """Record the end, as soon as there is room for it: without this, the attempt would count as lost."""
    while True:
        try:
            records.write_exit(folder, exit_)
            return
        except OSError:  # a folder that is gone does not come back
            if not folder.is_dir():
                return
            time.sleep(RETRY_SECONDS)


def _cause(text: object) -> Cause:
    try:
        return Cause(str(text))
    except ValueError:
        return Cause.CRASHED


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _read_all(descriptor: int) -> str:
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
