"""The job `predict`: labels for new pictures; see `predicting`. A picture::

    {"file": …, "label": "cat", "probability": 0.98, "top": [{"label": …, "probability": …}, …], "error": null}

Of one that can't be read, label and probability are null. `probabilities`, of all classes as below, is there where it
was asked for. Where a picture has any number of labels::

    {"file": …, "labels": ["cat", …], "probabilities": {"cat": 0.98, …}, "error": null}

with the labels that are given, none for one that can't be read, and the probability of every label. A threshold that
was asked for holds for all labels, in place of those that the model has for each.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from torch import nn

from tunewell.tasks.contract import AS_TRAINED, Answering
from tunewell.tasks.image_classification.learner import PREDICTION_BATCH
from tunewell.tasks.image_classification.model import ModelConfig, load_model, outputs
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.pictures import load_pixels
from tunewell.tasks.vision.predicting import Prediction, Predictor, Source, load_each, predict_pictures

#: Labels that are given for a picture which has one of many.
TOP = 3


def predict(folder: Path) -> None:
    """Predict the labels of the pictures that `job.json` names."""
    predict_pictures(folder, _begin, _write_csv)


def load_predictor(model: Path) -> Predictor:
    """Return a model that is ready, on the GPU if there is one."""
    module, config = load_model(model)
    predict = partial(_predict, on_device(module, best_device()), config)
    return Predictor(predict, PREDICTION_BATCH, config.value_ranges)


def _begin(arguments: Mapping[str, Any], paths: Sequence[Path]) -> Predictor:
    del paths
    return load_predictor(Path(arguments["model"]))


def _predict(
    module: nn.Module, config: ModelConfig, sources: Sequence[Source], answering: Answering = AS_TRAINED
) -> list[Prediction]:
    pixels, problems = load_each(sources, partial(load_pixels, size=config.image_size, ranges=config.value_ranges))
    rows = dict(zip(pixels, _probabilities(module, config, list(pixels.values())), strict=True))
    prediction = _labels if config.thresholds else _label
    return [prediction(config, rows.get(source), problems.get(source), answering) for source in sources]


def _probabilities(module: nn.Module, config: ModelConfig, pixels: Sequence[np.ndarray]) -> list[list[float]]:
    """Pixels (S, S, 3) of each picture → its probabilities (C,)."""
    if not pixels:
        return []
    rows: list[list[float]] = config.kind.probabilities(outputs(module, config, pixels).double()).tolist()
    return rows


def _label(
    config: ModelConfig, probabilities: Sequence[float] | None, problem: str | None, answering: Answering
) -> Prediction:
    """Return the likeliest label; of a picture that can't be read there is a problem, but no probabilities."""
    asked = answering.probabilities
    if probabilities is None:
        none: Prediction = {"probabilities": {}} if asked else {}
        return {"label": None, "probability": None, "top": [], **none, "error": problem}
    ranked = sorted(zip(probabilities, config.classes, strict=True), key=lambda pair: -pair[0])[:TOP]
    top = [{"label": label, "probability": probability} for probability, label in ranked]
    of = {"probabilities": dict(zip(config.classes, probabilities, strict=True))} if asked else {}
    return {**top[0], "top": top, **of, "error": None}


def _labels(
    config: ModelConfig, probabilities: Sequence[float] | None, problem: str | None, answering: Answering
) -> Prediction:
    """Return every label whose probability reaches its threshold, or the one that was asked for."""
    if probabilities is None:
        return {"labels": [], "probabilities": {}, "error": problem}
    of = dict(zip(config.classes, probabilities, strict=True))
    given = answering.threshold
    thresholds = config.thresholds if given is None else (given,) * len(config.thresholds)
    labels = [name for name, threshold in zip(of, thresholds, strict=True) if of[name] >= threshold]
    return {"labels": labels, "probabilities": of, "error": None}


def _write_csv(predictions: Sequence[Prediction], file: TextIO) -> None:
    """One row a picture: the likeliest labels side by side; or what is given, and the probability of each label."""
    if "probabilities" in predictions[0]:
        _write_probabilities(predictions, file)
        return
    ranks = ["", *(f"_{rank}" for rank in range(2, TOP + 1))]
    writer = csv.DictWriter(
        file, ["file", *(f"{name}{rank}" for rank in ranks for name in ("label", "probability")), "error"]
    )
    writer.writeheader()
    for prediction in predictions:
        row = {"file": prediction["file"], "error": prediction["error"]}
        for rank, guess in zip(ranks, prediction["top"], strict=False):
            row |= {f"{name}{rank}": value for name, value in guess.items()}
        writer.writerow(row)


def _write_probabilities(predictions: Sequence[Prediction], file: TextIO) -> None:
    names = next((list(one["probabilities"]) for one in predictions if one["probabilities"]), [])
    several = "labels" in predictions[0]
    writer = csv.writer(file)
    writer.writerow(["file", "labels" if several else "label", *(f"probability_{name}" for name in names), "error"])
    for one in predictions:
        probabilities = [one["probabilities"].get(name) for name in names]
        given = "|".join(one["labels"]) if several else one["label"]
        writer.writerow([one["file"], given, *probabilities, one["error"]])
