"""What is known of a data set only after decoding it: broken pictures, and pictures that are in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from tunewell.spec.errors import DataError, count
from tunewell.tasks.vision.picture_set import PictureSet

Pictures = TypeVar("Pictures", bound=PictureSet)

#: Broken pictures that are skipped: this share of all, or this many if that is more.
_BEARABLE_SHARE = 0.01
_BEARABLE_COUNT = 3
_LISTED = 5


def inspect(
    pictures: Pictures, digests: Sequence[str], broken: Mapping[int, str], several_frames: Sequence[int] = ()
) -> Pictures:
    """Return the data set without its broken pictures, with notes on these, on films and on pictures in two splits.

    Args:
        pictures: the data set.
        digests: digest of each file's content, by position.
        broken: position → what is wrong with the picture.
        several_frames: positions of pictures with several frames.

    Raises:
        DataError: more pictures are broken than can be left out, or all of a split.
    """
    bearable = max(_BEARABLE_COUNT, int(_BEARABLE_SHARE * len(pictures.paths)))
    if len(broken) > bearable:
        raise DataError(
            f"{len(broken)} of {len(pictures.paths)} pictures can't be read, {bearable} would be left "
            f"out: {name_broken(pictures, broken)}",
            field=str(pictures.folder),
            remedy="Repair or remove them",
        )
    notes = list(pictures.notes)
    for split, positions in pictures.splits.items():
        if not positions or not broken.keys() >= set(positions):
            continue
        if split != "test":
            lost = name_broken(pictures, {position: broken[position] for position in positions})
            raise DataError(
                f"no picture of {split} can be read: {lost}",
                field=str(pictures.folder),
                remedy="Repair or replace them",
            )
        notes.append(f"Not used, because none can be read: all {count(len(positions), 'picture')} of test.")
    kept = pictures.without(broken)
    if broken:
        notes.append(
            f"Left out, because they can't be read: {count(len(broken), 'picture')}, {name_broken(pictures, broken)}."
        )
    notes += note_frames(pictures, several_frames)
    return replace(kept, notes=(*notes, *_in_two_splits(kept, digests)))


def note_frames(pictures: PictureSet, several_frames: Sequence[int]) -> list[str]:
    """Return a note on the pictures at these positions, which have several frames; nothing if there are none."""
    if not several_frames:
        return []
    return [
        f"The first picture is taken of files with several frames or pages: {len(several_frames)}, such as "
        f"{pictures.paths[several_frames[0]]}."
    ]


def name_broken(pictures: PictureSet, broken: Mapping[int, str]) -> str:
    """Return the broken pictures (position → what is wrong), the first ones by name."""
    listed = [f"{pictures.paths[position]} ({problem})" for position, problem in list(broken.items())[:_LISTED]]
    more = f" and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
    return ", ".join(listed) + more


def copies_in_train(pictures: PictureSet, digests: Sequence[str], split: str) -> list[tuple[int, int]]:
    """Return the positions of a split's pictures that are in train too, each with that of its copy there."""
    trained = {digests[position]: position for position in pictures.splits.get("train", ())}
    positions = pictures.splits[split]
    return [(position, trained[digests[position]]) for position in positions if digests[position] in trained]


def _in_two_splits(pictures: PictureSet, digests: Sequence[str]) -> list[str]:
    notes = []
    for split in pictures.splits:
        copies = copies_in_train(pictures, digests, split) if split != "train" else []
        if copies:
            example, original = (pictures.paths[position] for position in copies[0])
            notes.append(
                f"In train, too: {len(copies)} of {count(len(pictures.splits[split]), 'picture')} of {split}, such as "
                f"{example} = {original}: results on {split} will look too good."
            )
    return notes
