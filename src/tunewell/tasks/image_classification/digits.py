"""A small, real picture set that a dependency ships: scikit-learn's handwritten digits.

1,797 scans of 8 x 8 pixels in 16 shades, by 43 people (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten
Digits, UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError

#: Width and height of the pictures that are written, in pixels: enough for networks that halve it four times.
IMAGE_SIZE = 32
#: Share of each class in the validation and in the test split.
HELD_OUT_SHARE = 0.15


def write_digits(folder: Path, seed: int = 0) -> None:
    """Write the digits as an image folder: `train`, `val` and `test`, in each a folder a digit, PNG pictures in it.

    The split (70 / 15 / 15 %, stratified) depends on `seed` alone. The folder appears complete or not at all; if
    it holds this set already, nothing is done.

    Raises:
        DataError: the folder exists and holds something else.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    places = _places(digits.target, seed)
    if folder.exists():
        if {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} == set(places):
            return
        raise DataError(
            "it exists and holds something else than the digits", field=str(folder), remedy="Name another folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for place, pixels in zip(places, digits.images, strict=True):
            _write_picture(unfinished / place, pixels)
        unfinished.chmod(0o755)  # mkdtemp makes it private
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _places(labels: np.ndarray, seed: int) -> list[Path]:
    """Return the relative path of each picture, in the order of the data set."""
    from sklearn.model_selection import train_test_split

    held_out = round(HELD_OUT_SHARE * len(labels))
    rest, test = train_test_split(np.arange(len(labels)), test_size=held_out, stratify=labels, random_state=seed)
    train, val = train_test_split(rest, test_size=held_out, stratify=labels[rest], random_state=seed)
    splits = {int(index): name for name, part in (("train", train), ("val", val), ("test", test)) for index in part}
    return [Path(splits[index], str(label), f"{index:04}.png") for index, label in enumerate(labels)]


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    shades = (pixels * (255 / 16)).astype("uint8")  # 8 x 8
    Image.fromarray(shades).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC).save(path)


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
