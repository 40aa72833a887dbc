"""What the verbs that keep a service in order promise, wherever they are carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contracts.test_verbs_contract import IMPLEMENTATIONS, SPEC, Bench
from tunewell.service.service import Service
from tunewell.service.upkeep.files import write_backup
from tunewell.service.upkeep.restoring import restore


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        yield bench


def test_backup(bench: Bench, tmp_path: Path, new_database: Callable[[], str]) -> None:
    """What is backed up can be restored, wherever it was asked for; the audit log of a service has it."""
    bench.verbs.create(SPEC)
    told: list[str] = []
    written = write_backup(bench.verbs, tmp_path / "b.tar", told.append)
    assert (tmp_path / "b.tar").stat().st_size == written and told[-1].partition(" of ")[2]
    other = new_database()
    restore(tmp_path / "b.tar", tmp_path / "other", other)
    with Service(tmp_path / "other", other) as restored:
        assert restored.experiment("e").name == "e"
    if not isinstance(bench.verbs, Service):
        assert next(entry.verb for entry in bench.verbs.audit().items) == "backup"
