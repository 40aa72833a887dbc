"""What the operating system tells of processes, and lets be done to them. Linux first; psutil does for the rest."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from tunewell.schedulers.records import Process

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
#: How much lower the priority of trials is than that of what runs them, as Unix counts it.
NICENESS = 10
# Looked up early: a forked child should find everything in place.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if LINUX else None


def identity(pid: int) -> str | None:
    """Return text that no other process ever has, on this machine or another; None if there is no such process."""
    try:
        if LINUX:
            return f"{_boot()}:{_stat_fields(pid)[19]}"
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{_boot()}:{process.create_time()}"
    except (OSError, IndexError, psutil.Error):
        return None


def is_alive(process: Process) -> bool:
    """Whether `process` still exists (a zombie that nobody has reaped does on Linux)."""
    return identity(process.pid) == process.identity


def is_running(process: Process) -> bool:
    """Whether `process` still exists and is no zombie: in a container there may be nobody who reaps one."""
    try:
        return is_alive(process) and (not LINUX or _stat_fields(process.pid)[0] not in "ZX")
    except (OSError, IndexError):  # it ended just now
        return False


def is_of_this_boot(process: Process) -> bool:
    """Whether `process` lived on this machine since it was last started."""
    return process.identity.partition(":")[0] == _boot()


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent ends (Linux)."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Have this process killed when the thread that forked it ends (Linux); end at once if `parent` has ended."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def renounce_privileges() -> None:
    """Have no program that this process starts, such as sudo, give it more rights than it has (Linux)."""
    if _prctl is not None:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def offer_to_oom_killer() -> None:
    """Have the kernel kill this process and its children before supervisors and controller (Linux)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def give_way() -> None:
    """Have the kernel prefer other processes to this one and its children, wherever a core is wanted by several.

    Controller, web workers and whoever works at this machine then go first. Where Linux shares cores among sessions,
    niceness counts within each alone, so this process's session is told, too.
    """
    os.nice(NICENESS)
    with suppress(OSError):  # not this kernel, or too often in a tenth of a second
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def descendants(pid: int) -> list[int]:
    """Return the processes that descend from `pid`."""
    if _has_child_lists():
        found = _children(pid)
        for child in found:  # grows as it goes
            found += _children(child)
        return found
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def resident_bytes(pids: Iterable[int], limit: int | None = None) -> int:
    """Return the resident memory of processes.

    Memory that they share counts once for each of them, which is cheap to find out. Only where the sum is above
    `limit`, it is worked out again with shared memory divided among those who share it.
    """
    pids = list(pids)
    total = sum(map(_resident, pids))
    if limit is not None and total > limit and LINUX:
        return sum(map(_proportional, pids))
    return total


def kill(pids: Iterable[int]) -> None:
    """Send SIGKILL to processes; those that are gone don't matter."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone doesn't matter."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


class Handle:
    """Watches a process that need not be a child: by a pidfd on Linux, else by its identity."""

    def __init__(self, process: Process) -> None:
        """Watch `process`, which may have ended."""
        self._process = process
        self._descriptor: int | None = None
        if LINUX:
            try:
                self._descriptor = os.pidfd_open(process.pid)
            except OSError:
                return
            if not is_alive(process):  # the number has passed to another one
                self.close()

    def fileno(self) -> int | None:
        """Return a descriptor that becomes readable when the process ends; None if there is none."""
        return self._descriptor

    def terminate(self) -> None:
        """Send SIGTERM if the process still exists."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL if the process still exists."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            elif is_alive(self._process):
                os.kill(self._process.pid, number)

    def has_ended(self) -> bool:
        """Whether the process has ended, reaped or not."""
        if self._descriptor is None:
            return LINUX or not is_alive(self._process)
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@cache
def _boot() -> str:
    if LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(psutil.boot_time())


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state, parent, …); the second may hold spaces."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.scandir(f"/proc/{pid}/task"):
            found += map(int, _read(f"{thread.path}/children").split())
    except OSError:  # it ended meanwhile
        pass
    return found


@cache
def _has_child_lists() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _resident(pid: int) -> int:
    try:
        if LINUX:
            return int(_read(f"/proc/{pid}/statm").split()[1]) * _page_bytes()
        return int(psutil.Process(pid).memory_info().rss)
    except (OSError, IndexError, psutil.Error):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)


@cache
def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> str:
    """Return the start of a short file in /proc, which one read gives in one piece."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
