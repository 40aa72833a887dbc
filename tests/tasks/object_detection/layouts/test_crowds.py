"""Marks `iscrowd: 1`: crowds where they were chosen, single objects where a painting tool made them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.object_detection.scenes import SIZE, coco, draw_scene, make_scenes, write_json

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.reading import read_annotations

PICTURES = make_scenes({"train": 20})["train"]
TOTAL = sum(len(things) for _, things in PICTURES)


def read(folder: Path, change: Callable[[list[Any]], None], with_masks: bool = False) -> AnnotatedPictures:
    """Return what is read from one file with its annotations changed."""
    content = coco(PICTURES)
    change(content["annotations"])
    write_json(folder / "annotations.json", content)
    for name, things in PICTURES:
        draw_scene(folder / f"{name}.png", things)
    return read_annotations(folder, 0, with_masks)


def paint(annotation: Any, crowd: object = 1) -> None:
    """Turn an annotation's polygons into run lengths."""
    annotation |= {"segmentation": encode(annotation["segmentation"], *SIZE), "iscrowd": crowd}


def surround(annotation: Any) -> None:
    """Make an annotation a region of most of its picture."""
    annotation |= {"segmentation": [[2, 2, 62, 2, 62, 46, 2, 46]], "bbox": [2, 2, 60, 44]}


def singles(found: AnnotatedPictures) -> int:
    """Return how many objects are to be learned."""
    return sum(int((~objects.crowd).sum()) for objects in found.objects)


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("every", [1, 2, 15])
def test_painted_masks_are_single_objects(every: int, with_masks: bool, tmp_path: Path) -> None:
    """However many of the masks were painted, for boxes and masks alike, all objects count, and a note says so."""
    found = read(tmp_path, lambda annotations: [paint(item) for item in annotations[::every]], with_masks)
    assert singles(found) == TOTAL
    assert found.notes[0].endswith(f": {len(range(0, TOTAL, every))} objects with masks as run lengths.")


@pytest.mark.parametrize("with_masks", [False, True])
def test_regions_of_many_objects_are_crowds(with_masks: bool, tmp_path: Path) -> None:
    """Marks on regions much larger than single objects are crowds, whose number is said."""

    def change(annotations: list[Any]) -> None:
        for item in annotations[::3]:
            surround(item)
            paint(item)

    found = read(tmp_path, change, with_masks)
    marked = len(range(0, TOTAL, 3))
    assert singles(found) == TOTAL - marked
    assert (
        f"Neither learned nor counted as missed, because they are crowds (`iscrowd: 1`): {marked} objects."
        in found.notes
    )


def test_marks_on_some_run_lengths_are_crowds(tmp_path: Path) -> None:
    """Where run lengths come with and without the mark, somebody chose it."""
    found = read(tmp_path, lambda annotations: [paint(item, place % 3 == 0) for place, item in enumerate(annotations)])
    assert singles(found) == TOTAL - len(range(0, TOTAL, 3))


@pytest.mark.parametrize(("mark", "crowds"), [("0", 0), ("1", 1), (None, 0), (True, 1), (1.0, 1)])
def test_marks_of_polygons_were_chosen(mark: object, crowds: int, tmp_path: Path) -> None:
    """An object with a polygon is a crowd if it is marked as one, however the mark is written."""
    found = read(tmp_path, lambda annotations: annotations[0].update(iscrowd=mark))
    assert singles(found) == TOTAL - crowds


def test_nothing_but_crowds_is_said(tmp_path: Path) -> None:
    """The error for a set in which every object is a crowd says that they are."""
    with pytest.raises(DataError, match=rf"the {TOTAL} that there are, are crowds \(`iscrowd: 1`\), which are not"):
        read(tmp_path, lambda annotations: [item.update(iscrowd=1) for item in annotations])
