"""What takes up how much of a home."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewell.service.service import Service
from tunewell.service.upkeep.usage import count


def test_what_goes_meanwhile_takes_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home is at work while it is counted: files that are listed may be gone when they are looked at."""
    with Service(tmp_path / "home") as service:
        service.add_user("ada")
        listed = [
            *service.home.folder.iterdir(),
            *(service.home.folder / name for name in ("tunewell.db-gone", "gone")),
        ]
        monkeypatch.setattr(Path, "iterdir", lambda folder: iter(listed))
        found = count(service.store, service.home)
    assert found.by_kind["database"] > 0 and found.total == sum(found.by_kind.values())
