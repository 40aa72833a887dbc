"""What a worker tells the service of a run, over a service that takes what it promises to take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.serving import Served, serving
from tests.worker.running import SPEC
from tunewell.schedulers.leases import Board
from tunewell.schedulers.records import make_folder, mark_of_exit, read_exit, write_exit
from tunewell.schedulers.report_reader import ReportReader
from tunewell.spec.launch import AttemptKey, Exit, Launch, Report
from tunewell.spec.states import Cause
from tunewell.trial import files
from tunewell.worker.courier import Courier

NOW = 1_800_000_000.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service with an attempt that a worker has."""
    with serving(tmp_path / "home") as served:
        served.client().create(SPEC)
        key = AttemptKey("w", 1, 1)
        with served.service.store.transaction() as tx:
            tx.add_trial("w", 1, {"x": 0.5}, "random", 1.0, None)
            tx.start_attempt(key, "w 1")
        served.service.home.claim("w")
        make_folder(served.service.home.place(key), "w 1")
        board = Board(served.service.home.experiment("w"))
        board.offer(Launch(key, served.service.home.place(key), "w 1"))
        yield served


def courier(served: Served, here: Path) -> tuple[Courier, Path]:
    """Return the courier of a run, and the attempt's folder at the service."""
    client = served.client()
    trial = client.suggest("w", "a", wait=0).trial
    assert trial is not None
    here.mkdir(exist_ok=True)
    return Courier(client, trial, here, here.name), served.service.home.place(AttemptKey("w", 1, 1))


def test_whatever_a_program_reports_arrives(served: Served, tmp_path: Path) -> None:
    """Many reports, names and numbers that are none of the usual: nothing of it is refused by the service."""
    one, folder = courier(served, tmp_path / "1-1")
    for step in range(1, 1500):
        one.add(Report(step, {"accuracy": step / 1e4}, NOW))
    one.add(Report(2**60, {"accuracy": math.nan, "a\nb": 1.0, "n" * 500: math.inf, "": 2.0}, NOW))
    one.add(Report(1501, {f"m{number}": 1.0 for number in range(1000)}, NOW))
    for step in range(1502, 1520):
        one.add(Report(step, {f"{number:0200}": 1.0 for number in range(200)}, NOW))
    assert one.carry() and not one.is_over
    reports = ReportReader(folder).read_rest()
    assert len(reports) == 1499 + 2 + 18
    assert len(reports[1500].metrics) == 200 and math.isnan(reports[1499].metrics["accuracy"])


def test_a_log_follows_on_what_earlier_runs_have_printed(served: Served, tmp_path: Path) -> None:
    """Each run's output is there once, in pieces of whatever size."""
    first, folder = courier(served, tmp_path / "1-1")
    (tmp_path / "1-1" / files.OUTPUT).write_bytes(b"one\n")
    assert first.carry()
    second, _ = courier(served, tmp_path / "1-2")
    log = tmp_path / "1-2" / files.OUTPUT
    log.write_bytes(b"x" * (3 << 20))
    assert second.carry()
    log.write_bytes(log.read_bytes() + b"two\n")
    assert second.carry() and second.carry()
    assert (folder / files.OUTPUT).read_bytes() == b"one\n" + b"x" * (3 << 20) + b"two\n"


def test_the_end_is_that_of_the_run(served: Served, tmp_path: Path) -> None:
    """With cause, detail and exit code; told twice, it is there once."""
    one, folder = courier(served, tmp_path / "1-1")
    exit_ = Exit(Cause.CRASHED, "ValueError: bad luck" + "!" * 5000, 1)
    for _ in range(2):
        assert one.complete(exit_, handed_back=False)
    found = read_exit(folder)
    assert found is not None and (found.cause, found.exit_code) == (Cause.CRASHED, 1)
    assert found.detail.startswith("ValueError: bad luck") and len(found.detail) == 2000
    assert mark_of_exit(folder) and not one.is_over


def test_what_was_taken_back_is_noticed(served: Served, tmp_path: Path) -> None:
    """Whichever word is the next: nothing more is told, and that is no error."""
    one, folder = courier(served, tmp_path / "1-1")
    write_exit(folder, Exit(Cause.NODE_LOST))
    before = json.loads((folder / "exit.json").read_text())
    one.add(Report(1, {"accuracy": 0.5}, NOW))
    assert one.carry() and one.is_over
    assert one.complete(Exit(), handed_back=False) and one.carry()
    assert json.loads((folder / "exit.json").read_text()) == before
