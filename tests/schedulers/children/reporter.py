"""Writes the given number of reports in one go, the last one without its end."""

import os
import sys
from pathlib import Path

lines = [f'{{"accuracy": {number}}}' for number in range(int(sys.argv[1]))]
Path(os.environ["TUNEWELL_TRIAL_FOLDER"], "reports.jsonl").write_text("\n".join(lines))
