"""The scheduler of a Ray cluster; see the package."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from tunewell.schedulers import records
from tunewell.schedulers.contract import LOST, Sink
from tunewell.schedulers.ray import attempts, ends
from tunewell.schedulers.ray.cluster import connect, disconnect
from tunewell.schedulers.ray.nodes import Nodes
from tunewell.schedulers.ray.ownership import NOBODY, claim, slot_of
from tunewell.schedulers.ray.parcels import Mark
from tunewell.schedulers.ray.places import portable_launch
from tunewell.schedulers.ray.slot import Held, Look
from tunewell.schedulers.ray.slots import SlotHandle, Slots
from tunewell.schedulers.report_reader import ReportReader
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Ended, Event, Exit, Launch, Refused, Reported, Started, WorkKey
from tunewell.spec.secrets import hide_values
from tunewell.spec.states import Cause

log = logging.getLogger(__name__)

#: How long a look waits for something new.
LOOK_SECONDS = 2.0
#: Wait before something that failed for now is tried again: a slot that can't be reached, a full disk.
AGAIN_SECONDS = 0.5
#: How long a slot may wait for its resources: others may have taken them.
PLACE_SECONDS = 60.0
#: How long a slot may take to say whether it has an attempt.
ANSWER_SECONDS = 60.0
#: Shortest time between two copies of a checkpoint.
CHECKPOINT_SECONDS = 5.0
#: How long after its grace time an attempt that was asked to end may still run.
OVERDUE_SECONDS = 20.0
#: How long the first look at all nodes may take.
GREET_SECONDS = 30.0
#: Couriers at work at once, and from how many events on a `poll` looks for no more.
COURIERS, MOST_EVENTS = 16, 1000
_NO_ROOM = "others hold what it needs of the cluster"
_HALF_HOME = "its node was gone before all of its files were brought home"


class _Stage(Enum):
    """How far an attempt is."""

    PLACING = auto()  # its slot waits for its resources
    BRINGING = auto()  # its files are on their way
    FINDING = auto()  # it is not known whether its slot has it
    RUNNING = auto()
    COLLECTING = auto()  # it has ended, and its files are on their way


@dataclass(slots=True, eq=False)
class _Attempt:
    launch: Launch
    stage: _Stage
    slot: SlotHandle
    reader: ReportReader
    #: When it came to this stage.
    since: float
    #: The answer that is waited for, and the courier that is at work.
    answer: Any = None
    courier: Future[Any] | None = None
    #: When the slot is asked next, or the next courier sent.
    again_at: float = 0.0
    started: bool = False
    #: The grace time with which it was asked to end, in seconds; None: it was not.
    grace: float | None = None
    #: When it must have ended, on the monotonic clock.
    deadline: float = math.inf
    exit: Exit | None = None
    #: The checkpoint that is here, or on its way, and when it is looked at again.
    checkpoint: dict[str, Mark] = field(default_factory=dict)
    checkpoint_at: float = 0.0


class RayScheduler:
    """Starts attempts on the nodes of the cluster that this process has joined. See `Scheduler`."""

    needs_folder = True
    keeps_checkpoints = True
    host = ""

    def __init__(
        self,
        homes: Sequence[str],
        identity: str,
        root: str,
        *,
        cache_bytes: int | None = None,
        environment: dict[str, Any] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            homes: names of the home, absolute, that attempts lie in.
            identity: the home's.
            root: folder of every node below which slots write.
            cache_bytes: how much of a node's disk files may take that attempts share; None: half of it.
            environment: Ray's runtime environment for slots.
        """
        self._homes = tuple(homes)
        self._nodes = Nodes(root, identity, environment or {})
        self._slots = Slots(self._nodes, root, identity, cache_bytes, environment or {})
        self._attempts: dict[WorkKey, _Attempt] = {}
        self._events: deque[Event] = deque()
        #: Answers that have come.
        self._answered: set[Any] = set()
        self._couriers = ThreadPoolExecutor(COURIERS, thread_name_prefix="courier")

    def meet(self) -> None:
        """Wait until the nodes that there are have said what they are, so that `capacity` is right from the start."""
        deadline = time.monotonic() + GREET_SECONDS
        self._nodes.look_after(())
        while not self._nodes.are_known() and time.monotonic() < deadline:
            time.sleep(0.05)
            self._nodes.look_after(())

    # Room -------------------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why nothing can run on any node just now, for people; empty if something can."""
        return self._nodes.problem

    def capacity(self) -> Capacity:
        """Return what the living nodes have, and what of it neither others nor attempts of ours hold."""
        return self._nodes.capacity(self._slots.holdings())

    # Starting and stopping --------------------------------------------------------------------------------

    def submit(self, launch: Launch) -> None:
        """Find a slot for the attempt, or have one made."""
        launch = replace(launch, folder=launch.folder.absolute())
        slot = self._slots.get(launch.resources)
        if slot is None:
            self._events.append(Refused(launch.key, _NO_ROOM))
        else:
            self._attempts[launch.key] = self._new(launch, _Stage.PLACING, slot)

    def _new(self, launch: Launch, stage: _Stage, slot: SlotHandle) -> _Attempt:
        return _Attempt(launch, stage, slot, ReportReader(launch.folder, launch.metric), time.monotonic())

    def preload(self, modules: tuple[str, ...]) -> None:
        """Do nothing: where the attempts will run is not known yet."""

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Have the attempt's slot end it."""
        attempt = self._attempts.get(key)
        if attempt is None:
            return
        grace = attempt.launch.limits.grace_seconds if grace_seconds is None else grace_seconds
        attempt.grace = grace if attempt.grace is None else min(grace, attempt.grace)
        attempt.deadline = min(attempt.deadline, time.monotonic() + grace + OVERDUE_SECONDS)
        if attempt.stage is _Stage.PLACING:
            self._lose(attempt, ends.stopped())
        elif attempt.stage in (_Stage.RUNNING, _Stage.FINDING):
            attempt.slot.actor.stop.remote(attempt.launch.identity, grace)

    def release(self, keys: Sequence[WorkKey]) -> None:
        """See `Scheduler.release`."""
        gone = set(keys)
        self._events = deque(event for event in self._events if event.key not in gone)
        for key in gone & self._attempts.keys():
            attempt = self._attempts.pop(key)
            attempt.grace = 0.0
            if attempt.stage in (_Stage.PLACING, _Stage.BRINGING):
                self._slots.kill(attempt.slot)
            else:
                self._slots.let_go(attempt.slot)

    def close(self) -> None:
        """Let go of all slots: those that run something go on."""
        self.release(list(self._attempts))
        self._slots.close()
        self._events.clear()
        self._couriers.shutdown(wait=True, cancel_futures=True)
        disconnect()

    # Taking over ------------------------------------------------------------------------------------------

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Take over attempts by what their slots say; their answers come with the next calls of `poll`."""
        for launch in launches:
            if any(isinstance(event, Ended | Refused) and event.key == launch.key for event in self._events):
                continue  # its answer is on its way
            if launch.key in self._attempts:
                self._tell_again(self._attempts[launch.key])
            else:
                self._take_over(replace(launch, folder=launch.folder.absolute()))

    def _tell_again(self, attempt: _Attempt) -> None:
        key = attempt.launch.key
        self._events = deque(event for event in self._events if event.key != key)
        attempt.reader = ReportReader(attempt.launch.folder, attempt.launch.metric)
        if attempt.started:
            self._events.append(Started(key))

    def _take_over(self, launch: Launch) -> None:
        folder = launch.folder
        if not os.path.lexists(folder):
            # A controller that was stopped just before it moved the folder here may wake up, and must find it taken.
            with suppress(OSError):
                records.make_folder(folder, launch.identity)
        if records.identity_of(folder) != launch.identity:
            # Another attempt's folder, of which nothing may be read or ended.
            self._events.append(Ended(launch.key, Exit(Cause.NODE_LOST, LOST)))
            return
        attempts.restore_checkpoint(folder)
        exit_ = records.read_exit(folder)
        if exit_ is None:
            with suppress(OSError):  # unless somebody was faster: it has begun, or never will
                claim(folder, NOBODY)
        slot = self._slots.named(slot_of(folder) or NOBODY, launch.resources)
        attempt = self._attempts[launch.key] = self._new(launch, _Stage.FINDING, slot)
        if exit_ is not None:
            if slot.actor is not None:  # whoever collected it may have been ended before the slot was told
                slot.actor.forget.remote(launch.identity)
            self._leave(attempt, exit_)
        elif slot.actor is None:
            self._end(attempt, Exit(Cause.NODE_LOST, LOST))
        else:
            attempt.answer = slot.actor.ask.remote(launch.identity)

    # Events -----------------------------------------------------------------------------------------------

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand reports and ends to `sink`; wait up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        self._wait(0.0)
        while True:
            self._nodes.look_after(self._slots.holdings())
            self._slots.look_after(self._take)
            for attempt in list(self._attempts.values()):
                if len(self._events) >= MOST_EVENTS:
                    break
                self._look_after(attempt)
            left = deadline - time.monotonic()
            if self._events or left <= 0:
                break
            self._wait(min(left, 0.05))
        handed = 0
        while self._events and handed < MOST_EVENTS:  # what is done with one may take others away
            sink(self._events.popleft())
            handed += 1

    def _wait(self, seconds: float) -> None:
        """Wait for the first answer, and note all that have come."""
        answers = [one.answer for one in self._attempts.values() if one.answer is not None]
        answers += self._slots.answers()
        if answers:
            ray.wait(answers, timeout=seconds)
            self._answered = set(ray.wait(answers, num_returns=len(answers), timeout=0)[0])
        else:
            time.sleep(seconds)

    def _take(self, answer: Any) -> Any:
        """Return what an actor has answered, an error if it could not; None if there is no answer yet."""
        if answer not in self._answered:
            return None
        self._answered.discard(answer)
        try:
            found = ray.get(answer)
        except Exception as error:
            return error
        return found if found is not None else True

    def _look_after(self, attempt: _Attempt) -> None:
        now = time.monotonic()
        if attempt.courier is not None and attempt.courier.done():
            courier, attempt.courier = attempt.courier, None
            self._on_courier(attempt, courier)
        elif attempt.answer is not None and (found := self._take(attempt.answer)) is not None:
            attempt.answer = None
            self._on_answer(attempt, found)
        elif attempt.stage is _Stage.PLACING:
            self._place(attempt, now)
        elif attempt.stage is _Stage.FINDING and now - attempt.since > ANSWER_SECONDS:
            self._lose(attempt, Exit(Cause.NODE_LOST, "its node did not answer"))
        elif attempt.stage is _Stage.RUNNING and now > attempt.deadline:
            self._lose(attempt, ends.stopped())
        elif attempt.answer is None and now >= attempt.again_at:
            self._go_on(attempt)

    def _go_on(self, attempt: _Attempt) -> None:
        """Do again what could not be done a while ago."""
        if attempt.stage is _Stage.FINDING:
            attempt.answer = attempt.slot.actor.ask.remote(attempt.launch.identity)
        elif attempt.stage is _Stage.RUNNING:
            self._look(attempt)
        elif attempt.stage is _Stage.COLLECTING and attempt.courier is None:
            self._collect(attempt)

    # A stage after the other ------------------------------------------------------------------------------

    def _enter(self, attempt: _Attempt, stage: _Stage) -> None:
        attempt.stage, attempt.since, attempt.answer, attempt.again_at = stage, time.monotonic(), None, 0.0

    def _place(self, attempt: _Attempt, now: float) -> None:
        if attempt.slot not in self._slots or now - attempt.since > PLACE_SECONDS:
            self._slots.kill(attempt.slot)
            self._refuse(attempt, attempt.slot.problem or _NO_ROOM)
        elif attempt.slot.ready:
            self._bring(attempt)

    def _bring(self, attempt: _Attempt) -> None:
        launch, slot = attempt.launch, attempt.slot
        self._enter(attempt, _Stage.BRINGING)
        try:
            if not claim(launch.folder, slot.name, slot.node):
                self._lose(attempt, Exit(Cause.NODE_LOST, LOST))
                return
        except OSError as error:
            self._fail(attempt, error)
            return
        wanted: Callable[[], bool] = lambda: attempt.grace is None  # noqa: E731
        attempt.courier = self._couriers.submit(_brought, slot.actor, launch, self._homes, wanted)

    def _on_courier(self, attempt: _Attempt, courier: Future[Any]) -> None:
        error = courier.exception()
        if attempt.stage is _Stage.RUNNING:  # a copy of its checkpoint
            if error is not None or not courier.result():
                attempt.checkpoint = attempts.checkpoint_of(attempt.launch.folder)
            attempt.checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        elif attempt.stage is _Stage.BRINGING:
            if error is not None:
                self._fail(attempt, error)
            elif not courier.result():
                self._lose(attempt, Exit(Cause.NODE_LOST, LOST) if attempt.grace is None else ends.stopped())
            else:
                self._run(attempt)
        elif attempt.stage is _Stage.COLLECTING:
            assert attempt.exit is not None
            if error is None:
                self._end(attempt, replace(attempt.exit, notes=(*attempt.exit.notes, *courier.result())))
            elif isinstance(error, OSError) and not isinstance(error, RayError):  # a full disk, for now
                attempt.again_at = time.monotonic() + AGAIN_SECONDS
            else:
                self._fail(attempt, error)

    def _run(self, attempt: _Attempt) -> None:
        self._enter(attempt, _Stage.RUNNING)
        attempt.checkpoint = attempts.checkpoint_of(attempt.launch.folder)
        if attempt.grace is not None:
            attempt.slot.actor.stop.remote(attempt.launch.identity, attempt.grace)
        self._look(attempt)

    def _look(self, attempt: _Attempt) -> None:
        known = attempts.known_of_growing(attempt.launch.folder)
        looks = attempt.courier is None and time.monotonic() >= attempt.checkpoint_at
        checkpoint = attempt.checkpoint if looks else None
        attempt.answer = attempt.slot.actor.look.remote(attempt.launch.identity, known, checkpoint, LOOK_SECONDS)

    def _on_answer(self, attempt: _Attempt, found: Any) -> None:
        if isinstance(found, ActorUnavailableError):
            attempt.again_at = time.monotonic() + AGAIN_SECONDS
        elif isinstance(found, BaseException):
            self._fail(attempt, found)
        elif attempt.stage is _Stage.FINDING:
            self._on_found(attempt, found)
        else:
            self._on_look(attempt, found)

    def _on_found(self, attempt: _Attempt, held: Held) -> None:
        if held in (Held.RUNNING, Held.ENDED):
            attempt.started = held is Held.ENDED  # of what has ended, that is all there is to tell
            self._run(attempt)
            return
        if held is Held.NEVER_BUSY:  # another attempt has its slot
            self._leave(attempt, Exit(Cause.NODE_LOST, LOST))
        else:
            self._lose(attempt, Exit(Cause.NODE_LOST, LOST))

    def _on_look(self, attempt: _Attempt, look: Look) -> None:
        if not look.known:
            self._lose(attempt, Exit(Cause.NODE_LOST, LOST))
            return
        if look.refused:
            self._slots.kill(attempt.slot)
            self._refuse(attempt, _NO_ROOM)
            return
        if look.started and not attempt.started:
            attempt.started = True
            self._events.append(Started(attempt.launch.key))
        try:
            attempts.keep(attempt.launch.folder, look)
        except OSError:  # a full disk, say: it is asked for again
            attempt.again_at = time.monotonic() + AGAIN_SECONDS
            return
        self._read(attempt)
        if look.exit is not None:
            attempt.exit = look.exit
            if attempt.courier is None:
                self._collect(attempt)
            else:  # it brings a checkpoint
                attempt.again_at = time.monotonic() + 0.05
            return
        if look.checkpoint is not None and attempt.courier is None:
            attempt.checkpoint = dict(look.checkpoint)
            fetch = partial(attempts.fetch_checkpoint, attempt.slot.actor, attempt.launch.identity)
            attempt.courier = self._couriers.submit(fetch, attempt.launch.folder, attempt.checkpoint)
        self._look(attempt)

    def _read(self, attempt: _Attempt) -> None:
        before = -1
        while attempt.reader.position != before:
            before = attempt.reader.position
            reports = attempt.reader.read()
            self._events.extend(Reported(attempt.launch.key, report) for report in reports)

    def _collect(self, attempt: _Attempt) -> None:
        self._enter(attempt, _Stage.COLLECTING)
        slot, launch = attempt.slot, attempt.launch
        attempt.courier = self._couriers.submit(attempts.fetch_all, slot.actor, launch.identity, launch.folder)

    # The end ----------------------------------------------------------------------------------------------

    def _fail(self, attempt: _Attempt, error: BaseException) -> None:
        exit_ = attempt.exit
        if exit_ is not None and (exit_.cause is not None or exit_.stopped):
            # It has not succeeded, whatever its files are.
            exit_ = replace(exit_, notes=(*exit_.notes, f"{_HALF_HOME[0].upper()}{_HALF_HOME[1:]}."))
        elif isinstance(error, OSError) and not isinstance(error, RayError):
            exit_ = records.not_started(error)
        elif isinstance(error, RayError):
            exit_ = ends.stopped() if attempt.grace is not None else ends.lost(error)
        else:
            log.error("attempt %s fails", attempt.launch.key, exc_info=error)
            exit_ = Exit(Cause.NODE_LOST, f"{type(error).__name__}: {error}")
        self._lose(attempt, exit_)

    def _lose(self, attempt: _Attempt, exit_: Exit) -> None:
        """End an attempt whose slot is gone, or is to be."""
        self._slots.kill(attempt.slot)
        self._end(attempt, exit_)

    def _refuse(self, attempt: _Attempt, reason: str) -> None:
        del self._attempts[attempt.launch.key]
        self._events.append(Refused(attempt.launch.key, reason))

    def _leave(self, attempt: _Attempt, exit_: Exit) -> None:
        """End an attempt whose slot is another one's, if anybody's."""
        if not any(other.slot is attempt.slot for other in self._attempts.values() if other is not attempt):
            self._slots.let_go(attempt.slot)
        self._end(attempt, exit_)

    def _end(self, attempt: _Attempt, exit_: Exit) -> None:
        launch = attempt.launch
        exit_ = self._slots.note_end(attempt.slot, exit_)
        self._read(attempt)
        reports = attempt.reader.read_rest()
        self._events.extend(Reported(launch.key, report) for report in reports)
        with suppress(OSError):  # its folder says how it ended, even if nothing else does
            if records.identity_of(launch.folder) == launch.identity and records.read_exit(launch.folder) is None:
                records.write_exit(launch.folder, exit_)
        del self._attempts[launch.key]
        if not any(other.slot is attempt.slot for other in self._attempts.values()):
            self._slots.give_back(attempt.slot, launch.identity)
        detail = hide_values(exit_.detail, launch.secrets)
        notes = (*exit_.notes, *attempt.reader.notes())
        notes = tuple(hide_values(note, launch.secrets) for note in notes)
        self._events.append(Ended(launch.key, replace(exit_, detail=detail, notes=notes)))


def _brought(actor: Any, launch: Launch, homes: Sequence[str], is_wanted: Callable[[], bool]) -> bool:
    """Bring an attempt to its slot and have it begin; say whether it may."""
    attempts.bring(actor, launch, homes, is_wanted)
    return is_wanted() and bool(attempts.call(actor.submit, portable_launch(launch), tuple(homes)))


def join(address: str, identity: str, **arguments: Any) -> RayScheduler:
    """Join a cluster and return its scheduler; see `tunewell.schedulers.ray.ray_scheduler`.

    Raises:
        ConnectionError: the cluster can't be reached.
    """
    connect(address, f"tunewell-{identity}")
    scheduler = RayScheduler(identity=identity, **arguments)
    scheduler.meet()
    return scheduler
