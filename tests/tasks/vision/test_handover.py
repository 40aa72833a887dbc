"""What the model cards of all picture tasks say."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tunewell.tasks.vision.handover import upright_code
from tunewell.tasks.vision.pictures import load_pixels
from tunewell.tasks.vision.resize_rules import SQUASH


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "RGB"), ("a.png", "RGBA"), ("a.png", "LA"), ("a.gif", "P")])
def test_cards_read_pictures_as_we_do(tmp_path: Path, name: str, mode: str) -> None:
    """Large, on its side or see-through: by the code of the cards a picture has the pixels that networks learn from."""
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 4), dtype=np.uint8)
    image = Image.fromarray(noise).resize((450, 350)).convert(mode)
    image.save(tmp_path / name, exif=exif, **({"transparency": 3} if mode == "P" else {}))
    known: dict[str, Any] = {"Image": Image, "ImageOps": ImageOps}
    exec(upright_code({}), known)
    with Image.open(tmp_path / name) as opened:
        pixels = known["upright"](opened, 32).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(pixels), load_pixels((tmp_path / name).read_bytes(), 32))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_cards_scale_deep_pictures_as_we_do(tmp_path: Path, name: str) -> None:
    """The code of a card has the range that the model has learned with."""
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.random.default_rng(0).integers(0, 5000, (35, 45), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / name, exif=exif)
    ranges = {"grey": (100.0, 4095.0)}
    known: dict[str, Any] = {"Image": Image, "ImageOps": ImageOps, "np": np}
    exec(upright_code(ranges), known)
    with Image.open(tmp_path / name) as opened:
        pixels = known["upright"](opened, 32).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(pixels), load_pixels(tmp_path / name, 32, SQUASH, ranges))


@pytest.mark.parametrize(("deep", "highest"), [(True, 4095.0), (True, 65535.0), (False, 4095.0)])
def test_cards_refuse_what_pillow_cuts_off(tmp_path: Path, deep: bool, highest: float) -> None:
    """Of 16 bits of a colour Pillow gives the upper 8: a card refuses them where the lower ones count."""
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    if deep:
        write_colours(tmp_path / "a.png", values.astype(np.uint16) * 16)
    else:
        Image.fromarray(values).save(tmp_path / "a.png")
    known: dict[str, Any] = {"Image": Image, "ImageOps": ImageOps, "np": np}
    ranges = {"colour": (0.0, highest)}
    exec(upright_code(ranges), known)
    with Image.open(tmp_path / "a.png") as opened:
        if deep and highest < 65535:
            with pytest.raises(ValueError, match=r"scale 0\.\.\.4095 to 0\.\.\.255"):
                known["upright"](opened, 8)
        else:
            shown = np.asarray(known["upright"](opened, 8))
            np.testing.assert_array_equal(shown, load_pixels(tmp_path / "a.png", 8, SQUASH, ranges))


def write_colours(path: Path, values: np.ndarray) -> None:
    """Write a PNG with 16 bits a colour, which Pillow can't."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND")
    framed = (struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
