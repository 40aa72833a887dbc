"""The verbs of a server, over HTTP."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from tunewell.client.answers import Unavailable
from tunewell.client.checking import checked
from tunewell.client.connection import Connection
from tunewell.client.models import ModelsClient, version_path
from tunewell.client.notifications import NotificationsClient
from tunewell.client.people import PeopleClient
from tunewell.client.requests import check_name, check_no_path, file_path, named, part, selected, texts
from tunewell.client.servers import server_and_token
from tunewell.client.shipping import send_pictures, ship_data
from tunewell.client.storage import StorageClient
from tunewell.client.upkeep import UpkeepClient
from tunewell.client.workers import WorkersClient
from tunewell.service import types, verbs
from tunewell.service.following import INTERVAL_SECONDS, ends_search
from tunewell.service.types import EVERY_TRIAL, Page, TrialFilter
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, DataError
from tunewell.spec.names import DATASET, MODEL, ExperimentOrder, Split, check_has_trials, is_dataset, parse_model
from tunewell.spec.states import Cause, ExperimentState, JobState

#: A version that no database reaches: nothing has changed since.
_NEVER = 2**53


@checked
class Client(StorageClient, ModelsClient, PeopleClient, NotificationsClient, WorkersClient, UpkeepClient, Verbs):
    """The verbs of whoever a token belongs to, carried out by a server; see `Verbs`. Use it as a context manager.

    What a server can't do for others, such as writing to a path of its machine, is refused.
    """

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        """Take the server's address and a token; default: `TUNEWELL_SERVER` and `TUNEWELL_TOKEN`, or the last login.

        Raises:
            ArgumentError: the address is none, or there is none.
        """
        self._connection = Connection(*server_and_token(server, token))

    @classmethod
    def over(cls, connection: Connection) -> Self:
        """Return the verbs over a connection that is there already."""
        client = cls.__new__(cls)
        client._connection = connection
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _job(self, path: str, body: Any = None, *, key: str | None) -> types.Job:
        """Ask for a job; without a key, one that was asked for alike and has not ended is that."""
        return self._read(types.Job, self._connection.wish(path, body, key=key))

    # Submitting -------------------------------------------------------------------------------------------

    def check(self, spec: Mapping[str, Any], *, line: str | None = None, measure: bool = False) -> types.Checked:
        asked = {"dry_run": True, "line": line, "measure": measure or None}
        return self._command(types.Checked, "POST", "/experiments", dict(spec), key=None, **asked)

    def create(
        self, spec: Mapping[str, Any], *, new: verbs.Fresh = "never", key: str | None = None
    ) -> types.Submission:
        return self._command(types.Submission, "POST", "/experiments", dict(spec), key=key, new=new)

    def update(
        self, name: str, changes: Mapping[str, Any], *, revision: int | None = None, key: str | None = None
    ) -> types.Experiment:
        match = {"If-Match": "*" if revision is None else f'"{revision}"'}
        response = self._connection.command("PATCH", _experiment(name), dict(changes), key=key, headers=match)
        return self._read(types.Experiment, response)

    def clone(self, name: str, changes: Mapping[str, Any] | None = None) -> types.Clone:
        body = {"changes": dict(changes or {})}
        return self._command(types.Clone, "POST", f"{_experiment(name)}/clone", body, key=None)

    def delete(self, name: str, *, key: str | None = None) -> None:
        self._connection.command("DELETE", _experiment(name), key=key)

    def restore(self, name: str, *, key: str | None = None) -> types.Experiment:
        return self._command(types.Experiment, "POST", f"{_experiment(name)}/restore", key=key)

    def purge(self, name: str, *, key: str | None = None) -> None:
        self._connection.command("DELETE", f"/bin/{named(name)}", key=key)

    def import_table(
        self, spec: Mapping[str, Any], table: bytes, origin: str, *, key: str | None = None
    ) -> types.Submission:
        try:
            body = {"spec": dict(spec), "table": table.decode(), "origin": origin}
        except UnicodeDecodeError:
            raise DataError("it is no text in UTF-8", field=origin, remedy="Save it as UTF-8") from None
        return self._command(types.Submission, "POST", "/imports", body, key=key)

    def import_study(
        self, spec: Mapping[str, Any], storage: str, study: str | None = None, *, key: str | None = None
    ) -> types.Submission:
        """Refuse it: the server can't open a storage that only this machine may reach."""
        raise _tables_only()

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
        limit: int = verbs.PAGE,
    ) -> Page[types.ExperimentSummary]:
        return self._get(
            Page[types.ExperimentSummary],
            "/bin" if deleted else "/experiments",
            state=texts(states),
            search=search or None,
            owner=owner,
            project=project,
            tag=texts(tags),
            sort=sort,
            cursor=cursor,
            limit=limit,
        )

    def experiment(self, name: str) -> types.Experiment:
        return self._get(types.Experiment, _experiment(name))

    def compare(self, names: Sequence[str]) -> types.ExperimentComparison:
        return self._get(types.ExperimentComparison, "/compare", e=[named(name) for name in names])

    def result(self, name: str) -> types.SearchResult:
        return self._get(types.SearchResult, f"{_experiment(name)}/result")

    def top(self, name: str, number: int = 5) -> tuple[types.TrialResult, ...]:
        return self._get(Page[types.TrialResult], f"{_experiment(name)}/top", number=number).items

    def overview(self, name: str, recent: int = 30) -> types.Overview:
        return self._get(types.Overview, f"{_experiment(name)}/overview", recent=recent)

    def export(
        self, name: str, format: verbs.ExportFormat = "json", *, filter: TrialFilter = EVERY_TRIAL
    ) -> Iterator[str]:
        parts = self._parts(f"{_experiment(name)}/export", format=format, **selected(filter))
        return codecs.iterdecode(parts, "utf-8")

    def report(self, name: str) -> str:
        return self._connection.ask("GET", f"{_experiment(name)}/report").text

    def write_report(self, name: str, *, key: str | None = None) -> types.ReportFile:
        return self._command(types.ReportFile, "POST", f"{_experiment(name)}/report", key=key)

    def chart(
        self,
        name: str,
        chart: verbs.ChartName = "history",
        *,
        of: Sequence[str] = (),
        filter: TrialFilter = EVERY_TRIAL,
    ) -> types.Chart:
        return self._get(types.Chart, f"{_experiment(name)}/charts/{part(chart)}", of=list(of), **selected(filter))

    def importances(self, name: str) -> tuple[types.ParameterImportance, ...]:
        return self._get(Page[types.ParameterImportance], f"{_experiment(name)}/importances").items

    def events(
        self, name: str, after: int = 0, limit: int = verbs.MOST, *, trial: int | None = None
    ) -> tuple[types.Event, ...]:
        path = f"{_experiment(name)}/events"
        return self._get(Page[types.Event], path, after=after, limit=limit, trial=trial).items

    def watch(self, name: str, after: int = 0) -> Iterator[types.Event]:
        """Over a network, each comes as it happens; a server that is away is waited for."""
        self.experiment(name)  # an error comes at once, not with the first event
        return self._watched(name, after)

    def _watched(self, name: str, after: int) -> Iterator[types.Event]:
        while not self.experiment(name).state.final:
            with suppress(Unavailable):
                for event in self._stream(f"{_experiment(name)}/events", after):
                    yield event
                    after = event.id
                    if ends_search(event):  # unless it goes on
                        break
                else:
                    time.sleep(INTERVAL_SECONDS)
        while events := self.events(name, after):
            yield from events
            after = events[-1].id

    def _stream(self, path: str, after: int) -> Iterator[types.Event]:
        """Yield the entries of an event stream, until it ends; what has no id is none."""
        with self._connection.stream(path, {"after": after}) as response:
            id = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    id = value
                elif field == "data" and id:
                    yield self._known(types.Event, value)
                elif not line:
                    id = ""

    def stop(self, name: str, *, key: str | None = None) -> None:
        self._command(types.Experiment, "POST", f"{_experiment(name)}/stop", key=key)

    def pause(self, name: str, *, key: str | None = None) -> None:
        self._command(types.Experiment, "POST", f"{_experiment(name)}/pause", key=key)

    def resume(self, name: str, *, key: str | None = None) -> None:
        self._command(types.Experiment, "POST", f"{_experiment(name)}/resume", key=key)

    def retry(
        self, name: str, trials: Sequence[int] = (), cause: Cause | None = None, *, key: str | None = None
    ) -> tuple[int, ...]:
        body = {"trials": list(trials), "cause": cause}
        return self._command(Page[int], "POST", f"{_experiment(name)}/retry", body, key=key).items

    # Trials -----------------------------------------------------------------------------------------------

    def trials(
        self,
        name: str,
        *,
        filter: TrialFilter = EVERY_TRIAL,
        sort: str = "number",
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> types.TrialPage:
        path = f"{_experiment(name)}/trials"
        return self._get(types.TrialPage, path, sort=sort, cursor=cursor, limit=limit, **selected(filter))

    def trial(self, name: str, number: int) -> types.TrialDetails:
        return self._get(types.TrialDetails, _trial(name, number))

    def export_trials(
        self, name: str, *, filter: TrialFilter = EVERY_TRIAL, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.ExportedTrial]:
        path = f"{_experiment(name)}/export/trials"
        return self._get(Page[types.ExportedTrial], path, cursor=cursor, limit=limit, **selected(filter))

    def reports(
        self,
        name: str,
        number: int,
        *,
        attempt: int | None = None,
        after: int | None = None,
        points: int | None = None,
        limit: int = verbs.MOST,
    ) -> tuple[types.Report, ...]:
        path = f"{_trial(name, number)}/reports"
        given = {"attempt": attempt, "after": after, "points": points, "limit": limit}
        return self._get(Page[types.Report], path, **given).items

    def log(
        self, name: str, number: int, *, attempt: int | None = None, offset: int = 0, limit: int = verbs.LOG_BYTES
    ) -> types.LogPart:
        path = f"{_trial(name, number)}/log"
        return self._get(types.LogPart, path, attempt=attempt, offset=offset, limit=limit)

    def artifacts(self, name: str, number: int, *, attempt: int | None = None) -> tuple[types.Artifact, ...]:
        return self._get(Page[types.Artifact], f"{_trial(name, number)}/artifacts", attempt=attempt).items

    def artifact(self, name: str, number: int, path: str, *, attempt: int | None = None) -> Iterator[bytes]:
        return self._parts(f"{_trial(name, number)}/artifacts/{file_path(path)}", attempt=attempt)

    def add_reports(
        self, name: str, number: int, attempt: int, reports: Sequence[types.GivenReport], *, key: str | None = None
    ) -> types.Taken:
        body = {"reports": [report.model_dump(mode="json") for report in reports]}
        return self._command(types.Taken, "POST", f"{_trial(name, number)}/reports", body, key=key, attempt=attempt)

    def add_trial(self, name: str, parameters: Mapping[str, Any], *, key: str | None = None) -> types.OwnConfiguration:
        body = {"parameters": dict(parameters)}
        return self._command(types.OwnConfiguration, "POST", f"{_experiment(name)}/trials", body, key=key)

    def stop_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        self._command(types.Experiment, "POST", f"{_trial(name, number)}/stop", key=key)

    def retry_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        self._command(types.Experiment, "POST", f"{_trial(name, number)}/retry", key=key)

    # Before and after the search --------------------------------------------------------------------------

    def check_data(self, spec: Mapping[str, Any], *, key: str | None = None) -> types.Job:
        return self._job("/data-checks", dict(spec), key=key)

    def probe(self, name: str, *, key: str | None = None) -> types.Job:
        return self._job(f"{_experiment(name)}/probe", key=key)

    def import_in_background(
        self,
        spec: Mapping[str, Any],
        *,
        table: Path | None = None,
        storage: str | None = None,
        study: str | None = None,
        key: str | None = None,
    ) -> types.Job:
        """Refuse it, as `import_study`: a table that can be sent is imported at once."""
        raise _tables_only()

    def train_finalists(self, name: str, *, key: str | None = None) -> types.Job:
        return self._job(f"{_experiment(name)}/finalists", key=key)

    def repeat_finalists(self, name: str, seeds: int = 3, *, key: str | None = None) -> types.Job:
        return self._job(f"{_experiment(name)}/repeats", {"seeds": seeds}, key=key)

    def evaluate(self, name: str, *, key: str | None = None) -> types.Job:
        return self._job(f"{_experiment(name)}/evaluate", key=key)

    def evaluate_model(
        self, model: str, data: str, *, trial: int | None = None, split: Split | None = None, key: str | None = None
    ) -> types.Job:
        """A folder of this machine is sent first, and becomes a private data set. `model` is no folder."""
        check_has_trials(model, trial)
        place = self._place_of(model)  # nothing is sent for nothing
        named = data if is_dataset(data) else DATASET + ship_data(self, "data", Path(data), "private")
        body = {"data": named, "trial": trial, "split": split}
        known = {name: value for name, value in body.items() if value is not None}
        return self._job(f"{place}/evaluate-model", known, key=key)

    def retrain(
        self, name: str, trial: int | None = None, output: Path | None = None, *, key: str | None = None
    ) -> types.Job:
        """The model lies on the server."""
        check_no_path(output=output)
        return self._job(f"{_experiment(name)}/retrain", {"trial": trial}, key=key)

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
    ) -> types.Job:
        """Pictures of this machine are sent first. `model` is an experiment, or a published model."""
        check_no_path(output=output, drawn=drawn)
        check_has_trials(model, trial)
        if bool(inputs) == (upload is not None):
            raise ArgumentError("inputs", "it takes pictures, or an upload", "Name one of the two")
        place = self._place_of(model)  # nothing is sent for nothing
        upload = upload or send_pictures(self, inputs)
        verb = "predictions" if model.startswith(MODEL) else "predict"
        own = {} if trial is None else {"trial": trial}
        body = {"upload": upload, **own, "threshold": threshold, "probabilities": probabilities}
        return self._job(f"{place}/{verb}", body, key=key)

    def export_model(
        self, model: str, output: Path | None = None, *, trial: int | None = None, key: str | None = None
    ) -> types.Job:
        """The folder is one of the job's files. `model` is an experiment, or a published model."""
        check_no_path(output=output)
        check_has_trials(model, trial)
        body = None if trial is None else {"trial": trial}
        return self._job(f"{self._place_of(model)}/export-model", body, key=key)

    def _place_of(self, model: str) -> str:
        """Return the address of an experiment, or of a version of a published model, which is there."""
        if not model.startswith(MODEL):
            self.experiment(model)
            return _experiment(model)
        name, number = parse_model(model)
        found = self.model(name)
        return version_path(name, found.current.number if number is None else number)

    def evaluations(self, name: str, *, trial: int | None = None, details: bool = True) -> tuple[types.Evaluation, ...]:
        place = f"{_experiment(name)}/evaluations"
        return self._get(Page[types.Evaluation], place, trial=trial, details=details).items

    def finalists(self, name: str) -> tuple[types.Finalist, ...]:
        return self._get(Page[types.Finalist], f"{_experiment(name)}/finalists").items

    def trained_models(self, name: str) -> tuple[types.TrainedModel, ...]:
        return self._get(Page[types.TrainedModel], f"{_experiment(name)}/models").items

    def trained_model_files(self, name: str, kind: Literal["best", "retrained"]) -> Iterator[bytes]:
        return self._parts(f"{_experiment(name)}/models/{part(kind)}/files")

    # Jobs -------------------------------------------------------------------------------------------------

    def jobs(
        self,
        *,
        experiment: str | None = None,
        kind: types.JobKind | None = None,
        states: Sequence[JobState] | None = None,
        model: str | None = None,
        caller: str | None = None,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.Job]:
        check_name(experiment)
        about, published = (None if name is None else name.replace("/", "~", 1) for name in (experiment, model))
        return self._get(
            Page[types.Job],
            "/jobs",
            experiment=about,
            kind=kind,
            state=texts(states),
            model=published,
            caller=caller,
            cursor=cursor,
            limit=limit,
        )

    def job(self, id: int) -> types.Job:
        return self._get(types.Job, f"/jobs/{id}")

    def job_log(self, id: int, *, offset: int = 0, limit: int = verbs.LOG_BYTES) -> types.LogPart:
        return self._get(types.LogPart, f"/jobs/{id}/log", offset=offset, limit=limit)

    def job_artifacts(self, id: int) -> tuple[types.Artifact, ...]:
        return self._get(Page[types.Artifact], f"/jobs/{id}/artifacts").items

    def job_artifact(self, id: int, path: str) -> Iterator[bytes]:
        return self._parts(f"/jobs/{id}/artifacts/{file_path(path)}")

    def stop_job(self, id: int, *, key: str | None = None) -> types.Job:
        return self._command(types.Job, "POST", f"/jobs/{id}/stop", key=key)

    def retry_job(self, id: int, *, key: str | None = None) -> types.Job:
        return self._command(types.Job, "POST", f"/jobs/{id}/retry", key=key)

    # The service ------------------------------------------------------------------------------------------

    def tasks(self) -> tuple[types.Task, ...]:
        return self._get(Page[types.Task], "/tasks").items

    def network(self, name: str) -> types.Network:
        return self._get(types.Network, f"/networks/{part(name)}")

    def algorithms(self) -> tuple[types.Algorithm, ...]:
        return self._get(Page[types.Algorithm], "/algorithms").items

    def version(self) -> int:
        return self.changes(_NEVER).version

    def changes(self, after: int = 0) -> types.Changes:
        return self._get(types.Changes, "/events", after=after)

    def queue(self) -> types.Queue:
        return self._get(types.Queue, "/queue")

    def about(self) -> types.About:
        return self._get(types.About, "/about")

    def resources(self) -> types.Capacity:
        return self._get(types.Capacity, "/resources")


def _experiment(name: str) -> str:
    return f"/experiments/{named(name)}"


def _trial(name: str, number: int) -> str:
    return f"{_experiment(name)}/trials/{number}"


def _tables_only() -> ArgumentError:
    return ArgumentError("storage", "a server imports tables only", "Export the study as CSV, and import that")
