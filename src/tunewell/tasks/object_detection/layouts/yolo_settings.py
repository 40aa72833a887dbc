"""What says which classes and splits YOLO texts have: `data.yaml`, Darknet's `obj.data`, or a list of class names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.picture_index import path_parts
from tunewell.tasks.object_detection.layouts.texts import files_in, read_lines
from tunewell.tasks.vision.files import subfolders_of
from tunewell.tasks.vision.names import is_picture, is_split, split_of, splits_among

_YAML_SUFFIXES = (".yaml", ".yml")
#: Usual names of `data.yaml`, without ending: if damaged, such a file is an error, and others are somebody else's.
_USUAL = ("data", "dataset")
#: Files with other names are not looked into if they are larger.
_MOST_BYTES = 1 << 18
_WORDS = re.compile(r"\b(names|nc)\b")
_MOST_CLASSES = 100_000
_CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "names.txt")
_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")


@dataclass(frozen=True, slots=True)
class YoloSettings:
    """What there is beside texts and pictures."""

    #: Where it was found.
    source: Path
    #: Class names in order; None: nobody says, so that numbers must do.
    classes: Sequence[str] | None = None
    #: Split → folders and lists of pictures, as they are written there; empty: the folders of the pictures decide.
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: What relative places start from, as it is written there.
    root: str = ""
    #: Numbers of the key points that follow a box, if there are any.
    key_point_numbers: int = 0
    #: What the user should know.
    notes: Sequence[str] = ()


def find_settings(folder: Path) -> Path | None:
    """Return the file that the settings are in; None if there is none."""
    files = files_in(folder)
    found = [path for path in files if path.suffix.lower() in _YAML_SUFFIXES and _is_data_yaml(path)]
    found.sort(key=lambda path: (path.stem.lower() not in _USUAL, path.name))
    found += [path for path in files if path.suffix.lower() == ".data" and _is_obj_data(path)]
    return next(iter([*found, *_class_files(folder)]), None)


def read_settings(path: Path, folder: Path) -> YoloSettings:
    """Return what a file that `find_settings` found says; if it is the folder itself, what lies in it says.

    Raises:
        DataError: it is damaged, or its class names are none.
    """
    if path == folder:
        return YoloSettings(path, None, _lists_beside(folder))
    if path.suffix.lower() in _YAML_SUFFIXES:
        content = _read_yaml(path)
        if not isinstance(content, dict):
            raise DataError("it says nothing of classes", field=str(path), remedy="List the class names under `names`")
        if isinstance(content.get("names"), list | dict):
            content["names"] = _read_yaml(path, as_texts=True)["names"]  # 007 is a name, and so is null
        return _of_mapping(path, folder, content)
    if path.suffix.lower() == ".data":
        return _of_mapping(path, folder, _read_pairs(path))
    return YoloSettings(path, _listed_names(path), _lists_beside(folder))


def _of_mapping(path: Path, folder: Path, content: Mapping[Any, Any]) -> YoloSettings:
    classes, notes = _classes(path, folder, content)
    given = [key for key in _SPLIT_KEYS if content.get(key)]
    splits = splits_among(given)
    places: dict[str, list[str]] = {}
    for key in given:
        value = content[key] if isinstance(content[key], list) else [content[key]]
        if not all(isinstance(place, str) for place in value):
            raise DataError(f"{key} is neither a folder nor a list of folders", field=str(path), remedy="Correct it")
        places.setdefault(splits[key], value)
    others = [
        other.name
        for other in files_in(folder)
        if other != path and other.suffix.lower() in _YAML_SUFFIXES and _is_data_yaml(other)
    ]
    if others:
        notes.append(f"Classes and splits are read from {path.name}, not from {', '.join(others)}.")
    root = content.get("path")
    return YoloSettings(
        path,
        classes,
        places or _lists_beside(folder),
        root if places and isinstance(root, str) else "",
        _key_points(path, content),
        notes,
    )


def _is_data_yaml(path: Path) -> bool:
    """Whether a file is a `data.yaml` by its content, or a damaged one by its name."""
    usual = path.stem.lower() in _USUAL
    try:
        if not usual and (path.stat().st_size > _MOST_BYTES or not _WORDS.search(decode(path.read_bytes()).text)):
            return False
        content = _read_yaml(path)
    except (DataError, OSError, ValueError):
        return usual
    if not isinstance(content, dict):
        return False
    return "names" in content or ("nc" in content and any(key in content for key in (*_SPLIT_KEYS, "path")))


def _read_yaml(path: Path, as_texts: bool = False) -> Any:
    """Return what a file says; with `as_texts` numbers and the like are texts, as they are written."""
    try:
        return YAML(typ="base" if as_texts else "safe", pure=True).load(decode(path.read_bytes()).text)
    except (YAMLError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"it can't be read as YAML ({reason})", field=str(path), remedy="Correct the file") from None


def _is_obj_data(path: Path) -> bool:
    try:
        return path.stat().st_size <= _MOST_BYTES and "names" in _read_pairs(path)
    except DataError:
        return False


def _read_pairs(path: Path) -> dict[str, str]:
    """Return what lines `key = value` say, as in Darknet's `obj.data`."""
    pairs = (line.split("=", 1) for line in read_lines(path) if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _classes(path: Path, folder: Path, content: Mapping[Any, Any]) -> tuple[list[str], list[str]]:
    """Return the class names, and notes on those that are not said."""
    names, count = content.get("names"), _count(content.get("nc") or content.get("classes"))
    if isinstance(names, str):
        listed = find_within(folder, path_parts(names)) or next(_class_files(folder), None)
        if listed is None:
            raise DataError(
                f"'{names}', which should list the class names, is not there", field=str(path), remedy="Add it"
            )
        return _listed_names(listed), []
    if names is None and count:
        beside = next(_class_files(folder), None)
        if beside is not None:
            return _listed_names(beside), [f"{path.name} names no class: the names are those in {beside.name}."]
        numbers = [str(label) for label in range(min(count, _MOST_CLASSES))]
        return numbers, [f"{path.name} names no class: they are called by their numbers, 0 to {count - 1}."]
    if isinstance(names, Mapping):
        names = _in_order(names)
    # What holds other things could be endless, by references of YAML to itself.
    if not isinstance(names, list) or not names or any(isinstance(name, list | dict) for name in names):
        raise DataError(
            "names is neither a list nor a mapping from numbers", field=str(path), remedy="List the class names"
        )
    return _distinct(path, [str(name) for name in names]), []


def _count(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _in_order(names: Mapping[Any, Any]) -> list[Any] | None:
    """Return the names of a mapping from numbers, or to numbers, None if it is neither."""
    for pairs in (names.items(), [(value, key) for key, value in names.items()]):
        try:
            by_label = {int(label): name for label, name in pairs}
        except (TypeError, ValueError):
            continue
        if by_label and min(by_label) >= 0 and max(by_label) < _MOST_CLASSES and len(by_label) == len(names):
            return [by_label.get(label, f"class {label}") for label in range(max(by_label) + 1)]
    return None


def _key_points(path: Path, content: Mapping[Any, Any]) -> int:
    """Return how many numbers follow a box, by `kpt_shape`."""
    shape = content.get("kpt_shape")
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(isinstance(n, int) and 0 < n < 1000 for n in shape):
        raise DataError(
            "kpt_shape is not [number of key points, 2 or 3]", field=str(path), remedy="Correct or remove it"
        )
    return int(shape[0] * shape[1])


def _class_files(folder: Path) -> Iterator[Path]:
    """Yield files that list class names, the likeliest first."""
    for place in (folder, *subfolders_of(folder)):
        files = files_in(place)
        for name in _CLASS_FILES:
            yield from (path for path in files if path.name.lower() == name)
        yield from (path for path in files if path.suffix.lower() == ".names" and path.name.lower() != "obj.names")


def _listed_names(path: Path) -> list[str]:
    names = read_lines(path)
    if not names:
        raise DataError("it names no class", field=str(path), remedy="List the class names, one a line")
    return _distinct(path, names)


def _distinct(path: Path, names: list[str]) -> list[str]:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(f"the class name '{doubled[0]}' is there twice", field=str(path), remedy="Rename one")
    return names


def _lists_beside(folder: Path) -> dict[str, list[str]]:
    """Return split → the list of its pictures, `train.txt` and the like, where such lists lie in the folder."""
    files = [path for path in files_in(folder) if path.suffix.lower() == ".txt" and is_split(path.stem)]
    files = [path for path in files if any(map(is_picture, read_lines(path)[:1]))]
    splits = splits_among([path.stem for path in files])
    found: dict[str, list[str]] = {}
    for path in files:
        found.setdefault(splits[path.stem], []).append(path.name)
    return found if "train" in found else {}


def find_within(folder: Path, parts: Sequence[str]) -> Path | None:
    """Return what a path means in a folder, though it may be that of another machine: its longest end that is there.

    The end has the last part that says a split, if any does: `test/images` is not `images`.
    """
    if not parts:
        return folder
    last = max((place for place, part in enumerate(parts) if split_of(part)), default=len(parts) - 1)
    for start in range(last + 1):
        place: Path | None = folder
        for part in parts[start:]:
            place = _child(place, part) if place is not None else None
        if place is not None:
            return place
    return None


def _child(folder: Path, name: str) -> Path | None:
    """Return the file or folder of that name, in other capitals if need be."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # no folder, or a closed one
        return None
    alike = [path for path in entries if path.name.lower() == name.lower()]
    return next((path for path in alike if path.name == name), alike[0] if alike else None)
