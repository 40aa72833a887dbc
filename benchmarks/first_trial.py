"""How long `tunewell search` takes until its first trial is started, and until the trial's own code runs.

Three cases: a search over a command, a built-in task on scans of digits whose data has never been prepared, and the
same with data that an earlier search has prepared. Each search is a fresh process in a home of its own.

./dev bench first_trial --times 9
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

#: A trial that notes when it was at work.
PROGRAM = "import time; open('begun', 'w').write(str(time.time())); print('objective=1')"


def over_a_command(folder: Path) -> Mapping[str, Any]:
    """Return the spec of a search over a command."""
    return {
        "name": "first",
        "command": [sys.executable, "-S", "-E", "-c", PROGRAM],
        "objective": {"metric": "objective", "goal": "maximize"},
        "algorithm": "random",
        "parameters": {"x": {"low": 0.0, "high": 1.0}},
        "max_trials": 1,
    }


def on_digits(folder: Path) -> Mapping[str, Any]:
    """Return the spec of a search with a built-in task."""
    return {
        "name": "first",
        "task": "image-classification",
        "network": "small-cnn",
        "data": str(folder / "digits"),
        "algorithm": "random",
        "parameters": {"epochs": 1},
        "max_trials": 1,
    }


#: Name → what makes the spec, and whether a search of the same kind has been there before.
CASES: Mapping[str, tuple[Callable[[Path], Mapping[str, Any]], bool]] = {
    "a command": (over_a_command, False),
    "digits, not prepared": (on_digits, False),
    "digits, prepared": (on_digits, True),
}


def first_trial(spec: Mapping[str, Any], home: Path) -> tuple[float, float]:
    """Search to the end; return the seconds to the start on record and to the first sign of the trial itself.

    That sign is what the program notes, or else the first report.
    """
    path = home.with_suffix(".json")
    path.write_text(json.dumps(spec))
    program = [sys.executable, "-m", "tunewell", "search", str(path), "--home", str(home), "--json", "--no-details"]
    begun = time.time()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with closing(sqlite3.connect(next(home.glob("tunewell.db")))) as database:
        [[started]] = database.execute("SELECT max(started_at) FROM trial")  # it has one
    trials = home / "experiments" / spec["name"]
    noted = next(trials.rglob("begun"), None)
    first = float(noted.read_text()) if noted else _first_report(next(trials.rglob("reports.jsonl")))
    return started - begun, first - begun


def _first_report(reports: Path) -> float:
    with reports.open() as lines:
        return float(json.loads(next(lines))["time"])


def main() -> None:
    """Print the median and the extremes of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--case", choices=list(CASES), action="append")
    arguments = parser.parse_args()
    from tunewell.tasks.image_classification.digits import write_digits

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_digits(folder / "digits")
        print(f"seconds, median (least to most) of {arguments.times}; load {os.getloadavg()[0]:.1f}")
        for case in arguments.case or CASES:
            make, prepared = CASES[case]
            found = []
            for _ in range(arguments.times):
                home = folder / "home"
                if prepared:
                    first_trial({**make(folder), "name": "before"}, home)
                found.append(first_trial(make(folder), home))
                shutil.rmtree(home)
            starts, signs = zip(*found, strict=True)
            print(f"{case:22} started {_shown(starts)}   at work {_shown(signs)}", flush=True)


def _shown(seconds: tuple[float, ...]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
