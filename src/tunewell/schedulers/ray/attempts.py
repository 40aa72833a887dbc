"""One attempt on its way: to a slot, while it runs there, and back home with all that it has left.

What takes long is done by a courier, a thread of its own: it speaks with the slot alone, and leaves word when it is
through. There may be two at a time, of a controller that is about to end and of the one that comes after it: each puts
what it brings together in a folder of its own, and then into its place as a whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from tunewell.schedulers import records
from tunewell.schedulers.ray import parcels
from tunewell.schedulers.ray.parcels import Mark
from tunewell.schedulers.ray.places import place_of, places_of
from tunewell.schedulers.ray.sending import answer, check_there, send
from tunewell.schedulers.ray.slot import GROWING, Known, Look, known_of
from tunewell.spec.launch import Launch
from tunewell.trial import files

#: How long a call may take that moves a piece of a file, in seconds.
CALL_SECONDS = 120.0
#: How often a slot is asked again: whether another one has brought what both need, and where it can't be reached.
ASK_SECONDS = 0.2
#: What of an attempt's folder is not brought home: it tells of processes there, or was made here.
_STAYS = frozenset({records.LAUNCH, records.LOCK, records.SUPERVISOR, records.IDENTITY, files.STOP, "slot.json"})
#: What the folders begin with in which files are put together, and what the old checkpoint is called meanwhile.
_INCOMING, _OLD = ".incoming-", f".{files.CHECKPOINT}.old"
#: Errors of what is written that stay however often it is tried.
_LASTING = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ENOTDIR})


def call(method: Any, *arguments: Any) -> Any:
    """Return what a method of an actor answers; raise what it raises, or what Ray says of the actor."""
    deadline = time.monotonic() + CALL_SECONDS
    while True:
        try:
            return ray.get(method.remote(*arguments), timeout=CALL_SECONDS)
        except ActorUnavailableError:  # for now; the methods that are called so may be called twice
            if time.monotonic() > deadline:
                raise
            time.sleep(ASK_SECONDS)


# There ------------------------------------------------------------------------------------------------------


def bring(slot: Any, launch: Launch, homes: Sequence[str], is_wanted: Callable[[], bool]) -> None:
    """Bring an attempt's folder, and what it reads, to the node of a slot.

    Raises:
        OSError: a file can't be read here, or written there.
        RayError: the slot is gone.
    """
    home, inputs = Path(homes[0]), places_of(launch.inputs, homes)
    check_there(home, inputs)
    if inputs and not _bring_inputs(slot, home, inputs, is_wanted):
        return
    own = place_of(launch.folder, homes)
    assert own is not None, "attempts lie in the home"
    wanted = parcels.listing(home, (own,))
    lacking = answer(slot.prepare.remote(wanted, own))
    send(slot, home, {name: wanted[name] for name in lacking})


def _bring_inputs(slot: Any, home: Path, inputs: Sequence[str], is_wanted: Callable[[], bool]) -> bool:
    """Bring what an attempt reads beside its own folder, unless it is there; False: it is not wanted any more."""
    wanted = parcels.listing(home, inputs)
    while (lacking := answer(slot.missing_inputs.remote(wanted, inputs))) is None:
        if not is_wanted():
            return False
        time.sleep(ASK_SECONDS)
    if lacking:
        try:
            send(slot, home, {name: wanted[name] for name in lacking})
        finally:
            call(slot.brought)
    return True


# While it runs ----------------------------------------------------------------------------------------------


def known_of_growing(folder: Path) -> dict[str, Known]:
    """Return what is here of each file that is fetched as it grows."""
    return {name: known_of(folder / name) for name in GROWING}


def checkpoint_of(folder: Path) -> dict[str, Mark]:
    """Return the checkpoint in an attempt's folder here."""
    return parcels.listing(folder, (files.CHECKPOINT,), leave_out=(files.CHECKPOINT,))


def keep(folder: Path, look: Look) -> None:
    """Write what a look has brought; raise OSError: nothing of a file that could not be written counts."""
    for name, (offset, data) in look.new.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            os.ftruncate(descriptor, offset)
            written = os.pwrite(descriptor, data, offset)
            if written < len(data):
                os.ftruncate(descriptor, offset)
                raise OSError(errno.ENOSPC, f"{name} could be written in part only")
        finally:
            os.close(descriptor)


# Back -------------------------------------------------------------------------------------------------------


def fetch_checkpoint(slot: Any, identity: str, folder: Path, marks: Mapping[str, Mark]) -> bool:
    """Bring home the checkpoint of an attempt, unless it is changed meanwhile; say whether it is here.

    Raises:
        OSError: a file can't be written here.
        RayError: the slot is gone.
    """
    restore_checkpoint(folder)
    with _incoming(folder) as beside:
        new = beside / files.CHECKPOINT
        new.mkdir()
        inner = {os.path.relpath(name, files.CHECKPOINT): mark for name, mark in marks.items()}
        here = folder / files.CHECKPOINT
        for name in parcels.missing(new, inner):
            if parcels.is_here(here, name, inner[name]):
                _reuse(parcels.inside(here, name), parcels.inside(new, name))
            elif not _fetch(slot, identity, f"{files.CHECKPOINT}/{name}", new, name, inner[name]):
                return False
        if call(slot.listing, identity, files.CHECKPOINT) != dict(marks):
            return False
        _exchange(new, here)
    return True


def _reuse(old: Path, new: Path) -> None:
    try:
        new.hardlink_to(old)
    except OSError:  # there are file systems without such links
        shutil.copy2(old, new)


def restore_checkpoint(folder: Path) -> None:
    """Put the checkpoint back in its place, if whoever was about to put a new one there was ended just then."""
    if not os.path.lexists(folder / files.CHECKPOINT):
        with suppress(OSError):
            (folder / _OLD).rename(folder / files.CHECKPOINT)


def _exchange(new: Path, place: Path) -> None:
    """Put a complete folder in the place of another one: at no time is there a part of it."""
    old = place.with_name(_OLD)
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def fetch_all(slot: Any, identity: str, folder: Path) -> tuple[str, ...]:
    """Bring home all files of an attempt that has ended, its end last; return sentences on what could not be brought.

    Raises:
        OSError: there is no room here, or another reason that may pass.
        RayError: the slot is gone.
    """
    restore_checkpoint(folder)
    for leftover in folder.glob(f"{_INCOMING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    marks = {name: mark for name, mark in call(slot.listing, identity, ".").items() if name not in _STAYS}
    last = marks.pop(records.EXIT, None)
    checkpoint = {name: marks.pop(name) for name in list(marks) if name.startswith(f"{files.CHECKPOINT}/")}
    if checkpoint != checkpoint_of(folder) and not fetch_checkpoint(slot, identity, folder, checkpoint):
        raise OSError(errno.EAGAIN, "the checkpoint has changed after the end of its trial")
    problems = []
    with _incoming(folder) as beside:
        for name, mark in marks.items():
            problem = _fetch_into_place(slot, identity, name, mark, folder, beside)
            problems += [problem] if problem else []
        for name in (*GROWING, ""):  # on the node, all of this is about to be removed
            with suppress(FileNotFoundError):
                files.flush(folder / name)
        if last is not None:
            _fetch_into_place(slot, identity, records.EXIT, last, folder, beside)
            files.flush(folder)
    if len(problems) > 1:
        return (f"{len(problems)} files could not be brought home; the first: {problems[0]}.",)
    return tuple(f"A file could not be brought home: {problem}." for problem in problems)


def _fetch_into_place(slot: Any, identity: str, name: str, mark: Mark, folder: Path, beside: Path) -> str:
    try:
        if mark.size < 0 or parcels.is_here(folder, name, mark):
            parcels.missing(folder, {name: mark})  # folders and links are made
        elif _fetch(slot, identity, name, beside, "file", mark):
            parcels.put(beside / "file", folder, name)
        else:
            return f"{name}, which was gone before it could be read"
    except OSError as error:
        if isinstance(error, RayError) or error.errno not in _LASTING:
            raise
        return f"{name}: {error.strerror}"
    return ""


def _fetch(slot: Any, identity: str, name: str, root: Path, place: str, mark: Mark) -> bool:
    """Bring a file home; say whether it was still there, as large as it should be."""
    offset = 0
    while offset < mark.size:
        try:
            data = call(slot.read, identity, name, offset)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            return False
        if not data:
            return False
        parcels.write_piece(root, place, offset, data)
        offset += len(data)
    if offset != mark.size:
        return False
    parcels.finish(root, place, mark)
    with suppress(PermissionError):  # it may be closed to everybody
        files.flush(root / place)
    return True


@contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    beside = folder / f"{_INCOMING}{uuid.uuid4().hex}"
    beside.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
