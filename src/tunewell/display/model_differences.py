"""Versions of models side by side: their figures, and in what they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.service.types import ModelVersion
from tunewell.spec.format import NOTHING, number, scalar, signed, spoken

#: Letters of a checksum that are shown.
_LETTERS = 8


@dataclass(frozen=True, slots=True)
class Headline:
    """The one figure that stands for a version."""

    value: float | None
    #: What it is, and of what: `accuracy on test`.
    what: str
    #: What else is to be known of it; empty: nothing.
    more: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is other in a version than in the one before."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of one version."""

    text: str
    #: Whether it is the best of its row.
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure or fact of all versions."""

    name: str
    cells: Sequence[Cell]

    @property
    def differs(self) -> bool:
        """Whether the versions have different values."""
        return len({cell.text for cell in self.cells}) > 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions side by side."""

    versions: Sequence[ModelVersion]
    figures: Sequence[Row]
    #: Task, network, data, classes, where they come from.
    facts: Sequence[Row]
    #: Parameters that differ, and those that don't.
    different: Sequence[Row]
    same: Sequence[Row]


#: What a version is made of, besides its parameters, in words.
_FACTS: Sequence[tuple[str, Callable[[ModelVersion], str]]] = (
    ("task", lambda one: one.task.replace("-", " ")),
    ("network", lambda one: one.network),
    ("data", lambda one: data_of(one)),
    ("classes", lambda one: classes_of(one)),
    ("trained on", lambda one: "all data" if one.retrained else "the training data"),
)


def headline(one: ModelVersion) -> Headline:
    """Return the figure that a version is known by: its own; that of its trial only where it has none, and said so."""
    metric = spoken(one.objective.metric)
    if not one.retrained:
        return Headline(one.value, f"{metric} on validation")
    if one.objective.metric in one.test:
        more = "" if one.value is None else f"its trial had {number(one.value)} on validation"
        return Headline(one.test[one.objective.metric], f"{metric} on test", more)
    return Headline(one.value, f"{metric} of its trial on validation", "the retrained model itself was not measured")


def changes(older: ModelVersion, newer: ModelVersion) -> list[Change]:
    """Return in what a version differs from an older one."""
    found = [Change(name, before, after) for name, of in _FACTS if (before := of(older)) != (after := of(newer))]
    if _is_relabelled(older, newer):
        found.append(Change("classes", "others", "as many"))
    for name in sorted({*older.parameters, *newer.parameters}):
        before, after = _parameter(older, name), _parameter(newer, name)
        if before != after:
            found.append(Change(name, before, after))
    return found


def compare(versions: Sequence[ModelVersion]) -> Comparison:
    """Return versions side by side, in the order that they are given."""
    names = sorted({name for one in versions for name in one.parameters})
    rows = [Row(name, [Cell(_parameter(one, name)) for one in versions]) for name in names]
    return Comparison(
        versions,
        [row for row in _figures(versions) if any(cell.text != NOTHING for cell in row.cells)],
        [Row(name, [Cell(of(one)) for one in versions]) for name, of in _FACTS],
        [row for row in rows if row.differs],
        [row for row in rows if not row.differs],
    )


def data_of(one: ModelVersion) -> str:
    """Return what a version was trained on: `signs (9f86d081)`; the letters tell its content from another."""
    content = one.data.content[:_LETTERS] if one.data.content else ""
    if one.data.name is None:
        return f"content {content}" if content else "not known"
    return f"{one.data.name} ({content})" if content else one.data.name


def classes_of(one: ModelVersion) -> str:
    """Return how many classes a version tells apart."""
    return f"{len(one.classes)} class{'' if len(one.classes) == 1 else 'es'}"


def _is_relabelled(older: ModelVersion, newer: ModelVersion) -> bool:
    return older.classes != newer.classes and len(older.classes) == len(newer.classes)


def _parameter(one: ModelVersion, name: str) -> str:
    return scalar(one.parameters[name]) if name in one.parameters else NOTHING


def _figures(versions: Sequence[ModelVersion]) -> list[Row]:
    """Return the figures: the objective and the gain of the trial, then what the very model has on test, and on val."""
    metrics = {one.objective.metric for one in versions}
    alike = len({(one.objective.metric, one.objective.goal) for one in versions}) == 1
    name = f"{spoken(next(iter(metrics))) if len(metrics) == 1 else 'objective'} of the trial, on validation"
    gains = [NOTHING if one.gain is None else signed(one.gain) for one in versions]
    rows = [
        Row(name, _cells(versions, lambda one: one.value, marks=alike)),
        Row("gain of the trial over the default", [Cell(gain) for gain in gains]),
    ]
    for split, of in (("on test", _test_of), ("on validation", _validation_of)):
        for metric in sorted({name for one in versions for name in of(one)}):
            marks = alike and metric in metrics
            cells = _cells(versions, lambda one: of(one).get(metric), marks=marks)  # noqa: B023 - called at once
            rows.append(Row(f"{spoken(metric)} {split}", cells))
    return rows


def _test_of(one: ModelVersion) -> Any:
    return one.test


def _validation_of(one: ModelVersion) -> Any:
    return one.validation


def _cells(versions: Sequence[ModelVersion], of: Callable[[ModelVersion], float | None], *, marks: bool) -> list[Cell]:
    """Return the values of a figure; with `marks`, the best of them stands out, if they are not all the same."""
    values = [of(one) for one in versions]
    known = [value for value in values if value is not None]
    best = None
    if marks and len(set(known)) > 1:
        best = max(known) if versions[0].objective.goal == "maximize" else min(known)
    return [Cell(number(value), value is not None and value == best) for value in values]
