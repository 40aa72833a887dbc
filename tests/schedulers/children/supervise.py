"""A supervisor without a fork server.

Arguments: the attempt's folder; a control group to join first, if given, or `full` to have it take the disk for full.
"""

import os
import signal
import sys
from pathlib import Path

from tunewell.schedulers.supervisor import supervise
from tunewell.trial import files

if sys.argv[2:] == ["full"]:
    files.is_full = lambda folder: True
elif len(sys.argv) > 2:
    Path(sys.argv[2], "cgroup.procs").write_text(str(os.getpid()))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
supervise(Path(sys.argv[1]), dict(os.environ))
