"""Kill controllers, fork servers, supervisors and trials at random moments, and check the ledger: many rounds.

./dev bench kill_loop --rounds 100
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.system.ledger import TRIALS, VICTIMS, Round


def main() -> int:
    """Run the rounds; print what went wrong in each, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10, help="most kills a round")
    parser.add_argument("--padding", type=float, default=32.0, help="MB of the checkpoints in every fifth round")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    kills: Counter[str] = Counter()
    bad, attempts, started = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        calm = Round(Path(root) / "calm")
        calm.run(generator, kills=0)
        suggested = calm.suggested()
        for number in range(arguments.rounds):
            large = number % 5 == 4  # copying takes a while
            search = Round(Path(root) / str(number), padding=round(1e6 * arguments.padding) if large else 1000)
            wrong = search.check(search.run(generator, arguments.kills), suggested)
            attempts += search.attempts()
            kills.update(search.kills)
            bad += bool(wrong)
            for line in wrong:
                print(f"round {number}: {line}", flush=True)
    seconds = time.monotonic() - started
    killed = ", ".join(f"{kills[victim]} {victim}s" for victim in VICTIMS)
    print(
        f"{arguments.rounds} rounds of {TRIALS} trials, killed: {killed}; {bad} with a broken ledger; "
        f"{attempts} attempts for {arguments.rounds * TRIALS} trials; {seconds:.0f} s"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
