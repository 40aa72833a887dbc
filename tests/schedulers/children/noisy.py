"""Prints binary garbage and a very long line, writes broken reports, and between all that says something useful."""

import os
from pathlib import Path

reports = Path(os.environ["TUNEWELL_TRIAL_FOLDER"], "reports.jsonl")
os.write(1, bytes(range(256)) * 4000 + b"\n")
os.write(1, b"a" * 3_000_000 + b"\n")
with reports.open("ab") as file:
    file.write(b'{"step": 1, "metrics": {"accuracy": 0.5}, "time": 1}\r\n')
    file.write(b"\x00\xff garbage\n[]\n{}\nnull\n" + b"[" * 100_000 + b"\n")
    file.write(b'{"step": 2, "metrics": {"accuracy": "high"}, "time": 1}\n')
    file.write(b'{"accuracy": 0.75, "step": 3}\n')
    file.write(b'{"step": 4, "metrics": {"accur')
