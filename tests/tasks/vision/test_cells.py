"""Which pictures are kept of a confusion matrix."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tasks.vision.cells import OF_A_CELL, OF_ALL, THRESHOLDS, chosen_of_cells, counts_by_threshold


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(0, 1)), max_size=600))
def test_however_many_there_are_few_are_kept(items: list[tuple[int, int, float]]) -> None:
    """Each kept item lies in its cell; neither a cell nor all together have more than their share."""
    true, predicted, sureness = (list(column) for column in zip(*items, strict=True)) if items else ([], [], [])
    kept = chosen_of_cells(true, predicted, sureness)
    for cell, places in kept.items():
        assert 0 < len(places) <= OF_A_CELL
        assert all((true[place], predicted[place]) == cell for place in places)
    for on_diagonal in (True, False):
        assert sum(len(p) for cell, p in kept.items() if (cell[0] == cell[1]) == on_diagonal) <= OF_ALL


def test_the_fullest_cells_of_mistakes_come_first() -> None:
    """Where there are too many cells of mistakes, those with one picture are left out before those with many."""
    classes = 2 * OF_ALL
    rare = [(label, label + 1) for label in range(classes)]
    often = [(classes, 0)] * 9
    cells = [*rare, *often]
    kept = chosen_of_cells([cell[0] for cell in cells], [cell[1] for cell in cells], [0.5] * len(cells))
    assert len(kept[classes, 0]) == OF_A_CELL
    assert sum(map(len, kept.values())) == OF_ALL


def test_counts_by_threshold_are_those_of_what_passes() -> None:
    """A decision counts from its own score downwards, for its class, as JSON types."""
    scores, labels = np.array([0.9, 0.5, 0.1]), np.array([0, 1, 1])
    found = json.loads(json.dumps(counts_by_threshold(scores, labels, np.array([True, False, True]), 3)))
    at = {threshold: place for place, threshold in enumerate(found["thresholds"])}
    assert tuple(at) == THRESHOLDS
    assert (found["given"][at[0.05]], found["hits"][at[0.05]]) == ([1, 2, 0], [1, 1, 0])
    assert (found["given"][at[0.5]], found["hits"][at[0.5]]) == ([1, 1, 0], [1, 0, 0])
    assert found["given"][at[0.95]] == [0, 0, 0]
