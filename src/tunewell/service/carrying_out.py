"""Doing what a job is to do, in this process, or waiting while another one does it."""

from __future__ import annotations

from tunewell.home.home import Home
from tunewell.schedulers.apart import SchedulerApart
from tunewell.service import wire
from tunewell.service.running import run_job
from tunewell.service.runs import Leave, Situation, Tell
from tunewell.service.types import Job
from tunewell.store.store import Store


def carry_out(
    store: Store,
    home: Home,
    id: int,
    tell: Tell = lambda line: None,
    leave: Leave | None = None,
    cluster: SchedulerApart | None = None,
) -> Job:
    """Do what a job is to do; return it as it has ended. One that has ended is returned as it is.

    Raises:
        KeyboardInterrupt: it was interrupted, and waits, or goes on if `leave` said so.
    """
    version = -1

    def look(situation: Situation) -> None:
        nonlocal version
        job = wire.job(home, store.job(id))
        if job.version != version or situation.problem:
            version = job.version
            tell(f"Waiting: {situation.problem}" if situation.problem else wire.progress_line(job))

    if not store.job(id).state.final and not run_job(store, home, id, look, leave, cluster):
        raise KeyboardInterrupt
    return wire.job(home, store.job(id))
