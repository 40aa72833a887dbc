from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.bench import Bench, processes_below


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a local scheduler; whatever a test leaves running is ended."""
    bench = Bench(tmp_path)
    yield bench
    bench.scheduler.close()
    for process in processes_below(tmp_path):
        process.kill()
