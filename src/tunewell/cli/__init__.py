"""The command line. Exit codes: 0 the search ended with a result (or the command did what was asked), 1 it failed or
ended without one, 2 the input was wrong, 130 the command was left before the end (the same one goes on)."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit code of a command that was interrupted.
INTERRUPTED = 130
#: So many new objects have the interpreter look for garbage. Importing makes many, and none of them garbage.
MANY_OBJECTS = 50_000


def main() -> None:
    """Run the `tunewell` program. Ctrl-C ends it with 130 and without a word at any moment."""
    # What is imported stays, so looking for garbage in it, at each step and again at the end, is a third of a start.
    gc.set_threshold(MANY_OBJECTS)
    atexit.register(gc.freeze)
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else somebody has it ignored (nohup)
    if heeded:
        signal.signal(signal.SIGINT, _leave)  # a KeyboardInterrupt in the midst of imports can get lost
        # While the interpreter takes itself down, it would die of the signal, and all is done anyway.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    try:
        run = _command()
        if heeded:
            sys.unraisablehook = _unraisable
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    sys.exit(code)


def _command() -> Callable[[], int]:
    arguments = sys.argv[1:]
    if arguments[:1] == ["report"] and any("=" in argument for argument in arguments[1:]):
        # A training script reports a metric, perhaps every second: nothing heavy is to be imported.
        from tunewell.trial.command import report_from_shell

        return lambda: report_from_shell(arguments[1:])
    from tunewell.cli.app import run

    return run


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing has begun, or all is done."""
    del number, frame
    os._exit(INTERRUPTED)


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Obey an interruption that came where it can't be raised, such as in a callback of the interpreter."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        with suppress(OSError, ValueError):
            os.write(2, b"\x1b[?25h" if sys.stderr.isatty() else b"")  # a spinner may have hidden the cursor
        os._exit(INTERRUPTED)
    sys.__unraisablehook__(lost)
