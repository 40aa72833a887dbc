"""The reports of an attempt in the order in which they came, and the steps that they are recorded at.

What counts is the order: the value of a trial is what it reported last. Steps that begin again, as when fine-tuning
counts its epochs from 1 again or another fold begins, are counted on behind the last one. At one and the same step the
last of several values counts.
"""

from __future__ import annotations

from dataclasses import replace

from tunewell.spec.launch import Report
from tunewell.spec.text import clean

#: Beyond this, a database can't hold a step, or steps that count on from it.
LARGEST_STEP = 2**53
#: Characters of a metric's name that are kept.
LONGEST_NAME = 200
#: Notes of a trial on its own reports that are kept, and characters of each.
MOST_NOTES, LONGEST_NOTE = 5, 500


class Sequence:
    """Places the reports of one attempt, one after the other. The same reports are placed in the same way again."""

    def __init__(self, metric: str) -> None:
        """Begin without a report; `metric` is the objective."""
        self._metric = metric
        #: Largest step at which one is recorded; None: none is yet.
        self.last_step: int | None = None
        #: Metric → the step at which it is recorded last, and what is added to the steps that the trial gives.
        self._last: dict[str, int] = {}
        self._shift: dict[str, int] = {}
        self._value = 0.0
        self._restarts = 0
        self._first_restart = ""
        self._replaced = 0
        self._first_replaced = ""
        self._names: dict[str, str] = {}
        self._steps_refused = 0
        #: What the trial itself says of its reports, once however often.
        self._given: dict[str, None] = {}

    def place(self, report: Report) -> Report:
        """Return the report as it is to be recorded."""
        metrics = {self._clean(name): value for name, value in report.metrics.items()}
        step = self._step(report, metrics)
        self.last_step = step if self.last_step is None else max(self.last_step, step)
        self._note_replaced(report, step, metrics)
        self._last.update(dict.fromkeys(metrics, step))
        self._shift.update(dict.fromkeys(metrics, step - report.step))
        self._value = metrics.get(self._metric, self._value)
        if report.note and len(self._given) < MOST_NOTES:
            self._given[report.note[:LONGEST_NOTE]] = None
        return replace(report, step=step, metrics=metrics)

    def notes(self) -> tuple[str, ...]:
        """Return sentences on reports that are recorded in another way than they were given, or not at all."""
        notes = []
        if self._restarts:
            notes.append(
                f"The steps of {self._metric} started again and are counted on: "
                f"{self._first_restart}{_and_more(self._restarts)}."
            )
        if self._replaced:
            notes.append(
                f"{self._metric} was reported again for the same step with another value, and the last one counts: "
                f"{self._first_replaced}{_and_more(self._replaced)}."
            )
        if self._names:
            first, shown = next(iter(self._names.items()))
            notes.append(
                "Names of metrics that can't be kept as they are were changed, such as "
                f"{first[:60]!a} to '{shown[:60]}'."
            )
        if self._steps_refused:
            notes.append(f"Steps beyond {LARGEST_STEP:,} were taken for the next one{_and_more(self._steps_refused)}.")
        return (*notes, *self._given)

    def _step(self, report: Report, metrics: dict[str, float]) -> int:
        known = [self._last[name] for name in metrics if name in self._last]
        following = max(known, default=0) + 1
        step = report.step + max((self._shift.get(name, 0) for name in metrics), default=0)
        if abs(step) > LARGEST_STEP:
            self._steps_refused += 1
            return following
        if step >= max(known, default=step):
            return step
        before = self._last.get(self._metric)
        if self._metric in metrics and before is not None:
            self._restarts += 1
            given = before - self._shift[self._metric]
            where = f" ({report.line})" if report.line else ""
            self._first_restart = (
                self._first_restart or f"step {report.step} came after step {given}{where}, as step {following}"
            )
        return following

    def _note_replaced(self, report: Report, step: int, metrics: dict[str, float]) -> None:
        value = metrics.get(self._metric)
        if value is None or self._last.get(self._metric) != step or value == self._value:
            return
        self._replaced += 1
        where = f" ({report.line})" if report.line else ""
        self._first_replaced = self._first_replaced or f"step {report.step}, {self._value:.6g}, then {value:.6g}{where}"

    def _clean(self, name: str) -> str:
        if name == self._metric or (len(name) <= LONGEST_NAME and name.isprintable()):
            return name
        kept = clean(name[:LONGEST_NAME])
        if kept != name:
            self._names.setdefault(name[: 2 * LONGEST_NAME], kept)
        return kept


def _and_more(times: int) -> str:
    return "" if times == 1 else f" (and {times - 1:,} more)"
