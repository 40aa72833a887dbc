"""Prints its arguments but the first, a line each, and ends with the exit code or by the signal (-9) named first."""

import os
import sys

for line in sys.argv[2:]:
    print(line, flush=True)
code = int(sys.argv[1])
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
