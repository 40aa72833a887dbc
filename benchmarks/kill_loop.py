"""Kill controllers, fork servers, supervisors, trials and jobs at random moments, and check the ledger: many rounds.

./dev bench kill_loop --rounds 100

In every second round one long-lived controller runs all that verbs record while it runs; in the others the commands
`tunewell search` and `tunewell retrain` do, each killed and run again until it has ended.

With `--database postgresql` two long-lived controllers share the work, and there are more mishaps: the server crashes
and starts again, it ends the connection of a client, a controller stands still for a while.

With `--serve` a service (`tunewell serve`, two web workers) runs everything in all rounds, and is asked over HTTP: its
launcher, web workers and controller are killed, too, while a client asks and changes things all the time.

    ./dev bench kill_loop --serve --rounds 50

With `--workers` the trials are trained by workers (`tunewell worker`), which ask a service for them: workers are killed
and stopped, too, and their programs, and all of the service.

    ./dev bench kill_loop --workers --rounds 30
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.postgres import Server, running_server
from tests.system.ledger import TRIALS, Round
from tests.system.served_ledger import ServedRound
from tests.system.workers_ledger import WorkersRound


def main() -> int:
    """Run the rounds; print what went wrong in each, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first round; each has its own seed")
    parser.add_argument("--kills", type=int, default=10, help="most kills in the first search of a round")
    parser.add_argument("--padding", type=float, default=32.0, help="MB of the checkpoints in every fifth round")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--serve", action="store_true", help="over `tunewell serve`")
    parser.add_argument("--workers", action="store_true", help="over `tunewell serve`, trained by workers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what broken rounds have left")
    arguments = parser.parse_args()
    kills: Counter[str] = Counter()
    bad, attempts, started = 0, 0, time.monotonic()
    answered, longest = 0, 0.0
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server()) if arguments.database == "postgresql" else None
        kind = WorkersRound if arguments.workers else ServedRound if arguments.serve else Round
        with _round(root / "calm", server, kind) as calm:
            calm.run(random.Random(arguments.seed), kills=0)
            for line in calm.check(suggested := calm.suggested()):
                print(f"without kills: {line}", flush=True)
        for number in range(arguments.first, arguments.first + arguments.rounds):
            with _round(root / str(number), server, kind) as one:
                one.served = kind is not Round or number % 2 == 1
                if number % 5 == 4:  # copying takes a while
                    one.padding = round(1e6 * arguments.padding)
                try:
                    one.run(random.Random(f"{arguments.seed} {number}"), arguments.kills)
                    wrong = one.check(suggested)
                    attempts += one.attempts()
                except AssertionError as error:
                    wrong = [str(error)]
            kills.update(one.kills)
            if isinstance(one, ServedRound):
                answered, longest = answered + one.answered, max(longest, one.longest_seconds)
            bad += bool(wrong)
            print(f"round {number} is over, {'broken' if wrong else 'sound'}", file=sys.stderr, flush=True)
            for line in wrong:
                print(f"round {number}: {line}", flush=True)
            if wrong and arguments.keep is not None:
                shutil.copytree(one.folder, arguments.keep / str(number), symlinks=True)
            shutil.rmtree(one.folder, ignore_errors=True)
    seconds = time.monotonic() - started
    killed = ", ".join(f"{kills[victim]} {victim}s" for victim in calm.victims)
    print(
        f"{arguments.rounds} rounds of {sum(TRIALS.values())} trials and 4 jobs, killed: {killed}; "
        f"{bad} with a broken ledger; {attempts} attempts at trials and retrainings; {seconds:.0f} s"
    )
    if kind is not Round:
        print(f"{answered} requests of clients were answered, the slowest after {longest:.1f} s")
    return 1 if bad else 0


@contextmanager
def _round(folder: Path, server: Server | None, kind: type[Round]) -> Iterator[Round]:
    """Give a round in a home and a database of its own."""
    if server is None:
        yield kind(folder)
        return
    with server.new_database() as database:
        yield kind(folder, database=database, server=server)


if __name__ == "__main__":
    sys.exit(main())
