"""Masks of objects: checked when they are read, drawn for training, encoded for COCO's metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from tunewell.tasks.object_detection.annotations import Mask

#: From this value on a pixel belongs to a mask (He et al. 2017, arXiv:1703.06870, section 3.1).
MASK_THRESHOLD = 0.5
#: Fewest numbers of a polygon: three corners.
_LEAST_NUMBERS = 6


class MaskError(ValueError):
    """A mask breaks a rule; the message says which."""


def checked_mask(value: Any, width: int | None = None, height: int | None = None) -> Mask | None:
    """Return COCO's `segmentation` as a mask: None if it is empty.

    Polygons with fewer than three corners are dropped. Run lengths may be a list (uncompressed) or a text
    (compressed); they must be as many as the picture has pixels, where its size is known.

    Raises:
        MaskError: it is neither polygons nor a run-length encoding, or breaks their rules.
    """
    if not value:
        return None
    if isinstance(value, dict):
        return _checked_run_lengths(value, width, height) or None
    if not isinstance(value, list):
        raise MaskError("a segmentation is neither a list of polygons nor run lengths")
    polygons = [value] if not isinstance(value[0], list) else value
    kept = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(_is_finite, polygon)):
            raise MaskError("a polygon is no list of finite x and y")
        if len(polygon) >= _LEAST_NUMBERS:
            kept.append([float(number) for number in polygon])
    return kept or None


def mask_box(mask: Mask) -> tuple[float, float, float, float]:
    """Return the smallest box around a mask."""
    if isinstance(mask, dict):
        from faster_coco_eval.core import mask as coco

        left, top, width, height = np.asarray(coco.toBbox([mask])).reshape(-1)[:4].tolist()
        return left, top, left + width, top + height
    xs = [x for polygon in mask for x in polygon[0::2]]
    ys = [y for polygon in mask for y in polygon[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def encode(mask: Mask, width: int, height: int) -> dict[str, Any]:
    """Return the run-length encoding of a mask in a picture of that size, counts as text."""
    from faster_coco_eval.core import mask as coco

    if isinstance(mask, dict):
        return _as_text(mask)
    return _as_text(coco.merge(coco.frPyObjects(mask, height, width)))


def encode_pixels(pixels: np.ndarray) -> list[dict[str, Any]]:
    """Return the run-length encodings, counts as text, of binary masks, uint8 (n, H, W)."""
    from faster_coco_eval.core import mask as coco

    if not len(pixels):
        return []
    return [_as_text(item) for item in coco.encode(np.asfortranarray(pixels.transpose(1, 2, 0)))]


def decode(encoded: dict[str, Any]) -> np.ndarray:
    """Return the pixels of a run-length encoding, uint8 (H, W)."""
    from faster_coco_eval.core import mask as coco

    pixels: np.ndarray = np.asarray(coco.decode(encoded))
    return pixels.reshape(encoded["size"])


def overlap(one: Mask, other: Mask, width: int, height: int) -> float:
    """Return the intersection of two masks in a picture of that size as a share of their union."""
    from faster_coco_eval.core import mask as coco

    first, second = (encode(mask, width, height) for mask in (one, other))
    return float(np.asarray(coco.iou([first], [second], [0])).item())


def draw(mask: Mask, original: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Return a mask of a picture of `original` (width, height) resized to `shape` (H, W), uint8 (H, W)."""
    from faster_coco_eval.core import mask as coco

    height, width = shape
    if isinstance(mask, dict):
        resized = Image.fromarray(decode(mask)).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(resized)
    scale = np.array([width / original[0], height / original[1]])
    polygons = [(np.reshape(polygon, (-1, 2)) * scale).ravel().tolist() for polygon in mask]
    return decode(coco.merge(coco.frPyObjects(polygons, height, width)))


def paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which pixels of a picture belong to an object, uint8 (H, W).

    Args:
        mask: float32 (M, M), from 0 to 1, stretched over the box; between the centres of its cells it is interpolated.
        box: x0, y0, x1, y1 in pixels of the picture; it may reach out of it.
        size: width and height of the picture.
    """
    pixels = np.zeros(size[::-1], dtype=np.uint8)
    corner, opposite = box[:2], box[2:]
    left, top = np.clip(np.floor(corner), 0, size).astype(int).tolist()
    right, bottom = np.clip(np.ceil(opposite), 0, size).astype(int).tolist()
    if left < right and top < bottom:
        across, down = (np.array(mask.shape[::-1]) / (opposite - corner)).tolist()
        moved = (across, 0, across * (left - box[0]), 0, down, down * (top - box[1]))
        part = Image.fromarray(mask).transform(
            (right - left, bottom - top), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR
        )
        pixels[top:bottom, left:right] = np.asarray(part) >= MASK_THRESHOLD
    return pixels


def _checked_run_lengths(value: dict[str, Any], width: int | None, height: int | None) -> dict[str, Any]:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(n, int) and 0 < n < 2**16 for n in size):
        raise MaskError("a run-length encoding has no size [height, width]")
    if width is not None and size != [height, width]:
        raise MaskError(
            f"a run-length encoding is for {size[1]} x {size[0]} pixels, the picture has {width} x {height}"
        )
    lengths = _lengths(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(isinstance(n, int) and n >= 0 for n in lengths):
        raise MaskError("the counts of a run-length encoding are no lengths")
    if sum(lengths) != size[0] * size[1]:
        raise MaskError(f"the counts of a run-length encoding sum to {sum(lengths)}, not {size[0] * size[1]}")
    if isinstance(counts, str):
        return {"size": size, "counts": counts} if sum(lengths[1::2]) else {}
    from faster_coco_eval.core import mask as coco

    return _as_text(coco.frPyObjects({"size": size, "counts": lengths}, *size)) if sum(lengths[1::2]) else {}


def _lengths(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed form: 5 bits a character, differences to the length two before."""
    lengths: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise MaskError("the counts of a run-length encoding hold a strange character")
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            number -= 1 << shift
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
        number = shift = 0
    if shift:
        raise MaskError("the counts of a run-length encoding end in the middle")
    return lengths


def _as_text(encoded: dict[str, Any]) -> dict[str, Any]:
    counts = encoded["counts"]
    return {
        "size": [int(n) for n in encoded["size"]],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
