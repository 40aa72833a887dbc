"""The scheduler contract: start trials on resources, say what becomes of them, stop them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from tunewell.spec.launch import AttemptKey, Event, Launch, Resources

Sink = Callable[[Event], None]


class Scheduler(Protocol):
    """Starts attempts and manages their lives. One controller thread calls it; nothing here blocks for long.

    The scheduler keeps nothing that can't be found again: an attempt's folder says all about it.
    """

    #: Whether attempts live in folders, which must exist, with `parameters.json`, before `start`.
    needs_folder: bool

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit on the empty scheduler at once (0: none ever)."""

    def free(self, resources: Resources) -> int:
        """Return how many more attempts that need `resources` each can be started now."""

    def start(self, launch: Launch) -> None:
        """Start an attempt. Called once per attempt, after the store knows of it, only while `free` is above 0.

        A program that can't be started is no error here: it comes back as an `Ended` event with its cause.
        """

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand what happened to `sink`, event by event; wait up to `timeout` seconds if nothing has.

        All reports of an attempt come before its `Ended`. `sink` may call `stop`.
        """

    def stop(self, key: AttemptKey, grace_seconds: float | None = None) -> None:
        """Ask an attempt to end: SIGTERM to its process group, SIGKILL after the grace time (None: its own).

        Returns at once; the end comes as an event. Does nothing for an attempt that has ended or is not known.
        """

    def adopt(self, launch: Launch) -> Literal["alive", "ended", "unknown"]:
        """Take over an attempt that an earlier controller started.

        Called at start for each attempt that the store calls running.

        Returns:
            "alive" or "ended": its reports (all of them, from the first) and its end will come as events.
            "unknown": it never ran, or its machine or supervisor died with it; it can't begin any more, and
            no process of it is left.
        """

    def close(self) -> None:
        """Let go of everything. Attempts that can live on without the controller do."""
