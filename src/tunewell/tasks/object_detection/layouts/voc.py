"""Pascal VOC: one XML file a picture (Everingham et al. 2010, IJCV 88).

Splits come from the lists in `ImageSets/Main` (see `voc_lists`), or else from the folders' names. Objects marked
`difficult` are neither learned nor missed when not found, as in the challenge. XML files of other kinds are left alone.

The challenge counts pixels from 1 and boxes include their last ones, so that `xmin - 1, ymin - 1, xmax, ymax` are the
box's edges; Detectron2 reads every set so. Converters, however, write edges counted from 0. Files don't say which, but
a set in which any box begins below 1 can't count from 1: its coordinates are taken as edges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.parsers import expat

from tunewell.spec.decoding import decode
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex, name_key
from tunewell.tasks.object_detection.layouts.texts import files_ending
from tunewell.tasks.object_detection.layouts.voc_lists import read_lists

NAME = "Pascal VOC XML"
_ROOT = "annotation"
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_HEAD_BYTES = 4096


def find_voc_files(folder: Path) -> list[Path]:
    """Return all annotation files, and those that are too damaged to tell; none if no file is one."""
    roots = {path: _root_name(path) for path in files_ending(folder, ".xml")}
    return [path for path, root in roots.items() if root in (_ROOT, "")] if _ROOT in roots.values() else []


def read_voc(files: Sequence[Path], index: PictureIndex) -> Markings:
    """Return what VOC files say.

    Raises:
        DataError: a list of a split can't be read, or names a file in two splits.
    """
    markings = Markings(NAME, crowd_mark="marked `difficult`")
    places = {path.relative_to(index.folder).as_posix(): path for path in files}
    lists = read_lists(index, places)
    listed_out = 0
    for relative, path in places.items():
        if lists is not None and relative not in lists.splits:
            listed_out += 1
            continue
        split = index.split_of(relative) if lists is None else lists.splits[relative]
        try:
            name, objects, size = _read_file(path, markings)
        except (expat.ExpatError, ValueError, OSError) as error:
            markings.records += 1
            markings.unreadable.append(f"{relative} ({error})")
            continue
        near = PurePosixPath(relative).parent.as_posix()
        picture = _find_picture(index, path.stem, name, near, split)
        if picture is None:
            markings.missing.append(name or path.stem)
        else:
            markings.pictures.append(MarkedPicture(picture, split or index.split_of(picture), objects, size))
    markings.pictures = _counted_from_0(markings.pictures)
    markings.classes = sorted({item.class_name for picture in markings.pictures for item in picture.objects})
    if lists is not None:
        markings.missing += lists.missing
        markings.splits |= lists.named
    if listed_out:
        markings.notes.append(f"Left out, being in no list of ImageSets: {listed_out} annotation files.")
    return markings


def _find_picture(index: PictureIndex, stem: str, name: str, near: str, split: str) -> str | None:
    """Return the picture called as the file is: the one of the name in the file, for masks have other endings."""
    renamed = name_key(PurePosixPath(name.replace("\\", "/")).stem) != name_key(stem)
    picture = None if renamed else index.find(name, near, split)
    return picture or index.find_stem(stem, near, split) or (index.find(name, near, split) if renamed else None)


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of a document, whatever its encoding (see `decoded`). It must not declare any entities.

    Raises:
        ValueError: it declares some, or can't be decoded.
        ExpatError: it is no XML.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate("utf-8")  # whatever the file declares: it is decoded already
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    parser.Parse(_text(content).encode("utf-8"), True)
    root = builder.close()
    assert isinstance(root, ElementTree.Element)
    return root


def _refuse(*declaration: object) -> None:
    raise ValueError("it declares entities, which no annotation needs")


def _text(content: bytes) -> str:
    declared = _ENCODING.search(content[:_HEAD_BYTES])
    return decode(content, declared[1].decode("ascii") if declared else "").text.lstrip()


def _root_name(path: Path) -> str:
    """Return the name of the first element, empty if the file shows none."""
    try:
        with path.open("rb") as file:
            head = _text(file.read(_HEAD_BYTES))
    except (OSError, ValueError):
        return ""
    found = re.search(r"<([^\W\d][\w.:-]*)", re.sub(r"<!--.*?-->", "", head, flags=re.DOTALL))
    return found[1] if found else ""


def _read_file(path: Path, markings: Markings) -> tuple[str, list[MarkedObject], tuple[int, int] | None]:
    """Return the picture's name, its objects and its stated size."""
    root = parse_xml(path.read_bytes())
    if root.tag != _ROOT:
        raise ValueError(f"its root is {root.tag}, not {_ROOT}")
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
    difficult = (element.findtext("difficult") or "").strip().lower() in ("1", "1.0", "true", "yes")
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
        width, height = (int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None
