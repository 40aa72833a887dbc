"""Small pictures of coloured rectangles and ellipses, with their annotations in every layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square")
SIZE = (64, 48)
SPLITS = {"train": 6, "val": 3, "test": 2}


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    label: int
    box: tuple[int, int, int, int]

    @property
    def polygon(self) -> list[float]:
        """The object's outline: a rectangle, or an ellipse of 24 corners."""
        x0, y0, x1, y1 = self.box
        if CLASSES[self.label] == "square":
            return [float(n) for n in (x0, y0, x1, y0, x1, y1, x0, y1)]
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        xs = (x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angles)
        ys = (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angles)
        return np.stack([xs, ys], axis=1).ravel().tolist()


Scenes = dict[str, list[tuple[str, list[Thing]]]]


def make_scenes(splits: Mapping[str, int] = SPLITS, seed: int = 0) -> Scenes:
    """Return split → (name of the picture without ending, its one to three things) of every picture."""
    generator = np.random.default_rng(seed)
    return {split: [(f"{split}{n}", list(_things(generator))) for n in range(count)] for split, count in splits.items()}


def draw_scene(path: Path, things: Sequence[Thing], seed: int = 0) -> None:
    """Write the picture of a scene: red discs and blue squares on noise."""
    noise = np.random.default_rng((seed, *path.name.encode())).integers(90, 140, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for thing in things:
        colour = ("red", "blue")[thing.label]
        ImageDraw.Draw(image).polygon(thing.polygon, fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_coco(folder: Path, scenes: Scenes | None = None, masks: bool = True) -> Path:
    """Write scenes as COCO JSON: `images/`, `annotations/instances_SPLIT.json`."""
    scenes = scenes or make_scenes()
    for split, pictures in scenes.items():
        for name, things in pictures:
            draw_scene(folder / "images" / f"{name}.png", things)
        write_json(folder / "annotations" / f"instances_{split}.json", coco(pictures, masks))
    return folder


def coco(pictures: Sequence[tuple[str, Sequence[Thing]]], masks: bool = True) -> dict[str, Any]:
    """Return the content of a COCO file; ids begin at 1, categories at 10."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 10 + label, "name": name} for label, name in enumerate(CLASSES)]
    for image_id, (name, things) in enumerate(pictures, start=1):
        content["images"].append({"id": image_id, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]})
        for thing in things:
            x0, y0, x1, y1 = thing.box
            annotation = {
                "id": len(content["annotations"]) + 1,
                "image_id": image_id,
                "category_id": 10 + thing.label,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
            }
            content["annotations"].append(annotation | ({"segmentation": [thing.polygon]} if masks else {}))
    return content


def write_voc(folder: Path, scenes: Scenes | None = None) -> Path:
    """Write scenes as Pascal VOC: `JPEGImages/`, `Annotations/`, `ImageSets/Main/`."""
    for split, pictures in (scenes or make_scenes()).items():
        for name, things in pictures:
            draw_scene(folder / "JPEGImages" / f"{name}.png", things)
            write(folder / "Annotations" / f"{name}.xml", voc(name, things))
        write(folder / "ImageSets" / "Main" / f"{split}.txt", "\n".join(name for name, _ in pictures))
    return folder


def voc(name: str, things: Sequence[Thing]) -> str:
    """Return the content of a VOC file, which counts pixels from 1."""
    objects = ""
    for thing in things:
        x0, y0, x1, y1 = thing.box
        sides = zip(("xmin", "ymin", "xmax", "ymax"), (x0 + 1, y0 + 1, x1, y1), strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        objects += f"<object><name>{CLASSES[thing.label]}</name><bndbox>{box}</bndbox></object>"
    size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}.png</filename>{size}{objects}</annotation>"


def write_yolo(folder: Path, scenes: Scenes | None = None, masks: bool = False) -> Path:
    """Write scenes as YOLO text: `images/SPLIT/`, `labels/SPLIT/`, `data.yaml`."""
    scenes = scenes or make_scenes()
    for split, pictures in scenes.items():
        for name, things in pictures:
            draw_scene(folder / "images" / split / f"{name}.png", things)
            write(folder / "labels" / split / f"{name}.txt", "".join(yolo_line(thing, masks) for thing in things))
    places = "".join(f"{split}: images/{split}\n" for split in scenes)
    write(folder / "data.yaml", f"{places}nc: 2\nnames: [{', '.join(CLASSES)}]\n")
    return folder


def yolo_line(thing: Thing, masks: bool = False, size: tuple[int, int] = SIZE) -> str:
    """Return one line of a YOLO file for a picture of that size."""
    width, height = size
    x0, y0, x1, y1 = thing.box
    numbers = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
    if masks:
        numbers = [number / size[place % 2] for place, number in enumerate(thing.polygon)]
    return " ".join([str(thing.label), *(f"{number:.6f}" for number in numbers)]) + "\n"


def write(path: Path, text: str) -> None:
    """Write a text, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, and its folder."""
    write(path, json.dumps(content))


def _things(generator: np.random.Generator) -> Iterator[Thing]:
    """Yield one to three things in columns of their own, so that they never overlap."""
    columns = generator.permutation(3)[: generator.integers(1, 4)]
    for column in columns.tolist():
        width, height = generator.integers(10, 18, 2).tolist()
        x0 = 21 * column + int(generator.integers(0, 21 - width))
        y0 = int(generator.integers(0, SIZE[1] - height))
        yield Thing(int(generator.integers(2)), (x0, y0, x0 + width, y0 + height))
