"""What a controller tells of itself: a line for what it takes over, can't take over, and waits for."""

from __future__ import annotations

import socket
from pathlib import Path

from tunewell.cli.wording import worded
from tunewell.display.lines import REACHED_AGAIN
from tunewell.service.runs import Situation


class ControllerLines:
    """Prints what is new; for `Service.run_all(on_step=…, tell=…)`."""

    def __init__(self, home: Path, database: str) -> None:
        """Take the home, and what people call its database."""
        self._first = (
            f"Running what is recorded in {home} (database {database}) on host {socket.gethostname()}. "
            "Ctrl-C ends this; trials live on."
        )
        self._last = Situation("", False)
        self._refused: set[str] = set()

    def tell(self, sentence: str) -> None:
        """Print a note."""
        print(f"note: {sentence}", flush=True)

    def update(self, run: Situation) -> None:
        """Print what has changed; at first, that it serves."""
        lines, last, self._last = [self._first] if self._first else [], self._last, run
        self._first = ""
        lines += [f"taken over: experiment '{name}'" for name in run.experiments if name not in last.experiments]
        refused = [worded(error) for error in run.refused]
        lines += [f"waiting: {line}" for line in refused if line not in self._refused]
        self._refused.update(refused)
        if run.problem != last.problem:
            back = REACHED_AGAIN if last.absent and not run.absent else "going on"
            lines += [f"waiting: {run.problem}" if run.problem else back]
        for line in lines:
            print(line, flush=True)
