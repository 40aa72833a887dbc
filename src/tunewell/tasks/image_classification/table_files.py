"""From a CSV file to its cells, whatever program has written it: encodings, delimiters, quotes, empty lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import check_name

_DELIMITERS = ",\t;|"
#: What only files that are no text have. Tab, line feed, form feed and carriage return are text.
_CONTROLS = {chr(code) for code in range(32)} - set("\t\n\v\f\r")


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a table."""

    path: Path
    #: Names of the columns, all different; those without a name are `column 1`, ….
    names: tuple[str, ...]
    #: Number of the line and its cells, one a column, without spaces around.
    rows: Sequence[tuple[int, tuple[str, ...]]]
    #: What the user should know, a sentence each.
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        place = self.names.index(name)
        return [cells[place] for _, cells in self.rows]

    def without_header(self) -> Cells:
        """Return the table whose first line is a row like the others."""
        names = tuple(f"column {number}" for number in range(1, len(self.names) + 1))
        note = f"The first line of {self.path.name} is a row, as it names a picture; its columns have no names."
        return replace(self, names=names, rows=[(1, self.names), *self.rows], notes=(*self.notes, note))


def read_cells(path: Path) -> Cells:
    """Return the cells of a table.

    Raises:
        DataError: it can't be read, is no table, has no rows, or a row has another number of cells than the first line.
    """
    check_name(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"it can't be read ({error.strerror})", field=str(path)) from None
    text, notes = _decoded(path, content)
    try:
        lines = list(_lines(text))
    except csv.Error as error:
        raise DataError(f"it is no table ({error})", field=str(path), remedy="Save it as CSV") from None
    if len(lines) < 2:
        raise DataError(
            "there are no rows",
            field=str(path),
            remedy="A table has a line with the names of its columns and a row a picture",
        )
    names = _names(path, lines[0][1])
    return Cells(
        path, names, [(number, _fitted(path, number, cells, len(names))) for number, cells in lines[1:]], notes
    )


def _decoded(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and a note where its encoding is a guess."""
    try:
        text, guessed = decode(content)
    except UnicodeDecodeError as error:
        raise DataError(
            f"it is damaged, or not {error.encoding.upper()}", field=str(path), remedy="Save it as CSV in UTF-8"
        ) from None
    if _CONTROLS & set(text):
        raise DataError("it is no text", field=str(path), remedy="Save it as CSV in UTF-8")
    note = f"Read as Windows-1252 (Latin-1), not being UTF-8: {path.name}. Check its letters with accents."
    return text, (note,) if guessed else ()


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line that is not empty."""
    header = text.lstrip().split("\n", 1)[0].split("\r", 1)[0]
    # Spreadsheets write such a line, and hide it.
    stated = header.lower().startswith("sep=") and len(header) == len("sep=;")
    delimiter = header[-1] if stated else max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if any(cells) and not (stated and reader.line_num == 1):
            yield reader.line_num, cells


def _names(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    used = len(cells)
    while used > 1 and not cells[used - 1]:
        used -= 1
    names = tuple(name or f"column {number}" for number, name in enumerate(cells[:used], start=1))
    if len(set(names)) < len(names):
        raise DataError("two columns have the same name", field=str(path), remedy="Rename one of them")
    return names


def _fitted(path: Path, number: int, cells: Sequence[str], count: int) -> tuple[str, ...]:
    if len(cells) < count or any(cells[count:]):
        raise DataError(
            f"{path}, row {number}: it has another number of columns than the first line",
            remedy="Put texts that hold the delimiter into quotes",
        )
    return tuple(cells[:count])
