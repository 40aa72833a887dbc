"""What the controller has to know of a kind of job: what it runs, and what is put on record when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tunewell.home.home import Home
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Launch, Resources
from tunewell.spec.states import JobState
from tunewell.store.rows import JobRow, ResultKind
from tunewell.store.store import Store


@dataclass(frozen=True, slots=True)
class Context:
    """What a kind of job finds around it."""

    store: Store
    home: Home
    capacity: Capacity
    job: JobRow


@dataclass(frozen=True, slots=True)
class Part:
    """One process of a job. Most jobs have one; a training in several parts goes on from its own checkpoint."""

    #: What it takes.
    resources: Resources
    #: Folder and number of the attempt → what is started. Key and identity are filled in by the controller.
    launch: Callable[[Path, int], Launch]
    #: What the process finds in `job.json`.
    arguments: Mapping[str, Any] = field(default_factory=dict)
    #: Whether the first report is all that is wanted: then it is ended.
    until_first_report: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A result that is put on record; see `tunewell.store.rows.ResultRow`."""

    kind: ResultKind
    trial: int
    #: Identity of the attempt at the trial that it is about.
    attempt: str | None
    data: Mapping[str, Any]
    #: File or folder that holds the rest of it.
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job of the same experiment that is to follow."""

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    #: It is not added where there is one with the same arguments in one of these states by then.
    unless: Collection[JobState] = ()


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a job has brought."""

    result: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    #: Jobs that are recorded together with it; what waits for this job, waits for them, too.
    jobs: Sequence[NewJob] = ()


class JobKind(Protocol):
    """One kind of job. Both calls may take long, and are made outside of the controller's loop."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return what is to be run, in this order; nothing if nothing is, and `conclude` is all.

        Raises:
            UserError: it can't be done.
        """

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return what is to be recorded, from the folders of the parts; may be called again after a crash.

        Raises:
            UserError: what was left is not what it should be.
        """
