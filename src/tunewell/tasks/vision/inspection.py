"""What is known of a data set only after decoding it: broken pictures, and pictures that are in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    refusal = refusal_of(pictures, broken)
    if refusal is not None:
        lost = name_broken(pictures, refusal.broken)
        raise DataError(f"{refusal.what}: {lost}", field=str(pictures.folder), remedy=refusal.remedy)
    notes = list(pictures.notes)
    if _lost(pictures, broken, "test"):
        number = len(pictures.splits["test"])
        notes.append(f"Not used, because none can be read: all {count(number, 'picture')} of test.")
    kept = pictures.without(broken)
    if broken:
        notes.append(
            f"Left out, because they can't be read: {count(len(broken), 'picture')}, {name_broken(pictures, broken)}."
        )
    notes += note_frames(pictures, several_frames)
    return replace(kept, notes=(*notes, *_in_two_splits(kept, digests)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no search can use a data set for its broken pictures."""

    what: str
    remedy: str
    #: Those that it is about: position → what is wrong.
    broken: Mapping[int, str]


def refusal_of(pictures: PictureSet, broken: Mapping[int, str]) -> Refusal | None:
    """Return why a search can't use a data set with these broken pictures, None: it can, and leaves them out."""
    total = len(pictures.paths)
    bearable = max(_BEARABLE_COUNT, int(_BEARABLE_SHARE * total))
    if len(broken) > bearable:
        limit = "" if len(broken) == total else f"; a search leaves out {bearable} at most"
        return Refusal(f"{len(broken)} of {total} pictures can't be read{limit}", "Repair or remove them", broken)
    for split in pictures.splits:
        if split != "test" and _lost(pictures, broken, split):
            lost = {position: broken[position] for position in pictures.splits[split]}
            return Refusal(f"no picture of {split} can be read", "Repair or replace them", lost)
    return None


def _lost(pictures: PictureSet, broken: Mapping[int, str], split: str) -> bool:
    """Whether there are pictures in a split, and none can be read."""
    positions = pictures.splits.get(split, ())
    return bool(positions) and broken.keys() >= set(positions)


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
