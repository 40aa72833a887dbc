"""From a trial's pipe to its log and its reports, with room on the disk and without."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewell.schedulers.output import PIPE_BYTES, STEP_BYTES, Output
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN
from tunewell.trial import files


class Printer:
    """A trial that prints into its pipe, and the supervisor's end of it."""

    def __init__(self, folder: Path) -> None:
        """Begin with an empty output."""
        self.folder = folder
        self.output = Output(folder, DEFAULT_METRIC_PATTERN, "loss")

    def print(self, text: str) -> None:
        """Print text and have it taken."""
        os.write(self.output.trials_end, text.encode())
        while self.output.step():
            pass

    def report(self, data: bytes) -> None:
        """Append to the reports as a program in any language does."""
        with (self.folder / "reports.jsonl").open("ab") as file:
            file.write(data)

    def log(self) -> str:
        """Return the log."""
        return (self.folder / "output.log").read_text()

    def reports(self) -> list[tuple[int, dict[str, float]]]:
        """Return all reports so far as (step, metrics), own ones of the trial without a step as step 0."""
        path = self.folder / "reports.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [(line.get("step", 0), line["metrics"]) for line in lines]

    def losses(self) -> list[float]:
        """Return the losses that were reported."""
        return [metrics["loss"] for _, metrics in self.reports()]


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[Printer]:
    """A printer in a folder of its own."""
    printer = Printer(tmp_path)
    yield printer
    printer.output.close()
    os.close(printer.output.trials_end)


class Disk:
    """Stands in for `os.write` on a disk that is full now and then, and takes a part of what comes last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with all the room there is."""
        self.room = 1 << 40
        self.error = errno.ENOSPC
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what fits."""
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return self._write(descriptor, data)
        if not self.room:
            raise OSError(self.error, os.strerror(self.error))
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk whose room a test sets."""
    return Disk(monkeypatch)


def test_log_and_reports(printer: Printer) -> None:
    """What is printed is in the log as it is, and its metrics are reported, of a last line without its end too."""
    printer.print("hello\nloss=3\nlos")
    printer.print("s=2")
    assert printer.output.finish()
    assert printer.log() == "hello\nloss=3\nloss=2"
    assert printer.reports() == [(1, {"loss": 3.0}), (2, {"loss": 2.0})]


def test_without_a_pattern(tmp_path: Path) -> None:
    """Where no metrics are looked for, the output goes to the log alone."""
    output = Output(tmp_path, None, "loss")
    os.write(output.trials_end, b"loss=1\n")
    assert output.finish() and output.notes() == ()
    assert (tmp_path / "output.log").read_text() == "loss=1\n" and not (tmp_path / "reports.jsonl").exists()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("room", range(0, 260, 13))
def test_a_full_disk_loses_nothing(printer: Printer, disk: Disk, room: int, error: int) -> None:
    """Wherever the room ends, in the log or in the reports, all is there in its order once there is room again."""
    disk.room, disk.error = room, error
    text = "".join(f"step={step} loss={step}.25\n" for step in range(1, 5))
    printer.print(text)
    printer.output.step()
    assert printer.output.waits and not printer.output.finish()
    disk.room = 50
    printer.output.step()
    disk.room = 1 << 40
    printer.print("step=5 loss=5.25\n")
    assert printer.output.finish() and not printer.output.waits
    assert printer.log() == text + "step=5 loss=5.25\n"
    assert printer.reports() == [(step, {"loss": step + 0.25}) for step in range(1, 6)]


def test_the_trial_waits_on_a_full_disk(printer: Printer, disk: Disk) -> None:
    """On a full disk no more is taken out of the pipe than one piece, so that a trial that goes on printing waits."""
    disk.room = 0
    os.set_blocking(printer.output.trials_end, False)
    sent = 0
    with pytest.raises(BlockingIOError):
        for _ in range(2 * PIPE_BYTES // STEP_BYTES + 2):
            sent += os.write(printer.output.trials_end, b"x" * (STEP_BYTES - 1) + b"\n")
            printer.output.step()
    disk.room = 1 << 40
    while printer.output.step():
        pass
    assert printer.output.finish() and len(printer.log()) == sent


def test_own_torn_reports_are_none_of_the_trial(printer: Printer, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written report that can't even be taken back is not taken for the trial's, and is completed."""
    monkeypatch.setattr(os, "ftruncate", lambda descriptor, size: None)
    disk.room = len("loss=1\n") + 20
    printer.print("loss=1\n")
    assert printer.output.waits and (printer.folder / "reports.jsonl").stat().st_size == 20
    monkeypatch.undo()
    printer.print("loss=2\n")
    assert printer.output.finish() and printer.losses() == [1.0, 2.0]


def test_room_in_the_midst_of_a_file_system(tmp_path: Path) -> None:
    """On a real disk without room, and on one without room for more files, everything printed is there in the end."""
    for options in ("size=1m", "nr_inodes=4"):
        place = tmp_path / options
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")
        try:
            printer = Printer(place)
            filler = [place / str(number) for number in range(2)] if "inodes" in options else [place / "filler"]
            for path in filler:
                with path.open("wb", buffering=0) as file:
                    while "inodes" not in options and _writes(file.fileno(), bytes(4096)):
                        pass
            assert files.is_full(place)
            text = "".join(f"loss={number}\n" for number in range(2_000))
            printer.print(text)
            assert not printer.output.finish()
            for path in filler:
                path.unlink()
            assert not files.is_full(place)
            assert printer.output.finish() and printer.losses() == list(range(2_000))
            printer.output.close()
            os.close(printer.output.trials_end)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def _writes(descriptor: int, data: bytes) -> bool:
    try:
        os.write(descriptor, data)
    except OSError:
        return False
    return True


def test_a_log_that_may_not_grow(printer: Printer) -> None:
    """A limit on the size of files is a problem that does not pass: it is told, and the trial is not kept waiting."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        printer.print("x" * 3000 + "\nloss=1\n")
        printer.print("loss=2\n")
        assert printer.output.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert printer.output.problem == "File too large"


def test_a_folder_that_is_gone(printer: Printer) -> None:
    """Reports that can go nowhere are given up."""
    for path in printer.folder.iterdir():
        path.unlink()
    printer.folder.rmdir()
    printer.print("loss=1\n")
    assert printer.output.finish() and printer.output.problem


def test_silent_once_the_trial_reports(printer: Printer) -> None:
    """Nothing printed counts after the trial's own first report, but for a note if it never reports the objective."""
    printer.print("loss=3\n")
    printer.report(b'{"step": 1, "metrics": {"other": 2}, "time": 0}\n')
    printer.print("loss=1\n")
    assert printer.output.finish()
    assert printer.reports() == [(1, {"loss": 3.0}), (1, {"other": 2})]
    printer.report(b'{"loss": 2}\n')
    assert printer.output.notes() == ()


def test_printed_values_that_do_not_count_are_noted(printer: Printer) -> None:
    """A program that reports other metrics and prints the objective is told why that does not count."""
    printer.report(b'{"metrics": {"other": 2}}\n')
    printer.print("loss=1\n")
    assert printer.output.finish()
    assert printer.output.notes() == (
        "Printed metrics don't count once a program reports in another way: line 1 of the output, 'loss=1'.",
    )


@pytest.mark.parametrize("foreign", [b"garbage\n", b"[1]\n", b'{"metrics": {}}\n', b'{"loss": "high"}\n', b"\n"])
def test_what_is_no_report_changes_nothing(printer: Printer, foreign: bytes) -> None:
    """A foreign line that is no report does not end the counting of metric lines."""
    printer.print("loss=3\n")
    printer.report(foreign)
    printer.print("loss=2\n")
    assert printer.output.finish()
    data = (printer.folder / "reports.jsonl").read_bytes()
    assert data.count(b'"source": "output"') == 2 and foreign in data


def test_a_report_in_the_midst_of_being_written(printer: Printer) -> None:
    """A line that the trial has begun is not torn by those found in its output; what it turns out to be decides."""
    printer.report(b'{"loss"')
    printer.print("loss=3\n")
    assert (printer.folder / "reports.jsonl").read_bytes() == b'{"loss"'
    printer.report(b": 1}\n")
    printer.print("loss=2\n")
    assert printer.output.finish()
    assert (printer.folder / "reports.jsonl").read_bytes() == b'{"loss": 1}\n'


@pytest.mark.parametrize(("foreign", "count"), [(b'{"loss": 1}', 0), (b'{"loss', 1)])
def test_a_report_without_its_end(printer: Printer, foreign: bytes, count: int) -> None:
    """A last line of the trial that never gets its end counts if it is a report, and else harms nothing."""
    printer.report(foreign)
    printer.print("loss=3\n")
    assert printer.output.finish()
    data = (printer.folder / "reports.jsonl").read_bytes()
    assert data.startswith(foreign) and data.count(b'"source": "output"') == count


def test_burst(printer: Printer) -> None:
    """A hundred thousand lines that are printed as fast as can be are all reported, step by step."""
    lines = b"".join(b"step=%d loss=%d\n" % (number, number) for number in range(100_000))
    os.set_blocking(printer.output.trials_end, False)
    begin, steps = time.process_time(), 0
    while lines:
        try:
            lines = lines[os.write(printer.output.trials_end, lines) :]
        except BlockingIOError:
            printer.output.step()
            steps += 1
    assert printer.output.finish()
    assert printer.losses() == list(range(100_000))
    assert steps > 10 and time.process_time() - begin < 30
