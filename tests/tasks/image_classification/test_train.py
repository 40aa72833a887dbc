"""A whole trial: what it reports, what it leaves, how it goes on and how it fails."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.supervised import failure, run

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.image_classification.data import Manifest
from tunewell.tasks.image_classification.learner import ClassificationLearner
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import ModelConfig, load_model, preprocess, read_config, save_model
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.image_classification.train import train, training_positions
from tunewell.tasks.vision.task_file import Prepared
from tunewell.tasks.vision.training import epochs_at
from tunewell.trial import Failed, Pruned
from tunewell.trial.trial import raise_pruned

PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.01,
    "batch_size": 16,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "augmentation": 0.3,
    "epochs": 4,
    "image_size": 32,
}


def prepared_experiment(data: Path, home: Path) -> Path:
    """Return the folder of an experiment on digits with the small network, prepared."""
    task, raw = ImageClassification(), {"name": "e", "task": "image-classification", "data": str(data)}
    spec = parse_spec(task.complete({**raw, "network": "small-cnn", "parameters": {"image_size": [32, 48]}}))
    task.prepare(spec, task.space(spec, Capacity(())), home / "e", home / "cache", lambda *step: None)
    return home / "e"


@pytest.fixture(scope="module")
def experiment(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment that these tests share and don't change."""
    return prepared_experiment(digits, tmp_path_factory.mktemp("home"))


def run_trial(experiment: Path, folder: Path, parameters: dict[str, Any] = PARAMETERS, **environment: str) -> list[Any]:
    """Run a trial in this process; return its reports as (step, metrics)."""
    run(train, folder, parameters, TUNEWELL_TASK_FILE=str(experiment / "task.json"), **environment)
    return reports_in(folder)


def reports_in(folder: Path) -> list[Any]:
    """Return what a trial has reported so far as (step, metrics)."""
    lines = map(json.loads, (folder / "reports.jsonl").read_text().splitlines())
    return [(line["step"], line["metrics"]) for line in lines]


def test_a_trial_reports_each_epoch_and_leaves_its_model(experiment: Path, tmp_path: Path) -> None:
    """Each epoch is a report; model and predictions are those of the best one, and go with the pictures."""
    reports = run_trial(experiment, tmp_path, TUNEWELL_METRIC="accuracy", TUNEWELL_GOAL="maximize")
    assert [step for step, _ in reports] == [1, 2, 3, 4]
    names = {"accuracy", "f1", "loss", "auroc"}
    others = {"train_loss", "best_epoch", "epoch_accuracy"}
    assert all(set(metrics) == names | others for _, metrics in reports)
    last = reports[-1][1]
    assert last["accuracy"] > 0.3
    module, config = load_model(tmp_path / "artifacts" / "model")
    assert config.parameters == PARAMETERS
    assert config.metrics == {name: last[name] for name in names}
    with np.load(tmp_path / "artifacts" / "predictions.npz") as left:
        logits, labels, positions = left["logits"], left["labels"], left["positions"]
    manifest = Manifest.load(experiment / "manifest.json")
    assert tuple(positions) == manifest.splits["val"]
    assert labels.tolist() == manifest.split_labels("val")
    assert measure(logits, labels) == config.metrics
    assert logits.dtype == np.float32
    with torch.inference_mode():
        again = module(preprocess([manifest.path(int(position)) for position in positions[:5]], config)).numpy()
    np.testing.assert_allclose(logits[:5], again, atol=1e-4)


@pytest.mark.parametrize(
    ("goal", "metric", "target", "steps"), [("minimize", "loss", "100", 1), ("maximize", "accuracy", "2", 4)]
)
def test_a_trial_ends_where_it_reaches_the_target(
    experiment: Path, tmp_path: Path, goal: str, metric: str, target: str, steps: int
) -> None:
    """The epoch that reaches the target is the last one, so that the model left is the one that reached it."""
    variables = {"TUNEWELL_GOAL": goal, "TUNEWELL_METRIC": metric, "TUNEWELL_TARGET": target}
    assert len(run_trial(experiment, tmp_path, **variables)) == steps


def test_a_request_to_end_leaves_no_model_without_its_report(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes while the model of an epoch is written waits for the report: they are of the same epoch."""

    def save_and_be_asked(folder: Path, module: torch.nn.Module, config: ModelConfig) -> None:
        save_model(folder, module, config)
        if config.epoch == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("tunewell.tasks.image_classification.train.save_model", save_and_be_asked)
    before = signal.signal(signal.SIGTERM, raise_pruned)
    try:
        with pytest.raises(Pruned):
            run_trial(experiment, tmp_path)
    finally:
        assert signal.signal(signal.SIGTERM, before) is raise_pruned
    *_, last = map(json.loads, (tmp_path / "reports.jsonl").read_text().splitlines())
    config = read_config(tmp_path / "artifacts" / "model")
    assert (last["step"], last["metrics"]["best_epoch"], config.epoch) == (2, 2, 2)
    with np.load(tmp_path / "artifacts" / "predictions.npz") as left:
        assert measure(left["logits"], left["labels"])["loss"] == last["metrics"]["loss"]


def test_a_trial_goes_on_from_its_checkpoint(experiment: Path, tmp_path: Path) -> None:
    """Half a training and its continuation report and leave what a whole one does."""
    whole = run_trial(experiment, tmp_path / "whole")
    half = run_trial(experiment, tmp_path / "half", TUNEWELL_FIDELITY="0.5")
    assert half == whole[:2]
    (tmp_path / "rest").mkdir()
    (tmp_path / "half" / "checkpoint").rename(tmp_path / "rest" / "checkpoint")
    assert run_trial(experiment, tmp_path / "rest")[1:] == whole[2:]
    parts = [np.load(tmp_path / name / "artifacts" / "predictions.npz")["logits"] for name in ("whole", "rest")]
    assert (parts[0] == parts[1]).all()


#: Accuracy climbs, so with this goal the best epoch is never the last one.
WORST = {"TUNEWELL_METRIC": "accuracy", "TUNEWELL_GOAL": "minimize"}


def assert_one_epoch(folder: Path, metrics: dict[str, float]) -> None:
    """What a trial left must be of the epoch that its last report is of."""
    config = read_config(folder / "artifacts" / "model")
    assert config.metrics == {name: metrics[name] for name in config.metrics}
    assert config.epoch == metrics["best_epoch"]
    assert config.note == f"Epoch {config.epoch} of {config.parameters['epochs']} was the best on val."
    with np.load(folder / "artifacts" / "predictions.npz") as left:
        assert measure(left["logits"], left["labels"]) == config.metrics


def test_model_and_value_are_those_of_the_best_epoch(experiment: Path, tmp_path: Path) -> None:
    """Each report is of the best epoch so far, the later one of equals, and so is what lies in the output folder."""
    reports = run_trial(experiment, tmp_path, **WORST)
    own = [metrics["epoch_accuracy"] for _, metrics in reports]
    assert own[-1] > min(own)
    for count, (_, metrics) in enumerate(reports, start=1):
        best = min(range(count), key=lambda epoch: (own[epoch], -epoch))
        assert (metrics["accuracy"], metrics["best_epoch"]) == (own[best], best + 1)
    assert_one_epoch(tmp_path, reports[-1][1])


def test_the_best_epoch_outlives_a_crash(experiment: Path, tmp_path: Path) -> None:
    """Another attempt, or a promoted trial, goes on with the best so far: its value and its model."""
    whole = run_trial(experiment, tmp_path / "whole", **WORST)
    run_trial(experiment, tmp_path / "half", **WORST, TUNEWELL_FIDELITY="0.5")
    (tmp_path / "rest").mkdir()
    (tmp_path / "half" / "checkpoint").rename(tmp_path / "rest" / "checkpoint")
    assert run_trial(experiment, tmp_path / "rest", **WORST)[1:] == whole[2:]
    assert_one_epoch(tmp_path / "rest", whole[-1][1])
    best = whole[-1][1]["best_epoch"]
    assert best <= 2
    assert [path.name for path in (tmp_path / "rest" / "checkpoint").glob("best-*")] == [f"best-{best:.0f}"]


def test_what_goes_on_is_worth_what_it_came_with(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that ends before it has done another epoch has the value, and the model, of the best one so far."""
    half = run_trial(experiment, tmp_path / "half", **WORST, TUNEWELL_FIDELITY="0.5")
    (tmp_path / "rest").mkdir()
    (tmp_path / "half" / "checkpoint").rename(tmp_path / "rest" / "checkpoint")

    def end(*arguments: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(ClassificationLearner, "train_epoch", end)
    with pytest.raises(KeyboardInterrupt):
        run_trial(experiment, tmp_path / "rest", **WORST)
    ((step, metrics),) = reports_in(tmp_path / "rest")
    assert step == 2
    assert metrics == {n: value for n, value in half[-1][1].items() if n not in ("train_loss", "epoch_accuracy")}
    assert_one_epoch(tmp_path / "rest", metrics)


def test_what_goes_on_from_a_target_ends(experiment: Path, tmp_path: Path) -> None:
    """A checkpoint whose best epoch reaches the target leaves nothing to train."""
    run_trial(experiment, tmp_path / "half", TUNEWELL_METRIC="loss", TUNEWELL_FIDELITY="0.5")
    (tmp_path / "rest").mkdir()
    (tmp_path / "half" / "checkpoint").rename(tmp_path / "rest" / "checkpoint")
    reports = run_trial(experiment, tmp_path / "rest", TUNEWELL_METRIC="loss", TUNEWELL_TARGET="100")
    assert [step for step, _ in reports] == [2]


def test_with_other_parameters_the_best_epoch_begins_anew(experiment: Path, tmp_path: Path) -> None:
    """What the parent reached is no value of a child of a population that goes on with other parameters."""
    run_trial(experiment, tmp_path / "parent", **WORST, TUNEWELL_FIDELITY="0.5")
    (tmp_path / "child").mkdir()
    (tmp_path / "parent" / "checkpoint").rename(tmp_path / "child" / "checkpoint")
    changed = {**PARAMETERS, "learning_rate": 0.02}
    (step, metrics), *_ = run_trial(experiment, tmp_path / "child", changed, **WORST)
    assert step == metrics["best_epoch"] == 3
    assert metrics["accuracy"] == metrics["epoch_accuracy"]


def test_a_checkpoint_without_its_best_model(experiment: Path, tmp_path: Path) -> None:
    """A best model that is gone ends the trial: its value would have none."""
    run_trial(experiment, tmp_path, {**PARAMETERS, "epochs": 1}, **WORST)
    shutil.rmtree(tmp_path / "checkpoint" / "best-1")
    with pytest.raises(Failed):
        run_trial(experiment, tmp_path, {**PARAMETERS, "epochs": 1}, **WORST)
    assert "best-1: the best model so far of this training is missing" in failure(tmp_path)["detail"]


@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_a_damaged_checkpoint(experiment: Path, tmp_path: Path, kept: float) -> None:
    """A checkpoint that can't be read ends the trial with its name: it does not begin again in silence."""
    run_trial(experiment, tmp_path, {**PARAMETERS, "epochs": 1})
    checkpoint = tmp_path / "checkpoint" / "checkpoint.pt"
    size = checkpoint.stat().st_size
    length = int(kept if kept > 1 else kept * size)
    checkpoint.write_bytes(checkpoint.read_bytes()[:length] + bytes(size - length))
    with pytest.raises(Failed):
        run_trial(experiment, tmp_path)
    given = failure(tmp_path)
    assert given["cause"] == "data_error"
    assert "checkpoint.pt: the checkpoint that this training goes on from is damaged" in given["detail"]


def test_a_checkpoint_at_the_end_is_measured(experiment: Path, tmp_path: Path) -> None:
    """An attempt that was lost after its last checkpoint is completed without more training."""
    first = run_trial(experiment, tmp_path / "first", {**PARAMETERS, "epochs": 1})
    (tmp_path / "second").mkdir()
    (tmp_path / "first" / "checkpoint").rename(tmp_path / "second" / "checkpoint")
    (step, metrics), *rest = run_trial(experiment, tmp_path / "second", {**PARAMETERS, "epochs": 1})
    assert (step, rest) == (1, [])
    assert metrics == {name: value for name, value in first[0][1].items() if name != "train_loss"}
    assert metrics["best_epoch"] == 1
    assert (tmp_path / "second" / "artifacts" / "model" / "model.json").exists()


def test_a_trial_outlives_a_damaged_cache(digits: Path, tmp_path: Path) -> None:
    """Pictures whose cache was emptied or damaged while the search runs are decoded again, to the same result."""
    experiment = prepared_experiment(digits, tmp_path)
    pixels = Path(Prepared.load(experiment / "task.json").pixels[32]) / "pixels.npy"
    before = run_trial(experiment, tmp_path / "1", {**PARAMETERS, "epochs": 1})
    pixels.write_bytes(bytes(pixels.stat().st_size))
    assert run_trial(experiment, tmp_path / "2", {**PARAMETERS, "epochs": 1}) == before


def test_a_trial_without_its_weights(digits: Path, tmp_path: Path) -> None:
    """Pretrained weights that are gone or damaged end the trial with one sentence."""
    experiment = prepared_experiment(digits, tmp_path)
    lost = tmp_path / "w.safetensors"
    replace(Prepared.load(experiment / "task.json"), weights=str(lost)).save(experiment / "task.json")
    for number, content in enumerate((None, b"damaged", bytes(100))):
        if content is not None:
            lost.write_bytes(content)
        with pytest.raises(Failed):
            run_trial(experiment, tmp_path / str(number))
        given = failure(tmp_path / str(number))
        assert given["cause"] == "data_error"
        assert "these weights, from which the trials start, are gone or damaged" in given["detail"]


def test_a_diverging_trial(experiment: Path, tmp_path: Path) -> None:
    """A loss that is no number ends the trial with its cause."""
    wild = {**PARAMETERS, "learning_rate": 1e30, "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(Failed):
        run_trial(experiment, tmp_path, wild)
    assert failure(tmp_path)["cause"] == "non_finite"
    assert "of epoch 1" in failure(tmp_path)["detail"]


def test_a_gpu_without_memory(experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of GPU memory ends the trial with its cause and one line."""

    def exhaust(*arguments: object) -> float:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore lines")

    monkeypatch.setattr(ClassificationLearner, "train_epoch", exhaust)
    with pytest.raises(Failed):
        run_trial(experiment, tmp_path)
    assert failure(tmp_path) == {"cause": "gpu_oom", "detail": "CUDA out of memory. Tried to allocate 2 GiB."}


def test_another_seed_is_another_training_on_the_same_pictures(experiment: Path, tmp_path: Path) -> None:
    """The seed in the environment decides over a training; the search's own gives the training of the search."""
    found: list[tuple[float, list[int]]] = []
    seeds: list[dict[str, str]] = [{}, {"TUNEWELL_SEED": "0"}, {"TUNEWELL_SEED": "7"}]
    for number, seed in enumerate(seeds):
        folder = tmp_path / str(number)
        reports = run_trial(experiment, folder, {**PARAMETERS, "epochs": 1}, **seed)
        with np.load(folder / "artifacts" / "predictions.npz") as left:
            found.append((reports[-1][1]["loss"], left["positions"].tolist()))
    assert found[0] == found[1]
    assert found[2][0] != found[0][0] and found[2][1] == found[0][1]


def test_epochs_follow_from_the_sample(experiment: Path, tmp_path: Path) -> None:
    """A trial on the sample has its own; one of the best that is trained on all data has as many as suit these."""
    prepared = replace(Prepared.load(experiment / "task.json"), sampling=0.5, epochs_on_all=2)
    prepared.save(experiment / "sampled.json")
    own = {**PARAMETERS, "epochs": 3}
    for share, epochs in (("0.5", 3), ("1.0", 2)):
        folder = tmp_path / share
        run(train, folder, own, TUNEWELL_TASK_FILE=str(experiment / "sampled.json"), TUNEWELL_SAMPLING=share)
        assert len(reports_in(folder)) == epochs
        assert read_config(folder / "artifacts" / "model").parameters == {**PARAMETERS, "epochs": epochs}


def test_sampling(experiment: Path, tmp_path: Path) -> None:
    """A share of the training pictures is learned from; all validation pictures are looked at."""
    manifest = Manifest.load(experiment / "manifest.json")
    assert training_positions(manifest, 1.0, 0).tolist() == list(manifest.splits["train"])
    some = training_positions(manifest, 0.5, 0)
    assert 45 <= len(some) <= 55
    assert set(some.tolist()) < set(manifest.splits["train"])
    halved = run_trial(experiment, tmp_path, {**PARAMETERS, "epochs": 1}, TUNEWELL_SAMPLING="0.5")
    assert len(np.load(tmp_path / "artifacts" / "predictions.npz")["labels"]) == 40
    assert halved != run_trial(experiment, tmp_path / "all", {**PARAMETERS, "epochs": 1})


@pytest.mark.parametrize(
    ("fidelity", "epochs", "expected"), [(1.0, 15, 15), (1 / 9, 15, 2), (0.01, 15, 1), (0.5, 3, 2)]
)
def test_epochs_of_a_fidelity(fidelity: float, epochs: int, expected: int) -> None:
    """A fidelity is the rounded share of the epochs, one at least."""
    assert epochs_at(fidelity, epochs) == expected


def test_a_forked_trial_starts_at_once(experiment: Path, tmp_path: Path) -> None:
    """After the preload a forked trial imports nothing that takes time and soon begins its first step.

    The limit leaves room for a busy machine: alone, it takes about 0.03 seconds.
    """
    (tmp_path / "parameters.json").write_text(json.dumps({**PARAMETERS, "epochs": 1}))
    program = textwrap.dedent(
        f"""
        import importlib, json, os, sys, time
        from pathlib import Path
        from tunewell.tasks.image_classification.task import ImageClassification
        for name in ImageClassification.preload:
            importlib.import_module(name)
        folder, known, started = Path({str(tmp_path)!r}), set(sys.modules), time.time()
        if os.fork() == 0:
            sys.modules["tunewell.tasks.image_classification.train"].train(folder)
            timing = json.loads((folder / "timing.json").read_text())
            new = sorted(set(sys.modules) - known)
            print(json.dumps({{"seconds": timing["first_batch"] - started, "new": new}}), flush=True)
            os._exit(0)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        """
    )
    environment = {"TUNEWELL_TASK_FILE": str(experiment / "task.json"), "TUNEWELL_TRIAL_FOLDER": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["seconds"] < 1.0
    assert len(found["new"]) < 20, found["new"]
