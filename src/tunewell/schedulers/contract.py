"""The scheduler contract: start attempts on resources, say what becomes of them, stop them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Event, Launch, WorkKey

Sink = Callable[[Event], None]

#: What the end of an attempt says that `reconcile` does not know.
LOST = "It was lost: nothing runs it any more, and nothing says how it ended."


class Scheduler(Protocol):
    """Starts attempts at trials and jobs and manages their lives.

    One controller thread calls it, and all experiments and jobs of the controller share it, unless it is one
    experiment's own. Nothing here waits for
    an attempt, or for a machine: every answer is an event, which may come seconds later. The scheduler keeps nothing
    that can't be found again: an attempt's folder says all about it.

    Of each attempt that was submitted come, in this order: `Started`, any number of `Reported`, `Ended`; or `Refused`
    alone; or `Ended` alone, where it could not be started.
    """

    #: Whether attempts live in folders, which must exist, with `parameters.json`, before `submit`.
    needs_folder: bool

    #: Whether what an attempt goes on from must lie in its folder; else whoever trains it sees to that.
    keeps_checkpoints: bool

    #: The machine that its attempts are bound to: only a scheduler there can take them over. Empty: to none.
    host: str

    def capacity(self) -> Capacity:
        """Return what there is and what is free just now, attempts that are not started yet taken off."""

    def submit(self, launch: Launch) -> None:
        """Have an attempt started. Called once per attempt, after the store knows of it.

        Where others have taken the room meanwhile, it is refused. A program that can't be started is no error here:
        it ends with its cause.
        """

    def preload(self, modules: tuple[str, ...]) -> None:
        """Take the hint that attempts with this `preload` will follow, and begin to get ready for them."""

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand what happened to `sink`, event by event; wait up to `timeout` seconds if nothing has.

        `sink` may call all methods but this one.
        """

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Ask an attempt to end: SIGTERM to its process group, SIGKILL after the grace time (None: its own).

        Its end comes as an event. One that has not begun yet may never begin. Does nothing for an attempt that has
        ended or is not known.
        """

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Take over attempts that an earlier controller, or this one, has started; called for all that may be running.

        What became of them comes as events. An attempt that lives: `Started`, then all of its reports from the first.
        One that has ended: all of its reports, then `Ended`. Anything else never ran, or went away with its machine
        or supervisor: it can't begin any more, no process of it is left, and it ends with the cause `node_lost`. Until
        its answer has come, an attempt takes up its place.
        """

    def release(self, keys: Sequence[WorkKey]) -> None:
        """Let go of attempts that another controller has from now on.

        Those that can live on without this process do, and nothing more is told of them. Any other ends, or never
        begins.
        """

    def close(self) -> None:
        """Let go of everything. Attempts that can live on without the controller do."""
