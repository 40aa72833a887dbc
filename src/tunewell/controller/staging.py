"""Preparing the folder of an attempt beside its place, where nobody takes it for the attempt's yet.

It may take long: a checkpoint to go on from is copied in. So it is done before the attempt is put on record, and out of
the controller's loop; what is prepared is then only moved to its place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunewell.controller.attempts import newest_checkpoint, prepare_folder
from tunewell.home.home import SET_ASIDE, Home
from tunewell.schedulers.leftovers import ask_to_end, settle
from tunewell.schedulers.records import identity_of
from tunewell.spec.launch import AttemptKey, Launch
from tunewell.spec.states import Cause
from tunewell.store.rows import AttemptRow
from tunewell.tuners.contract import Suggestion

#: Whether an attempt of this identity is on record at the work that is to begin.
OnRecord = Callable[[str], bool]
#: How the names of such folders begin.
_STAGED = ".next-"


@dataclass(frozen=True, slots=True)
class Staged:
    """A folder that is ready, or why the attempt can't be what it is to be."""

    #: Where it lies; None for a scheduler that needs none.
    folder: Path | None = None
    #: What is missing for the attempt, for people; empty if nothing is.
    missing: str = ""
    #: What people should know about the search.
    note: str = ""
    #: Whether the attempt goes on from a checkpoint of the attempts before it.
    goes_on: bool = False


def wants_checkpoint(launch: Launch, suggestion: Suggestion) -> bool:
    """Whether an attempt goes on from a checkpoint, if there is one."""
    return launch.key.attempt > 1 or suggestion.resume_from is not None


def stage(
    home: Home,
    attempts: Callable[[int], list[AttemptRow]],
    is_on_record: OnRecord,
    launch: Launch,
    suggestion: Suggestion,
) -> Staged:
    """Make way for the folder of a new attempt and prepare it beside its place.

    An attempt goes on from the newest checkpoint of the attempts before it, or else from that of the trial that its
    suggestion names. `attempts` gives the attempts at a trial that are on record, `is_on_record` is as in `make_way`.

    Raises:
        OSError: it can't be done now.
    """
    key, checkpoint, source = launch.key, None, suggestion.resume_from
    assert isinstance(key, AttemptKey)
    note = make_way(home, launch, is_on_record)
    if key.attempt > 1:
        checkpoint = newest_checkpoint(home, key.experiment, key.trial, attempts(key.trial))
    goes_on = checkpoint is not None
    if checkpoint is None and source is not None:
        checkpoint = newest_checkpoint(home, key.experiment, source, attempts(source))
    folder = staged_folder(launch)
    clear_staged(launch)
    prepare_folder(folder, launch, checkpoint)
    missing = ""
    if checkpoint is None and source is not None:
        missing = f"Trial {source} has left nothing in its checkpoint folder to go on from."
    return Staged(folder, missing, note, goes_on)


def make_way(home: Home, launch: Launch, is_on_record: OnRecord) -> str:
    """Set aside what lies where the folder of a new attempt belongs: it can only be another life's; return a note.

    An attempt whose identity is on record is none: another controller has taken the work over and begun it, while this
    one was stopped.

    Raises:
        OSError: it can't be moved, or the processes that work in it have to end first.
    """
    place = launch.folder
    if not os.path.lexists(place):
        return ""
    identity = identity_of(place)
    if identity is not None and is_on_record(identity):
        raise FileExistsError(f"{place}: another controller has begun that attempt")
    if identity is not None:
        detail = "another life of its search has taken its place"
        if settle(place, Cause.NODE_LOST, detail) is None:
            ask_to_end(place, launch.limits.grace_seconds)
            raise BlockingIOError(f"{place}: an attempt that is not on record runs there; it was asked to end")
    home.set_aside(place)
    return (
        "Where trials of this search begin lay folders of attempts that are not on record, as when an older copy "
        f"of the database was put back. They were set aside, to {home.folder / SET_ASIDE}."
    )


def staged_folder(launch: Launch) -> Path:
    """Return where an attempt's folder lies until the attempt is on record: no attempt has such a name."""
    return launch.folder.with_name(f"{_STAGED}{launch.identity}")


def clear_staged(launch: Launch) -> None:
    """Remove what was prepared before for the same work and not used.

    That may be by a controller that was stopped, and wakes up yet: it finds its folder gone.
    """
    for left in launch.folder.parent.glob(f"{_STAGED}*"):
        shutil.rmtree(left, ignore_errors=True)
