"""What the control plane costs a trial, in CPU time of all its processes, beside Optuna in the same run.

The objective is trivial (three parameters, random search, one value), so that all time is the system's own. Supervisors
are reaped by the kernel, which adds their time up nowhere. So it is measured by `perf stat`, which follows all
descendants; where there is none, it is the CPU time of the whole machine, which must do nothing else meanwhile.

With PostgreSQL it is our own processes' time, the server's not (for which `perf` must be there), beside ours on SQLite.

    ./dev bench control_plane
    ./dev bench control_plane --database postgresql
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import which

import psutil

from databases import KINDS, new_databases

SPEC = {
    "objective": {"metric": "objective", "goal": "maximize"},
    "algorithm": "random",
    "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 1e-5, "high": 0.1, "log": True}, "z": ["a", "b", "c"]},
}


def tunewell_inline(folder: Path, trials: int) -> dict[str, float]:
    """Search with the inline scheduler; also return the cost of late trials against early ones."""
    from tunewell.service.runs import Given
    from tunewell.service.service import Service

    marks: list[float] = []

    def objective(x: float, y: float, z: str) -> float:
        marks.append(time.process_time())
        return x + y + len(z)

    spec = {**SPEC, "name": "inline", "max_trials": trials, "max_duration": "10h"}
    with Service(folder, os.environ["TUNEWELL_DATABASE"]) as service:
        service.submit(spec, objective)
        service.run("inline", Given(objective, inline=True, follow_up=False))
    window = min(1000, trials // 4)
    if trials <= 100 + window:
        return {}
    early, late = marks[100 + window] - marks[100], marks[-1] - marks[-1 - window]
    return {"late_over_early": late / early}


def tunewell_processes(folder: Path, trials: int) -> dict[str, float]:
    """Search over a command: a fresh supervised process for each trial."""
    spec = {
        **SPEC,
        "name": "processes",
        "command": [sys.executable, "-S", "-E", "-c", "print('objective=', {x})"],
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
OWN_CASES = {"tunewell inline": tunewell_inline, "tunewell processes": tunewell_processes}
CASES = {**OWN_CASES, "optuna sqlite": optuna_sqlite}


def cpu_seconds(case: str, trials: int, database: str) -> tuple[float, float, dict[str, float]]:
    """Run a case in a fresh process on an empty database; return CPU seconds, wall seconds, and what it found out."""
    program = [sys.executable, __file__, "--case", case, "--trials", str(trials)]
    environment = {**os.environ, "TUNEWELL_DATABASE": database}
    with tempfile.NamedTemporaryFile("r") as record:
        watch = [*PERF, "-x", ",", "-o", record.name, "--"] if _has_perf() else []
        before, started = _busy_seconds(), time.monotonic()
        done = subprocess.run([*watch, *program], env=environment, capture_output=True, text=True, check=True)
        wall, busy = time.monotonic() - started, _busy_seconds() - before
        if watch:
            busy = next(float(line.split(",")[0]) / 1000 for line in record if "task-clock" in line)
    return busy, wall, json.loads(done.stdout.splitlines()[-1])


def cost(case: str, trials: int, new_database: Callable[[], str]) -> float:
    """Print and return milliseconds of CPU time a trial, less the start-up."""
    if case == "tunewell processes":
        trials //= 4
    (base, _, _), (full, wall, _) = cpu_seconds(case, 1, new_database()), cpu_seconds(case, trials, new_database())
    taken = 1000 * (full - base) / (trials - 1)
    print(f"{case:20} {taken:8.2f} ms CPU a trial   {1000 * wall / trials:8.2f} ms wall   ({trials} trials)")
    return taken


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
    parser.add_argument("--database", choices=KINDS, default="sqlite")
    arguments = parser.parse_args()
    if arguments.case:
        with tempfile.TemporaryDirectory() as folder:
            found = CASES[arguments.case](Path(folder), arguments.trials)
        print(json.dumps(found))
        return
    with new_databases("sqlite") as file, new_databases(arguments.database) as new:
        if arguments.database == "sqlite":
            costs = {case: cost(case, arguments.trials, file) for case in CASES}
            for case in OWN_CASES:
                print(f"{case} / optuna sqlite: {costs[case] / costs['optuna sqlite']:.3f}")
        else:
            for case in OWN_CASES:
                on_file, on_server = (cost(case, arguments.trials, database) for database in (file, new))
                print(f"{case}, {arguments.database} / sqlite: {on_server / on_file:.2f}")
        if arguments.many:
            _, _, found = cpu_seconds("tunewell inline", arguments.many, new())
            print(f"cost at trial {arguments.many} / cost at trial 100: {found['late_over_early']:.2f}")


if __name__ == "__main__":
    main()
