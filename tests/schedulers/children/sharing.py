"""Takes the given number of MiB of memory, shares it with three forks, and ends after a second or so."""

import os
import sys
import time

memory = b"x" * (int(sys.argv[1]) << 20)
for _ in range(3):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1.2)
