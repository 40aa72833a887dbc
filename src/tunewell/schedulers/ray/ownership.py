"""Which slot has an attempt, said in the attempt's folder at home: whoever says so first decides."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

from tunewell.schedulers.ray import SLOT
from tunewell.trial import files

#: Has an attempt that has no slot, and never will have one.
NOBODY = ""


def claim(folder: Path, slot: str, node: str | None = None) -> bool:
    """Say that a slot on a node has the attempt in a folder, unless something is said; whether it is that slot now.

    Raises:
        OSError: nothing can be written there.
    """
    beside = folder / f".{SLOT}-{uuid.uuid4().hex}"
    try:
        files.write_json(beside, {"slot": slot, "node": node})
        files.flush(beside)
        try:
            (folder / SLOT).hardlink_to(beside)  # whole at once, and refused where there is one
        except FileExistsError:
            return slot_of(folder) == slot
        files.flush(folder)
        return True
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def slot_of(folder: Path) -> str | None:
    """Return the slot that has an attempt; `NOBODY` if none ever will, None if that is not said."""
    record = files.read_json(folder / SLOT)
    return None if record is None else str(record["slot"])
