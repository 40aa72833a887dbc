"""Several labels a picture, from the table to the model: train, evaluate, predict, export, retrain."""

from __future__ import annotations

import ast
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.tasks.image_classification.squares import COLOURS, write_squares
from tests.tasks.image_classification.trained import PARAMETERS, Trained
from tests.tasks.supervised import hand_over, run, run_job, use_as_told

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import ConflictError, SpecError
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.image_classification.evaluate import evaluate
from tunewell.tasks.image_classification.export import export
from tunewell.tasks.image_classification.manifest import load_manifest
from tunewell.tasks.image_classification.model import load_model, preprocess
from tunewell.tasks.image_classification.multilabel_metrics import measure
from tunewell.tasks.image_classification.predict import predict
from tunewell.tasks.image_classification.retrain import retrain
from tunewell.tasks.image_classification.task import MultilabelClassification
from tunewell.tasks.image_classification.train import train, training_positions

TASK = MultilabelClassification()


def spec_of(data: Path, **fields: Any) -> Any:
    """Return a complete spec for the small network at 32 pixels."""
    raw = {"name": "e", "task": TASK.name, "data": str(data), "network": "small-cnn", "weights": "none"}
    return parse_spec(TASK.complete({**raw, "parameters": {"image_size": 32, "epochs": 6}, **fields}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with one trial that has ended."""
    folder = tmp_path_factory.mktemp("multilabel")
    found = Trained(write_squares(folder / "data"), folder / "experiment")
    spec = spec_of(found.data)
    TASK.prepare(spec, TASK.space(spec, Capacity(())), found.folder, folder / "cache", lambda *step: None)
    run(train, found.attempt, {**PARAMETERS, "epochs": 6, "mixup": 0.2}, TUNEWELL_TASK_FILE=str(found.task_file))
    return found


def test_the_objective_is_mean_average_precision() -> None:
    """Without an objective it is mAP; metrics of single labels are none of this task's."""
    raw = {"network": "small-cnn"}
    assert TASK.complete(raw)["objective"] == {"metric": "map", "goal": "maximize"}
    with pytest.raises(SpecError, match=r"this task does not report 'accuracy'"):
        TASK.complete({**raw, "objective": "accuracy"})


def test_check_counts_labels(trained: Trained) -> None:
    """Pictures and labels are counted by split."""
    manifest = load_manifest(trained.folder / "manifest.json")
    counts = " + ".join(str(manifest.counts(split)[0]) for split in ("train", "val", "test"))
    found = TASK.check(spec_of(trained.data))
    assert found[0].startswith("Pictures: 120 train, 40 val, 40 test, in 3 classes; ")
    assert f"blue: {counts}" in found[1]


def test_an_objective_that_is_always_zero_is_refused(tmp_path: Path) -> None:
    """Where no picture of val has a label, only metrics that count what is not given tell configurations apart."""
    table = write_squares(tmp_path / "squares", 20) / "labels.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()]
    table.write_text("\n".join(",".join([*row[:2], "" if row[1] == "val" else row[2]]) for row in rows))
    with pytest.raises(SpecError, match=r"objective\.metric: no picture of val has a label, so map is always 0"):
        TASK.check(spec_of(table))
    assert TASK.check(spec_of(table, objective="loss"))


def test_a_trial_learns_all_labels(trained: Trained) -> None:
    """The last report is what the model left gives on the validation pictures, and far better than chance."""
    reports = [json.loads(line) for line in (trained.attempt / "reports.jsonl").read_text().splitlines()]
    last = reports[-1]["metrics"]
    assert set(last) == {"map", "f1_macro", "f1_micro", "subset_accuracy", "loss", "train_loss", "best_epoch"}
    assert last["map"] > 0.75
    _, config = load_model(trained.model)
    assert config.task == TASK.name
    assert len(config.thresholds) == 3
    with np.load(trained.attempt / "artifacts" / "predictions.npz") as left:
        measured = measure(left["logits"], left["labels"], config.thresholds)
    assert measured == {name: last[name] for name in measured} == config.metrics


def test_the_test_set_is_judged_by_thresholds_of_the_validation_set(trained: Trained, tmp_path: Path) -> None:
    """The evaluation has both splits, with the thresholds that the model was saved with."""
    trials = [{"number": 1, "folder": trained.attempt}]
    run_job(evaluate, tmp_path / "job", task_file=trained.task_file, trials=trials)
    found = json.loads((tmp_path / "job" / "artifacts" / "1.json").read_text())
    module, config = load_model(trained.model)
    for split in ("val", "test"):
        assert [row["score_threshold"] for row in found[split]["classes"]] == list(config.thresholds)
    manifest = load_manifest(trained.folder / "manifest.json")
    positions = list(manifest.splits["test"])
    logits = module(preprocess([manifest.path(p) for p in positions], config)).detach().numpy()
    expected = measure(logits, manifest.targets()[positions], config.thresholds)
    assert {name: found["test"][name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_predictions_are_the_labels_above_their_thresholds(trained: Trained, tmp_path: Path) -> None:
    """JSON lists the labels given, CSV joins them; most of them are right."""
    paths = sorted((trained.data / "images").iterdir())[160:]
    run_job(predict, tmp_path / "job", model=trained.model, inputs=paths, directory="/", output=tmp_path / "out.csv")
    found = json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())
    _, config = load_model(trained.model)
    thresholds = dict(zip(config.classes, config.thresholds, strict=True))
    for prediction in found:
        probabilities = prediction["probabilities"]
        assert prediction["labels"] == [name for name in thresholds if probabilities[name] >= thresholds[name]]
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, prediction in zip(rows, found, strict=True):
        assert row["labels"] == "|".join(prediction["labels"])
        assert {name: float(row[f"probability_{name}"]) for name in thresholds} == prediction["probabilities"]
    truth = {line.split(",")[0]: line.split(",")[2] for line in (trained.data / "labels.csv").read_text().split()[1:]}
    decisions = [
        (name in prediction["labels"]) == (name in truth[Path(prediction["file"]).name])
        for prediction in found
        for name in COLOURS
    ]
    assert np.mean(decisions) > 0.7


def test_the_exported_file_gives_each_label_its_probability(trained: Trained, tmp_path: Path) -> None:
    """The graph ends in a sigmoid, and the file's metadata hold the thresholds."""
    folder = hand_over(export, tmp_path / "job", trained.model, trained.task_file)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    module, config = load_model(trained.model)
    path = trained.data / "images" / "000.png"
    image = np.asarray(Image.open(path), dtype=np.float32).transpose(2, 0, 1)[None] / 255
    [given] = session.run(None, {"images": image})
    assert given == pytest.approx(module(preprocess([path], config)).sigmoid().detach().numpy(), abs=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["thresholds"]) == pytest.approx(list(config.thresholds))
    told = dict(ast.literal_eval(use_as_told(folder, path)))
    above = given[0] >= config.thresholds
    assert told == pytest.approx(
        {name: p for name, p, sure in zip(config.classes, given[0], above, strict=True) if sure}
    )
    assert "A label is given from this probability on:" in (folder / "README.md").read_text()


def test_retraining_keeps_the_thresholds(trained: Trained, tmp_path: Path) -> None:
    """The model trained on all data decides as the search found best, and is measured on the test set."""
    schedule = [{"fidelity": 1.0, "parameters": {**PARAMETERS, "epochs": 1}}]
    arguments = {"task_file": trained.task_file, "schedule": schedule, "splits": ["train", "val"], "trial": 1}
    for number, (model, expected) in enumerate(
        [(trained.model, load_model(trained.model)[1].thresholds), (tmp_path / "gone", (0.5, 0.5, 0.5))]
    ):
        run_job(retrain, tmp_path / str(number), **arguments, model=model)
        _, config = load_model(tmp_path / str(number) / "artifacts" / "model")
        assert config.thresholds == expected
        assert set(config.metrics) >= {"test_map", "test_f1_macro"}
        assert config.note == "Trained on the 160 pictures of train and val. Measured on the 40 pictures of test."


def test_a_share_of_the_pictures_is_a_part_of_a_larger_one(trained: Trained) -> None:
    """Shares are nested and keep every label."""
    manifest = load_manifest(trained.folder / "manifest.json")
    quarter, half = (training_positions(manifest, share, 0) for share in (0.25, 0.5))
    assert set(quarter.tolist()) < set(half.tolist()) < set(manifest.splits["train"])
    assert abs(len(quarter) - 30) <= 3
    assert manifest.targets()[quarter].any(axis=0).all()


def test_changed_labels_are_noticed(tmp_path: Path) -> None:
    """An experiment does not go on with other labels than it began with, though the pictures are the same."""
    data = write_squares(tmp_path / "data", 20)
    spec = spec_of(data)
    TASK.prepare(spec, TASK.space(spec, Capacity(())), tmp_path / "e", tmp_path / "cache", lambda *step: None)
    table = data / "labels.csv"
    table.write_text(table.read_text().replace("000.png,train,", "000.png,train,red|blue|green|"))
    with pytest.raises(ConflictError, match="the data set has changed since experiment 'e' began"):
        TASK.prepare(spec, TASK.space(spec, Capacity(())), tmp_path / "e", tmp_path / "cache", lambda *step: None)
