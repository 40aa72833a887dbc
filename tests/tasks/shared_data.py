"""Real data sets, which may be absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_SHARED = Path(os.environ.get("TUNEWELL_SHARED", Path(__file__).parents[3] / "shared"))


def shared_data(name: str) -> Path:
    """Return the folder of a data set; skip the test, saying why, where it is absent."""
    folder = _SHARED / "datasets" / name
    if not folder.is_dir():
        pytest.skip(f"the data set {name} is not in {_SHARED}")
    return folder
