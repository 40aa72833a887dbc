"""Charts of experiments by name, drawn once for each state of an experiment and each selection of its trials."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports import charts
from tunewell.reports.importance import Importance, parameter_importances
from tunewell.reports.table import SearchView
from tunewell.service.kept import Kept
from tunewell.service.search_view import search_view
from tunewell.service.table import Tables, Trials
from tunewell.service.types import Chart, ParameterImportance, TrialFilter
from tunewell.service.verbs import ChartName
from tunewell.spec.errors import ArgumentError, NotFoundError, count, nearest
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store

#: Bytes of all charts that a process keeps.
MOST_BYTES = 32 << 20
#: Those that change with every report, and not only with what becomes of trials.
_OF_REPORTS = frozenset({"learning-curves"})
#: Those that change with time while trials run: drawn again after this share of the search's time, and these seconds.
_OF_TIME, TIME_SHARE, LEAST_SECONDS = frozenset({"timeline"}), 0.01, 5.0

Importances = Sequence[Importance] | None
#: Chart of a search → how it is drawn.
_DRAWN: Mapping[str, Callable[[SearchView], charts.Chart]] = {
    "history": charts.history_over_trials,
    "history-over-time": charts.history_over_time,
    "learning-curves": charts.learning_curves,
    "lineage": charts.lineage,
    "outcomes": charts.outcomes,
    "ribbon": charts.ribbon,
    "timeline": charts.timeline,
}
#: The same of those that show the most important parameters first.
_BY_IMPORTANCE: Mapping[str, Callable[[SearchView, Importances], charts.Chart]] = {
    "importance": charts.importance,
    "parallel": charts.parallel_coordinates,
}
#: The same of those that are about parameters, with how many.
_OF_PARAMETERS: Mapping[str, tuple[int, Callable[..., charts.Chart]]] = {
    "slice": (1, charts.parameter_slice),
    "contour": (2, charts.contour),
}


@dataclass(frozen=True, slots=True)
class _Drawn:
    #: What of the experiment it shows.
    state: Hashable
    answer: Any
    bytes: int


class Drawings:
    """The charts that a process has drawn, those asked for last. Any thread may ask."""

    def __init__(self, store: Store, tables: Tables, most_bytes: int = MOST_BYTES) -> None:
        """Draw from these tables, and keep up to `most_bytes` of charts."""
        self._store, self._tables = store, tables
        self._kept: Kept[Hashable, _Drawn] = Kept(most_bytes)

    def draw(self, name: str, chart: ChartName, of: Sequence[str], wanted: TrialFilter) -> Chart:
        """Return a chart of an experiment in which the trials that are wanted stand out.

        Raises:
            NotFoundError: there is no such experiment, chart or parameter.
            ArgumentError: it is about more or fewer parameters.
            SpecError: what is wanted can't be; see `selection.chosen`.
        """
        row = self._store.experiment(name)  # before its trials: what it says of them they then have
        trials = self._tables.of(name)
        _check(chart, of, trials.table.space)

        as_of = _as_of(row, time.time()) if chart in _OF_TIME else None

        def make() -> Chart:
            view = search_view(self._store, row, trials, wanted, with_curves=chart in _OF_REPORTS, as_of=as_of)
            if chart in _OF_PARAMETERS:
                found = _OF_PARAMETERS[chart][1](view, *of)
            elif chart in _BY_IMPORTANCE:
                found = _BY_IMPORTANCE[chart](view, self._importances(row, trials))
            else:
                found = _DRAWN[chart](view)
            return Chart(title=found.title, caption=found.caption, svg=found.svg)

        drawn: Chart = self._once(row, trials, (chart, *of, wanted.model_dump_json()), make, as_of)
        return drawn

    def importances(self, name: str) -> tuple[ParameterImportance, ...]:
        """Return how much each parameter matters, the most important first; none: there are too few trials."""
        row = self._store.experiment(name)
        found = self._importances(row, self._tables.of(name)) or ()
        told = [ParameterImportance(parameter=i.parameter, share=i.share, low=i.low, high=i.high) for i in found]
        return tuple(sorted(told, key=lambda one: -one.share))

    def _importances(self, row: ExperimentRow, trials: Trials) -> Importances:
        found: Importances = self._once(row, trials, ("importances",), lambda: parameter_importances(trials.table))
        return found

    def _once(
        self,
        row: ExperimentRow,
        trials: Trials,
        key: tuple[str, ...],
        make: Callable[[], Any],
        as_of: float | None = None,
    ) -> Any:
        """Return what `make` makes, or has made of this state of the experiment, as of the same moment."""
        state = row.id, row.revision, trials.event, row.version if key[0] in _OF_REPORTS else 0, as_of

        def renew(known: _Drawn | None) -> _Drawn:
            if known is not None and known.state == state:
                return known
            answer = make()
            return _Drawn(state, answer, len(answer.model_dump_json()) if isinstance(answer, Chart) else 1000)

        return self._kept.get((row.name, *key), renew).answer


def _as_of(row: ExperimentRow, now: float) -> float | None:
    """Return until when trials that run are drawn, a moment that stays for a while; None: none runs."""
    if row.started_at is None or not row.counts.get(TrialState.RUNNING):
        return None
    wanted = max(LEAST_SECONDS, TIME_SHARE * (now - row.started_at))
    step = math.ldexp(LEAST_SECONDS, math.ceil(math.log2(wanted / LEAST_SECONDS)))
    return math.floor(now / step) * step


def _check(chart: str, of: Sequence[str], space: SearchSpace) -> None:
    every = (*_DRAWN, *_BY_IMPORTANCE, *_OF_PARAMETERS)
    if chart not in every:
        raise NotFoundError(f"There is no chart '{chart}'", remedy=nearest(chart, every))
    amount = _OF_PARAMETERS[chart][0] if chart in _OF_PARAMETERS else 0
    if len(of) != amount:
        raise ArgumentError("of", f"this chart is about {count(amount, 'parameter')}, not {len(of)}", "Name as many")
    for name in of:
        if name not in space:
            raise NotFoundError(f"There is no parameter '{name}'", remedy=nearest(name, space.names))
