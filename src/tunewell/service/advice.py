"""What is to be done where time limits cut trials off before their training was done."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from datetime import timedelta

from tunewell.service import wire
from tunewell.service.types import Advice
from tunewell.spec.epochs import CUT_WORDS, share_text
from tunewell.spec.errors import count
from tunewell.spec.quantities import format_duration, parse_duration
from tunewell.spec.states import Cut, TrialState
from tunewell.store.rows import CutTrials, ExperimentRow, TrialRow

#: Times that people give, in seconds; beyond them whole days.
_STEPS = [
    *(1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90),
    *(60 * minutes for minutes in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 90)),
    *(3600 * hours for hours in (2, 3, 4, 5, 6, 8, 10, 12, 18, 24, 36, 48)),
]
#: Trials take longer or shorter: so much longer than the longest one was judged to be a trial may take.
_MARGIN = 1.5


def advise(row: ExperimentRow, best: Sequence[TrialRow], cut: Sequence[CutTrials]) -> tuple[Advice, ...]:
    """Return how much time to give an experiment, for each time limit that has cut trials of it off.

    Args:
        row: the experiment.
        best: its best trials, best first.
        cut: the trials that were cut off by time limits, a limit each.
    """
    return tuple(_advice(row, best, some) for some in cut if _is_in_force(row, some.cut_by))


def _is_in_force(row: ExperimentRow, cut_by: Cut) -> bool:
    """Whether the limit that has cut trials off is still what keeps the search: it may have been raised since."""
    return row.spec.get(cut_by.value) is not None and (cut_by is not Cut.MAX_DURATION or row.stop_rule == cut_by.value)


def _advice(row: ExperimentRow, best: Sequence[TrialRow], cut: CutTrials) -> Advice:
    field, limit = cut.cut_by.value, parse_duration(row.spec[cut.cut_by.value])
    wanted = ample(_for_trial(limit, cut) if cut.cut_by is Cut.MAX_TRIAL_DURATION else _for_search(row, limit, cut))
    started = sum(number for state, number in row.counts.items() if state is not TrialState.WAITING)
    were = "was" if cut.number == 1 else "were"
    detail = (
        f"{cut.number} of {count(started, 'trial')} {were} cut off {CUT_WORDS[cut.cut_by].why} "
        f"({field} {format_duration(limit)}){_which(best, cut.cut_by)}: give {field} {format_duration(wanted)}."
    )
    return Advice(field=field, value=format_duration(wanted), detail=detail)


def _which(best: Sequence[TrialRow], cut_by: Cut) -> str:
    """Return which of the best trials was cut off, and where."""
    place = next((place for place, trial in enumerate(best) if trial.cut_by is cut_by), None)
    if place is None:
        return ""
    trial = best[place]
    which = "the best one" if place == 0 else f"trial {trial.number} of the {len(best)} best"
    done = share_text(trial.epochs, trial.planned_epochs)
    return f", among them {which}" + (f" at epoch {done}" if done else "")


def _for_trial(limit: timedelta, cut: CutTrials) -> float:
    return max(_MARGIN * (cut.full_seconds or 0.0), 2 * limit.total_seconds())


def _for_search(row: ExperimentRow, limit: timedelta, cut: CutTrials) -> float:
    """Return in how many seconds all trials would end, judged by how far they came in the time that there was."""
    ended = sum(number for state, number in row.counts.items() if state.final)
    done = ended - cut.number + (cut.trained or cut.number / 2)
    elapsed = max(row.elapsed_seconds, limit.total_seconds())
    return max(elapsed * wire.max_trials_of(row) / done, 1.2 * elapsed)


def ample(seconds: float) -> timedelta:
    """Return the next longer time that people would give."""
    place = bisect.bisect_left(_STEPS, seconds)
    return timedelta(seconds=_STEPS[place]) if place < len(_STEPS) else timedelta(days=-(-seconds // 86400))
