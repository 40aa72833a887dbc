"""What is found in a line of a program's output by the rule of a spec.

A user's own rule may take for ever, and nothing else in its process goes on meanwhile: it is tried in one of its own,
`python -m tunewell.service.line_check`, to which line, pattern and objective come by standard input as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from tunewell.schedulers.metric_lines import PATTERN_SECONDS, time_limit
from tunewell.spec.errors import SpecError
from tunewell.spec.metric_line import Found, look

#: Longest that the process may take, its start included: it ends by itself long before that.
_PROCESS_SECONDS = 60.0


def look_at_line(line: str, pattern: str | None, objective: str) -> Found:
    """Return what is found in a line.

    Raises:
        SpecError: the pattern takes longer than trials give it for a line.
    """
    if pattern is None:
        return look(line, pattern, objective)
    try:
        told = subprocess.run(
            [sys.executable, "-P", "-m", __spec__.name],
            input=json.dumps([line, pattern, objective]).encode(),
            capture_output=True,
            timeout=_PROCESS_SECONDS,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        told = b"null"
    found = json.loads(told)
    if found is None:
        raise SpecError(
            "metric_pattern",
            f"it takes longer than {PATTERN_SECONDS:g} s for this line",
            "Write no repeat within a repeat, such as (a+)+, and no two beside each other that fit the same text",
            pattern,
        )
    return Found(**found)


def _main() -> None:
    line, pattern, objective = json.load(sys.stdin)
    try:
        with time_limit(PATTERN_SECONDS):
            found = asdict(look(line, pattern, objective))
    except TimeoutError:
        found = None
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
