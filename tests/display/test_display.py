"""What a search looks like in a terminal and in plain lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.controller.fakes import Bench
from tunewell.display.lines import ProgressLines, trial_line
from tunewell.display.live import CALM, render
from tunewell.display.wording import best_text, counts_text, parameters_text
from tunewell.service.runs import Situation
from tunewell.service.service import Service
from tunewell.spec.states import Cause


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A search in the middle: one trial succeeded, one failed, two run, one of them has reported."""
    bench = Bench(tmp_path)
    bench.create("signs", max_trials=20)
    bench.add("signs")
    bench.step()
    bench.scheduler.report(1, 0.98765432)
    bench.scheduler.end(1)
    bench.scheduler.end(2, Cause.GPU_OOM, "CUDA out of memory")
    bench.step()
    bench.scheduler.report(3, 0.5, step=7)
    bench.step()
    yield bench
    bench.store.close()


def drawn(bench: Bench, width: int, rows: int = 10, run: Situation = CALM) -> str:
    """Return the live view as text."""
    console = Console(file=io.StringIO(), width=width, height=40, force_terminal=False)
    console.print(render(Service(bench.home.folder).overview("signs"), width, rows, run))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_live_view_shows_what_matters(bench: Bench) -> None:
    """Name, best value, progress, causes, running trials with their last step and rounded numbers are there."""
    text = drawn(bench, 100)
    for part in (
        "signs",
        "best accuracy 0.9877 (trial 1)",
        "2/20 trials",
        "gpu_oom",
        "running",
        "0.5",
        "7",
        "CUDA out of memory",
        "Ctrl-C",
    ):
        assert part in text, text
    assert "0.98765432" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_live_view_fits_the_terminal(bench: Bench, width: int) -> None:
    """No line is wider than the terminal, and there are no more trials than rows."""
    lines = drawn(bench, width, rows=3).splitlines()
    assert max(len(line) for line in lines) <= width
    assert sum("✓" in line or "✗" in line or "●" in line for line in lines) <= 3


def test_live_view_says_what_it_waits_for(bench: Bench) -> None:
    """A problem of the store, an interruption, and work that is no trial are told."""
    assert "the disk is full" in drawn(bench, 100, run=Situation("the disk is full", interrupted=False))
    assert "Ctrl-C again" in drawn(bench, 100, run=Situation("", interrupted=True))
    assert "Writing the report …" in drawn(bench, 100, run=Situation("", False, "Writing the report …"))


def test_live_view_before_anything_happened(tmp_path: Path) -> None:
    """Before the first trial there is nothing but what is prepared."""
    bench = Bench(tmp_path)
    bench.create("signs")
    text = drawn(bench, 80, run=Situation("", False, "Preparing the data: decoding 0.4"))
    assert text.splitlines()[0] == "Preparing the data: decoding 0.4"
    assert "trials" not in text and "Ctrl-C" in text
    bench.store.close()


def test_lines_tell_what_is_done_beside_trials(bench: Bench) -> None:
    """Each thing that a search does beside its trials is one line, however far it is; so is what it waits for."""
    text = io.StringIO()
    lines = ProgressLines(Service(bench.home.folder), "signs", text)
    for doing in ("Evaluating: share 0.2", "Evaluating: share 0.4", "", "Writing the report …"):
        lines.update(Situation("", False, doing))
    lines.update(Situation("the disk is full", False))
    assert text.getvalue().splitlines() == ["Evaluating …", "Writing the report …", "waiting: the disk is full"]


def test_lines_tell_value_or_cause(bench: Bench) -> None:
    """A trial's line has its value and parameters, or why it failed."""
    now = Service(bench.home.folder).overview("signs")
    failed, good = (trial_line(now, trial) for trial in now.ended)
    assert "trial 1/20 succeeded  accuracy 0.9877" in good
    assert "x=0" in good
    assert "(gpu_oom) CUDA out of memory" in failed


def test_wording(bench: Bench) -> None:
    """Counts name the states that occur; parameters are rounded."""
    result = Service(bench.home.folder).result("signs")
    assert counts_text(result) == "2 running, 1 succeeded, 1 failed"
    assert best_text(result) == "best accuracy 0.9877 (trial 1)"
    assert parameters_text({"rate": 0.00212345, "flip": True, "name": "sgd"}) == "rate=0.00212 flip=true name=sgd"


def test_an_outage_is_told_with_its_end(bench: Bench) -> None:
    """Lines say what is waited for, once, and when an outage of the database is over."""
    text = io.StringIO()
    lines = ProgressLines(Service(bench.home.folder), "signs", text)
    for problem in ("the server is gone.", "the server is gone.", ""):
        lines.update(Situation(problem, False, absent=bool(problem)))
    assert text.getvalue().splitlines() == ["waiting: the server is gone.", "The database is reached again."]
