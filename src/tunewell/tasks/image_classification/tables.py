"""Labels in tables: CSV files with a row a picture.

The first line names the columns. The one whose cells name pictures names the pictures, whatever it is called; see
`picture_names`. Labels stand in the column `label` (or the like), in the only other one, or else in a column of 0 and 1
for each class. A column `split` (train, val, test) is optional; so are tables of their own for each split (`train.csv`,
…), beside each other or in the folders of the splits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.spec.errors import DataError, count
from tunewell.tasks.image_classification.labelling import Labelling, Row
from tunewell.tasks.image_classification.picture_names import UNUSUAL, Match, PictureNames
from tunewell.tasks.image_classification.table_columns import Columns, find_columns
from tunewell.tasks.image_classification.table_files import read_cells
from tunewell.tasks.vision.files import listed, note_left_out, note_unread, subfolders_of
from tunewell.tasks.vision.names import is_foreign, split_of, splits_among

#: Endings of tables.
TABLE_SUFFIXES = (".csv", ".tsv")
_WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
#: Rows without a picture that are left out: this share of all, or this many if that is more.
_BEARABLE_SHARE = 0.01
_BEARABLE_COUNT = 3


@dataclass(frozen=True, slots=True)
class SplitTable:
    """A table, and the split that it is for."""

    path: Path
    #: None where it is the only one, and may have rows of all splits.
    split: str | None = None


def tables_beside(folder: Path) -> list[Path]:
    """Return the tables in a folder."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_SUFFIXES and not is_foreign(path.name) and path.is_file()
    )


def tables_in(data: Path) -> list[SplitTable]:
    """Return the tables that `data` means: the file itself, or those in the folder; nothing if there are none.

    Of several in a folder, those named after splits count, or else `labels.csv`, or else the only one that has pictures
    and labels. Without any, each folder of a split may have one.

    Raises:
        DataError: there are several tables, and no telling which counts.
    """
    if data.is_file():
        return [SplitTable(data)]
    found = tables_beside(data)
    if not found:
        return _tables_of_splits(data)
    if len(found) > 1 and (named := _named_after_splits(found)):
        return named
    preferred = [path for path in found if path.stem.lower() == "labels"] or found
    if len(preferred) > 1:
        names = PictureNames(data)
        preferred = [path for path in found if _is_usable(path, names)]
    if len(preferred) == 1:
        return [SplitTable(preferred[0])]
    raise DataError(
        f"it holds {len(found)} tables: {listed(path.name for path in found)}",
        field=str(data),
        remedy="Point `data` at one of them, or call it labels.csv",
    )


def _named_after_splits(found: Sequence[Path]) -> list[SplitTable]:
    splits = splits_among([path.stem for path in found])
    if "train" not in splits.values():  # `train_labels.csv`, among `sample_submission.csv`
        splits = {path.stem: split for path in found if (split := split_of(path.stem))}
    named = [SplitTable(path, splits[path.stem]) for path in found if path.stem in splits]
    if "train" not in splits.values():
        return []
    return [replace(named[0], split=None)] if len(named) == 1 else named


def _tables_of_splits(folder: Path) -> list[SplitTable]:
    subfolders = subfolders_of(folder)
    splits = splits_among([sub.name for sub in subfolders])
    tables = {sub: tables_beside(sub) for sub in subfolders if sub.name in splits}
    found = [SplitTable(paths[0], splits[sub.name]) for sub, paths in tables.items() if len(paths) == 1]
    return found if any(table.split == "train" for table in found) else []


def _is_usable(path: Path, names: PictureNames) -> bool:
    try:
        columns = find_columns(read_cells(path), names, single=True)
    except DataError:
        return False
    return columns.has_labels and any(names.known(cell) for cell in columns.cells.column(columns.picture))


def read_tables(folder: Path, tables: Sequence[SplitTable], single: bool) -> Labelling:
    """Return the rows of tables, each with an existing picture.

    Args:
        folder: the data set.
        tables: one, or one or more for each split.
        single: whether a cell is one label as it stands; else it holds any number of them.

    Raises:
        DataError: a table is malformed; the message names it and, where there is one, the row.
    """
    names = PictureNames(folder)
    notes: list[str] = []
    found: list[_FoundRow] = []
    every = [(table, find_columns(read_cells(table.path), names, single)) for table in tables]
    labelled = {table.split for table, columns in every if columns.has_labels}
    read = {table.path for table, columns in every if columns.has_labels or table.split not in labelled}
    for table, columns in every:
        if table.path not in read:  # what else is known of pictures that another table labels
            continue
        if not columns.has_labels and table.split in (None, "train"):
            raise columns.no_labels()
        notes += columns.notes
        found += _find_rows(columns, table, names)
    found, missing = _told_apart(found)
    _check_missing(folder, tables[0].path, missing, found)
    notes += _ways(folder, found)
    if missing:
        notes.append(
            f"Left out, because there is no such picture: {count(len(missing), 'row')}, such as {missing[0].cell}."
        )
    if nowhere := [row for row in found if row.row.split == ""]:
        notes.append(f"Left out, being in no split: {count(len(nowhere), 'picture')}, such as {nowhere[0].cell}.")
    if without := sorted(set(names.found.pictures) - {row.row.path for row in found}):
        example = without[0].relative_to(folder).as_posix()
        notes.append(f"Left out, because no table names them: {count(len(without), 'picture')}, such as {example}.")
    unread = [path for path in names.found.unread if path.suffix.lower() not in TABLE_SUFFIXES]
    notes += [*note_left_out(folder, names.found.others), *note_unread(folder, unread)]
    if beside := [path.name for path in tables_beside(tables[0].path.parent) if path not in read]:
        notes.append(f"Not read: {listed(beside)}.")
    rows = _merged([row.row for row in found if row.row.split != ""], folder)
    return Labelling(_with_whole_numbers(rows), notes)


@dataclass(frozen=True, slots=True)
class _FoundRow:
    """A row and the picture that it means."""

    #: Its path is the table's folder where there is no such picture. Its split is empty if it is in none.
    row: Row
    cell: str
    match: Match | None


def _find_rows(columns: Columns, table: SplitTable, names: PictureNames) -> list[_FoundRow]:
    found = []
    near = table.path.parent
    for number, cells in columns.cells.rows:
        line = dict(zip(columns.cells.names, cells, strict=True))
        where = f"{table.path}, row {number}"
        split = columns.split_of(line, where) or table.split
        if columns.has_split and not line[str(columns.split)]:
            split = ""
        match = names.find(line[columns.picture], where, near, split or "")
        row = Row(match.path if match else near, columns.labels_of(line, where), split)
        found.append(_FoundRow(row, line[columns.picture], match))
    return found


def _told_apart(rows: Sequence[_FoundRow]) -> tuple[list[_FoundRow], list[_FoundRow]]:
    """Return the rows with a picture and those without: of two paths with the same end, the more alike one counts.

    Raises:
        DataError: two paths are equally like that of a picture.
    """
    best: dict[Path, tuple[bool, int]] = {}
    for row in rows:
        if row.match:
            best[row.match.path] = max(row.match.likeness, best.get(row.match.path, (False, 0)))
    found, missing = [], []
    cells: dict[Path, str] = {}
    for row in rows:
        if not row.match or (row.match.way == "end" and row.match.likeness < best[row.match.path]):
            missing.append(row)
            continue
        found.append(row)
        other = cells.setdefault(row.match.path, row.cell)
        if row.match.way == "end" and other != row.cell:
            raise DataError(
                f"the table may mean it by '{other}' and by '{row.cell}'",
                field=str(row.match.path),
                remedy="Write the paths from the table's folder",
            )
    return found, missing


def _ways(folder: Path, rows: Sequence[_FoundRow]) -> list[str]:
    """Return notes on how pictures were found."""
    notes = []
    for way, text in UNUSUAL.items():
        those = [row for row in rows if row.match and row.match.way == way]
        if those:
            example = f"{those[0].cell} = {those[0].row.path.relative_to(folder).as_posix()}"
            notes.append(f"Found {text}: {len(those)} of {len(rows)} pictures, such as {example}.")
    return notes


def _check_missing(folder: Path, path: Path, missing: Sequence[_FoundRow], found: Sequence[_FoundRow]) -> None:
    """Raise `DataError` if too many rows to train and validate on have no picture; of a test set it is no harm.

    Where all rows are of a test set, they count.
    """
    are_tested = all(row.row.split == "test" for row in (*missing, *found))
    gone = [row for row in missing if are_tested or row.row.split != "test"]
    total = len(gone) + sum(are_tested or row.row.split != "test" for row in found)
    bearable = max(_BEARABLE_COUNT, int(_BEARABLE_SHARE * total))
    if len(gone) > bearable or len(gone) == total:
        example = gone[0].cell if gone else path.name
        raise DataError(
            f"{len(gone)} of {total} rows name a picture that is not there, such as '{example}'",
            field=str(path),
            remedy=f"Put the pictures into {folder} or a folder there, or correct the names",
        )


def _merged(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Return one row a picture: a table may have a row for each label of a picture."""
    found: dict[Path, Row] = {}
    for row in rows:
        before = found.get(row.path)
        if before is None:
            found[row.path] = row
        elif before.split != row.split:
            raise DataError(
                f"the picture {row.path.name} is in {before.split} and in {row.split}",
                field=str(folder),
                remedy="Keep one of them",
            )
        else:
            labels = tuple(dict.fromkeys((*before.labels, *row.labels)))
            found[row.path] = Row(row.path, labels, row.split)
    return list(found.values())


def _with_whole_numbers(rows: list[Row]) -> list[Row]:
    """Return the rows with class numbers that a program has written as fractions (1.0) made whole (1)."""
    labels = {label for row in rows for label in row.labels}
    if not any("." in label for label in labels) or not all(map(_WHOLE_NUMBER.fullmatch, labels)):
        return rows
    whole = {label: str(int(label.split(".")[0])) for label in labels}
    return [replace(row, labels=tuple(dict.fromkeys(whole[label] for label in row.labels))) for row in rows]
