"""A look at every picture of a data set before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from tunewell.spec.errors import DataError
from tunewell.tasks.contract import OnProgress
from tunewell.tasks.data_view import DataView, Sample
from tunewell.tasks.vision.cache import decode
from tunewell.tasks.vision.inspection import copies_in_train, note_frames, refusal_of
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.pictures import PictureError, data_uri

#: Side in pixels at which every picture is decoded to see whether it can be: enough to find truncated ones.
_SIDE = 16
#: Pictures that are shown of each class, classes that are shown, and copies.
_EXAMPLES = 6
_CLASSES = 50
_COPIES = 12


def view_data(
    pictures: PictureSet,
    draw: Callable[[int], np.ndarray],
    width: int,
    progress: OnProgress,
) -> DataView:
    """Decode every picture, and show some: of each class the first in train, best such as were not shown before.

    Args:
        pictures: the data set.
        draw: position → the picture, with what is known of it, uint8 (H, W, 3).
        width: of these in pixels, at most.
        progress: told how far it is.

    Raises:
        DataError: a picture could be decoded, but can't be shown.
    """
    with TemporaryDirectory() as folder:
        decoded = decode(pictures, "view", _SIDE, Path(folder), progress)

    def shown(position: int, where: str = "", what: str = "") -> Sample:
        try:
            image = Image.fromarray(draw(position))
        except PictureError as error:  # at this size only, or since a moment ago
            raise DataError(
                f"it can't be read ({error})", field=str(pictures.path(position)), remedy="Repair or remove it"
            ) from None
        return Sample(where + pictures.paths[position] + what, data_uri(image))

    refusal = refusal_of(pictures, decoded.broken)
    of_class = pictures.of_class()
    chosen: dict[str, list[int]] = {}
    used: set[int] = set()
    for name, positions in list(of_class.items())[:_CLASSES]:
        whole = [position for position in positions if position not in decoded.broken]
        chosen[name] = sorted(sorted(whole, key=used.__contains__)[:_EXAMPLES])
        used.update(chosen[name])
    labels = {position: _labels(pictures, of_class, position) for position in used}
    kept = pictures.without(decoded.broken)
    copies = [
        (split, *pair)
        for split in kept.splits
        if split != "train"
        for pair in copies_in_train(kept, decoded.digests, split)
    ]
    return DataView(
        summary=replace(
            pictures,
            # A split of which nothing is left stays, with none.
            splits={split: kept.splits.get(split, ()) for split in pictures.splits},
            notes=(*pictures.notes, *note_frames(pictures, decoded.several_frames)),
        ).summary(),
        unusable=refusal.what if refusal is not None else "",
        broken={pictures.paths[position]: problem for position, problem in decoded.broken.items()},
        copies=[
            (shown(position, f"{split}: "), shown(original, "train: "))
            for split, position, original in copies[:_COPIES]
        ],
        copied=len(copies),
        examples={
            name: [shown(position, what=labels[position]) for position in positions]
            for name, positions in chosen.items()
        },
        width=width,
    )


def _labels(pictures: PictureSet, of_class: Mapping[str, Sequence[int]], position: int) -> str:
    """Return the labels of a picture that has several, for its caption; objects are named in the picture."""
    names = [name for name, positions in of_class.items() if position in positions]
    return f" ({', '.join(names)})" if pictures.counted == "picture" and len(names) > 1 else ""
