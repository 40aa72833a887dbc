"""Every task over pictures can be searched in every way, and what goes wrong there is named."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from PIL import Image

from tests.system.small_gpu import MESSAGE, ROOM
from tests.tasks.image_classification.squares import write_squares
from tests.tasks.image_classification.trained import write_pictures
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tunewell.schedulers import local
from tunewell.schedulers.fork_client import ForkServerProcess
from tunewell.service.following import result_of
from tunewell.service.service import Service
from tunewell.service.submission import make_plan
from tunewell.spec.errors import UserError
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.object_detection.task import ObjectDetection

pytestmark = pytest.mark.timeout(240)

PRELOAD = tuple(dict.fromkeys([*ImageClassification.preload, *ObjectDetection.preload, "tests.system.on_small_gpu"]))


def write_digits(folder: Path) -> Path:
    """Write a few digits, one label each."""
    return write_pictures(folder, {"train": 40, "val": 30, "test": 20})


def write_labels(folder: Path) -> Path:
    """Write a few pictures with several labels each."""
    return write_squares(folder, 50) / "labels.csv"


def write_scenes(folder: Path) -> Path:
    """Write a few pictures with outlined objects."""
    return write_coco(folder, make_scenes({"train": 8, "val": 3, "test": 2}))


@dataclass(frozen=True)
class Case:
    """A task with a data set that it learns in no time."""

    task: str
    network: str
    write: Callable[[Path], Path]
    image_size: int
    #: One of the pictures to train on.
    picture: str

    def spec(self, data: Path, name: str, epochs: int, **fields: Any) -> dict[str, Any]:
        """Return the spec of a search."""
        parameters = {"epochs": epochs, "image_size": self.image_size, "batch_size": 4, **fields.pop("parameters", {})}
        return {
            "name": name,
            "task": self.task,
            "data": str(data),
            "network": self.network,
            "weights": "none",
            "parameters": parameters,
            **fields,
        }


CASES = [
    Case("image-classification", "small-cnn", write_digits, 32, "train/0/0000.png"),
    Case("multilabel-classification", "small-cnn", write_labels, 32, "images/000.png"),
    Case("object-detection", "faster-rcnn-lite0", write_scenes, 64, "images/train0.png"),
    Case("instance-segmentation", "mask-rcnn-lite0", write_scenes, 64, "images/train0.png"),
]


class Kept(ForkServerProcess):
    """A fork server that lives on for the next search."""

    def close(self) -> None:
        """Live on."""

    def end(self) -> None:
        """End."""
        super().close()


@pytest.fixture(scope="module", autouse=True)
def _one_fork_server() -> Iterator[None]:
    """PyTorch is imported once for all searches of these tests and for what follows them."""
    fork_servers: dict[tuple[str, ...], Kept] = {}

    def fork_server(preload: tuple[str, ...], user: None) -> Kept:
        if preload not in fork_servers:
            fork_servers[preload] = Kept(preload)
        return fork_servers[preload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "ForkServerProcess", fork_server)
        for task in (ImageClassification, ObjectDetection):
            patch.setattr(task, "preload", PRELOAD)
        yield
    for started in fork_servers.values():
        started.end()


def _param(case: Case) -> ParameterSet:
    """Return a case; what a search does with other tasks is the same, and their own tests train them, too."""
    return pytest.param(case, id=case.task, marks=[] if case.task == "image-classification" else [pytest.mark.slow])


@pytest.fixture(params=[_param(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    """Each task in turn."""
    chosen: Case = request.param
    return chosen


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on an empty home."""
    with Service(tmp_path / "home") as service:
        yield service


@pytest.fixture
def data(case: Case, tmp_path: Path) -> Path:
    """The data set of the case."""
    return case.write(tmp_path / "data")


def search(service: Service, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a search to its end; return its trials."""
    service.submit(spec)
    assert service.run(spec["name"])
    trials: list[dict[str, Any]] = json.loads("".join(service.export(spec["name"])))["trials"]
    return trials


def retrain(service: Service, name: str, trial: int | None = None) -> tuple[Path, dict[str, float]]:
    """Train on all data; return the model's folder and what was measured of it."""
    done = result_of(service.carry_out(service.retrain(name, trial).id))
    return Path(done["model"]), done["metrics"]


@pytest.mark.slow
def test_evolution_inherits_weights(case: Case, data: Path, service: Service) -> None:
    """Members train on from checkpoints of others, which then go; a whole lineage's schedule is retrained."""
    algorithm = {"name": "evolutionary", "population_size": 3, "rounds": 2, "disturbance_ratio": 0.34}
    trials = search(service, case.spec(data, "evolved", 2, algorithm=algorithm))
    assert [trial["state"] for trial in trials] == ["succeeded"] * 6
    assert [found[-1] for found in steps(trials)] == [1] * 3 + [2] * 3
    assert all(found in ([2], [1, 2]) for found in steps(trials)[3:]), "what was restored may be reported first"
    assert [trial["resume_from"] is None for trial in trials] == [True] * 3 + [False] * 3
    assert sum(trial["origin"].startswith("perturbed from trial") for trial in trials[3:]) == 1
    folder = service.home.experiment("evolved") / "trials"
    assert not list(folder.glob("[1-3]/*/checkpoint/*"))
    model, metrics = retrain(service, "evolved", 6)
    assert any(name.startswith("test_") for name in metrics)
    assert note(model).endswith("the last of 2 parts of the training.")


def test_promotion_trains_the_best_further(case: Case, data: Path, service: Service) -> None:
    """The default trains in full, others an epoch, the best of them go on; a promoted one is retrained in one go."""
    fields = {"algorithm": "random", "early_stopping": "promotion", "max_trials": 5, "max_concurrency": 1}
    trials = search(service, case.spec(data, "promoted", 2, **fields))
    assert [trial["state"] for trial in trials] == ["succeeded"] * 5
    assert steps(trials) == [[1, 2], [1], [1], [1], [1, 2]], "what was restored is reported first"
    promoted = trials[4]
    best = max(trials[1:4], key=lambda trial: trial["value"])
    assert (promoted["resume_from"], promoted["parameters"]) == (best["number"], best["parameters"])
    assert promoted["origin"] == f"promoted from trial {best['number']}"
    model, _ = retrain(service, "promoted", 5)
    assert "parts" not in note(model)


@pytest.mark.slow
def test_finalists_are_trained_on_all_data(case: Case, data: Path, service: Service) -> None:
    """The best of a search on half of the pictures are trained on all; these models are evaluated, shown and used."""
    fields = {"algorithm": "random", "sampling": 0.5, "finalists": "full", "max_trials": 3}
    trials = search(service, case.spec(data, "sampled", 1, **fields))
    finalists = service.finalists("sampled")
    assert {one.number for one in finalists} == {1, 2, 3}
    assert [one.sample_value for one in sorted(finalists, key=lambda one: one.number)] == [
        trial["value"] for trial in trials
    ]
    values = [one.value for one in finalists]
    assert None not in values
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]
    metric = service.result("sampled").objective.metric
    evaluations = {one.number: one.figures for one in service.evaluations("sampled")}
    for one in finalists:
        assert evaluations[one.number]["val"][metric] == pytest.approx(one.value, abs=1e-3)
    assert "Trained on all data" in service.report("sampled")
    (model,) = service.trained_models("sampled")
    assert (model.kind, model.folder) == ("best", f"{finalists[0].folder}/model")
    service.carry_out(service.train_finalists("sampled").id)
    assert service.finalists("sampled") == finalists


def test_a_small_gpu_is_a_cause(case: Case, data: Path, service: Service) -> None:
    """What the probe finds too large for the GPU fails with its cause before its first report; the search goes on."""
    fields = {
        "algorithm": "random",
        "parameters": {"batch_size": {"ordinal": [4, 2 * ROOM], "default": 4}},
        "max_trials": 2,
    }
    spec = case.spec(data, "crowded", 1, **fields)
    initial = [{**(make_plan(spec).space.default() or {}), "batch_size": 2 * ROOM}]
    default, large = search(service, {**spec, "initial": initial})
    assert (default["state"], default["parameters"]["batch_size"]) == ("succeeded", 4)
    assert (large["state"], large["cause"], large["detail"]) == ("failed", "gpu_oom", MESSAGE)
    assert large["reports"] == []
    best = service.result("crowded").best
    assert best is not None
    assert best.number == 1


def test_a_broken_picture_is_left_out_by_name(case: Case, data: Path, tmp_path: Path, service: Service) -> None:
    """A picture that ends too early costs a note, not the search nor what follows it."""
    truncate([tmp_path / "data" / case.picture])
    (trial,) = search(service, case.spec(data, "mended", 1, max_trials=1))
    assert trial["state"] == "succeeded"
    (said,) = [text for text in service.experiment("mended").notes if f"{case.picture} (" in text]
    assert said.startswith("Left out, because they can't be read: ")
    assert said in html.unescape(service.report("mended"))
    model, _ = retrain(service, "mended")
    numbers = re.findall(r"the (\d+) pictures of", note(model))
    assert sum(map(int, numbers)) == len(pictures_of(data)) - 1


@pytest.mark.slow
def test_a_moved_project_goes_on(case: Case, tmp_path: Path) -> None:
    """Where pictures and home were moved together, the model is handed over and retrained, and the search goes on."""
    old, new = tmp_path / "old", tmp_path / "new"
    name = case.write(old / "data").relative_to(old)
    fields = {"algorithm": "random", "max_concurrency": 1}
    with Service(old / "home") as service:
        before = search(service, case.spec(old / name, "moved", 1, max_trials=1, **fields))
    old.rename(new)
    with Service(new / "home") as service:
        exported = service.export_model("moved", tmp_path / "handed over")
        assert result_of(service.carry_out(exported.id))["max_difference"] < 1e-3
        model, metrics = retrain(service, "moved")
        assert model.is_relative_to(new)
        assert metrics
        first, second = search(service, case.spec(new / name, "moved", 1, max_trials=2, **fields))
        assert [first] == before
        assert second["state"] == "succeeded"
    assert not old.exists()


@pytest.mark.parametrize("count", [4, None], ids=["four", "all"])
def test_many_broken_pictures_are_an_error(case: Case, data: Path, service: Service, count: int | None) -> None:
    """More than a few of them end the search before its first trial, with their number and names."""
    pictures = pictures_of(data)
    truncate(pictures[:count])
    with pytest.raises(UserError, match=rf"{len(pictures[:count])} of {len(pictures)} pictures can't be read.*\.png"):
        search(service, case.spec(data, "broken", 1, max_trials=1))
    assert service.store.trials("broken") == []


def pictures_of(data: Path) -> list[Path]:
    """Return the pictures of a data set, sorted."""
    return sorted((data if data.is_dir() else data.parent).rglob("*.png"))


def truncate(paths: Sequence[Path]) -> None:
    """Make of each picture a JPEG that has its header, and half of its pixels."""
    for path in paths:
        content = BytesIO()
        Image.open(path).convert("RGB").save(content, "JPEG")
        path.write_bytes(content.getvalue()[: -content.tell() // 4])


def steps(trials: list[dict[str, Any]]) -> list[list[int]]:
    """Return the steps that each trial has reported."""
    return [[report["step"] for report in trial["reports"]] for trial in trials]


def note(model: Path) -> str:
    """Return what a model says of its training."""
    said: str = json.loads((model / "model.json").read_text())["note"]
    return said
