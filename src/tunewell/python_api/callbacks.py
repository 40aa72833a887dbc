"""Functions of a program that are called as its search goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tunewell.service.runs import Situation
from tunewell.service.types import Trial
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import DataError

log = logging.getLogger("tunewell")

#: Is given a trial as it is on record.
OnTrial = Callable[[Trial], object]


class Callbacks:
    """Calls the functions of a program, in its thread, for each trial that ends from now on, in that order.

    What they raise ends no search, since nothing of it is wrong then: it is logged, with its trace the first time.
    """

    def __init__(
        self, verbs: Verbs, name: str, on_trial_end: OnTrial | None = None, on_improvement: OnTrial | None = None
    ) -> None:
        """Watch experiment `name`; None: nothing is called."""
        self._verbs, self._name = verbs, name
        self._on_trial_end, self._on_improvement = on_trial_end, on_improvement
        self._failed: set[OnTrial] = set()
        self._after = self._best = 0
        if on_trial_end is not None or on_improvement is not None:
            self._after, self._best = _last_event(verbs, name), self._number_of_best()

    def update(self, run: Situation | None = None) -> None:
        """Call what there is to be called."""
        del run
        if self._on_trial_end is None and self._on_improvement is None:
            return
        try:
            self._look()
        except DataError:  # what can't be read now is read later
            return

    def _look(self) -> None:
        while events := self._verbs.events(self._name, self._after, MOST):
            for event in events:
                if event.kind == "ended" and event.trial is not None:
                    trial = self._verbs.trial(self._name, event.trial)
                    self._after = event.id
                    if trial.state.final:  # else it is to run again
                        self._call("on_trial_end", self._on_trial_end, trial)
            self._after = events[-1].id
        best = self._number_of_best()
        if best not in (self._best, 0):
            trial = self._verbs.trial(self._name, best)
            self._best = best
            self._call("on_improvement", self._on_improvement, trial)

    def _number_of_best(self) -> int:
        """Return the number of the best trial, 0 if there is none."""
        if self._on_improvement is None:
            return 0
        return next((trial.number for trial in self._verbs.top(self._name, 1)), 0)

    def _call(self, name: str, function: OnTrial | None, trial: Trial) -> None:
        if function is None:
            return
        try:
            function(trial)
        except Exception as error:
            is_first = function not in self._failed
            self._failed.add(function)
            what = f"{type(error).__name__}: {error}"
            log.error("%s failed at trial %d, and the search goes on: %s", name, trial.number, what, exc_info=is_first)


def _last_event(verbs: Verbs, name: str) -> int:
    """Return the id of the latest event of an experiment, 0 if it has none, in few looks however many there are."""

    def after(id: int) -> int:
        return next((event.id for event in verbs.events(name, id, 1)), 0)

    latest, bound = 0, 1
    while found := after(bound):
        latest, bound = found, 2 * found
    while latest < bound:  # nothing comes after `bound`
        middle = (latest + bound) // 2
        found = after(middle)
        latest, bound = (found, bound) if found else (latest, middle)
    return latest
