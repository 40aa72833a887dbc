"""Tables that fit a terminal: what matters less is left out, so that nothing that matters is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from tunewell.spec.format import scalar
from tunewell.spec.space import Value

#: Between two columns.
_GAP = 2
#: To how many characters headings of columns of rank 0 are cut, one length after another, until all has room.
_HEADINGS = (10**9, 8, 5)
#: Characters of a parameter, or of its name, where there is no room for whole ones.
_MOST_OF_A_PARAMETER = 18
_NO_BOUND = _HEADINGS[0]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    cells: Sequence[str | Text]
    is_right: bool = False
    #: Those of the highest rank are left out first, from the right; those of rank 0 are never left out.
    rank: int = 0
    #: How wide it may be where not all columns have room in full.
    most: int = _NO_BOUND
    #: To how many characters its cells are cut, or broken, where there is no room left; None: they are not.
    least: int | None = None
    #: Whether what does not fit goes on in the next line, instead of being cut.
    folds: bool = False

    def width(self, heading: int = _NO_BOUND) -> int:
        """Return how wide it is with so many characters of its heading, which is cut in rank 0 where nothing folds."""
        heading = _NO_BOUND if self.rank or self.folds else heading
        cells = max((cell.cell_len if isinstance(cell, Text) else cell_len(cell) for cell in self.cells), default=0)
        return min(max(cells, min(cell_len(self.title), heading)), self.most)

    def least_width(self, heading: int) -> int:
        """Return what it needs at least: a column that folds can do with its least width at any time."""
        width = self.width(heading)
        return min(width, self.least) if self.folds and self.least is not None else width


def parameter_columns(trials: Sequence[Mapping[str, Value]], names: Sequence[str], width: int) -> list[Column]:
    """Return a column, of rank 2, for each of the first of these parameters that a table so wide may have room for."""
    return [
        Column(
            name,
            [Text(scalar(one[name]) if name in one else "") for one in trials],
            rank=2,
            most=_MOST_OF_A_PARAMETER,
        )
        for name in names[: width // (1 + _GAP)]
    ]


def fitted(columns: Sequence[Column], width: int, of: int = 0) -> Table:
    """Return a table that is no wider than `width`, if the least of the columns of rank 0 is not.

    First long cells of columns with `most` and long headings are cut, then columns are left out.

    Args:
        columns: from left to right.
        width: of the terminal.
        of: how many columns of the highest rank there are; a last heading says how many of them do not stand there.
    """
    whole = [replace(one, most=_NO_BOUND) for one in columns]
    shown = whole if _total([one.width() for one in whole]) <= width else list(columns)
    highest = max(one.rank for one in columns)
    while True:
        missing = of - sum(one.rank == highest for one in shown)
        mark = [len(f"+{missing}")] if missing > 0 else []
        heading = next((most for most in _HEADINGS if _fits(shown, most, mark, width)), 0)
        last = max(range(len(shown)), key=lambda place: (shown[place].rank, place))
        if heading or not shown[last].rank:
            break
        del shown[last]
    mark = mark if heading else []
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", pad_edge=False)
    for column, wide in zip(shown, _widths(shown, heading, width - sum(mark) - _GAP * len(mark)), strict=True):
        justify: Literal["left", "right"] = "right" if column.is_right else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if column.folds else "ellipsis"
        title = Text(column.title if column.folds else _cut(column.title, wide))
        table.add_column(title, justify=justify, width=wide, no_wrap=not column.folds, overflow=overflow)
    if mark:
        table.add_column(f"+{missing}", no_wrap=True)
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*cells)
    return table


def _fits(columns: Sequence[Column], heading: int, mark: Sequence[int], width: int) -> bool:
    return _total([*(one.least_width(heading) for one in columns), *mark]) <= width


def _widths(columns: Sequence[Column], heading: int, width: int) -> list[int]:
    """Return how wide each column is: as wide as it would be, if there is room, or else narrower where that may be."""
    widths = [one.width(heading) for one in columns]
    for place in sorted(range(len(columns)), key=lambda place: not columns[place].folds):
        least, over = columns[place].least, _total(widths) - width
        if over > 0 and least is not None:
            widths[place] = max(min(least, widths[place]), widths[place] - over)
    room = width - _total(widths)
    for place, one in enumerate(columns):  # headings that were cut may have what is left
        more = min(max(0, one.width() - widths[place]), max(0, room))
        widths[place] += more
        room -= more
    return [max(1, wide) for wide in widths]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(0, len(widths) - 1)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"
