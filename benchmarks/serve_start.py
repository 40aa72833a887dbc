"""How soon `tunewell serve` is ready with many trials on record: from its start to the first good answer of /readyz.

In the first round the controller also takes the search over, which ends then.

    ./dev bench serve_start
    ./dev bench serve_start --trials 10000 --rounds 5
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx2

from take_over import NAME, fill
from tunewell.service.service import Service

AIM_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
SPEC = {
    "name": NAME,
    "command": ["true", "{x}", "{y}"],
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
    "algorithm": "random",
}


def start(home: Path) -> float:
    """Start the service, and end it again; return after how many seconds it was ready."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tunewell", "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line
        while time.perf_counter() - began < PATIENCE_SECONDS:
            with suppress(httpx2.TransportError):
                if httpx2.get(found[0] + "/readyz").status_code == 200:
                    break
        seconds = time.perf_counter() - began
        process.send_signal(signal.SIGTERM)
    return seconds


def main() -> int:
    """Print how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Service(home) as service:
            service.submit({**SPEC, "max_trials": arguments.trials})
            fill(service.store, arguments.trials)
        times = [start(home) for _ in range(arguments.rounds)]
    median = statistics.median(times)
    shown = ", ".join(f"{seconds:.2f}" for seconds in times)
    print(f"ready after {median:.2f} s (median of {shown}) with {arguments.trials:,} trials; aim: {AIM_SECONDS:g} s")
    return 0 if median <= AIM_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
