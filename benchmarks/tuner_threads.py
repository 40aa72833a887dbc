"""What proposals cost beside other work: a search of 120 trials over six numbers, with the environment as it is.

./dev bench tuner_threads --busy 2
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

import tunewell


def distance(**x: float) -> float:
    """Return the squared distance of the six numbers from 0.3."""
    return sum((value - 0.3) ** 2 for value in x.values())


def main() -> None:
    """Print the wall time and CPU time of the search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", default="bayesian")
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--busy", type=int, default=0, help="processes beside it that take all they get")
    arguments = parser.parse_args()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    try:
        with tempfile.TemporaryDirectory() as home:
            wall, cpu = time.monotonic(), time.process_time()
            tunewell.search(
                distance,
                {f"x{place}": tunewell.uniform(0, 1) for place in range(6)},
                metric="loss",
                algorithm=arguments.algorithm,
                max_trials=arguments.trials,
                home=home,
                progress=False,
            )
            print(f"{time.monotonic() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU-s")
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
