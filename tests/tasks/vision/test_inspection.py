"""What decoding reveals: broken pictures and pictures in two splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.manifest import Manifest
from tunewell.tasks.vision.inspection import inspect


def pictures_of(train: int, val: int) -> Manifest:
    """Return a set with so many pictures in its splits."""
    count = train + val
    return Manifest(
        folder=Path("/data"),
        paths=tuple(f"{position}.png" for position in range(count)),
        splits={"train": tuple(range(train)), "val": tuple(range(train, count))},
        classes=("a",),
        labels=(0,) * count,
        notes=("a note",),
    )


def distinct(count: int) -> list[str]:
    """Return digests that all differ."""
    return [str(position) for position in range(count)]


def test_nothing_to_find() -> None:
    """A sound data set stays as it is."""
    manifest = pictures_of(20, 10)
    assert inspect(manifest, distinct(30), {}) == manifest


def test_few_broken_pictures_are_left_out() -> None:
    """Up to three (or 1 %) broken pictures leave the splits and are named in a note."""
    manifest = inspect(pictures_of(20, 10), distinct(30), {0: "truncated", 25: "no picture"})
    assert manifest.splits == {"train": tuple(range(1, 20)), "val": (20, 21, 22, 23, 24, 26, 27, 28, 29)}
    left_out = "Left out, because they can't be read: 2 pictures, 0.png (truncated), 25.png (no picture)."
    assert manifest.notes[1:] == (left_out,)
    assert len(manifest.paths) == 30


@pytest.mark.parametrize(
    ("count", "broken", "refused"), [(30, 3, False), (30, 4, True), (1000, 10, False), (1000, 11, True)]
)
def test_the_limit(count: int, broken: int, refused: bool) -> None:
    """More than 1 % (and more than three) broken pictures are an error that counts and names them."""
    manifest, problems = pictures_of(count - 10, 10), dict.fromkeys(range(broken), "empty")
    if not refused:
        assert len(inspect(manifest, distinct(count), problems).splits["train"]) == count - 10 - broken
        return
    with pytest.raises(DataError, match=rf"/data: {broken} of {count} pictures can't be read; .*0\.png \(empty\), "):
        inspect(manifest, distinct(count), problems)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_must_keep_pictures(split: str) -> None:
    """However few pictures are broken, there must be some to train on and some to validate on."""
    pictures = pictures_of(3, 3)
    with pytest.raises(DataError, match=rf"/data: no picture of {split} can be read: \d\.png \(empty\), "):
        inspect(pictures, distinct(6), dict.fromkeys(pictures.splits[split], "empty"))


def test_pictures_in_two_splits() -> None:
    """The same content in train and another split is noted with a count and an example; elsewhere it is not."""
    digests = distinct(30)
    digests[1] = digests[0]
    digests[22] = digests[27] = digests[5]
    manifest = inspect(pictures_of(20, 10), digests, {})
    assert manifest.notes[1:] == (
        "In train, too: 2 of 10 pictures of val, such as 22.png = 5.png: results on val will look too good.",
    )
