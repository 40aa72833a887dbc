"""Which pictures are kept of each cell of a confusion matrix: enough to see what goes wrong, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Most items that are kept of a cell; of all cells off the diagonal together, and of all on it.
OF_A_CELL = 8
OF_ALL = 120
#: Thresholds that figures are given at.
THRESHOLDS = tuple(step / 20 for step in range(1, 20))

Cell = tuple[int, int]


def chosen_of_cells(true: Sequence[int], predicted: Sequence[int], sureness: Sequence[float]) -> dict[Cell, list[int]]:
    """Return cell (row, column) → places of the items that are kept of it.

    Of mistakes, the fullest cells come first, and in each what the model was surest of; on the diagonal, each class has
    as many as another, those that the model was least sure of.

    Args:
        true: row of each item.
        predicted: column of each item.
        sureness: how sure the model was of each, from 0 to 1.
    """
    cells: dict[Cell, list[int]] = {}
    for place, cell in enumerate(zip(true, predicted, strict=True)):
        cells.setdefault((int(cell[0]), int(cell[1])), []).append(place)
    mistakes = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-len(cells[cell]), cell))
    right = sorted(cell for cell in cells if cell[0] == cell[1])
    kept: dict[Cell, list[int]] = {}
    left = OF_ALL
    for cell in mistakes:
        surest = sorted(cells[cell], key=lambda place: -sureness[place])[: min(OF_A_CELL, left)]
        if surest:
            kept[cell] = surest
        left -= len(surest)
    each = min(OF_A_CELL, OF_ALL // max(len(right), 1))
    for cell in right if each else ():
        kept[cell] = sorted(cells[cell], key=lambda place: sureness[place])[:each]
    return kept


def counts_by_threshold(scores: np.ndarray, labels: np.ndarray, hits: np.ndarray, classes: int) -> dict[str, object]:
    """Return what would be given from each of `THRESHOLDS` on, and how much of it rightly, as JSON types.

    ::

        {"thresholds": [0.05, …], "given": [[of the first class, …], …], "hits": [[…], …]}

    Args:
        scores: of each decision that could be taken, (D,).
        labels: class that each is for, (D,).
        hits: whether it would be right, bool (D,).
        classes: how many there are.
    """
    given, right = [], []
    for threshold in THRESHOLDS:
        chosen = scores >= threshold
        given.append(np.bincount(labels[chosen], minlength=classes).tolist())
        right.append(np.bincount(labels[chosen & hits], minlength=classes).tolist())
    return {"thresholds": list(THRESHOLDS), "given": given, "hits": right}
