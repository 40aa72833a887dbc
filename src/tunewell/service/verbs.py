"""The verbs of the product: what every front may ask for, wherever they are carried out.

`service` carries them out in this process. Whatever stands in for it takes the same arguments, gives the same types
(`tunewell.service.types`) and raises the same errors; `tests/contracts/test_verbs_contract.py` says so.

Verbs are those of one caller, who is settled before any is called: the person whose home it is, or whoever a token or
a session belongs to. Verbs that change something take, if they are given one, a `key` of the caller's choice: called
again with the same key and arguments, they do nothing more and give the same answer. A key that the caller has used for
anything else raises `ConflictError`.

The full name of an experiment is `OWNER/NAME`; that of the person whose home it is, is `NAME` alone. A caller may leave
the owner out where it is the caller. What a caller may not see, does not exist for that caller.

Errors, where nothing else is said: `NotFoundError` for what does not exist, `SpecError` for a value that is wrong,
`ForbiddenError` for what the caller has no right to, `ConflictError` for what contradicts the present state. Lists come
in pages: `cursor` is the `next` of the page before.
Moments, units and paths are those of `tunewell.service.types`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tunewell.service.model_verbs import ModelVerbs
from tunewell.service.notification_verbs import NotificationVerbs
from tunewell.service.storage_verbs import StorageVerbs
from tunewell.service.types import (
    EVERY_TRIAL,
    About,
    Algorithm,
    Artifact,
    AuditEntry,
    Capacity,
    Changes,
    Chart,
    Checked,
    Clone,
    Evaluation,
    Event,
    Experiment,
    ExperimentComparison,
    ExperimentSummary,
    ExportedTrial,
    Finalist,
    GivenReport,
    Job,
    JobKind,
    LogPart,
    Me,
    Network,
    NewToken,
    Overview,
    OwnConfiguration,
    Page,
    ParameterImportance,
    Queue,
    Report,
    ReportFile,
    SearchResult,
    SignInLink,
    Submission,
    Taken,
    Task,
    Token,
    TrainedModel,
    TrainedModelKind,
    TrialDetails,
    TrialFilter,
    TrialPage,
    TrialResult,
    User,
    UserUsage,
)
from tunewell.service.upkeep_verbs import UpkeepVerbs
from tunewell.service.worker_verbs import WorkerVerbs
from tunewell.spec.names import ExperimentOrder, Split
from tunewell.spec.states import Cause, ExperimentState, JobState

#: When to begin afresh under a numbered name although the name is taken: never, always, or if that experiment
#: has ended, has another spec, or is being run.
Fresh = Literal["never", "always", "if-ended"]
ExportFormat = Literal["csv", "json"]
ChartName = Literal[
    "contour",
    "history",
    "history-over-time",
    "importance",
    "learning-curves",
    "lineage",
    "outcomes",
    "parallel",
    "ribbon",
    "slice",
    "timeline",
]

#: The best trials that a result has, unless another number is asked for.
TOP = 5
#: Items of a page, where nothing else is said, and the most that can be asked for.
PAGE, MOST = 100, 1000
#: What is left as it is.
NOTHING: Mapping[str, Any] = MappingProxyType({})
#: Bytes of a part of a log.
LOG_BYTES = 1 << 16


class Verbs(StorageVerbs, ModelVerbs, NotificationVerbs, WorkerVerbs, UpkeepVerbs, Protocol):
    """Every verb."""

    # Submitting -------------------------------------------------------------------------------------------

    def check(self, spec: Mapping[str, Any], *, line: str | None = None, measure: bool = False) -> Checked:
        """Check a spec, its data and its program; start and record nothing.

        Args:
            spec: as a spec file has it.
            line: a line of the program's output: which metrics are found in it is told, too.
            measure: whether, where no earlier search tells how long a trial takes, a few steps of one are measured,
                which takes some seconds, a minute at most. That this can't be done is no error.

        Raises:
            UserError: something is wrong.
        """

    def create(self, spec: Mapping[str, Any], *, new: Fresh = "never", key: str | None = None) -> Submission:
        """Create the experiment that a spec describes, or continue the one that has its name.

        What is continued has not ended any more once this is answered, whoever is going to run it.

        Raises:
            UserError: the spec is wrong, or differs from the recorded one in more than its budget.
        """

    def update(
        self, name: str, changes: Mapping[str, Any], *, revision: int | None = None, key: str | None = None
    ) -> Experiment:
        """Change how far an experiment goes, and what people set of it, all at once; if it runs, it goes on with that.

        Args:
            name: the experiment.
            changes: fields of the spec that may change (`max_trials`, `objective.target`, …; null: the default), and
                `description`, `tags`, `project`, `visibility` and `weight`. A search that a larger budget lets
                go on has not ended any more: a controller takes it up, or the next run.
            revision: change nothing unless its `revision` is this.
            key: see above.

        Raises:
            SpecError: a field can't be changed, or its value is wrong.
            ConflictError: it has another revision (kind `stale`), was imported, or would tell a private name to all.
        """

    def clone(self, name: str, changes: Mapping[str, Any] | None = None) -> Clone:
        """Return a spec that would search what an experiment searches, with `changes` as `update` takes them.

        Any field may be changed. Raises `ConflictError` for an experiment that only its program can begin.
        """

    def delete(self, name: str, *, key: str | None = None) -> None:
        """Put an experiment into the bin, where it keeps its name; jobs about it that wait are stopped.

        Raises:
            ConflictError: it, or a job about it, is being run or was interrupted.
        """

    def restore(self, name: str, *, key: str | None = None) -> Experiment:
        """Take an experiment out of the bin."""

    def purge(self, name: str, *, key: str | None = None) -> None:
        """Remove an experiment that is in the bin, with its trials and files, for good; its name is free again."""

    def import_table(self, spec: Mapping[str, Any], table: bytes, origin: str, *, key: str | None = None) -> Submission:
        """Record the trials in a CSV file as a finished experiment, which a spec describes; all or nothing.

        Args:
            spec: names space and objective.
            table: its content, a row a trial; see `tunewell.service.import_table`.
            origin: what people call it, such as its path.
        """

    def import_study(
        self, spec: Mapping[str, Any], storage: str, study: str | None = None, *, key: str | None = None
    ) -> Submission:
        """Record the trials of an Optuna study (default: the only one of its storage), as `import_table` does."""

    # Experiments ------------------------------------------------------------------------------------------

    def experiments(  # noqa: PLR0913 - each is a thing that people choose by name
        self,
        *,
        states: Sequence[ExperimentState] | None = None,
        search: str = "",
        owner: str | None = None,
        project: str | None = None,
        tags: Sequence[str] = (),
        deleted: bool = False,
        sort: ExperimentOrder = "-created",
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[ExperimentSummary]:
        """Return the experiments, the newest first; `deleted`: those in the bin.

        Only those in `states`, of an owner or a project, with all of `tags`, or with `search` in their names. They can
        also be sorted by `name`, or `created`, the oldest first; with a `-` before it, the order is the other way
        round.
        """

    def experiment(self, name: str) -> Experiment:
        """Return an experiment."""

    def compare(self, names: Sequence[str]) -> ExperimentComparison:
        """Return two to five experiments side by side: what differs in them, and what came of each.

        Raises:
            ArgumentError: they are fewer or more, or one of them is named twice.
        """

    def result(self, name: str) -> SearchResult:
        """Return what a search has brought so far."""

    def top(self, name: str, number: int = TOP) -> tuple[TrialResult, ...]:
        """Return the best `number` trials, best first."""

    def overview(self, name: str, recent: int = 30) -> Overview:
        """Return a search as it is now, with what went wrong, its pace, and its `recent` last trials."""

    def export(self, name: str, format: ExportFormat = "json", *, filter: TrialFilter = EVERY_TRIAL) -> Iterator[str]:
        """Yield all that is known of an experiment and its trials, or some of them, as the parts of a text."""

    def report(self, name: str) -> str:
        """Return the HTML report of an experiment, one file for itself."""

    def write_report(self, name: str, *, key: str | None = None) -> ReportFile:
        """Write the HTML report into the experiment's folder."""

    def chart(
        self,
        name: str,
        chart: ChartName = "history",
        *,
        of: Sequence[str] = (),
        filter: TrialFilter = EVERY_TRIAL,
    ) -> Chart:
        """Return a chart of an experiment, in which the trials of a selection stand out.

        `of` names the parameters that it is about: one of a `slice`, two of a `contour`, none of all others.
        """

    def importances(self, name: str) -> tuple[ParameterImportance, ...]:
        """Return how much each parameter decides whether a trial is among the best, the most important first.

        None where there are too few trials to tell; see `tunewell.reports.importance`.
        """

    def events(self, name: str, after: int = 0, limit: int = MOST, *, trial: int | None = None) -> tuple[Event, ...]:
        """Return what has happened to an experiment, at most `limit` entries behind the one with id `after`.

        With `trial`: what has happened to the trial of that number.
        """

    def watch(self, name: str, after: int = 0) -> Iterator[Event]:
        """Yield what happens to an experiment as it happens, entries behind the one with id `after` first.

        They end when the search has ended, and go on from there if it goes on meanwhile.
        """

    def stop(self, name: str, *, key: str | None = None) -> None:
        """Stop an experiment for good; what was reached stays. Raises `ConflictError` if it has ended."""

    def pause(self, name: str, *, key: str | None = None) -> None:
        """Have nothing new started and running trials leave their checkpoints; time does not count until `resume`.

        Raises:
            ConflictError: it does not run.
        """

    def resume(self, name: str, *, key: str | None = None) -> None:
        """Let a paused experiment go on; raise `ConflictError` if it is neither paused nor about to be."""

    def retry(
        self,
        name: str,
        trials: Sequence[int] = (),
        cause: Cause | None = None,
        *,
        key: str | None = None,
    ) -> tuple[int, ...]:
        """Have failed trials run again: those named, those of a cause, or all; return their numbers.

        A search that had ended goes on with that.

        Raises:
            ConflictError: a named trial has neither failed nor been stopped, or none has.
        """

    # Trials -----------------------------------------------------------------------------------------------

    def trials(
        self,
        name: str,
        *,
        filter: TrialFilter = EVERY_TRIAL,
        sort: str = "number",
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> TrialPage:
        """Return trials, and how many of them there are on all pages.

        A cursor names the trial that the page before ended with by number and by what the order goes by: pages stay as
        they are while trials are added.

        Args:
            name: the experiment.
            filter: only these.
            sort: `number`, `value`, `start`, `end`, `duration` or a parameter (of choices their order in the space);
                with a `-` before it, the largest comes first. Trials that have none come last.
            cursor: see above.
            limit: most trials of the page.

        Raises:
            SpecError: there is no such parameter, a value is none of it, or one of these is wrong.
        """

    def trial(self, name: str, number: int) -> TrialDetails:
        """Return a trial."""

    def export_trials(
        self, name: str, *, filter: TrialFilter = EVERY_TRIAL, cursor: str | None = None, limit: int = PAGE
    ) -> Page[ExportedTrial]:
        """Return trials with their reports in the order of their numbers; see `trials`."""

    def reports(
        self,
        name: str,
        number: int,
        *,
        attempt: int | None = None,
        after: int | None = None,
        points: int | None = None,
        limit: int = MOST,
    ) -> tuple[Report, ...]:
        """Return reports of an attempt (default: the latest that reported) by step, beginning behind step `after`.

        With `points`, of more than so many about so many, evenly spaced, and the last one.
        """

    def add_reports(
        self, name: str, number: int, attempt: int, reports: Sequence[GivenReport], *, key: str | None = None
    ) -> Taken:
        """Take reports of the attempt that runs, at most 1000 at once, as if its program had written them itself.

        They outlive the power once they are answered. Sent again under their key, right after they were sent, they
        count once; without one, those without a step count again, and the steps of others begin again.

        Raises:
            SpecError: they are too many, or too large.
            ConflictError: the attempt does not run (kind `attempt-over`).
        """

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

    def add_trial(self, name: str, parameters: Mapping[str, Any], *, key: str | None = None) -> OwnConfiguration:
        """Have a configuration of the caller's own tried next; it counts as one of `max_trials`.

        Where the search ends, or waits, before that, it is tried when it goes on.

        Raises:
            SpecError: it is none of the space: all parameters that are active in it need a value.
            ConflictError: it has been tried, no trial is left for it, the search has ended, or its algorithm trains a
                population and takes none.
        """

    def stop_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        """Stop a trial; its value so far counts. Raises `ConflictError` if it has ended."""

    def retry_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        """Have a trial that failed or was stopped run again; raises `ConflictError` if it did neither."""

    # Before the search ------------------------------------------------------------------------------------

    def check_data(self, spec: Mapping[str, Any], *, key: str | None = None) -> Job:
        """Have every item of a spec's data opened. Result: `findings`, `view`, and `page`, a file of the job (HTML).

        Raises:
            UserError: the spec is wrong, or its task knows no data.
        """

    def probe(self, name: str, *, key: str | None = None) -> Job:
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
        key: str | None = None,
    ) -> Job:
        """Have trials recorded as `import_table` or `import_study` does, which may take long. Result: `experiment`.

        Raises:
            SpecError: it is neither a table nor a storage, or the storage's URL holds a password, which a job's record
                would show.
        """

    # After the search -------------------------------------------------------------------------------------

    def train_finalists(self, name: str, *, key: str | None = None) -> Job:
        """Have the five best trials of a search on a sample trained on all data. Result: `trials`."""

    def repeat_finalists(self, name: str, seeds: int = 3, *, key: str | None = None) -> Job:
        """Have the five best trials trained again with so many other seeds, each training a job `repeat`.

        Those that have been made already are not made again. Result: `trainings`, how many were missing; what they
        reach is in the result of the search (`repeats`).

        Raises:
            SpecError: it is no number from 1 to 100.
            ConflictError: its trials are trained elsewhere, or it is over a Python function.
        """

    def evaluate(self, name: str, *, key: str | None = None) -> Job:
        """Have the five best trials evaluated in detail. Result: `trials`, which were; see `evaluations`."""

    def evaluate_model(
        self, model: str, data: str, *, trial: int | None = None, split: Split | None = None, key: str | None = None
    ) -> Job:
        """Have a model measured on data that were labelled anew, with the thresholds that it has.

        Classes are matched by their names; some may be missing. Result: `model`, `trial` (whose own model it is, if it
        is any's), `data`, `splits` (how many pictures of which were measured), `figures` (`new`, and those that the
        model came with: `val`, `test`) and their `intervals`, where they have any, `unreadable` (pictures that can't be
        read, at most 100, and why); `evaluation` and `page`, files of the job: all that was measured, and a page about
        it.

        Args:
            model: as `predict` takes it.
            data: `dataset:NAME`, or a path here, in any layout that the model's task reads.
            trial: of an experiment, that whose own model it is.
            split: of the data; default: `test`, and where there is none, all of them together.
            key: see above.

        Raises:
            NotFoundError: there is no such model, or no such data.
        """

    def retrain(
        self, name: str, trial: int | None = None, output: Path | None = None, *, key: str | None = None
    ) -> Job:
        """Have a model trained on all data with a trial's parameters (default: those of the best at this moment).

        Result: `model` (its folder, or the output of a command), `is_model`, `metrics`. Raises `ConflictError` where
        no trial has a result yet.

        Args:
            name: the experiment.
            trial: number of the trial.
            output: folder of the model; default: that of the job.
            key: see above.
        """

    def predict(  # noqa: PLR0913 - each is a thing that people choose by name
        self,
        model: str,
        inputs: Sequence[Path] = (),
        output: Path | None = None,
        drawn: Path | None = None,
        *,
        upload: str | None = None,
        trial: int | None = None,
        threshold: float | None = None,
        probabilities: bool = False,
        key: str | None = None,
    ) -> Job:
        """Have a model used on pictures. Result: `model` (its folder), `trial`, `predictions`, one a picture.

        `trial` is the one whose own model it is, if it is any's. `predictions` is a file of the job; `predictions.csv`,
        beside it, has the same as a table. Of the first pictures of an upload, small ones are among the files of the
        job, too.

        Args:
            model: an experiment (its retrained model, or else the best trial's) or a model's folder.
            inputs: pictures, and folders of pictures.
            upload: instead of those: id of a finished upload of a picture, or of an archive of pictures.
            trial: of an experiment, that whose own model it is.
            output: a CSV or JSON file to be written.
            drawn: folder for pictures with what was found drawn in.
            threshold: score or probability from which on objects or labels are given, above 0 and 1 at most; default:
                the model's own. A model that gives each picture one label knows none.
            probabilities: whether the probability of every class is given; where a picture has any number of labels
                that is always so, and models that find objects know none.
            key: see above.

        Raises:
            ArgumentError: such a model can't answer so.
        """

    def export_model(
        self, model: str, output: Path | None = None, *, trial: int | None = None, key: str | None = None
    ) -> Job:
        """Have a folder to hand over written of a model (as `predict` takes it). Result: facts about it.

        Args:
            model: whose.
            output: the folder; without one, it is `model` among the files of the job.
            trial: of an experiment, that whose own model it is.
            key: see above.
        """

    def evaluations(self, name: str, *, trial: int | None = None, details: bool = True) -> tuple[Evaluation, ...]:
        """Return the evaluations that there are, by trial; that of one `trial` only, if one is named.

        Without `details` each has single numbers alone: those are quickly told, while pictures take megabytes.
        """

    def finalists(self, name: str) -> tuple[Finalist, ...]:
        """Return the trials that were trained on all data, best first."""

    def trained_models(self, name: str) -> tuple[TrainedModel, ...]:
        """Return the models of an experiment."""

    def trained_model_files(self, name: str, kind: TrainedModelKind) -> Iterator[bytes]:
        """Yield the folder of a model as the parts of a tar.

        Raises:
            ForbiddenError: the caller is there to look only.
        """

    # Jobs -------------------------------------------------------------------------------------------------

    def jobs(
        self,
        *,
        experiment: str | None = None,
        kind: JobKind | None = None,
        states: Sequence[JobState] | None = None,
        model: str | None = None,
        caller: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[Job]:
        """Return the jobs, the newest first.

        Args:
            experiment: only those about it.
            kind: only those of this kind.
            states: only those in one of these.
            model: only those about this published model, whichever version, by its name.
            caller: only those that this user has asked for.
            cursor: `next` of the page before.
            limit: how many at most.
        """

    def job(self, id: int) -> Job:
        """Return a job."""

    def job_log(self, id: int, *, offset: int = 0, limit: int = LOG_BYTES) -> LogPart:
        """Return what the latest attempt at a job has printed, as `log` does."""

    def job_artifacts(self, id: int) -> tuple[Artifact, ...]:
        """Return the files that the latest attempt at a job has left, by path."""

    def job_artifact(self, id: int, path: str) -> Iterator[bytes]:
        """Yield the content of a file that the latest attempt at a job has left in parts."""

    def stop_job(self, id: int, *, key: str | None = None) -> Job:
        """Stop a job. Raises `ConflictError` if it has ended."""

    def retry_job(self, id: int, *, key: str | None = None) -> Job:
        """Have a job that failed or was stopped run again; raises `ConflictError` if it did neither."""

    # The service ------------------------------------------------------------------------------------------

    def tasks(self) -> tuple[Task, ...]:
        """Return the built-in tasks."""

    def network(self, name: str) -> Network:
        """Return a network with its parameters."""

    def algorithms(self) -> tuple[Algorithm, ...]:
        """Return the search algorithms with their options, the one that chooses among the others first."""

    def version(self) -> int:
        """Return the number of the latest change: while it stays the same, nothing has changed."""

    def changes(self, after: int = 0) -> Changes:
        """Return what has changed since version `after`: cheap enough to be asked for all the time."""

    def queue(self) -> Queue:
        """Return what has something to start and does not, its place, and why; all that the caller may see of it."""

    def about(self) -> About:
        """Return what this service is, and how much it takes."""

    def resources(self) -> Capacity:
        """Return what there is for trials and jobs, and what of it is free."""

    # People -----------------------------------------------------------------------------------------------
    # Those that give a secret give it once: it is on no record. Called again under their key, they make nothing more,
    # and raise `ConflictError` (kind `told-once`).

    def me(self) -> Me:
        """Return the caller as a user."""

    def usage(self, *, month: str | None = None, cursor: str | None = None, limit: int = PAGE) -> Page[UserUsage]:
        """Return what users have used in a calendar month (`2026-03`, UTC; None: this one), and may have, by name.

        Administrators see everybody, all others themselves.
        """

    def users(self, *, cursor: str | None = None, limit: int = PAGE) -> Page[User]:
        """Return the users by name. This and the verbs up to `sign_in_link` are for administrators."""

    def user(self, name: str) -> User:
        """Return a user."""

    def add_user(self, name: str, facts: Mapping[str, Any] = NOTHING, *, key: str | None = None) -> User:
        """Add a user; `facts` as those of `change_user`.

        Raises:
            ConflictError: there is one of this name.
        """

    def change_user(self, name: str, changes: Mapping[str, Any], *, key: str | None = None) -> User:
        """Change what a user may do and has: `role`, `run_code`, `weight`, `quota`, `disabled`.

        Who is disabled is shut out, and everything revoked that they proved themselves by.

        Raises:
            ConflictError: there would be no administrator any more.
        """

    def sign_in_link(self, name: str, *, key: str | None = None) -> SignInLink:
        """Make a link that begins a session of a user, once, within a day; earlier links begin none any more.

        Raises:
            ConflictError: the user is disabled.
        """

    def tokens(self, *, owner: str | None = None, cursor: str | None = None, limit: int = PAGE) -> Page[Token]:
        """Return what the caller proves themselves by, the latest first; that of others is for administrators."""

    def create_token(
        self, label: str, expires_at: datetime | None = None, *, owner: str | None = None, key: str | None = None
    ) -> NewToken:
        """Make a token for programs, good until `expires_at` (None: until it is revoked).

        Those of another `owner` are made by administrators.
        """

    def revoke_token(self, id: int, *, key: str | None = None) -> None:
        """Have a token, session or link of the caller's prove nothing more; administrators revoke anybody's."""

    def audit(
        self,
        *,
        caller: str | None = None,
        verb: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[AuditEntry]:
        """Return who has changed what, and what was refused, the latest first; for administrators.

        Args:
            caller: only what this user did; empty: what nobody known tried.
            verb: only this, such as `create`.
            cursor: see above.
            limit: most entries of the page.
        """

    def audited_verbs(self) -> tuple[str, ...]:
        """Return what the audit log calls what was done: all verbs that it has; for administrators."""
