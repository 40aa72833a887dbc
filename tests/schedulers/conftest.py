from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.bench import Bench, processes_of


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a local scheduler; whatever a test leaves running is ended."""
    bench = Bench(tmp_path)
    yield bench
    bench.scheduler.close()
    for attempt in tmp_path.glob("*/1"):
        for process in processes_of(attempt):
            process.kill()
