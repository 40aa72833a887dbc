"""How work is run in this process, and how it stands with that."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tunewell.service.notifications.outgoing import UNTOLD, Outgoing
from tunewell.spec.errors import UserError

#: The Python function of a search.
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """How it stands with a controller in this process."""

    #: What keeps it from going on just now, for people; empty if nothing does.
    problem: str
    #: Whether it was interrupted and brings what runs to an end.
    interrupted: bool
    #: What is done for the experiment beside its trials, a line; empty if nothing is.
    doing: str = ""
    #: What Ctrl-C does, for people, where it is something else than usual.
    hint: str = ""
    #: How long the latest step took, without what it waited for.
    step_seconds: float = 0.0
    #: Whether the problem is that the database can't be used.
    absent: bool = False
    #: The experiments that it runs, by name.
    experiments: tuple[str, ...] = ()
    #: Why it can't take over what it should.
    refused: tuple[UserError, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """How an experiment is run in this process."""

    #: The Python function, for a search over one.
    function: Function | None = None
    #: Whether the function is called in this thread, instead of in a process a trial.
    inline: bool = False
    #: Whether finalists, evaluation and report follow the search.
    follow_up: bool = True


@dataclass(frozen=True, slots=True)
class Serving:
    """How all that is on record is run."""

    #: Machines that are gone for good; what ran there is lost, and begins again.
    lost_hosts: Collection[str] = ()
    #: Whether trials end at the end, instead of living on, so that they can go on later.
    stop_trials: bool = False
    #: The user of this system whom users' programs run as; None: as this process does.
    trial_user: str | None = None
    #: What the addresses begin with at which programs of trials can report; None: there is none.
    api: str | None = None
    #: By what notifications are sent.
    outgoing: Outgoing = UNTOLD


PLAIN, ALONE = Given(), Serving()
OnStep = Callable[[Situation], None]
#: Told in a line what is done.
Tell = Callable[[str], None]
#: Asked at an interruption whether a job is to go on without this process.
Leave = Callable[[], bool]
