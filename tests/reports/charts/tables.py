"""Tables of trials and drawn charts as tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tunewell.reports.charts import Chart
from tunewell.reports.table import CAUSES, STATES, Goal, SearchView, TrialTable
from tunewell.spec.declaration import parse_space
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import Cause, TrialState

SPACE = parse_space({"rate": {"low": 1e-5, "high": 1e-1, "log": True}, "kind": ["a", "b", "c"]})
SVG = "{http://www.w3.org/2000/svg}"


def table(
    values: Sequence[float | None],
    *,
    goal: Goal = "maximize",
    space: SearchSpace = SPACE,
    states: Sequence[TrialState] | None = None,
    causes: Sequence[Cause | None] | None = None,
    **columns: Any,
) -> TrialTable:
    """A trial for each value, one after the other, a minute each, at random places; other `columns` as given."""
    n = len(values)
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    names = states or [TrialState.SUCCEEDED] * n
    ends = 60.0 * np.arange(1, n + 1)
    given = {
        "numbers": np.arange(1, n + 1),
        "states": np.array([STATES.index(state) for state in names], dtype=np.int8),
        "causes": np.array([CAUSES.index(c) if c else -1 for c in causes or [None] * n], dtype=np.int8),
        "origins": np.zeros(n, dtype=np.int16),
        "origin_names": ("random",),
        "values": found,
        "fidelities": np.ones(n),
        "parents": np.zeros(n, dtype=np.int64),
        "started_at": ends - 60.0,
        "ended_at": ends,
        "ended_after": ends,
        "cost_seconds": np.full(n, 60.0),
        "positions": np.random.default_rng(0).random((n, len(space))).astype(np.float32),
    }
    return TrialTable(space=space, goal=goal, **(given | columns))


def view(trials: TrialTable, **fields: Any) -> SearchView:
    """A search of these trials."""
    order = np.argsort(np.where(trials.results, trials.losses, np.inf), kind="stable")
    top = tuple(int(trials.numbers[row]) for row in order[:5] if trials.results[row])
    return SearchView(trials, **({"metric": "accuracy", "top": top} | fields))


class Drawn:
    """A chart as a browser takes it."""

    def __init__(self, chart: Chart) -> None:
        assert chart.svg is not None, chart.caption
        self.root = ElementTree.fromstring(chart.svg)

    def groups(self, *words: str) -> list[ElementTree.Element]:
        """Return the elements that have all of these words in their class."""
        return [one for one in self.root.iter() if set(words) <= set(one.get("class", "").split())]

    def trials(self, *words: str) -> list[int]:
        """Return the trials of the marks within these elements, or of all."""
        within = self.groups(*words) if words else [self.root]
        return [int(one.get("data-trial", "")) for group in within for one in group.iter() if one.get("data-trial")]

    @property
    def texts(self) -> list[str]:
        """The texts that are seen."""
        return ["".join(one.itertext()) for one in self.root.iter(f"{SVG}text")]

    @property
    def titles(self) -> list[str]:
        """What is told of marks on hover."""
        return [one.text or "" for one in self.root.iter(f"{SVG}title")]
