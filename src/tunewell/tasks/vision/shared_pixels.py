"""The decoded pictures of a data set, for its trials and jobs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.cache import decode, is_intact, load_cached_pixels
from tunewell.tasks.vision.content import are_same
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.resize_rules import SQUASH, ResizeRule
from tunewell.tasks.vision.task_file import Prepared


def shared_pixels(prepared: Prepared, pictures: PictureSet, image_size: int, rule: ResizeRule = SQUASH) -> np.ndarray:
    """Return the decoded pictures of the whole data set; they are decoded again if the cache was emptied or damaged.

    Raises:
        DataError: the data set has changed meanwhile, or is not here; or the cache can't be written.
    """
    folder = Path(prepared.pixels[image_size])
    if not is_intact(folder, pictures, image_size):
        if not os.path.isdir(pictures.folder):  # noqa: PTH112 - as in `places`
            raise DataError(
                f"these decoded pictures are missing or damaged, and there is no {pictures.folder} to decode them from",
                field=str(folder),
                remedy="Restore the pictures",
            )
        if not are_same(pictures, prepared, pictures):
            raise DataError(
                "the data set has changed since the experiment began", field=str(pictures.folder), remedy="Restore it"
            )
        cache = folder.parent.parent
        decode(pictures, prepared.fingerprint, image_size, cache, lambda what, done, total: None, rule)
    return load_cached_pixels(folder)
