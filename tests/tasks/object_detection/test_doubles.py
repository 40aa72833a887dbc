"""Objects and pictures that are annotated twice count once; two truths about a picture are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.object_detection.scenes import (
    SIZE,
    coco,
    draw_scene,
    make_scenes,
    voc,
    write,
    write_coco,
    write_json,
    write_voc,
    write_yolo,
)

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.doubles import without_doubles
from tunewell.tasks.object_detection.layouts.markings import MarkedObject
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.reading import read_annotations

SCENES = make_scenes({"train": 8, "val": 4})
TOTAL = sum(len(things) for pictures in SCENES.values() for _, things in pictures)
LIST = "annotations/instances_train.json"


def objects_in(folder: Path, with_masks: bool = False) -> tuple[int, str]:
    """Return how many objects count, and the notes."""
    found = read_annotations(folder, 0, with_masks)
    return sum(map(len, found.objects)), " ".join(found.notes)


def double_yolo(folder: Path) -> Path:
    """Write each line twice, the second time rounded to six digits otherwise."""
    for path in (write_yolo(folder, SCENES) / "labels").rglob("*.txt"):
        lines = path.read_text()
        write(path, lines + lines.replace("0000", "0001"))
    return folder


def double_coco(folder: Path) -> Path:
    """List each annotation twice."""
    for path in (write_coco(folder, SCENES) / "annotations").iterdir():
        content = json.loads(path.read_text())
        write_json(path, content | {"annotations": content["annotations"] * 2})
    return folder


def double_voc(folder: Path) -> Path:
    """Write each object twice."""
    for path in (write_voc(folder, SCENES) / "Annotations").iterdir():
        head, objects = path.read_text().split("</size>")
        objects = objects.removesuffix("</annotation>")
        write(path, f"{head}</size>{objects}{objects}</annotation>")
    return folder


@pytest.mark.parametrize("writer", [double_yolo, double_coco, double_voc])
def test_objects_that_are_there_twice(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    """In every layout an object that is annotated twice counts once, and a note says how many were left out."""
    total, notes = objects_in(writer(tmp_path))
    assert total == TOTAL
    assert f"Counted once, being marked twice with the same class and place: {TOTAL} objects, in" in notes


def test_masks_that_are_there_twice(tmp_path: Path) -> None:
    """The same mask as polygon and as run lengths is one object; another mask in the same box is another object."""
    write_coco(tmp_path, SCENES)
    content = json.loads((tmp_path / LIST).read_text())
    first = content["annotations"][0]
    painted = first | {"segmentation": encode(first["segmentation"], *SIZE)}
    x, y, width, height = first["bbox"]
    half = first | {"segmentation": [[x, y, x + width, y, x, y + height]]}
    write_json(tmp_path / LIST, content | {"annotations": [*content["annotations"], painted, half]})
    assert objects_in(tmp_path, with_masks=True)[0] == TOTAL + 1
    assert objects_in(tmp_path)[0] == TOTAL


def box(x0: float, y0: float, name: str = "disc", crowd: bool = False) -> MarkedObject:
    """Return an object of 20 x 20 pixels."""
    return MarkedObject(name, (x0, y0, x0 + 20, y0 + 20), crowd=crowd)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from("ab")), max_size=12), st.randoms())
def test_each_object_is_kept_once(places: list[tuple[int, int, str]], random: Any) -> None:
    """Whatever the order, one of each class and place is kept, roundings apart."""
    objects = [box(x + random.uniform(-0.2, 0.2), y, name) for x, y, name in places]
    kept, left_out = without_doubles(objects, SIZE, with_masks=False)
    assert len(kept) == len(set(places))
    assert len(kept) + left_out == len(objects)


def test_neighbours_are_no_doubles() -> None:
    """Another class, a crowd, and a box that is a pixel away are objects of their own."""
    objects = [box(3, 3), box(3, 3, "square"), box(3, 3, crowd=True), box(4, 3), box(3, 4)]
    assert without_doubles(objects, SIZE, with_masks=False) == (objects, 0)


def split_in_two(folder: Path, second: str, change: Callable[[Any], None]) -> Path:
    """Write the training pictures a second time, changed, into another file or the same (`second` is empty)."""
    write_coco(folder, SCENES)
    content = json.loads((folder / LIST).read_text())
    other = json.loads((folder / LIST).read_text())
    change(other)
    if second:
        write_json(folder / second, other)
        return folder
    for image in other["images"]:
        image["id"] += 100
    for annotation in other["annotations"]:
        annotation["image_id"] += 100
    for name in ("images", "annotations"):
        content[name] += other[name]
    write_json(folder / LIST, content)
    return folder


@pytest.mark.parametrize("second", ["", "annotations/instances_train_2.json", "annotations/instances_all.json"])
def test_pictures_that_are_listed_twice(second: str, tmp_path: Path) -> None:
    """A picture with two entries, in one file or in two for a split or none, is one picture with each object once."""
    split_in_two(tmp_path, second, lambda content: None)
    found = read_annotations(tmp_path, 0, with_masks=False)
    assert len(found.paths) == 12
    assert objects_in(tmp_path)[0] == TOTAL
    assert "Annotated in several places, whose objects are joined: images/train0.png" in " ".join(found.notes)


@pytest.mark.parametrize("second", ["", "annotations/instances_train_2.json"])
def test_objects_of_a_picture_in_two_entries(second: str, tmp_path: Path) -> None:
    """Entries with different objects of a picture are joined: each class may have its own file."""

    def only_new(content: Any) -> None:
        content["annotations"] = [
            item | {"category_id": 11, "bbox": [0, 0, 9, 9], "segmentation": []} for item in content["annotations"]
        ]
        content["annotations"] = content["annotations"][:1]

    split_in_two(tmp_path, second, only_new)
    assert objects_in(tmp_path)[0] == TOTAL + 1


@pytest.mark.parametrize("second", ["", "annotations/instances_train_2.json"])
def test_two_truths_are_refused(second: str, tmp_path: Path) -> None:
    """Where two entries mark the same thing differently, nobody can say which is right."""

    def moved(content: Any) -> None:
        content["annotations"][0]["bbox"][0] += 2

    split_in_two(tmp_path, second, moved)
    with pytest.raises(DataError, match=r"train\d\.png is annotated twice, in two ways\. Keep one of its annotations"):
        objects_in(tmp_path)


def test_copies_of_annotation_files(tmp_path: Path) -> None:
    """A copy of an XML file is a second entry for its picture."""
    for pictures in SCENES.values():
        for name, things in pictures:
            draw_scene(tmp_path / f"{name}.png", things)
            write(tmp_path / f"{name}.xml", voc(name, things))
    name, things = SCENES["train"][0]
    write(tmp_path / f"{name} (copy).xml", voc(name, things))
    assert objects_in(tmp_path)[0] == TOTAL


def test_files_for_one_split_are_named(tmp_path: Path) -> None:
    """Two files with pictures of their own for a split are read together, and a note names them."""
    write_coco(tmp_path, SCENES)
    (tmp_path / LIST).unlink()
    for number, part in enumerate((SCENES["train"][:3], SCENES["train"][3:])):
        write_json(tmp_path / "annotations" / f"train_{number}.json", coco(part))
    total, notes = objects_in(tmp_path)
    assert total == TOTAL
    assert "Read together, being for the same split: annotations/train_0.json, annotations/train_1.json." in notes
