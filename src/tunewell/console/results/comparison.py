"""The best trials and the default configuration side by side: figures, gains, parameters that differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.evaluations import SPLIT_TITLES, measure_title
from tunewell.reports.summary import differs
from tunewell.service.types import Objective, SearchResult, TrialResult
from tunewell.spec import format
from tunewell.spec.epochs import CUT_WORDS, share_text
from tunewell.spec.errors import count

#: Metrics that are shares of the items that were judged rightly: each item counts as 0 or 1.
_SHARES = ("accuracy", "top_5_accuracy", "subset_accuracy")
#: Most other measures that are compared; means of another kind than the first are for the detailed evaluation.
_MEASURES = 5
_MEANS = ("macro_", "weighted_")
#: From how many standard errors on a gain is more than chance does, mostly.
_CLEAR = 2.0

#: Trial number → split → figure; a split is absent where nothing was measured on it.
Figures = Mapping[int, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Gain:
    """What a trial reaches more, or less, than the default configuration."""

    difference: float
    is_better: bool
    #: One standard error; None: it can't be known.
    error: float | None

    @property
    def is_clear(self) -> bool:
        """Whether it is more than chance mostly does."""
        return self.error is not None and abs(self.difference) > _CLEAR * self.error

    @property
    def is_good(self) -> bool:
        """Whether it may be shown as a success: better, and not within chance, as far as that is known."""
        return self.is_better and (self.error is None or self.is_clear)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table."""

    text: str
    #: What stands beside it in small.
    note: str = ""
    #: Class of its look: `best`, `gain`, `differs`; empty: none.
    look: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared, and a cell for each trial."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best trials, best first, and the default one behind them, unless it is among them."""

    trials: tuple[TrialResult, ...]
    default: int | None
    #: The objective, as people call it.
    metric: str
    groups: tuple[Group, ...]
    #: Gain of the best trial on the validation data, and on the test data.
    gain: Gain | None
    test_gain: Gain | None
    #: What the best trial reaches on the test data.
    test: float | None
    #: How gains and their errors are to be read; one sentence each.
    notes: tuple[str, ...]
    #: Parameters that have the same value in all of them.
    same: Mapping[str, Any]


def compare(result: SearchResult, figures: Figures, counts: Mapping[str, int], unit: str | None) -> Comparison:
    """Lay the best trials side by side.

    Args:
        result: of the search; it has a best trial.
        figures: of the trials that were evaluated.
        counts: number of items of each split, as far as it is known.
        unit: what an item is; None for trainings that alone know what they measure on.
    """
    default, metric = result.default, result.objective.metric
    trials = result.top
    if default is not None and default.number not in {trial.number for trial in trials}:
        trials = (*trials, default)
    values = {"val": {trial.number: trial.value for trial in trials}, "test": dict(result.test)}
    judge = _Judge(result.objective, default.number if default is not None else None, counts)
    groups = [_split(split, trials, figures, values[split], judge, unit) for split in SPLIT_TITLES]
    groups = [_training(trials), _sample(result, trials), *groups, _parameters(trials, default)]
    best = trials[0]
    gain, test_gain = (judge.gain(values[split], best.number, split) for split in SPLIT_TITLES)
    return Comparison(
        trials=trials,
        default=default.number if default is not None else None,
        metric=measure_title(metric),
        groups=tuple(group for group in groups if group.rows),
        gain=gain,
        test_gain=test_gain,
        test=values["test"].get(best.number),
        notes=tuple(_notes(metric, gain, test_gain, counts, unit)),
        same={
            name: value
            for name, value in best.parameters.items()
            if not any(differs(trial.parameters, best.parameters, name) for trial in trials)
        },
    )


def standard_error(metric: str, value: float, other: float, amount: int | None) -> float | None:
    """Return the standard error of the difference of two accuracies p, q: √((p(1 - p) + q(1 - q)) / n), n items each.

    It is the binomial one, as if each had been measured on items of its own; on the same items it is smaller, mostly.
    None for other metrics, where the number of items does not tell it.
    """
    if metric not in _SHARES or not amount or not (0 <= value <= 1 and 0 <= other <= 1):
        return None
    return math.sqrt((value * (1 - value) + other * (1 - other)) / amount)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares with the default trial."""

    objective: Objective
    default: int | None
    counts: Mapping[str, int]

    def gain(self, values: Mapping[int, float], number: int, split: str) -> Gain | None:
        """Return the gain of a trial on a split; None where there is nothing to compare it with."""
        if self.default in (None, number) or number not in values or self.default not in values:
            return None
        value, other = values[number], values[self.default]
        difference = value - other
        is_better = difference > 0 if self.objective.goal == "maximize" else difference < 0
        return Gain(difference, is_better, standard_error(self.objective.metric, value, other, self.counts.get(split)))


def _split(
    split: str,
    trials: Sequence[TrialResult],
    figures: Figures,
    values: Mapping[int, float],
    judge: _Judge,
    unit: str | None,
) -> Group:
    metric = judge.objective.metric
    rows = []
    if any(trial.number in values for trial in trials):
        best = _best([values.get(trial.number) for trial in trials], judge.objective.goal)
        cells = [values.get(trial.number) for trial in trials]
        shown = [Cell(format.number(value), look="best" if value == best else "") for value in cells]
        rows.append(Row(measure_title(metric), tuple(shown)))
    gains = [judge.gain(values, trial.number, split) for trial in trials]
    if any(gains):
        rows.append(Row("over the default", tuple(map(_gain_cell, gains))))
    measured = [figures.get(trial.number, {}).get(split, {}) for trial in trials]
    names = dict.fromkeys(name for one in sorted(measured, key=len, reverse=True) for name in one)
    for name in [name for name in names if name != metric and not name.startswith(_MEANS)][:_MEASURES]:
        rows.append(Row(measure_title(name), tuple(Cell(format.number(one.get(name))) for one in measured)))
    if unit is None:
        return Group("Value", tuple(rows))
    amount = judge.counts.get(split)
    return Group(SPLIT_TITLES[split] + (f", {count(amount, unit)}" if amount else ""), tuple(rows))


def _best(values: Sequence[float | None], goal: str) -> float | None:
    known = [value for value in values if value is not None]
    return (max if goal == "maximize" else min)(known, default=None)


def _gain_cell(gain: Gain | None) -> Cell:
    if gain is None:
        return Cell(format.NOTHING)
    note = f"± {format.number(gain.error, 2)}" if gain.error is not None else ""
    return Cell(format.signed(gain.difference), note, "gain" if gain.is_good else "")


def _training(trials: Sequence[TrialResult]) -> Group:
    """Return how much of their trainings was done, if it was not all of each."""
    if not any(trial.training for trial in trials):
        return Group("Training", ())
    done = [share_text(trial.epochs, trial.planned_epochs) or format.NOTHING for trial in trials]
    why = [CUT_WORDS[trial.cut_by] if trial.training and trial.cut_by is not None else "" for trial in trials]
    return Group("Training", (Row("epochs", tuple(map(Cell, done, why))),))


def _sample(result: SearchResult, trials: Sequence[TrialResult]) -> Group:
    """Return what those reach on all data that were searched on a sample."""
    values = {one.number: one.value for one in result.finalists}
    best = _best(list(values.values()), result.objective.goal)
    cells = tuple(
        Cell(
            "failed"
            if trial.number in values and values[trial.number] is None
            else format.number(values.get(trial.number)),
            look="best" if best is not None and values.get(trial.number) == best else "",
        )
        for trial in trials
    )
    return Group("Trained on all data", (Row(measure_title(result.objective.metric), cells),) if values else ())


def _parameters(trials: Sequence[TrialResult], default: TrialResult | None) -> Group:
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    first = trials[0].parameters
    rows = []
    for name in names:
        if any(differs(trial.parameters, first, name) for trial in trials):
            cells = tuple(_parameter_cell(trial, default, name) for trial in trials)
            rows.append(Row(name, cells))
    return Group("Parameters that differ", tuple(rows))


def _parameter_cell(trial: TrialResult, default: TrialResult | None, name: str) -> Cell:
    text = format.scalar(trial.parameters[name]) if name in trial.parameters else format.NOTHING
    is_own = default is not None and differs(trial.parameters, default.parameters, name)
    return Cell(text, look="differs" if is_own else "")


def _notes(
    metric: str, gain: Gain | None, test_gain: Gain | None, counts: Mapping[str, int], unit: str | None
) -> list[str]:
    """Return how the gain is to be read; nothing where there is none."""
    if gain is None:
        return []
    if unit is None:
        return [
            "The gain has no uncertainty here: nothing tells how many items the program has measured it on.",
            "The best was chosen by these very values, which flatters its gain.",
        ]
    told = "The best was chosen on the validation data, which flatters its gain there"
    chosen = f"{told}; the test data had no part in the choice." if test_gain is not None else f"{told}."
    if metric not in _SHARES:
        name = measure_title(metric)
        return [
            f"The gain has no uncertainty: the number of {unit}s does not tell how far chance moves {name}.",
            chosen,
        ]
    if gain.error is None:
        return [f"The detailed evaluation counts the {unit}s, and with them says how sure the gain is.", chosen]
    amounts = {"val": "{} in validation", "test": "{} in the test"}
    known = " and ".join(text.format(counts[split]) for split, text in amounts.items() if split in counts)
    error = (
        "± is one standard error of the difference of two accuracies p and q, √((p(1 − p) + q(1 − q)) / n) with "
        f"n {unit}s ({known}), as if each had been measured on {unit}s of its own. Up to two of them are within chance."
    )
    return [error, chosen]
