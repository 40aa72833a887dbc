"""COCO JSON: one file a split, with `images`, `categories` and `annotations` (Lin et al. 2014, arXiv:1405.0312).

The files lie in the data set's folder, in a folder of it whose name begins with `annotations`, or in the folder of a
split; their names or folders say which split they are for (`instances_train2017.json`, `train/_annotations.coco.json`).
Pictures are found by `file_name`, wherever in the data set's folder they are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import Mask
from tunewell.tasks.object_detection.layouts.crowds import single_objects
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.masks import MaskError, checked_mask, mask_box
from tunewell.tasks.vision.names import split_of

_NAME = "COCO JSON"
_KEYS = ("images", "annotations", "categories")
#: How much of a file is searched for COCO's keys before all of it is read.
_HEAD_BYTES = 1 << 16


def find_coco_files(folder: Path) -> list[Path]:
    """Return the files that may be COCO's; where several are for one split, those called `instances…`."""
    places = [folder, *(sub for sub in sorted(folder.iterdir()) if sub.is_dir() and _may_hold_annotations(sub.name))]
    found = [path for place in places for path in sorted(place.glob("*.json")) if _looks_like_coco(path)]
    instances = [path for path in found if path.name.startswith("instances")]
    return instances or found


def read_coco(files: list[Path], index: PictureIndex) -> Markings:
    """Return what COCO files say.

    Raises:
        DataError: a file is damaged, two are for the same split, or their categories contradict each other.
    """
    markings = Markings(_NAME, crowd_mark="crowds (`iscrowd: 1`)")
    by_split: dict[str, Path] = {}
    for path in files:
        split = split_of(path.stem) or split_of(path.parent.name if path.parent != index.folder else "")
        if split in by_split:
            what = f"for {split}" if split else "whose names tell no split"
            raise DataError(f"{path}: {by_split[split].name} and it are both annotations {what}. Keep one of them.")
        by_split[split] = path
        _read_file(path, split, index, markings)
    markings.pictures, notes = single_objects(markings.pictures)
    markings.notes += notes
    return markings


def _may_hold_annotations(name: str) -> bool:
    return name.lower().startswith(("annotations", "labels")) or bool(split_of(name))


def _looks_like_coco(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - _HEAD_BYTES))
        tail = file.read()
    # Which of the three comes first is up to the writer, so either end will do.
    return any(f'"{key}"'.encode() in head + tail for key in _KEYS)


def _read_file(path: Path, split: str, index: PictureIndex, markings: Markings) -> None:
    content = _parse(path)
    names = _categories(path, content, markings)
    near = path.parent.relative_to(index.folder).as_posix()
    places: dict[Any, tuple[str, tuple[int, int] | None]] = {}
    absent: set[Any] = set()
    for image in content["images"]:
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            raise DataError(f"{path}: an entry of `images` has no `id` or no `file_name`. Mend the file.")
        if image["id"] in places or image["id"] in absent:
            raise DataError(f"{path}: two images have the id {image['id']}. Mend the file.")
        found = index.find(image["file_name"], near, split)
        if found is None:
            absent.add(image["id"])
            markings.missing.append(image["file_name"])
        else:
            places[image["id"]] = (found, _size_of(image))
    objects: dict[Any, list[MarkedObject]] = defaultdict(list)
    for annotation in content["annotations"]:
        markings.records += 1
        try:
            image_id = annotation["image_id"]
            if image_id in absent:
                continue
            objects[image_id].append(_object(annotation, names, places[image_id][1]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            markings.unreadable.append(_complaint(path, annotation, error))
    for image_id, (found, size) in places.items():
        markings.pictures.append(MarkedPicture(found, split, objects[image_id], size))


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: it can't be read as JSON ({error}). Mend or remove the file.") from None
    lacking = [key for key in _KEYS if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    if lacking:
        raise DataError(f"{path}: it has no list `{lacking[0]}`, as a file of COCO has. Mend or remove the file.")
    found: dict[str, Any] = content
    return found


def _categories(path: Path, content: Mapping[str, Any], markings: Markings) -> dict[Any, str]:
    """Return id → name, and add new names to the markings."""
    names: dict[Any, str] = {}
    for category in content["categories"]:
        if not isinstance(category, dict) or "id" not in category or not isinstance(category.get("name"), str):
            raise DataError(f"{path}: an entry of `categories` has no `id` or no `name`. Mend the file.")
        if names.setdefault(category["id"], category["name"]) != category["name"]:
            raise DataError(f"{path}: the category id {category['id']} has two names. Mend the file.")
    for _, name in sorted(names.items(), key=lambda item: str(item[0]).zfill(12)):
        if name not in markings.classes:
            markings.classes.append(name)
    return names


def _size_of(image: Mapping[str, Any]) -> tuple[int, int] | None:
    size = image.get("width"), image.get("height")
    return size if all(isinstance(side, int) and side > 0 for side in size) else None  # type: ignore[return-value]


def _object(annotation: Mapping[str, Any], names: Mapping[Any, str], size: tuple[int, int] | None) -> MarkedObject:
    if annotation["category_id"] not in names:
        raise ValueError(f"there is no category {annotation['category_id']}")
    mask: Mask | None = checked_mask(annotation.get("segmentation"), *(size or (None, None)))
    box = annotation.get("bbox")
    if box is None:
        if mask is None:
            raise ValueError("it has neither `bbox` nor `segmentation`")
        corners = mask_box(mask)
    else:
        left, top, width, height = map(float, box)
        corners = (left, top, left + width, top + height)
    return MarkedObject(names[annotation["category_id"]], corners, mask, _is_crowd(annotation))


def _is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Return the mark; some writers make a text of it, or leave it empty."""
    return bool(float(annotation.get("iscrowd") or 0))


def _complaint(path: Path, annotation: Any, error: Exception) -> str:
    number = annotation.get("id", "without id") if isinstance(annotation, dict) else "that is no mapping"
    if isinstance(error, MaskError) or (isinstance(error, ValueError) and not isinstance(error, KeyError)):
        reason = str(error)
    elif isinstance(error, KeyError):
        reason = f"nothing is known of {error}"
    else:
        reason = "a field has the wrong type"
    return f"{path.name}: annotation {number} ({reason})"
