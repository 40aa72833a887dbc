"""From any kind of picture file to RGB pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tunewell.tasks.vision.pictures import (
    PictureError,
    bombs_refused,
    letterbox_shape,
    load_pixels,
    picture_size,
    read_header,
)
from tunewell.tasks.vision.resize_rules import LETTERBOX


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the picture as a file's content."""
    data = BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def ramp(mode: str = "RGB") -> Image.Image:
    """Return 40 x 20 pixels that grow brighter to the right."""
    grey = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (20, 1))
    return Image.fromarray(grey).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"),
        ("RGB", "BMP"),
        ("RGB", "WEBP"),
        ("L", "PNG"),
        ("L", "JPEG"),
        ("P", "GIF"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
    ],
)
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    """The ramp keeps its dark left and its bright right whatever the file's colours and format."""
    pixels = load_pixels(encode(ramp(mode), kind), 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert pixels[:, :3].mean() < 60
    assert pixels[:, -3:].mean() > 195


@pytest.mark.parametrize(
    "values",
    [
        np.tile(np.linspace(0, 65535, 40).astype(np.uint16), (20, 1)),
        np.tile(np.linspace(0, 65535, 40).astype(np.int32), (20, 1)),
        np.tile(np.linspace(0, 1, 40).astype(np.float32), (20, 1)),
        np.tile(np.linspace(0, 255, 40).astype(np.float32), (20, 1)),
    ],
    ids=["16 bits", "16 of 32 bits", "fractions", "bytes as floats"],
)
def test_deep_pictures_are_scaled(values: np.ndarray) -> None:
    """More than 8 bits a pixel are scaled down, not cut off."""
    pixels = load_pixels(encode(Image.fromarray(values), "TIFF"), 40)
    expected = np.linspace(0, 255, 40)
    assert np.abs(pixels[10, :, 0] - expected).max() <= 4


def test_transparency_becomes_white() -> None:
    """Transparent parts look as on white paper."""
    assert (load_pixels(encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), 8) == 255).all()
    palette = encode(Image.new("P", (8, 8), 0), "PNG", transparency=0)
    assert (load_pixels(palette, 8) == 255).all()


def test_orientation_is_applied() -> None:
    """A photo taken with the camera turned is turned back."""
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = load_pixels(encode(ramp(), "JPEG", exif=exif, quality=95), 16)
    assert turned[:, :3].mean() > 195 > 60 > turned[:, -3:].mean()


@pytest.mark.parametrize("behind", [False, True])
def test_the_size_is_that_of_the_picture_turned_upright(tmp_path: Path, behind: bool) -> None:
    """A PNG may give its orientation before its pixels or behind them; most give none."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = tmp_path / "turned.png"
    content = encode(ramp(), "PNG", exif=exif)
    if behind:
        place = content.index(b"eXIf") - 4
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        last = content.index(b"IEND") - 4
        content = content[:place] + content[end:last] + content[place:end] + content[last:]
    path.write_bytes(content)
    assert picture_size(path) == (20, 40)
    path.write_bytes(encode(ramp(), "PNG"))
    assert picture_size(path) == (40, 20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_headers_tell_how_pixels_are_stored(kind: str, orientation: int, tmp_path: Path) -> None:
    """Whatever the format, the size is that of the decoded picture, and the stored one that of the pixels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    path.write_bytes(encode(ramp(), kind, exif=exif))
    header = read_header(path)
    with Image.open(path) as image:
        assert header.size == ImageOps.exif_transpose(image).size
    assert (header.stored, header.orientation) == (ramp().size, orientation)


def test_the_whole_picture_is_kept() -> None:
    """A wide picture is squeezed into the square: both of its ends are still there."""
    wide = Image.new("RGB", (100, 20), "black")
    wide.paste("red", (0, 0, 10, 20))
    wide.paste("blue", (90, 0, 100, 20))
    pixels = load_pixels(wide, 20)
    assert pixels[10, 0].tolist() == [255, 0, 0]
    assert pixels[10, -1].tolist() == [0, 0, 255]


def test_path_bytes_and_image_give_the_same(tmp_path: Path) -> None:
    """It does not matter how a picture is handed over, not even if it is large."""
    path = tmp_path / "large.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (640, 480, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((480, 640)).save(path)
    pixels = load_pixels(path, 32)
    assert (load_pixels(path.read_bytes(), 32) == pixels).all()
    with Image.open(path) as image:
        assert (load_pixels(image, 32) == pixels).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no picture"),
        (b"<html>not found</html>", "no picture"),
        (encode(ramp(), "JPEG")[:-80], "truncated"),
        (encode(ramp(), "PNG")[:60], "truncated|Truncated"),
    ],
    ids=["empty", "other", "half a JPEG", "half a PNG"],
)
def test_broken_files(content: bytes, message: str) -> None:
    """Truncated files and files that are no pictures are refused with a reason."""
    with pytest.raises(PictureError, match=message):
        load_pixels(content, 16)


def test_postscript_is_not_run(tmp_path: Path) -> None:
    """Pillow would have Ghostscript run it, under whatever name the file has."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    path = (tmp_path / "a.eps").rename(tmp_path / "a.png")
    for read in (lambda: load_pixels(path, 8), lambda: load_pixels(path.read_bytes(), 8), lambda: picture_size(path)):
        with pytest.raises(PictureError, match="it is PostScript"):
            read()


@pytest.mark.parametrize("limit", [500, 300])
def test_decompression_bombs(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """A picture above the limit of pixels is refused, be it twice as large or just above."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with bombs_refused(), pytest.raises(PictureError, match=f"more than {limit} pixels"):
        load_pixels(encode(ramp(), "PNG"), 16)


@pytest.mark.parametrize(("width", "height", "shape"), [(40, 20, (32, 16)), (10, 30, (11, 32)), (7, 7, (32, 32))])
def test_letterbox_keeps_the_shape(width: int, height: int, shape: tuple[int, int]) -> None:
    """The longer side of the picture is that of the square, in whose upper left corner it lies; all else is grey."""
    assert letterbox_shape(width, height, 32) == shape
    pixels = load_pixels(Image.new("RGB", (width, height), "red"), 32, LETTERBOX)
    inside = np.zeros((32, 32), dtype=bool)
    inside[: shape[1], : shape[0]] = True
    assert (pixels[inside] == (255, 0, 0)).all()
    assert (pixels[~inside] == 128).all()


def test_letterbox_of_a_line_keeps_a_pixel() -> None:
    """However flat a picture is, something is left of it."""
    assert letterbox_shape(10_000, 1, 32) == (32, 1)


@pytest.mark.parametrize("orientation", [1, 6])
def test_letterbox_of_a_large_jpeg_has_the_shape_of_the_whole_picture(tmp_path: Path, orientation: int) -> None:
    """JPEG is decoded at a fraction of its size, rounded up; what a picture takes up depends on its own size."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.jpg"
    Image.new("RGB", (901, 183), "red").save(path, exif=exif)
    width, height = letterbox_shape(*picture_size(path), 32)
    pixels = load_pixels(path, 32, LETTERBOX)
    assert {width, height} == {32, 6}
    assert (pixels[:height, :width, 0] > 200).all()
    assert (pixels[height:] == 128).all() and (pixels[:, width:] == 128).all()
