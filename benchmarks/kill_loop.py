"""Kill the controller with SIGKILL at random moments, start it again, and check the ledger: many rounds.

./dev bench kill_loop --rounds 100
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.system import ledger


def main() -> int:
    """Run the rounds; print what went wrong in each, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=1, help="kills a round")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    bad, attempts, started = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        calm = Path(root) / "calm"
        calm.mkdir()
        ledger.run_with_kills(ledger.write_spec(calm), calm / "home", generator, kills=0)
        reference = ledger.exported(calm / "home")
        for number in range(arguments.rounds):
            folder = Path(root) / str(number)
            folder.mkdir()
            result = ledger.run_with_kills(ledger.write_spec(folder), folder / "home", generator, arguments.kills)
            wrong = ledger.check(folder, folder / "home", result, reference)
            attempts += len((folder / "runs").read_text().splitlines())
            bad += bool(wrong)
            for line in wrong:
                print(f"round {number}: {line}", flush=True)
    seconds = time.monotonic() - started
    print(
        f"{arguments.rounds} rounds of {ledger.TRIALS} trials, {arguments.kills} kill(s) each: "
        f"{bad} with a broken ledger; "
        f"{attempts} attempts for {arguments.rounds * ledger.TRIALS} trials; {seconds:.0f} s"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
