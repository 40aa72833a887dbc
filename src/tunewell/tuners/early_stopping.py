"""Early stopping: which running trials are not worth going on with.

Two rules, both silent until they know enough:

- **median** (Golovin et al. 2017, "Google Vizier", section 3.2.2): a trial ends if its best objective so far is
  worse than the median of what full trainings had as their best at that step (there: of their averages up to it).
- **halving** (asynchronous successive halving, Li et al. 2020, arXiv:1810.05934, in the form that stops trials instead
  of promoting them, as in Ray Tune): at steps a factor of η apart, a trial goes on only if it is among the best 1/η
  of all that came there.

Knowing enough: so many full trainings have ended, and among them the order at this step was much the order at the
end (Spearman's rank correlation). Where curves cross, as they do when learning-rate schedules differ, neither rule
ends anything; nor does it where trials report once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from tunewell.spec.experiment import EarlyStoppingRule
from tunewell.spec.states import TrialState
from tunewell.tuners.ranks import correlation, mean_ranks

#: Full trainings before anything is ended.
LEAST_FINISHED = 5
#: Least rank correlation between the values at a step and the final ones.
LEAST_CORRELATION = 0.6
#: Share of the longest training in which nothing is ended: its warm-up.
WARM_UP = 0.1
#: Factor between the steps at which halving looks, and share that it keeps.
ETA = 3
#: Latest trials that are compared with: bounds the work of a report.
MOST_COMPARED = 300


@dataclass(frozen=True, slots=True)
class _Curve:
    """Steps of a trial in their order, and the best objective up to each; larger is better."""

    steps: list[int]
    best: list[float]

    @classmethod
    def of(cls, values: Mapping[int, float], sign: float) -> _Curve:
        steps = sorted(values)
        return cls(steps, list(accumulate((sign * values[step] for step in steps), max)))

    def at(self, step: int) -> float:
        place = bisect_right(self.steps, step)
        return self.best[place - 1] if place else -math.inf


@dataclass(slots=True)
class EarlyStopping:
    """Remembers learning curves and judges running trials by them."""

    #: Nothing is ended early by rules other than `median` and `halving`.
    rule: EarlyStoppingRule
    #: 1 if the objective is maximised, -1 if it is minimised.
    sign: float
    #: Trial number → its curve; the latest ones of those that have ended.
    _finished: OrderedDict[int, _Curve] = field(default_factory=OrderedDict)
    _ended_early: OrderedDict[int, _Curve] = field(default_factory=OrderedDict)
    _running: dict[int, _Curve] = field(default_factory=dict)

    @property
    def _judges(self) -> bool:
        return self.rule in ("median", "halving")

    def note_end(self, number: int, curve: Mapping[int, float], state: TrialState) -> None:
        """Take note of how a trial ended; a later end of the same one replaces the earlier, failures say nothing."""
        for curves in (self._running, self._finished, self._ended_early):
            curves.pop(number, None)
        if not self._judges or not curve or state is TrialState.FAILED:
            return
        curves = self._finished if state is TrialState.SUCCEEDED else self._ended_early
        curves[number] = _Curve.of(curve, self.sign)
        if len(curves) > MOST_COMPARED:
            curves.popitem(last=False)

    def is_worth_going_on(self, number: int, values: dict[int, float]) -> bool:
        """Say whether a running trial with these objectives (step → value) is worth going on with."""
        if not self._judges or not values:
            return True
        curve = self._running[number] = self._curve(number, values)
        step, longest = curve.steps[-1], max((known.steps[-1] for known in self._finished.values()), default=0)
        if len(self._finished) < LEAST_FINISHED or not WARM_UP * longest < step < longest:
            return True
        if self.rule == "halving" and step not in rungs(longest):
            return True
        then = [known.at(step) for known in self._finished.values()]
        final = [known.best[-1] for known in self._finished.values()]
        if correlation(mean_ranks(np.array(then)), mean_ranks(np.array(final))) < LEAST_CORRELATION:
            return True
        if self.rule == "median":
            return curve.best[-1] >= float(np.median(then))
        running = [known for trial, known in self._running.items() if trial != number]
        then += [known.at(step) for known in (*self._ended_early.values(), *running) if known.steps[-1] >= step]
        return sum(value > curve.best[-1] for value in then) < math.ceil((len(then) + 1) / ETA)

    def _curve(self, number: int, values: dict[int, float]) -> _Curve:
        """Return the curve of a running trial; one that has got one step more is not made again."""
        known, latest = self._running.get(number), next(reversed(values))
        if known is None or len(values) != len(known.steps) + 1 or latest < known.steps[-1]:
            return _Curve.of(values, self.sign)
        known.steps.append(latest)
        known.best.append(max(known.best[-1], self.sign * values[latest]))
        return known


def rungs(longest: int) -> set[int]:
    """Return the steps at which halving looks: the longest training divided by η, η², …"""
    found: set[int] = set()
    while longest > 1:
        longest = max(1, round(longest / ETA))
        found.add(longest)
    return found
