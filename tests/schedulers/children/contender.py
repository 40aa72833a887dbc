"""A scheduler that shares a file of claims: runs attempts one after the other, those that are refused again and again.

Arguments: folder of its own, file of claims, number of attempts at once and in all, cores and GPUs of each, then the
command. There are two cores, and GPUs "0" and "1".
"""

import sys
from dataclasses import replace
from pathlib import Path

from tests.schedulers.bench import Bench

from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import AttemptKey, Ended, Refused, Resources

folder, claims, at_once, total, cpus, gpus, *command = sys.argv[1:]
bench = Bench(Path(folder), LocalScheduler(Path(claims), cpus=2, gpus=("0", "1")))
waiting = [
    bench.launch(number, command=tuple(command), resources=Resources(cpus=float(cpus), gpus=int(gpus)))
    for number in range(1, int(total) + 1)
]
running = {}
while waiting or running:
    while waiting and len(running) < int(at_once):  # whatever `capacity` says
        launch = waiting.pop()
        running[launch.key] = bench.start(launch)
    bench.events.clear()
    bench.poll(0.02)
    for event in bench.events:
        if isinstance(event, Refused | Ended):
            launch = running.pop(event.key)
        if isinstance(event, Refused):
            assert isinstance(launch.key, AttemptKey)
            waiting.append(replace(launch, key=replace(launch.key, attempt=launch.key.attempt + 1)))
        if isinstance(event, Ended) and event.exit.cause is not None:
            sys.exit(event.exit.detail)
bench.scheduler.close()
