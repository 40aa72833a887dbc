"""The job `predict`: labels for new pictures.

`job.json`: `{"model": model folder, "inputs": [files and folders], "output": CSV or JSON file, or null}`. Leaves
`predictions.json` (and `output`), an object a picture, in the order of the inputs::

    {"file": …, "label": "cat", "probability": 0.98, "top": [{"label": …, "probability": …}, …], "error": null}

A picture that can't be read has an `error`, and null for label and probability. Where a picture has any number of
labels, `labels` lists those that are given, `label` joins them with bars (empty: none), and `probability` is that of
the likeliest label, given or not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import nn

from tunewell.spec.errors import SpecError
from tunewell.tasks.image_classification.learner import PREDICTION_BATCH
from tunewell.tasks.image_classification.model import ModelConfig, load_model, normalize
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.picture_set import collect_pictures
from tunewell.tasks.vision.pictures import PictureError, bombs_refused, load_pixels
from tunewell.tasks.vision.training import best_device
from tunewell.trial import report
from tunewell.trial.files import write_json

#: Most labels that are given for a picture.
TOP = 3

Prediction = dict[str, Any]


def predict(folder: Path) -> None:
    """Predict the labels of the pictures that `job.json` names; report how many are done after each batch."""
    with arguments_of(folder) as arguments:
        output = Path(arguments["output"]) if arguments["output"] else None
        if output is not None and output.suffix.lower() not in (".csv", ".json"):
            raise SpecError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
        module, config = load_model(Path(arguments["model"]))
        paths = collect_pictures([Path(path) for path in arguments["inputs"]])
        predictions: list[Prediction] = []
        for batch in _predict_all(module.to(best_device()), config, paths):
            predictions += batch
            report(step=len(predictions), predicted=len(predictions))
        write_json(folder / "predictions.json", predictions)
        if output is not None:
            _write(predictions, output)


def _predict_all(module: nn.Module, config: ModelConfig, paths: Sequence[Path]) -> Iterator[list[Prediction]]:
    """Yield the predictions of a batch at a time."""
    for start in range(0, len(paths), PREDICTION_BATCH):
        chosen = paths[start : start + PREDICTION_BATCH]
        pixels, problems = _load(chosen, config.image_size)
        rows = dict(zip(pixels, _probabilities(module, config, list(pixels.values())), strict=True))
        yield [
            _prediction(path, rows[path], config) if path in rows else _unreadable(path, problems[path])
            for path in chosen
        ]


def _load(paths: Sequence[Path], size: int) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """Return the pixels (S, S, 3) of each picture, and what is wrong with those that can't be read."""
    pixels, problems = {}, {}
    with bombs_refused():
        for path in paths:
            try:
                pixels[path] = load_pixels(path, size)
            except PictureError as error:
                problems[path] = str(error)
    return pixels, problems


@torch.inference_mode()
def _probabilities(module: nn.Module, config: ModelConfig, pixels: Sequence[np.ndarray]) -> list[list[float]]:
    """Pixels (S, S, 3) of each picture → its probabilities (C,)."""
    if not pixels:
        return []
    inputs = normalize(torch.from_numpy(np.stack(pixels)).to(best_device()), config)
    rows: list[list[float]] = config.kind.probabilities(module(inputs).double()).tolist()
    return rows


def _prediction(path: Path, probabilities: Sequence[float], config: ModelConfig) -> Prediction:
    ranked = sorted(zip(probabilities, config.classes, strict=True), key=lambda pair: -pair[0])[:TOP]
    top = [{"label": label, "probability": probability} for probability, label in ranked]
    prediction = {"file": str(path), **top[0], "top": top, "error": None}
    if config.thresholds:
        decided = zip(config.classes, probabilities, config.thresholds, strict=True)
        labels = [label for label, probability, threshold in decided if probability >= threshold]
        prediction |= {"label": "|".join(labels), "labels": labels}
    return prediction


def _unreadable(path: Path, problem: str) -> Prediction:
    return {"file": str(path), "label": None, "probability": None, "top": [], "error": problem}


def _write(predictions: Sequence[Prediction], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="") as file:
        if output.suffix.lower() == ".json":
            json.dump(predictions, file, indent=1, allow_nan=False)
        else:
            _write_csv(predictions, file)


def _write_csv(predictions: Sequence[Prediction], file: TextIO) -> None:
    """One row a picture: the most likely classes side by side; before them, of any number of labels, those given."""
    ranks = ["", *(f"_{rank}" for rank in range(2, TOP + 1))]
    several = any("labels" in prediction for prediction in predictions)
    likeliest = [f"{name}{rank}" for rank in ranks for name in ("label", "probability")]
    writer = csv.DictWriter(file, ["file", *(["labels"] if several else []), *likeliest, "error"])
    writer.writeheader()
    for prediction in predictions:
        row = {"file": prediction["file"], "error": prediction["error"]}
        if several:
            row["labels"] = prediction["label"]
        for rank, guess in zip(ranks, prediction["top"], strict=False):
            row |= {f"{name}{rank}": value for name, value in guess.items()}
        writer.writerow(row)
