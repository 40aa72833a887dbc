"""From a folder of pictures to a model in hand, by commands alone."""

from __future__ import annotations

import csv
import json
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
    assert found.json["objective"] == {"metric": "accuracy", "goal": "maximize"}
    experiment = tmp_path / ".tunewell" / "experiments" / "digits"
    evaluation = json.loads((experiment / "evaluation.json").read_text())
    assert {int(number) for number in evaluation} == {1, 2}
    assert evaluation["1"]["val"]["accuracy"] == pytest.approx(found.json["default"]["value"])
    assert sum(map(sum, evaluation["1"]["test"]["confusion_matrix"])) == 24
    assert "onfusion" in (experiment / "report.html").read_text()

    retrained = run("retrain", "digits", "--json")
    assert retrained.code == 0, retrained.err
    assert (Path(retrained.json["model"]) / "weights.safetensors").exists()
    assert retrained.json["metrics"]["test_accuracy"] > 0.5

    (digits / "test" / "0" / "broken.png").write_text("no picture")
    predicted = run("predict", "digits", digits / "test" / "0", "--output", "predictions.csv")
    assert predicted.code == 0, predicted.err
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 9
    assert sum(row["label"] == "0" for row in rows) >= 5

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
    (tmp_path / "again.yaml").write_text(card.split("```yaml\n")[1].split("```")[0])
    assert run("search", "again.yaml").code == 0, "the card's spec is that of the search, which has ended"

    again = run("predict", folder, digits / "test" / "0", "--output", "again.csv")
    assert again.code == 0, again.err
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "predictions.csv").read_text()
    elsewhere = run("export-model", folder, "--output", "once more", "--json")
    assert elsewhere.code == 0, elsewhere.err
    assert elsewhere.json["compared_on"] == "32 random pictures"


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
    assert found.json["objective"] == {"metric": "map", "goal": "maximize"}
    experiment = tmp_path / ".tunewell" / "experiments" / "squares"
    assert "Precision and recall" in (experiment / "report.html").read_text()
    retrained = run("retrain", "squares", "--json")
    assert retrained.code == 0, retrained.err
    assert 0 < retrained.json["metrics"]["test_map"] <= 1
    models = [Path(retrained.json["model"]), next(experiment.glob("trials/1/*/artifacts/model"))]
    thresholds = [json.loads((model / "model.json").read_text())["thresholds"] for model in models]
    assert thresholds[0] == thresholds[1] != [0.5, 0.5, 0.5]


def test_data_mistakes_are_told_before_anything_starts(run: Run, digits: Path, tmp_path: Path) -> None:
    """An empty class is an error that names its folder."""
    (digits / "train" / "9").mkdir()
    (tmp_path / "digits.yaml").write_text(json.dumps({"task": "image-classification", "data": str(digits)}))
    answer = run("search", "digits.yaml")
    assert answer.code == 2
    assert "9" in answer.err
    assert not (tmp_path / ".tunewell" / "experiments").exists()


@pytest.mark.timeout(240)
def test_finalists_are_trained_on_all_data(run: Run, digits: Path, tmp_path: Path) -> None:
    """The best of a search on a quarter of the pictures are trained on all of them; what they reach there counts."""
    spec = {
        "name": "sampled",
        "task": "image-classification",
        "data": str(digits),
        "network": "small-cnn",
        "algorithm": "random",
        "sampling": 0.25,
        "finalists": "full",
        "max_trials": 3,
        "parameters": {"epochs": 2, "image_size": 32, "batch_size": 8},
    }
    (tmp_path / "sampled.yaml").write_text(json.dumps(spec))
    found = run("search", "sampled.yaml", "--json")
    assert found.code == 0, found.err
    finalists = found.json["finalists"]
    assert {one["number"] for one in finalists} == {1, 2, 3}
    values = [one["value"] for one in finalists]
    assert values == sorted(values, reverse=True)
    assert found.json["rank_agreement"] is not None
    home = tmp_path / ".tunewell" / "experiments" / "sampled"
    for one in finalists:
        assert (Path(one["folder"]) / "artifacts" / "model" / "model.json").is_file()
    # The evaluated models are those trained on all data.
    evaluation = json.loads((home / "evaluation.json").read_text())
    assert evaluation[str(finalists[0]["number"])]["val"]["accuracy"] == pytest.approx(values[0])
    assert "Trained on all data" in (home / "report.html").read_text()
    again = run("search", "sampled.yaml")
    assert "Trained on all data" in again.out
    assert len(list((home / "jobs").glob("*-finalist"))) == 3
    predicted = run("predict", "sampled", digits / "test" / "0", "--json")
    assert predicted.code == 0, predicted.err


@pytest.mark.timeout(240)
def test_promotion_trains_the_best_further(run: Run, digits: Path, tmp_path: Path) -> None:
    """The default trains in full, others an epoch, the best go on from their checkpoints; retraining is whole."""
    spec = {
        "name": "promoted",
        "task": "image-classification",
        "data": str(digits),
        "network": "small-cnn",
        "algorithm": "random",
        "early_stopping": "promotion",
        "max_trials": 6,
        "max_concurrency": 1,
        "parameters": {"epochs": 6, "image_size": 32, "batch_size": 16},
    }
    (tmp_path / "promoted.yaml").write_text(json.dumps(spec))
    found = run("search", "promoted.yaml", "--json", "--no-details")
    assert found.code == 0, found.err
    assert found.json["default"]["number"] == 1
    trials = run("export", "promoted", "--format", "json").json["trials"]
    assert [trial["fidelity"] for trial in trials] == pytest.approx([1, 1 / 6, 1 / 6, 1 / 6, 1 / 3, 1])
    promoted = trials[4:]
    assert promoted[0]["parameters"] == promoted[1]["parameters"]
    assert promoted[0]["origin"] == f"promoted from trial {promoted[0]['resume_from']}"
    assert promoted[1]["resume_from"] == 5
    assert [[report["step"] for report in trial["reports"]] for trial in promoted] == [[2], [3, 4, 5, 6]]
    retrained = run("retrain", "promoted", "--trial", "5", "--json")
    assert retrained.code == 0, retrained.err
    model = json.loads((Path(retrained.json["model"]) / "model.json").read_text())
    assert model["note"].startswith("Trained on the")
    assert "parts" not in model["note"]


@pytest.mark.timeout(240)
def test_evolution_inherits_weights(run: Run, digits: Path, tmp_path: Path) -> None:
    """Members train on from checkpoints of others; old checkpoints go; the best lineage's schedule is retrained."""
    spec = {
        "name": "evolved",
        "task": "image-classification",
        "data": str(digits),
        "network": "small-cnn",
        "algorithm": {"name": "evolutionary", "population_size": 2, "rounds": 3, "disturbance_ratio": 0.5},
        "parameters": {"epochs": 6, "image_size": 32, "batch_size": 16},
    }
    (tmp_path / "evolved.yaml").write_text(json.dumps(spec))
    found = run("search", "evolved.yaml", "--json", "--no-details")
    assert found.code == 0, found.err
    trials = run("export", "evolved", "--format", "json").json["trials"]
    assert [trial["fidelity"] for trial in trials] == pytest.approx([1 / 3] * 2 + [2 / 3] * 2 + [1.0] * 2)
    for trial in trials:
        steps = [report["step"] for report in trial["reports"]]
        assert steps == [round(6 * trial["fidelity"]) - 1, round(6 * trial["fidelity"])]
        assert (trial["resume_from"] is None) == (trial["number"] <= 2)
    assert any(trial["origin"].startswith("perturbed from trial") for trial in trials[2:])
    folder = tmp_path / ".tunewell" / "experiments" / "evolved" / "trials"
    assert not list(folder.glob("[12]/*/checkpoint/*"))

    lineage = [6]
    while (parent := trials[lineage[0] - 1]["resume_from"]) is not None:
        lineage.insert(0, parent)
    assert " → ".join(map(str, lineage)) in run("show", "evolved", "6").out
    retrained = run("retrain", "evolved", "--trial", "6", "--json")
    assert retrained.code == 0, retrained.err
    note = json.loads((Path(retrained.json["model"]) / "model.json").read_text())["note"]
    assert note.endswith("the last of 3 parts of the training.")
