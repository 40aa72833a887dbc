"""How far chance moves what the best trials have reached, and which of them are ties; from the recorded evaluations.

A value and its interval are of the same model: that of the trial, or of its training on all data, if it had one. Trials
are compared on the same resamples of the same items (see `tunewell.tasks.uncertainty`), and with the default one only
if both have learned from as much of the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewell.service import on_record
from tunewell.service.types import Interval, Uncertainty
from tunewell.spec.epochs import training_text
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tasks.uncertainty import interval, is_tie

#: What is measured on a split is the value of the trial if they differ by no more.
_SAME = 1e-6


def uncertainty_of(
    store: Store, row: ExperimentRow, default: TrialRow | None, recorded: Mapping[int, Any]
) -> Uncertainty | None:
    """Return how far chance moves the objective of the best trials and the default one; None: nothing tells it.

    `recorded` is what is on record of the evaluations (`on_record.evaluated`). Nothing tells it where the trial that
    ranks first was not evaluated, or its model is not the one that its value is of.
    """
    if not recorded:
        return None
    metric = str(row.spec["objective"]["metric"])
    trained = on_record.values_on_all_data(store, row.name)
    order = on_record.ranked(store, row)
    trials = order if default is None else [*order, default]
    values = {trial.number: trained.get(trial.number, trial.value) for trial in trials}
    measured = {
        number: _Measured(data, metric)
        for number, data in recorded.items()
        if _is_same(data["figures"].get("val", {}).get(metric), values.get(number))
    }
    # What was trained on a sample is no rival of what was trained on all data.
    numbers = [trial.number for trial in order if not trained or trial.number in trained]
    samples = {n: sample for n in numbers if n in measured and (sample := measured[n].sample("val")) is not None}
    if not samples or next(iter(samples)) != numbers[0]:
        return None
    first, *rivals = samples
    like_default = default is not None and default.number in trained
    beside = {number: one for number, one in measured.items() if (number in trained) == like_default}
    return Uncertainty(
        items=samples[first].items,
        unit=measured[first].unit,
        intervals=_intervals(measured, "val"),
        test_intervals=_intervals(measured, "test"),
        gains=_gains(beside, default, "val"),
        test_gains=_gains(beside, default, "test"),
        compared=tuple(rivals),
        ties=tuple(n for n in rivals if samples[first].ties(samples[n], len(rivals))),
        in_full=bool(trained) or all(_is_in_full(trial) for trial in order if trial.number in samples),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """The objective of a model on the resamples of a split."""

    items: int
    values: np.ndarray

    def ties(self, other: _Sample, comparisons: int) -> bool:
        """Whether two models can't be told apart."""
        return other.items == self.items and is_tie(self.values, other.values, self.items, comparisons)

    def gain(self, other: _Sample | None) -> Interval | None:
        """Return the interval of the difference to another model; None where they were measured on others."""
        if other is None or other.items != self.items:
            return None
        return interval(self.values - other.values, self.items)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What an evaluation has on record."""

    data: Mapping[str, Any]
    metric: str

    @property
    def unit(self) -> str:
        """What an item is."""
        return str(self.data["unit"])

    def interval(self, split: str) -> Interval | None:
        """Return the interval of the objective on a split."""
        ends = self.data["intervals"].get(split, {}).get(self.metric)
        return None if ends is None else (ends[0], ends[1])

    def sample(self, split: str) -> _Sample | None:
        """Return the objective on the resamples of a split."""
        found = self.data["resampled"].get(split)
        return None if found is None else _Sample(found["items"], np.array(found["values"], dtype=np.float64))


def _is_in_full(trial: TrialRow) -> bool:
    """Whether nothing has kept a trial from its full training, as far as that is known."""
    return trial.fidelity == 1 and not training_text(trial.epochs, trial.planned_epochs, trial.cut_by)


def _is_same(figure: float | None, value: float | None) -> bool:
    return figure is not None and value is not None and math.isclose(figure, value, rel_tol=_SAME, abs_tol=_SAME)


def _intervals(measured: Mapping[int, _Measured], split: str) -> dict[int, Interval]:
    found = {number: one.interval(split) for number, one in measured.items()}
    return {number: ends for number, ends in found.items() if ends is not None}


def _gains(measured: Mapping[int, _Measured], default: TrialRow | None, split: str) -> dict[int, Interval]:
    """Return the intervals of what the trials have over the default one."""
    base = measured[default.number].sample(split) if default is not None and default.number in measured else None
    if default is None or base is None:
        return {}
    samples = {number: one.sample(split) for number, one in measured.items() if number != default.number}
    found = {number: one.gain(base) for number, one in samples.items() if one is not None}
    return {number: ends for number, ends in found.items() if ends is not None}
