"""Training the five best again with other seeds, by commands."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.schedulers.bench import wait_until
from tunewell.service.service import Service
from tunewell.spec.states import JobState

#: With another seed than that of the search, a training lasts until somebody lets it go.
WAITING = "[ $TUNEWELL_SEED = 1 ] || { touch begun; while ! [ -e go ]; do sleep 0.05; done; }; echo accuracy={x}"
SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy=$(awk -v seed=$TUNEWELL_SEED 'BEGIN {print {x} + seed / 100}')"],
    "parameters": {"x": {"low": 0.0, "high": 0.5, "default": 0.25}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 2,
}


def test_the_best_are_trained_again(run: Run, tmp_path: Path) -> None:
    """The command waits for all trainings, shows mean and spread, and has the report written; 0 seeds are refused."""
    (tmp_path / "e.yaml").write_text(json.dumps(SPEC))
    assert run("search", "e.yaml").code == 0
    done = run("repeat", "e", "--seeds", "2")
    assert done.code == 0, done.err
    assert "Trained again with other seeds:" in done.out and "± 0.0071" in done.out
    again = run("repeat", "e", "--seeds", "2", "--json")
    assert again.code == 0, again.err
    assert [sorted(one["values"]) for one in again.json] == [["1", "2"]] * 2
    report = tmp_path / ".tunewell" / "experiments" / "e" / "report.html"
    assert "Trained again with other seeds" in report.read_text()
    wrong = run("repeat", "e", "--seeds", "0")
    assert wrong.code != 0 and "seeds" in wrong.err and "from 1 to 100" in wrong.err, wrong.err


@pytest.mark.parametrize("answer", ["", "y"])
def test_ctrl_c_says_what_becomes_of_the_rest(run: Run, tmp_path: Path, answer: str) -> None:
    """Trainings that wait are stopped, unless somebody wants them, which is said; asked again, the command makes them.

    The answer is given at a terminal; with none there is nobody to ask.
    """
    spec = {**SPEC, "command": ["sh", "-c", WAITING], "seed": 1, "max_trials": 1, "max_concurrency": 1}
    (tmp_path / "e.yaml").write_text(json.dumps(spec))
    assert run("search", "e.yaml").code == 0
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tunewell", "repeat", "e", "--seeds", "3"]
    with (
        closing(os.fdopen(ours, "wb", buffering=0)) as keyboard,
        subprocess.Popen(
            command, cwd=tmp_path, stdin=theirs if answer else subprocess.DEVNULL, stdout=-1, stderr=-2, text=True
        ) as process,
    ):
        os.close(theirs)
        wait_until((tmp_path / "begun").exists)
        keyboard.write(f"{answer}\n".encode())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    with Service(tmp_path / ".tunewell", access="read") as service:
        states = Counter(job.state for job in service.jobs(experiment="e", kind="repeat").items)
    if answer == "y":
        assert "Keep 3 trainings?" in out and "3 trainings left. `tunewell serve` goes on with them" in out
        assert states[JobState.STOPPED] == 0 and states[JobState.WAITING] >= 1
    else:
        assert states == {JobState.STOPPED: 3}
        assert "3 trainings stopped. To make what is missing: tunewell repeat e --seeds 3" in out
    (tmp_path / "go").touch()
    again = run("repeat", "e", "--seeds", "3", "--json")
    assert [sorted(one["values"]) for one in again.json] == [["2", "3", "4"]], again.err
