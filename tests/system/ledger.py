"""The kill loop: a search whose controller is killed at random moments, and the ledger check after it.

Used by a short test and by `benchmarks/kill_loop.py`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

TRIALS = 30
#: Each trial appends "trial attempt" to the run book, works a little, and reports 2 x.
SCRIPT = """
echo "$TUNEWELL_TRIAL $TUNEWELL_ATTEMPT" >> "$1"
sleep 0.0$(( $TUNEWELL_TRIAL % 9 ))
echo "score=$(( 2 * $2 ))"
"""


def write_spec(folder: Path, name: str = "ledger") -> Path:
    """Write the script and the spec into a folder; return the spec's path."""
    (folder / "trial.sh").write_text(SCRIPT)
    spec = {
        "name": name,
        "command": ["sh", "trial.sh", str(folder / "runs"), "{x}"],
        "objective": {"metric": "score", "goal": "maximize"},
        "algorithm": "random",
        "parameters": {"x": {"low": 0, "high": 1000000}},
        "max_trials": TRIALS,
        "max_concurrency": 2,
        "max_attempts": 50,
        "seed": 1,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(spec))
    return path


def command(spec: Path, home: Path) -> list[str]:
    """Return the command that starts the search, and goes on with it."""
    return [sys.executable, "-m", "tunewell", "search", str(spec), "--home", str(home), "--json", "--no-details"]


def run_with_kills(spec: Path, home: Path, generator: random.Random, kills: int) -> dict[str, Any]:
    """Run the search, killing the controller `kills` times at random moments; return the final JSON result."""
    for _ in range(kills):
        process = subprocess.Popen(command(spec, home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0.2, 3.0))  # the random moment is what is tested
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command(spec, home), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def exported(home: Path, name: str = "ledger") -> list[dict[str, Any]]:
    """Return all trials as `tunewell export` gives them."""
    program = [sys.executable, "-m", "tunewell", "export", name, "--home", str(home), "--format", "json"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    trials: list[dict[str, Any]] = json.loads(done.stdout)["trials"]
    return trials


def check(folder: Path, home: Path, result: dict[str, Any], reference: list[dict[str, Any]] | None) -> list[str]:
    """Return what is wrong with the ledger after a search; empty if nothing is.

    `reference` are the trials of an uninterrupted search with the same seed.
    """
    trials = exported(home)
    wrong = []
    if [trial["number"] for trial in trials] != list(range(1, TRIALS + 1)):
        wrong.append(f"numbers are not 1 to {TRIALS}: {[trial['number'] for trial in trials]}")
    for trial in trials:
        if trial["state"] != "succeeded":
            wrong.append(f"trial {trial['number']} is {trial['state']} ({trial['cause']}: {trial['detail']})")
        elif trial["value"] != 2 * trial["parameters"]["x"]:
            wrong.append(f"trial {trial['number']} has the value of another: {trial}")
    runs = Counter((folder / "runs").read_text().split("\n")[:-1])
    wrong += [f"attempt '{run}' ran {times} times" for run, times in runs.items() if times > 1]
    attempts = {trial["number"]: trial["attempts"] for trial in trials}
    for run in runs:
        number, attempt = map(int, run.split())
        if attempt > attempts.get(number, 0):
            wrong.append(f"attempt {attempt} of trial {number} ran but is not on record")
    best = max((trial["value"] or 0) for trial in trials)
    if result["best"]["value"] != best:
        wrong.append(f"best is {result['best']['value']}, recorded is {best}")
    if reference is not None and [t["parameters"] for t in trials] != [t["parameters"] for t in reference]:
        wrong.append("the suggestions differ from those of an uninterrupted search")
    wrong += [f"process {process} is left over" for process in leftovers(home)]
    return wrong


def leftovers(home: Path) -> list[int]:
    """Return processes that work in this home and are not about to end."""
    deadline = time.monotonic() + 5
    while found := _processes_of(home):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _processes_of(home: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            text = " ".join(process.cmdline()) + str(process.environ().get("TUNEWELL_TRIAL_FOLDER", ""))
        except psutil.Error:
            continue
        if str(home) in text:
            found.append(process.pid)
    return found
