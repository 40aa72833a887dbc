"""YOLO text: one file a picture, one object a line, coordinates as shares of width and height.

::

    CLASS x_center y_center width height          a box
    CLASS x y x y x y …                           a polygon

CLASS counts from 0 in the names of `data.yaml` (`names`, a list or a mapping), `classes.txt` or `obj.names`. The text
of `images/train/a.jpg` is `labels/train/a.txt`, or lies beside the picture. A picture without text has no objects.
Splits come from `train`, `val` and `test` in `data.yaml` (folders, or lists of pictures), else from the folders' names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings, split_of_path
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.masks import mask_box
from tunewell.tasks.vision.pictures import PictureError

_NAME = "YOLO text"
_CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "labels/classes.txt")
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


def find_yolo_names(folder: Path) -> Path | None:
    """Return the file with the class names, by which this layout is known; None if there is none."""
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        content = _read_yaml(path)
        if isinstance(content, dict) and "names" in content:
            return path
    for name in _CLASS_FILES:
        if (folder / name).is_file():
            return folder / name
    return None


def read_yolo(names_file: Path, index: PictureIndex) -> Markings:
    """Return what YOLO texts say.

    Raises:
        DataError: the file of the class names is damaged, or names folders that are not there.
    """
    markings = Markings(_NAME)
    settings: Mapping[str, Any] = _read_yaml(names_file) if names_file.suffix in (".yaml", ".yml") else {}
    markings.classes = _class_names(names_file, settings)
    texts = _texts(index.folder)
    used = set()
    for path, split in _pictures(names_file, settings, index):
        text = next((name for name in _text_names(path) if name in texts), None)
        objects: list[MarkedObject] = []
        if text is not None:
            used.add(text)
            objects = _read_text(index, path, text, markings)
        markings.pictures.append(MarkedPicture(path, split, objects))
    for text in sorted(texts - used):
        if _is_of_a_picture(text) and not index.has_stem(PurePosixPath(text).stem):
            markings.missing.append(text)
    return markings


def _read_yaml(path: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except (YAMLError, OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: it can't be read as YAML ({' '.join(str(error).split())}). Mend the file.") from None


def _class_names(path: Path, settings: Mapping[str, Any]) -> list[str]:
    if settings:
        names = settings["names"]
        if isinstance(names, Mapping) and all(isinstance(key, int) and key >= 0 for key in names) and names:
            names = [names.get(label, f"class {label}") for label in range(max(names) + 1)]
        if not isinstance(names, list) or not names:
            raise DataError(f"{path}: names is neither a list nor a mapping from numbers. List the class names.")
        found = [str(name) for name in names]
    else:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    doubled = sorted({name for name in found if found.count(name) > 1})
    if doubled:
        raise DataError(f"{path}: the class name '{doubled[0]}' is there twice. Rename one.")
    if not found:
        raise DataError(f"{path}: it names no class. List the class names, one a line.")
    return found


def _texts(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.txt") if path.is_file()}


def _is_of_a_picture(text: str) -> bool:
    """Whether a text file holds a picture's objects, and not class names, a list or a read-me."""
    path = PurePosixPath(text)
    return "labels" in path.parts[:-1] and path.name.lower() not in ("classes.txt", "readme.txt")


def _pictures(names_file: Path, settings: Mapping[str, Any], index: PictureIndex) -> Iterator[tuple[str, str]]:
    """Yield each picture of the data set with its split."""
    given = {split: settings[key] for split, keys in _SPLIT_KEYS.items() for key in keys if settings.get(key)}
    if not given:
        yield from ((path, split_of_path(path)) for path in index.paths)
        return
    claimed: dict[str, str] = {}
    for split, places in given.items():
        for place in places if isinstance(places, list) else [places]:
            for path in _pictures_at(names_file, settings, str(place), index):
                # Without a validation set of their own, people name the training set twice.
                if claimed.setdefault(path, split) == split:
                    yield path, split


def _pictures_at(names_file: Path, settings: Mapping[str, Any], place: str, index: PictureIndex) -> list[str]:
    root = str(settings.get("path") or "")
    relative = "/".join(part for part in PurePosixPath(place).parts if part not in ("..", ".", "/"))
    for candidate in (index.folder / root / place, index.folder / place, index.folder / relative):
        resolved = candidate.resolve()
        if not resolved.is_relative_to(index.folder.resolve()):
            continue
        within = resolved.relative_to(index.folder.resolve()).as_posix()
        if resolved.is_dir():
            return [path for path in index.paths if within == "." or path.startswith(f"{within}/")]
        if resolved.is_file() and resolved.suffix == ".txt":
            lines = [line.strip() for line in resolved.read_text(encoding="utf-8-sig").splitlines()]
            found = [index.find(line) for line in lines if line]
            return sorted({path for path in found if path is not None})
    raise DataError(
        f"{names_file}: '{place}' is no folder in {index.folder}. Correct it, or point `data` at its parent."
    )


def _text_names(path: str) -> Iterator[str]:
    """Yield where the text of a picture may lie."""
    parts = list(PurePosixPath(path).with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            yield "/".join([*parts[:place], "labels", *parts[place + 1 :]])
    yield "/".join(parts)
    yield "/".join([*parts[:-1], "labels", parts[-1]])
    yield "/".join(["labels", *parts])


def _read_text(index: PictureIndex, path: str, text: str, markings: Markings) -> list[MarkedObject]:
    try:
        size = index.size(path)
        lines = (index.folder / text).read_text(encoding="utf-8-sig").splitlines()
    except PictureError:
        return []  # counted with the broken pictures
    except (OSError, UnicodeDecodeError) as error:
        markings.records += 1
        markings.unreadable.append(f"{text} ({error})")
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        markings.records += 1
        try:
            found.append(_object(line, size, markings.classes))
        except ValueError as error:
            markings.unreadable.append(f"{text}, line {number} ({error})")
    return found


def _object(line: str, size: tuple[int, int], classes: list[str]) -> MarkedObject:
    words = line.split()
    try:
        label, numbers = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise ValueError("it is no line of numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    if not 0 <= label < len(classes):
        raise ValueError(f"there is no class {label}, only 0 to {len(classes) - 1}")
    width, height = size
    if len(numbers) == 4:
        x, y, w, h = numbers
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        return MarkedObject(classes[label], box)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} coordinates are neither a box (4) nor a polygon (6 or more, even)")
    polygon = [number * (width, height)[place % 2] for place, number in enumerate(numbers)]
    return MarkedObject(classes[label], mask_box([polygon]), [polygon])
