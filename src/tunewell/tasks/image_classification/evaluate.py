"""The job `evaluate`; see `evaluation`.

An evaluation has the metrics of `detailed_metrics.measure` or `multilabel_details.measure` for the validation set, from
the predictions that the trial left, and for the test set, which nothing has looked at before. The job `evaluate-model`
has them for data that were labelled anew; see `new_data`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from tunewell.spec.errors import DataError
from tunewell.tasks.evaluation import evaluate_trials
from tunewell.tasks.image_classification.data import read_to_measure
from tunewell.tasks.image_classification.detailed_metrics import small_picture
from tunewell.tasks.image_classification.learner import PREDICTION_BATCH, labelled_pictures
from tunewell.tasks.image_classification.manifest import (
    LabelledPictures,
    Manifest,
    MultilabelManifest,
    load_manifest,
)
from tunewell.tasks.image_classification.model import ModelConfig, load_model, outputs
from tunewell.tasks.image_classification.multilabel_data import read_multilabel_to_measure
from tunewell.tasks.job_folder import place_in
from tunewell.tasks.uncertainty import resampled
from tunewell.tasks.vision.cache import is_intact, load_cached_pixels
from tunewell.tasks.vision.content import is_unchanged
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.new_data import chosen_positions, labels_by_name, leave, look_at, note_known
from tunewell.tasks.vision.pictures import load_pixels
from tunewell.tasks.vision.task_file import Prepared

Measures = dict[str, Any]


def evaluate(folder: Path) -> None:
    """Evaluate the trials that `job.json` names."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(place_in(folder, arguments["task_file"]))
        manifest = load_manifest(Path(prepared.manifest))
        are_here = is_unchanged(manifest, prepared)
        evaluate_trials(folder, arguments, lambda artifacts: _evaluate_trial(artifacts, prepared, manifest, are_here))


def _evaluate_trial(
    artifacts: Path, prepared: Prepared, manifest: LabelledPictures, are_here: bool
) -> dict[str, Measures | None]:
    """Evaluate the trial that left `artifacts`; `are_here`: whether the pictures themselves are, as they were."""
    logits, positions = _left_predictions(artifacts / "predictions.npz")
    module, config = load_model(artifacts / "model")
    validation = _measure(logits, positions, manifest, config, prepared.seed, are_here)
    test = None
    tested = manifest.test_positions()
    if tested is not None:
        module = on_device(module, best_device())
        pixels = labelled_pictures(prepared, manifest, config.image_size).pixels
        batches = (tested[start : start + PREDICTION_BATCH] for start in range(0, len(tested), PREDICTION_BATCH))
        logits = np.concatenate([_logits(module, config, pixels[batch]) for batch in batches])
        test = _measure(logits, tested, manifest, config, prepared.seed, are_here)
    measured = {"val": validation, "test": test}
    for found in filter(None, measured.values()):
        if not are_here:
            _show_decoded(found, prepared, manifest, config.image_size)
    return {split: found and {**found, "note": config.note} for split, found in measured.items()}


def _show_decoded(measures: Measures, prepared: Prepared, manifest: LabelledPictures, size: int) -> None:
    """Have pictures that are named by their places in the data set shown as they were decoded, where that is here."""
    shown = list(measures.get("worst_mistakes", ()))
    shown += [one for cell in measures.get("cells", ()) for one in cell["pictures"]]
    folder = Path(prepared.pixels.get(size, ""))
    pixels = load_cached_pixels(folder) if shown and is_intact(folder, manifest, size) else None
    positions = {path: position for position, path in enumerate(manifest.paths)}
    for one in shown:
        position = positions[one["path"]]
        one["path"] = str(manifest.path(position))
        one["thumbnail"] = None if pixels is None else small_picture(pixels[position])


def evaluate_model(folder: Path) -> None:
    """Evaluate the model that `job.json` names on other data."""
    with arguments_of(folder) as arguments:
        module, config = load_model(Path(arguments["model"]))
        read = read_multilabel_to_measure if config.thresholds else read_to_measure
        manifest: Manifest | MultilabelManifest = read(Path(arguments["data"]))
        chosen = chosen_positions(manifest, arguments["split"])
        wanted = [position for positions in chosen.values() for position in positions]
        labels = {position: _labels_of(manifest, position) for position in wanted}
        occurring = sorted({label for own in labels.values() for label in own})
        places, notes = labels_by_name(manifest, occurring, config.classes)
        module = on_device(module, best_device())
        load = partial(load_pixels, size=config.image_size, ranges=config.value_ranges)
        found, unreadable = look_at(manifest, wanted, load, partial(_logits, module, config), PREDICTION_BATCH)
        targets = np.zeros((len(found), len(config.classes)), dtype=np.float32)
        for row, position in enumerate(found):
            targets[row, places[list(labels[position])]] = 1
        logits = np.stack(list(found.values()))
        paths = [manifest.path(position) for position in found]
        true = targets if config.thresholds else targets.argmax(axis=1)
        measured = _in_detail(logits, true, config, paths)
        known = note_known(arguments["task_file"], manifest, found)
        leave(folder, measured, chosen, found, unreadable, [*known, *manifest.notes, *notes])


def _labels_of(manifest: Manifest | MultilabelManifest, position: int) -> tuple[int, ...]:
    labels = manifest.labels[position]
    return labels if isinstance(labels, tuple) else (labels,)


def _logits(module: nn.Module, config: ModelConfig, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Pixels (S, S, 3) of each picture of a batch → its outputs (C,)."""
    return list(outputs(module, config, pixels).cpu().numpy())


def _left_predictions(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits and positions that the trial left; raise `DataError` if the file is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream) as left:
            return left["logits"], left["positions"]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError):
        raise DataError("these predictions of a trial are damaged", field=str(file), remedy="Restore them") from None


def _measure(
    logits: np.ndarray, places: np.ndarray, manifest: LabelledPictures, config: ModelConfig, seed: int, are_here: bool
) -> Measures | None:
    """Return the metrics of the pictures at `places`, None if the model does not even give finite numbers."""
    # Others may lie where these lay: what is not to be opened has no folder.
    paths = [manifest.path(place) if are_here else Path(manifest.paths[place]) for place in places.tolist()]
    return _in_detail(logits, manifest.targets()[places], config, paths, seed)


def _in_detail(
    logits: np.ndarray, targets: np.ndarray, config: ModelConfig, paths: Sequence[Path], seed: int = 0
) -> Measures | None:
    if not np.isfinite(logits).all():
        return None
    measures = config.kind.measure_in_detail(logits, targets, config.thresholds, config.classes, paths)
    on_resamples = config.kind.on_resamples(logits, targets, config.thresholds)
    return {**measures, "resampled": resampled(on_resamples, len(targets), seed)}
