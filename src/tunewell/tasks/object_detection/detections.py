"""What a network finds in pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.spec.errors import DataError


@dataclass(frozen=True, slots=True)
class Detections:
    """The n detections in one picture, the surest first."""

    #: float64 (n, 4): x0, y0, x1, y1 in pixels of the original picture
    boxes: np.ndarray
    #: float64 (n,), from 0 to 1
    scores: np.ndarray
    #: int64 (n,), indices into the classes
    labels: np.ndarray
    #: Run-length encodings at the size of the original picture, counts as text; None: the network gives none.
    masks: tuple[dict[str, Any], ...] | None = None

    def __len__(self) -> int:
        """Return n."""
        return len(self.scores)

    def above(self, threshold: float) -> Detections:
        """Return the detections with at least this score."""
        count = int((self.scores >= threshold).sum())
        masks = None if self.masks is None else self.masks[:count]
        return Detections(self.boxes[:count], self.scores[:count], self.labels[:count], masks)


def save_detections(path: Path, found: Mapping[int, Detections]) -> None:
    """Write position → detections as JSON, whole or not at all, and every digit: they are what was measured."""
    content = {
        str(position): {
            "boxes": item.boxes.tolist(),
            "scores": item.scores.tolist(),
            "labels": item.labels.tolist(),
            "masks": item.masks,
        }
        for position, item in found.items()
    }
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(content))
    beside.replace(path)


def load_detections(path: Path) -> dict[int, Detections]:
    """Return what `save_detections` wrote; raise `DataError` if the file is damaged."""
    try:
        return {int(position): _from_json(fields) for position, fields in json.loads(path.read_text()).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError("these detections of a trial are damaged", field=str(path), remedy="Restore them") from None


def are_finite(found: Sequence[Detections]) -> bool:
    """Whether all boxes and scores are finite numbers."""
    return all(np.isfinite(item.boxes).all() and np.isfinite(item.scores).all() for item in found)


def _from_json(fields: Mapping[str, Any]) -> Detections:
    return Detections(
        np.asarray(fields["boxes"], dtype=np.float64).reshape(-1, 4),
        np.asarray(fields["scores"], dtype=np.float64),
        np.asarray(fields["labels"], dtype=np.int64),
        None if fields["masks"] is None else tuple(fields["masks"]),
    )
