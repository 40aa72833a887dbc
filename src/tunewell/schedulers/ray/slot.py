"""A slot: the actor that holds the resources of an attempt on some node, and runs it there.

It runs in a process of Ray's, with many threads, so it forks nothing itself: a `LocalScheduler` does, which also ends
and reaps whatever an attempt starts. Should the slot end, be it by `kill -9` or with its node, the supervisors of its
attempts notice, and end them; what they leave on the disk is removed by whoever looks at the node next (`greeting`).
"""

from __future__ import annotations

import logging
import math
import os
import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray

from tunewell.schedulers import hardware, processes
from tunewell.schedulers.local import LocalScheduler
from tunewell.schedulers.ray import parcels
from tunewell.schedulers.ray.node_folder import NodeFolder
from tunewell.schedulers.ray.parcels import Mark
from tunewell.schedulers.ray.places import moved_launch
from tunewell.schedulers.ray.sending import Batch
from tunewell.spec.launch import Ended, Event, Exit, Launch, Refused, Resources, Started
from tunewell.trial import files

log = logging.getLogger(__name__)

#: Files that are fetched as they grow.
GROWING = (files.OUTPUT, files.REPORTS)
#: How often it is looked whether an attempt has written anything, and whether it has a new checkpoint.
LOOK_SECONDS, CHECKPOINT_LOOK_SECONDS = 0.05, 1.0
#: Bytes of one file that a look brings, and those before them which must be as they are known.
LOOK_BYTES, TAIL_BYTES = 1 << 20, 256
#: How long a slot that runs nothing waits to be asked for something: its controller may be gone.
IDLE_SECONDS = 30.0
#: How long a slot waits to be asked how its attempt ended.
KEEP_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """What a slot says of itself."""

    version: str
    #: Ray's name for the node, and the machine's own.
    node: str
    machine: str
    gpus: tuple[str, ...]


class Held(Enum):
    """What a slot says when it is asked for an attempt."""

    #: It has not begun, and never will; the slot has none, or another one.
    NEVER, NEVER_BUSY = auto(), auto()
    RUNNING, ENDED = auto(), auto()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file that grows: how long it is, and how it ends."""

    size: int
    tail: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """What has happened to an attempt since the last look."""

    #: Whether the slot has this attempt at all.
    known: bool
    started: bool = False
    #: File → where the bytes belong, and the bytes.
    new: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    #: The checkpoint as it is now, if it differs from the one that the caller knows.
    checkpoint: Mapping[str, Mark] | None = None
    #: How it ended, once nothing new is left.
    exit: Exit | None = None
    #: Whether nothing was started, for want of room.
    refused: bool = False


@dataclass(slots=True)
class _Attempt:
    launch: Launch
    folder: Path
    started: bool = False
    exit: Exit | None = None
    refused: bool = False
    #: Whether nobody wants to know what becomes of it.
    abandoned: bool = False

    @property
    def runs(self) -> bool:
        return self.exit is None and not self.refused


class Slot:
    """Runs one attempt at a time; see this module. Calls come from several threads of the actor."""

    def __init__(self, root: str, home: str, resources: Resources, cache_bytes: int | None) -> None:
        """Hold the resources that Ray has given to this process.

        Args:
            root: folder for everything that slots write on a machine; made if need be.
            home: identity of the home.
            resources: what its attempts take.
            cache_bytes: how much the files may take that several attempts share; None: as the disk allows.
        """
        context = ray.get_runtime_context()
        node = context.get_node_id()
        self._folder = NodeFolder(Path(root) / home / node, cache_bytes)
        devices = tuple(map(str, ray.get_gpu_ids()))
        self._facts = SlotFacts(version("tunewell"), node, socket.gethostname(), devices)
        self._me = (os.getpid(), processes.identity(os.getpid()) or "")
        self._itself = context.current_actor
        self._raylet = os.getppid()
        # What there is of the machine is Ray's to count: here there is room for one attempt, whatever it takes.
        memory = max(resources.memory_bytes or 0, hardware.detect_memory())
        cpus = max(1, math.ceil(resources.cpus))
        self._scheduler = LocalScheduler(cpus=cpus, gpus=devices, memory_bytes=memory, leaves_out_gpus=False)
        self._attempt: _Attempt | None = None
        #: Identities of attempts that may not begin here any more.
        self._barred: set[str] = set()
        self._orders: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._heard = time.monotonic()
        threading.Thread(target=self._work, daemon=True).start()

    def facts(self) -> SlotFacts:
        """Return what this slot is; that it answers says that it has its resources."""
        self._heard = time.monotonic()
        return self._facts

    # Files ------------------------------------------------------------------------------------------------

    def missing_inputs(self, wanted: Mapping[str, Mark], inputs: Sequence[str]) -> list[str] | None:
        """Return which files of some inputs are not here; see `Inputs.missing`. Those that are stay here."""
        self._heard = time.monotonic()
        return self._folder.inputs.missing(wanted, inputs)

    def brought(self) -> None:
        """Take note that nothing more is being brought: other slots of the node need wait no longer."""
        self._folder.inputs.brought()

    def prepare(self, wanted: Mapping[str, Mark], place: str) -> list[str]:
        """Take the folder of the attempt that comes next; return which of its files are not here; raise OSError."""
        self._heard = time.monotonic()
        self._folder.take(place)
        return parcels.missing(self._folder.path, wanted)

    def unpack(self, batch: Batch) -> None:
        """Write some files, or pieces of them; raise OSError."""
        self._heard = time.monotonic()
        batch.unpack(self._folder.path)

    def listing(self, identity: str, below: str) -> dict[str, Mark]:
        """Return the files of an attempt below a place of its folder, less those that grow; raise OSError."""
        self._heard = time.monotonic()
        return parcels.listing(self._of(identity).folder, (below,), leave_out=(below, *GROWING))

    def read(self, identity: str, name: str, offset: int) -> bytes:
        """Return the next piece of a file of an attempt; raise OSError."""
        self._heard = time.monotonic()
        return parcels.read_piece(self._of(identity).folder, name, offset)

    # Attempts ---------------------------------------------------------------------------------------------

    def submit(self, launch: Launch, homes: tuple[str, ...]) -> bool:
        """Start an attempt whose files are here; whether it may begin. A second call does nothing.

        Args:
            launch: as it would be started in the home.
            homes: names of the home.
        """
        with self._lock:
            self._heard = time.monotonic()
            if self._attempt is not None:
                return self._attempt.launch.identity == launch.identity
            if launch.identity in self._barred:
                return False
            # That the node is of the right kind, Ray has seen to.
            takes = Resources(launch.resources.cpus, launch.resources.gpus, launch.resources.memory_bytes)
            launch = moved_launch(launch, homes, self._folder.path)
            launch = replace(launch, resources=takes, ends_with=self._me)
            if not self._facts.gpus:  # else it might take those of others
                launch = replace(launch, environment={"CUDA_VISIBLE_DEVICES": "", **launch.environment})
            self._attempt = _Attempt(launch, launch.folder)
        self._orders.put(("submit", launch))
        return True

    def ask(self, identity: str) -> Held:
        """Return what has become of an attempt; one that has not begun here never does after this."""
        with self._lock:
            self._heard = time.monotonic()
            attempt = self._attempt
            if attempt is not None and attempt.launch.identity == identity:
                return Held.RUNNING if attempt.exit is None else Held.ENDED
            self._barred.add(identity)
            return Held.NEVER if attempt is None else Held.NEVER_BUSY

    def look(
        self, identity: str, known: Mapping[str, Known], checkpoint: Mapping[str, Mark] | None, seconds: float
    ) -> Look:
        """Return what is new of an attempt; wait so many seconds if nothing is.

        Args:
            identity: of the attempt.
            known: file → what is known of it.
            checkpoint: the checkpoint that is known; None: it does not matter.
            seconds: longest wait.
        """
        now = time.monotonic()
        deadline, checkpoint_at = now + seconds, now
        started: bool | None = None
        while True:
            self._heard = now
            attempt = self._attempt
            if attempt is None or attempt.launch.identity != identity:
                return Look(known=False)
            if attempt.refused:
                return Look(known=True, refused=True)
            # First whether it has ended, then its files: so nothing of them is missed.
            exit_, has_started = attempt.exit, attempt.started
            # What runs may have reported before its start is known here, which is to be told first.
            names = GROWING if has_started or exit_ is not None else ()
            new = {name: piece for name in names if (piece := _grown(attempt.folder / name, known[name]))}
            different = None
            if checkpoint is not None and exit_ is None and now >= checkpoint_at:
                different = _changed(attempt.folder, checkpoint)
                checkpoint_at = now + CHECKPOINT_LOOK_SECONDS
            if started is None:
                started = has_started
            over = exit_ if not new else None
            if new or different is not None or over is not None or has_started != started or now >= deadline:
                return Look(True, has_started, new, different, over)
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()

    def stop(self, identity: str, grace_seconds: float | None) -> None:
        """Have an attempt end; see `Scheduler.stop`."""
        self._heard = time.monotonic()
        self._orders.put(("stop", (identity, grace_seconds)))

    def forget(self, identity: str) -> None:
        """Remove what an attempt has left here, once it has ended: the slot is free for another one."""
        with self._lock:
            self._heard = time.monotonic()
            attempt = self._attempt
            if attempt is None or attempt.launch.identity != identity:
                return
            if attempt.runs:
                attempt.abandoned = True
                self._orders.put(("stop", (identity, 0.0)))
                return
            self._folder.give_up()
            self._attempt = None

    def end(self) -> None:
        """End, if nothing runs here; leave no file of an attempt behind."""
        with self._lock:
            if self._attempt is not None and self._attempt.runs:
                return
            self._folder.give_up()
        ray.kill(self._itself)

    def _of(self, identity: str) -> _Attempt:
        attempt = self._attempt
        if attempt is None or attempt.launch.identity != identity:
            raise FileNotFoundError(f"there is no attempt {identity} here")
        return attempt

    # The thread that starts and follows ---------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                self._step()
        except BaseException:
            # Without it nobody would hear of an end; its supervisors notice, and so does whoever asks.
            log.exception("the slot fails")
            os._exit(1)

    def _step(self) -> None:
        if os.getppid() != self._raylet:
            # Ray has ended the node, as it does to one that it gave up, and may leave this process behind.
            os._exit(1)
        runs = self._attempt is not None and self._attempt.runs
        with suppress(queue.Empty):
            self._obey(*self._orders.get(block=not runs, timeout=None if runs else 1.0))
        if runs:
            self._scheduler.poll(self._note, LOOK_SECONDS)
        elif self._is_forsaken():
            self.end()

    def _obey(self, order: str, what: Any) -> None:
        if order == "submit":
            self._scheduler.submit(what)
        elif self._attempt is not None and self._attempt.launch.identity == what[0]:
            self._scheduler.stop(self._attempt.launch.key, what[1])

    def _note(self, event: Event) -> None:
        attempt = self._attempt
        if attempt is None or event.key != attempt.launch.key:
            return
        if isinstance(event, Started):
            attempt.started = True
        elif isinstance(event, Refused):
            attempt.refused = True
        elif isinstance(event, Ended):
            attempt.exit = event.exit
            if attempt.abandoned:
                self.forget(attempt.launch.identity)

    def _is_forsaken(self) -> bool:
        unheard = time.monotonic() - self._heard
        keeps = self._attempt is not None and self._attempt.exit is not None
        return unheard > (KEEP_SECONDS if keeps else IDLE_SECONDS)


def known_of(path: Path) -> Known:
    """Return what is known of a file that grows by the copy of it here."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            return Known(size, file.read())
    except OSError:
        return Known(0, b"")


def _grown(path: Path, known: Known) -> tuple[int, bytes] | None:
    """Return what a file has beyond what is known of it; all of it, if it was emptied or replaced meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        same = os.pread(descriptor, len(known.tail), known.size - len(known.tail)) == known.tail
        if same and size == known.size:
            return None
        begin = known.size if same else 0
        return begin, os.pread(descriptor, LOOK_BYTES, begin)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _changed(folder: Path, known: Mapping[str, Mark]) -> dict[str, Mark] | None:
    """Return the checkpoint in an attempt's folder; None if it is the known one."""
    found = parcels.listing(folder, (files.CHECKPOINT,), leave_out=(files.CHECKPOINT,))
    return found if found != known else None
