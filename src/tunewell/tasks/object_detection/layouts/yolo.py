"""YOLO text: one file a picture, one object a line (see `yolo_lines`), coordinates as shares of width and height.

Classes and splits are said by `data.yaml`, `obj.data` or a list of names (see `yolo_settings`), else the folders' names
say the splits. The text of `images/train/a.jpg` is `labels/train/a.txt`, lies beside the picture, or is the only one of
that name in its split. A picture without text has no objects, unless it is the mask of another one or the like.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError, count
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex, common_length, name_key, path_parts
from tunewell.tasks.object_detection.layouts.texts import files_ending, read_lines
from tunewell.tasks.object_detection.layouts.yolo_lines import (
    Line,
    guessed_key_points,
    notes_on,
    object_of,
    parse_line,
)
from tunewell.tasks.object_detection.layouts.yolo_settings import (
    YoloSettings,
    find_settings,
    find_within,
    read_settings,
)
from tunewell.tasks.vision.names import SPLITS
from tunewell.tasks.vision.pictures import PictureError

NAME = "YOLO text"
_LABELS = "labels"
_LINE = re.compile(r"\s*\d+(\.0*)?(\s+[-+.\deE]+){4,}\s")
#: How much of a text is looked at to tell whether it is one of objects, and of how many texts.
_HEAD_BYTES = 4096
_LOOKED_AT = 20
_MOST_CLASSES = 100_000


def find_yolo(index: PictureIndex) -> Path | None:
    """Return what this layout is known by: its settings, or else the folder, if texts are those of pictures."""
    settings = find_settings(index.folder)
    if settings is not None:
        return settings
    texts = (path for path in files_ending(index.folder, ".txt") if index.has_stem(path.stem))
    known = any(_has_line(path) for path, _ in zip(texts, range(_LOOKED_AT), strict=False))
    return index.folder if known else None


def read_yolo(source: Path, index: PictureIndex) -> Markings:
    """Return what YOLO texts say; `source` is what `find_yolo` found.

    Raises:
        DataError: the settings are damaged, or name folders that are not there.
    """
    settings = read_settings(source, index.folder)
    markings = Markings(NAME, notes=list(settings.notes))
    splits = dict(_pictures(settings, index, markings))
    texts = _Texts(index, list(splits))
    for path in _beside_pictures(splits, texts.of_picture):
        del splits[path]
    lines: dict[str, list[tuple[str, Line]]] = {}
    for path, text in texts.of_picture.items():
        lines[path] = list(_read_text(index.folder, text, markings)) if _is_readable(index, path) else []
    _add_objects(settings, splits, lines, index, markings)
    markings.missing += texts.without_picture()
    if ambiguous := texts.ambiguous():
        markings.notes.append(
            f"Not used, being for no picture in particular or one with another text: {len(ambiguous)} texts, such as "
            f"{ambiguous[0]}."
        )
    return markings


def _beside_pictures(splits: Mapping[str, str], text_of: Mapping[str, str]) -> list[str]:
    """Return masks, previews and the like: pictures in folders without any text, all called as others of their split.

    They are no background, for what they show is annotated with the other picture.
    """
    annotated = {(split, _stem(path)) for path, split in splits.items() if path in text_of}
    within: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in splits:
        within[PurePosixPath(path).parts[:-1]].append(path)
    return [
        path
        for paths in within.values()
        if not any(path in text_of for path in paths)
        and all((splits[path], _stem(path)) in annotated for path in paths)
        for path in paths
    ]


class _Texts:
    """The text files of a data set, and which of them are for which picture."""

    def __init__(self, index: PictureIndex, pictures: Sequence[str]) -> None:
        self._index = index
        self._pictures = pictures
        paths = [path.relative_to(index.folder).as_posix() for path in files_ending(index.folder, ".txt")]
        # Capitals matter only between texts that differ in nothing else.
        by_place = {name_key(path): path for path in paths} | {path: path for path in paths}
        #: Picture → its text, for the pictures that have one.
        self.of_picture: dict[str, str] = {}
        for picture in pictures:
            places = (*_text_names(picture), *_text_names(name_key(picture)))
            place = next((place for place in places if place in by_place), None)
            if place is not None:
                self.of_picture[picture] = by_place[place]
        self.of_picture |= self._elsewhere(set(paths) - set(self.of_picture.values()))
        self._left = sorted(set(paths) - set(self.of_picture.values()))

    def without_picture(self) -> list[str]:
        """Return the texts that are left over and tell of objects in pictures that are not there."""
        used = {PurePosixPath(path).parent for path in self.of_picture.values()}
        return [
            path
            for path in self._left
            if not self._index.has_stem(PurePosixPath(path).stem)
            and (PurePosixPath(path).parent in used or _LABELS in PurePosixPath(path.lower()).parts[:-1])
            and _has_line(self._index.folder / path)
        ]

    def ambiguous(self) -> list[str]:
        """Return the texts that are left over and may be for one of the pictures."""
        splits: dict[str, set[str]] = defaultdict(set)
        for picture in self._pictures:
            splits[_stem(picture)].add(self._index.split_of(picture))
        return [
            path
            for path in self._left
            if splits[_stem(path)] & {self._index.split_of(path) or split for split in splits[_stem(path)]}
            and _has_line(self._index.folder / path)
        ]

    def _elsewhere(self, free: set[str]) -> dict[str, str]:
        """Return texts in unusual places: with the name and split of a picture, and of no other one."""
        by_stem: dict[str, list[str]] = defaultdict(list)
        for path in free:
            by_stem[_stem(path)].append(path)
        chosen = {}
        for picture in self._pictures:
            texts = by_stem[_stem(picture)] if picture not in self.of_picture else []
            text = self._nearest(picture, [path for path in texts if _has_line(self._index.folder / path)])
            if text is not None:
                chosen[picture] = text
        claims = Counter(chosen.values())
        return {picture: text for picture, text in chosen.items() if claims[text] == 1}

    def _nearest(self, picture: str, texts: Sequence[str]) -> str | None:
        """Return the text whose last folders are most like those of the picture, None if there are several."""
        split = self._index.split_of(picture)
        texts = [path for path in texts if self._index.split_of(path) in ("", split)]
        alike = {path: common_length(_folders(path), _folders(picture)) for path in texts}
        nearest = [path for path in texts if alike[path] == max(alike.values())]
        return nearest[0] if len(nearest) == 1 else None


def _folders(path: str) -> tuple[str, ...]:
    """Return the folders of a path, the last one first."""
    return PurePosixPath(name_key(path)).parts[-2::-1]


def _stem(path: str) -> str:
    return name_key(PurePosixPath(path).stem)


def _text_names(path: str) -> Iterator[str]:
    """Yield where the text of a picture may lie."""
    parts = list(PurePosixPath(path).with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            yield "/".join([*parts[:place], _LABELS, *parts[place + 1 :]])
    yield "/".join(parts)
    yield "/".join([*parts[:-1], _LABELS, parts[-1]])
    yield "/".join([_LABELS, *parts])


def _has_line(path: Path) -> bool:
    """Whether a text begins with an object."""
    try:
        with path.open("rb") as file:
            return _LINE.match(decode(file.read(_HEAD_BYTES)).text + "\n") is not None
    except (OSError, ValueError):
        return False


def _is_readable(index: PictureIndex, path: str) -> bool:
    try:
        index.size(path)
    except PictureError:  # counted with the broken pictures
        return False
    return True


def _read_text(folder: Path, text: str, markings: Markings) -> Iterator[tuple[str, Line]]:
    """Yield where each line is, and what it says."""
    try:
        lines = decode((folder / text).read_bytes()).text.splitlines()
    except (OSError, ValueError) as error:
        markings.records += 1
        markings.unreadable.append(f"{text} ({error})")
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        markings.records += 1
        where = f"{text}, line {number}"
        try:
            yield where, parse_line(line)
        except ValueError as error:
            markings.unreadable.append(f"{where} ({error})")


def _add_objects(
    settings: YoloSettings,
    splits: dict[str, str],
    lines: dict[str, list[tuple[str, Line]]],
    index: PictureIndex,
    markings: Markings,
) -> None:
    """Add the pictures with what their lines mean, which the lines of the whole set tell together."""
    every = [line for found in lines.values() for _, line in found]
    key_points = settings.key_point_numbers or guessed_key_points(every)
    markings.classes = list(settings.classes or _numbers(every))
    if settings.classes is None:
        markings.notes.append("Nothing names the classes: they are called by their numbers.")
    markings.notes += notes_on(every, key_points)
    for path, split in splits.items():
        objects: list[MarkedObject] = []
        for where, line in lines.get(path, ()):
            try:
                objects.append(object_of(line, index.size(path), markings.classes, key_points))
            except ValueError as error:
                markings.unreadable.append(f"{where} ({error})")
        markings.pictures.append(MarkedPicture(path, split, objects))


def _numbers(lines: Sequence[Line]) -> list[str]:
    """Return the numbers of classes that nobody names."""
    highest = max((line.label for line in lines), default=0)
    return [str(label) for label in range(min(highest, _MOST_CLASSES) + 1)]


def _pictures(settings: YoloSettings, index: PictureIndex, markings: Markings) -> Iterator[tuple[str, str]]:
    """Yield each picture of the data set with its split."""
    if not settings.places:
        yield from ((path, index.split_of(path)) for path in index.paths)
        return
    named = {
        split: {path for place in places for path in _pictures_at(place, split, index, markings)}
        for split, places in _resolved(settings, index.folder, markings).items()
    }
    # The folder of the training pictures may be around the others; nothing may be learned that is measured on.
    found = {path: split for split in SPLITS for path in named.get(split, ())}
    if "train" not in found.values():
        # Without a validation set of their own, people name the training set twice.
        found = {path: split for split in reversed(SPLITS) for path in named.get(split, ())}
    markings.splits |= {split for split in named if not named[split] or split in found.values()}
    yield from sorted(found.items())
    shared = sum(map(len, named.values())) - len(found)
    if shared:
        markings.notes.append(f"Named for two splits, and used in one of them: {count(shared, 'picture')}.")


def _resolved(settings: YoloSettings, folder: Path, markings: Markings) -> dict[str, list[Path]]:
    """Return split → the folders and lists of its pictures."""
    found: dict[str, list[Path]] = {}
    given: dict[Path, str] = {}
    for split, places in settings.places.items():
        for place in places:
            parts = (*path_parts(settings.root), *path_parts(place))
            path = find_within(folder, [part for part in parts if "*" not in part])
            if path is not None and (path.is_dir() or path.suffix.lower() == ".txt"):
                if given.setdefault(path, place) != place:
                    raise DataError(
                        f"'{given[path]}' and '{place}' are both {path}",
                        field=str(settings.source),
                        remedy="Correct them",
                    )
                found.setdefault(split, []).append(path)
            elif split == "test":
                markings.notes.append(f"There are no test pictures: '{place}' is not there.")
            else:
                raise DataError(
                    f"'{place}' is no folder in {folder}",
                    field=str(settings.source),
                    remedy="Correct it, or point `data` at its parent",
                )
    return found


def _pictures_at(place: Path, split: str, index: PictureIndex, markings: Markings) -> list[str]:
    if place.is_dir():
        within = place.relative_to(index.folder).as_posix()
        return [path for path in index.paths if within == "." or path.startswith(f"{within}/")]
    found = set()
    for line in read_lines(place):
        picture = index.find(line, split=split)
        if picture is None:
            markings.missing.append(line)
        else:
            found.add(picture)
    return sorted(found)
