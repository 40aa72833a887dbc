"""Pascal VOC: one XML file a picture (Everingham et al. 2010, IJCV 88).

Splits come from `ImageSets/Main/{train,val,test}.txt`, one name a line, or else from the folders' names. Objects
marked `difficult` are neither learned nor missed when not found, as in the challenge.

The challenge counts pixels from 1 and boxes include their last ones, so that `xmin - 1, ymin - 1, xmax, ymax` are the
box's edges; Detectron2 reads every set so. Converters, however, write edges counted from 0. Files don't say which, but
a set in which any box begins below 1 can't count from 1: its coordinates are taken as edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.parsers import expat

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings, split_of_path
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex

_NAME = "Pascal VOC XML"
_LISTS = ("train", "val", "test")


class _Refused(ValueError):
    """The XML has what no annotation needs."""


def find_voc_files(folder: Path) -> list[Path]:
    """Return all annotation files, if the first XML file is one."""
    files = [path for path in sorted(folder.rglob("*.xml")) if path.is_file() and not path.name.startswith(".")]
    if not files:
        return []
    try:
        first = parse_xml(files[0].read_bytes()).tag == "annotation"
    except (expat.ExpatError, ValueError, OSError):
        # Damaged files are counted later; a set of nothing else is not recognised.
        first = any(b"<annotation" in path.read_bytes()[:1000] for path in files[:5])
    return files if first else []


def read_voc(files: list[Path], index: PictureIndex) -> Markings:
    """Return what VOC files say.

    Raises:
        DataError: a list of a split can't be read, or names a file in two splits.
    """
    markings = Markings(_NAME, crowd_mark="marked `difficult`")
    lists = _read_lists(index.folder)
    listed_out = 0
    for path in files:
        relative = path.relative_to(index.folder).as_posix()
        split = split_of_path(relative)
        if lists:
            split = lists.get(path.stem, "")
            if not split:
                listed_out += 1
                continue
        try:
            name, objects, size = _read_file(path, markings)
        except (expat.ExpatError, ValueError, OSError) as error:
            markings.records += 1
            markings.unreadable.append(f"{relative} ({error})")
            continue
        near = PurePosixPath(relative).parent.as_posix()
        picture = index.find_stem(path.stem, near, split) or (index.find(name, near, split) if name else None)
        if picture is None:
            markings.missing.append(name or path.stem)
        else:
            markings.pictures.append(MarkedPicture(picture, split, objects, size))
    markings.pictures = _counted_from_0(markings.pictures)
    markings.classes = sorted({item.class_name for picture in markings.pictures for item in picture.objects})
    if listed_out:
        markings.notes.append(f"Left out, being in no list of ImageSets/Main: {listed_out} annotation files.")
    return markings


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of a document that may have no document type: neither entities nor other files are read.

    Raises:
        ValueError: it has a document type.
        ExpatError: it is no XML.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.Parse(content, True)
    root = builder.close()
    assert isinstance(root, ElementTree.Element)
    return root


def _refuse(*declaration: object) -> None:
    raise _Refused("it declares a document type, which no annotation needs")


def _read_lists(folder: Path) -> dict[str, str]:
    """Return stem → split from ImageSets/Main, empty if there are no lists."""
    place = next((path for path in sorted(folder.rglob("ImageSets/Main")) if path.is_dir()), None)
    found: dict[str, str] = {}
    for split in _LISTS:
        path = place / f"{split}.txt" if place else None
        if path is None or not path.is_file():
            continue
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: it can't be read ({error}). Mend or remove the file.") from None
        for line in lines:
            if not line.strip():
                continue
            stem = PurePosixPath(line.split()[0]).name
            if found.setdefault(stem, split) != split:
                raise DataError(f"{path}: '{stem}' is in the lists of {found[stem]} and {split}. Keep it in one.")
    return found


def _read_file(path: Path, markings: Markings) -> tuple[str, list[MarkedObject], tuple[int, int] | None]:
    """Return the picture's name, its objects and its stated size."""
    root = parse_xml(path.read_bytes())
    if root.tag != "annotation":
        raise ValueError(f"its root is {root.tag}, not annotation")
    objects = []
    for element in root.iter("object"):
        markings.records += 1
        try:
            objects.append(_object(element))
        except ValueError as error:
            markings.unreadable.append(f"{path.name} ({error})")
    return (root.findtext("filename") or "").strip(), objects, _stated_size(root)


def _object(element: ElementTree.Element) -> MarkedObject:
    name = (element.findtext("name") or "").strip()
    box = element.find("bndbox")
    if not name or box is None:
        raise ValueError("an object has no name or no bndbox")
    corners = []
    for side in ("xmin", "ymin", "xmax", "ymax"):
        try:
            corners.append(float(box.findtext(side) or ""))
        except ValueError:
            raise ValueError(f"an object's {side} is no number") from None
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    return MarkedObject(name, (corners[0], corners[1], corners[2], corners[3]), crowd=difficult)


def _counted_from_0(pictures: list[MarkedPicture]) -> list[MarkedPicture]:
    """Return the pictures with edges of boxes counted from 0, whichever way the set counts."""
    if any(min(item.box[:2]) < 1 for picture in pictures for item in picture.objects):
        return pictures
    return [replace(picture, objects=_moved(picture.objects)) for picture in pictures]


def _moved(objects: Sequence[MarkedObject]) -> list[MarkedObject]:
    """Return objects whose boxes have their upper left pixel counted from 0."""
    return [replace(item, box=(item.box[0] - 1, item.box[1] - 1, *item.box[2:])) for item in objects]


def _stated_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return width and height; many writers leave 0 where they don't know."""
    try:
        width, height = (int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None
