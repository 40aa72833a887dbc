"""The examples of the page on other libraries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import Terminal, blocks
from tests.integrations.searching import library

FOUND = [text for _, text in blocks("integrations.md")]
#: Libraries that only `./dev integrations` has; the packages on PyPI have the same names.
LIBRARIES = ("keras", "lightgbm", "mlflow", "tensorboard", "wandb", "xgboost")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("text", FOUND, ids=[re.findall(r"integrations\.(\w+)", text)[0] for text in FOUND])
def test_an_example(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs as it stands, and brings a result."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for name in LIBRARIES:
        if f"tunewell.integrations.{name} " in text:
            library(name, name)
    Terminal(tmp_path, {}, 0).run("python", f"{text}\nassert result.best.value is not None\n")
