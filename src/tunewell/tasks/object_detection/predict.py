"""The job `predict`: objects in new pictures.

`job.json`: `{"model": model folder, "inputs": [files and folders], "output": CSV or JSON file, or null, "drawn":
folder, or null}`. Leaves `predictions.json` (and `output`, and the pictures with their objects drawn in), an object a
picture, in the order of the inputs::

    {"file": …, "objects": [{"label": "cat", "score": 0.98, "box": [x0, y0, x1, y1], "mask": {…}}, …], "error": null}

Boxes are in pixels of the picture; `mask` is COCO's run-length encoding, given by networks that give masks. Objects
below the model's score threshold, the best one on the validation data, are left out. A picture that can't be read has
an `error` and no objects.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from torch import nn

from tunewell.spec.errors import DataError, SpecError
from tunewell.tasks.object_detection.dataset import load_frame
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.drawing import drawn, marks_of_detections
from tunewell.tasks.object_detection.finding import BATCH_SIZE, find
from tunewell.tasks.object_detection.model import ModelConfig, load_model
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.picture_set import collect_pictures
from tunewell.tasks.vision.pictures import PictureError, bombs_refused
from tunewell.tasks.vision.training import best_device
from tunewell.trial import report
from tunewell.trial.files import write_json

#: Longer side of the largest drawn pictures, in pixels.
_LARGEST_DRAWN = 1280
_COLUMNS = ("file", "label", "score", "x0", "y0", "x1", "y1", "error")

Prediction = dict[str, Any]
#: A picture's pixels at the network's size, uint8 (H, W, 3), and its own width and height.
Loaded = tuple[np.ndarray, tuple[int, int]]


def predict(folder: Path) -> None:
    """Find the objects in the pictures that `job.json` names; report how many are done after each batch."""
    with arguments_of(folder) as arguments:
        output = Path(arguments["output"]) if arguments["output"] else None
        if output is not None and output.suffix.lower() not in (".csv", ".json"):
            raise SpecError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
        place = Path(arguments["drawn"]) if arguments.get("drawn") else None
        module, config = load_model(Path(arguments["model"]))
        paths = collect_pictures([Path(path) for path in arguments["inputs"]])
        predictions: list[Prediction] = []
        for batch in _predict_all(module.to(best_device()), config, paths, place):
            predictions += batch
            report(step=len(predictions), predicted=len(predictions))
        write_json(folder / "predictions.json", predictions)
        if output is not None:
            _write(predictions, output)


def _predict_all(
    module: nn.Module, config: ModelConfig, paths: Sequence[Path], place: Path | None
) -> Iterator[list[Prediction]]:
    """Yield the predictions of a batch at a time; draw them into pictures in the folder `place`, if there is one."""
    names = _drawn_names(paths)
    for start in range(0, len(paths), BATCH_SIZE):
        chosen = paths[start : start + BATCH_SIZE]
        loaded, problems = _load(chosen, config.image_size)
        images, sizes = [item[0] for item in loaded.values()], [item[1] for item in loaded.values()]
        found = find(module, config, images, sizes, best_device()) if images else []
        rows = {path: item.above(config.score_threshold) for path, item in zip(loaded, found, strict=True)}
        if place is not None:
            for path, item in rows.items():
                _draw(path, place / names[path], loaded[path][1], item, config.classes)
        yield [
            _prediction(path, rows[path], config.classes) if path in rows else _unreadable(path, problems[path])
            for path in chosen
        ]


def _load(paths: Sequence[Path], size: int) -> tuple[dict[Path, Loaded], dict[Path, str]]:
    """Return each picture at the network's size, and what is wrong with those that can't be read."""
    loaded, problems = {}, {}
    with bombs_refused():
        for path in paths:
            try:
                loaded[path] = load_frame(path, size)
            except PictureError as error:
                problems[path] = str(error)
    return loaded, problems


def _drawn_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each drawn picture; those of the same name get a number."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = f"{path.stem}.jpg", 1
        while name in taken:
            number += 1
            name = f"{path.stem}-{number}.jpg"
        taken.add(name)
        names[path] = name
    return names


def _draw(source: Path, target: Path, size: tuple[int, int], found: Detections, classes: Sequence[str]) -> None:
    pixels, _ = load_frame(source, min(max(size), _LARGEST_DRAWN))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn(pixels, size, marks_of_detections(found, classes)).save(target, quality=90)
    except OSError as error:
        raise DataError(f"{target}: it can't be written ({error.strerror or error}). Name another folder.") from None


def _prediction(path: Path, found: Detections, classes: Sequence[str]) -> Prediction:
    objects: list[dict[str, Any]] = []
    for place in range(len(found)):
        item: dict[str, Any] = {
            "label": classes[found.labels[place]],
            "score": float(found.scores[place]),
            "box": [round(value, 2) for value in found.boxes[place].tolist()],
        }
        objects.append(item if found.masks is None else {**item, "mask": found.masks[place]})
    return {"file": str(path), "objects": objects, "error": None}


def _unreadable(path: Path, problem: str) -> Prediction:
    return {"file": str(path), "objects": [], "error": problem}


def _write(predictions: Sequence[Prediction], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="") as file:
        if output.suffix.lower() == ".json":
            json.dump(predictions, file, indent=1, allow_nan=False)
        else:
            _write_csv(predictions, file)


def _write_csv(predictions: Sequence[Prediction], file: TextIO) -> None:
    """One row an object; a picture without any has a row of its own. Masks are in JSON only."""
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    for prediction in predictions:
        for item in prediction["objects"] or [{"label": None, "score": None, "box": [None] * 4}]:
            row = {"file": prediction["file"], "label": item["label"], "score": item["score"]}
            corners = dict(zip(("x0", "y0", "x1", "y1"), item["box"], strict=True))
            writer.writerow({**row, **corners, "error": prediction["error"]})
