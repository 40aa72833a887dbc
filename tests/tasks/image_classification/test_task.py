"""The task as controller and service see it: complete, space, check, prepare, program."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tasks.image_classification.trained import PARAMETERS

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import ConflictError, DataError, SpecError, UserError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import AttemptKey
from tunewell.tasks.contract import PlannedAttempt
from tunewell.tasks.image_classification import convert_weights
from tunewell.tasks.image_classification.data import Manifest
from tunewell.tasks.image_classification.manifest import load_manifest
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import build_module, normalize, preprocess
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.image_classification.train import create_learner
from tunewell.tasks.vision import sampling, specs, weights
from tunewell.tasks.vision.cache import load_cached_pixels
from tunewell.tasks.vision.task_file import Prepared

TASK = ImageClassification()


def raw(data: Path, **fields: Any) -> dict[str, Any]:
    """Return a spec as a user writes it."""
    return {"name": "e", "task": "image-classification", "data": str(data), **fields}


def spec_of(data: Path, **fields: Any) -> ExperimentSpec:
    """Return a complete spec, with the small network unless said otherwise."""
    return parse_spec(TASK.complete(raw(data, **{"network": "small-cnn", **fields})))


def prepare(spec: ExperimentSpec, home: Path) -> tuple[list[str], int]:
    """Prepare an experiment; return its notes, and how often progress was told."""
    told: list[int] = []
    notes = TASK.prepare(
        spec, TASK.space(spec, Capacity(())), home / "e", home / "cache", lambda what, done, total: told.append(done)
    )
    return notes, len(told)


def convert_here(module: str, arguments: list[str], environment: object) -> str:
    """Convert weights in this process."""
    convert_weights.convert(*arguments[:3], Path(arguments[3]))
    return ""


# complete -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "completed"),
    [
        (None, {"metric": "accuracy", "goal": "maximize"}),
        ("loss", {"metric": "loss", "goal": "minimize"}),
        ({"metric": "f1", "target": 0.9}, {"metric": "f1", "goal": "maximize", "target": 0.9}),
        ({"target": 0.9}, {"metric": "accuracy", "goal": "maximize", "target": 0.9}),
    ],
)
def test_the_objective_is_completed(digits: Path, objective: Any, completed: dict[str, Any]) -> None:
    """The default metric is accuracy, and each metric has its goal."""
    fields = {} if objective is None else {"objective": objective}
    assert TASK.complete(raw(digits, network="small-cnn", **fields))["objective"] == completed


def test_trials_that_do_badly_are_ended_unless_the_spec_says_otherwise(digits: Path) -> None:
    """What is known of the networks speaks for early stopping, and what a user says counts more."""
    assert spec_of(digits).early_stopping == "halving"
    assert spec_of(digits, early_stopping=None).early_stopping == "halving"
    assert spec_of(digits, early_stopping="off").early_stopping == "off"


def test_unknown_metrics_and_networks(digits: Path) -> None:
    """A metric that is never reported and a network that does not exist are refused at once."""
    with pytest.raises(
        SpecError, match=r"objective\.metric: this task does not report 'acuracy'. Did you mean 'accuracy'"
    ):
        TASK.complete(raw(digits, objective="acuracy"))
    with pytest.raises(
        SpecError, match=r"objective\.target: accuracy never gets above 1, let alone to 95\. Write 0\.95"
    ):
        TASK.complete(raw(digits, objective={"metric": "accuracy", "target": 95}))
    with pytest.raises(SpecError, match=r"network: there is no network 'resnet81'\. Did you mean 'resnet18'"):
        TASK.complete(raw(digits, network="resnet81"))


@pytest.mark.parametrize(("side", "network"), [(64, "small-cnn"), (100, "efficientnet-lite0")])
def test_the_default_network_depends_on_the_pictures(tmp_path: Path, side: int, network: str) -> None:
    """Small pictures get the small network, larger ones the pretrained one, one odd picture or not."""
    for name in ("a", "b"):
        for index in range(4):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (side, side // 2)).save(tmp_path / name / f"{index}.png")
    Image.new("RGB", (500, 500)).save(tmp_path / "a" / "odd.png")
    (tmp_path / "b" / "broken.png").write_text("")
    assert TASK.complete(raw(tmp_path))["network"] == network


def test_complete_leaves_the_rest_to_validation(tmp_path: Path) -> None:
    """A spec without data, or with a malformed objective, is left for its validation to refuse."""
    assert "network" not in TASK.complete({"name": "e", "task": "image-classification"})
    assert TASK.complete(raw(tmp_path, network="resnet18", objective=["f1"]))["objective"] == ["f1"]
    with pytest.raises(DataError, match="does not exist"):
        TASK.complete(raw(tmp_path / "nowhere"))


# space ----------------------------------------------------------------------------------------------------


def test_overrides(digits: Path) -> None:
    """Overrides replace domains; defaults outside of them move to the nearest value inside."""
    overrides = {
        "learning_rate": {"low": 1e-5, "high": 1e-4, "log": True},
        "batch_size": [48, 64],
        "mixup": {"low": 0.01, "high": 0.4, "log": True},
        "epochs": {"low": 5, "high": 30},
        "schedule": "cosine",
    }
    space = TASK.space(spec_of(digits, parameters=overrides), Capacity(()))
    default = space.default()
    assert default is not None
    assert space.check(default) == default
    expected = {"learning_rate": 1e-4, "batch_size": 48, "mixup": 0.01, "epochs": 15, "schedule": "cosine"}
    assert {name: default[name] for name in expected} == pytest.approx(expected)
    assert default["image_size"] == 48


def test_a_fixed_optimizer_drops_what_depends_on_it(digits: Path) -> None:
    """Without SGD there is no momentum; with SGD alone it is always there."""
    assert "momentum" not in TASK.space(spec_of(digits, parameters={"optimizer": "adamw"}), Capacity(()))
    space = TASK.space(spec_of(digits, parameters={"optimizer": "sgd"}), Capacity(()))
    assert (space.default() or {})["momentum"] == 0.9


def test_no_frozen_backbone_without_weights(digits: Path) -> None:
    """From scratch the backbone is not a parameter, and asking for a frozen one is an error."""
    assert "backbone" in TASK.space(spec_of(digits, network="resnet18"), Capacity(()))
    assert "backbone" not in TASK.space(spec_of(digits, network="resnet18", weights="none"), Capacity(()))
    with pytest.raises(SpecError, match=r"parameters\.backbone: 'frozen' with `weights: none`"):
        TASK.space(spec_of(digits, network="resnet18", weights="none", parameters={"backbone": "frozen"}), Capacity(()))
    assert "layer_decay" in TASK.space(spec_of(digits, network="deit-small"), Capacity(()))
    assert "layer_decay" not in TASK.space(spec_of(digits, network="deit-small", weights="none"), Capacity(()))
    with pytest.raises(SpecError, match=r"parameters\.layer_decay: with `weights: none` all layers"):
        TASK.space(
            spec_of(digits, network="deit-small", weights="none", parameters={"layer_decay": [0.8, 1.0]}), Capacity(())
        )


def test_a_linear_probe_comes_early(digits: Path) -> None:
    """A pretrained network is tried with its last layer alone in training, on pictures that stay as they are."""
    spec = spec_of(digits, network="resnet18")
    space = TASK.space(spec, Capacity(()))
    default, (origin, probe) = space.default() or {}, *TASK.promising(spec, space)
    assert origin == "linear probe"
    changed = {name: value for name, value in probe.items() if value != default[name]}
    assert changed == {"backbone": "frozen", "augmentation": 0.0, "horizontal_flip": False, "image_size": 224}


@pytest.mark.parametrize(
    "fields",
    [
        {"network": "small-cnn"},
        {"network": "resnet18", "weights": "none"},
        {"network": "resnet18", "parameters": {"backbone": "fine-tuned"}},
        {"network": "resnet18", "parameters": {"augmentation": {"low": 0.3, "high": 0.6}}},
    ],
)
def test_no_linear_probe_where_there_is_none(digits: Path, fields: dict[str, Any]) -> None:
    """Without pretrained layers, or outside the space of the search, nothing is tried."""
    spec = spec_of(digits, **fields)
    assert TASK.promising(spec, TASK.space(spec, Capacity(()))) == []


def test_unknown_and_wrong_parameters(digits: Path) -> None:
    """An unknown parameter and a domain out of reach are refused."""
    with pytest.raises(SpecError, match=r"parameters\.learning_rte: .* Did you mean 'learning_rate'"):
        TASK.space(spec_of(digits, parameters={"learning_rte": 0.1}), Capacity(()))
    with pytest.raises(SpecError, match=r"parameters\.augmentation: 3 is outside 0 … 1"):
        TASK.space(spec_of(digits, parameters={"augmentation": 3}), Capacity(()))


# check ----------------------------------------------------------------------------------------------------


def test_check(digits: Path) -> None:
    """What was found is said in a line; nothing is written."""
    assert TASK.check(spec_of(digits)) == [
        "Pictures: 100 train, 40 val, in 10 classes; each is opened when the search begins.",
        "By class (train + val): 1: 12 + 2, 3: 12 + 2, 0: 11 + 3, 6: 11 + 3, 2: 10 + 4, 7: 10 + 4, 5: 9 + 5, "
        "9: 9 + 5, 4: 8 + 6, 8: 8 + 6.",
        "Network: small-cnn.",
        "Weights: none, small-cnn is trained from scratch.",
        "Training: 84 epochs of 6 steps (100 pictures, 16 a step): small data sets need more passes. To search their "
        "number: `epochs: {ordinal: [42, 84, 168]}`.",
    ]


def test_check_advises_a_sample(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where enough is left of a sample, the last line says how to search on it."""
    monkeypatch.setattr(sampling, "_LEAST_PICTURES", 2)
    monkeypatch.setattr(sampling, "_LEAST_OF_A_CLASS", 1)
    assert TASK.check(spec_of(digits))[-1].startswith("Advice: `sampling: 0.")
    assert not TASK.check(spec_of(digits, sampling=0.9))[-1].startswith("Advice")


def test_check_refuses_missing_weights(digits: Path) -> None:
    """A weights file that is not there is found before anything starts."""
    with pytest.raises(DataError, match=r"weights: there is no file /no\.pth"):
        TASK.check(spec_of(digits, weights="/no.pth"))


def test_missing_libraries(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error holds the command that installs it."""
    monkeypatch.setattr(specs, "_found", set())
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "timm" else find(name))
    with pytest.raises(UserError, match=r"needs timm\. Install them: pip install 'tunewell\[vision\]'"):
        TASK.check(spec_of(digits))


def test_the_task_is_light() -> None:
    """Importing the task imports neither PyTorch nor Pillow: a base install can list and refuse it."""
    program = (
        "import sys, tunewell.tasks.image_classification.task; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'PIL', 'safetensors', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# prepare --------------------------------------------------------------------------------------------------


def test_prepare_is_idempotent(digits: Path, tmp_path: Path) -> None:
    """The first call decodes each size; the second changes nothing and says the same."""
    spec = spec_of(digits, parameters={"image_size": [24, 32]}, sampling=0.5, seed=3)
    notes, told = prepare(spec, tmp_path)
    assert told == 2 * 140
    assert notes == ["Weights: none, small-cnn is trained from scratch."]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert prepare(spec, tmp_path) == (notes, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    prepared = Prepared.load(tmp_path / "e" / "task.json")
    assert set(prepared.pixels) == {24, 32}
    assert (prepared.network, prepared.seed, prepared.sampling, prepared.weights) == ("small-cnn", 3, 0.5, None)


def test_a_second_experiment_decodes_nothing(digits: Path, tmp_path: Path) -> None:
    """Experiments on the same pictures share the cache, whatever their network and seed."""
    prepare(spec_of(digits, parameters={"image_size": 32}), tmp_path)
    other = spec_of(digits, parameters={"image_size": 32}, network="resnet18", weights="none", seed=9)
    assert TASK.prepare(
        other,
        TASK.space(other, Capacity(())),
        tmp_path / "f",
        tmp_path / "cache",
        lambda *step: pytest.fail("decoded again"),
    )


def test_a_lost_cache_is_made_again(digits: Path, tmp_path: Path) -> None:
    """An experiment that goes on after its cache was deleted decodes again, into the same place."""
    spec = spec_of(digits, parameters={"image_size": 32})
    prepare(spec, tmp_path)
    folder = Path(Prepared.load(tmp_path / "e" / "task.json").pixels[32])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert prepare(spec, tmp_path)[1] == 140
    assert folder.is_dir()


def test_changed_data_are_noticed(own_digits: Path, tmp_path: Path) -> None:
    """An experiment does not go on with other pictures than it began with."""
    spec = spec_of(own_digits, parameters={"image_size": 32})
    prepare(spec, tmp_path)
    picture = next(own_digits.rglob("*.png"))
    picture.write_bytes(picture.read_bytes() + b"changed")
    with pytest.raises(ConflictError, match="the data set has changed since experiment 'e' began"):
        prepare(spec, tmp_path)


def test_a_moved_home_and_its_data_are_the_same(own_digits: Path, tmp_path: Path) -> None:
    """What was moved together goes on without a picture being opened; all that trials need lies in the new place."""
    project = tmp_path / "old"
    project.mkdir()
    prepare(spec_of(own_digits.rename(project / "data"), parameters={"image_size": 32}), project / "home")
    new = project.rename(tmp_path / "new")
    known = Prepared.load(new / "home" / "e" / "task.json")
    assert load_manifest(Path(known.manifest)).folder == new / "data"
    notes, told = prepare(spec_of(new / "data", parameters={"image_size": 32}), new / "home")
    assert (tuple(notes), told) == (known.notes, 0)
    assert Path(known.pixels[32]).is_relative_to(new / "home" / "cache")
    assert (Path(known.pixels[32]) / "pixels.npy").is_file()


@pytest.mark.parametrize("move", [Path.rename, shutil.copytree], ids=["moved", "copied"])
def test_data_in_another_place_are_known_by_their_content(move: Any, own_digits: Path, tmp_path: Path) -> None:
    """Data that were moved, or copied, with whatever times, are the same; once a picture differs, they are others."""
    prepare(spec_of(own_digits, parameters={"image_size": 32}), tmp_path)
    place = tmp_path / "elsewhere"
    move(own_digits, place)
    if move is shutil.copytree:
        for path in place.rglob("*.png"):
            os.utime(path, ns=(1, 1))
    spec = spec_of(place, parameters={"image_size": 32})
    TASK.check_same(spec, tmp_path / "e")
    prepare(spec, tmp_path)
    prepared = Prepared.load(tmp_path / "e" / "task.json")
    assert load_manifest(Path(prepared.manifest)).folder == place
    assert prepare(spec, tmp_path)[1] == 0
    picture = next(place.rglob("*.png"))
    picture.write_bytes(picture.read_bytes() + b"changed")
    with pytest.raises(ConflictError, match="the data set has changed since experiment 'e' began, or is another one"):
        TASK.check_same(spec, tmp_path / "e")
    picture.unlink()
    with pytest.raises(ConflictError, match="the data set has changed since experiment 'e' began, or is another one"):
        TASK.check_same(spec, tmp_path / "e")


def test_weights_in_another_place_are_known_by_their_content(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of weights may be moved; another one is refused."""
    monkeypatch.setattr(weights, "_run_converter", convert_here)
    file = tmp_path / "own.pth"
    torch.save(build_module("small-cnn", 3).state_dict(), file)
    prepare(spec_of(digits, parameters={"image_size": 32}, weights=str(file)), tmp_path)
    elsewhere = file.rename(tmp_path / "moved.pth")
    TASK.check_same(spec_of(digits, parameters={"image_size": 32}, weights=str(elsewhere)), tmp_path / "e")
    torch.save(build_module("small-cnn", 3).state_dict(), elsewhere)
    with pytest.raises(ConflictError, match=r"moved\.pth: these are not the weights that experiment 'e' began with"):
        TASK.check_same(spec_of(digits, parameters={"image_size": 32}, weights=str(elsewhere)), tmp_path / "e")


@pytest.mark.parametrize("name", ["task.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "half", "zeros"])
def test_a_damaged_record_is_not_replaced(digits: Path, tmp_path: Path, name: str, damage: str) -> None:
    """Without the record of what trials have learned from, nobody knows whether the data are the same: no going on."""
    spec = spec_of(digits, parameters={"image_size": 32})
    prepare(spec, tmp_path)
    (tmp_path / "e" / "trials").mkdir()
    record = tmp_path / "e" / name
    size = record.stat().st_size
    if damage == "missing":
        record.unlink()
    elif damage == "half":
        os.truncate(record, size // 2)
    else:
        record.write_bytes(bytes(size))
    with pytest.raises(DataError, match=rf"{name}: this record .* is missing or damaged\. Restore it, or start over"):
        prepare(spec, tmp_path)


def test_lost_weights_are_only_replaced_by_the_same(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged converted weights are made again from the file that they came from, but not from another one."""
    monkeypatch.setattr(weights, "_run_converter", convert_here)
    file = tmp_path / "own.pth"
    torch.save(build_module("small-cnn", 3).state_dict(), file)
    spec = spec_of(digits, parameters={"image_size": 32}, weights=str(file))
    prepare(spec, tmp_path)
    converted = Path(str(Prepared.load(tmp_path / "e" / "task.json").weights))
    content = converted.read_bytes()
    os.truncate(converted, len(content) // 2)
    prepare(spec, tmp_path)
    assert converted.read_bytes() == content
    converted.unlink()
    torch.save(build_module("small-cnn", 3).state_dict(), file)
    with pytest.raises(DataError, match="the weights that experiment 'e' began with are gone or damaged"):
        prepare(spec, tmp_path)


def test_a_single_class_to_validate_on(tmp_path: Path) -> None:
    """The search begins although val lacks a class, unless its objective is not defined then."""
    for name in ("train/a/1", "train/a/2", "train/b/3", "train/b/4", "val/a/5"):
        path = tmp_path / "data" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 40 * int(path.stem)).save(path)
    assert any("Classes without a picture in val: b." in line for line in TASK.check(spec_of(tmp_path / "data")))
    with pytest.raises(SpecError, match=r"objective\.metric: val has pictures of a single class"):
        TASK.check(spec_of(tmp_path / "data", objective="auroc"))


def test_top_5_accuracy_is_no_objective_of_few_classes(digits: Path) -> None:
    """With ten classes it is refused with what to take in its place."""
    with pytest.raises(SpecError, match=r"more than 10 classes, and here are \d+\. Take accuracy"):
        TASK.check(spec_of(digits, objective="top_5_accuracy"))


@pytest.mark.parametrize(
    ("labels", "classes", "missing"), [([0, 0], 10, {"auroc", "top_5_accuracy"}), ([0, 1], 11, set())]
)
def test_what_metrics_need_is_told(labels: list[int], classes: int, missing: set[str]) -> None:
    """Each metric that some data do not have says what it needs."""
    found = measure(np.zeros((2, classes), dtype=np.float32), np.array(labels))
    assert TASK.metrics.keys() - found.keys() == missing
    assert missing <= TASK.needs_of_metrics.keys()


@pytest.mark.parametrize(
    ("fields", "epochs"),
    [({"sampling": 0.5}, 84), ({}, None), ({"sampling": 0.5, "parameters": {"epochs": 7, "image_size": 32}}, None)],
)
def test_epochs_on_all_data_are_recorded(digits: Path, tmp_path: Path, fields: dict[str, Any], epochs: int) -> None:
    """Where those of a search follow from its sample: what the spec says holds for all trainings."""
    spec = spec_of(digits, **{"parameters": {"image_size": 32}, **fields})
    prepare(spec, tmp_path)
    assert Prepared.load(tmp_path / "e" / "task.json").epochs_on_all == epochs


def test_deep_pictures(tmp_path: Path) -> None:
    """What is black and white is measured once, noted, and the same in trials and in what a model is told."""
    for number in range(20):
        values = np.full((8, 8), 100 + 190 * number, dtype=np.uint16)
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
    spec = spec_of(tmp_path / "data", parameters={"image_size": 32})
    notes, told = prepare(spec, tmp_path)
    assert prepare(spec, tmp_path) == (notes, 0)
    assert told == 2 * 20
    assert any(
        "of 100 to 3710: " in note and "; 0 is taken as black and 4095 as white, by the model too." in note
        for note in notes
    )
    prepared = Prepared.load(tmp_path / "e" / "task.json")
    manifest = Manifest.load(Path(prepared.manifest))
    learner = create_learner(prepared, manifest, {**PARAMETERS, "image_size": 32})
    assert learner.config.value_ranges == manifest.value_ranges == {"grey": (0, 4095)}
    pixels = load_cached_pixels(Path(prepared.pixels[32]))
    assert pixels.max() == round(3710 / 4095 * 255)
    brightest = manifest.paths.index("b/19.png")
    same = preprocess([manifest.path(brightest)], learner.config)
    assert torch.equal(same, normalize(torch.from_numpy(pixels[[brightest]].copy()), learner.config))


def test_broken_and_doubled_pictures(own_digits: Path, tmp_path: Path) -> None:
    """Few broken pictures are left out with a note, doubled ones are noted; many broken ones are an error."""
    train, val = (sorted((own_digits / split).rglob("*.png")) for split in ("train", "val"))
    train[0].write_bytes(b"")
    val[-1].write_bytes(train[-1].read_bytes())
    spec = spec_of(own_digits, parameters={"image_size": 32})
    notes, _ = prepare(spec, tmp_path / "few")
    assert any(note.startswith("Left out, because they can't be read: 1 picture, train/") for note in notes)
    assert any(note.startswith("In train, too: 1 of 40 pictures of val, such as ") for note in notes)
    assert len(Manifest.load(tmp_path / "few" / "e" / "manifest.json").splits["train"]) == 39
    for path in train[1:4]:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="4 of 80 pictures can't be read; a search leaves out 3 at most: train/"):
        prepare(spec, tmp_path / "many")


# program --------------------------------------------------------------------------------------------------


def test_program(digits: Path, tmp_path: Path) -> None:
    """A trial runs the entry that trains, and finds what was prepared."""
    attempt = PlannedAttempt(AttemptKey("e", 1, 1), tmp_path, {"epochs": 15})
    program = TASK.program(spec_of(digits), tmp_path, attempt)
    assert program.entry == "tunewell.tasks.image_classification.train:train"
    assert (program.command, program.epochs) == (None, 15)
    assert program.environment == {"TUNEWELL_TASK_FILE": str(tmp_path / "task.json")}
    assert set(program.preload) >= {"torch", "timm"}


def test_inputs_are_what_a_size_needs(tmp_path: Path) -> None:
    """A trial is said to read the decoded pictures at its own size alone, by what `prepare` left; else the record."""
    task, spec = TASK, spec_of(tmp_path)
    folder = tmp_path / "home" / "experiments" / "e"
    folder.mkdir(parents=True)
    assert task.inputs(spec, folder, [{"image_size": 32}]) == (folder / "task.json",)
    cache = tmp_path / "home" / "cache"
    prepared = Prepared(
        network="small-cnn",
        weights=str(cache / "weights" / "w.safetensors"),
        manifest=str(folder / "manifest.json"),
        fingerprint="",
        pixels={16: str(cache / "pictures" / "a"), 32: str(cache / "pictures" / "b")},
        seed=0,
        sampling=1.0,
        notes=(),
    )
    prepared.save(folder / "task.json")
    shared = [folder / "task.json", folder / "manifest.json", cache / "weights" / "w.safetensors"]
    assert task.inputs(spec, folder, [{"image_size": 32}]) == (*shared, cache / "pictures" / "b")
    both = [{"image_size": 32}, {"image_size": 16}, {"image_size": 32}]
    assert task.inputs(spec, folder, both) == (*shared, cache / "pictures" / "a", cache / "pictures" / "b")
