"""Fills the disk with the file that the first argument names, makes the second one, and prints 3 MB of metric lines."""

import sys
from contextlib import suppress
from pathlib import Path

print("loss=0", flush=True)
with open(sys.argv[1], "wb", buffering=0) as filler:
    for size in (1 << 20, 1 << 12, 1):
        with suppress(OSError):
            while True:
                filler.write(bytes(size))
Path(sys.argv[2]).touch()
for number in range(1, 3001):
    print("x" * 1000 + f" loss={number}", flush=True)
