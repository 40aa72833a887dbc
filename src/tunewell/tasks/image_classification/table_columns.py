"""Which column of a table holds what: the pictures, their split, their labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.picture_names import PictureNames
from tunewell.tasks.image_classification.table_files import Cells
from tunewell.tasks.vision.files import listed
from tunewell.tasks.vision.names import is_picture, split_of, splits_among

#: Usual names of columns, as `_key` has them.
_PICTURE_COLUMNS = (
    *("image", "file", "filename", "picture", "path", "filepath", "imagepath", "imagename"),
    *("imageid", "img", "photo", "id", "name"),
)
_SPLIT_COLUMNS = ("split", "subset", "set", "partition")
_LABEL_COLUMNS = (
    *("labels", "label", "tags", "tag", "classes", "class", "categories", "category", "targets", "target"),
    *("classname", "labelname", "categoryname", "classid", "labelid", "categoryid", "y"),
    *("classlabel", "groundtruth", "species", "breed", "diagnosis", "dx"),
)
#: Columns that are never labels, unless there is no other.
_NO_LABELS = re.compile(r"column \d+|unnamed.*|index|idx|id|k?fold|width|height|size|url|md5", re.IGNORECASE)
_NUMBER = re.compile(r"[-+\d.,eE]*")
_SEPARATORS = ("|", ";", ",")
#: Stands for cells that are lists, as programs write them: `['cat', 'dog']`.
_LIST = "[]"
_LIST_CELL = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)
_QUOTED = r"""'([^']*)'|"([^"]*)"|"""
_SIGNS = {"1": True, "1.0": True, "-1": False, "-1.0": False}
_FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}
#: What programs write for an empty cell.
_EMPTY = {"", "nan", "<na>"}
#: Rows by which the column of pictures is found.
_SAMPLED_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table holds what."""

    cells: Cells
    single: bool
    picture: str
    split: str | None
    #: Cell of that column → split.
    splits: Mapping[str, str]
    #: The column of labels; None if there is none, or labels have columns of their own.
    label: str | None
    #: Columns of 0 and 1 that are a label each.
    flags: tuple[str, ...]
    #: What stands between the labels of a cell; None if each cell is one label.
    separator: str | None
    notes: tuple[str, ...]

    @property
    def has_labels(self) -> bool:
        """Whether any column holds labels."""
        return self.label is not None or bool(self.flags)

    @property
    def has_split(self) -> bool:
        """Whether any column says splits."""
        return self.split is not None

    def no_labels(self) -> DataError:
        """Return what to raise where labels are needed."""
        if len(self.cells.names) == 1:
            return DataError(
                f"the first line, '{self.cells.names[0][:40]}', names a single column",
                field=str(self.cells.path),
                remedy="A table has a column of files and one of labels, or more",
            )
        return DataError(
            f"no column holds the labels (there are {listed(self.cells.names, 10)})",
            field=str(self.cells.path),
            remedy="Call one of them 'label', or add a column of 0 and 1 for each class",
        )

    def split_of(self, line: Mapping[str, str], where: str) -> str | None:
        """Return a row's split; None if there is no such column, or the cell is empty."""
        if self.split is None or not line[self.split]:
            return None
        split = self.splits.get(line[self.split])
        if not split:
            raise DataError(
                f"'{line[self.split]}' in the column '{self.split}' is no split",
                field=str(where),
                remedy="Write train, val or test, or rename the column if it is about something else",
            )
        return split

    def labels_of(self, line: Mapping[str, str], where: str) -> tuple[str, ...]:
        """Return a row's labels, in the order of the table."""
        if self.label is None:
            labels = [name for name in self.flags if _is_true(line[name])]
        else:
            labels = _taken_apart(line[self.label], self.separator)
        found = tuple(dict.fromkeys(label.strip() for label in labels if label.strip().lower() not in _EMPTY))
        if self.single and len(found) > 1:
            raise DataError(
                f"this picture has {len(found)} labels",
                field=str(where),
                remedy="For several labels per picture, use the task multilabel-classification",
                task="multilabel-classification",
            )
        return found


def find_columns(cells: Cells, names: PictureNames, single: bool) -> Columns:
    """Return which column holds what."""
    if any(map(is_picture, cells.names)):
        cells = cells.without_header()
    known = {_key(name): name for name in reversed(cells.names)}
    picture = _picture_column(cells, names, known)
    split = next((known[name] for name in _SPLIT_COLUMNS if known.get(name) not in (None, picture)), None)
    rest = [name for name in cells.names if name not in (picture, split)]
    named = next((known[name] for name in _LABEL_COLUMNS if known.get(name) in rest), None)
    if named and not any(cell.lower() not in _EMPTY for cell in cells.column(named)):
        named = None
    if split is None:
        split = next((name for name in rest if name != named and _says_splits(cells.column(name))), None)
        rest = [name for name in rest if name != split]
    flags = [name for name in rest if _is_flag(cells.column(name))]
    label, used_flags = (named, []) if named else _unnamed_labels(cells, rest, flags, single)
    splits = splits_among(set(cells.column(split))) if split else {}
    columns = Columns(cells, single, picture, split, splits, label, tuple(used_flags), None, cells.notes)
    columns = _with_separator(replace(columns, notes=(*cells.notes, *_notes(columns, rest, flags))))
    _check_labels(columns)
    return columns


def _key(name: str) -> str:
    """Return the name of a column such that `class_id`, `Class ID` and `ClassId` are one."""
    return re.sub(r"[\W_]", "", name.lower()) or name


def _picture_column(cells: Cells, names: PictureNames, known: Mapping[str, str]) -> str:
    """Return the column whose cells name the most pictures, or else the one that is called so."""
    step = -(-len(cells.rows) // _SAMPLED_ROWS)
    scores: dict[str, tuple[int, int, int]] = {}
    for name in cells.names:
        sample = set(cells.column(name)[::step]) - {""}
        ways = [way for cell in sample if (way := names.known(cell))]
        if 2 * len(ways) >= max(len(sample), 1):
            likely = [way for way in ways if way != "number"]
            scores[name] = (len(likely), sum(map(is_picture, sample)), len(ways))
    named = [known[name] for name in _PICTURE_COLUMNS if name in known]
    if not scores:
        return named[0] if named else cells.names[0]
    order = [*named, *(name for name in cells.names if name not in named)]
    return max(sorted(scores, key=order.index), key=lambda name: scores[name])


def _unnamed_labels(
    cells: Cells, rest: Sequence[str], flags: Sequence[str], single: bool
) -> tuple[str | None, Sequence[str]]:
    """Return the column of labels, or the columns of 0 and 1 that are a label each, where none is called `label`."""
    likely = [name for name in rest if not _NO_LABELS.fullmatch(name) and not _is_about_split(name)] or list(rest)
    flags = [name for name in flags if name in likely]
    others = [name for name in likely if name not in flags]
    if len(likely) == 1 and (single or others):
        return likely[0], []
    if not single:
        return None, flags
    exclusive = all(sum(map(_is_true, row)) <= 1 for row in zip(*map(cells.column, flags), strict=True))
    other = others[0] if len(others) == 1 and _may_be_labels(cells.column(others[0])) else None
    if len(flags) < 2 or (len(flags) == 2 and exclusive and other):
        return None, []  # `kind` and `male`, `female`: either may be what is meant
    return (None, flags) if exclusive else (other, [])


def _may_be_labels(cells: Sequence[str]) -> bool:
    """Whether texts, not numbers, occur more than once each, mostly."""
    return 2 * len(set(cells)) <= len(cells) and not all(map(_NUMBER.fullmatch, cells))


def _notes(columns: Columns, rest: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return notes on the columns that are used, if that is no matter of course, and on those that are not."""
    name = columns.cells.path.name
    notes = []
    if _key(columns.picture) not in _PICTURE_COLUMNS and len(columns.cells.names) > 1:
        notes.append(f"Pictures are named by the column '{columns.picture}' of {name}.")
    ignored = [column for column in rest if column != columns.label and column not in columns.flags]
    if ignored and columns.has_labels:
        notes.append(f"Columns of {name} that are not used: {listed(ignored)}.")
    if says := [column for column in ignored if column in flags and _is_about_split(column)]:
        notes.append(f"To divide by {listed(says)}, write train, val or test into a column `split`.")
    return notes


def _is_about_split(name: str) -> bool:
    """Whether a column of 0 and 1 is called `is_train` or the like."""
    return name.lower().startswith(("is_", "is ")) and bool(split_of(name))


def _with_separator(columns: Columns) -> Columns:
    """Return the columns with what stands between the labels of a cell, and a note where that is a guess."""
    if columns.label is None:
        return columns
    cells = columns.cells.column(columns.label)
    if all(_LIST_CELL.fullmatch(cell) for cell in cells if cell.lower() not in _EMPTY):
        return replace(columns, separator=_LIST)
    for separator in _SEPARATORS[:2] if columns.single else _SEPARATORS:
        if any(separator in cell for cell in cells):
            return replace(columns, separator=separator)
    if columns.single or not any(" " in cell for cell in cells):
        return columns
    note = f"Labels in the column '{columns.label}' of {columns.cells.path.name} are taken apart at spaces."
    return replace(columns, separator=" ", notes=(note, *columns.notes))


def _taken_apart(cell: str, separator: str | None) -> list[str]:
    """Return the labels of a cell."""
    if separator is None:
        return [cell]
    if separator != _LIST:
        return cell.split(None if separator == " " else separator)
    inner = cell[1:-1] if cell.lower() not in _EMPTY else ""
    bare = r"([^,'\"]+)" if "," in inner else r"([^\s'\"]+)"
    return ["".join(parts) for parts in re.findall(_QUOTED + bare, inner)]


def _check_labels(columns: Columns) -> None:
    """Raise `DataError` if the labels of a cell are no names but 0 and 1 for each: `0 1 0 0`."""
    if columns.label is None or columns.separator is None:
        return
    cells = [_taken_apart(cell, columns.separator) for cell in columns.cells.column(columns.label)]
    cells = [[label.strip() for label in labels if label.strip()] for labels in cells]
    if any(len(set(labels)) < len(labels) for labels in cells) and {label for labels in cells for label in labels} <= {
        *_FLAGS
    }:
        raise DataError(
            f"the column '{columns.label}' has 0 and 1 for labels without names",
            field=str(columns.cells.path),
            remedy="Write the names of a picture's labels there, or make a column of 0 and 1 for each label",
        )


def _is_true(cell: str) -> bool:
    return (_FLAGS | _SIGNS)[cell.lower()]


def _is_flag(cells: Iterable[str]) -> bool:
    """Whether a column says yes or no of each picture, by 1 and 0 or by 1 and -1, and yes or no at all."""
    found = {cell.lower() for cell in cells}
    return (found <= _FLAGS.keys() and found != {""}) or found <= _SIGNS.keys()


def _says_splits(cells: Sequence[str]) -> bool:
    """Whether all cells of a column name splits, training data among them."""
    found = set(cells) - {""}
    splits = splits_among(found)
    return len(splits) == len(found) and "train" in splits.values()
