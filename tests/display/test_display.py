"""What a search looks like in a terminal and in plain lines."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from tests.controller.fakes import Bench
from tunewell.display.lines import ProgressLines, trial_line
from tunewell.display.live import CALM, render
from tunewell.display.wording import best_text, counts_text, parameters_text
from tunewell.service.runs import Situation
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, TrialState
from tunewell.store.rows import AttemptEnd


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


def printed(bench: Bench, *steps: Callable[[], None]) -> list[str]:
    """Return the lines about a search that is looked at after each step."""
    text = io.StringIO()
    lines = ProgressLines(Service(bench.home.folder), "signs", text)
    for step in steps:
        step()
        lines.close()
    return text.getvalue().splitlines()


def numbers(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the trials that have a line."""
    return [int(found[1]) for line in lines if (found := re.match(r"trial (\d+)/", line))]


def finish(bench: Bench, *trials: int, now: float | None = None) -> Callable[[], None]:
    """Return a step that records the ends of these trials, at a moment that clocks may have moved."""

    def record() -> None:
        with bench.store.transaction() as tx:
            for number in range(sum(bench.store.experiment("signs").counts.values()) + 1, max(trials) + 1):
                tx.add_trial("signs", number, {"x": number}, "random", 1.0, None)
                tx.start_attempt(AttemptKey("signs", number, 1), now=now)
            for number in trials:
                tx.finish_trial(AttemptKey("signs", number, 1), AttemptEnd(TrialState.SUCCEEDED, value=0.5, now=now))

    return record


def test_each_end_has_its_line_once(bench: Bench) -> None:
    """Ends are recorded in another order than that of their numbers and their times, and some at once."""
    told = printed(bench, finish(bench, 9, 7, now=2000.0), finish(bench, 8, now=1000.0), finish(bench, 12, 10, 11))
    assert numbers(told) == [9, 7, 8, 12, 10, 11]


def test_many_ends_between_two_looks_are_told_together(bench: Bench) -> None:
    """More than ten ends are one line; what ends after them has a line of its own again, and none is told twice."""
    told = printed(bench, finish(bench, *range(20, 31)), finish(bench, 31), lambda: None)
    assert told[0].startswith("13/20 trials ended, best accuracy")
    assert numbers(told) == [31]
    exactly = printed(bench, finish(bench, *range(40, 50)))
    assert numbers(exactly) == list(range(40, 50))


def test_what_is_tried_again_hides_no_end(bench: Bench) -> None:
    """Trials that go back to waiting take no line from others, and those from before are not told again."""

    def again() -> None:
        with bench.store.transaction() as tx:
            tx.retry_trial("signs", 2)
        finish(bench, 7)()

    assert numbers(printed(bench, finish(bench, 5, 6), again, lambda: None)) == [5, 6, 7]


def test_a_later_attempt_tells_its_own_time(bench: Bench) -> None:
    """After a kill, a trial's line has the time of its last attempt, and says which one that was."""
    now = Service(bench.home.folder).overview("signs")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    facts = {"attempts": 2, "cost_seconds": 100.0, "start": start, "end": start + timedelta(seconds=40)}
    assert "in 40 s  (attempt 2)" in trial_line(now, now.ended[1].model_copy(update=facts))
    assert "attempt" not in trial_line(now, now.ended[1])


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_parameters_go_before_numbers_and_values(tmp_path: Path, width: int) -> None:
    """However long names and values are: number and value of a trial stand there in full, then as much as fits."""
    bench = Bench(tmp_path)
    names = [f"rate_{place}_of_something_that_has_a_long_name" for place in range(7)]
    parameters = {name: {"low": 0.0, "high": 1.0} for name in names}
    bench.create(
        "signs", parameters=parameters, objective={"metric": "validation_average_precision", "goal": "maximize"}
    )
    with bench.store.transaction() as tx:
        for number in range(1, 988):
            tx.add_trial("signs", number, dict.fromkeys(names, 0.123456789), "random", 1.0, None)
            tx.start_attempt(AttemptKey("signs", number, 1))
        tx.finish_trial(AttemptKey("signs", 987, 1), AttemptEnd(TrialState.SUCCEEDED, value=0.000012345678))
        detail = "the parameters are not possible: " + 30 * "word "
        end = AttemptEnd(TrialState.FAILED, cause=Cause.INVALID_PARAMETERS, detail=detail)
        tx.finish_trial(AttemptKey("signs", 1, 1), end)
    lines = drawn(bench, width).splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.strip().startswith("987")]
    assert len(rows) == 1 and "1.235e-05" in rows[0]
    heading = next(line for line in lines if line.startswith("trial"))
    shown = sum(name[:17] in heading for name in names)
    assert f"+{7 - shown}" in heading or shown == 7 or width < 60
    assert shown >= {40: 0, 60: 0, 80: 1, 120: 3, 200: 7}[width]
    bench.store.close()


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
