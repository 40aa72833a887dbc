"""What is measured is what is saved, predicted and handed over: the same figures everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.object_detection.trained import Trained, lenient, prepare, run_trial
from tests.tasks.supervised import failure, hand_over, run_job, told_program

from tunewell.tasks.object_detection import building
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.detections import Detections, load_detections
from tunewell.tasks.object_detection.evaluate import evaluate
from tunewell.tasks.object_detection.export import export
from tunewell.tasks.object_detection.masks import encode_pixels
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.object_detection.predict import predict
from tunewell.tasks.object_detection.thresholds import gather, match_all, rates
from tunewell.trial import Failed

#: 64 x 48 pixels become 50 x 38, so that the scales of the two axes differ by more than a hundredth.
SIDE = 50
#: With this the networks learn to find something.
LEARNED = {"image_size": SIDE, "epochs": 8, "learning_rate": 2e-3, "anchor_ratio": 1.3, "mosaic": 0.0, "mixup": 0.0}


@pytest.fixture(
    scope="module",
    params=[
        "object-detection",
        pytest.param("instance-segmentation", marks=pytest.mark.slow),
        pytest.param("object-detection in tiles", marks=pytest.mark.slow),
        pytest.param("instance-segmentation in tiles", marks=pytest.mark.slow),
    ],
)
def uneven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment whose pictures have another scale across than down, evaluated. To be read only."""
    home = tmp_path_factory.mktemp("home")
    data = write_coco(home / "data", make_scenes({"train": 24, "val": 4, "test": 3}))
    task, in_tiles, _ = request.param.partition(" in tiles")
    tiles = 2 if in_tiles else 1
    experiment = prepare(home, task, data, parameters={"image_size": [SIDE], "tiles": [tiles]}, weights="auto")
    run_trial(experiment, experiment.attempt, {**LEARNED, "tiles": tiles, "epochs": 6 if in_tiles else 8})
    trials = [{"number": 1, "folder": experiment.attempt}]
    run_job(evaluate, home / "job", task_file=experiment.task_file, trials=trials)
    return experiment


def evaluation(experiment: Trained) -> dict[str, dict[str, Any]]:
    """Return the figures of each split."""
    splits: dict[str, dict[str, Any]]
    splits = json.loads((experiment.folder.parent / "job" / "artifacts" / "1.json").read_text())
    return splits


def pictures_of(experiment: Trained) -> AnnotatedPictures:
    """Return the data set."""
    return AnnotatedPictures.load(experiment.folder / "manifest.json")


def test_one_figure_everywhere(uneven: Trained) -> None:
    """Trial, model and evaluation give the same figures, to the last digit; saved detections are the measured ones."""
    reported = json.loads((uneven.attempt / "reports.jsonl").read_text().splitlines()[-1])["metrics"]
    del reported["train_loss"], reported["best_epoch"]
    assert reported["map"] > 0.02
    assert load_model(uneven.model)[1].metrics == reported
    assert {name: evaluation(uneven)["val"][name] for name in reported} == reported
    found = load_detections(uneven.attempt / "artifacts" / "detections.json")
    assert measure(found, pictures_of(uneven)) == reported


def test_predictions_are_what_was_measured(uneven: Trained, tmp_path: Path) -> None:
    """`predict` gives the detections of the validation above the threshold, and with them its precision and recall."""
    annotated, threshold = pictures_of(uneven), load_model(uneven.model)[1].score_threshold
    saved = load_detections(uneven.attempt / "artifacts" / "detections.json")
    paths = [annotated.path(position) for position in saved]
    arguments = {"model": uneven.model, "inputs": paths, "directory": "/", "output": None, "drawn": None}
    run_job(predict, tmp_path / "job", **arguments)
    predictions = json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())
    found = {}
    for position, prediction in zip(saved, predictions, strict=True):
        objects, expected = prediction["objects"], saved[position].above(threshold)
        assert [item["box"] for item in objects] == expected.boxes.tolist()
        assert [item["score"] for item in objects] == expected.scores.tolist()
        assert [item.get("mask") for item in objects] == list(expected.masks or [None] * len(objects))
        found[position] = expected
    matches = gather(found, match_all(found, annotated), annotated)
    measured = evaluation(uneven)["val"]
    assert measured["recall"] > 0
    for name, value in rates(matches.hits, int(matches.objects.sum())).items():
        assert measured[name] == value


def test_neighbours_change_no_prediction(uneven: Trained, tmp_path: Path) -> None:
    """A picture alone and among others of other shapes, in any order, has the same objects to the last digit."""
    model = lenient(uneven.model, tmp_path / "model", threshold=0.0)
    shapes = {"wide": (90, 30), "tall": (20, 80), "square": (60, 60), "large": (320, 240), "as learned": (64, 48)}
    with Image.open(pictures_of(uneven).path(0)) as image:
        paths = []
        for name, size in shapes.items():
            paths.append(tmp_path / f"{name}.png")
            image.convert("RGB").resize(size).save(paths[-1])

    def predicted(job: str, inputs: list[Path]) -> dict[str, Any]:
        run_job(predict, tmp_path / job, model=model, inputs=inputs, directory="/", output=None, drawn=None)
        return {
            item["file"]: item for item in json.loads((tmp_path / job / "artifacts" / "predictions.json").read_text())
        }

    together = predicted("together", paths)
    assert sum(len(item["objects"]) for item in together.values()) >= 5
    assert predicted("turned", paths[::-1]) == together
    for path in paths:
        assert predicted(path.stem, [path]) == {str(path): together[str(path)]}


def by_card(folder: Path, pictures: Mapping[int, Path]) -> Mapping[int, Detections]:
    """Return what the code of the model card finds in these pictures."""
    known: dict[str, Any] = {}
    shutil.copyfile(pictures[min(pictures)], folder / "picture.jpg")
    with chdir(folder):
        exec(told_program(folder), known)
    found = {}
    for position, path in pictures.items():
        boxes, labels, scores, *masks = known["find"](path)
        drawn = tuple(encode_pixels(np.array(masks[0], dtype=np.uint8))) if masks else None
        found[position] = Detections(boxes, scores.astype(float), labels, drawn)
    return found


def test_the_code_of_the_card_gets_the_figures_of_the_report(uneven: Trained, tmp_path: Path) -> None:
    """On validation and test pictures the exported folder, used as its card tells, has the metrics of the evaluation.

    ONNX Runtime's sums differ from PyTorch's in the seventh digit. Where that decides whether a box is a hit, a metric
    of these few objects would change by a hundredth.
    """
    folder = hand_over(export, tmp_path / "job", uneven.model, uneven.task_file)
    annotated = pictures_of(uneven)
    for split, measured in evaluation(uneven).items():
        pictures = {position: annotated.path(position) for position in annotated.splits[split]}
        figures = measure(by_card(folder, pictures), annotated)
        assert figures == pytest.approx({name: measured[name] for name in figures}, abs=1e-4)


@pytest.mark.parametrize("uneven", ["object-detection"], indirect=True)
def test_the_code_of_the_card_reads_any_picture_as_predict_does(uneven: Trained, tmp_path: Path) -> None:
    """Photos on their side, one of them read at a fraction of its size, and one with see-through parts."""
    photo, scan, cut_out = tmp_path / "photo.jpg", tmp_path / "scan.tif", tmp_path / "cut-out.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(pictures_of(uneven).path(0)) as image:
        image.convert("RGB").resize((901, 701)).save(photo, exif=exif)
        image.convert("RGB").resize((90, 70)).save(scan, exif=exif)
        clear = image.convert("RGBA").resize((80, 100))
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(cut_out)
    model = lenient(uneven.model, tmp_path / "model", threshold=0.0)
    folder = hand_over(export, tmp_path / "job", model, uneven.task_file)
    given = by_card(folder, dict(enumerate((photo, scan, cut_out))))
    arguments = {"model": folder, "inputs": [photo, scan, cut_out], "directory": "/", "output": None, "drawn": None}
    run_job(predict, tmp_path / "predict", **arguments)
    predictions = json.loads((tmp_path / "predict" / "artifacts" / "predictions.json").read_text())
    for found, prediction in zip(given.values(), predictions, strict=True):
        assert prediction["objects"]
        boxes = [item["box"] for item in prediction["objects"]]
        np.testing.assert_allclose(found.boxes, boxes, atol=0.01)


@pytest.mark.parametrize("uneven", ["object-detection"], indirect=True)
def test_an_export_of_a_network_that_minds_its_neighbours_fails(
    uneven: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the ONNX file compares with pictures that went through the network together."""
    normalize = building.Framed.normalize
    monkeypatch.setattr(
        building.Framed, "normalize", lambda self, images: normalize(self, images - 3 * (images - images.mean(dim=0)))
    )
    with pytest.raises(Failed):
        hand_over(export, tmp_path / "job", uneven.model, uneven.task_file)
    assert failure(tmp_path / "job")["cause"] == "crashed"
