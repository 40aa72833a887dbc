"""The job `predict`: objects in new pictures; see `predicting`. A picture::

    {"file": …, "objects": [{"label": "cat", "score": 0.98, "box": [x0, y0, x1, y1], "mask": {…}}, …], "error": null}

Boxes are in pixels of the picture; `mask` is COCO's run-length encoding, given by networks that give masks. Objects
below the threshold that was asked for, or else the model's own, the best one on the validation data, are left out.
`job.json` has one more entry, `drawn`: a folder for the pictures with their objects drawn in, or null.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from torch import nn

from tunewell.spec.errors import DataError
from tunewell.tasks.contract import AS_TRAINED, Answering
from tunewell.tasks.object_detection.dataset import load_picture
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.drawing import drawn, marks_of_detections
from tunewell.tasks.object_detection.finding import find
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.model import ModelConfig, load_model
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.predicting import Prediction, Predictor, Source, load_each, predict_pictures

#: Longer side of the largest drawn pictures, in pixels.
_LARGEST_DRAWN = 1280
#: Pictures that are read at a time.
_AT_A_TIME = 8
_COLUMNS = ("file", "label", "score", "x0", "y0", "x1", "y1", "error")


@dataclass(frozen=True, slots=True)
class _Finder:
    """A network on its device."""

    module: nn.Module
    config: ModelConfig
    #: Picture → where its objects are drawn in; empty: nowhere.
    drawn: Mapping[Path, Path]

    def __call__(self, sources: Sequence[Source], answering: Answering = AS_TRAINED) -> list[Prediction]:
        config = self.config
        load = partial(load_picture, frame=config.frame, ranges=config.value_ranges, tiles=config.tiles)
        loaded, problems = load_each(sources, load)
        threshold = self.config.score_threshold if answering.threshold is None else answering.threshold
        rows = {source: self._find(*item).above(threshold) for source, item in loaded.items()}
        for source, found in rows.items():
            if isinstance(source, Path) and source in self.drawn:
                _draw(source, self.drawn[source], loaded[source][1], found, self.config)
        return [
            _prediction(rows[source], self.config.classes) if source in rows else _unreadable(problems[source])
            for source in sources
        ]

    def _find(self, pixels: np.ndarray, size: tuple[int, int]) -> Detections:
        return find(self.module, self.config, pixels, size, best_device())


def predict(folder: Path) -> None:
    """Find the objects in the pictures that `job.json` names."""
    predict_pictures(folder, _begin, _write_csv)


def load_predictor(model: Path) -> Predictor:
    """Return a model that is ready, on the GPU if there is one."""
    return _predictor(model, {})


def _begin(arguments: Mapping[str, Any], paths: Sequence[Path]) -> Predictor:
    place = arguments.get("drawn")
    drawn = {path: Path(place) / name for path, name in _drawn_names(paths).items()} if place else {}
    return _predictor(Path(arguments["model"]), drawn)


def _predictor(model: Path, drawn: Mapping[Path, Path]) -> Predictor:
    module, config = load_model(model)
    finder = _Finder(on_device(module, best_device()), config, drawn)
    return Predictor(finder, _AT_A_TIME, config.value_ranges)


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


def _draw(source: Path, target: Path, size: tuple[int, int], found: Detections, config: ModelConfig) -> None:
    pixels, _ = load_picture(source, Frame.square(min(max(size), _LARGEST_DRAWN)), config.value_ranges)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn(pixels, size, marks_of_detections(found, config.classes)).save(target, quality=90)
    except OSError as error:
        raise DataError(
            f"it can't be written ({error.strerror or error})", field=str(target), remedy="Name another folder"
        ) from None


def _prediction(found: Detections, classes: Sequence[str]) -> Prediction:
    objects: list[dict[str, Any]] = []
    for place in range(len(found)):
        item: dict[str, Any] = {
            "label": classes[found.labels[place]],
            "score": float(found.scores[place]),
            "box": found.boxes[place].tolist(),
        }
        objects.append(item if found.masks is None else {**item, "mask": found.masks[place]})
    return {"objects": objects, "error": None}


def _unreadable(problem: str) -> Prediction:
    return {"objects": [], "error": problem}


def _write_csv(predictions: Sequence[Prediction], file: TextIO) -> None:
    """One row an object; a picture without any has a row of its own. Masks are in JSON only."""
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    for prediction in predictions:
        for item in prediction["objects"] or [{"label": None, "score": None, "box": [None] * 4}]:
            row = {"file": prediction["file"], "label": item["label"], "score": item["score"]}
            corners = dict(zip(("x0", "y0", "x1", "y1"), item["box"], strict=True))
            writer.writerow({**row, **corners, "error": prediction["error"]})
