"""What a data set with any number of labels a picture is: its labels, its splits, and what is wrong with it.

Two layouts are known::

    DATA/labels.csv            and pictures beside it or in folders; see `tables`
    DATA/[train/]TAG/*.jpg     folders of tags: a picture lies, under the same name, in the folder of each of its tags

Without a `val`, `train` is divided by iterative stratification, copies of a picture together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import read_labelling, split_positions
from tunewell.tasks.image_classification.labelling import Labelling, Row, without_strange_test
from tunewell.tasks.image_classification.manifest import MultilabelManifest
from tunewell.tasks.vision.duplicates import groups_of_copies
from tunewell.tasks.vision.files import listed
from tunewell.tasks.vision.splitting import divide


def read_multilabel(data: Path, seed: int) -> MultilabelManifest:
    """Return what lies in a folder, or what a table says; `seed` decides how an undivided set is divided.

    Raises:
        DataError: it is missing or no data set; the message says what is wrong with it and the remedy.
    """
    folder, labelling = read_labelling(data, single=False)
    manifest = _assembled(folder, without_strange_test(labelling))
    if "val" not in manifest.splits:
        manifest = divide(manifest, seed)
    return replace(manifest, notes=(*manifest.notes, *_lacking(manifest), *_imbalance(manifest)))


def read_multilabel_to_measure(data: Path) -> MultilabelManifest:
    """Return what lies in a folder, or what a table says, to measure a model on it, and not to learn from it.

    Nothing is divided, no split is needed, and no picture is left out for its labels.

    Raises:
        DataError: it is missing or no data set.
    """
    return _assembled(*read_labelling(data, single=False, to_learn=False))


def _assembled(folder: Path, labelling: Labelling) -> MultilabelManifest:
    rows = sorted(_merged(labelling.rows), key=lambda row: row.path.relative_to(folder).as_posix())
    classes = tuple(sorted({label for row in rows for label in row.labels}))
    if not classes:
        raise DataError("no picture has a label", field=str(folder), remedy="Fill in the table")
    label_of = {name: label for label, name in enumerate(classes)}
    return MultilabelManifest(
        folder=folder,
        classes=classes,
        paths=tuple(row.path.relative_to(folder).as_posix() for row in rows),
        labels=tuple(tuple(sorted(label_of[name] for name in row.labels)) for row in rows),
        splits=split_positions(rows),
        notes=tuple(labelling.notes),
    )


def _merged(rows: Sequence[Row]) -> list[Row]:
    """Return one row for the copies of a picture that lie under one name in several folders of tags.

    Raises:
        DataError: two pictures of the same name are not the same picture.
    """
    found: dict[tuple[str | None, Path], Row] = {}
    copies: list[tuple[Path, Path]] = []
    for row in rows:
        within = row.path if row.folder is None else row.folder.parent / row.path.relative_to(row.folder)
        first = found.setdefault((row.split, within), row)
        if first is not row:
            found[row.split, within] = replace(first, labels=(*first.labels, *row.labels))
            copies.append((first.path, row.path))
    _check_copies(copies)
    return list(found.values())


def _check_copies(copies: Sequence[tuple[Path, Path]]) -> None:
    paths = list(dict.fromkeys(path for pair in copies for path in pair))
    groups = dict(zip(paths, groups_of_copies(paths).tolist(), strict=True))
    for first, second in copies:
        if groups[first] != groups[second]:
            raise DataError(
                f"{first} and {second} have the same name but are different pictures",
                remedy=(
                    "Give each picture a name of its own; a picture with several tags lies in several folders "
                    "under the same name"
                ),
            )


def _lacking(manifest: MultilabelManifest) -> list[str]:
    """Return notes on labels that can't be learned, or can't be measured."""
    names = np.asarray(manifest.classes)
    trained = manifest.counts("train")
    notes = []
    if (trained == 0).any():
        notes.append(f"Labels without a training picture, which can't be learned: {listed(names[trained == 0])}.")
    if (trained == len(manifest.splits["train"])).any():
        everywhere = names[trained == len(manifest.splits["train"])]
        notes.append(f"Labels of every training picture, of which there is nothing to learn: {listed(everywhere)}.")
    for split in manifest.splits:
        lacking = (manifest.counts(split) == 0) & (trained > 0)
        if lacking.any():
            notes.append(
                f"Labels without a picture in {split}, which are not measured there: {listed(names[lacking])}."
            )
    return notes


def _imbalance(manifest: MultilabelManifest) -> list[str]:
    counts = manifest.counts("train")
    counts = np.where(counts > 0, counts, counts.max())
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] < 10 * counts[fewest]:
        return []
    return [
        f"Unbalanced: {counts[most]} training pictures with '{manifest.classes[most]}', {counts[fewest]} with "
        f"'{manifest.classes[fewest]}'. Consider the parameter `class_weights: balanced`."
    ]
