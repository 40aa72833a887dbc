"""The verbs of the product, carried out in this process on the experiments of one home."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from tunewell.controller.loading import Function
from tunewell.home.home import Home
from tunewell.service import (
    attempt_files,
    commands,
    drawing,
    export,
    importing,
    job_verbs,
    lists,
    machines,
    model_list,
    networks,
    on_record,
    results,
    submission,
    types,
    verbs,
    views,
    wire,
)
from tunewell.service.carrying_out import Leave, Tell, carry_out
from tunewell.service.findings import check_spec
from tunewell.service.idempotency import Asked, repeatable
from tunewell.service.import_study import read_study
from tunewell.service.import_table import read_table
from tunewell.service.importing import ImportedTrial
from tunewell.service.running import PLAIN, Given, OnStep, run_all, run_experiment, run_follow_up
from tunewell.service.snapshots import snapshot
from tunewell.service.submission import Plan
from tunewell.service.types import Caller, Page
from tunewell.spec.secrets import without_password
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.store import Store

DEFAULT_HOME = Path(".tunewell")
#: What a home is opened for: to read it, to write it, too, or to make it first if there is none.
Access = Literal["read", "write", "make"]


class Service:
    """All verbs on the experiments of one home; see `Verbs`. Use it as a context manager, or `close` it.

    Beside the verbs it runs experiments and jobs in this process: `submit` and `run`, also for searches over Python
    functions, and `carry_out`.
    """

    def __init__(self, home: Path = DEFAULT_HOME, database: str | None = None, access: Access = "make") -> None:
        """Open the home and its database; `access` says what for.

        Raises:
            DataError: one of them can't be read, or not be written.
            NotFoundError: there is none, and none is to be made.
        """
        place = Home(home)
        with ExitStack() as stack:
            if access == "make" and not database:
                place.create()
            self.store = stack.enter_context(Store(database or place.database_url, create=access == "make"))
            if access != "read":  # not before: there would be a home for a database that can't be used
                place.create()
            stack.pop_all()
        self.home = Home(home, self.store)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    # In this process --------------------------------------------------------------------------------------

    def submit(
        self, spec: Mapping[str, Any], function: Function | None = None, new: verbs.Fresh = "never"
    ) -> types.Submission:
        """Create or continue the experiment that a spec describes, perhaps over a Python function; see `create`."""
        return submission.submit(self.store, self.home, spec, function, new)

    def run(
        self,
        name: str,
        given: Given = PLAIN,
        *,
        on_step: OnStep = lambda situation: None,
        tell: Tell = lambda sentence: None,
    ) -> bool:
        """Run a recorded experiment, and the jobs that follow it, here; see `running.run_experiment`."""
        return run_experiment(self.store, self.home, name, given, on_step, tell)

    def check_idle(self, name: str) -> None:
        """Raise `ConflictError` if another process runs this one experiment now."""
        if not self.home.is_served:
            with self.home.lock(name):
                pass

    def run_follow_up(self, name: str, on_step: OnStep = lambda situation: None) -> bool:
        """Run the jobs that follow a search which has ended; see `running.run_follow_up`."""
        return run_follow_up(self.store, self.home, name, on_step)

    def run_all(
        self, stop: threading.Event, on_step: OnStep = lambda situation: None, lost_hosts: Collection[str] = ()
    ) -> None:
        """Run everything that is on record in the home, until `stop` is set; see `running.run_all`."""
        run_all(self.store, self.home, stop, on_step, lost_hosts)

    def carry_out(self, id: int, tell: Tell = lambda line: None, leave: Leave | None = None) -> types.Job:
        """Do here what a job is to do; return it as it has ended. `tell` is told in lines what it is doing.

        Raises:
            KeyboardInterrupt: it was interrupted, and waits, or goes on if `leave` said so.
        """
        return carry_out(self.store, self.home, id, tell, leave)

    # Submitting -------------------------------------------------------------------------------------------

    def check(self, spec: Mapping[str, Any], *, line: str | None = None) -> types.Checked:
        """See `Verbs.check`."""
        return check_spec(spec, line, store=self.store)

    def create(
        self, spec: Mapping[str, Any], *, new: verbs.Fresh = "never", caller: Caller, key: str | None = None
    ) -> types.Submission:
        """See `Verbs.create`."""
        asked = Asked("create", caller, key, {"spec": dict(spec), "new": new})
        return submission.create(self.store, self.home, spec, new, asked)

    def update(
        self, name: str, changes: Mapping[str, Any], *, caller: Caller, key: str | None = None
    ) -> types.Experiment:
        """See `Verbs.update`."""
        asked = Asked("update", caller, key, {"name": name, "changes": dict(changes)})
        submission.change(self.store, self.home, name, changes, asked)
        return self.experiment(name)

    def import_table(
        self, spec: Mapping[str, Any], table: bytes, origin: str, *, caller: Caller, key: str | None = None
    ) -> types.Submission:
        """See `Verbs.import_table`."""
        asked = Asked("import_table", caller, key, {"spec": dict(spec), "table": table.hex(), "origin": origin})

        def read(plan: Plan) -> list[ImportedTrial]:
            return read_table(table, origin, plan.space, plan.spec.objective.metric)

        return importing.import_trials(self.store, spec, read, origin, asked)

    def import_study(
        self, spec: Mapping[str, Any], storage: str, study: str | None = None, *, caller: Caller, key: str | None = None
    ) -> types.Submission:
        """See `Verbs.import_study`."""
        asked = Asked("import_study", caller, key, {"spec": dict(spec), "storage": storage, "study": study})

        def read(plan: Plan) -> list[ImportedTrial]:
            return read_study(storage, study, plan.space, plan.spec.objective)

        return importing.import_trials(self.store, spec, read, without_password(storage), asked)

    # Experiments ------------------------------------------------------------------------------------------

    def experiments(
        self,
        *,
        states: Sequence[ExperimentState] | None = None,
        search: str = "",
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.ExperimentSummary]:
        """See `Verbs.experiments`."""
        return lists.experiments(self.store, self.home, states, search, cursor, limit)

    def experiment(self, name: str) -> types.Experiment:
        """See `Verbs.experiment`."""
        return wire.experiment(self.home, self.store.experiment(name))

    def result(self, name: str) -> types.SearchResult:
        """See `Verbs.result`."""
        return results.search_result(self.store, self.home, name)

    def top(self, name: str, number: int = results.TOP) -> tuple[types.TrialResult, ...]:
        """See `Verbs.top`."""
        return results.best_trials(self.store, name, number)

    def snapshot(self, name: str, recent: int = 30) -> types.Snapshot:
        """See `Verbs.snapshot`."""
        return snapshot(self.store, self.home, name, recent)

    def export(self, name: str, format: verbs.ExportFormat = "json") -> Iterator[str]:
        """See `Verbs.export`."""
        if format == "csv":
            return export.export_csv(self.store, name)
        return export.export_json(self.store, self.home, name)

    def report(self, name: str) -> str:
        """See `Verbs.report`."""
        return views.render_report(self.store, self.home, name)

    def write_report(self, name: str, *, caller: Caller, key: str | None = None) -> types.ReportFile:
        """See `Verbs.write_report`."""
        asked = Asked("write_report", caller, key, {"name": name})
        answer = repeatable(self.store, asked, lambda: views.write_report(self.store, self.home, name).to_json())
        return types.ReportFile.model_validate(answer)

    def chart(self, name: str, chart: verbs.ChartName = "history") -> types.Chart:
        """See `Verbs.chart`."""
        return drawing.draw(self.store, self.home, name, chart)

    def events(self, name: str, after: int = 0, limit: int = verbs.MOST) -> tuple[types.Event, ...]:
        """See `Verbs.events`."""
        return tuple(map(wire.event, self.store.events(name, after, lists.checked_limit(limit))))

    def stop(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """See `Verbs.stop`.

        A search that was interrupted has no controller: then its trials that live on are ended here, and it is stopped.
        (One over a Python function is stopped when its program runs next, and so is a single trial.)
        """
        commands.stop(self.store, name, Asked("stop", caller, key, {"name": name}))
        row = self.store.experiment(name)
        if not row.state.final and not self._is_owned(name) and not row.spec.get("function"):
            self.run(name)

    def _is_owned(self, name: str) -> bool:
        """Whether there is a controller that a request to an experiment reaches."""
        return self.home.is_served or self.home.is_running(name)

    def pause(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """See `Verbs.pause`."""
        commands.pause(self.store, name, Asked("pause", caller, key, {"name": name}))

    def resume(self, name: str, *, caller: Caller, key: str | None = None) -> None:
        """See `Verbs.resume`."""
        commands.resume(self.store, name, Asked("resume", caller, key, {"name": name}))

    def retry(
        self,
        name: str,
        trials: Sequence[int] = (),
        cause: Cause | None = None,
        *,
        caller: Caller,
        key: str | None = None,
    ) -> tuple[int, ...]:
        """See `Verbs.retry`. A running controller takes them up at once, else the next run of the experiment does."""
        asked = Asked("retry", caller, key, {"name": name, "trials": list(trials), "cause": cause})
        return commands.retry(self.store, name, trials, cause, asked)

    # Trials -----------------------------------------------------------------------------------------------

    def trials(
        self,
        name: str,
        *,
        states: Sequence[TrialState] | None = None,
        cause: Cause | None = None,
        sort: verbs.TrialOrder = "number",
        descending: bool = False,
        after: int = 0,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.Trial]:
        """See `Verbs.trials`."""
        order = lists.Order(sort, descending, after)
        return lists.trials(self.store, name, states, cause, order, cursor, limit)

    def trial(self, name: str, number: int) -> types.TrialDetails:
        """See `Verbs.trial`."""
        row = self.store.trial(name, number)
        return types.TrialDetails(
            **dict(wire.trial(row)),
            attempt_list=tuple(map(wire.attempt, self.store.attempts(name, number))),
            lineage=tuple(part.number for part in results.lineage(self.store, name, row)),
            log=attempt_files.log_of(self.store, self.home, name, row),
        )

    def export_trials(
        self, name: str, *, after: int = 0, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.ExportedTrial]:
        """See `Verbs.export_trials`."""
        return lists.exported_trials(self.store, name, after, cursor, limit)

    def reports(
        self, name: str, number: int, *, attempt: int | None = None, after: int | None = None, limit: int = verbs.MOST
    ) -> tuple[types.Report, ...]:
        """See `Verbs.reports`."""
        return lists.reports(self.store, name, number, attempt, after, limit)

    def log(
        self, name: str, number: int, *, attempt: int | None = None, offset: int = 0, limit: int = verbs.LOG_BYTES
    ) -> types.LogPart:
        """See `Verbs.log`."""
        row = self.store.trial(name, number)  # before its log is read: what is printed before its end is in there
        folder = attempt_files.attempt_folder(self.store, self.home, name, row, attempt)
        ended = row.state.final or (attempt is not None and attempt < row.attempt)
        return attempt_files.read_log(folder / attempt_files.LOG_FILE, offset, limit, ended)

    def artifacts(self, name: str, number: int, *, attempt: int | None = None) -> tuple[types.Artifact, ...]:
        """See `Verbs.artifacts`."""
        row = self.store.trial(name, number)
        return attempt_files.list_artifacts(attempt_files.attempt_folder(self.store, self.home, name, row, attempt))

    def artifact(self, name: str, number: int, path: str, *, attempt: int | None = None) -> Iterator[bytes]:
        """See `Verbs.artifact`."""
        row = self.store.trial(name, number)
        folder = attempt_files.attempt_folder(self.store, self.home, name, row, attempt)
        return attempt_files.read_artifact(folder, path)

    def stop_trial(self, name: str, number: int, *, caller: Caller, key: str | None = None) -> None:
        """See `Verbs.stop_trial`."""
        asked = Asked("stop_trial", caller, key, {"name": name, "number": number})
        commands.stop_trial(self.store, name, number, asked)

    def retry_trial(self, name: str, number: int, *, caller: Caller, key: str | None = None) -> None:
        """See `Verbs.retry_trial`."""
        asked = Asked("retry_trial", caller, key, {"name": name, "number": number})
        commands.retry(self.store, name, [number], None, asked)

    # Before the search ------------------------------------------------------------------------------------

    def check_data(self, spec: Mapping[str, Any], *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.check_data`."""
        return job_verbs.check_data(self._desk(caller, key), spec)

    def probe(self, name: str, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.probe`."""
        return job_verbs.probe(self._desk(caller, key), name)

    def import_in_background(
        self,
        spec: Mapping[str, Any],
        *,
        table: Path | None = None,
        storage: str | None = None,
        study: str | None = None,
        caller: Caller,
        key: str | None = None,
    ) -> types.Job:
        """See `Verbs.import_in_background`."""
        return job_verbs.import_in_background(self._desk(caller, key), spec, table, storage, study)

    # After the search -------------------------------------------------------------------------------------

    def train_finalists(self, name: str, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.train_finalists`."""
        return job_verbs.train_finalists(self._desk(caller, key), name)

    def evaluate(self, name: str, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.evaluate`."""
        return job_verbs.evaluate(self._desk(caller, key), name)

    def retrain(
        self, name: str, trial: int | None = None, output: Path | None = None, *, caller: Caller, key: str | None = None
    ) -> types.Job:
        """See `Verbs.retrain`."""
        return job_verbs.retrain(self._desk(caller, key), name, trial, output)

    def predict(
        self,
        model: str,
        inputs: Sequence[Path],
        output: Path | None = None,
        drawn: Path | None = None,
        *,
        caller: Caller,
        key: str | None = None,
    ) -> types.Job:
        """See `Verbs.predict`."""
        return job_verbs.predict(self._desk(caller, key), model, inputs, output, drawn)

    def export_model(self, model: str, output: Path, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.export_model`."""
        return job_verbs.export_model(self._desk(caller, key), model, output)

    def evaluations(self, name: str) -> tuple[types.Evaluation, ...]:
        """See `Verbs.evaluations`."""
        self.store.experiment(name)
        known = on_record.evaluations(self.store, self.home, name)
        return tuple(types.Evaluation(number=number, figures=figures) for number, figures in sorted(known.items()))

    def finalists(self, name: str) -> tuple[types.Finalist, ...]:
        """See `Verbs.finalists`."""
        self.store.experiment(name)
        return results.finalists(self.store, self.home, name)

    def models(self, name: str) -> tuple[types.Model, ...]:
        """See `Verbs.models`."""
        return model_list.list_models(self.store, self.home, name)

    # Jobs -------------------------------------------------------------------------------------------------

    def jobs(
        self,
        *,
        experiment: str | None = None,
        kind: types.JobKind | None = None,
        states: Sequence[JobState] | None = None,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.Job]:
        """See `Verbs.jobs`."""
        return lists.jobs(self.store, self.home, experiment, kind, states, cursor, limit)

    def job(self, id: int) -> types.Job:
        """See `Verbs.job`."""
        return wire.job(self.home, self.store.job(id))

    def job_log(self, id: int, *, offset: int = 0, limit: int = verbs.LOG_BYTES) -> types.LogPart:
        """See `Verbs.job_log`."""
        row = self.store.job(id)
        log = attempt_files.job_folder(self.home, row) / attempt_files.LOG_FILE
        return attempt_files.read_log(log, offset, limit, row.state.final)

    def job_artifacts(self, id: int) -> tuple[types.Artifact, ...]:
        """See `Verbs.job_artifacts`."""
        return attempt_files.list_artifacts(attempt_files.job_folder(self.home, self.store.job(id)))

    def job_artifact(self, id: int, path: str) -> Iterator[bytes]:
        """See `Verbs.job_artifact`."""
        return attempt_files.read_artifact(attempt_files.job_folder(self.home, self.store.job(id)), path)

    def stop_job(self, id: int, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.stop_job`."""
        return job_verbs.stop(self._desk(caller, key), id)

    def retry_job(self, id: int, *, caller: Caller, key: str | None = None) -> types.Job:
        """See `Verbs.retry_job`."""
        return job_verbs.retry(self._desk(caller, key), id)

    def _desk(self, caller: Caller, key: str | None) -> job_verbs.Desk:
        return job_verbs.Desk(self.store, self.home, caller, key)

    # The service ------------------------------------------------------------------------------------------

    def tasks(self) -> tuple[types.Task, ...]:
        """See `Verbs.tasks`."""
        return networks.list_tasks()

    def network(self, name: str) -> types.Network:
        """See `Verbs.network`."""
        return networks.find_network(name)

    def changes(self, after: int = 0) -> types.Changes:
        """See `Verbs.changes`."""
        return lists.changes(self.store, after)

    def resources(self) -> types.Capacity:
        """See `Verbs.resources`."""
        return machines.capacity()
