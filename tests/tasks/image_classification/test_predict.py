from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.tasks.image_classification.trained import Trained, train_digits
from tests.tasks.supervised import failure, run_job

from tunewell.tasks.image_classification.model import build_module, load_model, preprocess, save_model
from tunewell.tasks.image_classification.predict import load_predictor, predict
from tunewell.trial import Failed


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment with a model and 120 pictures that it has not learned from."""
    return train_digits(tmp_path_factory.mktemp("trained"))


def _predict(trained: Trained, folder: Path, *inputs: Path, output: Path | None = None) -> list[dict[str, Any]]:
    run_job(predict, folder, model=trained.model, inputs=list(inputs), directory="/", output=output)
    found: list[dict[str, Any]] = json.loads((folder / "artifacts" / "predictions.json").read_text())
    return found


def test_a_loaded_model_says_the_same(trained: Trained, tmp_path: Path) -> None:
    """Asked at once about the bytes of pictures, a model gives what the job gives, of broken ones, too."""
    paths = [*sorted((trained.data / "test").rglob("*.png"))[:5], tmp_path / "broken.png"]
    paths[-1].write_bytes(b"no picture")
    found = _predict(trained, tmp_path / "job", *paths)
    asked = load_predictor(trained.model).predict([path.read_bytes() for path in paths])
    assert [{"file": str(path), **one} for path, one in zip(paths, asked, strict=True)] == found


def test_predictions_are_the_models(trained: Trained, tmp_path: Path) -> None:
    """In a folder of folders, every picture gets the label, probability and top three of the model."""
    found = _predict(trained, tmp_path / "job", trained.data / "test")
    module, config = load_model(trained.model)
    paths = sorted((trained.data / "test").rglob("*.png"))
    with torch.inference_mode():
        probabilities = module(preprocess(paths, config)).softmax(dim=1)
    assert [prediction["file"] for prediction in found] == [str(path) for path in paths]
    for prediction, row in zip(found, probabilities, strict=True):
        values, order = row.topk(3)
        assert [guess["label"] for guess in prediction["top"]] == [config.classes[index] for index in order]
        assert [guess["probability"] for guess in prediction["top"]] == pytest.approx(values.tolist(), abs=1e-5)
        assert prediction["label"] == prediction["top"][0]["label"]
        assert prediction["probability"] == prediction["top"][0]["probability"]
        assert prediction["error"] is None
    right = sum(prediction["label"] == Path(prediction["file"]).parent.name for prediction in found)
    assert right > 30  # of 60, where 6 are to be had by chance


def test_all_probabilities_are_given_where_they_are_asked_for(trained: Trained, tmp_path: Path) -> None:
    """JSON has the probability of each class, which add up to 1, and the CSV file a column for each."""
    paths = sorted((trained.data / "test").rglob("*.png"))[:2]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    inputs, output = [*paths, tmp_path / "broken.png"], tmp_path / "found.csv"
    answering = {"threshold": None, "probabilities": True}
    folder = tmp_path / "job"
    run_job(predict, folder, model=trained.model, inputs=inputs, directory="/", output=output, answering=answering)
    found = json.loads((folder / "artifacts" / "predictions.json").read_text())
    classes = list(load_model(trained.model)[1].classes)
    assert found[-1]["probabilities"] == {} and found[-1]["error"]
    for one in found[:2]:
        assert list(one["probabilities"]) == classes and sum(one["probabilities"].values()) == pytest.approx(1)
        assert max(one["probabilities"].values()) == one["probabilities"][one["label"]] == one["probability"]
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert list(rows[0]) == ["file", "label", *(f"probability_{name}" for name in classes), "error"]
    assert [row["label"] for row in rows] == [found[0]["label"], found[1]["label"], ""]
    assert float(rows[0][f"probability_{found[0]['label']}"]) == found[0]["probability"]


def test_broken_pictures_are_listed_and_hold_nothing_up(trained: Trained, tmp_path: Path) -> None:
    """A truncated and an empty picture have an error in their place; the others get the labels they would get alone."""
    good = sorted((trained.data / "val").rglob("*.png"))[:3]
    mixed = tmp_path / "mixed"
    (mixed / "deep").mkdir(parents=True)
    for place, path in zip(("a.png", "deep/c.png", "e.png"), good, strict=True):
        (mixed / place).write_bytes(path.read_bytes())
    (mixed / "b.png").write_bytes(good[0].read_bytes()[:80])
    (mixed / "d.JPG").touch()
    (mixed / "notes.txt").write_text("no picture")
    found = {Path(prediction["file"]).name: prediction for prediction in _predict(trained, tmp_path / "job", mixed)}
    alone = _predict(trained, tmp_path / "alone", *good)
    assert sorted(found) == ["a.png", "b.png", "c.png", "d.JPG", "e.png"]
    for name in ("b.png", "d.JPG"):
        assert found[name]["error"]
        assert (found[name]["label"], found[name]["probability"], found[name]["top"]) == (None, None, [])
    for name, expected in zip(("a.png", "c.png", "e.png"), alone, strict=True):
        assert found[name]["label"] == expected["label"]
        assert found[name]["probability"] == pytest.approx(expected["probability"], abs=1e-5)


def test_small_pictures_are_kept_of_the_first(trained: Trained, tmp_path: Path) -> None:
    """Where previews are asked for, the first pictures that can be read have one, upright, and tell their size."""
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "a.png").write_bytes(b"no picture")
    turned = Image.new("RGB", (1600, 800))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(sent / "b.jpg", exif=exif)
    for name in ("c.png", "d.png"):
        Image.new("RGB", (32, 32)).save(sent / name)
    arguments = {"model": trained.model, "inputs": ["."], "directory": sent, "output": None}
    run_job(predict, tmp_path / "job", **arguments, previews=3)
    artifacts = tmp_path / "job" / "artifacts"
    found = json.loads((artifacts / "predictions.json").read_text())
    assert [one.get("size") for one in found] == [None, [800, 1600], [32, 32], None]
    with Image.open(artifacts / found[1]["preview"]) as small:
        assert (small.format, small.size) == ("JPEG", (320, 640))
    assert sorted(path.name for path in (artifacts / "previews").iterdir()) == ["1.jpg", "2.jpg"]


def test_all_broken_is_no_failure(trained: Trained, tmp_path: Path) -> None:
    """A file that is no picture, named by itself, is listed with its error."""
    (tmp_path / "text").write_text("no picture")
    [prediction] = _predict(trained, tmp_path / "job", tmp_path / "text")
    assert prediction["label"] is None
    assert "no picture" in prediction["error"]


def test_what_is_no_file_is_not_opened(trained: Trained, tmp_path: Path) -> None:
    """A pipe as input is refused at once: reading from it would wait for ever. So is a name that no table can hold."""
    pipe, odd = tmp_path / "pipe.png", tmp_path / os.fsdecode(b"caf\xe9.png")
    os.mkfifo(pipe)
    odd.touch()
    for path, problem in ((pipe, "neither a file nor a folder"), (odd, "not valid UTF-8")):
        with pytest.raises(Failed):
            _predict(trained, tmp_path / problem, path)
        assert problem in failure(tmp_path / problem)["detail"]


def test_a_picture_that_is_named_twice_comes_once(trained: Trained, tmp_path: Path) -> None:
    """A file and its folder as inputs give one prediction a picture, the file first."""
    folder = trained.data / "val" / "3"
    paths = sorted(folder.iterdir())
    found = _predict(trained, tmp_path / "job", paths[-1], folder)
    assert [prediction["file"] for prediction in found] == [str(paths[-1]), *map(str, paths[:-1])]


def test_pictures_are_called_as_they_were_named(trained: Trained, tmp_path: Path) -> None:
    """Relative inputs are found in the folder of the caller and keep their names."""
    first, one, five = (sorted((trained.data / "val" / label).iterdir())[0] for label in ("3", "1", "5"))
    inputs = ["val/3", f"val/../val/1/{one.name}", str(five)]
    run_job(predict, tmp_path / "job", model=trained.model, inputs=inputs, directory=trained.data, output=None)
    found = [
        prediction["file"]
        for prediction in json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())
    ]
    assert found[0] == f"val/3/{first.name}"
    assert found[-2:] == inputs[1:]


def test_more_than_a_batch_is_reported_batch_by_batch(trained: Trained, tmp_path: Path) -> None:
    """120 pictures take two batches; each report says how many are done."""
    inputs = [trained.data / "val", trained.data / "test"]
    reports = run_job(predict, tmp_path / "job", model=trained.model, inputs=inputs, directory="/", output=None)
    assert [report["predicting"] for report in reports] == [64 / 120, 1.0]
    assert len(json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())) == 120


def test_csv_and_json_say_the_same(trained: Trained, tmp_path: Path) -> None:
    """A CSV file has a row a picture with the three best labels; a JSON file is what the job returns."""
    (tmp_path / "broken.png").touch()
    inputs = [trained.data / "val" / "5", tmp_path / "broken.png"]
    found = _predict(trained, tmp_path / "1", *inputs, output=tmp_path / "new" / "out.csv")
    _predict(trained, tmp_path / "2", *inputs, output=tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == found
    with (tmp_path / "new" / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [prediction["file"] for prediction in found]
    for row, prediction in zip(rows[:-1], found[:-1], strict=True):
        guesses = [(row[f"label{rank}"], float(row[f"probability{rank}"])) for rank in ("", "_2", "_3")]
        assert guesses == [(guess["label"], guess["probability"]) for guess in prediction["top"]]
    assert (rows[-1]["label"], rows[-1]["probability_3"]) == ("", "")
    assert rows[-1]["error"] == found[-1]["error"]


def test_two_classes_have_a_top_two(trained: Trained, tmp_path: Path) -> None:
    """A model with fewer than three classes gives as many labels as it has, in CSV too."""
    _, config = load_model(trained.model)
    save_model(tmp_path / "model", build_module("small-cnn", 2), replace(config, classes=("no", "yes")))
    picture = next(trained.data.glob("val/1/*"))
    run_job(
        predict,
        tmp_path / "job",
        model=tmp_path / "model",
        inputs=[picture],
        directory="/",
        output=tmp_path / "out.csv",
    )
    [prediction] = json.loads((tmp_path / "job" / "artifacts" / "predictions.json").read_text())
    assert {guess["label"] for guess in prediction["top"]} == {"no", "yes"}
    assert sum(guess["probability"] for guess in prediction["top"]) == pytest.approx(1)
    assert (tmp_path / "out.csv").read_text().splitlines()[1].endswith(",,,")


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        ("gone", None, r"gone: there is no such file or folder\."),
        ("empty", None, r"empty: there is no picture\. Known are the endings "),
        ("picture.png", "out.txt", r"output: 'out\.txt' is neither CSV nor JSON\..*\.csv or \.json"),
        ("picture.png", "folder.csv", r"folder\.csv: it can't be read or written \(Is a directory\)\."),
    ],
)
def test_wrong_arguments_are_one_clear_sentence(
    trained: Trained, tmp_path: Path, inputs: str, output: str | None, message: str
) -> None:
    """Missing and empty folders, and an output of unknown kind or in the way, end the job with a sentence."""
    for name in ("empty", "folder.csv"):
        (tmp_path / name).mkdir()
    Image.new("L", (32, 32)).save(tmp_path / "picture.png")
    with pytest.raises(Failed):
        _predict(trained, tmp_path / "job", tmp_path / inputs, output=tmp_path / output if output else None)
    given = failure(tmp_path / "job")
    assert given["cause"] == "data_error"
    assert re.search(message, given["detail"])


def test_a_folder_without_a_model_is_one_clear_sentence(trained: Trained, tmp_path: Path) -> None:
    """A model folder that holds no model is named."""
    with pytest.raises(Failed):
        run_job(predict, tmp_path / "job", model=tmp_path, inputs=[trained.data], directory="/", output=None)
    assert f"{tmp_path}: it holds no model" in failure(tmp_path / "job")["detail"]
