"""Small sets of real pictures: scikit-learn's handwritten digits."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tasks.image_classification.trained import write_pictures
from tests.tasks.shared_data import shared_data


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 100 pictures to train on and 40 to validate on, 10 classes. To be read only."""
    return write_pictures(tmp_path_factory.mktemp("digits"), {"train": 100, "val": 40})


@pytest.fixture
def own_digits(tmp_path: Path) -> Path:
    """A folder with 40 + 40 pictures for the test to change."""
    return write_pictures(tmp_path / "digits", {"train": 40, "val": 40})


@pytest.fixture(scope="session")
def sign_digits() -> Path:
    """The data set of photographed hand signs; skips where it is absent."""
    return shared_data("sign_digits")
