"""From a picture file to S x S pixels: the one way, for training, validation and prediction alike.

The whole picture is resized to a square ("squash"). The usual alternative, shorter side and centre crop, loses
up to a quarter of a 4:3 photo, and with it whatever the label is about if it lies at the edge. Networks bear the
distortion: ImageNet training crops with aspect ratios between 3:4 and 4:3 and squashes these crops (Szegedy et
al. 2015, "Going deeper with convolutions", section 6).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

#: Names what `load_pixels` does; part of cache keys and of saved models.
RESIZE_RULE = "squash-bicubic-1"

#: What reading a broken picture may raise.
_PROBLEMS = (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError, OverflowError, TypeError)


class PictureError(Exception):
    """A picture can't be read; the message says why, without its name."""


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Make pictures of more than `PIL.Image.MAX_IMAGE_PIXELS` (89 million) pixels an error.

    The warning filters of the process change meanwhile, for all of its threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, which does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def load_pixels(source: Path | str | bytes | Image.Image, size: int) -> np.ndarray:
    """Return a picture (its path, its bytes, or itself) as uint8 array (size, size, 3) in RGB.

    Raises:
        PictureError: it is no picture, truncated, or too large.
    """
    try:
        image = source if isinstance(source, Image.Image) else _open(source)
        # JPEG only: decodes at a half, a quarter or an eighth of the size, never under twice of what is wanted.
        image.draft("RGB", (2 * size, 2 * size))
        image = _to_rgb(ImageOps.exif_transpose(image))
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except _PROBLEMS as error:
        raise PictureError(f"{error}" or type(error).__name__) from None


def _open(source: Path | str | bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        raise PictureError("it is no picture, or damaged") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale grey values to 0…255: from 0…1 if they are fractions, from 16 bits if they exceed 255."""
    highest = float(values.max(initial=0))
    if values.dtype.kind == "f" and highest <= 1:
        values = values * 255.0
    elif values.dtype == np.uint16 or highest > 255:
        values = values / 257.0
    scaled: np.ndarray = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
    return scaled
