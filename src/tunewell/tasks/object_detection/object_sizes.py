"""How large the objects of a data set are, and how many a picture has; see `fitting` for what follows from it.

Symbols: n objects. The pictures to train and to validate on count, which the final model learns from; crowds don't.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures

#: Share of the objects that may be too small to be found.
SMALLEST_SHARE = 0.1
#: Detections of a picture: as many as COCO's metrics look at, or half as many again as the fullest picture has
#: objects, in such steps.
USUAL_DETECTIONS = 100
_ROOM = 1.5
_STEP = 50
#: Most detections of a picture, whatever is in it: beyond, what looks at each pair of them takes too long.
MOST_DETECTIONS = 1000


@dataclass(frozen=True, slots=True)
class ObjectSizes:
    """The objects of a data set by size."""

    #: Width and height of each object as shares of its picture's longer side, float64 (n, 2).
    shares: np.ndarray
    #: Number of objects of each picture, (pictures,).
    numbers: np.ndarray

    @classmethod
    def of(cls, annotated: AnnotatedPictures) -> ObjectSizes:
        """Return what the pictures to train and to validate on show."""
        shares, numbers = [np.zeros((0, 2))], []
        for position in chain(annotated.splits.get("train", ()), annotated.splits.get("val", ())):
            objects = annotated.objects[position]
            boxes = objects.boxes[~objects.crowd]
            shares.append((boxes[:, 2:] - boxes[:, :2]) / max(annotated.sizes[position]))
            numbers.append(len(boxes))
        return cls(np.concatenate(shares), np.asarray(numbers, dtype=np.int64))

    def __len__(self) -> int:
        """Return n."""
        return len(self.shares)

    def share_at(self, quantile: float) -> float:
        """Return a quantile of the objects' sides (the roots of their areas), as a share of the longer side."""
        return float(np.quantile(np.sqrt(self.shares.prod(axis=1)), quantile))

    @property
    def most(self) -> int:
        """Return how many objects the fullest picture has."""
        return int(self.numbers.max(initial=0))


def detections_for(most: int) -> int:
    """Return how many detections of a picture are wanted where the fullest one has `most` objects."""
    wanted = _STEP * int(np.ceil(_ROOM * most / _STEP))
    return min(max(USUAL_DETECTIONS, wanted), MOST_DETECTIONS)
