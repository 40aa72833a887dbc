"""Reporting from inside a trial, and outside of one."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tunewell.trial as trial
from tunewell.trial import files
from tunewell.trial.command import report_from_shell

FOREVER = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a trial that this process is in."""
    (tmp_path / "parameters.json").write_text('{"lr": 0.1, "layers": 3, "name": "sgd"}')
    for name, value in {
        "TUNEWELL_TRIAL_FOLDER": str(tmp_path),
        "TUNEWELL_PARAMETERS": str(tmp_path / "parameters.json"),
        "TUNEWELL_TRIAL": "7",
        "TUNEWELL_FIDELITY": "0.25",
        "TUNEWELL_SAMPLING": "0.5",
        "TUNEWELL_OUTPUT_DIR": str(tmp_path / "artifacts"),
        "TUNEWELL_CHECKPOINT_DIR": str(tmp_path / "checkpoint"),
    }.items():
        monkeypatch.setenv(name, value)
    yield tmp_path


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the reports in the file."""
    return [json.loads(line) for line in (folder / "reports.jsonl").read_text().splitlines()]


def steps(folder: Path) -> list[int]:
    """Return the steps of the reports in the file."""
    return [line["step"] for line in lines(folder)]


def test_a_line_a_report(folder: Path) -> None:
    """A report is one line with step, metrics and time."""
    trial.report(accuracy=0.5, loss=1)
    (line,) = lines(folder)
    assert line["step"] == 1 and line["metrics"] == {"accuracy": 0.5, "loss": 1.0} and line["time"] > 1e9


def test_mapping(folder: Path) -> None:
    """Metrics may come as a mapping, for names that are no identifiers, and together with keywords."""
    trial.report({"val/acc": 0.5, "self": 1}, loss=2, step=4)
    assert lines(folder)[0]["metrics"] == {"val/acc": 0.5, "self": 1.0, "loss": 2.0}


def test_steps_count_on(folder: Path) -> None:
    """Without a step it is 1, then the last one + 1."""
    for step in (None, None, 10, None, np.int64(3), None):
        trial.report(a=1, step=step)
    assert steps(folder) == [1, 2, 10, 11, 3, 4]


def test_steps_count_on_in_another_process(folder: Path) -> None:
    """A new process of the same trial counts on from what the file says, torn and foreign lines aside."""
    files.append_report(folder, 6, {"a": 1.0}, 0.0)
    with (folder / "reports.jsonl").open("ab") as file:
        file.write(files.report_line(40, {"a": 1.0}, 0.0, source="output") + b"garbage\n[1]\n")
    trial.report(a=1)
    assert (folder / "reports.jsonl").read_text().splitlines()[-1].startswith('{"step": 7,')


def test_values_that_are_numbers(folder: Path) -> None:
    """Whatever is a number can be reported, array elements included."""
    trial.report(a=np.float32(0.5), b=np.array(2), c=True, d=np.bool_(False), e=10**30)
    assert lines(folder)[0]["metrics"] == {"a": 0.5, "b": 2.0, "c": 1.0, "d": 0.0, "e": 1e30}


def test_values_that_are_not_finite(folder: Path) -> None:
    """NaN and infinities are written in valid JSON."""
    trial.report(a=math.nan, b=math.inf, c=-math.inf)
    text = (folder / "reports.jsonl").read_text()
    metrics = json.loads(text, parse_constant=lambda name: pytest.fail(f"bare {name}"))["metrics"]
    assert metrics == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    assert math.isnan(float(metrics["a"])) and float(metrics["c"]) == -math.inf


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1, 2], np.zeros(3), {"a": 1}, 1j, 10**400])
def test_values_that_are_no_numbers(folder: Path, value: Any) -> None:
    """Anything else is refused with the metric's name and the value's type, and nothing is written."""
    with pytest.raises(TypeError, match=f"metric 'a' is no number but {type(value).__name__}: "):
        trial.report(a=value)
    assert not (folder / "reports.jsonl").exists()


@pytest.mark.parametrize("step", [1.5, "3", [1]])
def test_step_that_is_no_step(folder: Path, step: Any) -> None:
    """A step must be a whole number."""
    with pytest.raises(TypeError, match="a step is a whole number"):
        trial.report(a=1, step=step)


def test_nothing_to_report(folder: Path) -> None:
    """A report without a metric is refused, with an example."""
    with pytest.raises(TypeError, match=r"such as report\(accuracy=0\.9\)"):
        trial.report(step=3)
    with pytest.raises(TypeError, match="a metric's name is text, not 3"):
        trial.report({3: 1})  # type: ignore[dict-item]


def test_stop_request(folder: Path) -> None:
    """Once the controller has asked for the end, every report is written and raises `Pruned`."""
    trial.report(a=1)
    assert not trial.current().should_stop
    (folder / "stop.json").write_text("{}")
    assert trial.current().should_stop
    for _ in range(2):
        with pytest.raises(trial.Pruned):
            trial.report(a=2)
    assert len(lines(folder)) == 3


def test_surroundings(folder: Path) -> None:
    """Parameters, number, fidelity and folders are those of the environment; folders are made on first use."""
    assert trial.parameters() == {"lr": 0.1, "layers": 3, "name": "sgd"}
    assert (trial.current().number, trial.fidelity(), trial.sampling()) == (7, 0.25, 0.5)
    assert not (folder / "checkpoint").exists() and not (folder / "artifacts").exists()
    assert trial.checkpoint_dir() == folder / "checkpoint" and trial.checkpoint_dir().is_dir()
    assert trial.output_dir() == folder / "artifacts" and trial.output_dir().is_dir()


def test_parameters_are_a_copy(folder: Path) -> None:
    """Changing the returned parameters changes nothing."""
    trial.parameters()["lr"] = 99
    assert trial.parameters()["lr"] == 0.1


def test_fail(folder: Path) -> None:
    """A declared failure is written down and ends the process with code 1."""
    with pytest.raises(SystemExit) as caught:
        trial.fail("data_error", "picture 7 is broken")
    assert isinstance(caught.value, trial.Failed) and caught.value.code == 1
    assert json.loads((folder / "failure.json").read_text()) == {
        "cause": "data_error",
        "detail": "picture 7 is broken",
    }


def test_fail_with_unknown_cause(folder: Path) -> None:
    """A cause that does not exist is refused with those that do."""
    with pytest.raises(ValueError, match="'oom' is no cause of a failure; use one of gpu_oom, host_oom"):
        trial.fail("oom", "")
    assert not (folder / "failure.json").exists()


def test_causes_are_known_to_the_rest() -> None:
    """Every cause that a trial may give is one that the rest of the system knows."""
    from tunewell.spec.states import DETERMINISTIC_CAUSES, Cause

    assert {Cause(cause) for cause in trial.CAUSES} >= DETERMINISTIC_CAUSES


def test_standalone(tmp_path: Path) -> None:
    """The same script runs by itself: no parameters, full training, metrics printed as metric lines."""
    program = (
        "import tunewell.trial as t\n"
        "t.report(accuracy=0.5, loss=float('nan'))\n"
        "t.report(accuracy=1/3)\n"
        "print(t.parameters(), t.fidelity(), t.sampling(), t.checkpoint_dir(), t.output_dir())\n"
        "t.fail('data_error', 'no pictures')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=FOREVER
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "step=1 accuracy=0.5 loss=nan",
        "step=2 accuracy=0.333333",
        "{} 1.0 1.0 checkpoint artifacts",
        "data_error: no pictures",
    ]


def test_many_writers(folder: Path) -> None:
    """Reports of several processes at once never mix in one line."""
    program = "import tunewell.trial as t\nfor i in range(200): t.report({'m' * 3000: i})"
    writers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [writer.wait(FOREVER) for writer in writers] == [0, 0, 0]
    assert len(lines(folder)) == 600


def test_many_threads(folder: Path) -> None:
    """Reports of several threads at once are numbered one by one, from the first on."""
    together = threading.Barrier(8, timeout=FOREVER)

    def write() -> None:
        together.wait()
        for _ in range(50):
            trial.report(a=1)

    threads = [threading.Thread(target=write) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert steps(folder) == list(range(1, 401))


def test_a_trial_can_be_sent_to_another_process(folder: Path) -> None:
    """Training code may pass its trial on to workers that are spawned."""
    there = pickle.loads(pickle.dumps(trial.current()))
    assert (there.number, there.parameters) == (7, trial.parameters())


@pytest.mark.parametrize("room", [0, 5])
def test_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """On a full disk a report waits until there is room for all of it, says so once, and leaves no torn line."""
    trial.report(a=1)
    left, write = [room], os.write

    def write_some(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    def wait(seconds: float) -> None:
        assert len(lines(folder)) == 1
        waits.append(seconds)
        left[0] = room if len(waits) < 3 else 1 << 20

    waits: list[float] = []
    monkeypatch.setattr(files.os, "write", write_some)
    monkeypatch.setattr(files.clock, "sleep", wait)
    trial.report(a=2)
    assert [line["metrics"]["a"] for line in lines(folder)] == [1, 2] and len(waits) == 3
    assert capsys.readouterr().err == "tunewell: the disk is full; waiting for room for a report\n"


@pytest.mark.parametrize(("blocks", "error", "full"), [(5, 0, False), (0, 0, False), (0, errno.ENOSPC, True)])
def test_full_disks_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, error: int, full: bool
) -> None:
    """A disk is full where it says so and a file finds no room; file systems that know no numbers just say so."""
    disk = SimpleNamespace(f_bfree=blocks, f_bavail=blocks, f_ffree=9, f_favail=9)
    monkeypatch.setattr(files.os, "statvfs", lambda folder: disk)
    if error:

        def refuse(descriptor: int, data: bytes) -> int:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(files.os, "write", refuse)
    before = list(folder.iterdir())
    assert files.is_full(folder) is full
    assert list(folder.iterdir()) == before


def test_a_report_behind_a_torn_line(folder: Path) -> None:
    """A report that comes behind a line without its end begins a line of its own."""
    (folder / "reports.jsonl").write_text('{"step": 4, "metr')
    trial.report(a=2)
    first, second = (folder / "reports.jsonl").read_text().splitlines()
    assert first == '{"step": 4, "metr' and json.loads(second)["metrics"] == {"a": 2}


def test_from_a_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tunewell report` reports name=number arguments; `step` is the step."""
    assert report_from_shell(["accuracy=0.5", "val/loss=nan", "step=4"]) == 0
    assert (lines(folder)[0]["step"], lines(folder)[0]["metrics"]) == (4, {"accuracy": 0.5, "val/loss": "NaN"})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["accuracy"], "accuracy: this is not name=number"),
        (["accuracy=high"], "accuracy=high: this is not name=number"),
        (["=1"], "=1: this is not name=number"),
        (["a=1", "step=1.5"], "step=1.5: this is not a whole number"),
        (["step=1"], "There is no metric to report"),
        ([], "There is no metric to report"),
    ],
)
def test_wrong_shell_arguments(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    """A wrong argument is named, with an example, and nothing is reported."""
    assert report_from_shell(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(problem) and "tunewell report accuracy=0.9" in error
    assert not (folder / "reports.jsonl").exists()


def test_shell_learns_of_the_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code tells a script that the trial is to end, or that the report was lost."""
    (folder / "stop.json").write_text("{}")
    assert report_from_shell(["a=1"]) == 3
    (folder / "reports.jsonl").unlink()
    (folder / "reports.jsonl").mkdir()
    assert report_from_shell(["a=1"]) == 1


def test_import_is_light() -> None:
    """Importing what runs inside a trial loads nothing but a few parts of the standard library."""
    program = (
        "import sys; before = set(sys.modules); import tunewell, tunewell.trial; print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert roots - set(sys.stdlib_module_names) == {"tunewell"}
    assert not {"dataclasses", "inspect", "asyncio", "typing_extensions", "subprocess", "logging"} & roots
    assert {name for name in loaded if name.startswith("tunewell.")} == {
        "tunewell.trial",
        "tunewell.trial.context",
        "tunewell.trial.files",
        "tunewell.trial.trial",
    }
