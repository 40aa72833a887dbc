"""From a folder to its annotated pictures: which layout it has, and what is wrong with it.

Headers of pictures are read here, their pixels when they are decoded.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError, count
from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Mask, Objects
from tunewell.tasks.object_detection.checking import UsablePicture, check_flaws, check_pictures, flaw_notes, listed
from tunewell.tasks.object_detection.doubles import joined
from tunewell.tasks.object_detection.layouts.coco import NAME as COCO
from tunewell.tasks.object_detection.layouts.coco import read_coco
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.layouts.voc import NAME as VOC
from tunewell.tasks.object_detection.layouts.voc import find_voc_files, read_voc
from tunewell.tasks.object_detection.layouts.yolo import NAME as YOLO
from tunewell.tasks.object_detection.layouts.yolo import find_yolo, read_yolo
from tunewell.tasks.object_detection.turning import upright
from tunewell.tasks.vision.files import (
    ANNOTATION_SUFFIXES,
    known_endings,
    note_left_out,
    note_unread,
    step_into,
)
from tunewell.tasks.vision.names import SPLITS
from tunewell.tasks.vision.pictures import bombs_refused
from tunewell.tasks.vision.splitting import divide

#: Darknet's class names, and what YOLO's programs leave beside texts.
_ANNOTATION_SUFFIXES = ANNOTATION_SUFFIXES | {".labels", ".cache"}


def read_annotations(folder: Path, seed: int, with_masks: bool) -> AnnotatedPictures:
    """Return what lies in `folder`; `seed` decides how an undivided set is divided.

    Args:
        folder: the data set.
        seed: of the division.
        with_masks: whether objects are to have masks; those without are left out.

    Raises:
        DataError: the folder is missing or no data set; the message says what is wrong with it and the remedy.
    """
    found, markings = _read(folder, with_masks, to_learn=True)
    folder = found.folder
    if "val" not in found.splits:
        found = divide(found, seed)
    for split, purpose in (("train", "learn"), ("val", "measure")):
        if not found.counts(split).any():
            raise DataError(
                f"no picture of {split} shows an object, so there is nothing to "
                f"{purpose}{_but_crowds(markings, _crowds(found, split))}",
                field=str(folder),
                remedy="Mark some there, or move pictures with objects there",
            )
    return replace(found, notes=(*found.notes, *_class_notes(found)))


def read_to_measure(folder: Path, with_masks: bool) -> AnnotatedPictures:
    """Return what lies in `folder`, to measure a model on it, and not to learn from it.

    Nothing is divided, and no split is needed.

    Raises:
        DataError: the folder is missing or no data set.
    """
    return _read(folder, with_masks, to_learn=False)[0]


def _read(folder: Path, with_masks: bool, to_learn: bool) -> tuple[AnnotatedPictures, Markings]:
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(
            f"it {problem}", field=str(folder), remedy="Point `data` at a folder with pictures and their annotations"
        )
    folder, stepped = step_into(folder)
    index = PictureIndex(folder)
    with bombs_refused():
        markings = _read_markings(folder, index, with_masks)
        check_flaws(folder, markings)
        markings.pictures, several = joined(folder, markings.pictures)
        turned: list[str] = []
        if markings.layout != YOLO:  # which means pictures as they are shown
            markings.pictures, turned = upright(markings.pictures, index)
        pictures, flaws = check_pictures(folder, markings, index, with_masks)
    if several:
        markings.notes.append(f"Annotated in several places, whose objects are joined: {listed(several)}.")
    found = _assemble(folder, markings, index, pictures, with_masks, to_learn)
    notes = [*stepped, *markings.notes, *flaw_notes(markings), *turned, *flaws, *_unread(index)]
    return replace(found, notes=tuple(notes)), markings


def _read_markings(folder: Path, index: PictureIndex, with_masks: bool) -> Markings:
    if not index.paths:
        remedy = f"Put them beside their annotations. {known_endings()}"
        raise DataError("there are no pictures in it", field=str(folder), remedy=remedy)
    coco, damaged = read_coco(index)
    voc, yolo = find_voc_files(folder), find_yolo(index)
    if not (coco or damaged or voc or yolo):
        coco, damaged = read_coco(index, everywhere=True)
    readers: dict[str, Callable[[], Markings]] = {}
    if coco is not None:
        readers[COCO] = lambda: coco
    if voc:
        readers[VOC] = lambda: read_voc(voc, index)
    if yolo is not None:
        readers[YOLO] = lambda: read_yolo(yolo, index)
    if damaged is not None and (coco or not readers):
        raise damaged
    if not readers:
        raise DataError(
            "there are no annotations of a known layout",
            field=str(folder),
            remedy=(
                "Known: COCO JSON (annotations/instances_train.json), Pascal VOC XML (Annotations/*.xml), YOLO "
                "text (data.yaml or classes.txt, labels/*.txt)"
            ),
        )
    order = sorted(readers, key=lambda name: with_masks and name == VOC)  # VOC has no masks
    # Annotations of pictures that are elsewhere are somebody else's, if there are others.
    read = (readers[name]() for name in order)
    markings = next((found for found in read if any(picture.objects for picture in found.pictures)), None)
    markings = markings or readers[order[0]]()
    others = [name for name in readers if name != markings.layout]
    if others:
        markings.notes.append(f"Read as {markings.layout}; the annotations in {' and '.join(others)} are not used.")
    return markings


def _unread(index: PictureIndex) -> list[str]:
    """Return notes on files that are neither pictures nor annotations."""
    unread = [path for path in index.found.unread if path.suffix.lower() not in _ANNOTATION_SUFFIXES]
    return [*note_left_out(index.folder, index.found.others), *note_unread(index.folder, unread)]


def _assemble(
    folder: Path,
    markings: Markings,
    index: PictureIndex,
    pictures: Sequence[UsablePicture],
    with_masks: bool,
    to_learn: bool,
) -> AnnotatedPictures:
    occurring = Counter(item.class_name for picture in pictures for item in picture.objects if not item.crowd)
    classes = tuple(name for name in markings.classes if occurring[name])
    crowds = sum(item.crowd for picture in pictures for item in picture.objects)
    if not classes:
        why = _but_crowds(markings, crowds)
        raise DataError(
            f"no object that could be learned is left{why}", field=str(folder), remedy="Check the annotations"
        )
    if crowds:
        markings.notes.append(
            f"Neither learned nor counted as missed, because they are {markings.crowd_mark}: {count(crowds, 'object')}."
        )
    broken = [name for name in classes if any(unicodedata.category(letter) == "Cs" for letter in name)]
    if broken:
        raise DataError(
            f"the class name {broken[0]!a} has half a letter, a surrogate", field=str(folder), remedy="Rename the class"
        )
    kept = _in_splits(folder, markings, pictures, to_learn)
    unused = [name for name in markings.classes if not occurring[name]]
    if unused and to_learn:
        markings.notes.append(f"Classes without an object to learn are left out: {listed(unused)}.")
    unmarked = len(index.paths) - len(markings.pictures)
    if unmarked > 0:
        markings.notes.append(f"Not used, having no annotations or being in no split: {count(unmarked, 'picture')}.")
    splits = {
        split: tuple(position for position, picture in enumerate(kept) if picture.split == split) for split in SPLITS
    }
    label_of = {name: label for label, name in enumerate(classes)}
    return AnnotatedPictures(
        folder=folder,
        classes=classes,
        paths=tuple(picture.path for picture in kept),
        sizes=tuple(picture.size for picture in kept),
        objects=tuple(_objects(picture.objects, label_of, with_masks) for picture in kept),
        splits={split: positions for split, positions in splits.items() if positions},
    )


def _in_splits(
    folder: Path, markings: Markings, pictures: Sequence[UsablePicture], to_learn: bool
) -> list[UsablePicture]:
    """Return the pictures of the splits; without any for training, those of no split are for that."""
    rest = "" if any(picture.split == "train" for picture in pictures) else "train"
    kept = [replace(picture, split=picture.split or rest) for picture in pictures if picture.split or rest]
    if len(kept) < len(pictures):
        markings.notes.append(f"Left out, belonging to no split: {count(len(pictures) - len(kept), 'picture')}.")
    tested = [picture for picture in kept if picture.split == "test"]
    if tested and not any(picture.objects for picture in tested):
        markings.notes.append(f"Not used, having no annotations: all {count(len(tested), 'test picture')}.")
        kept = [picture for picture in kept if picture.split != "test"]
    splits = {picture.split for picture in kept}
    if not to_learn:
        return kept
    for split in ("train", "val"):
        if split in markings.splits - splits:
            raise DataError(
                f"none of the pictures that are listed for {split} is there and can be used",
                field=str(folder),
                remedy="Check the folders, lists and names of the pictures",
            )
    if "train" not in splits:
        found = " and ".join(split for split in SPLITS if split in splits)
        raise DataError(
            f"it has {found} but no pictures to train on", field=str(folder), remedy="Add a split called train"
        )
    return kept


def _crowds(found: AnnotatedPictures, split: str) -> int:
    return sum(int(found.objects[position].crowd.sum()) for position in found.splits[split])


def _but_crowds(markings: Markings, crowds: int) -> str:
    """Return the end of a sentence on missing objects."""
    return f": the {crowds} that there are, are {markings.crowd_mark}, which are not learned" if crowds else ""


def _objects(marked: Sequence[MarkedObject], label_of: dict[str, int], with_masks: bool) -> Objects:
    used = [item for item in marked if item.class_name in label_of]
    masks: list[Mask] = [item.mask for item in used if item.mask is not None]
    return Objects(
        np.array([item.box for item in used], dtype=np.float64).reshape(-1, 4),
        np.array([label_of[item.class_name] for item in used], dtype=np.int64),
        np.array([item.crowd for item in used], dtype=bool),
        tuple(masks) if with_masks else None,
    )


def _class_notes(found: AnnotatedPictures) -> list[str]:
    """Return notes on imbalance, on classes that train lacks, and on pictures without objects."""
    notes = []
    trained = found.counts("train")
    for split in found.splits:
        untaught = [found.classes[label] for label in np.flatnonzero((found.counts(split) > 0) & (trained == 0))]
        if untaught:
            notes.append(f"Classes in {split} that train lacks, which can't be learned: {listed(untaught)}.")
    most, fewest = int(trained.argmax()), int(np.where(trained > 0, trained, trained.max() + 1).argmin())
    if trained[most] >= 10 * trained[fewest]:
        notes.append(
            f"Unbalanced: {trained[most]} training objects of '{found.classes[most]}', {trained[fewest]} of "
            f"'{found.classes[fewest]}'. The objective counts every class alike."
        )
    empty = sum(len(objects) == 0 for objects in found.objects)
    if empty:
        notes.append(f"Learned as background, showing no object: {empty} of {count(len(found.paths), 'picture')}.")
    return notes
