"""Trials on this machine, each in supervised processes of its own."""

from __future__ import annotations

import math
import selectors
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tunewell.schedulers import records
from tunewell.schedulers.contract import Sink
from tunewell.schedulers.fork_client import Forked, ForkServerGone, ForkServerProcess
from tunewell.schedulers.hardware import detect_cpus, detect_gpus
from tunewell.schedulers.leftovers import settle
from tunewell.schedulers.processes import Handle, is_alive
from tunewell.schedulers.records import Process
from tunewell.schedulers.report_reader import ReportReader
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Report, Reported, Resources
from tunewell.spec.secrets import hide_values
from tunewell.spec.states import Cause

#: How often reports are looked for.
TAIL_SECONDS = 0.1
#: How often an attempt is asked for again after a fork server died before it answered.
RELAUNCHES = 1
#: How long after its grace time an attempt that was asked to end may still have a supervisor.
OVERDUE_SECONDS = 15.0
#: What fits where nothing is needed.
_NO_LIMIT = 10**6
#: Rounding errors that are forgiven when fractions of cores are added up: ten times 0.1 is 1.
_SLACK = 1e-9
_KILLED = "its supervisor was killed"


@dataclass(slots=True)
class _Attempt:
    launch: Launch
    gpus: tuple[str, ...]
    reader: ReportReader
    #: The supervisor; None while it is not known.
    supervisor: Handle | None = None
    #: Whether a fork server still owes us the supervisor.
    requested: bool = False
    #: How often the fork server died before it answered.
    fork_servers_lost: int = 0
    #: When its supervisor must have ended it, on the monotonic clock.
    deadline: float = math.inf


class LocalScheduler:
    """Starts attempts on this machine's cores and GPUs. See `tunewell.schedulers.contract.Scheduler`."""

    needs_folder = True

    def __init__(self, cpus: int | None = None, gpus: tuple[str, ...] | None = None) -> None:
        """Divide cores and GPUs among trials.

        Args:
            cpus: number of cores; default: those that this process may use.
            gpus: devices as CUDA_VISIBLE_DEVICES names them; default: those that this process may use.
        """
        self._cpus = detect_cpus() if cpus is None else cpus
        self._gpus = detect_gpus() if gpus is None else gpus
        self._attempts: dict[AttemptKey, _Attempt] = {}
        self._fork_servers: dict[tuple[str, ...], ForkServerProcess] = {}
        self._events: deque[Event] = deque()
        self._selector = selectors.DefaultSelector()

    # Room -------------------------------------------------------------------------------------------------

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit at once."""
        return _fit(resources, self._cpus, len(self._gpus))

    def free(self, resources: Resources) -> int:
        """Return how many more attempts that need `resources` each can be started now."""
        cpus = math.fsum(attempt.launch.resources.cpus for attempt in self._attempts.values())
        return _fit(resources, self._cpus - cpus, len(self._free_gpus()))

    def _free_gpus(self) -> tuple[str, ...]:
        taken = {gpu for attempt in self._attempts.values() for gpu in attempt.gpus}
        return tuple(gpu for gpu in self._gpus if gpu not in taken)

    # Starting and stopping --------------------------------------------------------------------------------

    def start(self, launch: Launch) -> None:
        """Have a fork server fork a supervisor for the attempt; whatever goes wrong comes as an event."""
        launch = replace(launch, folder=launch.folder.absolute())
        gpus = self._free_gpus()[: launch.resources.gpus]
        if self._gpus:
            environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpus), **launch.environment}
            launch = replace(launch, environment=environment)
        try:
            records.write_launch(launch, gpus)
        except OSError as error:
            self._events.append(Ended(launch.key, records.not_started(error)))
            return
        attempt = _Attempt(launch, gpus, ReportReader(launch.folder, launch.metric))
        self._attempts[launch.key] = attempt
        self._request(attempt)

    def stop(self, key: AttemptKey, grace_seconds: float | None = None) -> None:
        """Leave a request to end in the attempt's folder and nudge its supervisor."""
        attempt = self._attempts.get(key)
        if attempt is None:
            return
        grace = attempt.launch.limits.grace_seconds if grace_seconds is None else grace_seconds
        attempt.deadline = min(attempt.deadline, time.monotonic() + grace + OVERDUE_SECONDS)
        with suppress(OSError):  # a full disk: the nudge alone has the trial end, with its own grace time
            records.write_stop(attempt.launch.folder, grace)
        if attempt.supervisor is not None:
            attempt.supervisor.terminate()

    def adopt(self, launch: Launch) -> Literal["alive", "ended", "unknown"]:
        """Take over an attempt that an earlier scheduler started, by what lies in its folder."""
        launch = replace(launch, folder=launch.folder.absolute())
        identity = records.identity_of(launch.folder)
        if identity not in (launch.identity, None):  # another attempt's, of which nothing may be read or ended
            return "unknown"
        sound = identity is not None and not records.is_copied(launch.folder)
        ended_before = sound and records.read_exit(launch.folder) is not None
        lost = "it did not live on when its machine or supervisor went away"
        exit_ = settle(launch.folder, Cause.NODE_LOST, lost)
        if exit_ is not None and not ended_before:
            return "unknown"
        gpus = records.read_gpus(launch.folder) if exit_ is None else ()
        attempt = _Attempt(launch, gpus, ReportReader(launch.folder, launch.metric))
        self._attempts[launch.key] = attempt
        if exit_ is None:
            self._find_supervisor(attempt)
            return "alive"
        return "ended"

    def close(self) -> None:
        """Let go of fork servers and supervisors; the attempts live on."""
        for attempt in self._attempts.values():
            self._let_go(attempt)
        for fork_server in self._fork_servers.values():
            fork_server.close()
        self._attempts.clear()
        self._fork_servers.clear()
        self._selector.close()

    # Events -----------------------------------------------------------------------------------------------

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand reports and ends to `sink`; wait up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        while True:
            self._hear_fork_servers()
            for attempt in list(self._attempts.values()):
                self._look_after(attempt)
            left = deadline - time.monotonic()
            if self._events or left <= 0:
                break
            self._selector.select(min(left, TAIL_SECONDS))
        while self._events:
            sink(self._events.popleft())

    def _look_after(self, attempt: _Attempt) -> None:
        # First whether it has ended, then its reports: so none of them is missed.
        ended = self._has_ended(attempt)
        self._add_reports(attempt, attempt.reader.read())
        if not ended:
            if attempt.supervisor is not None and time.monotonic() > attempt.deadline:
                attempt.supervisor.kill()  # it hangs; what it leaves behind is swept away when it is gone
            return
        exit_ = settle(attempt.launch.folder, Cause.KILLED, _KILLED)
        if exit_ is not None:
            self._finish(attempt, exit_)
        else:  # another supervisor has the attempt
            self._let_go(attempt)

    def _has_ended(self, attempt: _Attempt) -> bool:
        if attempt.requested:  # a fork server that hangs must not have to be waited for: nothing starts after an end
            return time.monotonic() > attempt.deadline
        if attempt.supervisor is None:
            self._find_supervisor(attempt)
        # Of a supervisor that can't be found, the lock tells: `settle` looks at it.
        return attempt.supervisor is None or attempt.supervisor.has_ended()

    def _finish(self, attempt: _Attempt, exit_: Exit) -> None:
        self._add_reports(attempt, attempt.reader.read_rest())
        del self._attempts[attempt.launch.key]
        self._let_go(attempt)
        secrets = attempt.launch.secrets
        detail = hide_values(exit_.detail, secrets)
        notes = tuple(hide_values(note, secrets) for note in (*exit_.notes, *attempt.reader.notes()))
        self._events.append(Ended(attempt.launch.key, replace(exit_, detail=detail, notes=notes)))

    def _add_reports(self, attempt: _Attempt, reports: list[Report]) -> None:
        self._events.extend(Reported(attempt.launch.key, report) for report in reports)

    def _find_supervisor(self, attempt: _Attempt) -> None:
        supervised = records.read_supervised(attempt.launch.folder)
        if supervised is not None and is_alive(supervised.supervisor):
            self._watch(attempt, supervised.supervisor)

    def _watch(self, attempt: _Attempt, supervisor: Process) -> None:
        attempt.supervisor = Handle(supervisor)
        descriptor = attempt.supervisor.fileno()
        if descriptor is not None:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def _let_go(self, attempt: _Attempt) -> None:
        if attempt.supervisor is not None:
            descriptor = attempt.supervisor.fileno()
            if descriptor is not None:
                self._selector.unregister(descriptor)
            attempt.supervisor.close()
            attempt.supervisor = None

    # Fork servers --------------------------------------------------------------------------------------------

    def _request(self, attempt: _Attempt) -> None:
        preload = attempt.launch.preload
        try:
            if preload not in self._fork_servers:
                fork_server = ForkServerProcess(preload)
                self._fork_servers[preload] = fork_server
                self._selector.register(fork_server.fileno(), selectors.EVENT_READ)
        except OSError as error:
            self._finish(attempt, Exit(Cause.NODE_LOST, f"no process can be started: {error}"))
            return
        attempt.requested = True
        self._fork_servers[preload].request(attempt.launch.folder)

    def _hear_fork_servers(self) -> None:
        for fork_server in list(self._fork_servers.values()):
            for answer in fork_server.answers():
                if isinstance(answer, Forked):
                    self._on_forked(answer)
                else:
                    self._on_fork_server_gone(fork_server, answer)

    def _on_forked(self, answer: Forked) -> None:
        for attempt in self._in(answer.folder):
            attempt.requested = False
            self._watch(attempt, answer.supervisor)

    def _on_fork_server_gone(self, fork_server: ForkServerProcess, answer: ForkServerGone) -> None:
        del self._fork_servers[fork_server.preload]
        self._selector.unregister(fork_server.fileno())
        fork_server.close()
        for attempt in [attempt for folder in answer.unanswered for attempt in self._in(folder)]:
            attempt.requested = False
            attempt.fork_servers_lost += 1
            if not answer.problem and attempt.fork_servers_lost <= RELAUNCHES:
                # It may have begun: then the second supervisor waits for the first, and finds all done.
                self._request(attempt)
                continue
            cause = Cause.KILLED if answer.killed else Cause.CRASHED
            exit_ = settle(attempt.launch.folder, cause, answer.problem or answer.detail)
            if exit_ is not None:  # else it had begun
                self._finish(attempt, exit_)

    def _in(self, folder: Path) -> list[_Attempt]:
        return [attempt for attempt in self._attempts.values() if attempt.launch.folder == folder]


def _fit(resources: Resources, cpus: float, gpus: int) -> int:
    by_cpus = math.floor(cpus / resources.cpus + _SLACK) if resources.cpus else _NO_LIMIT
    return max(0, min(by_cpus, gpus // resources.gpus) if resources.gpus else by_cpus)
