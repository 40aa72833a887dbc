"""Annotations of photos with EXIF orientation, made before or after it was applied."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.tasks.object_detection.scenes import (
    SIZE,
    Thing,
    coco,
    draw_scene,
    make_scenes,
    voc,
    write,
    write_json,
    yolo_line,
)

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.masks import draw, encode
from tunewell.tasks.object_detection.reading import read_annotations
from tunewell.tasks.vision.pictures import TURNS

PICTURES = make_scenes({"train": 8})["train"]
SIDEWAYS = (5, 6, 7, 8)
ORIENTATIONS = range(2, 9)


def orientation_of(value: int) -> Image.Exif:
    """Return EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def photograph(folder: Path, orientations: dict[str, int]) -> None:
    """Write each picture as a photo whose stored pixels are the scene's."""
    for name, things in PICTURES:
        draw_scene(folder / "scene.png", things)
        with Image.open(folder / "scene.png") as scene:
            scene.save(folder / f"{name}.png", exif=orientation_of(orientations.get(name, 1)))
    (folder / "scene.png").unlink()


def colours(found: AnnotatedPictures, position: int) -> list[tuple[int, int]]:
    """Return the label of each object, and that of the colour in the middle of its box in the picture as shown."""
    with Image.open(found.path(position)) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    objects = found.objects[position]
    x, y = ((objects.boxes[:, side] + objects.boxes[:, side + 2]) / 2 for side in (0, 1))
    red_or_blue = pixels[y.astype(int), x.astype(int)]
    return list(zip(objects.labels.tolist(), (red_or_blue[:, 2] > red_or_blue[:, 0]).astype(int).tolist(), strict=True))


def check_places(found: AnnotatedPictures) -> None:
    """Every box holds its object in the picture as shown, and every mask fills the box."""
    for position in range(len(found.paths)):
        assert all(label == colour for label, colour in colours(found, position))
        objects, (width, height) = found.objects[position], found.sizes[position]
        for box, mask in zip(objects.boxes, objects.masks or (), strict=False):
            rows, columns = np.nonzero(draw(mask, (width, height), (height, width)))
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(around, box, atol=1)


@pytest.mark.parametrize("painted", [False, True])
@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_stored_pixels(orientation: int, painted: bool, tmp_path: Path) -> None:
    """Where the stated size is that of the stored pixels, boxes, polygons and run lengths are turned with the photo."""
    photograph(tmp_path, dict.fromkeys(dict(PICTURES), orientation))
    content = coco(PICTURES)
    for item in content["annotations"] if painted else ():
        item["segmentation"] = encode(item["segmentation"], *SIZE)
    write_json(tmp_path / "all.json", content)
    found = read_annotations(tmp_path, 0, with_masks=True)
    assert set(found.sizes) == {SIZE[::-1]}
    check_places(found)
    assert "Turned with their pictures, being for the pixels before EXIF orientation: the annotations of 8" in " ".join(
        found.notes
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_shown_pixels(orientation: int, tmp_path: Path) -> None:
    """Where the stated size is that of the photo as shown, annotations are taken as they stand."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    for name, things in PICTURES:
        draw_scene(tmp_path / f"{name}.png", things)
        with Image.open(tmp_path / f"{name}.png") as scene:
            stored = scene.transpose(TURNS[back])
        stored.save(tmp_path / f"{name}.png", exif=orientation_of(orientation))
    write_json(tmp_path / "all.json", coco(PICTURES))
    found = read_annotations(tmp_path, 0, with_masks=True)
    assert set(found.sizes) == {SIZE}
    check_places(found)
    assert "Turned with" not in " ".join(found.notes)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_the_set_decides_what_a_size_leaves_open(orientation: int, tmp_path: Path) -> None:
    """A photo that keeps its size when turned goes the way of the others, and a note says so."""
    photograph(tmp_path, {"train0": orientation, "train1": 6})
    write_json(tmp_path / "all.json", coco(PICTURES))
    found = read_annotations(tmp_path, 0, with_masks=True)
    check_places(found)
    assert "before EXIF orientation, as others in the set are: train0.png." in " ".join(found.notes)


def test_open_cases_are_said(tmp_path: Path) -> None:
    """Where nothing in the set tells, annotations are for the photo as shown, and a note says that they may not be."""
    photograph(tmp_path, {"train0": 3})
    write_json(tmp_path / "all.json", coco(PICTURES))
    found = read_annotations(tmp_path, 0, with_masks=False)
    assert "the annotations of 1 picture may be for the pixels before EXIF orientation" in " ".join(found.notes)
    assert found.objects[0].boxes[0].tolist() == [float(side) for side in PICTURES[0][1][0].box]


def test_boxes_decide_where_no_size_is_stated(tmp_path: Path) -> None:
    """Without sizes, boxes that reach beyond the photo as shown were made on its stored pixels, as the others then."""
    photograph(tmp_path, dict.fromkeys(dict(PICTURES), 6))
    content = coco(PICTURES)
    for image in content["images"]:
        del image["width"], image["height"]
    write_json(tmp_path / "all.json", content)
    found = read_annotations(tmp_path, 0, with_masks=True)
    check_places(found)
    assert "before EXIF orientation, as others in the set are: " in " ".join(found.notes)


def test_voc_and_yolo(tmp_path: Path) -> None:
    """VOC states sizes as COCO does; YOLO's shares are those of the photo as shown, as its own programs read them."""
    photograph(tmp_path / "voc", dict.fromkeys(dict(PICTURES), 6))
    for name, things in PICTURES:
        write(tmp_path / "voc" / f"{name}.xml", voc(name, things))
    check_places(read_annotations(tmp_path / "voc", 0, with_masks=False))
    photograph(tmp_path / "yolo", dict.fromkeys(dict(PICTURES), 6))
    for name, things in PICTURES:
        shown = [Thing(thing.label, _turned_right(thing.box)) for thing in things]
        write(tmp_path / "yolo" / f"{name}.txt", "".join(yolo_line(thing, size=SIZE[::-1]) for thing in shown))
    found = read_annotations(tmp_path / "yolo", 0, with_masks=False)
    for position in range(len(found.paths)):
        assert all(label == colour for label, colour in colours(found, position))
    assert "EXIF" not in " ".join(found.notes)


def _turned_right(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return SIZE[1] - y1, x0, SIZE[1] - y0, x1


def test_a_size_that_fits_neither(tmp_path: Path) -> None:
    """The error for annotations of another size says both sizes of a turned photo, and what to do."""
    photograph(tmp_path, dict.fromkeys(dict(PICTURES), 6))
    content = json.loads(json.dumps(coco(PICTURES)))
    for image in content["images"]:
        image |= {"width": 128, "height": 96}
    write_json(tmp_path / "all.json", content)
    with pytest.raises(DataError, match=r"48 x 64, stored as 64 x 48, annotated at 128 x 96.*EXIF orientation would"):
        read_annotations(tmp_path, 0, with_masks=False)
