"""Reading an attempt's reports as they are written, whatever writes them."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunewell.spec.launch import Report
from tunewell.trial import files

#: Bytes that one call reads at most.
CHUNK_BYTES = 128 << 10
#: A longer line is no report.
LONGEST_LINE = 1 << 20
_LARGEST_STEP = 2**63 - 1


class ReportReader:
    """Gives each report in an attempt's folder once, in the order of the file.

    A report is an object with `metrics` and, if it likes, `step` and `time`; a plain object of numbers
    (`{"accuracy": 0.9, "step": 3}`) will do. Without a step it is the one after the last. Lines that are nothing
    of the kind are counted in `skipped`. What the supervisor found in the output counts until the trial reports
    by itself.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Begin at the first report; `clock` dates those that bear no time."""
        self.skipped = 0
        self._path = folder / files.REPORTS
        self._clock = clock
        self._offset = 0
        self._rest = b""
        self._in_long_line = False
        self._last_step = 0
        self._trial_reports = False

    def read(self) -> list[Report]:
        """Return the next new reports, none if there are none or the file can't be read just now."""
        lines = self._new_lines()
        reports = [self._parse(line) for line in lines if line.strip()]
        return [report for report in reports if report is not None]

    def read_rest(self) -> list[Report]:
        """Return all reports left, the file being complete; its last line need not have an end."""
        reports: list[Report] = []
        before = -1
        while self._offset != before:
            before = self._offset
            reports += self.read()
        if self._rest.strip() and not self._in_long_line:
            report = self._parse(self._rest)
            reports += [report] if report is not None else []
        self._rest = b""
        return reports

    def _new_lines(self) -> list[bytes]:
        try:
            data = self._new_bytes()
        except OSError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._in_long_line:
            self._in_long_line = False
            del lines[0]
        if len(self._rest) > LONGEST_LINE:
            self.skipped += not self._in_long_line
            self._in_long_line = True
        if self._in_long_line:
            self._rest = b""
        return lines

    def _new_bytes(self) -> bytes:
        size = os.stat(self._path).st_size  # noqa: PTH116 (asked ten times a second for each attempt)
        if size == self._offset:
            return b""
        if size < self._offset:  # cut off by the trial: what comes now is new
            self._offset, self._rest, self._in_long_line = 0, b"", False
        # Should it be a pipe, opening and reading must not block.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            data = os.pread(descriptor, CHUNK_BYTES, self._offset)
        finally:
            os.close(descriptor)
        self._offset += len(data)
        return data

    def _parse(self, line: bytes) -> Report | None:
        try:
            content = json.loads(line)
            from_output = content.get("source") == "output"
            if from_output and self._trial_reports:
                return None
            first = not from_output and not self._trial_reports
            report = self._report(content, 0 if first else self._last_step)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            self.skipped += 1
            return None
        self._trial_reports = not from_output
        self._last_step = report.step
        return report

    def _report(self, content: Mapping[str, Any], last_step: int) -> Report:
        if "metrics" in content:
            metrics = {name: _number(value) for name, value in content["metrics"].items()}
        else:
            metrics = {name: float(value) for name, value in content.items() if _is_plain_metric(name, value)}
        if not metrics:
            raise ValueError("no metrics")
        step = content.get("step", last_step + 1)
        if isinstance(step, bool) or step != int(step) or abs(step) > _LARGEST_STEP:
            raise ValueError("the step is no whole number")
        reported_at = _number(content.get("time", math.nan))
        return Report(int(step), metrics, reported_at if math.isfinite(reported_at) else self._clock())


def _number(value: Any) -> float:
    if value is None or isinstance(value, bool):
        raise TypeError("no number")
    return float(value)


def _is_plain_metric(name: str, value: Any) -> bool:
    return name not in ("step", "time") and isinstance(value, int | float) and not isinstance(value, bool)
