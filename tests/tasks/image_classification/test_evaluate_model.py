"""A model measured on data that were labelled anew."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.image_classification.trained import Trained, train_digits
from tests.tasks.supervised import failure, run_job

from tunewell.tasks.image_classification.evaluate import evaluate, evaluate_model
from tunewell.trial import Failed


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with a model and 60 test pictures."""
    return train_digits(tmp_path_factory.mktemp("trained"))


def _measure(trained: Trained, folder: Path, data: Path, split: str | None = None) -> tuple[dict[str, Any], Any]:
    """Return the result of the job, and what it has measured in detail."""
    run_job(evaluate_model, folder, model=trained.model, data=data, split=split, task_file=trained.task_file)
    result = json.loads((folder / "result.json").read_text())
    return result, json.loads((folder / "artifacts" / "evaluation.json").read_text())


def test_the_test_pictures_give_what_the_evaluation_of_the_search_gave(trained: Trained, tmp_path: Path) -> None:
    """On the data of the search, its test pictures are taken, and every figure is that of the evaluation."""
    result, found = _measure(trained, tmp_path / "job", trained.data)
    trials = [{"number": 1, "folder": trained.attempt}]
    run_job(evaluate, tmp_path / "evaluated", task_file=trained.task_file, trials=trials)
    expected = json.loads((tmp_path / "evaluated" / "artifacts" / "1.json").read_text())["test"]
    assert result["splits"] == {"test": 60} and result["unreadable"] == {} and result["notes"] == []
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    for name in ("accuracy", "f1", "loss", "auroc"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5) == result["figures"][name]
    assert result["figures"]["macro_precision"] == found["macro"]["precision"]


def test_classes_are_matched_by_name_and_broken_pictures_named(trained: Trained, tmp_path: Path) -> None:
    """A table with two of ten classes, in one split, is measured as it is; what can't be read is left out and told."""
    data = tmp_path / "new"
    data.mkdir()
    rows = []
    for digit in ("7", "3"):
        for place, path in enumerate(sorted((trained.data / "test" / digit).iterdir())[:3]):
            shutil.copyfile(path, data / f"{digit}-{place}.png")
            rows.append((f"{digit}-{place}.png", digit))
    (data / "7-0.png").write_bytes(b"no picture")
    with (data / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *rows])
    result, found = _measure(trained, tmp_path / "job", data)
    assert result["splits"] == {"all": 5} and list(result["unreadable"]) == ["7-0.png"]
    assert any("can't be read: 1 picture, 7-0.png" in note for note in result["notes"])
    support = {row["name"]: row["support"] for row in found["classes"] if row["support"]}
    assert support == {"3": 3, "7": 2} and len(found["classes"]) == 10
    _, whole = _measure(trained, tmp_path / "whole", trained.data)
    assert sum(found["confusion_matrix"][3]) == 3 and found["count"] == 5 < whole["count"]


def test_a_table_of_test_pictures_alone_can_be_measured(trained: Trained, tmp_path: Path) -> None:
    """A column that says `test` in every row is no obstacle, nor is a single class."""
    for place, path in enumerate(sorted((trained.data / "test" / "4").iterdir())[:2]):
        shutil.copyfile(path, tmp_path / f"{place}.png")
    (tmp_path / "labels.csv").write_text("image,label,split\n0.png,4,test\n1.png,4,test\n")
    result, _ = _measure(trained, tmp_path / "job", tmp_path / "labels.csv")
    assert result["splits"] == {"test": 2}


@pytest.mark.parametrize("layout", ["test", ".", "single"])
def test_data_that_nobody_could_learn_from_can_be_measured(trained: Trained, tmp_path: Path, layout: str) -> None:
    """A test folder alone, class folders with a picture each, and a single class are enough."""
    place, digits = tmp_path / "new" / ("." if layout == "single" else layout), "3" if layout == "single" else "0123"
    for digit in digits:
        (place / digit).mkdir(parents=True)
        shutil.copyfile(sorted((trained.data / "test" / digit).iterdir())[0], place / digit / "one.png")
    result, _ = _measure(trained, tmp_path / "job", tmp_path / "new")
    assert result["splits"] == {"test" if layout == "test" else "all": len(digits)}


def test_copies_of_learned_pictures_are_told(trained: Trained, tmp_path: Path) -> None:
    """Whatever they are called and wherever they lie, pictures of the training data are known by their content."""
    for split, name in (("train", "copy.png"), ("test", "new.png")):
        for digit in "01":
            place = tmp_path / "new" / digit / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sorted((trained.data / split / digit).iterdir())[0], place)
    result, _ = _measure(trained, tmp_path / "job", tmp_path / "new")
    assert result["notes"][0].startswith("2 of the 4 pictures are among those")


def test_a_search_that_is_gone_by_then_costs_no_measurement(trained: Trained, tmp_path: Path) -> None:
    """Its record is looked at last, when it may have been deleted for good: then nothing is told of its pictures."""
    gone = replace(trained, folder=tmp_path / "gone")
    gone.model.parent.mkdir(parents=True)
    shutil.copytree(trained.model, gone.model)
    for file in ("task.json", "manifest.json"):
        result, _ = _measure(gone, tmp_path / file, trained.data, "train")
        assert result["splits"] == {"train": 240} and result["notes"] == []
        shutil.copyfile(trained.task_file, gone.task_file)


def test_a_split_can_be_chosen_and_others_are_refused(trained: Trained, tmp_path: Path) -> None:
    """The validation pictures give the trial's own figures; a split that is not there is told with those that are."""
    last = json.loads((trained.attempt / "reports.jsonl").read_text().splitlines()[-1])["metrics"]
    result, _ = _measure(trained, tmp_path / "val", trained.data, "val")
    assert result["figures"]["accuracy"] == pytest.approx(last["accuracy"])
    assert result["notes"][0].startswith("All pictures are among those that the model was trained or chosen with")
    shutil.copytree(trained.data / "val", tmp_path / "flat")
    with pytest.raises(Failed):
        _measure(trained, tmp_path / "none", tmp_path / "flat", "test")
    assert "no split 'test'" in failure(tmp_path / "none")["detail"]


def test_classes_that_the_model_does_not_know_are_told(trained: Trained, tmp_path: Path) -> None:
    """One error names them and what to do; nothing is measured."""
    for name in ("0", "eight", "nine"):
        shutil.copytree(trained.data / "test" / "0", tmp_path / "new" / name)
    with pytest.raises(Failed):
        _measure(trained, tmp_path / "job", tmp_path / "new")
    told = failure(tmp_path / "job")["detail"]
    assert "does not know the classes eight, nine; it knows 0, 1" in told and "Rename them" in told
    assert not (tmp_path / "job" / "result.json").exists()
