"""Small pictures with several labels each: squares of three colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

#: Label → channel in which its square lies.
COLOURS = {"red": 0, "green": 1, "blue": 2}


def write_squares(folder: Path, count: int = 200) -> Path:
    """Write dim, noisy pictures in which a square of each label's colour lies somewhere, and the table of labels."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["image,split,labels"]
    for index in range(count):
        pixels = generator.integers(0, 90, (32, 32, 3))
        labels = [name for name in COLOURS if generator.random() < 0.4]
        for name in labels:
            x, y = generator.integers(0, 20, 2)
            pixels[y : y + 12, x : x + 12, COLOURS[name]] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{index:03}.png")
        split = "train" if index < 0.6 * count else "val" if index < 0.8 * count else "test"
        lines.append(f"{index:03}.png,{split},{'|'.join(labels)}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder
