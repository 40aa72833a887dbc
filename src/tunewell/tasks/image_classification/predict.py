"""The job `predict`: labels for new pictures; see `predicting`. A picture::

    {"file": …, "label": "cat", "probability": 0.98, "top": [{"label": …, "probability": …}, …], "error": null}

Of one that can't be read, label and probability are null. Where a picture has any number of labels, `labels` lists
those that are given, `label` joins them with bars (empty: none), `probability` is that of the likeliest label, given
or not, and `top` has all labels.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import nn

from tunewell.tasks.image_classification.learner import PREDICTION_BATCH
from tunewell.tasks.image_classification.model import ModelConfig, load_model, normalize
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.pictures import load_pixels
from tunewell.tasks.vision.predicting import Prediction, load_each, predict_pictures

#: Labels that are given for a picture which has one of many.
TOP = 3


def predict(folder: Path) -> None:
    """Predict the labels of the pictures that `job.json` names."""
    predict_pictures(folder, PREDICTION_BATCH, _begin, _write_csv)


def _begin(arguments: Mapping[str, Any], paths: Sequence[Path]) -> Callable[[Sequence[Path]], list[Prediction]]:
    del paths
    module, config = load_model(Path(arguments["model"]))
    return partial(_predict, on_device(module, best_device()), config)


def _predict(module: nn.Module, config: ModelConfig, paths: Sequence[Path]) -> list[Prediction]:
    pixels, problems = load_each(paths, partial(load_pixels, size=config.image_size))
    rows = dict(zip(pixels, _probabilities(module, config, list(pixels.values())), strict=True))
    return [_prediction(rows[path], config) if path in rows else _unreadable(problems[path]) for path in paths]


@torch.inference_mode()
def _probabilities(module: nn.Module, config: ModelConfig, pixels: Sequence[np.ndarray]) -> list[list[float]]:
    """Pixels (S, S, 3) of each picture → its probabilities (C,)."""
    if not pixels:
        return []
    inputs = normalize(torch.from_numpy(np.stack(pixels)).to(best_device()), config)
    rows: list[list[float]] = config.kind.probabilities(module(inputs).double()).tolist()
    return rows


def _prediction(probabilities: Sequence[float], config: ModelConfig) -> Prediction:
    ranked = sorted(zip(probabilities, config.classes, strict=True), key=lambda pair: -pair[0])
    top = [{"label": label, "probability": probability} for probability, label in ranked]
    if not config.thresholds:
        return {**top[0], "top": top[:TOP], "error": None}
    decided = zip(config.classes, probabilities, config.thresholds, strict=True)
    labels = [label for label, probability, threshold in decided if probability >= threshold]
    return {**top[0], "top": top, "error": None, "label": "|".join(labels), "labels": labels}


def _unreadable(problem: str) -> Prediction:
    return {"label": None, "probability": None, "top": [], "error": problem}


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
