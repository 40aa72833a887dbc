"""Kill schedulers, controllers, slots, supervisors, trials and nodes of a Ray cluster at random; check the ledger.

./dev bench ray_kill_loop --rounds 30
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.schedulers.ray_cluster import running_cluster
from tests.schedulers.ray_ledger import VICTIMS, Round


def main() -> int:
    """Run the rounds; print what went wrong in each, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="number of the first round; each has its own seed")
    parser.add_argument("--kills", type=int, default=6, help="kills in a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what broken rounds have left")
    arguments = parser.parse_args()
    kills: Counter[str] = Counter()
    bad, attempts, done, started = 0, 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as root, running_cluster(3, num_cpus=2) as cluster:
        for number in range(arguments.first, arguments.first + arguments.rounds):
            one = Round(cluster, Path(root) / str(number))
            one.run(random.Random(f"{arguments.seed} {number}"), arguments.kills)
            kills.update(one.kills)
            attempts, bad, done = attempts + one.attempts(), bad + bool(one.wrong), done + 1
            seconds = time.monotonic() - started
            print(
                f"round {number} is {'broken' if one.wrong else 'sound'}, {dict(one.kills)}, {seconds:.0f} s",
                flush=True,
            )
            for line in one.wrong:
                print(f"round {number}: {line}", flush=True)
            if one.wrong and arguments.keep is not None:
                shutil.copytree(one.folder, arguments.keep / str(number), symlinks=True)
            shutil.rmtree(one.folder, ignore_errors=True)
    killed = ", ".join(f"{kills[victim]} {victim}s" for victim in VICTIMS)
    print(f"{done} rounds, killed: {killed}; {bad} with a broken ledger; {attempts} attempts")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
