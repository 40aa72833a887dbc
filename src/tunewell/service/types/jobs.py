"""Work on record that is no trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tunewell.service.types.base import JsonObject, Moment, Wire
from tunewell.service.types.experiments import WaitsFor
from tunewell.spec.states import Cause, JobState

JobKind = Literal[
    "check",
    "probe",
    "prepare",
    "finalists",
    "finalist",
    "repeats",
    "repeat",
    "evaluate",
    "evaluate-model",
    "retrain",
    "predict",
    "export-model",
    "report",
    "import",
]


class Job(Wire):
    """Work on record that is no trial."""

    id: int
    kind: JobKind
    #: Name of the experiment that it is about; None: it is about none.
    experiment: str | None
    arguments: JsonObject
    state: JobState
    #: Why it did not succeed.
    cause: Cause | None = None
    #: One line for people about the end.
    detail: str = ""
    #: Sentences for people.
    notes: tuple[str, ...] = ()
    #: What is being done → share of it that is done.
    progress: Mapping[str, float] = Field(default_factory=dict)
    #: What it found out or made; depends on the kind.
    result: JsonObject | None = None
    #: Who asked for it.
    caller: str = ""
    #: Why it waits, where that is known.
    waits_for: WaitsFor | None = None
    attempt: int = 0
    #: File that its latest attempt prints into; None: it has printed nothing.
    log: str | None = None
    created_at: Moment
    started_at: Moment | None = None
    #: None while it is not final.
    ended_at: Moment | None = None
    cost_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    #: Grows whenever something about it changes.
    version: int = 0
