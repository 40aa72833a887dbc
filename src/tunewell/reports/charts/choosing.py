"""Which trials are drawn, where there are more than a browser draws quickly."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import Flags, SearchView

#: Most trials that are marked in one chart, those that matter not counted, and in one of several beside each other.
MOST_POINTS = 1000
FEW_POINTS = 500
#: Up to this number of trials in a chart their marks are large.
FEW = 200
#: Most learning curves that are drawn besides those of the best trials.
FADED_CURVES = 150


def drawn(view: SearchView, candidates: Flags, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return the places of the candidates that are drawn: the best, the default, and of all others evenly chosen.

    Those that stand out by a choice are chosen for themselves. Which are drawn depends on their numbers alone, so that
    charts beside each other show the same trials, and few change when others join them.
    """
    places = np.flatnonzero(candidates)
    numbers = view.table.numbers[places]
    kept = np.isin(numbers, [*view.top, view.default_trial or 0]) | _evenly(numbers, most)
    if view.chosen is not None:
        chosen = view.chosen[places]
        kept[chosen] |= _evenly(numbers[chosen], most)
    return places[kept]


def curved(numbers: NDArray[np.int64], top: Collection[int]) -> list[int]:
    """Return those of the trials with these numbers whose learning curves are drawn: the best, and some others."""
    kept = np.isin(numbers, list(top)) | _evenly(numbers, FADED_CURVES)
    return [int(number) for number in numbers[kept]]


def _evenly(numbers: NDArray[np.int64], most: int) -> Flags:
    """Return which of the numbers are chosen, about `most`: multiples of the golden ratio have even fractions."""
    chosen: Flags = (numbers * 0.6180339887498949) % 1 < most / max(len(numbers), 1)
    return chosen


def thinning(view: SearchView, candidates: Flags, shown: NDArray[np.int64]) -> str:
    """Return a sentence on how many of the candidates are drawn; empty: all."""
    amount = int(candidates.sum())
    return "" if len(shown) == amount else f"Of {amount} trials, {len(shown)} are drawn."


def sentences(*parts: str) -> str:
    """Return sentences one after another; empty ones are left out."""
    return " ".join(part for part in parts if part)
