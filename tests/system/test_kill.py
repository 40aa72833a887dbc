"""A search survives the death of its controller at any moment."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.system import ledger


@pytest.mark.timeout(240)
def test_killed_controllers_lose_nothing(tmp_path: Path) -> None:
    """After kills at random moments no trial is lost, doubled or changed, and no process is left."""
    generator = random.Random(7)
    calm = tmp_path / "calm"
    calm.mkdir()
    ledger.run_with_kills(ledger.write_spec(calm), calm / "home", generator, kills=0)
    reference = ledger.exported(calm / "home")
    for round_ in range(3):
        folder = tmp_path / f"round{round_}"
        folder.mkdir()
        result = ledger.run_with_kills(ledger.write_spec(folder), folder / "home", generator, kills=2)
        assert ledger.check(folder, folder / "home", result, reference) == []
