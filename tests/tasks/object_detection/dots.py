"""Pictures of many small dots, as under a microscope or from the air."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def write_dots(folder: Path, splits: Mapping[str, int], size: tuple[int, int], side: int, number: int) -> Path:
    """Write a COCO set: in each picture so many white dots of `side` pixels on noise, none of which meet."""
    generator = np.random.default_rng(0)
    columns, rows = (length // (2 * side) for length in size)
    for split, count in splits.items():
        images, annotations = [], []
        for place in range(count):
            name = f"{split}{place}.png"
            noise = generator.integers(60, 120, (size[1] // 4, size[0] // 4, 1), dtype=np.uint8).repeat(3, axis=2)
            picture = Image.fromarray(noise).resize(size)
            for cell in generator.choice(columns * rows, number, replace=False).tolist():
                x, y = (2 * side * index + int(generator.integers(side)) for index in (cell % columns, cell // columns))
                ImageDraw.Draw(picture).ellipse((x, y, x + side - 1, y + side - 1), fill="white")
                box = [x, y, side, side]
                outline = [x, y, x + side, y, x + side, y + side, x, y + side]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": place, "category_id": 1, "bbox": box, "iscrowd": 0}
                    | {"segmentation": [outline]}
                )
            (folder / "images").mkdir(parents=True, exist_ok=True)
            picture.save(folder / "images" / name)
            images.append({"id": place, "file_name": name, "width": size[0], "height": size[1]})
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "dot"}]}
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder
