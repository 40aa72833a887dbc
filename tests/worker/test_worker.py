"""The ready-made worker, as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.client.serving import Served
from tests.schedulers.bench import has_ended, wait_until
from tests.worker.running import SPEC, running, wait_for_end
from tunewell.cli import INTERRUPTED
from tunewell.client import Client
from tunewell.service.types import SuggestedTrial
from tunewell.spec.errors import ArgumentError, ConflictError, SpecError
from tunewell.spec.states import TrialState
from tunewell.trial import files
from tunewell.worker.folders import Folders
from tunewell.worker.planning import make_plan

#: Trains step by step, from where its checkpoint is; from the third step on only when there is a file `go`.
PROGRAM = """
import os, sys, time

x, folder = float(sys.argv[1]), sys.argv[2]
path = os.path.join(folder, "step")
step = int(open(path).read()) if os.path.exists(path) else 0
open("pids", "a").write(f"{os.getpid()}\\n")
print("begins after", step, flush=True)
while step < 4:
    while step == 2 and not os.path.exists("go"):
        time.sleep(0.02)
    step += 1
    open(path, "w").write(str(step))
    print(f"step={step} accuracy={x * step}", flush=True)
"""
COMMAND = (sys.executable, "-S", "train.py", "{x}", "{checkpoint_dir}")


class Bench:
    """A service, and a folder in which workers are started."""

    def __init__(self, served: Served, folder: Path) -> None:
        """Write the program, and make the search."""
        self.served, self.folder, self.client = served, folder, served.client()
        (folder / "train.py").write_text(PROGRAM)
        self.client.create(SPEC)
        self._workers: list[subprocess.Popen[str]] = []

    def start(self, *options: str, command: tuple[str, ...] = COMMAND) -> subprocess.Popen[str]:
        """Start a worker."""
        program = [sys.executable, "-m", "tunewell", "worker", self.served.address, "w", *options, "--", *command]
        environment = {**os.environ, "TUNEWELL_TOKEN": self.served.token()}
        worker = subprocess.Popen(
            program, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._workers.append(worker)
        return worker

    def go(self) -> None:
        """Let programs come to their end."""
        (self.folder / "go").touch()

    def reports(self, number: int) -> int:
        """Return how many reports of a trial have arrived."""
        return len(self.client.reports("w", number)) if self.client.trials("w").items else 0

    def pids(self) -> list[int]:
        """Return the processes of all programs that have begun."""
        path = self.folder / "pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def end(self) -> None:
        """End what is left."""
        for worker in self._workers:
            worker.kill()
            worker.communicate()
        wait_until(lambda: all(map(has_ended, self.pids())))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A service with a search of four trials."""
    (tmp_path / "here").mkdir()
    with running(tmp_path) as served:
        bench = Bench(served, tmp_path / "here")
        yield bench
        bench.end()


def test_a_worker_trains_a_whole_search(bench: Bench) -> None:
    """Several trials at once, with what they print, report and are given; then it ends by itself."""
    bench.go()
    worker = bench.start("--id", "gpu-7", "--slots", "2")
    said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "The search has ended (completed)" in said
    trials = bench.client.trials("w").items
    assert [trial.state for trial in trials] == [TrialState.SUCCEEDED] * 4
    for trial in trials:
        assert trial.value == trial.parameters["x"] * 4 and trial.attempts == 1
        assert len(bench.client.reports("w", trial.number)) == 4
        log = bench.client.log("w", trial.number).data.decode()
        assert log.startswith("begins after 0\n") and log.count("accuracy=") == 4
    assert {bench.client.trial("w", number).worker for number in (1, 2, 3, 4)} == {"gpu-7-1", "gpu-7-2"}
    assert bench.client.trial("w", 1).attempt_list[0].exit_code == 0


def test_a_worker_that_is_killed_takes_its_program_along_and_goes_on(bench: Bench) -> None:
    """Nothing trains for nobody; under the same name it has the same attempt again, from its checkpoint."""
    worker = bench.start("--id", "a")
    wait_until(lambda: bench.reports(1) == 2)
    worker.kill()
    wait_until(lambda: all(map(has_ended, bench.pids())))
    bench.go()
    said, _ = bench.start("--id", "a").communicate(timeout=60)
    assert "The search has ended" in said
    first = bench.client.trial("w", 1)
    assert (first.state, first.attempts, first.value) == (TrialState.SUCCEEDED, 1, first.parameters["x"] * 4)
    assert [report.step for report in bench.client.reports("w", 1)] == [1, 2, 3, 4]
    log = bench.client.log("w", 1).data.decode()
    assert "begins after 0\n" in log and "begins after 2\n" in log


def test_a_worker_that_is_ended_hands_its_trial_back(bench: Bench) -> None:
    """That costs no attempt of those that may be lost; whoever asks next gets the trial."""
    worker = bench.start("--id", "a")
    wait_until(lambda: bench.reports(1) == 2)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == INTERRUPTED
    wait_until(lambda: bench.client.trial("w", 1).state is TrialState.WAITING)
    assert bench.client.trial("w", 1).cause is None
    bench.go()
    bench.start("--id", "b").communicate(timeout=60)
    first = bench.client.trial("w", 1)
    assert (first.state, first.attempts, first.worker) == (TrialState.SUCCEEDED, 2, "b")


def test_a_trial_that_is_stopped_ends_at_its_worker(bench: Bench) -> None:
    """The program is ended, and the worker goes on with the next trial."""
    bench.start("--id", "a")
    wait_until(lambda: bench.reports(1) == 2)
    (pid,) = bench.pids()
    bench.client.stop_trial("w", 1)
    wait_until(lambda: bench.client.trial("w", 1).state is TrialState.STOPPED)
    wait_until(lambda: has_ended(pid))
    bench.go()
    wait_for_end(bench.client)
    states = [trial.state for trial in bench.client.trials("w").items]
    assert states == [TrialState.STOPPED, *[TrialState.SUCCEEDED] * 3]


def test_one_name_is_one_worker(bench: Bench) -> None:
    """A second one of the same name in the same folder is told so, before it asks for anything."""
    bench.start("--id", "a")
    wait_until(bench.pids)
    second = bench.start("--id", "a")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2 and "a worker 'a' is at work in" in said
    assert len(bench.client.workers("w")) == 1


def test_what_a_worker_can_not_do_is_said_at_once(bench: Bench) -> None:
    """What it is to run, how often, for which search; nothing is asked for."""
    client, folder = bench.client, bench.folder

    def plan(client: Client, *command: str, name: str = "w", id: str = "a", slots: int = 1) -> None:
        make_plan(client, name, id, slots, folder, command)

    with pytest.raises(ArgumentError, match="what to run"):
        plan(client)
    with pytest.raises(SpecError, match=r"\{lr\} is no parameter"):
        plan(client, "true", "{lr}")
    with pytest.raises(SpecError, match="there is no program"):
        plan(client, "no-such-program")
    with pytest.raises(ArgumentError, match="slots"):
        plan(client, "true", slots=0)
    with pytest.raises(ArgumentError, match="id"):
        plan(client, "true", id="a\nb")
    here = {field: value for field, value in SPEC.items() if field not in ("scheduler", "worker_lease")}
    client.create({**here, "name": "here", "command": ["true", "{x}"]})
    with pytest.raises(ConflictError, match="scheduler: workers"):
        plan(client, "true", name="here")
    assert client.workers("w") == ()


def given(number: int, attempt: int = 1, resume_from: int | None = None) -> SuggestedTrial:
    """Return a trial as a worker is given it."""
    return SuggestedTrial(
        experiment="w",
        number=number,
        attempt=attempt,
        parameters={"x": 0.5},
        fidelity=1.0,
        sampling=1.0,
        resume_from=resume_from,
        lease_seconds=60.0,
        credential="twa_",
    )


def test_a_run_goes_on_from_the_newest_checkpoint(tmp_path: Path) -> None:
    """Of its trial, whatever the attempt; or else of the trial that it is to go on from, which must have left one."""
    folders = Folders(tmp_path, "ada/w")
    first, whole = folders.prepare(given(1))
    assert whole and files.read_json(first / files.PARAMETERS) == {"x": 0.5}
    (first / files.CHECKPOINT / "step").write_text("3")
    again, _ = folders.prepare(given(1))
    assert again != first and (again / files.CHECKPOINT / "step").read_text() == "3"
    (again / files.CHECKPOINT / "step").write_text("5")
    assert (folders.prepare(given(1, attempt=2))[0] / files.CHECKPOINT / "step").read_text() == "5"
    child, whole = folders.prepare(given(2, resume_from=1))
    assert whole and (child / files.CHECKPOINT / "step").read_text() == "5"
    assert folders.prepare(given(3, resume_from=9))[1] is False


def test_no_process_is_left(bench: Bench) -> None:
    """A worker that ends takes its fork server with it."""
    bench.go()
    worker = bench.start()
    wait_until(bench.pids)
    children = psutil.Process(worker.pid).children(recursive=True)
    worker.communicate(timeout=60)
    wait_until(lambda: all(has_ended(child.pid) for child in children))
