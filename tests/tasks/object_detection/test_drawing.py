"""Pictures with objects drawn in."""

from __future__ import annotations

import numpy as np

from tunewell.tasks.object_detection.drawing import Mark, drawn


def test_no_box_crosses_out_a_name() -> None:
    """Names lie above the boxes of all other objects, be they surer."""
    picture = np.zeros((100, 120, 3), dtype=np.uint8)
    unsure = Mark((20, 30, 110, 90), 0, "unsure one")
    crossing = Mark((40, 5, 118, 80), 1, "a name too wide to be written here")
    alone = np.asarray(drawn(picture, (120, 100), [unsure]))
    both = np.asarray(drawn(picture, (120, 100), [crossing, unsure]))
    name = alone.any(axis=2) & (np.arange(100)[:, None] < 30)
    assert name[:, 40].any()
    assert (both[name] == alone[name]).all()
    assert both[:30, 40].any(axis=1).sum() > name[:, 40].sum()
