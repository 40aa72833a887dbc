"""Wall time of a search over pictures against the straightforward way, in the same run.

    ./dev bench wall_time

Needs the data set `sign_digits` (see `sign_digits.py`). Both search 20 configurations, two at once, over the same space
of the same network and epochs: Tunewell with each kind of early stopping named, and Optuna driving a fresh
`python plain_training.py` for each trial, which reads its pictures with a plain ImageFolder loader. Prints
seconds and best validation accuracy of both. A promoted configuration takes several trials, a part of its training
each: a third of them have a second one, a ninth a third one and so on, half as many again in all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sign_digits import tunewell

NETWORK = "small-cnn"


def search(data: Path, arguments: argparse.Namespace, early_stopping: str) -> tuple[float, float]:
    """Return seconds and best accuracy of Tunewell."""
    spec = {
        "name": "signs",
        "task": "image-classification",
        "data": str(data),
        "network": NETWORK,
        "max_trials": arguments.trials * 3 // 2 if early_stopping == "promotion" else arguments.trials,
        "max_concurrency": arguments.workers,
        "early_stopping": early_stopping,
        "seed": arguments.seed,
        "parameters": {"epochs": arguments.epochs},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "signs.yaml"
        file.write_text(json.dumps(spec))
        started = time.monotonic()
        result = json.loads(tunewell("search", str(file), "--home", folder, "--json", "--no-details"))
        return time.monotonic() - started, result["best"]["value"]


def straightforward(data: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    """Return seconds and best accuracy of Optuna's default sampler over fresh processes."""
    import optuna

    from tunewell.tasks.image_classification.networks import architecture

    space = architecture(NETWORK).network.space
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        chosen: dict[str, Any] = {}
        for parameter in space:
            if parameter.size == 1 or not space.is_active(parameter, chosen):  # off by default, or given below
                continue
            if parameter.size is not None:
                chosen[parameter.name] = trial.suggest_categorical(parameter.name, parameter.values(parameter.size))
            else:
                chosen[parameter.name] = trial.suggest_float(
                    parameter.name, parameter.low, parameter.high, log=parameter.log
                )
        options = [text for name, value in chosen.items() for text in (f"--{name}", str(value))]
        program = [sys.executable, str(Path(__file__).with_name("plain_training.py")), str(data)]
        done = subprocess.run(
            [*program, "--epochs", str(arguments.epochs), *options],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return float(done.stdout.split("accuracy=")[-1])

    started = time.monotonic()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=arguments.seed))
    study.optimize(objective, n_trials=arguments.trials, n_jobs=arguments.workers)
    return time.monotonic() - started, float(study.best_value)


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--early-stopping", default="halving,promotion", help="which, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "datasets" / "sign_digits"
    if not data.is_dir():
        sys.exit(f"{data}: the data set is not there; set TUNEWELL_SHARED to the folder that holds datasets")
    own: dict[str, float] = {}
    for early_stopping in arguments.early_stopping.split(","):
        own[early_stopping], best = search(data, arguments, early_stopping)
        print(f"Tunewell, {early_stopping}: {own[early_stopping]:.0f} s, best accuracy {best:.4f}", flush=True)
    other, other_best = straightforward(data, arguments)
    print(f"Optuna with a fresh process a trial: {other:.0f} s, best accuracy {other_best:.4f}")
    for early_stopping, seconds in own.items():
        print(f"ratio of the times, {early_stopping}: {seconds / other:.2f}")


if __name__ == "__main__":
    main()
