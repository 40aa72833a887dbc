"""Trials and jobs on this machine, each in supervised processes of its own."""

from __future__ import annotations

import math
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.schedulers import hardware, records
from tunewell.schedulers.claims import Claim, Claims, devices, fitting, left_by
from tunewell.schedulers.contract import LOST, Sink
from tunewell.schedulers.device_errors import DeviceErrors
from tunewell.schedulers.fork_client import Forked, ForkServerGone, ForkServerProcess
from tunewell.schedulers.leftovers import settle
from tunewell.schedulers.processes import Handle, is_alive
from tunewell.schedulers.records import Process
from tunewell.schedulers.report_reader import ReportReader
from tunewell.schedulers.trial_user import TrialUser
from tunewell.spec.capacity import Capacity, Gpu
from tunewell.spec.launch import Ended, Event, Exit, Launch, Refused, Report, Reported, Started, WorkKey
from tunewell.spec.secrets import hide_values
from tunewell.spec.states import Cause
from tunewell.trial import files

#: How often reports are looked for.
TAIL_SECONDS = 0.1
#: How often an attempt is asked for again after a fork server died before it answered.
RELAUNCHES = 1
#: How long after its grace time the supervisor of an attempt that was asked to end may write nothing and still live.
OVERDUE_SECONDS = 15.0
#: From so many events on, one `poll` looks for no more: a trial that reports without end keeps nobody else waiting.
MOST_EVENTS = 1000
#: How long one `poll` looks at what an earlier scheduler has left; what ended without a word takes a while.
RECONCILE_SECONDS = 0.1
_KILLED = "its supervisor was killed"
_NO_ROOM = "other trials and jobs hold what it needs of this machine"


@dataclass(slots=True)
class _Attempt:
    launch: Launch
    reader: ReportReader
    #: Whether an earlier scheduler started it, and what became of it is not known yet.
    doubtful: bool = False
    #: The supervisor; None while it is not known.
    supervisor: Handle | None = None
    #: Whether a fork server still owes us the supervisor.
    requested: bool = False
    #: How often the fork server died before it answered.
    fork_servers_lost: int = 0
    #: When its supervisor must have ended it, on the monotonic clock, unless its log has grown by then.
    deadline: float = math.inf
    #: How long the log was when the deadline was set.
    logged_bytes: int = 0


class LocalScheduler:
    """Starts attempts on this machine's cores and GPUs. See `tunewell.schedulers.contract.Scheduler`."""

    needs_folder = True
    keeps_checkpoints = True

    def __init__(
        self,
        claims: Path | None = None,
        *,
        cpus: int | None = None,
        gpus: tuple[str, ...] | None = None,
        memory_bytes: int | None = None,
        trial_user: TrialUser | None = None,
        leaves_out_gpus: bool = True,
    ) -> None:
        """Divide cores, GPUs and memory among attempts.

        Args:
            claims: file in which all schedulers of this machine that are given it count together; None: count alone.
            cpus: number of cores; default: those that this process may use.
            gpus: devices as CUDA_VISIBLE_DEVICES names them; default: those that this process may use.
            memory_bytes: main memory; default: what this process may use.
            trial_user: whom users' programs run as; None: as this process does.
            leaves_out_gpus: whether GPUs that fail again and again get no attempts for a while.
        """
        self._trial_user = trial_user
        (found,) = hardware.machine().nodes
        self._node = hardware.empty_node(
            found.cpus if cpus is None else cpus,
            found.memory_bytes if memory_bytes is None else memory_bytes,
            found.gpus if gpus is None else tuple(map(Gpu, gpus)),
        )
        self.host = socket.gethostname()
        self._claims = Claims(claims)
        self._device_errors = DeviceErrors()
        self._leaves_out_gpus = leaves_out_gpus
        self._attempts: dict[WorkKey, _Attempt] = {}
        self._fork_servers: dict[tuple[str, ...], ForkServerProcess] = {}
        self._events: deque[Event] = deque()
        #: How many attempts have been looked after in all, which says whose turn is next.
        self._looks = 0
        self._selector = selectors.DefaultSelector()

    # Room -------------------------------------------------------------------------------------------------

    def capacity(self) -> Capacity:
        """Return what this machine has, and what of it no scheduler has claimed."""
        return Capacity((left_by(self._node, self._with_left_out(self._claims.held())),))

    # Starting and stopping --------------------------------------------------------------------------------

    def submit(self, launch: Launch) -> None:
        """Claim room for the attempt and have a fork server fork a supervisor for it."""
        launch = replace(launch, folder=launch.folder.absolute())
        try:
            claim = self._claims.take(
                lambda claims: fitting(self._node, self._with_left_out(claims), launch.folder, launch.resources)
            )
            if claim is None:
                self._events.append(Refused(launch.key, _NO_ROOM))
                return
            launch = self._with_gpus(launch, claim.gpus)
            records.write_launch(launch, claim.gpus)
        except OSError as error:
            self._claims.give_up(launch.folder)
            self._events.append(Ended(launch.key, records.not_started(error)))
            return
        attempt = _Attempt(launch, ReportReader(launch.folder, launch.metric))
        self._attempts[launch.key] = attempt
        self._request(attempt)

    def _with_left_out(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Return claims and, as another one, the GPUs that nothing is to run on for now."""
        left_out = self._device_errors.left_out()
        return [*claims, Claim(Path(), gpus=tuple(left_out))] if left_out else claims

    def _with_gpus(self, launch: Launch, names: tuple[str, ...]) -> Launch:
        """Return the launch with an environment that shows the trial its GPUs alone."""
        if not self._node.gpus:
            return launch
        shown = {"CUDA_VISIBLE_DEVICES": devices(self._node, names)}
        return replace(launch, environment={**shown, **launch.environment})

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Leave a request to end in the attempt's folder and nudge its supervisor."""
        attempt = self._attempts.get(key)
        if attempt is None:
            return
        grace = attempt.launch.limits.grace_seconds if grace_seconds is None else grace_seconds
        deadline = time.monotonic() + grace + OVERDUE_SECONDS
        if deadline < attempt.deadline:
            attempt.deadline, attempt.logged_bytes = deadline, _logged_bytes(attempt)
        with suppress(OSError):  # a full disk: the nudge alone has the trial end, with its own grace time
            records.write_stop(attempt.launch.folder, grace)
        if attempt.supervisor is not None:
            attempt.supervisor.terminate()

    def release(self, keys: Sequence[WorkKey]) -> None:
        """See `Scheduler.release`."""
        gone = set(keys)
        self._events = deque(event for event in self._events if event.key not in gone)
        for key in gone & self._attempts.keys():
            self._forget(self._attempts[key])

    def close(self) -> None:
        """Let go of fork servers and supervisors; the attempts live on, and keep what they hold."""
        for attempt in self._attempts.values():
            self._let_go(attempt)
        for fork_server in self._fork_servers.values():
            fork_server.close()
        self._attempts.clear()
        self._fork_servers.clear()
        self._selector.close()
        self._claims.close()

    # Taking over ------------------------------------------------------------------------------------------

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Take over attempts by what lies in their folders; their answers come with the next calls of `poll`."""
        for launch in launches:
            if any(isinstance(event, Ended | Refused) and event.key == launch.key for event in self._events):
                continue  # its answer is on its way
            if launch.key in self._attempts:
                self._tell_again(self._attempts[launch.key])
            else:
                self._take_over(replace(launch, folder=launch.folder.absolute()))

    def _tell_again(self, attempt: _Attempt) -> None:
        if attempt.doubtful:
            return
        key = attempt.launch.key
        self._events = deque(event for event in self._events if event.key != key)
        attempt.reader = ReportReader(attempt.launch.folder, attempt.launch.metric)
        if not attempt.requested:
            self._events.append(Started(key))

    def _take_over(self, launch: Launch) -> None:
        if records.identity_of(launch.folder) not in (launch.identity, None):
            # Another attempt's folder, of which nothing may be read or ended.
            self._events.append(Ended(launch.key, Exit(Cause.NODE_LOST, LOST)))
            return
        resources, gpus = records.read_held(launch.folder) or (launch.resources, ())
        self._claims.hold(Claim(launch.folder, resources.cpus, resources.memory_bytes or 0, gpus))
        reader = ReportReader(launch.folder, launch.metric)
        self._attempts[launch.key] = _Attempt(launch, reader, doubtful=True)

    def _resolve_doubts(self) -> None:
        deadline = time.monotonic() + RECONCILE_SECONDS
        for attempt in [attempt for attempt in self._attempts.values() if attempt.doubtful]:
            self._resolve(attempt)
            if time.monotonic() > deadline:
                return

    def _resolve(self, attempt: _Attempt) -> None:
        attempt.doubtful = False
        launch = attempt.launch
        if not os.path.lexists(launch.folder):
            # A controller that was stopped just before it moved the folder here may wake up, and must find it taken.
            with suppress(OSError):
                records.make_folder(launch.folder, launch.identity)
        sound = records.identity_of(launch.folder) is not None and not records.is_copied(launch.folder)
        ended_before = sound and records.read_exit(launch.folder) is not None
        exit_ = settle(launch.folder, Cause.NODE_LOST, LOST)
        if exit_ is None:
            self._events.append(Started(launch.key))
            self._find_supervisor(attempt)
        elif ended_before:
            self._finish(attempt, exit_)
        else:
            self._forget(attempt)
            self._events.append(Ended(launch.key, Exit(Cause.NODE_LOST, LOST)))

    # Events -----------------------------------------------------------------------------------------------

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand reports and ends to `sink`; wait up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        while True:
            self._hear_fork_servers()
            self._resolve_doubts()
            for attempt in self._in_turn():
                if len(self._events) >= MOST_EVENTS:
                    break
                self._look_after(attempt)
            left = deadline - time.monotonic()
            if self._events or left <= 0:
                break
            self._selector.select(min(left, TAIL_SECONDS))
        self._claims.sync()
        handed = 0
        while self._events and handed < MOST_EVENTS:  # what is done with one may take others away
            sink(self._events.popleft())
            handed += 1

    def _in_turn(self) -> Iterator[_Attempt]:
        """Yield all attempts, beginning where the last poll has left off."""
        attempts = list(self._attempts.values())
        first = self._looks % len(attempts) if attempts else 0
        for attempt in (*attempts[first:], *attempts[:first]):
            yield attempt
            self._looks += 1

    def _look_after(self, attempt: _Attempt) -> None:
        if attempt.doubtful:
            return
        # First whether it has ended, then its reports: so none of them is missed.
        ended = self._has_ended(attempt)
        if attempt.requested and not ended:
            return
        before = attempt.reader.position
        self._add_reports(attempt, attempt.reader.read())
        while ended and attempt.reader.position > before:
            if len(self._events) >= MOST_EVENTS:
                return
            before = attempt.reader.position
            self._add_reports(attempt, attempt.reader.read())
        if not ended:
            _end_if_it_hangs(attempt)
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
        if exit_.started_at is not None:
            self._on_started(attempt)
        self._add_reports(attempt, attempt.reader.read_rest())
        if self._leaves_out_gpus:
            exit_ = self._device_errors.take(self._claims.gpus_of(attempt.launch.folder), exit_)
        self._forget(attempt)
        secrets = attempt.launch.secrets
        detail = hide_values(exit_.detail, secrets)
        notes = tuple(hide_values(note, secrets) for note in (*exit_.notes, *attempt.reader.notes()))
        self._events.append(Ended(attempt.launch.key, replace(exit_, detail=detail, notes=notes)))

    def _forget(self, attempt: _Attempt) -> None:
        del self._attempts[attempt.launch.key]
        self._let_go(attempt)
        self._claims.give_up(attempt.launch.folder)

    def _add_reports(self, attempt: _Attempt, reports: list[Report]) -> None:
        if reports:  # they may come before the answer of the fork server, or without one
            self._on_started(attempt)
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

    def preload(self, modules: tuple[str, ...]) -> None:
        """See `Scheduler.preload`: the modules are imported while there is something else to do."""
        with suppress(OSError):
            self._fork_server(modules)

    def _request(self, attempt: _Attempt) -> None:
        try:
            fork_server = self._fork_server(attempt.launch.preload)
        except OSError as error:
            self._finish(attempt, Exit(Cause.NODE_LOST, f"no process can be started: {error}"))
            return
        attempt.requested = True
        fork_server.request(attempt.launch.folder, attempt.launch.private_environment)

    def _fork_server(self, modules: tuple[str, ...]) -> ForkServerProcess:
        if modules not in self._fork_servers:
            fork_server = self._fork_servers[modules] = ForkServerProcess(modules, self._trial_user)
            self._selector.register(fork_server.fileno(), selectors.EVENT_READ)
        return self._fork_servers[modules]

    def _hear_fork_servers(self) -> None:
        for fork_server in list(self._fork_servers.values()):
            for answer in fork_server.answers():
                if isinstance(answer, Forked):
                    self._on_forked(answer)
                else:
                    self._on_fork_server_gone(fork_server, answer)

    def _on_forked(self, answer: Forked) -> None:
        for attempt in self._in(answer.folder):
            self._on_started(attempt)
            if attempt.supervisor is None:  # its reports may have led to it already
                self._watch(attempt, answer.supervisor)

    def _on_started(self, attempt: _Attempt) -> None:
        """Tell that an attempt has started, unless that was told."""
        if attempt.requested:
            attempt.requested = False
            self._events.append(Started(attempt.launch.key))

    def _on_fork_server_gone(self, fork_server: ForkServerProcess, answer: ForkServerGone) -> None:
        del self._fork_servers[fork_server.preload]
        self._selector.unregister(fork_server.fileno())
        fork_server.close()
        for attempt in [attempt for folder in answer.unanswered for attempt in self._in(folder)]:
            attempt.fork_servers_lost += 1
            if not answer.problem and attempt.fork_servers_lost <= RELAUNCHES:
                # It may have begun: then the second supervisor waits for the first, and finds all done.
                self._request(attempt)
                continue
            cause = Cause.KILLED if answer.killed else Cause.CRASHED
            exit_ = settle(attempt.launch.folder, cause, answer.problem or answer.detail)
            if exit_ is not None:
                self._finish(attempt, exit_)
            else:  # it had begun
                self._on_started(attempt)

    def _in(self, folder: Path) -> list[_Attempt]:
        return [attempt for attempt in self._attempts.values() if attempt.launch.folder == folder]


def _end_if_it_hangs(attempt: _Attempt) -> None:
    """Kill a supervisor that should have ended, and isn't at work on what its trial has printed either."""
    if attempt.supervisor is None or time.monotonic() <= attempt.deadline:
        return
    before, attempt.logged_bytes = attempt.logged_bytes, _logged_bytes(attempt)
    attempt.deadline = time.monotonic() + OVERDUE_SECONDS
    if attempt.logged_bytes <= before:
        attempt.supervisor.kill()  # what it leaves behind is swept away when it is gone


def _logged_bytes(attempt: _Attempt) -> int:
    try:
        return (attempt.launch.folder / files.OUTPUT).stat().st_size
    except OSError:
        return 0
