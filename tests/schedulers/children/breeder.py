"""Starts grandchildren that escape its session and ignore SIGTERM, prints their numbers, then ends or stays."""

import os
import signal
import sys
import time
from pathlib import Path


def escape(depth: int) -> None:
    """Fork a child that leaves the session, and from it `depth` more."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if depth:
            escape(depth - 1)
        os.write(1, b"child %d\n" % os.getpid())
        while True:
            signal.pause()


escape(2)
while Path(os.environ["TUNEWELL_TRIAL_FOLDER"], "output.log").read_text().count("child") < 3:
    time.sleep(0.01)
print("ready", flush=True)
if sys.argv[1:] == ["stay"]:
    signal.pause()
