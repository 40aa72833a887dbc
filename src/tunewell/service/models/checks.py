"""What can be said of a model."""

from __future__ import annotations

from tunewell.spec.errors import ArgumentError, shown
from tunewell.spec.text import check_plain

#: Longest note on a version, in characters.
LONGEST_NOTE = 4000


def check_note(note: str) -> None:
    """Raise `ArgumentError` for a note that is too long, or no text."""
    check_plain("note", note)
    if len(note) > LONGEST_NOTE:
        what = f"it has {len(note)} characters, and {LONGEST_NOTE} are possible"
        raise ArgumentError("note", what, "Say it in fewer words")


def check_visibility(visibility: str) -> None:
    """Raise `ArgumentError` for what is no visibility."""
    if visibility not in ("team", "private"):
        raise ArgumentError("visibility", f"{shown(visibility)} is not known", "Give `team` or `private`", visibility)
