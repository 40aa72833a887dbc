"""Which values of deep pictures are black and white."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tunewell.tasks.vision.depths import (
    Extent,
    fitting_range,
    measure_ranges,
    ranges_in_code,
    scaling_in_words,
)
from tunewell.tasks.vision.pictures import has_several_frames, load_pixels
from tunewell.tasks.vision.resize_rules import SQUASH


def png(values: np.ndarray, extra: bytes = b"") -> bytes:
    """Return 16-bit values (H, W) or (H, W, C) as a PNG, whose writer Pillow lacks for colours."""
    height, width = values.shape[:2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2] if values.ndim == 3 else 1]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(values: np.ndarray, **options: object) -> bytes:
    """Return values as a TIFF."""
    data = BytesIO()
    Image.fromarray(values).save(data, "TIFF", **options)
    return data.getvalue()


def tiff_of_colours(values: np.ndarray) -> bytes:
    """Return values (H, W) as a TIFF of three equal channels, whose writer Pillow lacks."""
    height, width = values.shape
    data = np.stack([values] * 3, axis=-1).astype("<u2").tobytes()
    entries = [(256, 4, width), (257, 4, height), (259, 3, 1), (262, 3, 2), (273, 4, 0), (277, 3, 3), (278, 4, height)]
    entries += [(258, 3, 0), (279, 4, len(data))]
    bits = 8 + 2 + 12 * len(entries) + 4
    entries = sorted((tag, kind, {258: bits, 273: bits + 6}.get(tag, value)) for tag, kind, value in entries)
    lines = [struct.pack("<HHII", tag, kind, 3 if tag == 258 else 1, value) for tag, kind, value in entries]
    head = b"II*\0" + struct.pack("<IH", 8, len(lines)) + b"".join(lines) + bytes(4)
    return head + struct.pack("<3H", 16, 16, 16) + data


def ramp(highest: float, kind: type = np.uint16, lowest: float = 0) -> np.ndarray:
    """Return 40 x 40 values that grow to the right."""
    return np.tile(np.linspace(lowest, highest, 40).astype(kind), (40, 1))


def measured(folder: Path, *contents: bytes) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Return the ranges and notes of pictures with these contents."""
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.png")  # an ending that need not fit: contents count
        paths[-1].write_bytes(content)
    ranges, notes = measure_ranges(paths, lambda done, total: None)
    return dict(ranges), notes


@pytest.mark.parametrize(
    ("content", "kind", "white"),
    [
        (png(ramp(1000)), "grey", 1023),
        (png(ramp(4095)), "grey", 4095),
        (png(ramp(3000), chunk(b"sBIT", b"\x0e")), "grey", 16383),
        (png(ramp(65000)), "grey", 65535),
        (png(ramp(200)), "grey", 255),
        (png(np.stack([ramp(4095)] * 3, axis=-1)), "colour", 4095),
        (png(np.stack([ramp(1000), ramp(65535)], axis=-1)), "colour", 1023),
        (tiff_of_colours(ramp(4095)), "colour", 4095),
        (png(np.stack([ramp(1000)] * 3 + [ramp(65535)], axis=-1)), "colour", 1023),
        (tiff(ramp(1000)), "grey", 1023),
        (tiff(ramp(3000), tiffinfo={281: 16383}), "grey", 16383),
        (tiff(ramp(50000, np.int32)), "grey", 65535),
        (tiff(ramp(1, np.float32)), "float", 1),
        (tiff(ramp(250, np.float32)), "float", 255),
        (tiff(ramp(4000, np.float32)), "float", 4095),
    ],
)
def test_white_is_what_the_values_reach(tmp_path: Path, content: bytes, kind: str, white: float) -> None:
    """White is one, or all bits set of as few as hold the values or as the file says; pictures use the whole range."""
    ranges, notes = measured(tmp_path, content)
    assert ranges == {kind: (0, white)}
    assert f"; 0 is taken as black and {white} as white, by the model too." in notes[0]
    pixels = load_pixels(content, 40, SQUASH, ranges)
    with Image.open(BytesIO(content)) as image:
        highest = 0.99 * white if kind == "colour" else np.asarray(image).max()
    assert pixels[:, 0].max() <= 4 or "A" in image.mode
    assert abs(int(pixels[20, -1, 0]) - 255 * float(highest) / white) <= 8 or "A" in image.mode
    assert len(np.unique(pixels[20, :, 0])) >= 39 or "A" in image.mode  # no steps


@pytest.mark.parametrize(
    ("low", "high", "kind", "expected"),
    [
        (0, 3, "grey", (0, 3)),
        (7000, 8000, "grey", (7000, 8000)),
        (-1024, 3071, "grey", (-1024, 3071)),
        (0, 1 << 20, "grey", (0, 1 << 20)),
        (5, 5, "grey", (5, 6)),
        (-1, 1, "float", (-1, 1)),
        (0, 0.1, "float", (0, 0.1)),
        (0.2, 0.9, "float", (0, 1)),
        (290.5, 310.25, "float", (290.5, 310.25)),
    ],
)
def test_unusual_values_have_a_range_of_their_own(low: float, high: float, kind: str, expected: object) -> None:
    """Negative values, very large ones, and such as use little of the range up to white, span from black to white."""
    assert fitting_range(Extent(kind, low, high)) == expected


@given(low=st.floats(-1e9, 1e9), span=st.floats(0, 1e9), kind=st.sampled_from(["grey", "float"]))
def test_no_range_hides_a_picture(low: float, span: float, kind: str) -> None:
    """Whatever the values are, they lie between black and white and fill a quarter of what is between."""
    black, white = fitting_range(Extent(kind, low, low + span))
    assert black <= low
    assert low + span <= white or low + span == low
    assert low + span == low or low + span - low >= 0.24 * (white - black)


def test_one_range_for_all_pictures(tmp_path: Path) -> None:
    """The brightest picture decides for all of a kind, so that a dark one stays dark; 8 bits decide nothing."""
    shallow = BytesIO()
    Image.new("L", (4, 4), 255).save(shallow, "PNG")
    dark = png(ramp(400))
    contents = (dark, png(ramp(4000)), shallow.getvalue(), b"no picture", tiff(ramp(0.5, np.float32)), b"")
    ranges, notes = measured(tmp_path, *contents)
    assert ranges == {"grey": (0, 4095), "float": (0, 1)}
    assert notes == [
        "With grey values of more than 8 bits, of 0 to 4000: 2 pictures; 0 is taken as black and 4095 as white, by the "
        "model too.",
        "With values that are no whole numbers, of 0 to 0.5: 1 picture; 0 is taken as black and 1 as white, by the "
        "model too.",
    ]
    assert load_pixels(dark, 40, SQUASH, ranges).max() == 25
    assert load_pixels(dark, 40).max() == 200  # alone it goes by its own values
    assert load_pixels(shallow.getvalue(), 4, SQUASH, ranges).min() == 255


def test_what_a_file_states_counts(tmp_path: Path) -> None:
    """Files that state how deep they are go by that, and decide nothing for others."""
    content = b"P5 40 40 1023\n" + ramp(500).astype(">u2").tobytes()
    assert measured(tmp_path, content) == ({}, [])
    assert abs(int(load_pixels(content, 40, SQUASH, {"grey": (0, 9.0)}).max()) - 125) <= 1


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    """They are black, and a note says in how many pictures there are any."""
    values = ramp(1, np.float32)
    values[:, :20] = np.nan
    values[0, 39] = np.inf
    ranges, notes = measured(tmp_path, tiff(values))
    assert ranges == {"float": (0, 1)}
    assert notes[1] == "Values that are no numbers are taken as black, in 1 picture."
    pixels = load_pixels(tiff(values), 40, SQUASH, ranges)
    assert (pixels[:, :19] == 0).all()
    assert (pixels[2:, -1] == 255).all()


def test_deep_pictures_are_turned_upright() -> None:
    """The orientation survives the change of depth."""
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for content in (
        png(np.stack([ramp(4095)] * 3, axis=-1), chunk(b"eXIf", exif.tobytes()[6:])),
        png(ramp(4095), chunk(b"eXIf", exif.tobytes()[6:])),
        tiff(ramp(4095), exif=exif),
    ):
        pixels = load_pixels(content, 16, SQUASH, {"grey": (0, 4095), "colour": (0, 4095)})
        assert pixels[:, :3].mean() > 195 > 60 > pixels[:, -3:].mean()


def test_transparency_of_deep_pictures() -> None:
    """It has a range of its own: what is transparent is white, what is not is as it is."""
    alpha = np.full((40, 40), 65535)
    alpha[:20] = 0
    content = png(np.stack([np.zeros((40, 40)), alpha], axis=-1))
    pixels = load_pixels(content, 40, SQUASH, {"colour": (0, 1023)})
    assert (pixels[:18] == 255).all()
    assert (pixels[22:] == 0).all()


def test_the_code_of_a_model_card_gives_the_same_pixels() -> None:
    """Pictures are scaled by the card's code as they are here, and its words say it."""
    ranges = {"grey": (100.0, 4095.0), "float": (-1.5, 2.25)}
    assert scaling_in_words(ranges).startswith("grey values of more than 8 bits from 100…4095 to 0…255 and values that")
    assert scaling_in_words({}) == ranges_in_code({}) == ""
    for content in (png(ramp(5000)), tiff(ramp(3, np.float32, -2))):
        names = {"np": np, "Image": Image, "picture": Image.open(BytesIO(content))}
        exec(ranges_in_code(ranges), names)
        shown = names["picture"]
        assert isinstance(shown, Image.Image)
        assert (np.asarray(shown.convert("RGB")) == load_pixels(content, 40, SQUASH, ranges)).all()


def test_several_frames_are_told() -> None:
    """Films and files of several pages are told from single pictures."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]

    def saved(kind: str, count: int) -> bytes:
        data = BytesIO()
        frames[0].save(data, kind, save_all=True, append_images=frames[1:count])
        return data.getvalue()

    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        assert has_several_frames(saved(kind, 2))
        assert not has_several_frames(saved(kind, 1))
        assert (load_pixels(saved(kind, 2), 8)[:, :, 0] > 200).all()
    assert not has_several_frames(b"no picture")
