"""Labels in tables: CSV files with a row a picture.

The first line names the columns. One of them holds file names, relative to the table's folder or to a folder in it;
endings may be left out where that is unambiguous. Labels stand in one column, or in a column of 0 and 1 for each
class. A column `split` (train, val, test) is optional; so are tables of their own for each split (`train.csv`, …).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.labelling import Labelling, Row
from tunewell.tasks.vision.files import check_name, find_pictures, listed
from tunewell.tasks.vision.names import is_foreign, split_of, splits_among

#: Endings of tables.
TABLE_SUFFIXES = (".csv", ".tsv")
_PICTURE_COLUMNS = ("image", "file", "filename", "file_name", "picture", "path", "image_id", "id", "name")
_SPLIT_COLUMNS = ("split", "subset", "set", "partition")
_LABEL_COLUMNS = ("labels", "label", "tags", "tag", "classes", "class", "categories", "category", "target")
_SEPARATORS = ("|", ";", ",")
_FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}
#: Rows without a picture that are left out: this share of all, or this many if that is more.
_BEARABLE_SHARE = 0.01
_BEARABLE_COUNT = 3


def tables_in(data: Path) -> list[Path]:
    """Return the tables that `data` means: the file itself, or those in the folder; none for folders of classes.

    Of several in a folder, those named after a split count, or else `labels.csv`.

    Raises:
        DataError: there are several tables, and no telling which counts.
    """
    if data.is_file():
        return [data]
    found = tables_beside(data)
    named = splits_among([path.stem for path in found])
    if "train" in named.values():
        return [path for path in found if path.stem in named]
    preferred = [path for path in found if path.stem.lower() == "labels"]
    if preferred or len(found) <= 1:
        return preferred[:1] or found
    raise DataError(
        f"{data}: it holds {len(found)} tables: {listed(path.name for path in found)}. Point `data` at one of them, "
        "or call it labels.csv."
    )


def tables_beside(folder: Path) -> list[Path]:
    """Return the tables in a folder."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_SUFFIXES and not is_foreign(path.name) and path.is_file()
    )


def read_tables(folder: Path, paths: Sequence[Path], single: bool) -> Labelling:
    """Return the rows of tables, each with an existing picture.

    Args:
        folder: the data set.
        paths: one table, or one for each split, named after it, all in the same folder.
        single: whether a cell is one label as it stands; else it holds any number of them.

    Raises:
        DataError: a table is malformed; the message names it and, where there is one, the row.
    """
    index = _PictureIndex(folder)
    rows: list[Row] = []
    missing: list[str] = []
    notes: list[str] = []
    total = 0
    named = splits_among([path.stem for path in paths]) if len(paths) > 1 else {}
    for path in paths:
        split = named.get(path.stem)
        lines = _read(path)
        columns = _Columns(path, lines, single)
        notes += columns.notes
        for number, line in enumerate(lines, start=2):
            total += 1
            name = line[columns.picture].strip()
            where = f"{path}, row {number}"
            found = index.find(name, where)
            if found is None:
                missing.append(name)
            else:
                rows.append(Row(found, columns.labels(line, where), columns.split(line, where) or split))
    _check_missing(paths[0], missing, total)
    if missing:
        notes.append(f"Left out, because there is no such picture: {len(missing)} rows, such as {missing[0]}.")
    if without := index.count - len({row.path for row in rows}):
        notes.append(f"Left out, because no table names them: {without} pictures.")
    return Labelling(_merged(rows, paths[0]), notes)


class _PictureIndex:
    """The pictures in a folder and its folders, to be found by name."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[Path]] = {}
        pictures = find_pictures(folder).pictures
        self.count = len(pictures)
        for path in pictures:
            relative = path.relative_to(folder)
            for name in {relative.as_posix(), relative.name, relative.with_suffix("").as_posix(), relative.stem}:
                self._by_name.setdefault(name, []).append(path)
        self._folder = folder

    def find(self, name: str, where: str) -> Path | None:
        """Return the picture called `name`, None if there is none; raise `DataError` if there are several."""
        exact = self._folder / name
        if name and exact in self._by_name.get(Path(name).as_posix(), ()):
            return exact
        found = self._by_name.get(Path(name).as_posix(), []) if name else []
        if not found and "/" in name:
            found = [path for path in self._by_name.get(Path(name).name, []) if path.as_posix().endswith("/" + name)]
        if len(found) > 1:
            others = listed((path.relative_to(self._folder).as_posix() for path in found), 2)
            raise DataError(f"{where}: '{name}' may be any of {others}. Write the path from the table's folder.")
        return found[0] if found else None


class _Columns:
    """Which column of a table holds what."""

    def __init__(self, path: Path, lines: Sequence[Mapping[str, str]], single: bool) -> None:
        names = list(lines[0])
        known = {name.strip().lower(): name for name in reversed(names)}
        self._path, self._single = path, single
        self.notes: list[str] = []
        self.picture = next((known[name] for name in _PICTURE_COLUMNS if name in known), names[0])
        self._split = next((known[name] for name in _SPLIT_COLUMNS if name in known), None)
        rest = [name for name in names if name not in (self.picture, self._split)]
        named = next((known[name] for name in _LABEL_COLUMNS if known.get(name) in rest), None)
        self._flags = [name for name in rest if name != named and _is_flag(line[name] for line in lines)]
        alone = rest[0] if len(rest) == 1 and (single or not self._flags) else None
        self._label = None if len(self._flags) > 1 else named or alone
        if self._label is None and not self._flags:
            raise DataError(
                f"{path}: no column holds the labels (there are {listed(names, 10)}). Call one of them 'label', or add "
                "a column of 0 and 1 for each class."
            )
        self._separator = self._find_separator(lines) if self._label else None
        ignored = [name for name in rest if name not in self._flags and name not in (self._label, named)]
        if ignored:
            self.notes.append(f"Columns of {path.name} that are not used: {listed(ignored)}.")

    def split(self, line: Mapping[str, str], where: str) -> str | None:
        """Return a row's split, None where the table has no such column."""
        if self._split is None:
            return None
        split = split_of(line[self._split])
        if not split:
            raise DataError(f"{where}: '{line[self._split]}' is no split. Write train, val or test.")
        return split

    def labels(self, line: Mapping[str, str], where: str) -> tuple[str, ...]:
        """Return a row's labels, in the order of the table."""
        if self._label is None:
            labels = [name.strip() for name in self._flags if _FLAGS[line[name].strip().lower()]]
        elif self._separator is None:
            labels = [line[self._label].strip()]
        else:
            labels = line[self._label].split(None if self._separator == " " else self._separator)
        found = tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))
        if self._single and len(found) > 1:
            raise DataError(
                f"{where}: this picture has {len(found)} labels. Several a picture are the task "
                "multilabel-classification."
            )
        return found

    def _find_separator(self, lines: Sequence[Mapping[str, str]]) -> str | None:
        """Return what stands between the labels of a cell; None if each cell is one label."""
        assert self._label is not None
        cells = [line[self._label].strip() for line in lines]
        for separator in _SEPARATORS[:2] if self._single else _SEPARATORS:
            if any(separator in cell for cell in cells):
                return separator
        if self._single or not any(" " in cell for cell in cells):
            return None
        self.notes.append(f"Labels in the column '{self._label}' of {self._path.name} are taken apart at spaces.")
        return " "


def _is_flag(values: Iterable[str]) -> bool:
    """Whether a column says yes or no of each picture, and yes or no at all."""
    found = {value.strip().lower() for value in values}
    return found <= _FLAGS.keys() and found != {""}


def _read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table, column → text; every row has every column."""
    check_name(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: it is not UTF-8. Save it as CSV in UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: it can't be read ({error.strerror}).") from None
    header = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=header.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = list(reader.fieldnames or ())
        lines = list(reader)
    except csv.Error as error:
        raise DataError(f"{path}: it is no table ({error}). Save it as CSV.") from None
    if len(names) < 2 or not lines:
        problem = "there are no rows" if len(names) > 1 else f"the first line, '{header[:40]}', names a single column"
        raise DataError(f"{path}: {problem}. A table has a column of files and one of labels, or more.")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns have the same name. Rename one of them.")
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            raise DataError(
                f"{path}, row {number}: it has another number of columns than the first line. "
                "Put texts that hold the delimiter into quotes."
            )
    return lines


def _check_missing(path: Path, missing: Sequence[str], total: int) -> None:
    bearable = max(_BEARABLE_COUNT, int(_BEARABLE_SHARE * total))
    if len(missing) > bearable or len(missing) == total:
        raise DataError(
            f"{path}: {len(missing)} of {total} rows name a picture that is not there, such as '{missing[0]}'. "
            f"Put the pictures beside the table or into a folder there, or correct the names."
        )


def _merged(rows: Sequence[Row], path: Path) -> list[Row]:
    """Return one row a picture: a table may have a row for each label of a picture."""
    found: dict[Path, Row] = {}
    for row in rows:
        before = found.get(row.path)
        if before is None:
            found[row.path] = row
        elif before.split != row.split:
            raise DataError(
                f"{path.parent}: the picture {row.path.name} is in {before.split} and in {row.split}. Keep one of them."
            )
        else:
            labels = tuple(dict.fromkeys((*before.labels, *row.labels)))
            found[row.path] = Row(row.path, labels, row.split)
    return list(found.values())
