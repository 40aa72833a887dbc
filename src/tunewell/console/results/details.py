"""How good one trial's model is on one split, as the page shows it: from what its evaluation has on record.

Whatever a task does not measure is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.console.results.chosen import Chosen
from tunewell.reports.evaluations import (
    SPLIT_TITLES,
    SplitReport,
    confusion_classes,
    is_embedded,
    measure_texts,
    split_report,
)

#: More classes make no table that can be read: the pairs that are most confused stand for it.
MOST_CLASSES = 30
#: Characters of a name that fits above a column.
_SHORT = 3
#: Strengths of a cell's colour.
_STRENGTHS = 8


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """How often one class was taken for another."""

    count: int
    #: Share of its row, from 0 to 7.
    strength: int
    has_pictures: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are true classes, columns predicted ones."""

    names: Sequence[str]
    rows: Sequence[Sequence[MatrixCell]]


@dataclass(frozen=True, slots=True)
class CellPictures:
    """The pictures of one cell of the matrix."""

    true: str
    predicted: str
    #: How many there are of them, of which `pictures` are on record: path, probability, thumbnail.
    count: int
    pictures: Sequence[Mapping[str, Any]]
    #: Whether it is what the model did not find, or found where nothing is.
    is_missed: bool
    is_invented: bool


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What comes of one threshold for all classes."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Details:
    """How good a model is on one split."""

    split: str
    #: Splits that were measured.
    splits: Mapping[str, str]
    report: SplitReport
    matrix: Matrix | None
    cell: CellPictures | None
    #: Figures by class, sorted; those of the threshold, where one is chosen.
    classes: Sequence[Mapping[str, Any]]
    #: Thresholds that can be chosen; none: figures by threshold are not on record.
    thresholds: Sequence[float]
    #: Columns of the figures by class → their headings.
    columns: Mapping[str, str]
    #: What comes of the chosen one.
    chosen: AtThreshold | None
    #: The model's own, where it has one for all classes.
    own_threshold: float | None
    #: Whether there are pictures of any cell of the matrix.
    has_pictures: bool
    #: Measure → its value on each of `splits`, with its interval.
    measures: Mapping[str, Sequence[str]]
    #: Whether names of classes are too long to stand upright.
    has_long_names: bool
    #: Names of a true and a predicted class → the cell, as an address has it, if there are pictures of it.
    cells: Mapping[tuple[str, str], str]

    def place_of(self, pair: Mapping[str, Any]) -> str:
        """Return the cell of a pair of classes, as an address has it; empty: there are no pictures of it."""
        return self.cells.get((pair["true"], pair["predicted"]), "")


def details_of(evaluation: Mapping[str, Mapping[str, Any] | None], chosen: Chosen) -> Details | None:
    """Return what is on record about the chosen split, by default the test data; None: nothing is."""
    present = {split: title for split, title in SPLIT_TITLES.items() if evaluation.get(split)}
    if not present:
        return None
    split = chosen.split if chosen.split in present else max(present, key=list(SPLIT_TITLES).index)
    measured = evaluation[split] or {}
    steps = _all_thresholds(measured)
    report, names = split_report(split, measured), confusion_classes(measured)
    places = [(cell["true"], cell["predicted"]) for cell in measured.get("cells") or ()]
    wanted = chosen.threshold
    at = min(steps, key=lambda one: abs(one.threshold - wanted)) if steps and wanted is not None else None
    place = steps.index(at) if at is not None else None
    return Details(
        split=split,
        splits=present,
        report=report,
        matrix=_matrix(measured),
        cell=_cell(measured, chosen.cell),
        classes=_sorted(_classes(measured, place), chosen.sort),
        thresholds=[one.threshold for one in steps],
        chosen=at,
        own_threshold=measured.get("score_threshold"),
        columns=_columns(report),
        has_pictures=bool(places),
        measures=measure_texts([evaluation[name] or {} for name in present]),
        has_long_names=any(len(name) > _SHORT for name in names),
        cells={(names[true], names[predicted]): f"{true}-{predicted}" for true, predicted in places},
    )


def _matrix(measured: Mapping[str, Any]) -> Matrix | None:
    counts, names = measured.get("confusion_matrix"), confusion_classes(measured)
    if not counts or len(names) > MOST_CLASSES:
        return None
    shown = {(cell["true"], cell["predicted"]) for cell in measured.get("cells") or ()}
    rows = []
    for true, row in enumerate(counts):
        total = max(sum(row), 1)
        rows.append(
            [
                MatrixCell(amount, min(int(amount / total * _STRENGTHS), _STRENGTHS - 1), (true, predicted) in shown)
                for predicted, amount in enumerate(row)
            ]
        )
    return Matrix(names, rows)


def _cell(measured: Mapping[str, Any], place: tuple[int, int] | None) -> CellPictures | None:
    if place is None:
        return None
    true, predicted = place
    names, counts = confusion_classes(measured), measured.get("confusion_matrix")
    for cell in measured.get("cells") or ():
        if (cell["true"], cell["predicted"]) == place:
            nothing = len(names) - 1 if measured.get("confusion_classes") else None
            return CellPictures(
                names[true],
                names[predicted],
                counts[true][predicted] if counts else len(cell["pictures"]),
                [one if is_embedded(one["thumbnail"]) else {**one, "thumbnail": None} for one in cell["pictures"]],
                is_missed=predicted == nothing,
                is_invented=true == nothing,
            )
    return None


def _classes(measured: Mapping[str, Any], place: int | None) -> list[Mapping[str, Any]]:
    """Return the figures by class: those of a threshold, if its place is given."""
    rows = list(measured.get("classes") or ())
    if place is None:
        return rows
    hits, given = (measured["by_threshold"][name][place] for name in ("hits", "given"))
    return [{**row, **_rates(hits[label], given[label], row["support"])} for label, row in enumerate(rows)]


def _all_thresholds(measured: Mapping[str, Any]) -> list[AtThreshold]:
    known = measured.get("by_threshold")
    if not known:
        return []
    support = sum(row["support"] for row in measured.get("classes") or ())
    return [
        AtThreshold(threshold, **_rates(sum(hits), sum(given), support))
        for threshold, hits, given in zip(known["thresholds"], known["hits"], known["given"], strict=True)
    ]


def _columns(report: SplitReport) -> dict[str, str]:
    titles = {"name": "class", "ap": "AP", "precision": "precision", "recall": "recall", "f1": "F1"}
    if not report.has_average_precision:
        del titles["ap"]
    return {**titles, "support": report.support_of}


def _rates(hits: int, given: int, support: int) -> dict[str, float | None]:
    return {
        "precision": hits / given if given else None,
        "recall": hits / support if support else None,
        "f1": 2 * hits / (given + support) if given + support else None,
    }


def _sorted(rows: list[Mapping[str, Any]], order: str | None) -> list[Mapping[str, Any]]:
    """Return the rows in an order, by default as the classes come; those without a figure are the last."""
    if order is None:
        return rows
    column = order.removeprefix("-")
    known = [row for row in rows if row.get(column) is not None]
    unknown = [row for row in rows if row.get(column) is None]
    return [*sorted(known, key=lambda row: row[column], reverse=order.startswith("-")), *unknown]
