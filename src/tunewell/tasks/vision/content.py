"""Whether pictures are the same wherever they lie: by their content, not by the time of their last change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.picture_set import PictureSet, fingerprint
from tunewell.tasks.vision.task_file import Prepared


def content_digest(pictures: PictureSet, digest_of: Callable[[int], str]) -> str:
    """Return a digest of the names and contents of all pictures in a split.

    `digest_of` gives the digest of the content of the picture at a position, in hexadecimal; see `file_digest`.
    """
    digest = hashlib.blake2b(digest_size=16)
    for position in sorted({position for positions in pictures.splits.values() for position in positions}):
        digest.update(f"{pictures.paths[position]}\0{digest_of(position)}\0".encode())
    return digest.hexdigest()


def file_digest(content: bytes) -> str:
    """Return the digest of a picture file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def is_unchanged(pictures: PictureSet, known: Prepared) -> bool:
    """Whether the files of pictures are here, and are those that an experiment was prepared with."""
    try:
        return fingerprint(pictures) == known.fingerprint
    except DataError:
        return False


def are_same(pictures: PictureSet, known: Prepared, kept: PictureSet) -> bool:
    """Whether pictures are those that an experiment was prepared with.

    Files that were copied have other times, so their contents are compared where the times differ.

    Args:
        pictures: as they are now, unreadable ones among them.
        known: what is on record about them.
        kept: the pictures on record, in their splits.

    Raises:
        DataError: one of them can't be read.
    """
    if fingerprint(pictures) == known.fingerprint:
        return True
    return kept.paths == pictures.paths and known.content == content_digest(
        kept, lambda position: _digest_in(pictures.folder / kept.paths[position])
    )


def _digest_in(path: Path) -> str:
    try:
        return file_digest(path.read_bytes())
    except OSError as error:
        raise DataError(f"it can't be read ({error.strerror})", field=str(path), remedy="Restore it") from None
