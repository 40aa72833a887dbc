"""Two searches and a training on all data in one home, on a machine with GPUs: no GPU is ever given away twice.

What the supervisors recorded says on which GPU each trial and job ran, and when. Needs a GPU and the built-in tasks.

    ./dev bench gpu_sharing
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from tunewell.schedulers.hardware import machine
from tunewell.schedulers.records import read_exit, read_launch
from tunewell.tasks.image_classification.digits import write_digits


class Use(NamedTuple):
    """A time in which an attempt held GPUs."""

    place: str
    gpus: tuple[str, ...]
    begin: float
    end: float


def uses(home: Path) -> list[Use]:
    """Return when the attempts in a home held GPUs."""
    found = []
    for folder in [*home.glob("experiments/*/trials/*/*"), *home.glob("jobs/*/*")]:
        exit_, launch = read_exit(folder), read_launch(folder)
        visible = launch.environment.get("CUDA_VISIBLE_DEVICES", "") if launch is not None else ""
        gpus = tuple(device for device in visible.split(",") if device)
        if gpus and exit_ is not None and exit_.started_at is not None and exit_.ended_at is not None:
            found.append(Use(str(folder.relative_to(home)), gpus, exit_.started_at, exit_.ended_at))
    return found


def overlaps(found: list[Use]) -> list[tuple[Use, Use]]:
    """Return the pairs of attempts that held the same GPU at the same time."""
    return [
        (one, other)
        for one, other in combinations(found, 2)
        if set(one.gpus) & set(other.gpus) and one.begin < other.end and other.begin < one.end
    ]


def main() -> int:
    """Run the searches and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4)
    arguments = parser.parse_args()
    gpus = machine().gpus
    if not gpus:
        print("There is no GPU.")
        return 1
    print(f"{len(gpus)} GPU: {gpus[0].name}, {(gpus[0].memory_bytes or 0) >> 30} GiB")
    with tempfile.TemporaryDirectory() as folder:
        home, data = Path(folder, "home"), Path(folder, "digits")
        write_digits(data)
        searches = [_start(Path(folder), home, name, data, arguments.trials) for name in ("a", "b")]
        codes = [search.wait() for search in searches]
        command = [sys.executable, "-m", "tunewell", "retrain", "a", "--home", str(home)]
        codes.append(subprocess.run(command, check=False).returncode)
        found = uses(home)
        twice = overlaps(found)
        for use in sorted(found, key=lambda use: use.begin):
            print(
                f"{use.begin - found[0].begin:8.2f} s to {use.end - found[0].begin:8.2f} s  GPU {use.gpus}  {use.place}"
            )
        print(f"{len(found)} attempts held a GPU; {len(twice)} pairs at the same time; exit codes {codes}")
        return 0 if not twice and not any(codes) and len(found) >= 2 * arguments.trials else 1


def _start(folder: Path, home: Path, name: str, data: Path, trials: int) -> subprocess.Popen[bytes]:
    spec = {
        "name": name,
        "task": "image-classification",
        "data": str(data),
        "network": "small-cnn",
        "algorithm": "random",
        "max_trials": trials,
        "parameters": {"epochs": 2},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(spec))
    return subprocess.Popen([sys.executable, "-m", "tunewell", "search", str(path), "--home", str(home)])


if __name__ == "__main__":
    sys.exit(main())
