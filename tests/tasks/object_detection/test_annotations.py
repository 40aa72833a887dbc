"""What is told of the objects in a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects


def test_objects_are_counted_by_their_size() -> None:
    """The side of a box counts as a share of the picture's; of training pictures alone, and without crowds."""
    sides = [1.9, 2.1, 7.9, 8.1, 40.0, 100.0, 100.0]
    boxes = np.array([[0.0, 0.0, 2 * side, side] for side in sides])  # in pictures of 200 × 100
    crowd = np.array([False] * 6 + [True])
    objects = Objects(boxes, np.zeros(7, dtype=np.int64), crowd)
    pictures = AnnotatedPictures(
        folder=Path("data"),
        paths=("a.png", "b.png", "c.png"),
        splits={"train": (0, 1), "val": (2,)},
        classes=("disc",),
        sizes=((200, 100),) * 3,
        objects=(objects, objects.chosen(np.zeros(7, dtype=bool)), objects),
    )
    assert dict(pictures.summary().sizes) == {
        "under 2 %": 1,
        "2 to 4 %": 1,
        "4 to 8 %": 1,
        "8 to 16 %": 1,
        "16 to 32 %": 0,
        "32 to 64 %": 1,
        "over 64 %": 1,
    }
