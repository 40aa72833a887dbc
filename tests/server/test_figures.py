"""The files in which a process of a service counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tunewell.server import figures

COUNTS = """
import os
from tunewell.server import figures
print(os.getpid(), figures.take_room())
from tunewell.api import metrics
from tunewell.service.types import Figures
metrics.STORE_ERRORS.inc(7)
metrics.STREAMS.inc()
print(metrics.render(Figures(experiments={}, trials={}, jobs={}, running=0, waiting=0)).decode())
"""


def count(folder: Path) -> tuple[int, bool, str]:
    """Have a process count; return its number, whether it had room, and what it tells."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTS],
        env={**os.environ, figures.VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, _, told = done.stdout.partition("\n")
    number, has_room = first.split()
    return int(number), has_room == "True", told


def test_a_process_takes_room_before_it_counts_and_gives_back_the_rest(tmp_path: Path) -> None:
    """All room is on the disk from the start, however little is counted; what was counted stays."""
    number, has_room, told = count(tmp_path)
    assert has_room and "tunewell_store_errors_total 7.0" in told and "tunewell_event_streams 1.0" in told
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    for file in files:  # none of it is left for the moment at which it is written to
        assert file.stat().st_blocks * 512 >= file.stat().st_size >= 1 << 16
    figures.give_back(tmp_path, number)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 20_000
    _, _, told = count(tmp_path)
    assert "tunewell_store_errors_total 14.0" in told and "tunewell_event_streams 1.0" in told


def test_without_room_a_process_counts_for_itself(tmp_path: Path) -> None:
    """It does its work all the same, and leaves nothing."""
    _, has_room, told = count(tmp_path / "nowhere")
    assert not has_room and "tunewell_store_errors_total 7.0" in told
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_never_counted(tmp_path: Path) -> None:
    """There is nothing to give back of it, and that is no error."""
    figures.give_back(tmp_path, 1)
    for kind in ("counter", "histogram"):
        (tmp_path / f"{kind}_1.db").touch()
    figures.give_back(tmp_path, 1)
