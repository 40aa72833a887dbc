from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix, log_loss, roc_auc_score
from tests.tasks.image_classification.trained import PARAMETERS, Trained, train_digits
from tests.tasks.supervised import failure, run, run_job

from tunewell.tasks.evaluation import figures
from tunewell.tasks.image_classification.evaluate import evaluate
from tunewell.tasks.image_classification.model import load_model, preprocess
from tunewell.tasks.image_classification.train import train
from tunewell.tasks.vision.task_file import Prepared
from tunewell.trial import Failed


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with train, validation and test pictures."""
    return train_digits(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def evaluation(trained: Trained) -> dict[str, Any]:
    """What `evaluate` found for the trial, under the number 7."""
    return _evaluate(trained, "evaluate")["7"]


def _evaluate(trained: Trained, name: str) -> dict[str, Any]:
    folder = trained.folder / "jobs" / name
    trials = [{"number": 7, "folder": str(trained.attempt)}]
    reports = run_job(evaluate, folder, task_file=trained.task_file, trials=trials)
    assert reports == [{"step": 1, "evaluating trials": 1.0}]
    found: dict[str, Any] = json.loads((folder / "artifacts" / "7.json").read_text())
    small = json.loads((folder / "result.json").read_text())["trials"]["7"]
    assert small == {split: measured and figures(measured) for split, measured in found.items()}
    assert small["val"]["accuracy"] == found["val"]["accuracy"]
    return {"7": found}


def _expected(trained: Trained, split: str) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Return paths, true labels and probabilities of a split, from the files themselves."""
    paths = sorted(trained.data.glob(f"{split}/*/*.png"))
    module, config = load_model(trained.model)
    with torch.inference_mode():
        probabilities = module(preprocess(paths, config)).double().softmax(dim=1).numpy()
    return paths, np.array([int(path.parent.name) for path in paths]), probabilities


@pytest.mark.parametrize("split", ["val", "test"])
def test_metrics_equal_scikit_learns_on_predictions_made_afresh(
    trained: Trained, evaluation: dict[str, Any], split: str
) -> None:
    """On either split every metric is what scikit-learn says of the model's predictions for the files."""
    _, labels, probabilities = _expected(trained, split)
    predicted = probabilities.argmax(axis=1)
    found = evaluation[split]
    expected = classification_report(labels, predicted, output_dict=True, zero_division=0)
    assert found["accuracy"] == pytest.approx(expected["accuracy"])
    assert 0.3 < found["accuracy"] < 1
    assert found["count"] == len(labels) == 60
    assert found["f1"] == pytest.approx(expected["macro avg"]["f1-score"])
    for mean, theirs, ours in (
        ("macro", "precision", "precision"),
        ("macro", "recall", "recall"),
        ("weighted", "precision", "precision"),
        ("weighted", "f1-score", "f1"),
    ):
        assert found[mean][ours] == pytest.approx(expected[f"{mean} avg"][theirs])
    assert [row["name"] for row in found["classes"]] == [str(digit) for digit in range(10)]
    assert [row["support"] for row in found["classes"]] == np.bincount(labels, minlength=10).tolist()
    assert found["confusion_matrix"] == confusion_matrix(labels, predicted).tolist()
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-5)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"), abs=1e-3)


def test_validation_metrics_are_those_that_the_trial_reported(trained: Trained, evaluation: dict[str, Any]) -> None:
    """Accuracy, F1 and loss on the validation set are the trial's last report to the last digit."""
    last = json.loads((trained.attempt / "reports.jsonl").read_text().splitlines()[-1])["metrics"]
    assert {name: evaluation["val"][name] for name in ("accuracy", "f1", "loss")} == {
        name: last[name] for name in ("accuracy", "f1", "loss")
    }
    assert evaluation["val"]["note"] == evaluation["test"]["note"] == "Epoch 2 of 2 was the best on val."


def test_mistakes_show_the_pictures_that_the_model_was_surest_of(trained: Trained, evaluation: dict[str, Any]) -> None:
    """The listed mistakes are the surest ones of the test pictures, each with its own picture."""
    paths, labels, probabilities = _expected(trained, "test")
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = sorted(wrong, key=lambda index: -probabilities[index].max())[:12]
    mistakes = evaluation["test"]["worst_mistakes"]
    assert len(mistakes) == len(order) > 2
    assert {mistake["path"] for mistake in mistakes} == {str(paths[index]) for index in order}
    sureness = [mistake["probability"] for mistake in mistakes]
    assert sureness == sorted(sureness, reverse=True)
    for mistake in mistakes:
        assert mistake["true"] == Path(mistake["path"]).parent.name != mistake["predicted"]
        kind, data = mistake["thumbnail"].split(",")
        shown = Image.open(io.BytesIO(base64.b64decode(data))).convert("L")
        original = Image.open(mistake["path"]).resize(shown.size)
        assert kind == "data:image/jpeg;base64"
        assert np.corrcoef(np.ravel(shown), np.ravel(original))[0, 1] > 0.98


def test_without_a_test_split_there_is_none_in_the_result(tmp_path: Path) -> None:
    """A data set without test pictures gives null for `test`, and metrics for `val`."""
    trained = train_digits(tmp_path, {"train": 120, "val": 60})
    found = _evaluate(trained, "evaluate")["7"]
    assert found["test"] is None
    assert found["val"]["count"] == 60


def test_an_emptied_cache_is_filled_again(trained: Trained, evaluation: dict[str, Any]) -> None:
    """Without the decoded pictures the result is the same; they are decoded again."""
    decoded = Path(next(iter(Prepared.load(trained.task_file).pixels.values())))
    decoded.rename(decoded.with_name("elsewhere"))
    assert _evaluate(trained, "again")["7"] == evaluation
    assert decoded.is_dir()


def test_a_model_that_gives_no_numbers_has_no_metrics(trained: Trained) -> None:
    """Outputs that are not finite lead to null instead of NaN."""
    attempt = trained.folder / "trials" / "2" / "1"
    run(train, attempt, {**PARAMETERS, "epochs": 1}, TUNEWELL_TASK_FILE=str(trained.task_file))
    left = dict(np.load(attempt / "artifacts" / "predictions.npz"))
    left["logits"][3] = np.nan
    np.savez(attempt / "artifacts" / "predictions.npz", **left)
    folder = trained.folder / "jobs" / "broken"
    run_job(evaluate, folder, task_file=trained.task_file, trials=[{"number": 2, "folder": attempt}])
    found = json.loads((folder / "artifacts" / "2.json").read_text())
    assert found["val"] is None
    assert found["test"]["count"] == 60


@pytest.mark.parametrize("content", [b"", bytes(500), b"PK\x03\x04 and no more"])
def test_damaged_predictions_are_one_clear_sentence(trained: Trained, tmp_path: Path, content: bytes) -> None:
    """Predictions that can't be read end the job with the cause and the file's name."""
    attempt = tmp_path / "attempt"
    shutil.copytree(trained.attempt, attempt)
    (attempt / "artifacts" / "predictions.npz").write_bytes(content)
    with pytest.raises(Failed):
        run_job(evaluate, tmp_path / "job", task_file=trained.task_file, trials=[{"number": 3, "folder": attempt}])
    given = failure(tmp_path / "job")
    assert given["cause"] == "data_error"
    assert "predictions.npz: these predictions of a trial are damaged" in given["detail"]


def test_a_missing_model_is_one_clear_sentence(trained: Trained, tmp_path: Path) -> None:
    """A trial whose predictions are gone ends the job with the cause and the file's name."""
    trials = [{"number": 3, "folder": str(tmp_path / "gone")}]
    with pytest.raises(Failed):
        run_job(evaluate, tmp_path / "job", task_file=trained.task_file, trials=trials)
    given = failure(tmp_path / "job")
    assert given["cause"] == "data_error"
    assert str(tmp_path / "gone" / "artifacts" / "predictions.npz") in given["detail"]
    assert not (tmp_path / "job" / "result.json").exists()


def test_pictures_that_are_not_here(tmp_path: Path) -> None:
    """Where the files of the pictures are others, or gone, they are shown as they were decoded, and named as ever."""
    trained = train_digits(tmp_path, {"train": 60, "val": 30, "test": 20})
    known = _evaluate(trained, "here")["7"]["test"]["worst_mistakes"]
    assert known, "no mistake to show"
    for path in trained.data.glob("test/*/*.png"):
        Image.new("RGB", (8, 8), "red").save(path)
    others = _evaluate(trained, "others")["7"]["test"]["worst_mistakes"]
    shutil.rmtree(trained.data)
    gone = _evaluate(trained, "gone")["7"]["test"]
    assert gone["worst_mistakes"] == others
    assert [one["path"] for one in others] == [one["path"] for one in known]
    for one, before in zip(others, known, strict=True):
        assert np.abs(_pixels(one["thumbnail"]) - _pixels(before["thumbnail"])).mean() < 5
    assert all(one["thumbnail"] for cell in gone["cells"] for one in cell["pictures"])
    shutil.rmtree(tmp_path / "cache" / "pictures")
    failed = trained.folder / "jobs" / "nothing"
    with pytest.raises(Failed):
        run_job(evaluate, failed, task_file=trained.task_file, trials=[{"number": 7, "folder": str(trained.attempt)}])
    assert "missing or damaged, and there is no" in failure(failed)["detail"]


def _pixels(uri: str) -> np.ndarray:
    """Return the pixels of a `data:` URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"), dtype=float)
