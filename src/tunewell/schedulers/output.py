"""Metrics that a trial prints: from lines of its output to reports in its folder."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN, LONGEST_LINE, parse_metrics
from tunewell.trial import files

#: Bytes that one scan looks at: a chatty trial must not keep its supervisor busy.
SCAN_BYTES = 256 << 10
#: Output that waits to be looked at; of more than that, the oldest is left out.
BACKLOG_BYTES = 4 << 20
#: Reports that one scan makes; of more than that, the last ones count.
REPORTS_A_SCAN = 100
#: Metric names whose steps are counted; the default rule finds names in all sorts of text.
MOST_NAMES = 10_000

#: Longest time that a user's own pattern may take for a line: some take exponential time.
PATTERN_SECONDS = 1.0

#: What a line must hold for the default rule to find anything in it, and is found a lot quicker.
_PROMISING = re.compile(rb"[=:][ \t]*[-+.\dnNiI]")


class OutputMetrics:
    """Turns metric lines in output.log into reports, until the trial reports by itself.

    A line without a step counts as the next one of its metrics: the third line with `accuracy` is step 3.
    Neighbouring lines of the same step make one report.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        """Begin at the first line; `pattern` as in `tunewell.spec.metric_line.parse_metrics`."""
        self._folder = folder
        self._pattern = pattern
        self._offset = 0
        self._rest = b""
        self._steps: dict[str, int] = {}
        self._own_bytes = 0
        self._too_slow = False

    def scan(self) -> None:
        """Report what the new lines hold; nothing happens if the files can't be read or written just now."""
        try:
            if not self._trial_reports():
                self._report(self._new_lines())
        except OSError:
            pass

    def scan_rest(self) -> None:
        """Report what is left, the output being complete; its last line need not have an end."""
        before = -1
        while self._offset != before:
            before = self._offset
            self.scan()
        try:
            if not self._trial_reports():
                self._report([self._rest])
        except OSError:
            pass

    def _trial_reports(self) -> bool:
        try:
            return (self._folder / files.REPORTS).stat().st_size != self._own_bytes
        except FileNotFoundError:
            return False

    def _new_lines(self) -> list[bytes]:
        with (self._folder / files.OUTPUT).open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size - self._offset > BACKLOG_BYTES:
                self._offset, self._rest = size - BACKLOG_BYTES, b""
            file.seek(self._offset)
            data = file.read(SCAN_BYTES)
        self._offset += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        if len(rest) > LONGEST_LINE:  # as a terminal shows it: what follows the last carriage return
            rest = rest.rpartition(b"\r")[2][:LONGEST_LINE]
        self._rest = rest
        return lines

    def _report(self, lines: list[bytes]) -> None:
        reports: deque[tuple[int, dict[str, float]]] = deque(maxlen=REPORTS_A_SCAN)
        for line in lines:
            if self._pattern == DEFAULT_METRIC_PATTERN and not _PROMISING.search(line):
                continue
            step, metrics = self._find(line)
            if not metrics:
                continue
            if reports and reports[-1][0] == step:
                reports[-1] = (step, {**metrics, **reports[-1][1]})
            else:
                reports.append((step, metrics))
        for step, metrics in reports:
            self._own_bytes += files.append_report(self._folder, step, metrics, time.time(), source="output")

    def _parse(self, line: str) -> tuple[int | None, dict[str, float]]:
        if self._pattern == DEFAULT_METRIC_PATTERN:
            return parse_metrics(line, self._pattern)
        if self._too_slow:
            return None, {}
        try:
            with _time_limit(PATTERN_SECONDS):
                return parse_metrics(line, self._pattern)
        except TimeoutError:
            self._too_slow = True
            complaint = (
                f"\ntunewell: metric_pattern took longer than {PATTERN_SECONDS:g} s on a line and is given up.\n"
            )
            with (self._folder / files.OUTPUT).open("ab") as log:
                log.write(complaint.encode())
            return None, {}

    def _find(self, line: bytes) -> tuple[int, dict[str, float]]:
        step, metrics = self._parse(line.decode("utf-8", "replace"))
        if len(self._steps) > MOST_NAMES:
            metrics = {name: value for name, value in metrics.items() if name in self._steps}
        if step is None:
            step = 1 + max((self._steps.get(name, 0) for name in metrics), default=0)
        self._steps.update(dict.fromkeys(metrics, step))
        return step, metrics


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in this, the main, thread if the block takes longer. Matching looks for signals as it goes."""

    def expire(signum: int, frame: object) -> None:
        del signum, frame
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
