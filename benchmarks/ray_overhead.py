"""What a trivial trial costs over Ray, in CPU time of everything on all nodes, beside Ray Tune in the same run.

Both run trials that report one number, two at a time, on a cluster of one node that is started for each: Tunewell's
scheduler with a command a trial (a Python of its own that writes one report, supervised), Ray Tune with its defaults
(an actor a trial). The start of cluster and first slots is measured by a run of two trials, and taken off. CPU time is
that of a control group (version 1) in which everything is started, so it needs the right to make one. Ray Tune needs
the packages of `ray[tune]`; without them, Tunewell alone is measured. `--long` is a run of more trials, of Tunewell.

    ./dev bench ray_overhead --trials 100 --long 2000
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GROUPS = Path("/sys/fs/cgroup/cpuacct")
#: What a trial of Tunewell does.
TRIAL = "import os, time; open(os.environ['TUNEWELL_TRIAL_FOLDER'] + '/reports.jsonl', 'w').write('{\"score\": 1}\\n')"


def tunewell(trials: int) -> None:
    """Run trials by the scheduler of a cluster, two at a time."""
    from tests.schedulers.bench import Bench
    from tests.schedulers.ray_cluster import running_cluster, scheduler_of

    from tunewell.spec.launch import Ended, Event, Resources

    with tempfile.TemporaryDirectory() as root, running_cluster(num_cpus=2) as cluster:
        folder = Path(root)
        bench = Bench(folder / "home" / "trials", scheduler_of(cluster, folder / "home", folder / "nodes"))
        started = ended = 0

        def take(event: Event) -> None:
            nonlocal ended
            if isinstance(event, Ended):
                assert event.exit.cause is None, event.exit
                ended += 1

        while ended < trials:
            while started < trials and bench.scheduler.capacity().free(Resources()):
                started += 1
                bench.scheduler.submit(bench.launch(started, command=(sys.executable, "-S", "-c", TRIAL)))
            bench.scheduler.poll(take, 0.05)
        bench.scheduler.close()


def ray_tune(trials: int) -> None:
    """Run trials by Ray Tune, with its defaults."""
    import ray
    from ray import tune

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}

    def objective(configuration: dict[str, float]) -> None:
        tune.report({"score": configuration["x"]})

    with tempfile.TemporaryDirectory() as root:
        ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
        tuner = tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, metric="score", mode="max"),
            run_config=tune.RunConfig(storage_path=root, verbose=0),
        )
        assert len(tuner.fit()) == trials
        ray.shutdown()


SYSTEMS: dict[str, Callable[[int], None]] = {"tunewell": tunewell, "ray_tune": ray_tune}


def measured(system: str, trials: int) -> tuple[float, float]:
    """Return CPU and wall time in seconds of a run, everything that it has started included."""
    group = GROUPS / f"tunewell-{os.getpid()}-{system}-{trials}"
    group.mkdir()
    try:
        command = [sys.executable, __file__, "--system", system, "--trials", str(trials), "--group", str(group)]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return int((group / "cpuacct.usage").read_text()) / 1e9, time.monotonic() - began
    finally:
        deadline = time.monotonic() + 30
        while (group / "tasks").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        group.rmdir()


def main() -> int:
    """Measure, and print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--group", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.system is not None:
        (arguments.group / "tasks").write_text(str(os.getpid()))
        SYSTEMS[arguments.system](arguments.trials)
        return 0
    if not os.access(GROUPS, os.W_OK):
        print(f"needs control groups of version 1, and the right to make one in {GROUPS}", file=sys.stderr)
        return 2
    figures: dict[str, float] = {}
    has_tune = all(importlib.util.find_spec(name) for name in ("pandas", "pyarrow", "tensorboardX"))
    for system in ("tunewell", "ray_tune") if has_tune else ("tunewell",):
        base, _ = measured(system, 2)
        for trials in (arguments.trials, arguments.long if system == "tunewell" else 0):
            if trials:
                seconds, wall = measured(system, trials)
                cost = (seconds - base) / (trials - 2)
                figures.setdefault(system, cost)
                print(f"{system}, {trials} trials: {1000 * cost:.0f} ms CPU a trial, {wall:.0f} s in all", flush=True)
    if has_tune:
        print(f"Tunewell takes {figures['tunewell'] / figures['ray_tune']:.2f} of what Ray Tune does")
    return 0


if __name__ == "__main__":
    sys.exit(main())
