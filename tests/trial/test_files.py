"""Files that are written whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from tunewell.trial.files import is_full, read_json, write_json


def test_a_file_may_be_written_by_many_at_once(tmp_path: Path) -> None:
    """Each of them succeeds, one of them is read, and nothing else is left."""
    path, together = tmp_path / "a.json", Barrier(8)

    def write(number: int) -> None:
        together.wait(60)
        for _ in range(20):
            write_json(path, {"number": number})
            is_full(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert (read_json(path) or {})["number"] in range(8)
    assert list(tmp_path.iterdir()) == [path]
