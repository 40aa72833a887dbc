"""`tunewell demo`: a real search on real pictures, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import HOME, HomeOption, JsonOption, terminal
from tunewell.cli.search import run_search
from tunewell.service.service import Service
from tunewell.tasks.vision.specs import require_libraries


def demo(
    home: HomeOption = HOME,
    max_trials: Annotated[int, typer.Option("--max-trials", min=1, help="Number of trials.")] = 12,
    json_: JsonOption = False,
) -> int:
    """Search on handwritten digits: 1,797 real, small scans."""
    require_libraries("The demo", ("torch", "timm", "PIL", "safetensors", "sklearn"))
    from tunewell.tasks.image_classification.digits import write_digits

    console = terminal(stderr=json_)
    data = Path(home) / "demo" / "digits"
    with Service(home) as service:
        write_digits(data)
        console.print(f"Pictures of handwritten digits in {data}", soft_wrap=True)
        raw = {
            "name": "demo",
            "task": "image-classification",
            "network": "small-cnn",
            "data": str(data.absolute()),
            "algorithm": "bayesian",
            "max_trials": max_trials,
            "parameters": {"epochs": 5},
        }
        submission = service.submit(raw)
        return run_search(service, submission.name, json_, finished=submission.kind == "finished")
