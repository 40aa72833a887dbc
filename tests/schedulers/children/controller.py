"""A scheduler in a process of its own: starts the command in its arguments as an attempt, and polls until killed.

Arguments: folder, then the command. Prints each event.
"""

import sys
from pathlib import Path

from tests.schedulers.bench import Bench

from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN

bench = Bench(Path(sys.argv[1]))
bench.start(bench.launch(command=tuple(sys.argv[2:]), metric_pattern=DEFAULT_METRIC_PATTERN))
while True:
    bench.scheduler.poll(lambda event: print(event, flush=True), 0.1)
