"""From the rows of the store, and from spaces, to what verbs give."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import cast, overload

from tunewell.home.home import Home
from tunewell.home.spec_on_record import shareable_spec
from tunewell.service.storage.calling import named_in
from tunewell.service.types import (
    Attempt,
    Event,
    Experiment,
    ExperimentSummary,
    Job,
    JobKind,
    Objective,
    Parameter,
    Report,
    ReportFile,
    Trial,
    TrialResult,
    TrialValue,
    Use,
    UsedDataSet,
    WaitsFor,
)
from tunewell.spec.declaration import declare
from tunewell.spec.experiment import needs_its_program
from tunewell.spec.format import date, number
from tunewell.spec.secrets import FIELD
from tunewell.spec.space import NO_DEFAULT, SearchSpace, Value, describe_domain
from tunewell.spec.space import Parameter as SpaceParameter
from tunewell.spec.states import ExperimentState, JobState, TrialState
from tunewell.store.rows import AttemptRow, EventRow, ExperimentRow, JobRow, JsonObject, ReportRow, TrialRow
from tunewell.trial.files import OUTPUT

#: The report in an experiment's folder.
REPORT_FILE = "report.html"


@overload
def moment(seconds: float) -> datetime: ...
@overload
def moment(seconds: None) -> None: ...
def moment(seconds: float | None) -> datetime | None:
    """Return a moment that is given in seconds since the epoch, to the millisecond, as JSON has it; see `date`."""
    if seconds is None:
        return None
    exact = date(seconds)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)


def experiment_summary(home: Home, row: ExperimentRow, running: bool) -> ExperimentSummary:
    """Return an experiment as a line of a list, read from nothing but its own row; `running`: a controller has it."""
    return ExperimentSummary(
        name=row.name,
        owner=row.owner,
        visibility=row.visibility,
        project=row.project,
        tags=row.tags,
        state=row.state,
        running=running,
        waits_for=experiment_waits(home, row, running),
        stop_rule=row.stop_rule,
        detail=named_in(home, row.spec.get("dataset"), row.detail),
        objective=objective_of(row),
        trials=row.counts,
        best=_trial_value(row.best_trial, row.best_value),
        default=_trial_value(row.default_trial, row.default_value),
        max_trials=max_trials_of(row),
        algorithm=row.algorithm["name"],
        created_at=moment(row.created_at),
        started_at=moment(row.started_at),
        ended_at=moment(row.ended_at),
        elapsed_seconds=row.elapsed_seconds,
        version=row.version,
        revision=row.revision,
    )


def _trial_value(number: int | None, value: float | None) -> TrialValue | None:
    return None if number is None or value is None else TrialValue(number=number, value=value)


def recorded_wait(data: JsonObject | None) -> WaitsFor | None:
    """Return why something waits, as its controller has recorded it."""
    if data is None:
        return None
    return WaitsFor(**{**data, "since": moment(data["since"])})


def experiment_waits(home: Home, row: ExperimentRow, running: bool) -> WaitsFor | None:
    """Return why an experiment starts nothing; `running` says whether a controller has it."""
    if row.state.final:
        return None
    if row.state is ExperimentState.PAUSED:
        return WaitsFor(code="paused", detail="It is paused, until it is resumed.")
    recorded = recorded_wait(row.waits_for)
    code = recorded.code if recorded is not None else ""
    if running or code == "other_host" or (code == "no_cluster" and home.is_served):
        return recorded
    if needs_its_program(row.spec):
        return WaitsFor(code="no_controller", detail="It goes on when its program runs again.")
    return no_controller(home.is_served)


def job_waits(row: JobRow, open_jobs: Collection[int], served: bool) -> WaitsFor | None:
    """Return why a job that has not begun waits; `open_jobs` have not ended, `served` as for `no_controller`."""
    if row.after is not None and row.after in open_jobs:
        return WaitsFor(code="after", detail=f"Job {row.after} comes first.", what=str(row.after))
    return recorded_wait(row.waits_for) or no_controller(served)


def no_controller(served: bool) -> WaitsFor:
    """Return that nothing runs it; `served` says whether there is a controller that takes all work."""
    told = "A controller is about to take it up." if served else "No controller runs what is on record here."
    return WaitsFor(code="no_controller", detail=told)


def experiment(home: Home, row: ExperimentRow) -> Experiment:
    """Return an experiment."""
    folder = home.experiment(row.name)
    running = not row.state.final and home.is_running(row.name)
    return Experiment(
        **dict(experiment_summary(home, row, running)),
        spec=shareable_spec(home, row),
        space=row.space,
        description=row.description,
        weight=row.weight,
        use=Use(cpu_seconds=row.cpu_seconds, gpu_seconds=row.gpu_seconds),
        algorithm_reason=row.algorithm.get("reason") or "",
        notes=tuple(named_in(home, row.spec.get("dataset"), note) for note in row.notes),
        dataset=_dataset(row),
        folder=str(folder),
        report=report_file(home, row.name),
    )


def _dataset(row: ExperimentRow) -> UsedDataSet | None:
    name, _, sha256 = (row.spec.get("dataset") or "").partition("@")
    return UsedDataSet(name=name, sha256=sha256) if name else None


def report_file(home: Home, name: str) -> ReportFile | None:
    """Return what is known of the report in an experiment's folder; None: there is none."""
    path = home.experiment(name) / REPORT_FILE
    try:
        return ReportFile(path=str(path), written_at=moment(path.stat().st_mtime))
    except OSError:
        return None


def objective_of(row: ExperimentRow) -> Objective:
    """Return what an experiment optimises."""
    objective = row.spec["objective"]
    return Objective(metric=objective["metric"], goal=objective["goal"], target=objective.get("target"))


def max_trials_of(row: ExperimentRow) -> int:
    """Return how many trials an experiment may make."""
    return int(row.spec.get("max_trials") or row.algorithm["max_trials"])


def is_full_training(row: TrialRow) -> bool:
    """Whether a trial has a value of a training in full."""
    return row.state in (TrialState.SUCCEEDED, TrialState.STOPPED) and row.fidelity == 1 and row.value is not None


def trial(row: TrialRow) -> Trial:
    """Return a trial."""
    return Trial(
        number=row.number,
        state=row.state,
        cause=row.cause,
        detail=row.detail,
        notes=row.notes,
        attempts=row.attempt,
        parameters=row.parameters,
        origin=row.origin,
        fidelity=row.fidelity,
        resume_from=row.resume_from,
        value=row.value,
        start=moment(row.started_at),
        end=moment(row.ended_at),
        cost_seconds=row.cost_seconds,
        peak_memory_bytes=row.peak_memory_bytes,
        epochs=row.epochs,
        planned_epochs=row.planned_epochs,
        cut_by=row.cut_by,
    )


def trial_result(row: TrialRow) -> TrialResult:
    """Return a trial that has a value."""
    assert row.value is not None
    return TrialResult(
        number=row.number,
        parameters=row.parameters,
        value=row.value,
        origin=row.origin,
        fidelity=row.fidelity,
        epochs=row.epochs,
        planned_epochs=row.planned_epochs,
        cut_by=row.cut_by,
    )


def attempt(row: AttemptRow) -> Attempt:
    """Return an attempt at a trial."""
    return Attempt(
        attempt=row.attempt,
        state=row.state,
        cause=row.cause,
        detail=row.detail,
        notes=row.notes,
        value=row.value,
        exit_code=row.exit_code,
        peak_memory_bytes=row.peak_memory_bytes,
        start=moment(row.started_at),
        end=moment(row.ended_at),
    )


def job(home: Home, row: JobRow) -> Job:
    """Return a job."""
    log = home.job(row.id) / str(row.attempt) / OUTPUT
    return Job(
        log=str(log) if row.attempt and log.exists() else None,
        id=row.id,
        kind=cast(JobKind, row.kind),
        experiment=row.experiment,
        arguments=row.arguments,
        state=row.state,
        cause=row.cause,
        detail=row.detail,
        notes=row.notes,
        progress=row.progress,
        result=row.result,
        caller=row.caller,
        waits_for=recorded_wait(row.waits_for),
        attempt=row.attempt,
        created_at=moment(row.created_at),
        started_at=moment(row.started_at),
        ended_at=moment(row.ended_at),
        cost_seconds=row.cost_seconds,
        peak_memory_bytes=row.peak_memory_bytes,
        version=row.version,
    )


#: Kind of job → what people read while it runs.
_DOING = {
    "check": "Looking at the data",
    "probe": "Trying out a trial",
    "prepare": "Preparing the data",
    "finalists": "Choosing the trials to train on all data",
    "finalist": "Training a trial on all data",
    "repeats": "Choosing the trials to train again",
    "repeat": "Training a trial with another seed",
    "evaluate": "Evaluating the best trials in detail",
    "evaluate-model": "Measuring the model",
    "retrain": "Training a model",
    "predict": "Predicting",
    "export-model": "Exporting the model",
    "report": "Writing the report",
    "import": "Importing trials",
}


def progress_line(job: Job) -> str:
    """Return what a job is doing and how far it is: one line."""
    doing = _DOING.get(job.kind, job.kind)
    if job.state is JobState.WAITING:
        return f"{doing}: waiting for its turn …"
    figures = "  ".join(f"{name} {number(value)}" for name, value in job.progress.items())
    return f"{doing}: {figures}" if figures else f"{doing} …"


def report(row: ReportRow) -> Report:
    """Return what an attempt reported at one step."""
    return Report(step=row.step, metrics=finite(row.metrics), attempt=row.attempt, time=moment(row.time))


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics with None for what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def event(row: EventRow) -> Event:
    """Return an entry of the audit trail."""
    return Event(
        id=row.id,
        time=moment(row.time),
        kind=row.kind,
        trial=row.trial,
        attempt=row.attempt,
        data={**row.data, FIELD: "changed"} if FIELD in row.data else row.data,
    )


def parameters(space: SearchSpace, sources: Mapping[str, str] | None = None) -> tuple[Parameter, ...]:
    """Return the parameters of a space; `sources` says where their defaults and ranges come from."""
    declared = declare(space)
    return tuple(
        Parameter(
            name=parameter.name,
            domain=describe_domain(parameter),
            declaration=declared[parameter.name],
            fixed=parameter.size == 1,
            has_default=parameter.default is not NO_DEFAULT,
            default=_default(parameter),
            when={condition.parent: condition.values for condition in parameter.when},
            source=(sources or {}).get(parameter.name, ""),
        )
        for parameter in space
    )


def _default(parameter: SpaceParameter) -> Value:
    """Return the default of a parameter: that of a constant is its value; None where there is none."""
    if parameter.default is not NO_DEFAULT:
        return parameter.default
    return parameter.from_unit(0.5) if parameter.size == 1 else None
