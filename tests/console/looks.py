"""Searches in every state that a page may meet, written as a controller would write them."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from tests.service.storage.archives import tar_of
from tests.store.notified import CHANNEL, DELIVERY
from tunewell.schedulers.leases import Board
from tunewell.schedulers.records import make_folder
from tunewell.service import data_views
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.launch import AttemptKey, Launch, Report
from tunewell.spec.names import Visibility
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import AllowedHostRow, AttemptEnd, JobEnd, ModelRow, ModelVersionRow
from tunewell.tasks.data_view import DataSummary, DataView, Sample

ADA = Caller(name="ada", role="user", run_code=True)
#: What would do something if a page took it for markup.
MARKUP = "<img src=x onerror=alert(1)>\"'</script><b>"
SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-5, "high": 0.1, "log": True, "default": 1e-3},
    "layers": {"low": 1, "high": 8, "default": 2},
    "optimizer": {"choices": ["sgd", "adamw", MARKUP], "default": "sgd"},
}
LONG = "a-search-whose-name-is-as-long-as-any-name-may-be-" + "x" * 50
#: Names of the data sets that `fill` makes.
DATASETS = ("pictures", "objects", "unseen", "lost", "ada/hidden")
#: Names of the published models that `fill` makes.
MODELS = ("signs", "odd", "m" * 100, "ada/hidden")
#: Names of the searches that `fill` makes.
NAMES = ("none", "few", "many", "running", "paused", "hostile", "workers", "waiting", LONG, "ada/secret", "ada/shared")


def for_workers(service: Service) -> None:
    """Make a search with three workers, and one that no worker has asked yet."""
    fields = {"scheduler": "workers", "command": None}
    for name in ("workers", "waiting"):
        service.create(spec(name, **fields))
        begin(service, name)
    service.home.claim("workers")
    board = Board(service.home.experiment("workers"))
    for number, worker in enumerate(("gpu-7", MARKUP, "w" * 200), start=1):
        start_trial(service, "workers", number)
        if number < 3:
            row = service.store.trial("workers", number)
            key = AttemptKey("workers", number, 1)
            board.offer(Launch(key, service.home.place(key), row.identity or ""))
        board.ask(worker)


def spec(name: str, **fields: Any) -> dict[str, Any]:
    """Return the spec of a search."""
    return {
        "name": name,
        "command": ["true", "{learning_rate}", "{layers}", "{optimizer}"],
        "parameters": SPACE,
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "max_trials": 400,
        **fields,
    }


def fill(service: Service) -> None:
    """Bring searches in every state into a home in which ada is a user."""
    service.create(spec("none"))
    service.probe("none")  # job 1
    service.create(spec("few"))
    trials(service, "few", 3)
    end(service, "few")
    service.create(spec("many"))
    trials(service, "many", 300)
    end(service, "many")
    for name in ("running", "paused"):
        service.create(spec(name))
        trials(service, name, 12)
        begin(service, name)
    start_trial(service, "running", 13)
    with service.store.transaction() as tx:
        tx.set_experiment_state("paused", ExperimentState.RUNNING, ExperimentState.PAUSED)
    service.create(spec("hostile", objective={"metric": MARKUP, "goal": "maximize"}))
    service.update("hostile", {"description": MARKUP, "tags": [MARKUP], "project": MARKUP})
    trials(service, "hostile", 20, metric=MARKUP, detail=MARKUP)
    long = {
        "parameters": {**SPACE, "p" * 100: {"choices": ["c" * 100, "d"]}},
        "objective": {"metric": "m" * 100, "goal": "maximize"},
    }
    service.create(spec(LONG, command=["true"], **long))
    service.update(LONG, {"description": "x" * 500, "tags": ["t" * 40]})
    trials(service, LONG, 25, metric="m" * 100, detail="z" * 400)
    for_workers(service)
    ada = service.as_caller(ADA)
    datasets(service, ada)
    channels(service)
    models(service)
    ada.create(spec("secret"))
    ada.update("secret", {"visibility": "private"})
    ada.create(spec("shared"))
    trials(service, "ada/shared", 3)


def channels(service: Service) -> None:
    """Add channels of the administrator, in every state and with hostile words, and one of ada's."""
    with service.store.transaction() as tx:
        tx.allow_host(AllowedHostRow("*.example.org", 443, False, False, 1.0))
        tx.allow_host(AllowedHostRow("hooks.lan", 8080, True, True, 1.0))
        whose = replace(CHANNEL, owner="owner")
        long: dict[str, Any] = {"searches": "project", "project": "p" * 100}
        for one in (
            whose,
            replace(whose, label=MARKUP + 60 * "x", target="https://hooks.slack.com/services/x", body="slack"),
            replace(whose, kind="mail", body=None, target="a@example.org", confirmed_at=None, **long),
            replace(whose, active=False, reason="", label="off"),
            replace(whose, owner="ada"),
        ):
            id = tx.add_channel(one)
            for name in ("many", LONG):
                gone = {"state": "delivered", "event": "ended", "attempts": 1, "status": 200, "next_at": None}
                tx.add_delivery(
                    replace(DELIVERY, channel_id=id, **{**gone, "facts": {"search": name}, "tried_at": 5.0})
                )
            bad = {"event": "failed", "facts": {"search": "hostile"}, "attempts": 3, "error": MARKUP + 80 * "e"}
            tx.add_delivery(replace(DELIVERY, channel_id=id, **bad, next_at=4e9, tried_at=6.0))


def datasets(service: Service, ada: Service) -> None:
    """Add data sets: checked as either task, not checked, one whose check failed, and a private one of ada's."""
    for name in ("pictures", "objects", "unseen", "lost"):
        add_dataset(service, name, {f"{name}.txt": b"What it holds was found by a check that is made up."})
    add_dataset(ada, "hidden", {"hidden.txt": b"private"}, visibility="private")
    checked(service, "pictures", "image-classification", view_of_classes())
    checked(service, "objects", "object-detection", view_of_objects())
    checked(service, "lost", "image-classification", None)


def models(service: Service) -> None:
    """Publish models: with several versions, with words that are markup, with long ones, and a private one of ada's."""
    publish(service, "signs", value=0.91)
    publish(service, "signs", value=0.93, note="With the pictures of March.", test={"accuracy": 0.92, "loss": 0.3})
    publish(service, "signs", value=0.92, parameters={"learning_rate": 0.1, "layers": 3}, retrained=True)
    service.use_model_version("signs", 2)
    publish(service, "odd", note=MARKUP, network=MARKUP, classes=[MARKUP], folder=MARKUP, parameters={MARKUP: MARKUP})
    publish(service, "odd", value=None, gain=None, content=None, objective={"metric": MARKUP, "goal": "minimize"})
    long = {"p" * 100: "v" * 200}
    publish(service, MODELS[2], note="n" * 500, network="w" * 100, parameters=long, classes=["c" * 100] * 200)
    publish(service, MODELS[2], test={"m" * 100: 0.5}, folder="f" * 200)
    publish(service, "ada/hidden", visibility="private")


def publish(service: Service, name: str, *, note: str = "", visibility: Visibility = "team", **facts: Any) -> None:
    """Record a version of a model, whose files are nowhere."""
    known = {
        "experiment": "few",
        "identity": service.store.experiment("few").identity,
        "trial": 1,
        "retrained": False,
        "task": "image-classification",
        "network": "small-cnn",
        "classes": ["cat", "dog"],
        "training": "",
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "value": 0.9,
        "gain": 0.02,
        "validation": {"accuracy": 0.9},
        "test": {},
        "parameters": {"learning_rate": 0.01, "layers": 3},
        "dataset": None,
        "folder": "signs",
        "content": "9f86d081884c7d659a2feaa0c55ad015",
        **facts,
    }
    owner = name.rpartition("/")[0] or "owner"
    version = ModelVersionRow(0, 0, "0" * 64, 12_345_678, 2, owner, note, time.time(), known)
    with service.store.transaction() as tx:
        tx.publish(ModelRow(0, name, owner, visibility, 0, 0, 0, time.time(), None), version)


def checked(service: Service, name: str, task: str, view: DataView | None) -> int:
    """Record the check of a data set, which has found a view, or failed; return the job's number."""
    row = service.store.find_dataset(name)
    assert row is not None
    with service.store.transaction() as tx:
        job = tx.add_job("check", arguments={"spec": {"task": task}, "view": True}, caller=row.owner)
        tx.set_dataset(row.id, {"job": job})
    finish_check(service, job, task, view)
    return job


def finish_check(service: Service, job: int, task: str, view: DataView | None) -> None:
    """Record the end of a check, which has found a view, or failed."""
    if view is None:
        end = JobEnd(JobState.FAILED, cause=Cause.DATA_ERROR, detail=f"{MARKUP}: it does not exist.")
    else:
        artifacts = service.home.job(job) / "1" / "artifacts"
        artifacts.mkdir(parents=True)
        data_views.leave(view, task, artifacts)
        items = ", ".join(f"{number} {split}" for split, number in view.summary.items.items())
        found = {"broken": len(view.broken), "copied": view.copied, "unusable": view.unusable}
        result = {"findings": [f"Pictures: {items}; each is opened later."], "view": found}
        end = JobEnd(JobState.SUCCEEDED, result=result)
    with service.store.transaction() as tx:
        tx.start_job(job, 1, f"identity {job}")
        tx.finish_job(job, 1, end)


def view_of_classes() -> DataView:
    """Return what is found in pictures of four classes, one of them with a name that is markup."""
    counts = {MARKUP: (6, 3), "a very rare bird": (4, 2), "cat": (24, 12), "dog": (13, 6)}
    summary = DataSummary(
        "/data/pictures", {"train": 47, "val": 23}, "picture", counts, notes=(f"Left out, being odd: {MARKUP}.",)
    )
    copy, original = (_sample(f"{split}: {split}/cat/{MARKUP}.png", 2) for split in ("val", "train"))
    examples = {
        name: [_sample(f"train/{name}/{number}.png", label, number) for number in range(min(train, 6))]
        for label, (name, (train, _)) in enumerate(counts.items())
    }
    broken = {"train/dog/broken.png": "image file is truncated", MARKUP: MARKUP}
    return DataView(summary, broken, [(copy, original)], 1, examples)


def view_of_objects() -> DataView:
    """Return what is found in pictures with boxes."""
    summary = DataSummary(
        "/data/objects",
        {"train": 600, "val": 200, "test": 200},
        "picture",
        {"car": (1200, 380, 391), "bicycle": (310, 90, 88)},
        "object",
        {"under 2 %": 12, "2 to 4 %": 301, "4 to 8 %": 640, "8 to 16 %": 402, "16 to 32 %": 120, "over 32 %": 35},
    )
    examples = {
        name: [_sample(f"images/{name}{number}.png", number, side=288) for number in range(4)]
        for name in summary.counts
    }
    return DataView(summary, {}, examples=examples, width=288)


def _sample(caption: str, label: int, number: int = 0, side: int = 112) -> Sample:
    image = Image.fromarray(_pixels(np.random.default_rng((label, number)), label)).resize((side, side * 3 // 4))
    data = BytesIO()
    image.save(data, "JPEG")
    return Sample(caption, "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode())


def add_dataset(verbs: Service, name: str, files: Mapping[str, bytes], visibility: Visibility = "team") -> None:
    """Send files, by their paths, and make a data set of them."""
    archive = tar_of(*files.items())
    upload = verbs.create_upload(f"{name}.tar", len(archive))
    verbs.put_part(upload.id, 0, [archive])
    verbs.add_dataset(name, upload=verbs.finish_upload(upload.id).id, visibility=visibility)


def classes() -> dict[str, bytes]:
    """Return a data set of two classes: path → picture."""
    generator = np.random.default_rng(0)
    places = [
        f"{split}/{name}/{number}.png" for split in ("train", "val") for name in ("cat", "dog") for number in "012"
    ]
    return {place: _png(_pixels(generator, "dog" in place)) for place in places}


def _pixels(generator: np.random.Generator, label: int) -> np.ndarray:
    """Return a picture of a square, whose colour and place differ."""
    pixels = generator.integers(40, 90, (48, 64, 3), dtype=np.uint8)
    top, left = generator.integers(0, 24, 2)
    pixels[top : top + 22, left : left + 28] = np.roll((220, 120, 60), label) + generator.integers(0, 30, 3)
    return pixels


def _png(pixels: np.ndarray) -> bytes:
    data = BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def begin(service: Service, name: str) -> None:
    """Record that a search runs."""
    with service.store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)


def end(service: Service, name: str) -> None:
    """Record the end of a search."""
    begin(service, name)
    with service.store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED)


def trials(service: Service, name: str, amount: int, metric: str = "accuracy", detail: str = "out of memory") -> None:
    """Record trials that have ended, each with three reports; every seventh failed."""
    for number in range(1, amount + 1):
        start_trial(service, name, number)
        report(service, name, number, {metric: _value(number)}, steps=3)
        end_trial(service, name, number, _value(number), detail=detail)


def start_trial(service: Service, name: str, number: int) -> None:
    """Record that the next trial of a search runs; its folder is there."""
    key, identity, parameters = AttemptKey(name, number, 1), f"identity {name} {number}", _parameters(number)
    with service.store.transaction() as tx:
        tx.add_trial(name, number, parameters, "default" if number == 1 else "random", 1.0, None)
        tx.start_attempt(key, identity)
    make_folder(service.home.place(key), identity)


def report(service: Service, name: str, number: int, metrics: Mapping[str, float], steps: int = 1) -> None:
    """Record reports of a trial, which grow towards their last value."""
    now = time.time()
    reports = [
        Report(step, {metric: value * step / steps for metric, value in metrics.items()}, now)
        for step in range(1, steps + 1)
    ]
    with service.store.transaction() as tx:
        tx.add_reports(AttemptKey(name, number, 1), reports)


def end_trial(service: Service, name: str, number: int, value: float, detail: str = "out of memory") -> None:
    """Record the end of a trial."""
    has_failed = number % 7 == 0
    ended = AttemptEnd(
        TrialState.FAILED if has_failed else TrialState.SUCCEEDED,
        cause=(Cause.GPU_OOM if number % 2 else Cause.CRASHED) if has_failed else None,
        detail=detail if has_failed else "",
        notes=(detail,) if has_failed else (),
        value=None if has_failed else value,
        seconds=2.0,
        ended_after=2.0 * number,
    )
    with service.store.transaction() as tx:
        tx.finish_trial(AttemptKey(name, number, 1), ended)


def _parameters(number: int) -> dict[str, Any]:
    if number == 1:
        return {"learning_rate": 1e-3, "layers": 2, "optimizer": "sgd"}
    share = number * 0.618 % 1
    return {
        "learning_rate": 10 ** (-5 + 4 * share),
        "layers": 1 + number % 8,
        "optimizer": ("sgd", "adamw", MARKUP)[number % 3],
    }


def _value(number: int) -> float:
    return round(0.9 - 0.2 * math.cos(number) ** 2, 4)
