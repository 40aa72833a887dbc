"""Metrics that a trial prints: from lines of its output to reports, and notes on what is left out."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN, LONGEST_LINE, names_a_value, parse_metrics
from tunewell.spec.text import quoted
from tunewell.trial import files

#: Metric names whose steps are counted; the default rule finds names in all sorts of text.
MOST_NAMES = 10_000
#: Longest time that a user's own pattern may take for a line: some take exponential time.
PATTERN_SECONDS = 1.0

#: What a line must hold for the default rule to find anything in it, and is found a lot quicker.
_PROMISING = re.compile(rb"[=:][ \t]*+(?:[-+.\dnNiI\"'\[]|[A-Za-z_][\w.]*+\()")


class MetricLines:
    """Turns metric lines into reports as they stand in reports.jsonl.

    A line without a step counts as the next one of its metrics: the third line with `accuracy` is step 3.
    """

    def __init__(self, pattern: str, metric: str) -> None:
        """Begin at the first line.

        Args:
            pattern: as in `tunewell.spec.metric_line.parse_metrics`.
            metric: the objective.
        """
        self._pattern = pattern
        self._by_default = pattern == DEFAULT_METRIC_PATTERN
        self._metric = metric
        self._metric_bytes = metric.encode("utf-8", "replace")
        self._mention = re.compile(rf"(?<!\w){re.escape(metric)}(?!\w)", re.IGNORECASE)
        self._rest = b""
        self._number = 0
        self._steps: dict[str, int] = {}
        self._names_left_out = 0
        #: Whether the part of the current line that is not kept names the objective.
        self._hidden = False
        #: The last line that gives the objective a value, the last that seems to, and the last that just names it.
        self.found = ""
        self._unread = ""
        self._unread_lines = 0
        #: The last line that may give it one in another form, unless one was found after it.
        self._unclear = ""
        self._named = ""
        #: Number of the line that the pattern took too long for; 0: none.
        self._gave_up_at = 0
        self._quoted: set[bool] = set()

    def feed(self, data: bytes) -> bytes:
        """Return the reports in the lines that `data` completes."""
        *lines, rest = (self._rest + data).split(b"\n")
        reports = b"".join(map(self._take, lines))
        if len(rest) > LONGEST_LINE:
            shown = rest.rpartition(b"\r")[2]  # as a terminal shows it: what follows the last carriage return
            self._hidden = self._metric_bytes in shown[LONGEST_LINE:] or (self._hidden and len(shown) == len(rest))
            rest = shown[:LONGEST_LINE]
        self._rest = rest
        return reports

    def finish(self) -> bytes:
        """Return the report in the last line, which need not have an end."""
        rest, self._rest = self._rest, b""
        return self._take(rest) if rest else b""

    def notes(self) -> tuple[str, ...]:
        """Return sentences on what was printed and does not count."""
        notes = []
        if self._unread:
            lines = "1 line names" if self._unread_lines == 1 else f"{self._unread_lines} lines name"
            which = "" if self._unread_lines == 1 else "the last is "
            notes.append(f"{lines} {self._metric} without a value that can be read: {which}{self._unread}.")
        if self._unclear:
            notes.append(f"The last line that names {self._metric} is no metric line by the rule: {self._unclear}.")
        if self._named and not (self.found or self._unread or self._unclear):
            notes.append(f"No line gives a value of {self._metric}; the last one that names it: {self._named}.")
        if self._gave_up_at:
            notes.append(
                f"metric_pattern took longer than {PATTERN_SECONDS:g} s for line {self._gave_up_at} of the output and "
                "was given up: later lines don't count."
            )
        if self._names_left_out:
            notes.append(
                f"More than {MOST_NAMES:,} names of metrics were printed; {self._names_left_out:,} values of others "
                "don't count."
            )
        return tuple(notes)

    def _take(self, line: bytes) -> bytes:
        self._number += 1
        hidden, self._hidden = self._hidden, False
        named = self._metric_bytes in line
        if self._by_default and not named and not _PROMISING.search(line):
            if not self.found and self._mention.search(line.decode("utf-8", "replace")):
                self._named = self._quote(line)
            return b""
        text = line.decode("utf-8", "replace")
        step, metrics = self._find(text)
        if self._metric in metrics:
            self.found, self._unclear = self._quote(line), ""
        elif named or hidden:
            self._note_unread(line, text, hidden)
        if not metrics:
            return b""
        return self._report(line, step, metrics)

    def _report(self, line: bytes, step: int | None, metrics: dict[str, float]) -> bytes:
        before = self._steps.get(self._metric)
        at = 1 + max((self._steps.get(name, 0) for name in metrics), default=0) if step is None else step
        self._steps.update(dict.fromkeys(metrics, at))
        quote = {}
        if self._metric in metrics and before is not None and at <= before and (at == before) not in self._quoted:
            self._quoted.add(at == before)
            quote["line"] = self._quote(line)
        return files.report_line(at, metrics, time.time(), source="output", **quote)

    def _find(self, text: str) -> tuple[int | None, dict[str, float]]:
        step, metrics = self._parse(text)
        if len(self._steps) > MOST_NAMES:
            known = {name: value for name, value in metrics.items() if name in self._steps or name == self._metric}
            self._names_left_out += len(metrics) - len(known)
            metrics = known
        return step, metrics

    def _parse(self, text: str) -> tuple[int | None, dict[str, float]]:
        if self._by_default:
            return parse_metrics(text, self._pattern, self._metric)
        if self._gave_up_at:
            return None, {}
        try:
            with time_limit(PATTERN_SECONDS):
                return parse_metrics(text, self._pattern)
        except TimeoutError:
            self._gave_up_at = self._number
            return None, {}

    def _note_unread(self, line: bytes, text: str, hidden: bool) -> None:
        beyond = hidden or self._metric_bytes in line.rstrip(b"\r\n").rpartition(b"\r")[2][LONGEST_LINE:]
        if beyond:
            self._unread = f"line {self._number} of the output, of which only {LONGEST_LINE:,} characters are read"
            self._unread_lines += 1
        elif self._gave_up_at or not names_a_value(text, self._metric, self._pattern):
            self._named = self._quote(line)
        elif names_a_value(text, self._metric, self._pattern, firmly=True):
            self._unread = self._quote(line)
            self._unread_lines += 1
        else:
            self._unclear = self._quote(line)

    def _quote(self, line: bytes) -> str:
        shown = line[-4 * LONGEST_LINE :].rstrip(b"\r\n").rpartition(b"\r")[2]
        return f"line {self._number} of the output, {quoted(shown.decode('utf-8', 'replace'))}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
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
