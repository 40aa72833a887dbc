"""Searches on two nodes that share no folder with the home, nor with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers.ray_cluster import RayCluster, running_cluster, scheduler_of
from tests.tasks.image_classification.trained import write_pictures
from tunewell.client.shipping import ship_program, shipped_function
from tunewell.schedulers.contract import Scheduler, Sink
from tunewell.schedulers.local import LocalScheduler
from tunewell.service import running
from tunewell.service.following import result_of
from tunewell.service.service import Service
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Launch, WorkKey
from tunewell.spec.states import TrialState
from tunewell.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Here:
    """Has attempts run on the nodes if they say what they read, and on this machine if they need all of it."""

    needs_folder = True
    keeps_checkpoints = True
    host = ""

    def __init__(self, here: Scheduler, nodes: Scheduler, own: Path) -> None:
        """Start nothing yet; `own` is what lies on this machine, and is gone as soon as anything runs on a node."""
        self._here, self._nodes, self._own = here, nodes, own
        #: What was started on this machine.
        self.here: list[Launch] = []

    def capacity(self) -> Capacity:
        """Return what the nodes have."""
        return self._nodes.capacity()

    def submit(self, launch: Launch) -> None:
        """Start an attempt where it belongs."""
        if not launch.inputs:
            self.here.append(launch)
            self._here.submit(launch)
            return
        if self._own.exists():
            self._own.rename(self._own.with_name("gone"))
        self._nodes.submit(launch)

    def preload(self, modules: tuple[str, ...]) -> None:
        """Do nothing."""

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand over the events of both."""
        self._here.poll(sink, 0.0)
        self._nodes.poll(sink, timeout)

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Stop it wherever it is."""
        self._here.stop(key, grace_seconds)
        self._nodes.stop(key, grace_seconds)

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Have whoever starts such attempts take them over."""
        self._nodes.reconcile([launch for launch in launches if launch.inputs])
        self._here.reconcile([launch for launch in launches if not launch.inputs])

    def release(self, keys: Sequence[WorkKey]) -> None:
        """Let go of them."""
        self._here.release(keys)
        self._nodes.release(keys)

    def close(self) -> None:
        """Close the scheduler of this machine: the other one is used again."""
        self._here.close()


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[RayCluster]:
    """A cluster of two nodes, with two cores each."""
    with running_cluster(nodes=2, num_cpus=2) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that no node can open."""
    return tmp_path / "home"


@pytest.fixture
def schedulers(
    two_nodes: RayCluster, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Here]]:
    """Has searches of the home run on the nodes; gives the schedulers that were used."""
    used: list[Here] = []
    with closing(scheduler_of(two_nodes, home, tmp_path / "node", fence=[home, tmp_path / "gone"])) as nodes:

        def here(claims: Path) -> Here:
            used.append(Here(LocalScheduler(claims), nodes, tmp_path / "own"))
            return used[-1]

        monkeypatch.setattr(running, "LocalScheduler", here)
        yield used
    fence = tmp_path / "fence.log"
    assert not fence.exists(), fence.read_text()


def folders_of_nodes(root: Path) -> list[Path]:
    """Return the folder of each node."""
    return sorted((root / "home").iterdir())


def test_pictures(schedulers: list[Here], home: Path, tmp_path: Path) -> None:
    """Trials over pictures, their evaluation and the final model are trained on nodes that have none of the pictures.

    Each node gets the decoded pictures once, at the sizes of its trials alone. All that is left comes home.
    """
    data = write_pictures(tmp_path / "own" / "digits", {"train": 60, "val": 30, "test": 20})
    spec = {
        "name": "digits",
        "task": "image-classification",
        "data": str(data),
        "network": "small-cnn",
        "weights": "none",
        "algorithm": "random",
        "max_trials": 4,
        "parameters": {"image_size": {"ordinal": [16, 32]}, "batch_size": 8, "epochs": 1},
        "resources": {"cpus": 1},
        "max_concurrency": 4,
        "early_stopping": "off",
    }
    with Service(home) as service:
        name = service.create(spec).name
        assert service.run(name)
        result = service.result(name)
        assert _all_succeeded(service, name, 4)
        assert result.best is not None and result.test
        retrained = service.carry_out(service.retrain(name).id)
        assert result_of(retrained)["is_model"]
        assert (Path(result_of(retrained)["model"]) / "model.json").is_file()
        report = service.report(name)
        (job,) = [job for job in service.jobs().items if job.kind == "evaluate"]
    kinds = {launch.entry for used in schedulers for launch in used.here}
    assert {str(entry).rpartition(":")[2] for entry in kinds} == {"prepare", "write_report"}
    assert str(data) in report and "data:image" in report
    evaluation = json.loads((home / f"jobs/{job.id}/1/artifacts/{result.best.number}.json").read_text())
    shown = [one for cell in evaluation["test"]["cells"] for one in cell["pictures"]]
    assert shown and all(one["thumbnail"] and one["path"].startswith(str(data)) for one in shown)
    decoded = {path.name: path for path in (home / "cache" / "pictures").iterdir() if path.is_dir()}
    nodes = folders_of_nodes(tmp_path / "node")
    assert len(decoded) == 2 and len(nodes) == 2
    for node in nodes:
        brought = [path.name for path in (node / "cache" / "pictures").iterdir()]
        assert brought and set(brought) <= decoded.keys()
        assert not list(node.rglob("*.png")) and not list(node.rglob("*.part"))


PROGRAM = """
import pathlib, sys
from helper import square
print("place", pathlib.Path.cwd())
try:
    pathlib.Path("left").write_text("lost")
except OSError as error:
    print("closed", error.strerror)
pathlib.Path(sys.argv[2], "kept").write_text(pathlib.Path("data/numbers").read_text())
print(f"score={square(float(sys.argv[1]))}")
"""


def test_program(schedulers: list[Here], home: Path, tmp_path: Path) -> None:
    """A command finds its folder on the node, without what is left out, and what it keeps comes home."""
    folder = tmp_path / "own" / "program"
    for name, text in {
        "train.py": PROGRAM,
        "helper.py": "def square(x): return x * x",
        "data/numbers": "1 2 3",
        "runs/old": "large",
        ".tunewellignore": "runs/",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    raw: dict[str, Any] = {
        "name": "program",
        "command": ["python", str(folder / "train.py"), "{x}", "{output_dir}"],
        "working_directory": str(folder),
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"low": 0.0, "high": 1.0}},
        "max_trials": 4,
        "max_concurrency": 4,
        "resources": {"cpus": 1},
    }
    with Service(home) as service:
        name = service.create(ship_program(service, raw)).name
        assert service.run(name)
        assert _all_succeeded(service, name, 4)
        best = service.result(name).best
    assert best is not None
    trials = home / f"experiments/{name}/trials"
    assert [kept.read_text() for kept in trials.glob(f"{best.number}/*/artifacts/kept")] == ["1 2 3"]
    printed = [log.read_text() for log in trials.glob("*/*/output.log")]
    assert len(printed) == 4 and all(f"place {tmp_path / 'node'}" in text for text in printed)
    for node in folders_of_nodes(tmp_path / "node"):
        assert not list(node.rglob("runs")) and len(list(node.rglob("train.py"))) == 1


def test_function(schedulers: list[Here], home: Path, tmp_path: Path) -> None:
    """A Python function is called on the nodes, with what it takes from the module that it was written in."""
    raw: dict[str, Any] = {
        "objective": {"metric": "objective", "goal": "maximize"},
        "parameters": {"x": {"low": 0.0, "high": 1.0}},
        "max_trials": 2,
        "max_concurrency": 2,
        "resources": {"cpus": 1},
    }
    with Service(home) as service:
        service.allows_functions = True
        name = service.create(shipped_function(service, raw, trained)).name
        assert service.run(name)
        assert _all_succeeded(service, name, 2)
        best = service.result(name).best
        assert best is not None and best.value == pytest.approx(_double(best.parameters["x"]))


def _all_succeeded(service: Service, name: str, number: int) -> bool:
    trials = service.result(name).trials
    return trials.get(TrialState.SUCCEEDED) == number == sum(trials.values())


def trained(trial: Trial, x: float) -> float:
    """Train nothing, with a function of this module."""
    trial.report(objective=_double(x), step=1)
    return _double(x)


def _double(x: float) -> float:
    return 2 * x
