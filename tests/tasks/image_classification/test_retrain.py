from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.tasks.image_classification.trained import PARAMETERS, Trained, train_digits
from tests.tasks.supervised import failure, run_job

from tunewell.tasks.image_classification.model import load_model, preprocess
from tunewell.tasks.image_classification.retrain import retrain
from tunewell.tasks.vision.task_file import Prepared
from tunewell.trial import Failed

ALL = ("train", "val")
#: The trial whose parameters are taken; its model is gone.
OF_TRIAL = {"trial": 1, "model": "/nowhere"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with train, validation and test pictures."""
    return train_digits(tmp_path_factory.mktemp("trained"))


def _retrain(
    trained: Trained, folder: Path, splits: tuple[str, ...] = ALL, **parameters: Any
) -> tuple[Path, list[dict[str, Any]]]:
    chosen = {**PARAMETERS, **parameters}
    schedule = [{"fidelity": 1.0, "parameters": chosen}]
    reports = run_job(
        retrain, folder / "job", task_file=trained.task_file, schedule=schedule, splits=splits, **OF_TRIAL
    )
    return folder / "job" / "artifacts" / "model", reports


def _accuracy(model: Path, pictures: Path) -> float:
    """Accuracy of a model on the files in `pictures/CLASS`."""
    paths = sorted(pictures.glob("*/*.png"))
    module, config = load_model(model)
    with torch.inference_mode():
        predicted = module(preprocess(paths, config)).argmax(dim=1)
    return float(np.mean([config.classes[i] == path.parent.name for i, path in zip(predicted, paths, strict=True)]))


def _same_weights(one: Path, other: Path) -> bool:
    left, right = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    return all(np.array_equal(left[name], right[name]) for name in left.keys() | right.keys())


def test_training_on_the_same_pictures_gives_the_trials_model(trained: Trained, tmp_path: Path) -> None:
    """Same seed, schedule and parameters: on `train` alone it is the trial's model, bit for bit; with `val` another."""
    on_train, _ = _retrain(trained, tmp_path / "train", ("train",))
    on_all, _ = _retrain(trained, tmp_path / "all")
    assert _same_weights(on_train, trained.model)
    assert not _same_weights(on_all, trained.model)


def test_the_validation_pictures_are_learned_from(tmp_path: Path) -> None:
    """Where nearly all pictures are in `val`, training on all data is what makes the model good."""
    trained = train_digits(tmp_path, {"train": 20, "val": 200, "test": 60})
    output, _ = _retrain(trained, tmp_path / "retrained", epochs=3)
    assert _accuracy(trained.model, trained.data / "test") < 0.5
    assert _accuracy(output, trained.data / "test") > 0.7


@pytest.mark.parametrize(("schedule", "epochs"), [("constant", 1), ("one-cycle", 3), ("cosine", 3)])
def test_a_constant_rate_ends_with_the_best_epoch(trained: Trained, tmp_path: Path, schedule: str, epochs: int) -> None:
    """Where the rate falls to 0 the training goes to its end; where it is constant, as far as the trial's best."""
    shutil.copytree(trained.model, tmp_path / "model")
    known = json.loads((tmp_path / "model" / "model.json").read_text())
    (tmp_path / "model" / "model.json").write_text(json.dumps({**known, "epoch": 1}))
    part = {"fidelity": 1.0, "parameters": {**PARAMETERS, "epochs": 3, "schedule": schedule}}
    given = {"task_file": trained.task_file, "schedule": [part], "splits": ALL, "trial": 1}
    reports = run_job(retrain, tmp_path / "job", **given, model=tmp_path / "model")
    assert len(reports) == epochs
    config = json.loads((tmp_path / "job" / "artifacts" / "model" / "model.json").read_text())
    assert config["epoch"] == epochs
    assert ("It ended with epoch 1 of 3, as the trial was best there." in config["note"]) == (epochs == 1)


@pytest.mark.parametrize(("schedule", "epochs"), [("one-cycle", 6), ("constant", 3)])
def test_after_a_search_on_a_sample_epochs_suit_all_data(
    trained: Trained, tmp_path: Path, schedule: str, epochs: int
) -> None:
    """The trial's follow from the sample; at a constant rate it ends with the share of them that was best there."""
    sampled = trained.folder / f"sampled-{schedule}.json"
    replace(Prepared.load(trained.task_file), sampling=0.5, epochs_on_all=6).save(sampled)
    shutil.copytree(trained.model, tmp_path / "model")
    known = json.loads((tmp_path / "model" / "model.json").read_text())
    (tmp_path / "model" / "model.json").write_text(json.dumps({**known, "epoch": 1}))
    part = {"fidelity": 1.0, "parameters": {**PARAMETERS, "epochs": 2, "schedule": schedule}}
    given = {"task_file": sampled, "schedule": [part], "splits": ALL, "trial": 1, "model": tmp_path / "model"}
    assert len(run_job(retrain, tmp_path / "job", **given)) == epochs
    config = json.loads((tmp_path / "job" / "artifacts" / "model" / "model.json").read_text())
    assert (config["parameters"]["epochs"], config["epoch"]) == (6, epochs)
    assert ("It ended with epoch 3 of 6, as the trial was best there." in config["note"]) == (epochs == 3)


def test_a_schedule_is_trained_part_by_part(trained: Trained, tmp_path: Path) -> None:
    """Parts with the same parameters are one training; a part with others changes the model, and the note says so."""
    whole, _ = _retrain(trained, tmp_path / "whole", epochs=4)
    chosen = {**PARAMETERS, "epochs": 4}
    results = {}
    for name, second in (("same", chosen), ("changed", {**chosen, "learning_rate": 1e-5})):
        schedule = [{"fidelity": 0.5, "parameters": chosen}, {"fidelity": 1.0, "parameters": second}]
        folder = tmp_path / name
        reports = run_job(retrain, folder, task_file=trained.task_file, schedule=schedule, splits=ALL, **OF_TRIAL)
        assert [report["step"] for report in reports] == [1, 2, 3, 4]
        results[name] = folder / "artifacts" / "model"
    assert _same_weights(results["same"], whole)
    assert not _same_weights(results["changed"], whole)
    config = json.loads((results["changed"] / "model.json").read_text())
    assert config["parameters"]["learning_rate"] == 1e-5
    assert config["note"].endswith("The parameters are those of the last of 2 parts of the training.")


def test_the_test_pictures_give_the_honest_figure(trained: Trained, tmp_path: Path) -> None:
    """Every epoch is reported; the last report and the model hold the accuracy on the test files."""
    output, reports = _retrain(trained, tmp_path)
    assert [report["step"] for report in reports] == [1, 2]
    assert reports[0].keys() == {"step", "train_loss"}
    config = json.loads((output / "model.json").read_text())
    names = ("accuracy", "f1", "loss", "auroc")
    assert config["metrics"] == {f"test_{name}": reports[1][f"test_{name}"] for name in names}
    assert config["metrics"]["test_accuracy"] == pytest.approx(_accuracy(output, trained.data / "test"))
    assert config["note"] == "Trained on the 300 pictures of train and val. Measured on the 60 pictures of test."
    assert config["parameters"] == PARAMETERS


def test_the_test_pictures_are_not_learned_from(trained: Trained, tmp_path: Path) -> None:
    """Whether there is a test split makes no difference to the weights; without one the model says so."""
    without = train_digits(tmp_path / "without", {"train": 240, "val": 60})
    output, reports = _retrain(without, tmp_path / "1")
    assert _same_weights(output, _retrain(trained, tmp_path / "2")[0])
    assert reports[-1].keys() == {"step", "train_loss"}
    config = json.loads((output / "model.json").read_text())
    assert config["metrics"] == {}
    assert config["note"] == (
        "Trained on the 300 pictures of train and val. "
        "Nothing to test on: not measured on pictures that it has not learned from."
    )


def test_an_emptied_cache_is_filled_again_from_the_same_pictures_only(tmp_path: Path) -> None:
    """Without the cache the pictures are decoded again; once they have changed, that is refused."""
    trained = train_digits(tmp_path, {"train": 40, "val": 40})
    decoded = Path(next(iter(Prepared.load(trained.task_file).pixels.values())))
    before, _ = _retrain(trained, tmp_path / "before")
    decoded.rename(tmp_path / "elsewhere")
    assert _same_weights(before, _retrain(trained, tmp_path / "after")[0])
    decoded.rename(tmp_path / "elsewhere again")
    picture = next(trained.data.glob("train/*/*.png"))
    picture.write_bytes(picture.read_bytes() + b"changed")
    with pytest.raises(Failed):
        _retrain(trained, tmp_path / "changed")
    given = failure(tmp_path / "changed" / "job")
    assert given["cause"] == "data_error"
    assert "the data set has changed since the experiment began. Restore it." in given["detail"]


def test_a_training_that_diverges_leaves_no_model(trained: Trained, tmp_path: Path) -> None:
    """A loss that is not finite ends the job with its cause."""
    with pytest.raises(Failed):
        _retrain(trained, tmp_path, optimizer="sgd", learning_rate=1e30)
    assert failure(tmp_path / "job")["cause"] == "non_finite"
    assert not (tmp_path / "job" / "artifacts" / "model").exists()
