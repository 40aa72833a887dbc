"""A search survives the death of any of its processes at any moment."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.system.ledger import VICTIMS, Round


@pytest.mark.timeout(240)
def test_kills_lose_nothing(tmp_path: Path) -> None:
    """After kills at random moments no trial is lost, doubled or changed, and no process is left."""
    generator = random.Random(7)
    kills: Counter[str] = Counter()
    calm = Round(tmp_path / "calm")
    calm.run(generator, kills=0)
    suggested = calm.suggested()
    for number in range(2):
        search = Round(tmp_path / str(number))
        result = search.run(generator, kills=8)
        assert search.check(result, suggested) == []
        kills.update(search.kills)
    assert len(kills) == len(VICTIMS)


@pytest.mark.timeout(240)
def test_cut_copies_of_checkpoints_are_not_gone_on_from(tmp_path: Path) -> None:
    """Controllers that are killed while they copy large checkpoints leave whole ones only."""
    search = Round(tmp_path / "large", padding=32 << 20)
    result = search.run(random.Random(3), kills=6, victims=("controller", "trial"))
    assert search.check(result, {}) == []
