"""The verbs of the product: what every front may ask for, wherever they are carried out.

`service` carries them out in this process. Whatever stands in for it takes the same arguments, gives the same types
(`tunewell.service.types`) and raises the same errors; `tests/contracts/test_verbs_contract.py` says so.

Verbs that read take plain arguments. Verbs that change something take who asks (`caller`) and, if they are given one,
a `key` of the caller's choice: called again with the same key and arguments, they do nothing more and give the same
answer. A key that the caller has used for anything else raises `ConflictError`.

Errors, where nothing else is said: `NotFoundError` for what does not exist, `SpecError` for a value that is wrong,
`ConflictError` for what contradicts the present state. Lists come in pages: `cursor` is the `next` of the page before.
Moments, units and paths are those of `tunewell.service.types`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from tunewell.service.types import (
    Artifact,
    Caller,
    Capacity,
    Changes,
    Chart,
    Checked,
    Evaluation,
    Event,
    Experiment,
    ExperimentSummary,
    ExportedTrial,
    Finalist,
    Job,
    JobKind,
    LogPart,
    Model,
    Network,
    Page,
    Report,
    ReportFile,
    SearchResult,
    Snapshot,
    Submission,
    Task,
    Trial,
    TrialDetails,
    TrialResult,
)
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState

#: When to begin afresh under a numbered name although the name is taken: never, always, or if that experiment
#: has ended, has another spec, or is being run.
Fresh = Literal["never", "always", "if-ended"]
#: What trials are sorted by.
TrialOrder = Literal["number", "value"]
ExportFormat = Literal["csv", "json"]
ChartName = Literal["history", "history-over-time", "importance", "learning-curves", "outcomes", "parallel", "timeline"]

#: Items of a page, where nothing else is said, and the most that can be asked for.
PAGE, MOST = 100, 1000
#: Bytes of a part of a log.
LOG_BYTES = 1 << 16


class Verbs(Protocol):
    """Every verb."""

    # Submitting -------------------------------------------------------------------------------------------

    def check(self, spec: Mapping[str, Any], *, line: str | None = None) -> Checked:
        """Check a spec, its data and its program; start and record nothing.

        Args:
            spec: as a spec file has it.
            line: a line of the program's output: which metrics are found in it is told, too.

        Raises:
            UserError: something is wrong.
        """

    def create(
        self, spec: Mapping[str, Any], *, new: Fresh = "never", caller: Caller, key: str | None = None
    ) -> Submission:
        """Create the experiment that a spec describes, or continue the one that has its name.

        Raises:
            UserError: the spec is wrong, or differs from the recorded one in more than its budget.
        """

    def update(self, name: str, changes: Mapping[str, Any], *, caller: Caller, key: str | None = None) -> Experiment:
        """Change fields of an experiment's spec that say how far it goes; a larger budget lets it go on.

        Raises:
            SpecError: a field can't be changed, or its value is wrong.
            ConflictError: it is being run.
        """

    def import_table(
        self, spec: Mapping[str, Any], table: bytes, origin: str, *, caller: Caller, key: str | None = None
    ) -> Submission:
        """Record the trials in a CSV file as a finished experiment, which a spec describes; all or nothing.

        Args:
            spec: names space and objective.
            table: its content, a row a trial; see `tunewell.service.import_table`.
            origin: what people call it, such as its path.
        """

    def import_study(
        self, spec: Mapping[str, Any], storage: str, study: str | None = None, *, caller: Caller, key: str | None = None
    ) -> Submission:
        """Record the trials of an Optuna study (default: the only one of its storage), as `import_table` does."""

    # Experiments ------------------------------------------------------------------------------------------

    def experiments(
        self,
        *,
        states: Sequence[ExperimentState] | None = None,
        search: str = "",
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[ExperimentSummary]:
        """Return the experiments, the newest first; only those in `states`, or with `search` in their names."""

    def experiment(self, name: str) -> Experiment:
        """Return an experiment."""

    def result(self, name: str) -> SearchResult:
        """Return what a search has brought so far."""

    def top(self, name: str, number: int = 5) -> tuple[TrialResult, ...]:
        """Return the best `number` trials, best first."""

    def snapshot(self, name: str, recent: int = 30) -> Snapshot:
        """Return a search as it is now, with its `recent` last trials."""

    def export(self, name: str, format: ExportFormat = "json") -> Iterator[str]:
        """Yield all that is known of an experiment and its trials as the parts of a text."""

    def report(self, name: str) -> str:
        """Return the HTML report of an experiment, one file for itself."""

    def write_report(self, name: str, *, caller: Caller, key: str | None = None) -> ReportFile:
        """Write the HTML report into the experiment's folder."""

    def chart(self, name: str, chart: ChartName = "history") -> Chart:
        """Return a chart of an experiment."""

    def events(self, name: str, after: int = 0, limit: int = MOST) -> tuple[Event, ...]:
        """Return what has happened to an experiment, at most `limit` entries behind the one with id `after`."""

    def stop(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """Stop an experiment for good; what was reached stays. Raises `ConflictError` if it has ended."""

    def pause(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """Have nothing new started and running trials leave their checkpoints; time does not count until `resume`.

        Raises:
            ConflictError: it does not run.
        """

    def resume(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """Let a paused experiment go on; raise `ConflictError` if it is neither paused nor about to be."""

    def retry(
        self,
        name: str,
        trials: Sequence[int] = (),
        cause: Cause | None = None,
        *,
        caller: Caller,
        key: str | None = None,
    ) -> tuple[int, ...]:
        """Have failed trials run again: those named, those of a cause, or all; return their numbers.

        Raises:
            ConflictError: a named trial has neither failed nor been stopped, or none has.
        """

    # Trials -----------------------------------------------------------------------------------------------

    def trials(
        self,
        name: str,
        *,
        states: Sequence[TrialState] | None = None,
        cause: Cause | None = None,
        sort: TrialOrder = "number",
        descending: bool = False,
        after: int = 0,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[Trial]:
        """Return trials; only those in `states`, with a `cause`, or behind the number `after`.

        Trials without a value come last where they are sorted by value.
        """

    def trial(self, name: str, number: int) -> TrialDetails:
        """Return a trial."""

    def export_trials(
        self, name: str, *, after: int = 0, cursor: str | None = None, limit: int = PAGE
    ) -> Page[ExportedTrial]:
        """Return trials with their reports in the order of their numbers, beginning behind the number `after`."""

    def reports(
        self, name: str, number: int, *, attempt: int | None = None, after: int | None = None, limit: int = MOST
    ) -> tuple[Report, ...]:
        """Return reports of an attempt (default: the latest that reported) by step, beginning behind step `after`."""

    def log(
        self, name: str, number: int, *, attempt: int | None = None, offset: int = 0, limit: int = LOG_BYTES
    ) -> LogPart:
        """Return what an attempt (default: the latest) has printed, at most `limit` bytes from `offset` on.

        Raises:
            NotFoundError: no such experiment, trial or attempt, or the trial has not been started.
        """

    def artifacts(self, name: str, number: int, *, attempt: int | None = None) -> tuple[Artifact, ...]:
        """Return the files that an attempt (default: the latest) has left, by path."""

    def artifact(self, name: str, number: int, path: str, *, attempt: int | None = None) -> Iterator[bytes]:
        """Yield the content of a file that an attempt has left in parts."""

    def stop_trial(self, name: str, number: int, *, caller: Caller, key: str | None = None) -> None:
        """Stop a trial; its value so far counts. Raises `ConflictError` if it has ended."""

    def retry_trial(self, name: str, number: int, *, caller: Caller, key: str | None = None) -> None:
        """Have a trial that failed or was stopped run again; raises `ConflictError` if it did neither."""

    # Before the search ------------------------------------------------------------------------------------

    def check_data(self, spec: Mapping[str, Any], *, caller: Caller, key: str | None = None) -> Job:
        """Have every item of a spec's data opened. Result: `findings`, `view`, and `page`, a file of the job (HTML).

        Raises:
            UserError: the spec is wrong, or its task knows no data.
        """

    def probe(self, name: str, *, caller: Caller, key: str | None = None) -> Job:
        """Have what would be the first trial run to its first report: what does a trial cost?

        Result: `seconds` to the report, its `metrics`, `peak_memory_bytes`.
        """

    def import_in_background(
        self,
        spec: Mapping[str, Any],
        *,
        table: Path | None = None,
        storage: str | None = None,
        study: str | None = None,
        caller: Caller,
        key: str | None = None,
    ) -> Job:
        """Have trials recorded as `import_table` or `import_study` does, which may take long. Result: `experiment`.

        Raises:
            SpecError: it is neither a table nor a storage, or the storage's URL holds a password, which a job's record
                would show.
        """

    # After the search -------------------------------------------------------------------------------------

    def train_finalists(self, name: str, *, caller: Caller, key: str | None = None) -> Job:
        """Have the five best trials of a search on a sample trained on all data. Result: `trials`."""

    def evaluate(self, name: str, *, caller: Caller, key: str | None = None) -> Job:
        """Have the five best trials evaluated in detail. Result: `trials`, which were; see `evaluations`."""

    def retrain(
        self, name: str, trial: int | None = None, output: Path | None = None, *, caller: Caller, key: str | None = None
    ) -> Job:
        """Have a model trained on all data with a trial's parameters (default: those of the best at this moment).

        Result: `model` (its folder, or the output of a command), `is_model`, `metrics`. Raises `ConflictError` where
        no trial has a result yet.

        Args:
            name: the experiment.
            trial: number of the trial.
            output: folder of the model; default: that of the job.
            caller: who asks.
            key: see above.
        """

    def predict(
        self,
        model: str,
        inputs: Sequence[Path],
        output: Path | None = None,
        drawn: Path | None = None,
        *,
        caller: Caller,
        key: str | None = None,
    ) -> Job:
        """Have a model used on pictures. Result: `model` (its folder), `predictions`, a file of the job, one a picture.

        Args:
            model: an experiment (its retrained model, or else the best trial's) or a model's folder.
            inputs: pictures, and folders of pictures.
            output: a CSV or JSON file to be written.
            drawn: folder for pictures with what was found drawn in.
            caller: who asks.
            key: see above.
        """

    def export_model(self, model: str, output: Path, *, caller: Caller, key: str | None = None) -> Job:
        """Have a folder to hand over written of a model (as `predict` takes it). Result: facts about it."""

    def evaluations(self, name: str) -> tuple[Evaluation, ...]:
        """Return the detailed evaluations that there are, by trial."""

    def finalists(self, name: str) -> tuple[Finalist, ...]:
        """Return the trials that were trained on all data, best first."""

    def models(self, name: str) -> tuple[Model, ...]:
        """Return the models of an experiment."""

    # Jobs -------------------------------------------------------------------------------------------------

    def jobs(
        self,
        *,
        experiment: str | None = None,
        kind: JobKind | None = None,
        states: Sequence[JobState] | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[Job]:
        """Return the jobs, the newest first; only those about an experiment, of a kind, or in `states`."""

    def job(self, id: int) -> Job:
        """Return a job."""

    def job_log(self, id: int, *, offset: int = 0, limit: int = LOG_BYTES) -> LogPart:
        """Return what the latest attempt at a job has printed, as `log` does."""

    def job_artifacts(self, id: int) -> tuple[Artifact, ...]:
        """Return the files that the latest attempt at a job has left, by path."""

    def job_artifact(self, id: int, path: str) -> Iterator[bytes]:
        """Yield the content of a file that the latest attempt at a job has left in parts."""

    def stop_job(self, id: int, *, caller: Caller, key: str | None = None) -> Job:
        """Stop a job. Raises `ConflictError` if it has ended."""

    def retry_job(self, id: int, *, caller: Caller, key: str | None = None) -> Job:
        """Have a job that failed or was stopped run again; raises `ConflictError` if it did neither."""

    # The service ------------------------------------------------------------------------------------------

    def tasks(self) -> tuple[Task, ...]:
        """Return the built-in tasks."""

    def network(self, name: str) -> Network:
        """Return a network with its parameters."""

    def changes(self, after: int = 0) -> Changes:
        """Return what has changed since version `after`: cheap enough to be asked for all the time."""

    def resources(self) -> Capacity:
        """Return what there is for trials and jobs, and what of it is free."""
