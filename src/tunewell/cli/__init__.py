"""The command line. Exit codes: 0 the search ended with a result (or the command did what was asked), 1 it ended
without one, 2 the input was wrong, 130 interrupted (it can be continued)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `tunewell` program."""
    try:
        code = _run()
    except KeyboardInterrupt:  # while it was still being loaded
        code = 130
    sys.exit(code)


def _run() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["report"] and any("=" in argument for argument in arguments[1:]):
        # A training script reports a metric, perhaps every second: nothing heavy is to be imported.
        from tunewell.trial.command import report_from_shell

        return report_from_shell(arguments[1:])
    from tunewell.cli.app import run

    return run()
