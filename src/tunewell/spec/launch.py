"""What the controller hands to a scheduler, and what comes back: plain data."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tunewell.spec.states import Cause


@dataclass(frozen=True, slots=True, order=True)
class AttemptKey:
    """Identity of one attempt. The attempt number is the fencing token: reports of an old one change nothing."""

    experiment: str
    trial: int
    attempt: int


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """Identity of one attempt at a job."""

    job: int
    attempt: int


#: Schedulers tell the two apart only where they name a process's work in its environment.
WorkKey = AttemptKey | JobKey


@dataclass(frozen=True, slots=True)
class Limits:
    """What the supervisor enforces; None means no limit."""

    #: Longest life of the attempt.
    wall_seconds: float | None = None
    #: Longest time without a byte of output or a report.
    silence_seconds: float | None = None
    #: Largest resident memory of the whole process tree.
    memory_bytes: int | None = None
    #: Time between the request to stop (SIGTERM) and the kill (SIGKILL).
    grace_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial or job occupies while it runs."""

    #: Processor cores; may be a fraction, or 0.
    cpus: float = 1
    #: Whole GPUs, or a part of one.
    gpus: float = 0
    #: Main memory; None: it is not counted.
    memory_bytes: int | None = None
    #: What the GPUs must be called; empty: anything.
    gpu_type: str = ""
    #: Labels that the node must have, and what else it takes of what the node has; by name, in order.
    labels: tuple[tuple[str, str], ...] = ()
    custom: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as it is put on record."""
        return {"cpus": self.cpus, "gpus": self.gpus, "memory_bytes": self.memory_bytes, **self.of_node}

    @property
    def of_node(self) -> dict[str, Any]:
        """What it asks of the node beside amounts of cores, GPUs and memory, as JSON types; empty if nothing."""
        found = {"gpu_type": self.gpu_type, "labels": dict(self.labels), "custom": dict(self.custom)}
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` was made of."""
        return cls(
            data["cpus"],
            data["gpus"],
            data["memory_bytes"],
            data.get("gpu_type", ""),
            tuple(data.get("labels", {}).items()),
            tuple(data.get("custom", {}).items()),
        )

    @property
    def threads(self) -> int:
        """Number of threads that numeric libraries are told to use."""
        return max(1, int(self.cpus))


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt to be started. Exactly one of `command` and `entry` is set."""

    key: WorkKey
    #: The attempt's own folder; it exists and holds `parameters.json`.
    folder: Path
    #: Random; the folder has it, and one that has another is not this attempt's.
    identity: str = ""
    #: Program and arguments, placeholders already filled in.
    command: tuple[str, ...] | None = None
    #: `package.module:function`, called in a fresh process with the attempt's folder (a Path) as its argument.
    entry: str | None = None
    #: Modules that are imported once, before the process of an `entry` is forked off.
    preload: tuple[str, ...] = ()
    #: Added to the trial's environment.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Added to it, too, and kept in memory alone: it is in no file, and in no other process.
    private_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Values in both that nobody is to see: they are taken out of what is told about the attempt's end.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    working_directory: Path = Path()
    #: Hyperparameters, for schedulers that need no folder.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = Resources()
    limits: Limits = Limits()
    #: Regular expression that finds metrics in the output, with groups `name` and `value`; None: look for none.
    metric_pattern: str | None = None
    #: Name of the objective metric.
    metric: str = ""
    #: Epochs of a full training, each of which is reported as a step of that number; None: that is not known.
    epochs: int | None = None
    #: Process, by its number and what tells it from others, with which the attempt ends; None: it outlives everybody.
    ends_with: tuple[int, str] | None = None
    #: Files and folders that it reads beside its own, for schedulers on other machines, which bring them there.
    inputs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Metrics of one attempt at one step, as the trial gave them."""

    step: int
    #: Metric name → number, NaN and infinities included, as the trial gave them.
    metrics: Mapping[str, float]
    #: Seconds since the epoch, by the trial's clock.
    time: float
    #: Where it stands, for people, if its step is not after the last one; may be empty.
    line: str = field(default="", compare=False)
    #: A sentence for people on what was to be reported and does not count; may be empty.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt's process ended, as its supervisor saw it."""

    #: None if the process ended well by itself.
    cause: Cause | None = None
    #: One line for people: the exception, the signal, the limit.
    detail: str = ""
    exit_code: int | None = None
    #: Whether it ended because the controller asked for it (then `cause` is None).
    stopped: bool = False
    #: Seconds since the epoch: dates for people, which a clock that is set makes wrong.
    started_at: float | None = None
    ended_at: float | None = None
    #: How long it ran, by a clock that nobody sets; None: nobody has measured it to its end.
    duration_seconds: float | None = None
    #: Largest resident memory seen, of the whole process tree.
    peak_memory_bytes: int | None = None
    #: Sentences for people on what the trial reported and does not count.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """Event: an attempt lives, which is the answer to `submit` or `reconcile`."""

    key: WorkKey


@dataclass(frozen=True, slots=True)
class Reported:
    """Event: an attempt reported metrics."""

    key: WorkKey
    report: Report


@dataclass(frozen=True, slots=True)
class Ended:
    """Event: an attempt ended, all of its reports having been delivered before. Nothing follows it."""

    key: WorkKey
    exit: Exit


@dataclass(frozen=True, slots=True)
class Refused:
    """Event: there is no room for an attempt just now. Nothing was started, nothing will be, nothing follows."""

    key: WorkKey
    #: One clause for people.
    reason: str


Event = Started | Reported | Ended | Refused


def with_own_programs(path: str) -> str:
    """Return a search path for programs (PATH) that ends with the folder of this Python and its `tunewell`.

    So trials find both, even where no environment is activated, and the user's own programs come first.
    """
    own = str(Path(sys.executable).parent)
    return path if own in path.split(os.pathsep) else os.pathsep.join(part for part in (path, own) if part)
