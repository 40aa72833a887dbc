"""Trials that are trained elsewhere: offered to workers, which ask for them, and followed by what these send.

What workers send is written into the attempts' folders by whoever answers them; see `tunewell.schedulers.leases`. So
this scheduler and those who answer need no talk with each other, and any of them may die at any time.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.schedulers import leases, records
from tunewell.schedulers.contract import LOST, Sink
from tunewell.schedulers.leases import Board
from tunewell.schedulers.report_reader import ReportReader
from tunewell.spec.capacity import Capacity, Node
from tunewell.spec.launch import Ended, Event, Exit, Launch, Refused, Report, Reported, Started, WorkKey
from tunewell.spec.states import Cause
from tunewell.trial import files

#: How often attempts are looked after, and how often whether more workers ask.
LOOK_SECONDS, ASKED_SECONDS = 0.1, 0.05
#: How much of the time between two looks counts: what is longer, this process, and those who answer workers, stood
#: still, as when the machine slept.
LONGEST_LOOK_SECONDS = 1.0
#: How long an offer may lie there before it is taken back: the worker that it was made for may be gone.
OFFER_SECONDS = 60.0
#: How often the board is tidied.
TIDY_SECONDS = 600.0
#: From so many events on, one `poll` looks for no more.
MOST_EVENTS = 1000
_NO_ROOM = "no worker asks for it"
_NOBODY_CAME = "no worker has come for it"


@dataclass(slots=True)
class _Attempt:
    launch: Launch
    reader: ReportReader
    #: Where its end, its worker's signs of life, its output and its reports are: looked at again and again.
    end: str
    life: str
    output: str
    reports: str
    #: Whether a worker has it.
    taken: bool = False
    #: How long it has been offered, or has been with its worker, as far as it was watched; in seconds.
    offered: float = 0.0
    lasted: float = 0.0
    #: The last sign of life of its worker, and how long there was no other; likewise for what it reports and prints.
    sign: int = -1
    unheard: float = 0.0
    written: tuple[int, int] = (-1, -1)
    silent: float = 0.0
    #: How long it may still last that was asked to end.
    left: float = math.inf


class WorkersScheduler:
    """Has the trials of one experiment trained by workers. See `tunewell.schedulers.contract.Scheduler`.

    There is room for as many attempts as workers ask for. An attempt whose worker is not heard from for the time of a
    lease is lost. That time is counted by what this process has seen of it: no clock that is set, and no time in which
    nobody could be heard, makes it shorter.
    """

    needs_folder = True
    keeps_checkpoints = False
    host = ""

    def __init__(
        self,
        folder: Path,
        *,
        lease_seconds: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Offer attempts in the folder of their experiment.

        Args:
            folder: of the experiment; attempts lie in it.
            lease_seconds: how long a worker need not be heard from.
            monotonic: measures durations, in seconds.
            clock: gives dates, in seconds since the epoch.
        """
        self._board = Board(folder)
        self._lease_seconds = lease_seconds
        self._monotonic, self._clock = monotonic, clock
        self._attempts: dict[WorkKey, _Attempt] = {}
        self._events: deque[Event] = deque()
        self._looked_at = self._tidied_at = monotonic()
        self._looks = 0
        #: How many workers waited at the last look.
        self._asking = 0

    # Room -------------------------------------------------------------------------------------------------

    def capacity(self) -> Capacity:
        """Return a place for each attempt, and for each worker that asks; one that is taken, where none does."""
        free = self._free()
        places = len(self._attempts) + max(1, free)
        node = Node("workers", 0, 0, (), 0.0, 0, (), places=places, free_places=free)
        return Capacity((node,))

    def _free(self) -> int:
        # A worker that takes an offer meanwhile is counted on neither side, or on both: then it is counted again.
        offers = self._board.offers()
        while True:
            waiting, before = self._board.waiting(self._clock()), offers
            offers = self._board.offers()
            if offers == before:
                return max(0, waiting - len(offers))

    # Starting and stopping --------------------------------------------------------------------------------

    def submit(self, launch: Launch) -> None:
        """Offer the attempt to workers."""
        launch = replace(launch, folder=launch.folder.absolute())
        if not self._free() and not self._is_free_after_all():
            self._events.append(Refused(launch.key, _NO_ROOM))
            return
        try:
            self._board.offer(launch)
        except OSError as error:
            self._events.append(Ended(launch.key, records.not_started(error)))
            return
        self._attempts[launch.key] = self._new(launch)

    def _is_free_after_all(self) -> bool:
        """Whether there is room a moment later: somebody may just be taking an offer."""
        time.sleep(0.002)
        return self._free() > 0

    def _new(self, launch: Launch) -> _Attempt:
        folder = str(launch.folder)
        return _Attempt(
            launch,
            ReportReader(launch.folder, launch.metric),
            end=f"{folder}/{records.EXIT}",
            life=f"{folder}/{leases.WORKER}",
            output=f"{folder}/{files.OUTPUT}",
            reports=f"{folder}/{files.REPORTS}",
        )

    def preload(self, modules: tuple[str, ...]) -> None:
        """Do nothing: nothing is started here."""

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Have the worker told, with its next report or sign of life; its time counts from when it must have been."""
        attempt = self._attempts.get(key)
        if attempt is None or self._is_withdrawn(attempt):
            return
        grace = attempt.launch.limits.grace_seconds if grace_seconds is None else grace_seconds
        with suppress(OSError):
            records.write_stop(attempt.launch.folder, grace)
        attempt.left = min(attempt.left, grace + self._lease_seconds / 2 if grace else 0.0)

    def _is_withdrawn(self, attempt: _Attempt) -> bool:
        """End an attempt that no worker has yet; False: one has."""
        try:
            if attempt.taken or not self._board.withdraw(attempt.launch):
                return False
        except OSError:  # the next look tries again
            return False
        key, now = attempt.launch.key, self._clock()
        del self._attempts[key]
        exit_ = Exit(stopped=True, started_at=now, ended_at=now, duration_seconds=0.0)
        self._events.append(Ended(key, exit_))
        return True

    def release(self, keys: Sequence[WorkKey]) -> None:
        """See `Scheduler.release`."""
        gone = set(keys)
        self._events = deque(event for event in self._events if event.key not in gone)
        for key in gone & self._attempts.keys():
            del self._attempts[key]

    def close(self) -> None:
        """Forget everything; workers go on."""
        self._attempts.clear()
        self._events.clear()

    # Taking over ------------------------------------------------------------------------------------------

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Take over attempts by what lies in their folders, and on the board; leases get their full time again."""
        offers = set(self._board.offers())
        for launch in launches:
            if any(isinstance(event, Ended | Refused) and event.key == launch.key for event in self._events):
                continue  # its answer is on its way
            known = self._attempts.get(launch.key)
            if known is not None:
                self._tell_again(known)
            else:
                self._take_over(replace(launch, folder=launch.folder.absolute()), offers)

    def _tell_again(self, attempt: _Attempt) -> None:
        key = attempt.launch.key
        self._events = deque(event for event in self._events if event.key != key)
        attempt.reader = ReportReader(attempt.launch.folder, attempt.launch.metric)
        if attempt.taken:
            self._events.append(Started(key))

    def _take_over(self, launch: Launch, offers: set[str]) -> None:
        lost = Ended(launch.key, Exit(Cause.NODE_LOST, LOST))
        if not os.path.lexists(launch.folder):
            # A controller that was stopped just before it moved the folder here may wake up, and must find it taken.
            with suppress(OSError):
                records.make_folder(launch.folder, launch.identity)
        if records.identity_of(launch.folder) != launch.identity:
            self._events.append(lost)  # another attempt's folder, of which nothing may be read or ended
            return
        attempt = self._new(launch)
        if leases.offer_name(launch) in offers:
            self._attempts[launch.key] = attempt
        elif leases.worker_of(launch.folder) is not None:
            attempt.taken = True
            self._attempts[launch.key] = attempt
            self._events.append(Started(launch.key))
        elif self._is_lost(launch, lost.exit):
            self._events.append(lost)
        else:
            attempt.taken = True
            self._attempts[launch.key] = attempt

    def _is_lost(self, launch: Launch, exit_: Exit) -> bool:
        """End an attempt that nobody has; False: it had ended, or that can't be done just now."""
        try:
            return self._end(launch.folder, exit_)
        except OSError:
            return False

    # Events -----------------------------------------------------------------------------------------------

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand reports and ends to `sink`; wait up to `timeout` seconds for the first."""
        deadline = self._monotonic() + timeout
        while True:
            self._look()
            left = deadline - self._monotonic()
            if self._events or left <= 0 or self._somebody_new_asks():
                break
            time.sleep(min(left, ASKED_SECONDS))
        handed = 0
        while self._events and handed < MOST_EVENTS:  # what is done with one may take others away
            sink(self._events.popleft())
            handed += 1

    def _somebody_new_asks(self) -> bool:
        """Whether more workers wait than at the last look: they are not to wait for the end of this one."""
        before, self._asking = self._asking, self._board.count_of_waiting()
        return self._asking > before

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        passed, self._looked_at = min(now - self._looked_at, LONGEST_LOOK_SECONDS), now
        if now - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = now
            with suppress(OSError):
                self._board.tidy(self._clock())
        if not self._attempts:
            return
        offers = set(self._board.offers())
        for attempt in self._in_turn():
            if len(self._events) >= MOST_EVENTS:
                break
            with suppress(OSError):  # a disk that is full, or fails, for now
                self._look_after(attempt, offers, passed)

    def _in_turn(self) -> Iterator[_Attempt]:
        """Yield all attempts, beginning where the last look has left off."""
        attempts = list(self._attempts.values())
        first = self._looks % len(attempts)
        for attempt in (*attempts[first:], *attempts[:first]):
            yield attempt
            self._looks += 1

    def _look_after(self, attempt: _Attempt, offers: set[str], passed: float) -> None:
        launch = attempt.launch
        attempt.left -= passed
        if not attempt.taken:
            if leases.offer_name(launch) in offers:
                attempt.offered += passed
                if attempt.left < math.inf:
                    self._is_withdrawn(attempt)
                elif attempt.offered > OFFER_SECONDS and self._board.withdraw(launch):
                    del self._attempts[launch.key]
                    self._events.append(Refused(launch.key, _NOBODY_CAME))
                return
            attempt.taken = True
            self._events.append(Started(launch.key))
        # First whether it has ended, then its reports: so none of them is missed.
        ended = os.path.exists(attempt.end)  # noqa: PTH110 (asked many times a second for each attempt)
        if not ended:
            exit_ = self._overdue(attempt, passed)
            ended = exit_ is not None and (self._end(launch.folder, exit_) or leases.has_ended(launch.folder))
        before = attempt.reader.position
        self._add_reports(attempt, attempt.reader.read())
        while ended and attempt.reader.position > before:
            if len(self._events) >= MOST_EVENTS:
                return
            before = attempt.reader.position
            self._add_reports(attempt, attempt.reader.read())
        if ended:
            self._finish(attempt)

    def _overdue(self, attempt: _Attempt, passed: float) -> Exit | None:
        """Return how an attempt ends now that its worker has not ended; None: it goes on."""
        folder, limits = attempt.launch.folder, attempt.launch.limits
        attempt.lasted += passed
        sign, written = _touched(attempt.life), (_size(attempt.output), _size(attempt.reports))
        attempt.unheard = attempt.unheard + passed if sign == attempt.sign else 0.0
        attempt.silent = attempt.silent + passed if written == attempt.written else 0.0
        attempt.sign, attempt.written = sign, written
        # Limits are the worker's to keep; here is seen that it does, with the time that its word may take.
        patience = 2 * self._lease_seconds
        if attempt.left <= 0:
            return self._exit(folder, None, "", stopped=True)
        if attempt.unheard > self._lease_seconds:
            name = leases.worker_of(folder)
            detail = f"its worker '{name}' was not heard from for {self._lease_seconds:g} s"
            return self._exit(folder, Cause.NODE_LOST, detail)
        if limits.wall_seconds is not None and attempt.lasted > limits.wall_seconds + patience:
            return self._exit(folder, Cause.TIMEOUT, f"it ran longer than {limits.wall_seconds:g} s")
        if limits.silence_seconds is not None and attempt.silent > limits.silence_seconds + patience:
            detail = f"it printed and reported nothing for {limits.silence_seconds:g} s"
            return self._exit(folder, Cause.SILENT, detail)
        return None

    def _exit(self, folder: Path, cause: Cause | None, detail: str, stopped: bool = False) -> Exit:
        now, since = self._clock(), leases.taken_at(folder)
        seconds = None if since is None else max(0.0, now - since)
        return Exit(cause, detail, stopped=stopped, started_at=since, ended_at=now, duration_seconds=seconds)

    def _end(self, folder: Path, exit_: Exit) -> bool:
        """Write the end of an attempt, unless it has ended."""
        try:
            return leases.end(folder, exit_)
        except FileNotFoundError:  # its folder was removed: nothing more can come of it
            return True

    def _finish(self, attempt: _Attempt) -> None:
        launch = attempt.launch
        exit_ = records.read_exit(launch.folder)
        if exit_ is None:
            exit_ = Exit(Cause.NODE_LOST, "its folder was removed", ended_at=self._clock())
        self._add_reports(attempt, attempt.reader.read_rest())
        del self._attempts[launch.key]
        notes = (*exit_.notes, *attempt.reader.notes())
        self._events.append(Ended(launch.key, replace(exit_, notes=notes)))

    def _add_reports(self, attempt: _Attempt, reports: list[Report]) -> None:
        self._events.extend(Reported(attempt.launch.key, report) for report in reports)


def _touched(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 (asked many times a second for each attempt)
    except OSError:
        return -1


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return -1
