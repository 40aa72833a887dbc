"""A service whose searches run on a Ray cluster, through the death of any of its parts."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import tunewell
from tests.postgres import Server
from tests.schedulers.ray_cluster import RayCluster, running_cluster
from tests.server.serving import Serving, serving, wait_until
from tests.system.bookkeeping import Searches
from tunewell.client.client import Client
from tunewell.client.shipping import shipped
from tunewell.home.cluster import read_cluster
from tunewell.spec.errors import UserError
from tunewell.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: Goes on from its checkpoint, reports ten steps, and waits at the fifth until the file `go` is there. What it does is
#: written into a book, on a path that no scheduler knows of.
PROGRAM = """
import json, os, pathlib, sys, time

book, x = sys.argv[1], float(sys.argv[2])
checkpoint = pathlib.Path(os.environ["TUNEWELL_CHECKPOINT_DIR"], "step")
first = int(checkpoint.read_text()) + 1 if checkpoint.exists() else 1
for step in range(first, 11):
    while step == 5 and not os.path.exists(book + ".go"):
        time.sleep(0.05)
    with open(book, "a") as file:
        work = [int(os.environ["TUNEWELL_TRIAL"]), int(os.environ["TUNEWELL_ATTEMPT"]), step, os.getcwd()]
        file.write(json.dumps(work) + "\\n")
    print(f"step={step} loss={x + 1 / step}", flush=True)
    checkpoint.with_suffix(".new").write_text(str(step))
    checkpoint.with_suffix(".new").rename(checkpoint)
"""


class Bench:
    """A service with a cluster of two nodes, and a search that waits in the midst of its trials."""

    def __init__(self, folder: Path, cluster: RayCluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.book = folder / "book"
        self.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def submit(self, service: Serving) -> None:
        """Submit a search of four trials, whose program is sent with it."""
        sent = self.folder / "program"
        sent.mkdir()
        (sent / "train.py").write_text(PROGRAM)
        spec = {
            "name": "search",
            "command": ["python", "train.py", str(self.book), "{x}"],
            "working_directory": str(sent),
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"low": 0.0, "high": 1.0}},
            "algorithm": "random",
            "max_trials": 4,
        }
        with Client(service.url, token=service.token_file.read_text().strip()) as client:
            client.create(shipped(client, spec))

    def done(self) -> list[tuple[int, int, int, str]]:
        """Return (trial, attempt, step, working folder) of all that trials did."""
        return [tuple(json.loads(line)) for line in self.book.read_text().splitlines()] if self.book.exists() else []

    def let_go(self) -> None:
        """Let trials end."""
        Path(f"{self.book}.go").touch()

    @staticmethod
    def state(service: Serving) -> dict[str, Any]:
        """Return the search."""
        found: dict[str, Any] = service.get("/api/v1/experiments/search").json()
        return found

    def check(self, service: Serving) -> list[dict[str, Any]]:
        """Wait for the end; check that each trial has each of its steps once, and return the trials."""
        wait_until(lambda: self.state(service)["state"] == "completed")
        trials: list[dict[str, Any]] = service.get("/api/v1/experiments/search/trials").json()["items"]
        assert [trial["state"] for trial in trials] == ["succeeded"] * 4
        for trial in trials:
            steps: list[int] = []
            for attempt in range(1, trial["attempts"] + 1):
                path = f"/api/v1/experiments/search/trials/{trial['number']}/reports?attempt={attempt}"
                found = [report["step"] for report in service.get(path).json()["items"]]
                assert found == sorted(set(found))
                steps += found
            assert steps[-1] == 10 and set(steps) == set(range(1, 11))
        return trials


def test_trials_go_on_while_the_service_is_dead(tmp_path: Path) -> None:
    """Launcher, controller and web workers are killed; the next service finds the trials, which have run once."""
    with running_cluster(0) as cluster:
        bench = Bench(tmp_path, cluster)
        options = ("--ray", cluster.address)
        with serving(tmp_path / "home", *options) as service:
            bench.submit(service)
            wait_until(lambda: len([one for one in bench.done() if one[2] == 4]) >= 2)
        bench.let_go()
        with serving(tmp_path / "home", *options) as service:
            trials = bench.check(service)
        assert [trial["attempts"] for trial in trials] == [1] * 4
        done = Counter((trial, step) for trial, _, step, _ in bench.done())
        assert set(done.values()) == {1} and len(done) == 40
        folders = {folder for *_, folder in bench.done()}
        assert len(folders) == 2, "both nodes have trained"
        assert not any(Path(folder).is_relative_to(tmp_path) for folder in folders), "no node uses the home"


def test_trials_of_a_dead_node_go_on_elsewhere(tmp_path: Path) -> None:
    """What ran on a node that dies goes on on another one from its last checkpoint, and all of it is on record."""
    with running_cluster(0) as cluster:
        bench = Bench(tmp_path, cluster)
        spare = cluster.add_node(num_cpus=1)
        with serving(tmp_path / "home", "--ray", cluster.address) as service:
            bench.submit(service)
            wait_until(lambda: len([one for one in bench.done() if one[2] == 4]) >= 3)
            checkpoints = tmp_path / "home" / "experiments" / "search" / "trials"
            wait_until(lambda: len(list(checkpoints.glob("*/1/checkpoint/step"))) >= 3)
            cluster.kill_node(spare["node"])
            bench.let_go()
            trials = bench.check(service)
        again = [trial for trial in trials if trial["attempts"] == 2]
        assert len(again) == 1
        steps = [step for trial, attempt, step, _ in bench.done() if (trial, attempt) == (again[0]["number"], 2)]
        assert steps and steps[0] > 1, "it has gone on from a checkpoint"


def test_a_search_waits_for_a_cluster_that_is_away(tmp_path: Path) -> None:
    """A service starts without its cluster, takes searches for it, and says why they wait."""
    with running_cluster(0) as cluster:
        bench = Bench(tmp_path, cluster)
        address = cluster.address
        with serving(tmp_path / "home", "--ray", address) as service:
            wait_until(lambda: len(service.get("/api/v1/resources").json()["nodes"]) == 3)
    with serving(tmp_path / "home", "--ray", address) as service:
        bench.submit(service)
        wait_until(lambda: (bench.state(service)["waits_for"] or {}).get("code") == "no_cluster")
        nodes = [node for node in service.get("/api/v1/resources").json()["nodes"] if node["cluster"]]
        assert [node["free_cpus"] for node in nodes] == [0, 0]


def test_controllers_share_a_cluster(tmp_path: Path, postgres: Server) -> None:
    """Two controllers on one database drive one cluster; what one of them loses goes on with the other, and runs once.

    So do searches that both take at the same time.
    """
    with running_cluster(2, num_cpus=2) as cluster, ExitStack() as stack:
        database = stack.enter_context(postgres.new_database("tables"))
        searches = Searches(tmp_path, stack, database, cpus=1, scheduler="ray")

        def controller(name: str) -> subprocess.Popen[str]:
            started = searches.start("controller", "--ray", cluster.address, database=database, name=name)
            wait_until(lambda: "Running what is recorded" in searches.said(name) or started.poll() is not None)
            assert started.poll() is None, searches.said(name)
            return started

        first = controller("first")
        wait_until(lambda: (known := read_cluster(searches.home)) is not None and len(known.capacity.nodes) == 2)
        for name in ("a", "b", "c"):
            searches.create(name, trials=3, at_once=1)
        wait_until(lambda: searches.begun() == {"a", "b", "c"})
        second = controller("second")
        first.kill()
        first.wait()
        searches.open("a", "b", "c")
        wait_until(searches.all_ended)
        first = controller("third")
        for name in ("d", "e", "f", "g"):
            searches.open(name)
            searches.create(name, trials=3, at_once=2)
        wait_until(searches.all_ended)
        for process in (first, second):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert searches.check(killed=True) == []


def test_a_function_is_sent_to_the_nodes(tmp_path: Path, ray_cluster: RayCluster) -> None:
    """`tunewell.search` on a cluster calls the function there, and returns what it found."""

    def train(trial: Trial, x: float) -> float:
        trial.report(objective=x * x, step=1)
        return (x - 0.5) ** 2

    result = tunewell.search(
        train,
        {"x": tunewell.uniform(0, 1)},
        goal="minimize",
        max_trials=4,
        home=tmp_path / "home",
        scheduler="ray",
        ray=ray_cluster.address,
        progress=False,
    )
    assert result.best is not None and result.best.value < 0.25
    assert {trial["state"] for trial in result.trials()} == {"succeeded"}


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    """A wrong address is one clear error, before anything is recorded."""
    with pytest.raises(UserError, match=r"the Ray cluster at 127\.0\.0\.1:1 can't be joined"):
        tunewell.search(abs, {"x": tunewell.uniform(0, 1)}, home=tmp_path, scheduler="ray", ray="127.0.0.1:1")
