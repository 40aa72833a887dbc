"""Annotations of photos that their EXIF orientation turns: made on the photo as it is shown, or as it is stored.

Pictures are turned when they are decoded, as cameras mean it. Many annotation tools turn them too, others don't; which
it was shows in the size that annotations state, unless the photo is square or turned by 180 degrees (or mirrored). What
fits both ways is taken as the rest of the set shows. Annotations of stored pixels are turned with their picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from tunewell.spec.errors import count
from tunewell.tasks.object_detection.annotations import Mask
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.object_detection.masks import decode, encode_pixels
from tunewell.tasks.vision.files import listed
from tunewell.tasks.vision.pictures import TURNS, Header, PictureError

#: Size of a picture.
_Size = tuple[int, int]


def upright(pictures: Sequence[MarkedPicture], index: PictureIndex) -> tuple[list[MarkedPicture], list[str]]:
    """Return the pictures with annotations of the pictures as shown, and notes on those that were turned."""
    headers = {picture.path: header for picture in pictures if (header := _header(picture.path, index)) is not None}
    turnable = {
        picture.path: _fits(picture, headers[picture.path])
        for picture in pictures
        if picture.path in headers and headers[picture.path].orientation in TURNS
    }
    sure = {fits for fits in turnable.values() if len(fits) == 1}
    both = {path for path, fits in turnable.items() if len(fits) == 2}
    turned = {path for path, fits in turnable.items() if fits == {"stored"}}
    if sure == {frozenset({"stored"})}:
        turned |= both
    found = [_turned(picture, headers[picture.path]) if picture.path in turned else picture for picture in pictures]
    unsure = both if sure != {frozenset({"shown"})} else set()
    return found, _notes(turned, unsure)


def _header(path: str, index: PictureIndex) -> Header | None:
    try:
        return index.header(path)
    except PictureError:  # counted with the broken pictures
        return None


def _fits(picture: MarkedPicture, header: Header) -> frozenset[str]:
    """Return which pixels annotations may be for by the size that they state, or by that of what is marked."""
    sizes = {"shown": header.size, "stored": header.stored}
    stated = picture.stated_size
    if stated is not None:
        return frozenset(name for name, size in sizes.items() if stated == size)
    reach = np.max([item.box[2:] for item in picture.objects], axis=0, initial=0)
    return frozenset(name for name, size in sizes.items() if (reach <= size).all()) or frozenset(sizes)


def _notes(turned: set[str], unsure: set[str]) -> list[str]:
    notes = []
    if turned:
        notes.append(
            "Turned with their pictures, being for the pixels before EXIF orientation: the annotations of "
            f"{count(len(turned), 'picture')}, {listed(turned, 3)}."
        )
    if unsure:
        chosen = "before EXIF orientation, as others in the set are" if unsure <= turned else "as they are shown"
        notes.append(
            f"By their size, the annotations of {count(len(unsure), 'picture')} may be for the pixels before EXIF "
            f"orientation or for the pictures as they are shown; they are taken for the pictures {chosen}: "
            f"{listed(unsure, 3)}."
        )
    return notes


def _turned(picture: MarkedPicture, header: Header) -> MarkedPicture:
    objects = [_turned_object(item, header) for item in picture.objects]
    return replace(picture, objects=objects, stated_size=header.size)


def _turned_object(item: MarkedObject, header: Header) -> MarkedObject:
    x0, y0, x1, y1 = item.box
    if x0 > x1 or y0 > y1:
        return item  # turned inside out: it is refused later
    x0, y0, x1, y1 = _turned_points(item.box, header)
    mask = None if item.mask is None else _turned_mask(item.mask, header)
    return replace(item, box=(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), mask=mask)


def _turned_mask(mask: Mask, header: Header) -> Mask:
    if isinstance(mask, dict):
        image = Image.fromarray(decode(mask)).transpose(TURNS[header.orientation])
        return encode_pixels(np.asarray(image)[None])[0]
    return [_turned_points(polygon, header) for polygon in mask]


def _turned_points(numbers: Sequence[float], header: Header) -> list[float]:
    """Return points x, y, x, y, … of the stored pixels as they are shown."""
    width, height = header.stored
    x, y = np.reshape(numbers, (-1, 2)).T
    mirrored_x, mirrored_y = width - x, height - y
    places = {
        2: (mirrored_x, y),
        3: (mirrored_x, mirrored_y),
        4: (x, mirrored_y),
        5: (y, x),
        6: (mirrored_y, x),
        7: (mirrored_y, mirrored_x),
        8: (y, mirrored_x),
    }
    turned: list[float] = np.stack(places[header.orientation], axis=1).ravel().tolist()
    return turned
