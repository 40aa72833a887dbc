"""From a trial's pipe to its log, and from the metric lines in it to its reports: nothing that it prints is lost.

The trial prints into a pipe. Its supervisor writes what comes out of it to output.log, and what it finds in there to
reports.jsonl. Where there is no room for either it waits and takes no more; then the trial waits too, as soon as the
pipe is full. So a full disk costs time, and no line.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from tunewell.schedulers.metric_lines import MetricLines
from tunewell.schedulers.report_reader import parse_report
from tunewell.trial import files

#: Bytes that one step takes out of the pipe: a chatty trial must not keep its supervisor from its other work.
STEP_BYTES = 64 << 10
#: Size of the pipe where the system allows it: what a trial may print while its supervisor looks elsewhere.
PIPE_BYTES = 1 << 20
#: Errors that may pass: those of a full disk, and of one that fails.
_PASSING = files.NO_ROOM | {errno.EIO, errno.ENFILE, errno.EMFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN}


class Output:
    """One trial's output on its way."""

    def __init__(self, folder: Path, pattern: str | None, metric: str) -> None:
        """Make the pipe and the log. `pattern` finds metrics (None: look for none), `metric` is the objective.

        Raises OSError.
        """
        self._log = os.open(folder / files.OUTPUT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._pipe, self.trials_end = os.pipe()
        os.set_blocking(self._pipe, False)
        with suppress(OSError, AttributeError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._lines = MetricLines(pattern, metric) if pattern is not None else None
        self._reports = ReportFile(folder, metric)
        self._unlogged = b""
        #: Whether something waits for room on the disk.
        self.waits = False
        #: Why the output or what it holds can't be written, and never will be; empty while it can.
        self.problem = ""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that are not the trial's."""
        return (self._log, self._pipe)

    @property
    def link(self) -> str:
        """What /proc calls the pipe: whatever prints to it belongs to the trial."""
        return f"pipe:[{os.fstat(self._pipe).st_ino}]"

    def step(self) -> bool:
        """Take the next piece of output on its way; return whether there may be more at once."""
        self._write()
        if self.waits:
            return False
        data = self._read()
        self._unlogged = data
        if self._lines is not None:
            self._reports.add(self._lines.feed(data))
        self._write()
        return len(data) == STEP_BYTES

    def finish(self) -> bool:
        """Write what is left when the trial has ended; return whether all is written. May be called again."""
        for _ in range(PIPE_BYTES // STEP_BYTES + 1):  # no more than the pipe held when the trial ended
            if not self.step():
                break
        if self.waits:
            return False
        if self._lines is not None:
            self._reports.add(self._lines.finish())
        self._reports.complete = True
        self._write()
        return not self.waits

    def notes(self) -> tuple[str, ...]:
        """Return sentences on what was printed and does not count; to be called when all is written."""
        if self._lines is None:
            return ()
        if not self._reports.trial_reports:
            return self._lines.notes()
        if self._lines.found and not self._reports.hold_metric():
            return (f"Printed metrics don't count once a program reports in another way: {self._lines.found}.",)
        return ()

    def close(self) -> None:
        """Let go of pipe and log; whoever still prints gets an error."""
        os.close(self._pipe)
        os.close(self._log)

    def _read(self) -> bytes:
        try:
            return os.read(self._pipe, STEP_BYTES)
        except BlockingIOError:
            return b""

    def _write(self) -> None:
        self.waits = False
        try:
            while self._unlogged:
                self._unlogged = self._unlogged[os.write(self._log, self._unlogged) :]
            self._reports.write()
        except OSError as error:
            if error.errno in _PASSING:
                self.waits = True
            else:
                self.problem = error.strerror or str(error)
                self._unlogged = b""
                self._reports.give_up()


class ReportFile:
    """reports.jsonl, as the supervisor appends to it what it finds in the output, until the trial reports by itself.

    What somebody else has written is told by what it says, not by its size: a line that is no report changes nothing.
    """

    def __init__(self, folder: Path, metric: str) -> None:
        """Begin with a file that may hold anything."""
        self._path = folder / files.REPORTS
        self._metric = metric
        self._unwritten = b""
        #: Up to where the file is known.
        self._offset = 0
        self._rest = b""
        self.trial_reports = False
        #: Whether nobody writes to the file any more: then a last line without its end is all there will be of it.
        self.complete = False

    def add(self, lines: bytes) -> None:
        """Have lines written with the next `write`."""
        if not self.trial_reports:
            self._unwritten += lines

    def give_up(self) -> None:
        """Forget what is to be written."""
        self._unwritten = b""

    def write(self) -> None:
        """Write what there is to be written, all or nothing of it.

        Raises OSError.
        """
        if not self._unwritten:
            return
        with files.open_shared(self._path) as descriptor:
            self._look(descriptor)
            if self.trial_reports:
                self._unwritten = b""
            elif not self._rest or self.complete:
                files.append(descriptor, self._unwritten)
                self._unwritten, self._rest = b"", b""
                self._offset = os.fstat(descriptor).st_size
            # Else somebody is in the midst of a line.

    def hold_metric(self) -> bool:
        """Whether the objective is among what is reported."""
        try:
            return json.dumps(self._metric).encode() in self._path.read_bytes()
        except OSError:
            return False

    def _look(self, descriptor: int) -> None:
        """Take note of what others have written meanwhile."""
        size = os.fstat(descriptor).st_size
        if size < self._offset:  # emptied by the trial
            self._offset, self._rest = 0, b""
        foreign = self._rest
        while self._offset < size and (data := os.pread(descriptor, 1 << 20, self._offset)):
            foreign += data
            self._offset += len(data)
        if foreign and self._unwritten.startswith(foreign):  # a piece of ours that could not be taken back
            self._offset -= len(foreign)
            os.ftruncate(descriptor, self._offset)
            foreign = b""
        *lines, self._rest = foreign.split(b"\n")
        if self.complete:
            lines.append(self._rest)
        self.trial_reports = any(map(_is_of_the_trial, lines))


def _is_of_the_trial(line: bytes) -> bool:
    report = parse_report(line) if line.strip() else None
    return report is not None and bool(report.metrics) and not report.from_output
