"""Pictures with more than 8 bits a value: which value is black, and which is white.

Most files don't say: cameras write 0…1023 or 0…4095 into 16 bits, scanners 0…65535, instruments fractions. So the
values that a data set holds decide, once for all of its pictures (`measure_ranges`); the range goes with the data set
and with the model. Files that state how deep they are go by that.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tunewell.spec.errors import count

#: Kind of values (`grey`, `float`, `colour`) → the values that are black and white.
ValueRanges = Mapping[str, tuple[float, float]]

_FULL = (0.0, 65535.0)
#: What may be white: one, or all bits set of 8 to 16.
_WHITES = (1.0, *(float(2**bits - 1) for bits in range(8, 17)))
#: A set that holds less than this share of the range up to white has a range of its own.
_LEAST_SHARE = 0.25
_ORIENTATION = 0x0112
#: TIFF's tags for the number of bits, and for the largest value.
_BITS_PER_SAMPLE, _LARGEST_VALUES = 258, (281, 341)
#: Bytes in which a file says what it is.
_HEAD = 512
#: How files with 8 bits a value begin.
_PNG = b"\x89PNG"
_SHALLOW = (b"\xff\xd8", b"GIF8", b"BM", b"RIFF")
_MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class Extent:
    """What values of a kind pictures hold."""

    kind: str
    lowest: float
    highest: float
    #: Whether values other than numbers are among them.
    not_finite: bool = False


def to_8_bits(image: Image.Image, ranges: ValueRanges) -> Image.Image:
    """Return a picture with at most 8 bits a value, as it is stored: not yet turned upright.

    Values beyond the range are as black or as white as can be; what is no number is black.

    Args:
        image: as it was opened.
        ranges: those of its data set; of a kind that is not among them, the picture's own values decide.
    """
    kind = _kind(image)
    if not kind or (kind == "colour" and ranges.get(kind) == _FULL):  # of which Pillow gives the upper 8 bits
        return image
    values = _values(image, kind)
    low, high = _stated(image) or ranges.get(kind) or fitting_range(_extent(kind, values))
    scaled = Image.fromarray(_scaled(values, low, high))
    if orientation := image.getexif().get(_ORIENTATION):
        scaled.getexif()[_ORIENTATION] = orientation
    return scaled


def measure_ranges(paths: Sequence[Path], progress: Callable[[int, int], None]) -> tuple[ValueRanges, list[str]]:
    """Return the range of each kind of values that pictures hold, and notes on them; broken pictures are skipped.

    Args:
        paths: the pictures.
        progress: told how many of those that may be deep are done.
    """
    extents: dict[str, list[Extent]] = {}
    with ThreadPoolExecutor(_MAX_THREADS) as pool:
        deep = [path for path, may_be in zip(paths, pool.map(_may_be_deep, paths), strict=True) if may_be]
        for done, extent in enumerate(pool.map(_measure, deep), start=1):
            if extent:
                extents.setdefault(extent.kind, []).append(extent)
            progress(done, len(deep))
    ranges, notes = {}, []
    for kind, found in extents.items():
        lowest, highest = min(item.lowest for item in found), max(item.highest for item in found)
        ranges[kind] = fitting_range(Extent(kind, lowest, highest))
        low, high = ranges[kind]
        notes.append(
            f"With {_NAMES[kind]}, of {lowest:g} to {highest:g}: {count(len(found), 'picture')}; {low:g} is taken as "
            f"black and {high:g} as white, by the model too."
        )
        if strange := sum(item.not_finite for item in found):
            notes.append(f"Values that are no numbers are taken as black, in {count(strange, 'picture')}.")
    return ranges, notes


_NAMES = {
    "grey": "grey values of more than 8 bits",
    "float": "values that are no whole numbers",
    "colour": "colours of more than 8 bits",
}


def fitting_range(extent: Extent) -> tuple[float, float]:
    """Return the values that are black and white for values that reach so far.

    Black is 0 and white the next one of 1, 255, 511, … 65535, so that brightness means the same in other sets of the
    kind; where too little of that would be used, or values are negative or larger, it is the values' own range.
    """
    low, high = extent.lowest, extent.highest
    whites = _WHITES if extent.kind == "float" else _WHITES[1:]
    white = next((white for white in whites if high <= white), math.inf)
    if low >= 0 and high - low >= _LEAST_SHARE * white:
        return 0.0, white
    return (low, high) if high > low else (low, low + 1)


def scaling_in_words(ranges: ValueRanges) -> str:
    """Return what to do with deep pictures first, in words: the beginning of a sentence, or nothing."""
    parts = [f"{_NAMES[kind]} from {low:g}…{high:g} to 0…255" for kind, (low, high) in ranges.items()]
    return f"{' and '.join(parts)}, cut off beyond; " if parts else ""


def ranges_in_code(ranges: ValueRanges) -> str:
    """Return Python that does it to a Pillow picture in one channel, `picture`, as a model card has it, or nothing."""
    return "".join(
        f"""if picture.mode.startswith("{mode}"):
    values = (np.asarray(picture, dtype=np.float32) - {low:.9g}) * (255 / ({high:.9g} - {low:.9g})) + 0.5
    picture = Image.fromarray(np.nan_to_num(values).clip(0, 255).astype(np.uint8))
"""
        for kind, mode in (("grey", "I"), ("float", "F"))
        for low, high in ([ranges[kind]] if kind in ranges else [])
    )


def colours_refused_in_code(ranges: ValueRanges) -> str:
    """Return Python of a model card that refuses a Pillow picture, `picture`, whose colours it could not scale.

    Pillow gives the upper 8 bits of 16; for a range within them that is less than the model has learned from.
    """
    if ranges.get("colour", _FULL) == _FULL:
        return ""
    low, high = ranges["colour"]
    return f"""if ";16" in str(picture.tile) and picture.mode.startswith("RGB"):
    raise ValueError("Pillow cuts off these colours: read them otherwise, and scale {low:g}...{high:g} to 0...255")
"""


def _may_be_deep(path: Path) -> bool:
    """Whether a file may hold more than 8 bits a value, by its beginning; False if it can't be read."""
    head = _head(path)
    is_shallow = head.startswith(_SHALLOW) or (head.startswith(_PNG) and head[24:25] < b"\x10")
    return bool(head) and not is_shallow


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _measure(path: Path) -> Extent | None:
    """Return what values a picture holds; None if they have 8 bits, or the file states its depth, or is broken."""
    try:
        with Image.open(path) as image:
            kind = _kind(image)
            if not kind or _stated(image):
                return None
            extent = _extent(kind, _values(image, kind))
            largest = _significant(_head(path)) if image.format == "PNG" else _largest(image)
    except Exception:
        return None
    return Extent(kind, extent.lowest, max(extent.highest, largest), extent.not_finite)


def _kind(image: Image.Image) -> str:
    """Return which kind of deep values a picture has, empty if it has 8 bits a value at most."""
    if image.mode.startswith("I"):
        return "grey"
    if image.mode == "F":
        return "float"
    return "colour" if image.mode in ("RGB", "RGBA") and ";16" in _stored(image) else ""


def _stored(image: Image.Image) -> str:
    """Return Pillow's name of how the values are stored; empty for a picture that is decoded."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")


def _values(image: Image.Image, kind: str) -> np.ndarray:
    """Return the values of a deep picture, (H, W) or (H, W, C)."""
    if kind != "colour":
        return np.asarray(image)
    # Pillow gives the upper 8 bits; read in the other order of bytes, the lower ones are in their place.
    stored = _stored(image)
    other = _read_as(image, {"LA;16B": "RGBA"}.get(stored) or _other_order(stored))
    if other is None:
        return np.asarray(image).astype(np.uint16) * 257
    lower = np.asarray(other).astype(np.uint16)
    if stored == "LA;16B":  # the four bytes of a pixel, as if they were four channels
        return lower[..., ::2] << 8 | lower[..., 1::2]
    return np.asarray(image).astype(np.uint16) << 8 | lower


def _other_order(stored: str) -> str:
    """Return Pillow's name of a way to store values, with the bytes in the other order; N is the machine's own."""
    base, order = stored[:-1], stored[-1:].replace("N", "L" if sys.byteorder == "little" else "B")
    return base + {"B": "L", "L": "B"}.get(order, order)


def _read_as(image: Image.Image, stored: str) -> Image.Image | None:
    """Return the same picture, opened to be read as if it were stored like that; None if it is decoded already."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    place = file.tell()
    file.seek(0)
    twin = Image.open(BytesIO(file.read()))
    file.seek(place)
    tiles: list[Any] = []
    for *where, arguments in twin.tile:
        rest = () if isinstance(arguments, str) else (arguments or ())[1:]
        tiles.append((*where, (stored, *rest) if rest else stored))
    twin.tile = tiles
    return twin


def _stated(image: Image.Image) -> tuple[float, float] | None:
    """Return the range that a file states, None if it states none."""
    if image.format in ("PPM", "JPEG2000") and image.mode != "F":
        return _FULL  # to which Pillow scales it
    bits = _tag(image, _BITS_PER_SAMPLE)
    return (0.0, 2.0**bits - 1) if 8 < bits < 16 else None


def _largest(image: Image.Image) -> float:
    return max(_tag(image, tag) for tag in _LARGEST_VALUES)


def _tag(image: Image.Image, tag: int) -> float:
    """Return a number that a TIFF says of itself; minus infinity if it does not."""
    found = getattr(image, "tag_v2", {}).get(tag)
    found = found[0] if isinstance(found, tuple) and found else found
    return float(found) if isinstance(found, int | float) else -math.inf


def _significant(head: bytes) -> float:
    """Return the largest value of a PNG that states how many of its bits are significant."""
    place = head.find(b"sBIT")
    return 2.0 ** head[place + 4] - 1 if 0 < place < len(head) - 4 else -math.inf


def _extent(kind: str, values: np.ndarray) -> Extent:
    """Return what values there are, but for the channel of transparency."""
    shown = values[..., : values.shape[2] - 1] if values.ndim == 3 and values.shape[2] in (2, 4) else values
    finite = shown if shown.dtype.kind in "iu" else shown[np.isfinite(shown)]
    if not finite.size:
        return Extent(kind, 0.0, 0.0, not_finite=True)
    return Extent(kind, float(finite.min()), float(finite.max()), finite.size < shown.size)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as uint8, `low` as 0 and `high` as 255."""
    floats = np.nan_to_num(values.astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled: np.ndarray = np.clip((floats - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        scaled[..., -1] = values[..., -1] // 257  # transparency has a range of its own
    return scaled[..., 0] if scaled.ndim == 3 and scaled.shape[2] == 1 else scaled
