"""The spec of `tunewell demo`, and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewell.tasks.vision.specs import require_libraries


def require_demo() -> None:
    """Raise `UserError` if a library is missing that the demo needs."""
    require_libraries("The demo", ("torch", "timm", "PIL", "safetensors", "sklearn"))


def write_demo(folder: Path, max_trials: int) -> dict[str, Any]:
    """Write scans of handwritten digits into a folder, and return the spec of a search on them."""
    from tunewell.tasks.image_classification.digits import write_digits  # brings in scikit-learn

    write_digits(folder)
    return {
        "name": "demo",
        "task": "image-classification",
        "network": "small-cnn",
        "data": str(folder.absolute()),
        "algorithm": "bayesian",
        "max_trials": max_trials,
        "parameters": {"epochs": 5},
    }
