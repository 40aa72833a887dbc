"""Reading an attempt's reports as they are written, whatever writes them."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tunewell.spec.format import is_moment
from tunewell.spec.launch import Report
from tunewell.spec.metric_line import read_number
from tunewell.spec.text import quoted
from tunewell.trial import files

#: Bytes that one call reads at most.
CHUNK_BYTES = 128 << 10
#: Bytes before those that are new which must be as they were: a report has the time, so they tell files apart.
TAIL_BYTES = 256
#: A longer line is no report.
LONGEST_LINE = 1 << 20


class ReportReader:
    """Gives each report in an attempt's folder once, in the order of the file.

    A report is an object with `metrics` and, if it likes, `step` and `time`; a plain object of numbers
    (`{"accuracy": 0.9, "step": 3}`) will do. Without a step it is the one after the last. Lines that are nothing
    of the kind are counted in `skipped`. What the supervisor found in the output counts until the trial reports
    by itself.
    """

    def __init__(self, folder: Path, metric: str = "", clock: Callable[[], float] = time.time) -> None:
        """Begin at the first report; `metric` is the objective, `clock` dates those that have no time."""
        self.skipped = 0
        self._path = folder / files.REPORTS
        self._metric = metric
        self._clock = clock
        self._offset = 0
        #: The last bytes that were read, and what the file looked like then: whether it is still the same one.
        self._tail = b""
        self._looked: tuple[int, int, int] | None = None
        self._rest = b""
        self._in_long_line = False
        self._number = 0
        self._last_step: int | None = None
        self._trial_reports = False
        #: The first line that was skipped, and the last one whose objective is no number.
        self._first_skipped = ""
        self._no_number = ""
        self._no_numbers = 0

    def read(self) -> list[Report]:
        """Return the next new reports, none if there are none or the file can't be read just now."""
        reports = [self._take(line) for line in self._new_lines()]
        return [report for report in reports if report is not None]

    @property
    def position(self) -> int:
        """How many bytes have been read: as many after a `read` as before it, there is nothing more just now."""
        return self._offset

    def read_rest(self) -> list[Report]:
        """Return all reports left, the file being complete; its last line need not have an end."""
        reports: list[Report] = []
        before = -1
        while self._offset != before:
            before = self._offset
            reports += self.read()
        if self._rest.strip() and not self._in_long_line:
            report = self._take(self._rest)
            reports += [report] if report is not None else []
        self._rest = b""
        return reports

    def notes(self) -> tuple[str, ...]:
        """Return sentences on what does not count."""
        notes = []
        if self.skipped:
            are = "1 line of reports.jsonl is no report" if self.skipped == 1 else ""
            are = are or f"{self.skipped} lines of reports.jsonl are no reports; the first"
            notes.append(f"{are}: {self._first_skipped}.")
        if self._no_number:
            times = "" if self._no_numbers == 1 else f" {self._no_numbers} times, the last time"
            notes.append(f"{self._metric} was reported without a number{times} in {self._no_number}.")
        return tuple(notes)

    def _new_lines(self) -> list[bytes]:
        try:
            data = self._new_bytes()
        except OSError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._in_long_line:
            self._in_long_line = False
            self._number += 1
            del lines[0]
        if len(self._rest) > LONGEST_LINE:
            if not self._in_long_line:
                self._skip(f"line {self._number + len(lines) + 1}, longer than {LONGEST_LINE >> 20} MiB")
            self._in_long_line = True
        if self._in_long_line:
            self._rest = b""
        return lines

    def _new_bytes(self) -> bytes:
        status = os.stat(self._path)  # noqa: PTH116 (asked ten times a second for each attempt)
        looked = (status.st_ino, status.st_size, status.st_mtime_ns)
        if looked == self._looked and status.st_size == self._offset:
            return b""
        # Should it be a pipe, opening and reading must not block.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if os.pread(descriptor, len(self._tail), self._offset - len(self._tail)) != self._tail:
                # Emptied, or replaced by the trial: what it holds now is new.
                self._offset, self._tail, self._rest, self._in_long_line, self._number = 0, b"", b"", False, 0
            data = os.pread(descriptor, CHUNK_BYTES, self._offset)
        finally:
            os.close(descriptor)
        self._looked = looked
        self._offset += len(data)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        return data

    def _take(self, line: bytes) -> Report | None:
        self._number += 1
        if not line.strip():
            return None
        parsed = parse_report(line)
        if parsed is None:
            self._skip(self._quote(line))
            return None
        if parsed.from_output and self._trial_reports:
            return None
        if self._metric in parsed.no_numbers:
            self._no_number = self._quote(line)
            self._no_numbers += 1
        elif not parsed.metrics:
            self._skip(self._quote(line))
        return self._report(line, parsed) if parsed.metrics else None

    def _report(self, line: bytes, parsed: ParsedReport) -> Report:
        latest = self._last_step
        begins = not parsed.from_output and not self._trial_reports
        step = 1 + (0 if begins or latest is None else latest) if parsed.step is None else parsed.step
        self._trial_reports = not parsed.from_output
        self._last_step = step
        reported_at = parsed.time if is_moment(parsed.time) else self._clock()
        goes_back = latest is not None and step <= latest and self._metric in parsed.metrics
        where = parsed.line or (self._quote(line) if goes_back else "")
        return Report(step, parsed.metrics, reported_at, where, parsed.note)

    def _skip(self, which: str) -> None:
        self.skipped += 1
        self._first_skipped = self._first_skipped or which

    def _quote(self, line: bytes) -> str:
        return f"line {self._number} of reports.jsonl, {quoted(line[:1000].decode('utf-8', 'replace'))}"


class ParsedReport(NamedTuple):
    """What a line of reports.jsonl says."""

    #: None: the one after the last.
    step: int | None
    metrics: Mapping[str, float]
    #: Metrics that are there without a number.
    no_numbers: tuple[str, ...]
    #: Seconds since the epoch, NaN if it has no time; it need not be a date.
    time: float
    #: Whether the supervisor found it in the output, and in which line, if it says so.
    from_output: bool
    line: str
    #: What the trial says of it, for people.
    note: str


def parse_report(line: bytes) -> ParsedReport | None:
    """Return the report in a line of reports.jsonl; None if it is none."""
    try:
        content = json.loads(line)
        step = content.get("step")
        if step is not None and (isinstance(step, bool) or step != int(step)):
            return None
        metrics, no_numbers = _metrics(content)
        time_ = _number(content.get("time"))
        return ParsedReport(
            step=None if step is None else int(step),
            metrics=metrics,
            no_numbers=no_numbers,
            time=math.nan if time_ is None else time_,
            from_output=content.get("source") == "output",
            line=str(content.get("line", "")),
            note=str(content.get("note", "")) if "metrics" in content else "",
        )
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _metrics(content: Mapping[str, Any]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the metrics that are numbers, and the names of the others."""
    if "metrics" in content:
        numbers = {name: _number(value) for name, value in content["metrics"].items()}
    else:
        numbers = {
            name: None if isinstance(value, str) else _number(value)
            for name, value in content.items()
            if name not in ("step", "time")
        }
    found = {name: value for name, value in numbers.items() if value is not None}
    return found, tuple(name for name in numbers if name not in found)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return read_number(value)
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None
