"""What is done after the search: detailed evaluation, prediction, export, retraining."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.object_detection.scenes import SIZE
from tests.tasks.object_detection.trained import PARAMETERS, Trained, lenient
from tests.tasks.supervised import failure, hand_over, run_job, use_as_told

from tunewell.tasks.contract import Answering
from tunewell.tasks.object_detection.evaluate import evaluate, evaluate_model
from tunewell.tasks.object_detection.export import export
from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.object_detection.predict import load_predictor, predict
from tunewell.tasks.object_detection.retrain import retrain
from tunewell.trial import Failed


def has_masks(trained: Trained) -> bool:
    """Whether the experiment is one of instance segmentation."""
    return load_model(trained.model)[1].task == "instance-segmentation"


def test_evaluation(trained: Trained, tmp_path: Path) -> None:
    """Validation and test set have all metrics, of JSON types; pictures are embedded."""
    reports = run_job(
        evaluate, tmp_path / "job", task_file=trained.task_file, trials=[{"number": 7, "folder": trained.attempt}]
    )
    assert reports == [{"step": 1, "evaluating trials": 1.0}]
    splits = json.loads((tmp_path / "job" / "artifacts" / "7.json").read_text())
    assert (splits["val"]["count"], splits["test"]["count"]) == (4, 3)
    _, config = load_model(trained.model)
    assert {name: splits["val"][name] for name in config.metrics} == config.metrics
    for measured in splits.values():
        assert {"map", "map50", "average_recall", "precision_recall", "confused_pairs", "worst_mistakes"} <= set(
            measured
        )
        assert [row["name"] for row in measured["classes"]] == ["disc", "square"]
        assert np.shape(measured["confusion_matrix"]) == (3, 3)
        assert measured["confusion_classes"][-1] == "background"
        # Every object is found, taken for another, or missed.
        objects = [row["support"] for row in measured["classes"]]
        assert np.sum(measured["confusion_matrix"], axis=1)[:2].tolist() == objects
        assert all(item["picture"].startswith("data:image/jpeg;base64,") for item in measured["pictures"])
        for cell in measured["cells"]:
            there = measured["confusion_matrix"][cell["true"]][cell["predicted"]]
            assert 0 < len(cell["pictures"]) <= there
            for one in cell["pictures"]:
                assert one["thumbnail"].startswith("data:image/jpeg;base64,")
                assert (one["probability"] is None) == (cell["predicted"] == 2)  # what was missed has none
        counts, hits = measured["by_threshold"], np.array(measured["by_threshold"]["hits"])
        assert hits.shape == (len(counts["thresholds"]), 2)
        assert (np.diff(hits, axis=0) <= 0).all() and (hits <= np.array(counts["given"])).all()
        assert (hits <= np.array(objects)).all()


def test_new_data_are_measured_as_the_search_measured_its_own(trained: Trained, tmp_path: Path) -> None:
    """On the data of the search, the figures of its test pictures come out again, at the model's own threshold."""
    run_job(evaluate_model, tmp_path / "job", model=trained.model, data=trained.data, split=None, task_file=None)
    result = json.loads((tmp_path / "job" / "result.json").read_text())
    found = json.loads((tmp_path / "job" / "artifacts" / "evaluation.json").read_text())
    trials = [{"number": 7, "folder": trained.attempt}]
    run_job(evaluate, tmp_path / "evaluated", task_file=trained.task_file, trials=trials)
    expected = json.loads((tmp_path / "evaluated" / "artifacts" / "7.json").read_text())["test"]
    assert result["splits"] == {"test": 3}
    for name in ("map", "map50", "score_threshold", "precision", "recall"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5)
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert len(found["pictures"]) == len(expected["pictures"])


def test_prediction(trained: Trained, tmp_path: Path) -> None:
    """Files and folders become predictions in order; broken pictures have an error; pictures are drawn."""
    pictures = trained.data / "images"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    output, place = tmp_path / "found.csv", tmp_path / "drawn"
    model = lenient(trained.model, tmp_path / "model")
    arguments = {"model": model, "inputs": [pictures, broken], "output": output, "drawn": place}
    run_job(predict, tmp_path / "job", directory="/", **arguments)
    predictions = json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())
    assert [Path(item["file"]).name for item in predictions] == [
        *sorted(p.name for p in pictures.iterdir()),
        broken.name,
    ]
    assert predictions[-1]["error"] and not predictions[-1]["objects"]
    loaded = load_predictor(Path(arguments["model"]))
    asked = json.loads(json.dumps(loaded.predict([Path(one["file"]).read_bytes() for one in predictions])))
    assert asked == [{name: value for name, value in one.items() if name != "file"} for one in predictions]
    _, config = load_model(model)
    masks = config.task == "instance-segmentation"
    objects = [item for prediction in predictions for item in prediction["objects"]]
    assert objects and all(item["score"] >= config.score_threshold for item in objects)
    for item in objects:
        x0, y0, x1, y1 = item["box"]
        assert 0 <= x0 < x1 <= SIZE[0] and 0 <= y0 < y1 <= SIZE[1]
        assert ("mask" in item) == masks
        assert item.get("mask", {"size": [SIZE[1], SIZE[0]]})["size"] == [SIZE[1], SIZE[0]]
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len(rows) == sum(max(1, len(item["objects"])) for item in predictions)
    assert len(list(place.iterdir())) == len(predictions) - 1
    with Image.open(place / "val0.jpg") as image:
        assert image.size == (64, 48)


def test_a_threshold_decides_what_is_reported(trained: Trained, tmp_path: Path) -> None:
    """Objects from the threshold on are given, at a low one more than the model's own would; a high one gives none."""
    paths = sorted((trained.data / "images").iterdir())[:2]
    loaded = load_predictor(lenient(trained.model, tmp_path / "model"))
    everything = [one["score"] for each in loaded.predict(paths, Answering(1e-6)) for one in each["objects"]]
    assert everything
    middle = sorted(everything)[len(everything) // 2]
    chosen = [one["score"] for each in loaded.predict(paths, Answering(middle)) for one in each["objects"]]
    assert chosen == [score for score in everything if score >= middle]
    assert not any(each["objects"] for each in loaded.predict(paths, Answering(1.0)))


def test_export(trained: Trained, tmp_path: Path) -> None:
    """The ONNX file finds the same objects in a frame, and says how to be used."""
    import onnxruntime

    picture = sorted((trained.data / "images").iterdir())[0]
    model = lenient(trained.model, tmp_path / "model")
    folder = hand_over(export, tmp_path / "job", model, trained.task_file)
    facts = json.loads((tmp_path / "job" / "result.json").read_text())
    assert facts["agreement"] >= 0.97
    assert facts["compared_on"].endswith("in 4 pictures of the data set")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["classes"]) == ["disc", "square"]
    results = session.run(None, {"image": np.zeros((3, 64, 64), dtype=np.float32)})
    names = [item.name for item in session.get_outputs()]
    assert names == ["boxes", "labels", "scores", *(["masks"] if has_masks(trained) else [])]
    assert len({len(result) for result in results}) == 1
    if has_masks(trained):
        assert results[3].shape[1:] == (28, 28)
    assert load_model(folder)[1] == load_model(model)[1]
    run_job(predict, tmp_path / "predict", model=folder, inputs=[picture], directory="/", output=None, drawn=None)
    [predicted] = json.loads((tmp_path / "predict" / "artifacts" / "predictions.json").read_text())
    told = [line.split()[0] for line in use_as_told(folder, picture).splitlines()]
    assert told and told == [item["label"] for item in predicted["objects"]]


@pytest.mark.parametrize("trained", ["object-detection"], indirect=True)
def test_an_export_that_differs_is_no_export(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the agreement that is due the job fails."""
    monkeypatch.setattr("tunewell.tasks.object_detection.export.LEAST_AGREEMENT", 1.1)
    with pytest.raises(Failed):
        hand_over(export, tmp_path / "job", trained.model)
    assert failure(tmp_path / "job")["cause"] == "crashed"
    assert not (tmp_path / "job" / "result.json").exists()


def test_retraining(trained: Trained, tmp_path: Path) -> None:
    """All parts of a schedule are trained on all data; the test set alone is measured."""
    schedule = [
        {"fidelity": 0.5, "parameters": PARAMETERS},
        {"fidelity": 1.0, "parameters": {**PARAMETERS, "learning_rate": 5e-4}},
    ]
    reports = run_job(
        retrain,
        tmp_path / "job",
        trial=1,
        task_file=trained.task_file,
        schedule=schedule,
        splits=["train", "val"],
        model=trained.model,
    )
    assert [report["step"] for report in reports] == [1, 2]
    assert "test_map" in reports[-1] and "test_map" not in reports[0]
    _, config = load_model(tmp_path / "job" / "artifacts" / "model")
    assert config.parameters["learning_rate"] == 5e-4
    assert config.note.startswith("Trained on the 12 pictures of train and val. Measured on the 3 pictures of test.")
    assert config.score_threshold == load_model(trained.model)[1].score_threshold
    assert config.metrics["test_map"] == reports[-1]["test_map"]


@pytest.mark.parametrize("trained", ["object-detection"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": ["nowhere"]}, "there is no such file or folder"),
        ({"output": "a.txt"}, "is neither CSV nor JSON"),
        ({"model": "nowhere"}, "it holds no model"),
    ],
)
def test_bad_predictions(trained: Trained, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """A user's mistake ends the job with one sentence."""
    right = {"model": trained.model, "inputs": [trained.data], "output": None}
    with pytest.raises(Failed):
        run_job(predict, tmp_path / "job", directory="/", **{**right, **arguments})
    assert message in failure(tmp_path / "job")["detail"]
