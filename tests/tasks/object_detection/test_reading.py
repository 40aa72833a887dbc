"""Every layout gives the same annotations; flaws are mended and said, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.object_detection.scenes import (
    CLASSES,
    SIZE,
    Thing,
    coco,
    draw_scene,
    make_scenes,
    write,
    write_coco,
    write_json,
    write_voc,
    write_yolo,
    yolo_line,
)
from tests.tasks.shared_data import shared_data

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.layouts.coco import read_coco
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.layouts.voc import find_voc_files, read_voc
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.reading import read_annotations, read_to_measure

WRITERS = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


def read(folder: Path, with_masks: bool = False) -> AnnotatedPictures:
    """Return what is in a folder, for seed 0."""
    return read_annotations(folder, 0, with_masks)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_pictures_without_objects_are_no_test(tmp_path: Path) -> None:
    """Of test pictures that show nothing every model would find all there is, which is nothing: none is measured."""
    found = read(write_coco(tmp_path))
    positions = found.test_positions()
    assert positions is not None
    assert positions.tolist() == list(found.splits["test"])
    bare = [
        one.chosen(np.zeros(len(one), dtype=bool)) if place in found.splits["test"] else one
        for place, one in enumerate(found.objects)
    ]
    assert replace(found, objects=tuple(bare)).test_positions() is None


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_all_layouts_say_the_same(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    """Classes, splits, boxes and labels are those that were written, whatever the layout."""
    found = read(writer(tmp_path))
    assert found.classes == CLASSES
    scenes = make_scenes()
    assert {split: len(positions) for split, positions in found.splits.items()} == {
        s: len(p) for s, p in scenes.items()
    }
    things = {name: things for pictures in scenes.values() for name, things in pictures}
    for position, path in enumerate(found.paths):
        expected = things[Path(path).stem]
        assert found.sizes[position] == SIZE
        np.testing.assert_allclose(found.objects[position].boxes, [thing.box for thing in expected], atol=1e-3)
        assert found.objects[position].labels.tolist() == [thing.label for thing in expected]
    assert not found.has_masks
    assert found.notes == ()


def test_voc_sets_that_count_from_0(tmp_path: Path) -> None:
    """Where a box of the set begins at 0, coordinates are edges as they stand; else the first pixel is 1."""
    scenes = {"train": [("a", [Thing(0, (4, 6, 20, 30))]), ("b", [Thing(1, (1, 0, 12, 9))])], "val": []}
    scenes["val"] = [("c", [Thing(0, (30, 5, 50, 20))])]
    write_voc(tmp_path, scenes)
    assert [objects.boxes[0].tolist() for objects in read(tmp_path).objects] == [
        [4, 6, 20, 30],
        [1, 0, 12, 9],
        [30, 5, 50, 20],
    ]
    path = tmp_path / "Annotations" / "b.xml"
    path.write_text(path.read_text().replace("<ymin>1<", "<ymin>0<"))
    assert [objects.boxes[0].tolist() for objects in read(tmp_path).objects] == [
        [5, 7, 20, 30],
        [2, 0, 12, 9],
        [31, 6, 50, 20],
    ]


def test_both_layouts_of_real_pictures() -> None:
    """Blood cells: VOC's boxes are COCO's, but for rounding to whole pixels."""
    folder = shared_data("bccd")
    index = PictureIndex(folder)
    sets = (read_voc(find_voc_files(folder), index), read_coco(index)[0])
    voc, coco_boxes = (
        {picture.path: [item.box for item in picture.objects] for picture in one.pictures} for one in sets if one
    )
    differences = np.concatenate([np.subtract(boxes, coco_boxes[path]) for path, boxes in voc.items()])
    assert len(differences) == 4886
    assert np.abs(differences).max() <= 0.5
    assert np.abs(differences.mean(axis=0)).max() < 0.05


@pytest.mark.parametrize("writer", [write_coco, lambda folder: write_yolo(folder, masks=True)], ids=["coco", "yolo"])
def test_masks(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    """Polygons become masks, and boxes where there are none but them."""
    found = read(writer(tmp_path), with_masks=True)
    things = dict(make_scenes()["train"])["train0"]
    objects = found.objects[[Path(path).stem for path in found.paths].index("train0")]
    assert objects.masks is not None
    for thing, box, mask in zip(things, objects.boxes, objects.masks, strict=True):
        np.testing.assert_allclose(box, thing.box, atol=0.5)
        np.testing.assert_allclose(mask[0], thing.polygon, atol=1e-3)


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths(compressed: bool, tmp_path: Path) -> None:
    """Run lengths, as a list or as text, mean the same mask as the polygon."""
    write_coco(tmp_path)
    thing = Thing(1, (3, 4, 13, 20))
    encoded = encode([thing.polygon], *SIZE)
    width, height = SIZE
    columns = [4 + 3 * height, *[16, height - 16] * 9, 16, height - 20 + (width - 13) * height]
    given = encoded if compressed else {"size": [height, width], "counts": columns}

    def change(content: Any) -> None:
        content["annotations"][0] |= {"segmentation": given, "bbox": None, "category_id": 11}

    edit(tmp_path / "annotations" / "instances_train.json", change)
    objects = read(tmp_path, with_masks=True).objects[2]
    assert objects.masks is not None
    assert objects.masks[0] == encoded
    assert objects.boxes[0].tolist() == list(thing.box)


def test_saving(tmp_path: Path) -> None:
    """What is saved is read again."""
    found = read(write_coco(tmp_path), with_masks=True)
    found.save(tmp_path / "saved.json")
    again = AnnotatedPictures.load(tmp_path / "saved.json")
    assert (again.paths, again.sizes, again.splits, again.classes) == (
        found.paths,
        found.sizes,
        found.splits,
        found.classes,
    )
    for one, other in zip(found.objects, again.objects, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        assert one.masks == other.masks


def test_an_undivided_set_is_divided(tmp_path: Path) -> None:
    """Without a validation split, a fifth of each class is held out, the same for the same seed."""
    write_coco(tmp_path, make_scenes({"train": 40}))
    one, other = read(tmp_path), read(tmp_path)
    assert one.splits == other.splits
    assert 6 <= len(one.splits["val"]) <= 10
    shares = one.counts("val") / (one.counts("val") + one.counts("train"))
    assert ((shares > 0.1) & (shares < 0.3)).all()
    assert "Divided at random, class by class: " in " ".join(one.notes)
    assert read_annotations(tmp_path, 1, with_masks=False).splits != one.splits


def test_identical_pictures_stay_together(tmp_path: Path) -> None:
    """Copies of a picture are never divided between training and validation."""
    scenes = make_scenes({"train": 12})
    write_coco(tmp_path, {"train": [*scenes["train"], *((f"copy-{name}", things) for name, things in scenes["train"])]})
    for name, _ in scenes["train"]:
        content = (tmp_path / "images" / f"{name}.png").read_bytes()
        (tmp_path / "images" / f"copy-{name}.png").write_bytes(content)
    found = read(tmp_path)
    for positions in found.splits.values():
        names = {Path(found.paths[position]).stem for position in positions}
        assert {name.removeprefix("copy-") for name in names} == {
            name for name in names if not name.startswith("copy-")
        }


def test_splits_of_folders(tmp_path: Path) -> None:
    """A layout with a folder a split, each with pictures and annotations, is read; `valid` is another name of val."""
    scenes = make_scenes()
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        for name, things in scenes[split]:
            draw_scene(tmp_path / folder / f"{name}.png", things)
        write_json(tmp_path / folder / "_annotations.coco.json", coco(scenes[split]))
    assert {split: len(found) for split, found in read(tmp_path).splits.items()} == {"train": 6, "val": 3, "test": 2}


def test_yolo_with_texts_beside_pictures(tmp_path: Path) -> None:
    """Class names in classes.txt and texts beside the pictures will do; a picture without text has no objects."""
    for name, things in make_scenes({"train": 20})["train"]:
        draw_scene(tmp_path / f"{name}.png", things)
        write(tmp_path / f"{name}.txt", "".join(map(yolo_line, things)))
    (tmp_path / "train0.txt").unlink()
    write(tmp_path / "classes.txt", "\n".join(CLASSES))
    found = read(tmp_path)
    assert [len(objects) for objects in found.objects].count(0) == 1
    assert "Learned as background, showing no object: 1 of 20 pictures." in found.notes


def test_crowds_and_difficult_objects_are_marked(tmp_path: Path) -> None:
    """COCO's crowds and VOC's difficult objects keep their flag."""
    write_coco(tmp_path / "coco")
    edit(
        tmp_path / "coco/annotations/instances_train.json", lambda content: content["annotations"][0].update(iscrowd=1)
    )
    assert sum(objects.crowd.sum() for objects in read(tmp_path / "coco").objects) == 1
    write_voc(tmp_path / "voc")
    path = tmp_path / "voc" / "Annotations" / "train0.xml"
    write(path, path.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>", 1))
    assert sum(objects.crowd.sum() for objects in read(tmp_path / "voc").objects) == 1


def test_single_flaws_are_mended_and_said(tmp_path: Path) -> None:
    """A box out of its picture is clipped, an empty one and a damaged one are left out; notes say so."""
    write_coco(tmp_path, make_scenes({"train": 40, "val": 3}))

    def change(content: Any) -> None:
        boxes = content["annotations"]
        for item in boxes:
            del item["segmentation"]
        boxes[0]["bbox"] = [-20, 10, 40, 30]
        boxes[1]["bbox"] = [10, 10, 0, 5]
        boxes[2]["category_id"] = 99
        content["images"].append({"id": 999, "file_name": "gone.png"})

    edit(tmp_path / "annotations" / "instances_train.json", change)
    found = read(tmp_path)
    notes = " ".join(found.notes)
    assert "Clipped to their picture: 1 object" in notes
    assert "Left out, being empty or outside of their picture: 1 object" in notes
    assert "Left out, because they can't be read: 1 annotation" in notes and "there is no category 99" in notes
    assert "1 picture, gone.png" in notes
    assert all((objects.boxes >= 0).all() for objects in found.objects)


def test_broken_and_mismatched_pictures_are_left_out(tmp_path: Path) -> None:
    """A picture that is none, and one of another size than annotated, are left out; notes name them."""
    write_coco(tmp_path)
    (tmp_path / "images" / "train0.png").write_bytes(b"no picture")
    Image.new("RGB", (20, 20)).save(tmp_path / "images" / "train1.png")
    found = read(tmp_path)
    assert len(found.splits["train"]) == 4
    notes = " ".join(found.notes)
    assert "can't be read: 1 picture, images/train0.png" in notes
    assert "annotations are for another size: 1 picture, images/train1.png (20 x 20, annotated at 64 x 48)" in notes


def _all(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        write_coco(folder)
        path = folder / "annotations" / "instances_train.json"
        edit(path, lambda content: [annotation.update(changes) for annotation in content["annotations"]])

    return change


def _without_pictures(folder: Path) -> None:
    for path in (write_coco(folder) / "images").glob("train*"):
        path.unlink()


def _twice(folder: Path) -> None:
    write_coco(folder)
    edit(folder / "annotations/instances_val.json", lambda content: content["images"][0].update(file_name="train0.png"))


def _damaged_json(folder: Path) -> None:
    write(write_coco(folder) / "annotations" / "instances_val.json", '{"images": [')


def _no_annotations(folder: Path) -> None:
    draw_scene(folder / "a.png", [])


def _entities(folder: Path) -> None:
    for path in (write_voc(folder) / "Annotations").iterdir():
        write(path, '<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "b">]>' + path.read_text())


def _bad_yolo(folder: Path) -> None:
    for path in (write_yolo(folder) / "labels" / "train").iterdir():
        write(path, "7 0.5 0.5 0.1 0.1\n" * 3)


def _yolo_elsewhere(folder: Path) -> None:
    write(write_yolo(folder) / "data.yaml", "train: elsewhere\nval: images/val\nnames: [disc, square]\n")


def _unlisted_class_in_yolo(folder: Path) -> None:
    write(write_yolo(folder) / "data.yaml", "names: 5\n")


def _no_val_in_coco(folder: Path) -> None:
    for path in (write_coco(folder, make_scenes({"train": 6, "val": 2})) / "images").glob("val*"):
        path.unlink()


def _no_val_in_voc(folder: Path) -> None:
    write_voc(folder)
    write(folder / "ImageSets" / "Main" / "val.txt", "gone\n")


def _no_val_in_yolo(folder: Path) -> None:
    write(write_yolo(folder) / "val.txt", "images/val/gone.png\n")
    write(folder / "data.yaml", "train: images/train\nval: val.txt\nnames: [disc, square]\n")


def _empty_val_in_yolo(folder: Path) -> None:
    for path in (write_yolo(folder) / "images" / "val").iterdir():
        path.rename(folder / "images" / "train" / path.name)


BAD = [
    (_no_val_in_coco, "none of the pictures that are listed for val is there and can be used."),
    (_no_val_in_voc, "none of the pictures that are listed for val is there and can be used"),
    (_no_val_in_yolo, "none of the pictures that are listed for val is there and can be"),
    (_empty_val_in_yolo, "none of the pictures that are listed for val is there and can"),
    (_all(bbox=[0, 0, 0, 0], segmentation=[]), "boxes are empty, turned inside out or outside of their picture"),
    (_all(bbox=[20, 20, 400, 400], segmentation=[]), "boxes reach out of their picture"),
    (
        _all(category_id=5),
        "annotations can't be read; 3 at most are left out: instances_train.json: annotation 1 (there is",
    ),
    (_all(bbox=["a", 1, 2, 3]), "annotations can't be read"),
    (_all(bbox=[10**400, 1, 2, 3]), "annotations can't be read"),
    (_without_pictures, "pictures that are annotated or listed are not there, such as train0.png"),
    (_twice, "images/train0.png is annotated twice (in train and val). Keep one."),
    (_damaged_json, "instances_val.json: it can't be read as JSON"),
    (_no_annotations, "there are no annotations of a known layout"),
    (_entities, "it declares entities, which no annotation needs"),
    (_bad_yolo, "there is no class 7, only 0 to 1"),
    (_yolo_elsewhere, "'elsewhere' is no folder in"),
    (_unlisted_class_in_yolo, "names is neither a list nor a mapping from numbers"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_bad_sets_are_refused(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """More flaws than can be mended in silence are one error that names them and the remedy."""
    spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(("split", "purpose"), [("train", "learn"), ("val", "measure")])
def test_a_split_without_any_object_is_refused(split: str, purpose: str, tmp_path: Path) -> None:
    """Where train or val shows no object at all, every configuration would be worth 0."""
    scenes = make_scenes()
    scenes[split] = [(name, []) for name, _ in scenes[split]]
    with pytest.raises(DataError, match=rf"no picture of {split} shows an object, so there is nothing to {purpose}"):
        read(write_coco(tmp_path, scenes))


def test_masks_are_needed_for_segmentation(tmp_path: Path) -> None:
    """A set of boxes alone is refused for segmentation, with the task that it is for."""
    with pytest.raises(DataError, match=r"have a box but no mask.*use the task object-detection\.$"):
        read(write_coco(tmp_path / "boxes", masks=False), with_masks=True)
    with pytest.raises(DataError, match=r"Add masks, or use the task object-detection\.$"):
        read(write_voc(tmp_path / "voc"), with_masks=True)


def test_classes_that_only_validation_has_are_named(tmp_path: Path) -> None:
    """A class that training lacks is kept, and the notes say that it can't be learned; imbalance is noted too."""
    scenes = make_scenes({"train": 30, "val": 4})
    for place, (name, things) in enumerate(scenes["train"]):
        scenes["train"][place] = name, [Thing(0, thing.box) for thing in things]
    notes = " ".join(read(write_coco(tmp_path, scenes)).notes)
    assert "Classes in val that train lacks, which can't be learned: square." in notes


def test_pictures_turned_by_their_camera(tmp_path: Path) -> None:
    """A picture with EXIF orientation has the size that it is shown at."""
    write_voc(tmp_path)
    path = tmp_path / "JPEGImages" / "train0.png"
    image = Image.open(path).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path.with_suffix(".jpg"), exif=exif)
    path.unlink()
    assert set(read(tmp_path).sizes) == {SIZE}


def test_what_is_said_of_classes_without_objects(tmp_path: Path) -> None:
    """They are left out of what is learned; of a model that is measured, their detections count as wrong."""
    folder = write_coco(tmp_path)
    for path in folder.rglob("instances_*.json"):
        edit(path, lambda content: content["categories"].append({"id": 99, "name": "unicorn"}))
    said = "Classes without an object to learn are left out: unicorn."
    assert said in read(folder).notes
    assert not any("unicorn" in note for note in read_to_measure(folder, with_masks=False).notes)


@pytest.mark.parametrize(("number", "said"), [(1, "1 picture is"), (2, "2 pictures are")])
def test_too_few_pictures_to_divide(tmp_path: Path, number: int, said: str) -> None:
    """The error says how many they are."""
    folder = write_coco(tmp_path, make_scenes({"train": number}))
    with pytest.raises(DataError, match=f"{said} too few to divide"):
        read(folder)
