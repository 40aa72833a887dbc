"""The end of attempts whose supervisor did not record one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import psutil

from tunewell.schedulers import processes, records
from tunewell.spec.launch import Exit
from tunewell.spec.states import Cause

#: Longest wait for killed processes to be gone.
SWEEP_SECONDS = 5.0


def settle(folder: Path, cause: Cause, detail: str) -> Exit | None:
    """Make sure that nothing runs, or will ever run, in an attempt's folder; return how the attempt ended.

    That is what its supervisor recorded. Where it did not come to that, every process of the attempt is killed,
    and `cause` and `detail` are recorded; the detail is another one where the folder was removed. None: the
    supervisor lives, nothing was done.
    """
    try:
        with records.locked(folder, wait=False) as lock:
            if lock is None:
                return None
            recorded = records.read_exit(folder)
            if recorded is not None:
                return recorded
            kill_leftovers(folder)
            exit_ = Exit(cause, detail, ended_at=time.time())
            _record(folder, exit_)
            return exit_
    except OSError:  # the folder is gone, or closed to us: nothing can start in it
        kill_leftovers(folder)
        removed = not os.path.lexists(folder)
        return Exit(cause, "its folder was removed" if removed else detail, ended_at=time.time())


def ask_to_end(folder: Path, grace_seconds: float) -> None:
    """Ask the attempt in `folder`, which nobody follows, to end; raise OSError."""
    records.write_stop(folder, grace_seconds)
    supervised = records.read_supervised(folder)
    if supervised is not None:
        with closing(processes.Handle(supervised.supervisor)) as supervisor:
            supervisor.terminate()


def living(folders: Iterable[Path]) -> Path | None:
    """Return one of the folders of attempts whose processes live; None if all of them are still."""
    folders = set(folders)
    for folder in folders:
        with suppress(OSError), records.locked(folder, wait=False) as lock:
            if lock is None:
                return folder
    for process in psutil.process_iter():  # what has outlived its supervisor
        with suppress(OSError, psutil.Error):
            folder = Path(process.environ().get("TUNEWELL_TRIAL_FOLDER", ""))
            if folder in folders:
                return folder
    return None


def kill_leftovers(folder: Path) -> None:
    """Kill the processes of an attempt that outlived its supervisor, and wait until they are gone."""
    supervised = records.read_supervised(folder)
    deadline = time.monotonic() + SWEEP_SECONDS
    while (left := _leftovers(folder, supervised)) and time.monotonic() < deadline:
        processes.kill(left)
        time.sleep(0.01)


def _record(folder: Path, exit_: Exit) -> None:
    try:
        records.write_exit(folder, exit_)
    except OSError:  # on a full disk, taking away still works: nothing can start without a launch.json
        (folder / records.LAUNCH).unlink(missing_ok=True)


def _leftovers(folder: Path, supervised: records.Supervised | None) -> list[int]:
    if supervised is not None and not processes.is_of_this_boot(supervised.supervisor):
        supervised = None
    return [
        process.pid
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _belongs(process, folder, supervised)
    ]


def _belongs(process: psutil.Process, folder: Path, supervised: records.Supervised | None) -> bool:
    # A session's number is not given away while any process is in it, so the members are the trial's.
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if supervised is not None and os.getsid(process.pid) == supervised.supervisor.pid:
            return True
        if supervised is not None and _prints_to(process.pid, supervised.output):
            return True
        return process.environ().get("TUNEWELL_TRIAL_FOLDER") == str(folder)
    except (OSError, psutil.Error):
        return False


def _prints_to(pid: int, pipe: str) -> bool:
    """Whether the output of a process goes to `pipe` (Linux): so do forks that left the session as daemons do."""
    links = [Path(f"/proc/{pid}/fd/{number}") for number in (1, 2)]
    return processes.LINUX and any(str(link.readlink()) == pipe for link in links if link.is_symlink())
