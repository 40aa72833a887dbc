"""Who holds what of this machine: its cores, memory and GPUs, counted once for all schedulers of a home.

Each scheduler, in whatever process, writes what its attempts hold into one file, a claim a line, and reads there what
those of others hold. A claim lasts as long as its attempt may: until its scheduler gives it up, or neither the process
of that scheduler nor the attempt's supervisor is left. So attempts that outlive their controller keep what they hold.

The file is a means, not a record: each scheduler knows its own claims and writes all of them each time, so a file that
was lost or damaged fills again. Where none can be written, a scheduler counts alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.schedulers import records
from tunewell.schedulers.processes import identity, is_running
from tunewell.schedulers.records import Process
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.launch import Resources
from tunewell.trial import files

#: How often the file is looked at for what others have written, and whether they live.
LOOK_SECONDS, CHECK_SECONDS = 0.1, 1.0
#: How long another scheduler that is just writing is waited for.
LOCK_SECONDS = 1.0
#: Wait before a file that could not be written is tried again.
RETRY_SECONDS = 1.0
#: How long after its launch an attempt whose scheduler was killed may still begin: its fork server may be importing.
BEGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What one attempt holds."""

    #: The attempt's folder.
    folder: Path
    cpus: float = 0.0
    memory_bytes: int = 0
    #: Names of GPUs that are the same for all processes of the machine.
    gpus: tuple[str, ...] = ()
    #: The process that follows the attempt; None: its scheduler has let go of it.
    claimant: Process | None = None
    #: Tells the schedulers of one process apart.
    scheduler: str = ""


def name_of(gpu: Gpu) -> str:
    """Return what all processes of this machine call a GPU, whichever each of them may see."""
    return gpu.uuid or gpu.device


def left_by(node: Node, claims: Sequence[Claim]) -> Node:
    """Return a machine with what claims leave free of it."""
    taken = {gpu for claim in claims for gpu in claim.gpus}
    return replace(
        node,
        free_cpus=node.cpus - math.fsum(claim.cpus for claim in claims),
        free_memory_bytes=node.memory_bytes - sum(claim.memory_bytes for claim in claims),
        free_gpus=tuple(gpu.device for gpu in node.gpus if name_of(gpu) not in taken),
    )


def fitting(node: Node, claims: Sequence[Claim], folder: Path, resources: Resources) -> Claim | None:
    """Return what an attempt in `folder` is to claim of a machine beside other claims; None if there is no room."""
    left = left_by(node, claims)
    if not Capacity((left,)).free(resources):
        return None
    free = [name_of(gpu) for gpu in left.gpus if gpu.device in left.free_gpus]
    return Claim(folder, resources.cpus, resources.memory_bytes or 0, tuple(free[: math.ceil(resources.gpus)]))


def devices(node: Node, gpus: Sequence[str]) -> str:
    """Return what CUDA_VISIBLE_DEVICES is to be for whoever holds these GPUs of a machine."""
    return ",".join(gpu.device for gpu in node.gpus if name_of(gpu) in gpus)


class Claims:
    """The claims of one scheduler, beside those of all others that share its file."""

    def __init__(self, path: Path | None) -> None:
        """Share the file at `path`; None: count alone."""
        self._path = path
        self._claimant = Process(os.getpid(), identity(os.getpid()) or "")
        self._scheduler = uuid.uuid4().hex
        #: Claims, by their lines in the file.
        self._own: dict[bytes, Claim] = {}
        self._others: dict[bytes, Claim] = {}
        #: What the file held when it was last read or written.
        self._seen = b""
        #: Whether it does not tell what this scheduler holds, or tells of the dead; and when it may be written.
        self._unwritten = False
        self._write_at = self._look_at = self._check_at = -math.inf

    def held(self) -> Sequence[Claim]:
        """Return all claims, those of others as they were a moment ago."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            with suppress(_Busy), _opened(self._path, os.O_RDONLY, fcntl.LOCK_SH, 0.0) as file:
                self._read(file)
            if now >= self._check_at:
                self._drop_dead()
        return self._all()

    def take(self, choose: Callable[[Sequence[Claim]], Claim | None]) -> Claim | None:
        """Claim what `choose` makes of all claims while nobody else claims anything; None if it finds no room.

        Raises:
            OSError: there is no room on the disk for the claim; nothing is claimed.
        """
        with suppress(_Busy), self._alone() as file:
            self._read(file)
            claim = choose(self._all())
            if claim is None and self._drop_dead():
                claim = choose(self._all())
            if claim is None:
                return None
            self.hold(claim)
            try:
                self._write(file)
            except OSError:
                self.give_up(claim.folder)
                raise
            return claim
        return None

    def hold(self, claim: Claim) -> None:
        """Claim what an attempt holds already, whatever others have claimed meanwhile."""
        claim = replace(claim, claimant=self._claimant, scheduler=self._scheduler)
        self._own[_to_line(claim)] = claim
        self._others = {line: other for line, other in self._others.items() if other.folder != claim.folder}
        self._unwritten = True

    def gpus_of(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the GPUs that the attempt in `folder` holds."""
        return next((claim.gpus for claim in self._own.values() if claim.folder == folder), ())

    def give_up(self, folder: Path) -> None:
        """Give up what the attempt in `folder` held."""
        left = {line: claim for line, claim in self._own.items() if claim.folder != folder}
        self._unwritten |= len(left) < len(self._own)
        self._own = left

    def sync(self) -> None:
        """Write what has changed; where that can't be done, it is tried again in a while."""
        if not self._unwritten or time.monotonic() < self._write_at:
            return
        self._write_at = time.monotonic() + RETRY_SECONDS
        with suppress(_Busy, OSError), self._alone() as file:
            self._read(file)
            self._write(file)

    def close(self) -> None:
        """Let go of all claims: they last as long as the supervisors of their attempts."""
        self._unwritten |= bool(self._own)
        left = [replace(claim, claimant=None) for claim in self._own.values()]
        self._own = {_to_line(claim): claim for claim in left}
        self._write_at = -math.inf
        self.sync()

    def _all(self) -> Sequence[Claim]:
        return (*self._own.values(), *self._others.values())

    def _alone(self) -> AbstractContextManager[int | None]:
        return _opened(self._path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX, LOCK_SECONDS)

    def _read(self, file: int | None) -> None:
        """Take in what others hold, and find out whether the file tells what this scheduler holds."""
        content = b"" if file is None else _content(file)
        if content == self._seen:
            return
        self._seen = content
        known = {**self._own, **self._others}
        claims = {line: known.get(line) or _from_line(line) for line in content.splitlines()}
        folders = {claim.folder for claim in self._own.values()}
        written, others = set(), {}
        for line, claim in claims.items():
            if claim is not None and claim.scheduler == self._scheduler:
                written.add(line)
            elif claim is not None and claim.folder not in folders:
                others[line] = claim
        self._others = others
        self._unwritten |= written != self._own.keys()

    def _drop_dead(self) -> bool:
        """Forget claims of others whose attempts are no more; say whether there were any."""
        self._check_at = time.monotonic() + CHECK_SECONDS
        claimants = {claim.claimant for claim in self._others.values() if claim.claimant is not None}
        running = {claimant for claimant in claimants if is_running(claimant)}
        left = {
            line: claim
            for line, claim in self._others.items()
            if claim.claimant in running or _is_supervised(claim.folder) or _may_begin(claim.folder)
        }
        dropped = len(left) < len(self._others)
        self._others = left
        self._unwritten |= dropped
        return dropped

    def _write(self, file: int | None) -> None:
        """Write all claims into the file, which was read; raise OSError if there is no room for them."""
        # Those of others first: should there be no room for all, it is the new ones that are missing.
        content = b"".join(line + b"\n" for line in (*self._others, *self._own))
        if file is not None and content != self._seen:
            if os.pwrite(file, content, 0) < len(content):
                raise OSError(errno.ENOSPC, "it could be written in part only")
            os.ftruncate(file, len(content))
            self._seen = content
        self._unwritten = file is None and self._path is not None
        if not self._unwritten:
            self._write_at = -math.inf


class _Busy(Exception):
    """Another process keeps the file locked."""


@contextmanager
def _opened(path: Path | None, flags: int, lock: int, patience_seconds: float) -> Iterator[int | None]:
    """Give the descriptor of the file of claims, locked; None where there can be none, so that each counts alone.

    Raises:
        OSError: there is no room on the disk for the file.
        _Busy: it is locked by another process.
    """
    try:
        file = os.open(path, flags, 0o600) if path is not None else None
    except OSError as error:
        if error.errno in files.NO_ROOM:
            raise
        file = None
    try:
        if file is not None:
            _lock(file, lock, time.monotonic() + patience_seconds)
        yield file
    finally:
        if file is not None:
            os.close(file)


def _lock(file: int, lock: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _Busy from None
            time.sleep(0.001)
        except OSError:  # a file system without locks
            return
        else:
            return


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _is_supervised(folder: Path) -> bool:
    try:
        with records.locked(folder, wait=False) as lock:
            return lock is None
    except OSError:  # its folder is gone, or nobody's business
        return False


def _may_begin(folder: Path) -> bool:
    """Whether a fork server that nobody listens to any more may still start the attempt in `folder`."""
    if (folder / records.EXIT).exists() or (folder / records.SUPERVISOR).exists():
        return False
    try:
        launched = (folder / records.LAUNCH).stat().st_mtime
    except OSError:
        return False
    return abs(time.time() - launched) < BEGIN_SECONDS


def _to_line(claim: Claim) -> bytes:
    claimant = claim.claimant and (claim.claimant.pid, claim.claimant.identity)
    fields = (str(claim.folder), claim.cpus, claim.memory_bytes, claim.gpus, claimant, claim.scheduler)
    return json.dumps(fields).encode()


def _from_line(line: bytes) -> Claim | None:
    """Return the claim in a line; None if the line is damaged."""
    try:
        folder, cpus, memory_bytes, gpus, claimant, scheduler = json.loads(line)
        return Claim(
            folder=Path(folder),
            cpus=float(cpus),
            memory_bytes=int(memory_bytes),
            gpus=tuple(map(str, gpus)),
            claimant=None if claimant is None else Process(int(claimant[0]), str(claimant[1])),
            scheduler=str(scheduler),
        )
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
