"""COCO JSON: one file a split, with `images`, `categories` and `annotations` (Lin et al. 2014, arXiv:1405.0312).

The files lie in the data set's folder, in a folder of it whose name speaks of annotations, or in the folder of a split;
or anywhere, where there are no annotations of any layout. Their names or folders say which split they are for
(`instances_train2017.json`, `train/_annotations.coco.json`). Several files for a split are read together; but where
some are called `instances…`, as COCO's own are, its others (captions, key points) are not needed. JSON files without
COCO's three lists are none of COCO's; one that lacks `annotations` alone lists pictures to be annotated. Pictures are
found by `file_name`, wherever in the data set's folder they are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import Mask
from tunewell.tasks.object_detection.layouts.crowds import single_objects
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.layouts.texts import files_ending, files_in
from tunewell.tasks.object_detection.masks import MaskError, checked_mask, mask_box
from tunewell.tasks.vision.files import subfolders_of
from tunewell.tasks.vision.names import split_of

NAME = "COCO JSON"
#: COCO's lists, each with a field that all of its entries have.
_LISTS = {"images": "file_name", "categories": "name", "annotations": "image_id"}
#: How much of a file is searched for COCO's keys before all of it is read.
_HEAD_BYTES = 1 << 16
#: A box that shares less than this with that of its mask is wrong: corners for width and height, zeros.
_LEAST_SHARE = 0.5


def read_coco(index: PictureIndex, everywhere: bool = False) -> tuple[Markings | None, DataError | None]:
    """Return what COCO files in the folder say, None if there are none; and what is wrong with files that are no JSON.

    Args:
        index: the pictures.
        everywhere: whether to look into all folders, not only where such files usually lie.

    Raises:
        DataError: images or categories of a file contradict each other.
    """
    markings = Markings(NAME, crowd_mark="crowds (`iscrowd: 1`)")
    damaged: DataError | None = None
    read: dict[str, list[Path]] = defaultdict(list)
    unread: list[Path] = []
    for split, paths in _candidates(index, everywhere).items():
        for path in paths:
            if _is_instances(read[split][:1]) and not _is_instances([path]):
                unread.append(path)
                continue
            try:
                content = _parse(path)
            except DataError as error:
                damaged = damaged or error
                continue
            if _is_coco(content):
                read[split].append(path)
                _read_file(path, content, split, index, markings)
    if not any(read.values()):
        return None, damaged
    for paths in read.values():
        if len(paths) > 1:
            markings.notes.append(f"Read together, being for the same split: {_listed(paths, index)}.")
    if unread:
        markings.notes.append(f"Not read, because files called instances are for the same: {_listed(unread, index)}.")
    markings.pictures, notes = single_objects(markings.pictures)
    markings.notes += notes
    return markings, damaged


def _listed(paths: Sequence[Path], index: PictureIndex) -> str:
    return ", ".join(path.relative_to(index.folder).as_posix() for path in paths)


def _candidates(index: PictureIndex, everywhere: bool) -> dict[str, list[Path]]:
    """Return split → the files that may be COCO's, those called `instances…` first."""
    found: dict[str, list[Path]] = defaultdict(list)
    paths = files_ending(index.folder, ".json") if everywhere else _in_usual_places(index.folder)
    paths = [path for path in paths if _mentions_coco(path)]
    for path in sorted(paths, key=lambda path: (not path.name.startswith("instances"), path)):
        split = split_of(path.stem) or index.split_of(path.relative_to(index.folder).as_posix())
        found[split].append(path)
    return found


def _in_usual_places(folder: Path) -> list[Path]:
    places = [folder]
    for sub in subfolders_of(folder):
        if split_of(sub.name):
            places += [sub, *(inner for inner in subfolders_of(sub) if _may_hold_annotations(inner.name))]
        elif _may_hold_annotations(sub.name):
            places.append(sub)
    return [path for place in places for path in files_in(place) if path.suffix.lower() == ".json"]


def _may_hold_annotations(name: str) -> bool:
    return any(word in name.lower() for word in ("annot", "label", "coco", "json"))


def _mentions_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            file.seek(max(0, path.stat().st_size - _HEAD_BYTES))
            tail = file.read()
    except OSError:
        return True  # to be found out
    ends = (head + tail).replace(b"\0", b"")  # of UTF-16
    # Which of the three comes first is up to the writer, so either end will do.
    return any(f'"{key}"'.encode() in ends for key in _LISTS)


def _is_instances(paths: Sequence[Path]) -> bool:
    return any(path.name.startswith("instances") for path in paths)


def _parse(path: Path) -> Any:
    try:
        return json.loads(decode(path.read_bytes()).text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"it can't be read as JSON ({error})", field=str(path), remedy="Repair or remove the file"
        ) from None


def _is_coco(content: Any) -> bool:
    if not isinstance(content, dict) or not content.get("images"):
        return False
    without_annotations = content.get("annotations") is None
    return all(
        (key == "annotations" and without_annotations) or _is_list_of(content.get(key), field)
        for key, field in _LISTS.items()
    )


def _is_list_of(value: Any, field: str) -> bool:
    return isinstance(value, list) and (not value or (isinstance(value[0], dict) and field in value[0]))


def _read_file(path: Path, content: Mapping[str, Any], split: str, index: PictureIndex, markings: Markings) -> None:
    if content.get("annotations") is None:
        markings.notes.append(f"{path.name} has no annotations: the pictures that it lists are not used.")
        return
    names = _categories(path, content, markings)
    markings.splits.add(split)
    near = path.parent.relative_to(index.folder).as_posix()
    places: dict[str, tuple[str, tuple[int, int] | None]] = {}
    absent: set[str] = set()
    for image in content["images"]:
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            raise DataError(
                "an entry of `images` has no `id` or no `file_name`", field=str(path), remedy="Correct the file"
            )
        key = _key(image["id"])
        if key in places or key in absent:
            raise DataError(f"two images have the id {key}", field=str(path), remedy="Correct the file")
        found = index.find(image["file_name"], near, split)
        if found is None:
            absent.add(key)
            markings.missing.append(image["file_name"])
        else:
            places[key] = (found, _size_of(image))
    objects: dict[str, list[MarkedObject]] = defaultdict(list)
    elsewhere: list[Any] = []
    for annotation in content["annotations"]:
        markings.records += 1
        try:
            key = _key(annotation["image_id"])
            if key in absent:
                continue
            item = _object(annotation, names, places[key][1])
            if item.mask is not None and _share(item.box, mask_box(item.mask)) < _LEAST_SHARE:
                item = replace(item, box=mask_box(item.mask))
                elsewhere.append(annotation.get("id", "without id"))
            objects[key].append(item)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            markings.unreadable.append(_complaint(path, annotation, error))
    if elsewhere:
        markings.notes.append(
            f"The `bbox` of {len(elsewhere)} objects in {path.name} is not around their `segmentation`, whose own box "
            f"is taken, such as that of annotation {elsewhere[0]}."
        )
    for key, (found, size) in places.items():
        size = size or _size_of_masks(objects[key])
        markings.pictures.append(MarkedPicture(found, split or index.split_of(found), objects[key], size))


def _key(number: Any) -> str:
    """Return an id such that 7, 7.0 and '7' are one: some writers mix them."""
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def _categories(path: Path, content: Mapping[str, Any], markings: Markings) -> dict[str, str]:
    """Return id → name, and add new names to the markings."""
    names: dict[str, str] = {}
    for category in content["categories"]:
        if not isinstance(category, dict) or "id" not in category or not isinstance(category.get("name"), str | int):
            raise DataError(
                "an entry of `categories` has no `id` or no `name`", field=str(path), remedy="Correct the file"
            )
        if names.setdefault(_key(category["id"]), str(category["name"])) != str(category["name"]):
            raise DataError(
                f"the category id {category['id']} has two names", field=str(path), remedy="Correct the file"
            )
    for _, name in sorted(names.items(), key=lambda item: item[0].zfill(12)):
        if name not in markings.classes:
            markings.classes.append(name)
    return names


def _size_of(image: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        width, height = (int(float(image.get(side) or 0)) for side in ("width", "height"))
    except (TypeError, ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _size_of_masks(objects: Sequence[MarkedObject]) -> tuple[int, int] | None:
    """Return the size of the picture that run lengths are for, None if there are none."""
    sizes = (tuple(item.mask["size"][::-1]) for item in objects if isinstance(item.mask, dict))
    return next(sizes, None)


def _object(annotation: Mapping[str, Any], names: Mapping[str, str], size: tuple[int, int] | None) -> MarkedObject:
    category = _key(annotation["category_id"])
    if category not in names:
        raise ValueError(f"there is no category {category}")
    mask: Mask | None = checked_mask(annotation.get("segmentation"), *(size or (None, None)))
    box = annotation.get("bbox")
    if not box:
        if mask is None:
            raise ValueError("it has neither `bbox` nor `segmentation`")
        corners = mask_box(mask)
    else:
        if len(box) != 4:
            raise ValueError(f"its `bbox` has {len(box)} numbers, not 4")
        left, top, width, height = map(float, box)
        corners = (left, top, left + width, top + height)
    return MarkedObject(names[category], corners, mask, _is_crowd(annotation))


def _share(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection of two boxes as a share of their union; 1 if neither has any area."""
    width, height = (min(one[side + 2], other[side + 2]) - max(one[side], other[side]) for side in (0, 1))
    shared = max(0.0, width) * max(0.0, height)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / union if union > 0 else 1.0


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
