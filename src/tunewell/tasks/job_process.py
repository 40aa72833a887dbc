"""Does a job that is on no record in a process of its own: `python -m tunewell.tasks.job_process ENTRY FOLDER`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main(entry: str, folder: str) -> None:
    """Call an entry (`module:function`) with the job's folder."""
    module, _, name = entry.partition(":")
    getattr(import_module(module), name)(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
