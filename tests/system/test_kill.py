"""Searches and jobs survive the death of any of their processes at any moment."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.postgres import running_server
from tests.system.ledger import VICTIMS, Round
from tests.system.served_ledger import ServedRound
from tests.system.workers_ledger import WORKER_VICTIMS, WorkersRound


@pytest.mark.timeout(400)
def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    """After kills at random moments no trial or job is lost, doubled or changed, and no process is left."""
    one = Round(tmp_path)
    one.run(random.Random(5), kills=3)
    assert one.check({}) == []
    assert one.kills.total() >= 3


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_lose_nothing(tmp_path: Path) -> None:
    """The same after many, whichever processes are killed; what is suggested is what a calm search suggests."""
    generator = random.Random(7)
    kills: Counter[str] = Counter()
    calm = Round(tmp_path / "calm")
    calm.run(generator, kills=0)
    suggested = calm.suggested()
    for number in range(2):
        one = Round(tmp_path / str(number), served=number == 1)
        one.run(generator, kills=8)
        assert one.check(suggested) == []
        kills.update(one.kills)
    assert len(kills) == len(VICTIMS)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_cut_copies_of_checkpoints_are_not_gone_on_from(tmp_path: Path) -> None:
    """Controllers that are killed while they copy large checkpoints leave whole ones only."""
    one = Round(tmp_path / "large", padding=32 << 20)
    one.run(random.Random(3), kills=6, victims=("controller", "trial"))
    assert one.check({}) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("served", [False, True], ids=["commands", "two controllers"])
def test_kills_and_outages_lose_nothing(tmp_path: Path, served: bool) -> None:
    """On PostgreSQL nothing is lost either, also when the server crashes, cuts connections, or a controller pauses."""
    with running_server() as server, server.new_database() as database:
        one = Round(tmp_path, served=served, database=database, server=server)
        one.run(random.Random(11), kills=len(one.victims))
        assert one.check({}) == []
        assert set(one.kills) == set(one.victims)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_of_a_service_lose_nothing(tmp_path: Path) -> None:
    """Over `tunewell serve`, too, whichever of its processes are killed; clients are answered in the end."""
    one = ServedRound(tmp_path)
    one.run(random.Random(1), kills=len(one.victims))
    assert one.check({}) == []
    assert set(one.kills) == set(one.victims)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_of_workers_lose_nothing(tmp_path: Path) -> None:
    """Workers elsewhere are killed, or sleep until others have their trials, while their service is hit as well."""
    one = WorkersRound(tmp_path)
    one.run(random.Random(1), kills=len(WORKER_VICTIMS))
    assert one.check({}) == []
    assert set(one.kills) == set(WORKER_VICTIMS)
