"""COCO's files among others, and in the forms that tools write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks.object_detection.scenes import coco, draw_scene, make_scenes, write, write_coco, write_json, write_yolo

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.reading import read_annotations

SCENES = make_scenes({"train": 6, "val": 3, "test": 2})


def read(folder: Path) -> AnnotatedPictures:
    """Return what is in a folder, for seed 0."""
    return read_annotations(folder, 0, with_masks=False)


def pictures(found: AnnotatedPictures) -> dict[str, int]:
    """Return the number of pictures of each split."""
    return {split: len(positions) for split, positions in found.splits.items()}


def boxes(found: AnnotatedPictures) -> list[list[list[float]]]:
    """Return the boxes of each picture."""
    return [objects.boxes.tolist() for objects in found.objects]


def test_files_deep_within(tmp_path: Path) -> None:
    """Parts of a set, each with its own pictures and file deep within, are read together; names may recur."""
    for part, split in (("first", "train"), ("second", "val")):
        for name, things in SCENES[split]:
            draw_scene(tmp_path / "export" / part / "images" / f"{name.removeprefix(split)}.png", things)
        content = coco([(name.removeprefix(split), things) for name, things in SCENES[split]])
        write_json(tmp_path / "export" / part / "annotations" / "instances.json", content)
    write(tmp_path / "meta.json", "{}")
    found = read(tmp_path)
    counts = {Path(path).parts[-3] for path in found.paths}
    assert (len(found.paths), counts) == (9, {"first", "second"})
    expected = sorted(thing.box for split in ("train", "val") for _, things in SCENES[split] for thing in things)
    assert sorted(tuple(box) for boxes_of in boxes(found) for box in boxes_of) == expected


@pytest.mark.parametrize("wrong", ["corners", "zeros", "empty"])
def test_boxes_that_are_not_around_their_masks(tmp_path: Path, wrong: str) -> None:
    """Corners written for width and height, zeros or nothing: what the mask shows counts, which a note says."""
    expected = boxes(read(write_coco(tmp_path / "right", SCENES)))
    write_coco(tmp_path / "wrong", SCENES)
    for path in (tmp_path / "wrong" / "annotations").iterdir():
        content = json.loads(path.read_text())
        for item in content["annotations"]:
            x, y, width, height = item["bbox"]
            item["bbox"] = {"corners": [x, y, x + width, y + height], "zeros": [0, 0, 0, 0], "empty": []}[wrong]
        write_json(path, content)
    found = read(tmp_path / "wrong")
    for given, right in zip(boxes(found), expected, strict=True):
        assert np.abs(np.subtract(given, right)).max(initial=0) < 12
    assert ("is not around their `segmentation`" in " ".join(found.notes)) == (wrong != "empty")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.json", '{"categories": [{"id": 0, "name": "disc"}], "info": {"year": 2026}}'),
        ("package.json", '{"images": ["a.png"], "annotations": [], "categories": []}'),
        ("info.json", '{"images": 3, "annotations": [{"image_id": 1}], "categories": [{"name": "x"}]}'),
        ("captions.json", '{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}'),
        ("panoptic.json", '{"images": [], "annotations": "x", "categories": []}'),
        ("annotations/._instances_train.json", "\0\5"),
        ("annotations/.ipynb_checkpoints/instances_train-checkpoint.json", '{"images": ['),
        ("__MACOSX/annotations/._instances_train.json", '{"images": ['),
        ("ci.yml", "script: !reference [.setup, script]\n"),
        ("list.json", '["images", "annotations", "categories"]'),
    ],
)
def test_foreign_files(name: str, content: str, tmp_path: Path) -> None:
    """JSON without COCO's three lists, and hidden files, are none of the annotations."""
    write_coco(tmp_path, SCENES)
    write(tmp_path / name, content)
    found = read(tmp_path)
    assert pictures(found) == {"train": 6, "val": 3, "test": 2}
    assert found.notes == ()


def test_files_beside_instances(tmp_path: Path) -> None:
    """Beside COCO's `instances_train.json`, its key points for the same split are not needed, which is said."""
    write_coco(tmp_path, SCENES)
    write_json(tmp_path / "annotations" / "person_keypoints_train.json", coco(SCENES["train"][:1]))
    assert read(tmp_path).notes == (
        "Not read, because files called instances are for the same: annotations/person_keypoints_train.json.",
    )


@pytest.mark.parametrize(
    "content",
    [
        {"images": [], "annotations": [], "categories": []},
        coco(make_scenes({"train": 3}, seed=5)["train"]) | {"images": [{"id": 1, "file_name": "elsewhere.png"}]},
        coco(SCENES["train"]) | {"annotations": []},
    ],
)
def test_files_that_mark_nothing_here(content: Any, tmp_path: Path) -> None:
    """A file of COCO's form that marks nothing in these pictures does not stand in the way of another layout."""
    write_json(write_yolo(tmp_path, SCENES) / "result.json", content)
    found = read(tmp_path)
    assert pictures(found) == {"train": 6, "val": 3, "test": 2}
    assert sum(map(len, found.objects)) == sum(len(things) for part in SCENES.values() for _, things in part)


def test_damaged_files(tmp_path: Path) -> None:
    """A damaged file that speaks of images is an error beside COCO's files or alone, and nothing to another layout."""
    damaged = '{"images": [{"file_name"'
    write(write_yolo(tmp_path / "yolo", SCENES) / "broken.json", damaged)
    assert read(tmp_path / "yolo").notes == ()
    write(write_coco(tmp_path / "coco", SCENES) / "broken.json", damaged)
    draw_scene(tmp_path / "alone" / "a.png", [])
    write(tmp_path / "alone" / "broken.json", damaged)
    for folder in ("coco", "alone"):
        with pytest.raises(DataError, match=r"broken\.json: it can't be read as JSON"):
            read(tmp_path / folder)


@pytest.mark.parametrize("annotations", [None, []])
def test_a_test_set_without_annotations(annotations: list[Any] | None, tmp_path: Path) -> None:
    """Test pictures that nobody annotated, as COCO's own, are not used, with a note."""
    write_coco(tmp_path, SCENES)
    content = coco(SCENES["test"])
    (tmp_path / "annotations" / "instances_test.json").unlink()
    write_json(tmp_path / "annotations" / "image_info_test.json", content | {"annotations": annotations})
    found = read(tmp_path)
    assert pictures(found) == {"train": 6, "val": 3}
    notes = " ".join(found.notes)
    assert ("image_info_test.json has no annotations: the pictures that it lists are not used." in notes) == (
        annotations is None
    )
    assert ("all 2 test pictures" in notes) == (annotations is not None)


def _as_texts(content: Any) -> None:
    for annotation in content["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
        annotation["category_id"] = str(annotation["category_id"])


def _fractional_sizes(content: Any) -> None:
    for image in content["images"]:
        image |= {"width": float(image["width"]), "height": str(image["height"])}


def _paths_of_windows(content: Any) -> None:
    for image in content["images"]:
        image["file_name"] = f"C:\\shapes\\{image['file_name'].upper()}"


def _more_fields(content: Any) -> None:
    content |= {"info": {}, "licenses": []}
    for annotation in content["annotations"]:
        annotation |= {"keypoints": [1, 2, 2] * 4, "num_keypoints": 4, "attributes": {"occluded": False}, "score": 0.9}


@pytest.mark.parametrize("change", [_as_texts, _fractional_sizes, _paths_of_windows, _more_fields])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_forms(change: Callable[[Any], None], encoding: str, tmp_path: Path) -> None:
    """Numbers as texts, paths of other systems, other encodings and key points don't change what is read."""
    write_coco(tmp_path, SCENES)
    expected = boxes(read(tmp_path))
    for path in (tmp_path / "annotations").iterdir():
        content = json.loads(path.read_text())
        change(content)
        path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    found = read(tmp_path)
    assert boxes(found) == expected
    assert found.notes == ()


@pytest.mark.parametrize("field", ["images", "categories"])
@pytest.mark.parametrize("number", [[1], None, {"a": 1}])
def test_strange_ids(field: str, number: object, tmp_path: Path) -> None:
    """Annotations for an id that is none of the numbers can't be read, which is said."""
    write_coco(tmp_path, SCENES)
    path = tmp_path / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content[field][0]["id"] = number
    del content["annotations"][3:]
    content["annotations"][0]["category_id"] = 10
    write_json(path, content)
    assert any("can't be read" in note and "instances_train.json: annotation" in note for note in read(tmp_path).notes)


@pytest.mark.parametrize(
    "places",
    [
        ("Training/annotations.json", "Validation/annotations.json"),
        ("TRAIN/_annotations.coco.json", "VALID/_annotations.coco.json"),
        ("Annotations/train.json", "Annotations/dev.json"),
        ("coco/instances_train2017.json", "coco/instances_val2017.json"),
        ("train/annotations/instances.json", "val/annotations/instances.json"),
        ("labels_train.json", "labels_val.json"),
    ],
)
def test_places(places: tuple[str, str], tmp_path: Path) -> None:
    """Files and folders under usual names say the splits."""
    for split, place in zip(("train", "val"), places, strict=True):
        for name, things in SCENES[split]:
            draw_scene(tmp_path / "images" / f"{name}.png", things)
        write_json(tmp_path / place, coco(SCENES[split]))
    assert pictures(read(tmp_path)) == {"train": 6, "val": 3}


def test_one_file_for_folders_of_splits(tmp_path: Path) -> None:
    """Where one file is for all pictures, their folders say the splits."""
    for split, place in (("train", "train"), ("val", "dev"), ("test", "eval")):
        for name, things in SCENES[split]:
            draw_scene(tmp_path / place / f"{name}.png", things)
    write_json(tmp_path / "all.json", coco([picture for pictures in SCENES.values() for picture in pictures]))
    assert pictures(read(tmp_path)) == {"train": 6, "val": 3, "test": 2}


def test_pictures_in_no_split(tmp_path: Path) -> None:
    """Annotated pictures beside the folders of splits are left out, and a note says how many."""
    for split, place in (("train", "train"), ("val", "val"), ("test", "more")):
        for name, things in SCENES[split]:
            draw_scene(tmp_path / place / f"{name}.png", things)
    write_json(tmp_path / "all.json", coco([picture for pictures in SCENES.values() for picture in pictures]))
    found = read(tmp_path)
    assert pictures(found) == {"train": 6, "val": 3}
    assert "Left out, belonging to no split: 2 pictures." in found.notes
