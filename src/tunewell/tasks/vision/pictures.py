"""From a picture file to S x S pixels: the same way for training, validation and prediction.

Rule *squash*: the whole picture is resized to a square. The usual alternative, shorter side and centre crop, loses
up to a quarter of a 4:3 photo, and with it whatever the label is about if it lies at the edge. Networks cope with the
distortion: ImageNet training crops with aspect ratios between 3:4 and 4:3 and squashes these crops (Szegedy et
al. 2015, "Going deeper with convolutions", section 6).

Rule *letterbox*: it is scaled to S pixels on its longer side and lies in the upper left corner of a grey square. Where
shapes and sizes are what is learned, as with boxes, no distortion is welcome.
"""

from __future__ import annotations

import base64
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from tunewell.tasks.vision.depths import ValueRanges, to_8_bits
from tunewell.tasks.vision.resize_rules import SQUASH, ResizeRule

#: Fills what no picture covers.
GREY = 128
#: EXIF tag of the orientation; its values other than 1, and what shows the picture upright.
_ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Those in which width and height change places.
_SIDEWAYS = {5, 6, 7, 8}
#: One of these is in every PNG with an orientation, perhaps behind the pixels, which Pillow decodes to get there.
_PNG_ORIENTATIONS = (b"eXIf", b"Raw profile type", b"adobe.xmp")

#: What reading a broken picture may raise.
_PROBLEMS = (
    *(OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError, LookupError, TypeError),
    *(AttributeError, AssertionError, RuntimeError, struct.error, zlib.error),
)


#: How files begin that have one frame, unless a PNG has a certain chunk at its beginning.
_ONE_FRAME = (b"\xff\xd8", b"\x89PNG", b"BM")
_HEAD = 1 << 12


class PictureError(Exception):
    """A picture can't be read; the message says why, without its name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a picture says."""

    #: Width and height of the picture as it is shown, upright.
    size: tuple[int, int]
    #: Key of `TURNS`, or 1: the pixels are stored as they are shown.
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """Return width and height of the pixels as they are stored."""
        width, height = self.size
        return (height, width) if self.orientation in _SIDEWAYS else (width, height)


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Make pictures of more than `PIL.Image.MAX_IMAGE_PIXELS` (89 million) pixels an error.

    The warning filters of the process change meanwhile, for all of its threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, which does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def load_pixels(
    source: Path | str | bytes | Image.Image,
    size: int,
    rule: ResizeRule = SQUASH,
    ranges: ValueRanges = MappingProxyType({}),
) -> np.ndarray:
    """Return a picture (its path, its bytes, or itself) as uint8 array (size, size, 3) in RGB.

    Args:
        source: the picture; of several frames or pages the first one counts.
        size: side of the square in pixels.
        rule: how the picture becomes a square.
        ranges: which values are black and white, where there are more than 8 bits of them.

    Raises:
        PictureError: it is no picture, truncated, or too large.
    """
    try:
        image = source if isinstance(source, Image.Image) else _open(source)
        width, height = image.size
        # JPEG only: decodes at a half, a quarter or an eighth of the size, never under twice of what is wanted.
        image.draft("RGB", (2 * size, 2 * size))
        is_turned = image.format == "TIFF"  # Pillow has changed width and height of these already
        image = to_8_bits(image, ranges)
        sideways = not is_turned and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        image = _to_rgb(ImageOps.exif_transpose(image))
        if rule == SQUASH:
            return _resized(image, size, size)
        # Of the whole picture: that of a draft is rounded.
        return _letterboxed(image, size, *letterbox_shape(*((height, width) if sideways else (width, height)), size))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except _PROBLEMS as error:
        raise PictureError(f"{error}" or type(error).__name__) from None


def has_several_frames(content: bytes) -> bool:
    """Whether a picture that can be read is a film or has several pages, in whatever state the later ones are."""
    if content.startswith(_ONE_FRAME) and b"acTL" not in content[:_HEAD]:
        return False
    try:
        with _open(content) as image:
            # The frames of a JPEG are views for other displays, those of a PSD are layers.
            return image.format not in ("MPO", "PSD") and bool(getattr(image, "is_animated", False))
    except (PictureError, Image.DecompressionBombError, Image.DecompressionBombWarning, *_PROBLEMS):
        return False


def picture_size(source: Path | bytes) -> tuple[int, int]:
    """Return width and height of a picture, turned upright, without decoding it; raise like `read_header`."""
    return read_header(source).size


def read_header(source: Path | bytes) -> Header:
    """Return what the header of a picture (its path, or its bytes) says.

    Raises:
        PictureError: it is no picture, or too large.
    """
    try:
        with _open(source) as image:
            if image.format == "PNG" and not _may_have_orientation(source):
                return Header(image.size)
            return _header(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except _PROBLEMS as error:
        raise PictureError(f"{error}" or type(error).__name__) from None


def _may_have_orientation(png: Path | bytes) -> bool:
    content = png if isinstance(png, bytes) else png.read_bytes()
    return any(mark in content for mark in _PNG_ORIENTATIONS)


def letterbox_shape(width: int, height: int, size: int) -> tuple[int, int]:
    """Return width and height of what a picture of this width and height takes up of its square."""
    scale = size / max(width, height)
    return min(size, max(1, round(scale * width))), min(size, max(1, round(scale * height)))


def data_uri(image: Image.Image) -> str:
    """Return a picture as a `data:` URI."""
    data = BytesIO()
    image.save(data, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _header(image: Image.Image) -> Header:
    """Return what the header of a picture that is not decoded yet says."""
    width, height = image.size
    orientation = image.getexif().get(_ORIENTATION)
    # Pillow has changed width and height of a TIFF already.
    sideways = orientation in _SIDEWAYS and image.format != "TIFF"
    return Header((height, width) if sideways else (width, height), orientation if orientation in TURNS else 1)


def _letterboxed(image: Image.Image, size: int, width: int, height: int) -> np.ndarray:
    square = np.full((size, size, 3), GREY, dtype=np.uint8)
    square[:height, :width] = _resized(image, width, height)
    return square


def _resized(image: Image.Image, width: int, height: int) -> np.ndarray:
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _open(source: Path | str | bytes) -> ImageFile.ImageFile:
    try:
        image = Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        raise PictureError("it is no picture, or damaged") from None
    if image.format == "EPS":  # whatever the file is called
        image.close()
        raise PictureError("it is PostScript, a program that would have to be run")
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
