"""`tunewell demo`: a real search on real pictures, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import HOME, DatabaseOption, HomeOption, JsonOption, terminal
from tunewell.cli.search import run_search
from tunewell.service.demo import require_demo, write_demo
from tunewell.service.service import Service


def demo(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    max_trials: Annotated[int, typer.Option("--max-trials", min=1, help="Number of trials.")] = 12,
    json_: JsonOption = False,
) -> int:
    """Search on handwritten digits: 1,797 real, small scans."""
    require_demo()
    console = terminal(stderr=json_)
    data = Path(home) / "demo" / "digits"
    with Service(home, database) as service:
        spec = write_demo(data, max_trials)
        console.print(f"Pictures of handwritten digits in {data}", soft_wrap=True)
        submission = service.create(spec)
        return run_search(service, submission.name, json_, finished=submission.kind == "finished")
