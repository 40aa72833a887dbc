"""Copies of a search in MLflow, TensorBoard, and Weights & Biases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunewell as tw
from tests.integrations.searching import library
from tests.schedulers.bench import wait_until

pytestmark = pytest.mark.filterwarnings("default")


def search(home: Path, **fields: Any) -> tw.Result:
    """Search with three trials of two reports each; the second one fails."""

    def train(trial: tw.Trial, x: float, kind: str) -> None:
        trial.report(loss=x + 1)
        if trial.number == 2:
            raise ValueError("too bad")
        trial.report(loss=x)

    space = {"x": tw.uniform(0, 1), "kind": ["one", "two"]}
    return tw.search(
        train, space, metric="loss", max_trials=3, home=home, early_stopping="off", progress=False, **fields
    )


@pytest.mark.parametrize("running", [True, False])
def test_mlflow(running: bool, tmp_path: Path) -> None:
    """Each trial is a run with its parameters, value, state and, of a result, its curve; copied once."""
    mlflow = library("mlflow", "mlflow")
    from tunewell.integrations.mlflow import MLflowMirror

    address = f"sqlite:///{tmp_path}/mlflow.db"
    mirror = MLflowMirror("mine", tracking_uri=address)
    result = search(tmp_path / "home", on_trial_end=mirror if running else None)
    mirror.copy(result)
    client = mlflow.MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name("mine").experiment_id], order_by=["start_time ASC"])
    runs.sort(key=lambda run: int(run.data.tags["tunewell.trial"]))
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED", "FINISHED"]
    for run, trial in zip(runs, result.trials(), strict=True):
        assert run.data.params == {name: str(value) for name, value in trial["parameters"].items()}
        assert run.data.metrics.get("value") == trial["value"]
        curve = [] if running else [report["metrics"]["loss"] for report in trial["reports"]]
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == curve


@pytest.mark.parametrize("running", [True, False])
def test_tensorboard(running: bool, tmp_path: Path) -> None:
    """Each trial is a run with its hyperparameters, its value and, of a result, its curve; copied once."""
    library("tensorboard", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    from tunewell.integrations.tensorboard import TensorBoardMirror

    mirror = TensorBoardMirror(tmp_path / "logs")
    result = search(tmp_path / "home", on_trial_end=mirror if running else None)
    mirror.copy(result)
    for trial in result.trials():
        events = EventAccumulator(str(tmp_path / "logs" / f"trial-{trial['number']:04d}"))
        events.Reload()

        def scalars(tag: str, events: Any = events) -> list[float]:
            return [event.value for event in events.Scalars(tag)] if tag in events.Tags()["scalars"] else []

        assert scalars("value") == pytest.approx([] if trial["value"] is None else [trial["value"]])
        curve = [] if running else [report["metrics"]["loss"] for report in trial["reports"]]
        assert scalars("loss") == pytest.approx(curve)
        (content,) = (events.summary_metadata["_hparams_/session_start_info"].plugin_data.content,)
        given = HParamsPluginData.FromString(content).session_start_info.hparams
        assert given["x"].number_value == trial["parameters"]["x"]
        assert given["kind"].string_value == trial["parameters"]["kind"]


def _content(file: Path) -> bytes:
    """Return all records of W&B's file, a LevelDB log, whose blocks of 32 KiB may cut one in two."""
    written, found, place = file.read_bytes(), b"", 7
    while place + 7 <= len(written):
        left = 32768 - place % 32768
        if left < 7:
            place += left
        else:
            size = int.from_bytes(written[place + 4 : place + 6], "little")
            found, place = found + written[place + 7 : place + 7 + size], place + 7 + size
    return found


def test_wandb(tmp_path: Path) -> None:
    """Each trial is a run on this machine with its parameters and value."""
    library("wandb", "wandb")
    from tunewell.integrations.wandb import WandbMirror

    result = search(tmp_path / "home")
    WandbMirror("mine", folder=tmp_path).copy(result)
    files = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 3
    for trial in result.trials():
        wanted = [f"trial-{trial['number']:04d}", trial["state"], str(trial["parameters"]["x"])]
        wanted += [str(report["metrics"]["loss"]) for report in trial["reports"]]
        wanted += [] if trial["value"] is None else ["value"]
        text = wait_until(lambda wanted=tuple(wanted): _run_with(files, wanted))  # a process of W&B's writes it
        assert (b"value" in text) == (trial["value"] is not None)


def _run_with(files: list[Path], wanted: tuple[str, ...]) -> bytes | None:
    """Return the run that holds all that is wanted; None: it is not written yet."""
    texts = map(_content, files)
    return next((text for text in texts if all(one.encode() in text for one in wanted)), None)
