"""From a folder of pictures to a model in hand, by commands alone."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tasks.image_classification.squares import write_squares
from tunewell.tasks.image_classification.digits import write_digits


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Return a folder of few handwritten digits: three classes, 20 pictures each to train on."""
    whole, few = tmp_path / "whole", tmp_path / "digits"
    write_digits(whole)
    for split, number in (("train", 20), ("val", 8), ("test", 8)):
        for name in "017":
            (few / split / name).mkdir(parents=True)
            for picture in sorted((whole / split / name).iterdir())[:number]:
                shutil.copy(picture, few / split / name)
    return few


@pytest.mark.timeout(240)
def test_search_retrain_predict_export(run: Run, digits: Path, tmp_path: Path) -> None:
    """Search, detailed evaluation, report, retraining, prediction and ONNX follow one another, each true."""
    spec = {
        "name": "digits",
        "task": "image-classification",
        "data": str(digits),
        "network": "small-cnn",
        "max_trials": 2,
        "parameters": {"epochs": 4, "image_size": 32, "batch_size": 16},
    }
    (tmp_path / "digits.yaml").write_text(json.dumps(spec))
    found = run("search", "digits.yaml", "--json")
    assert found.code == 0, found.err
    assert found.json["default"]["number"] == 1
    assert found.json["objective"] == {"metric": "accuracy", "goal": "maximize", "target": None}
    experiment = tmp_path / ".tunewell" / "experiments" / "digits"
    for trial in found.json["top"]:
        left = json.loads((experiment / f"trials/{trial['number']}/1/artifacts/model/model.json").read_text())
        assert left["metrics"]["accuracy"] == trial["value"], "the value on record is that of the model"
    evaluated = run("evaluate", "digits", "--json")
    assert evaluated.code == 0, evaluated.err
    evaluation = evaluated.json
    assert evaluation.keys() == {"1", "2"}
    assert evaluation["1"]["val"]["accuracy"] == pytest.approx(found.json["default"]["value"])
    assert sum(map(sum, evaluation["1"]["test"]["confusion_matrix"])) == 24
    assert len(list((experiment.parents[1] / "jobs").glob("*/1/artifacts/[12].json"))) == 2, "evaluated once"
    assert "onfusion" in (experiment / "report.html").read_text()

    retrained = run("retrain", "digits", "--json")
    assert retrained.code == 0, retrained.err
    assert (Path(retrained.json["model"]) / "weights.safetensors").exists()
    assert retrained.json["metrics"]["test_accuracy"] > 0.5
    shown = run("show", "digits").out
    assert f"Trained on all data: {retrained.json['model']}" in shown
    assert ("tunewell predict digits" in shown, "tunewell retrain" in shown) == (True, False)

    (digits / "test" / "0" / "broken.png").write_text("no picture")
    predicted = run("predict", "digits", digits / "test" / "0", "--output", "predictions.csv")
    assert predicted.code == 0, predicted.err
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 9
    assert "broken.png: it is no picture" in predicted.err
    undrawable = run("predict", "digits", digits / "test" / "0", "--drawn", "drawn")
    assert (undrawable.code, "no objects that could be drawn" in undrawable.err) == (2, True)
    assert sum(row["label"] == "0" for row in rows) >= 5

    (tmp_path / "empty").mkdir()
    empty = run("predict", "digits", "empty")
    assert (empty.code, "empty: there is no picture" in empty.err, "log" in empty.err) == (2, True, False)
    unreadable = run("predict", "digits", digits / "test" / "0" / "broken.png", "--json")
    assert unreadable.code == 1
    assert unreadable.json[0]["error"]

    exported = run("export-model", "digits", "--output", "handed over", "--json")
    assert exported.code == 0, exported.err
    assert exported.json["max_difference"] <= 1e-4
    folder = tmp_path / "handed over"
    assert {path.name for path in folder.iterdir()} == {"README.md", "model.json", "model.onnx", "weights.safetensors"}
    best = found.json["best"]["number"]
    card = (folder / "README.md").read_text()
    assert f"The search found its parameters: trial {best} of 2. The trial was trained on train" in card
    assert "| 0 | 20 | 8 | 8 |" in card
    assert "Weights: none" in card
    (tmp_path / "again.yaml").write_text(card.split("```yaml\n")[1].split("```")[0])
    assert run("search", "again.yaml").code == 0, "the card's spec is that of the search, which has ended"

    again = run("predict", folder, digits / "test" / "0", "--output", "again.csv")
    assert again.code == 0, again.err
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "predictions.csv").read_text()
    elsewhere = run("export-model", folder, "--output", "once more", "--json")
    assert elsewhere.code == 0, elsewhere.err
    assert elsewhere.json["compared_on"] == "32 random pictures"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_measuring_and_handing_over_a_trials_model(run: Run, digits: Path, tmp_path: Path) -> None:
    """A trial's own model is measured on other pictures and handed over; its folder alone can be measured, too."""
    spec = {"name": "digits", "task": "image-classification", "data": str(digits), "network": "small-cnn"}
    own = {"epochs": 2, "image_size": 32, "batch_size": 16}
    (tmp_path / "digits.yaml").write_text(json.dumps({**spec, "max_trials": 1, "parameters": own}))
    assert run("search", "digits.yaml").code == 0
    (digits / "test" / "0" / "broken.png").write_text("no picture")
    measured = run("evaluate", "digits", digits / "test", "--output", "measured.html")
    assert measured.code == 0, measured.err
    assert "Model: digits, trial 1" in measured.out
    assert "new data" in measured.out and "validation" in measured.out and "broken.png" in measured.out
    assert "Confusion matrix" in (tmp_path / "measured.html").read_text()
    for wrong, told in (
        (("digits", digits, "--split", "all"), "train, val or test"),
        (("digits", "--trial", "1"), "Name the data, too"),
        (("digits", digits, "--trial", "7"), "no trial 7"),
    ):
        refused = run("evaluate", *wrong)
        assert refused.code == 2 and told in refused.err, refused.err

    predicted = run("predict", "digits", digits / "test" / "1", "--trial", "1")
    assert predicted.code == 0 and "Model: digits, trial 1" in predicted.out, predicted.err
    refused = run("predict", "digits", digits / "test" / "1", "--trial", "7")
    assert refused.code == 2 and "no trial 7" in refused.err, refused.err
    exported = run("export-model", "digits", "--trial", "1", "--output", "own", "--json")
    assert exported.code == 0, exported.err
    card = (tmp_path / "own" / "README.md").read_text()
    assert "It is the model of a search: trial 1 of 1, the one with the default parameters." in card
    assert "| metric | validation | test |" in card
    by_itself = run("evaluate", "own", digits, "--split", "val", "--json")
    assert by_itself.code == 0, by_itself.err
    found = by_itself.json
    assert found["splits"] == {"val": 24} and set(found["figures"]) == {"new", "val"}
    assert found["figures"]["new"]["accuracy"] == pytest.approx(found["figures"]["val"]["accuracy"])
    assert len(found["details"]["confusion_matrix"]) == 3


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_several_labels(run: Run, tmp_path: Path) -> None:
    """A table of labels is searched and shown with its curves; the retrained model keeps the trial's thresholds."""
    data = write_squares(tmp_path / "squares", 60)
    spec = {
        "name": "squares",
        "task": "multilabel-classification",
        "data": str(data / "labels.csv"),
        "network": "small-cnn",
        "max_trials": 1,
        "parameters": {"epochs": 2, "image_size": 32, "batch_size": 8},
    }
    (tmp_path / "squares.yaml").write_text(json.dumps(spec))
    found = run("search", "squares.yaml", "--json")
    assert found.code == 0, found.err
    assert found.json["objective"] == {"metric": "map", "goal": "maximize", "target": None}
    experiment = tmp_path / ".tunewell" / "experiments" / "squares"
    assert "Precision and recall" in (experiment / "report.html").read_text()
    retrained = run("retrain", "squares", "--json")
    assert retrained.code == 0, retrained.err
    assert 0 < retrained.json["metrics"]["test_map"] <= 1
    models = [Path(retrained.json["model"]), next(experiment.glob("trials/1/*/artifacts/model"))]
    assert "likeliest" in run("predict", "squares", data).out
    thresholds = [json.loads((model / "model.json").read_text())["thresholds"] for model in models]
    assert thresholds[0] == thresholds[1] != [0.5, 0.5, 0.5]


def test_data_mistakes_are_told_before_anything_starts(run: Run, digits: Path, tmp_path: Path) -> None:
    """Pictures in no class folder are an error that names the folder."""
    loose = digits / "train" / "0"
    (tmp_path / "digits.yaml").write_text(json.dumps({"task": "image-classification", "data": str(loose)}))
    answer = run("search", "digits.yaml")
    assert answer.code == 2
    assert str(loose) in answer.err
    assert not (tmp_path / ".tunewell" / "experiments").exists()


def test_check_says_what_is_wrong_with_pictures(run: Run, digits: Path, tmp_path: Path) -> None:
    """With the page about the data comes a word on broken and copied pictures, and none where there are none."""
    (tmp_path / "digits.yaml").write_text(json.dumps({"task": "image-classification", "data": str(digits)}))
    assert "About the data: page.html\n" in run("check", "digits.yaml", "--no-estimate", "--pictures", "page.html").out
    shutil.copy(next((digits / "train" / "0").iterdir()), digits / "val" / "0" / "copy.png")
    (digits / "train" / "0" / "broken.png").write_text("no picture")
    told = "page.html (pictures that can't be read: 1; pictures in train and in another split: 1)\n"
    assert told in run("check", "digits.yaml", "--no-estimate", "--pictures", "page.html").out


def test_check_says_how_long_a_trial_takes(run: Run, digits: Path, tmp_path: Path) -> None:
    """A few steps are measured, and limits that are too short for a trial are told, with what to give."""
    spec = {
        "task": "image-classification",
        "data": str(digits),
        "network": "small-cnn",
        "parameters": {"epochs": 100_000},
        "max_trials": 9,
        "max_trial_duration": "2s",
        "max_duration": "3s",
    }
    (tmp_path / "digits.yaml").write_text(json.dumps(spec))
    told = run("check", "digits.yaml")
    assert told.code == 0, told.err
    assert re.search(r"A trial in full takes about \S+ \S+ here \(100000 epochs of \d+ steps?, \S+ s a step,", told.out)
    assert re.search(r"Trials would be cut off in epoch \d+ of 100000 by max_trial_duration 2s: give \S+\.", told.out)
    assert "max_duration 3s has room for no trial: give " in told.out
