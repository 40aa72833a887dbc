"""The best trials and the default configuration side by side: figures, gains, parameters that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.evaluations import SPLIT_TITLES, measure_title
from tunewell.reports.summary import differs
from tunewell.service.types import Interval, SearchResult, TrialResult
from tunewell.spec import format
from tunewell.spec.epochs import CUT_WORDS, share_text
from tunewell.spec.errors import count
from tunewell.spec.standing import REPEATS_NOTE, rank_text, rest_text, spread_text, standing_text

#: Most other measures that are compared; means of another kind than the first are for the detailed evaluation.
_MEASURES = 5
_MEANS = ("macro_", "weighted_")
#: Trial number → split → figure; a split is absent where nothing was measured on it.
Figures = Mapping[int, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Gain:
    """What a trial reaches more, or less, than the default configuration."""

    difference: float
    is_better: bool
    #: Interval of 95 %; None: nothing tells it.
    ends: Interval | None

    @property
    def is_clear(self) -> bool:
        """Whether it is more than chance mostly does."""
        return self.ends is not None and not self.ends[0] <= 0 <= self.ends[1]

    @property
    def is_good(self) -> bool:
        """Whether it may be shown as a success: better, and not within chance, as far as that is known."""
        return self.is_better and (self.ends is None or self.is_clear)

    @property
    def text(self) -> str:
        """The difference, in the digits that its interval supports."""
        return (
            format.signed_within(self.difference, self.ends)
            if self.ends is not None
            else format.signed(self.difference)
        )

    @property
    def between(self) -> str:
        """The interval; empty: there is none."""
        return format.between(self.ends) if self.ends else ""


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
    #: What the best trial reaches on the validation data, and on the test data.
    value: Cell
    test: Cell | None
    #: How gains and their errors are to be read; one sentence each.
    notes: tuple[str, ...]
    #: Parameters that have the same value in all of them.
    same: Mapping[str, Any]


def compare(
    result: SearchResult,
    figures: Figures,
    counts: Mapping[str, int],
    unit: str | None,
    intervals: Mapping[int, Mapping[str, Mapping[str, Interval]]] | None = None,
) -> Comparison:
    """Lay the best trials side by side.

    Args:
        result: of the search; it has a best trial.
        figures: of the trials that were evaluated.
        counts: number of items of each split, as far as it is known.
        unit: what an item is; None for trainings that alone know what they measure on.
        intervals: of those of the figures that have one.
    """
    default, metric = result.default, result.objective.metric
    trials = result.top
    if default is not None and default.number not in {trial.number for trial in trials}:
        trials = (*trials, default)
    values = {"val": {trial.number: trial.value for trial in trials}, "test": dict(result.test)}
    judge = _Judge(result, default.number if default is not None else None, intervals or {})
    groups = [_split(split, trials, figures, values[split], judge, counts, unit) for split in SPLIT_TITLES]
    groups = [
        _training(trials),
        _sample(result, trials),
        *groups,
        _repeats(result, trials),
        _parameters(trials, default),
    ]
    best = trials[0]
    test = values["test"].get(best.number)
    gain, test_gain = (judge.gain(values[split], best.number, split) for split in SPLIT_TITLES)
    return Comparison(
        trials=trials,
        default=default.number if default is not None else None,
        metric=measure_title(metric),
        groups=tuple(group for group in groups if group.rows),
        gain=gain,
        test_gain=test_gain,
        value=_value_cell(best.value, judge.intervals("val").get(best.number), is_best=True),
        test=_value_cell(test, judge.intervals("test").get(best.number), is_best=False) if test is not None else None,
        notes=tuple(_notes(result, gain, unit)),
        same={
            name: value
            for name, value in best.parameters.items()
            if not any(differs(trial.parameters, best.parameters, name) for trial in trials)
        },
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares with the default trial."""

    result: SearchResult
    default: int | None
    #: Of all figures: trial → split → figure → interval.
    between: Mapping[int, Mapping[str, Mapping[str, Interval]]]

    @property
    def goal(self) -> str:
        """Whether more or less is better."""
        return self.result.objective.goal

    def intervals(self, split: str) -> Mapping[int, Interval]:
        """Return the intervals of the values on a split."""
        known = self.result.uncertainty
        if known is None or (split == "val" and self.result.finalists):  # these are of models trained on all data
            return {}
        return known.intervals if split == "val" else known.test_intervals

    def gain(self, values: Mapping[int, float], number: int, split: str) -> Gain | None:
        """Return the gain of a trial on a split; None where there is nothing to compare it with."""
        if self.default in (None, number) or number not in values or self.default not in values:
            return None
        if split == "test" and not self.result.is_beside_default(number):
            return None
        difference = values[number] - values[self.default]
        is_better = difference > 0 if self.goal == "maximize" else difference < 0
        known = self.result.uncertainty
        if known is None or (split == "val" and self.result.finalists):
            return Gain(difference, is_better, None)
        return Gain(difference, is_better, (known.gains if split == "val" else known.test_gains).get(number))


def _split(
    split: str,
    trials: Sequence[TrialResult],
    figures: Figures,
    values: Mapping[int, float],
    judge: _Judge,
    counts: Mapping[str, int],
    unit: str | None,
) -> Group:
    metric = judge.result.objective.metric
    rows = []
    if any(trial.number in values for trial in trials):
        best, intervals = _best([values.get(trial.number) for trial in trials], judge.goal), judge.intervals(split)
        shown = [
            _value_cell(value, intervals.get(trial.number), is_best=value is not None and value == best)
            for trial in trials
            for value in (values.get(trial.number),)
        ]
        if split == "val" and intervals:
            rows += _ranks(judge.result, trials)
        rows.append(Row(measure_title(metric), tuple(shown)))
    gains = [judge.gain(values, trial.number, split) for trial in trials]
    if any(gains):
        rows.append(Row("over the default", tuple(map(_gain_cell, gains))))
    measured = [figures.get(trial.number, {}).get(split, {}) for trial in trials]
    names = dict.fromkeys(name for one in sorted(measured, key=len, reverse=True) for name in one)
    for name in [name for name in names if name != metric and not name.startswith(_MEANS)][:_MEASURES]:
        of_trials = [judge.between.get(trial.number, {}).get(split, {}).get(name) for trial in trials]
        shown = [_value_cell(one.get(name), ends, is_best=False) for one, ends in zip(measured, of_trials, strict=True)]
        rows.append(Row(measure_title(name), tuple(shown)))
    if unit is None:
        return Group("Value", tuple(rows))
    amount = counts.get(split)
    return Group(SPLIT_TITLES[split] + (f", {count(amount, unit)}" if amount else ""), tuple(rows))


def _best(values: Sequence[float | None], goal: str) -> float | None:
    known = [value for value in values if value is not None]
    return (max if goal == "maximize" else min)(known, default=None)


def _value_cell(value: float | None, ends: Interval | None, *, is_best: bool) -> Cell:
    look = "best" if is_best else ""
    if value is None or ends is None:
        return Cell(format.number(value), look=look)
    return Cell(format.rounded(value, ends), f"{format.rounded(ends[0], ends)}–{format.rounded(ends[1], ends)}", look)


def _gain_cell(gain: Gain | None) -> Cell:
    return Cell(format.NOTHING) if gain is None else Cell(gain.text, gain.between, "gain" if gain.is_good else "")


def _ranks(result: SearchResult, trials: Sequence[TrialResult]) -> list[Row]:
    """Return the ranks of the best trials, where they were compared; the default one may be none of them."""
    known = result.uncertainty
    if known is None or not known.compared:
        return []
    order = [one.number for one in result.finalists] or [trial.number for trial in result.top]
    ranks = {number: rank_text(place, number in known.ties) for place, number in enumerate(order, start=1)}
    return [Row("rank", tuple(Cell(ranks.get(trial.number, format.NOTHING)) for trial in trials))]


def _training(trials: Sequence[TrialResult]) -> Group:
    """Return how much of their trainings was done, if it was not all of each."""
    if not any(trial.training for trial in trials):
        return Group("Training", ())
    done = [share_text(trial.epochs, trial.planned_epochs) or format.NOTHING for trial in trials]
    why = [CUT_WORDS[trial.cut_by].brief if trial.training and trial.cut_by is not None else "" for trial in trials]
    return Group("Training", (Row("epochs", tuple(map(Cell, done, why))),))


def _sample(result: SearchResult, trials: Sequence[TrialResult]) -> Group:
    """Return what those reach on all data that were searched on a sample."""
    values = {one.number: one.value for one in result.finalists}
    best = _best(list(values.values()), result.objective.goal)
    intervals = result.uncertainty.intervals if result.uncertainty is not None else {}
    cells = tuple(
        Cell("failed")
        if trial.number in values and values[trial.number] is None
        else _value_cell(
            values.get(trial.number),
            intervals.get(trial.number),
            is_best=best is not None and values.get(trial.number) == best,
        )
        for trial in trials
    )
    rows = (*_ranks(result, trials), Row(measure_title(result.objective.metric), cells)) if values else ()
    return Group("Trained on all data", rows)


def _repeats(result: SearchResult, trials: Sequence[TrialResult]) -> Group:
    """Return what the trials have reached with other seeds."""
    ranks = {one.number: place for place, one in enumerate(result.repeats, start=1)}
    known = {one.number: one for one in result.repeats}
    if not known.keys() & {trial.number for trial in trials}:
        return Group("Trained again with other seeds", ())
    means, places, seeds = [], [], []
    for trial in trials:
        one = known.get(trial.number)
        means.append(Cell(spread_text(one.mean, one.deviation) if one else format.NOTHING))
        places.append(Cell(str(ranks[trial.number]) if one and one.values else format.NOTHING))
        seeds.append(Cell(str(len(one.values)), rest_text(one.failed, one.unfinished)) if one else Cell(format.NOTHING))
    named = ("rank by mean", places), (measure_title(result.objective.metric), means), ("seeds", seeds)
    return Group("Trained again with other seeds", tuple(Row(name, tuple(cells)) for name, cells in named))


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


def _notes(result: SearchResult, gain: Gain | None, unit: str | None) -> list[str]:
    """Return how values and gains are to be read."""
    known, notes = result.uncertainty, []
    if known is not None:
        notes = [
            f"In small: 95 % intervals, by resampling the {known.unit}s; those of gains are of the same {known.unit}s.",
            standing_text(known.ties, known.compared, known.items, known.unit, in_full=known.in_full),
        ]
    elif gain is not None and unit is None:
        notes = ["The gain has no uncertainty here: nothing tells how many items the program has measured it on."]
    elif gain is not None:
        notes = ["The detailed evaluation says how far chance moves values and gains."]
    if gain is not None and unit is None:
        notes.append("The best was chosen by these very values, which flatters its gain.")
    elif gain is not None or known is not None:
        told = "The best was chosen on the validation data, which flatters it there"
        notes.append(f"{told}; the test data had no part in the choice." if result.test else f"{told}.")
    if result.repeats:
        notes.append(REPEATS_NOTE)
    return [note for note in notes if note]
