"""Takes the given number of MiB of memory and stays."""

import signal
import sys

memory = b"x" * (int(sys.argv[1]) << 20)
print("ready", flush=True)
signal.pause()
