"""What all experiments and jobs of one controller share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from tunewell.controller.background import Background
from tunewell.controller.fair import Ledger, Party
from tunewell.controller.job_kinds import JobKind
from tunewell.controller.loading import Recorded
from tunewell.controller.room import Room
from tunewell.home.home import Home
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.launch import Resources
from tunewell.spec.waits import NO_ROOM, Reason
from tunewell.store.rows import ExperimentRow
from tunewell.store.session import Lease
from tunewell.store.store import Store


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all experiments and jobs of one controller share."""

    #: Where all work is on record, and the home of that store.
    store: Store
    home: Home
    #: Kind of job → what it is.
    kinds: Mapping[str, JobKind]
    #: Kinds of jobs that run where the trials of their search do, whatever machines these are.
    on_nodes: frozenset[str] = field(default=frozenset(), kw_only=True)
    #: Makes of an experiment's record what runs it; may take long.
    load: Callable[[ExperimentRow], Recorded]
    #: Whether finalists, evaluation and report follow a search.
    follow_up: bool = True
    #: Whether slow calls are waited for: where trials run in this thread, there is nothing to go on with meanwhile.
    waits: bool = False
    #: Machines that are known to be gone for good, with all that ran there.
    lost_hosts: frozenset[str] = frozenset()
    #: What the addresses of the API begin with at which programs of trials can report; None: there is none.
    api: str | None = None
    #: Removes files of the home until so many bytes are left, if that can be; returns how many are left.
    keep_within: Callable[[int], int] | None = None
    #: Gives dates, in seconds since the epoch, and measures durations, in seconds.
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    #: Makes slow calls.
    background: Background = field(default_factory=Background)


@dataclass(frozen=True, slots=True)
class Place:
    """Where work is done: a scheduler, what it has free, and who may have it."""

    scheduler: Scheduler
    room: Room
    ledger: Ledger
    #: Why something waits that finds no room here.
    no_room: Reason = NO_ROOM

    def refusal(self, party: Party, needs: Resources) -> Reason | None:
        """Return why an attempt can't be started now; None: it can. Others leave it the room that it waits for."""
        return self.ledger.refusal(party, needs) or (None if self.room.has(needs) else self.no_room)


@dataclass(frozen=True, slots=True)
class Ownership:
    """The proof that this process alone may write on something."""

    #: Raised for this owner; named in every write.
    term: int
    #: Says whether it still is so.
    lease: Lease
    #: Released when it is let go of.
    lock: ExitStack
