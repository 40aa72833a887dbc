"""What the jobs of all picture tasks share. A job runs supervised, in a folder of its own, like a trial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.cache import decode, is_intact, load_cached_pixels
from tunewell.tasks.vision.content import are_same
from tunewell.tasks.vision.device import configure_torch
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.pictures import SQUASH, ResizeRule
from tunewell.tasks.vision.prepared import Prepared
from tunewell.tasks.vision.training import failures_named
from tunewell.trial import fail


@contextmanager
def arguments_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is in `job.json`; end the job with a cause and one sentence if the block fails in a known way."""
    configure_torch()
    try:
        with failures_named():
            yield json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except OSError as error:
        if error.filename is None:
            raise
        fail("data_error", f"{error.filename}: it can't be read or written ({error.strerror}).")


def shared_pixels(prepared: Prepared, pictures: PictureSet, image_size: int, rule: ResizeRule = SQUASH) -> np.ndarray:
    """Return the decoded pictures of the whole data set; they are decoded anew if the cache was emptied or damaged.

    Raises:
        DataError: the data set has changed meanwhile, or the cache can't be written.
    """
    folder = Path(prepared.pixels[image_size])
    if not is_intact(folder, pictures, image_size):
        if not are_same(pictures, prepared, pictures):
            raise DataError(f"{pictures.folder}: the data set has changed since the experiment began. Restore it.")
        cache = folder.parent.parent
        decode(pictures, prepared.fingerprint, image_size, cache, lambda what, done, total: None, rule)
    return load_cached_pixels(folder)
