"""What is known of a data set only after decoding it: broken pictures, and pictures that are in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import Manifest

#: Broken pictures that are skipped: this share of all, or this many if that is more.
_BEARABLE_SHARE = 0.01
_BEARABLE_COUNT = 3
_LISTED = 5


def inspect(manifest: Manifest, digests: Sequence[str], broken: Mapping[int, str]) -> Manifest:
    """Return the manifest without its broken pictures, with notes on them and on pictures in two splits.

    Args:
        manifest: the data set.
        digests: digest of each file's content, by position.
        broken: position → what is wrong with the picture.

    Raises:
        DataError: more pictures are broken than can be left out in silence, or a class has none left.
    """
    bearable = max(_BEARABLE_COUNT, int(_BEARABLE_SHARE * len(manifest.paths)))
    if len(broken) > bearable:
        raise DataError(
            f"{manifest.folder}: {len(broken)} of {len(manifest.paths)} pictures can't be read, "
            f"{bearable} would be left out: {_describe(manifest, broken)}. Repair or remove them."
        )
    kept = manifest.without(broken)
    for split in kept.splits:
        for label in sorted(set(manifest.split_labels(split)) - set(kept.split_labels(split))):
            raise DataError(
                f"{manifest.folder}: no picture of class '{manifest.classes[label]}' in {split} can be read: "
                f"{_describe(manifest, broken)}. Repair or replace them."
            )
    notes = list(manifest.notes)
    if broken:
        notes.append(f"Left out, because they can't be read: {_describe(manifest, broken)}.")
    return replace(kept, notes=(*notes, *_in_two_splits(kept, digests)))


def _describe(manifest: Manifest, broken: Mapping[int, str]) -> str:
    listed = [f"{manifest.paths[position]} ({problem})" for position, problem in list(broken.items())[:_LISTED]]
    more = f" and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
    return ", ".join(listed) + more


def _in_two_splits(manifest: Manifest, digests: Sequence[str]) -> list[str]:
    trained = {digests[position]: position for position in manifest.splits["train"]}
    notes = []
    for split in manifest.splits:
        if split == "train":
            continue
        shared = [position for position in manifest.splits[split] if digests[position] in trained]
        if shared:
            example = manifest.paths[shared[0]]
            notes.append(
                f"{len(shared)} of {len(manifest.splits[split])} pictures of {split} are in train too, such as "
                f"{example} = {manifest.paths[trained[digests[shared[0]]]]}: results on {split} will look too good."
            )
    return notes
