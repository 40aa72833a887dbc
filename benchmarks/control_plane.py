"""What the control plane costs a trial, in CPU time of all its processes, beside Optuna in the same run.

The objective is trivial (three parameters, random search, one value), so that all time is the system's own. Supervisors
are reaped by the kernel, which adds their time up nowhere. So it is measured by `perf stat`, which follows all
descendants; where there is none, it is the CPU time of the whole machine, which must do nothing else meanwhile.

    ./dev bench control_plane
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from shutil import which

import psutil

SPACE = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 1e-5, "high": 0.1, "log": True}, "z": ["a", "b", "c"]}


def tunewell_inline(folder: Path, trials: int) -> dict[str, float]:
    """Search with the inline scheduler; also return the cost of late trials against early ones."""
    import tunewell as tw

    marks: list[float] = []

    def objective(x: float, y: float, z: str) -> float:
        marks.append(time.process_time())
        return x + y + len(z)

    tw.search(
        objective,
        SPACE,
        goal="maximize",
        algorithm="random",
        max_trials=trials,
        home=folder,
        progress=False,
        max_duration="10h",
    )
    window = min(1000, trials // 4)
    if trials <= 100 + window:
        return {}
    early, late = marks[100 + window] - marks[100], marks[-1] - marks[-1 - window]
    return {"late_over_early": late / early}


def tunewell_processes(folder: Path, trials: int) -> dict[str, float]:
    """Search over a command: a fresh supervised process for each trial."""
    spec = {
        "name": "processes",
        "command": [sys.executable, "-S", "-E", "-c", "print('objective=', {x})"],
        "objective": {"metric": "objective", "goal": "maximize"},
        "algorithm": "random",
        "parameters": SPACE,
        "max_trials": trials,
        "max_concurrency": 2,
    }
    path = folder / "processes.yaml"
    path.write_text(json.dumps(spec))
    program = [sys.executable, "-m", "tunewell", "search", str(path), "--home", str(folder / "home"), "--json"]
    subprocess.run([*program, "--no-details"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {}


def optuna_sqlite(folder: Path, trials: int) -> dict[str, float]:
    """Search with Optuna's random sampler on SQLite, one process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}", sampler=sampler, direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        y = trial.suggest_float("y", 1e-5, 0.1, log=True)
        return x + y + len(trial.suggest_categorical("z", ["a", "b", "c"]))

    study.optimize(objective, n_trials=trials)
    return {}


PERF = ("perf", "stat", "-e", "task-clock")
CASES = {"tunewell inline": tunewell_inline, "tunewell processes": tunewell_processes, "optuna sqlite": optuna_sqlite}


def cpu_seconds(case: str, trials: int) -> tuple[float, float, dict[str, float]]:
    """Run a case in a fresh process; return CPU seconds, wall seconds, and what it found out."""
    program = [sys.executable, __file__, "--case", case, "--trials", str(trials)]
    with tempfile.NamedTemporaryFile("r") as record:
        watch = [*PERF, "-x", ",", "-o", record.name, "--"] if _has_perf() else []
        before, started = _busy_seconds(), time.monotonic()
        done = subprocess.run([*watch, *program], capture_output=True, text=True, check=True)
        wall, busy = time.monotonic() - started, _busy_seconds() - before
        if watch:
            busy = next(float(line.split(",")[0]) / 1000 for line in record if "task-clock" in line)
    return busy, wall, json.loads(done.stdout.splitlines()[-1])


@cache
def _has_perf() -> bool:
    """Whether perf is there and may be used."""
    return which("perf") is not None and subprocess.run([*PERF, "true"], capture_output=True).returncode == 0


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def main() -> None:
    """Print a table of cost a trial, each case less its own start-up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10000, help="trials of the long inline search")
    arguments = parser.parse_args()
    if arguments.case:
        with tempfile.TemporaryDirectory() as folder:
            found = CASES[arguments.case](Path(folder), arguments.trials)
        print(json.dumps(found))
        return
    costs = {}
    for case in CASES:
        trials = arguments.trials if case != "tunewell processes" else arguments.trials // 4
        (base, _, _), (full, wall, _) = cpu_seconds(case, 1), cpu_seconds(case, trials)
        costs[case] = 1000 * (full - base) / (trials - 1)
        print(f"{case:20} {costs[case]:8.2f} ms CPU a trial   {1000 * wall / trials:8.2f} ms wall   ({trials} trials)")
    for case in ("tunewell inline", "tunewell processes"):
        print(f"{case} / optuna sqlite: {costs[case] / costs['optuna sqlite']:.3f}")
    if arguments.many:
        _, _, found = cpu_seconds("tunewell inline", arguments.many)
        print(f"cost at trial {arguments.many} / cost at trial 100: {found['late_over_early']:.2f}")


if __name__ == "__main__":
    main()
