"""Verbs on work before and after a search, carried out in this process: it is put on record as jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tunewell import service
from tunewell.service import lists, types, verbs, wire
from tunewell.service.parts.part import Part
from tunewell.service.types import Page
from tunewell.spec.errors import ArgumentError, shown
from tunewell.spec.names import Split
from tunewell.spec.states import JobState


class JobsPart(Part):
    """See `tunewell.service.verbs.Verbs`."""

    # Before the search ------------------------------------------------------------------------------------

    def check_data(self, spec: Mapping[str, Any], *, key: str | None = None) -> types.Job:
        """See `Verbs.check_data`."""
        spec = self._submitted(spec)
        return service.job_verbs.check_data(self._desk(key), spec)

    def probe(self, name: str, *, key: str | None = None) -> types.Job:
        """See `Verbs.probe`."""
        name = self._rights.commanded(name)
        return service.job_verbs.probe(self._desk(key), name)

    def import_in_background(
        self,
        spec: Mapping[str, Any],
        *,
        table: Path | None = None,
        storage: str | None = None,
        study: str | None = None,
        key: str | None = None,
    ) -> types.Job:
        """See `Verbs.import_in_background`."""
        self._rights.check_local("table", table)
        self._rights.check_code("storage", storage)
        spec = self._submitted(spec)
        return service.job_verbs.import_in_background(self._desk(key), spec, table, storage, study)

    # After the search -------------------------------------------------------------------------------------

    def train_finalists(self, name: str, *, key: str | None = None) -> types.Job:
        """See `Verbs.train_finalists`."""
        name = self._rights.commanded(name)
        return service.job_verbs.train_finalists(self._desk(key), name)

    def repeat_finalists(self, name: str, seeds: int = 3, *, key: str | None = None) -> types.Job:
        """See `Verbs.repeat_finalists`."""
        name = self._rights.commanded(name)
        return service.job_verbs.repeat_finalists(self._desk(key), name, seeds)

    def evaluate(self, name: str, *, key: str | None = None) -> types.Job:
        """See `Verbs.evaluate`."""
        name = self._rights.commanded(name)
        return service.job_verbs.evaluate(self._desk(key), name)

    def evaluate_model(
        self, model: str, data: str, *, trial: int | None = None, split: Split | None = None, key: str | None = None
    ) -> types.Job:
        """See `Verbs.evaluate_model`."""
        model = self._rights.model(model)
        if split not in (None, *get_args(Split)):
            raise ArgumentError("split", f"{shown(split)} is none", "Give train, val or test", split)
        data, dataset = service.storage.resolving.data_to_measure(self._place, data)
        return service.job_verbs.evaluate_model(self._desk(key), model, data, dataset, trial, split)

    def retrain(
        self, name: str, trial: int | None = None, output: Path | None = None, *, key: str | None = None
    ) -> types.Job:
        """See `Verbs.retrain`."""
        self._rights.check_local("output", output)
        name = self._rights.commanded(name)
        return service.job_verbs.retrain(self._desk(key), name, trial, output)

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
        """See `Verbs.predict`."""
        model = self._rights.model(model)
        for field, paths in {"inputs": inputs or None, "output": output, "drawn": drawn}.items():
            self._rights.check_local(field, paths)
        if bool(inputs) == (upload is not None):
            raise ArgumentError("inputs", "it takes pictures, or an upload", "Name one of the two")
        sent = service.storage.inputs.folder_of(self._place, upload) if upload is not None else None
        wanted = service.job_verbs.Prediction(model, trial, inputs, output, drawn, sent, threshold, probabilities)
        return service.job_verbs.predict(self._desk(key), wanted)

    def export_model(
        self, model: str, output: Path | None = None, *, trial: int | None = None, key: str | None = None
    ) -> types.Job:
        """See `Verbs.export_model`."""
        model = self._rights.model(model)
        self._rights.check_local("output", output)
        return service.job_verbs.export_model(self._desk(key), model, output, trial)

    def evaluations(self, name: str, *, trial: int | None = None, details: bool = True) -> tuple[types.Evaluation, ...]:
        """See `Verbs.evaluations`."""
        name = self._rights.seen(name)
        self.store.experiment(name)
        brief = service.on_record.evaluated(self.store, name, trial)
        known = service.on_record.evaluations(self.store, self.home, name, trial) if details else {}
        return tuple(
            types.Evaluation(
                number=number, figures=known[number] if details else data["figures"], intervals=data["intervals"]
            )
            for number, data in sorted(brief.items())
            if number in known or not details
        )

    def finalists(self, name: str) -> tuple[types.Finalist, ...]:
        """See `Verbs.finalists`."""
        name = self._rights.seen(name)
        self.store.experiment(name)
        return service.results.finalists(self.store, self.home, name)

    def trained_models(self, name: str) -> tuple[types.TrainedModel, ...]:
        """See `Verbs.trained_models`."""
        name = self._rights.seen(name)
        return service.trained_models.list_models(self.store, self.home, name)

    def trained_model_files(self, name: str, kind: types.TrainedModelKind) -> Iterator[bytes]:
        """See `Verbs.trained_model_files`."""
        return service.trained_models.archive(self.store, self.home, self._rights.model(name), kind)

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
        """See `Verbs.jobs`."""
        name = self._rights.seen(experiment) if experiment is not None else None
        published = self._rights.seen_model(model).name if model is not None else None
        chosen = lists.ChosenJobs(name, kind, states, published, caller, self._rights.seen_by)
        return lists.jobs(self.store, self.home, chosen, cursor, limit)

    def job(self, id: int) -> types.Job:
        """See `Verbs.job`."""
        return wire.job(self.home, self._rights.seen_job(id))

    def job_log(self, id: int, *, offset: int = 0, limit: int = verbs.LOG_BYTES) -> types.LogPart:
        """See `Verbs.job_log`."""
        row = self._rights.seen_job(id)
        log = service.attempt_files.job_folder(self.home, row) / service.attempt_files.LOG_FILE
        return service.attempt_files.read_log(log, offset, limit, row.state.final)

    def job_artifacts(self, id: int) -> tuple[types.Artifact, ...]:
        """See `Verbs.job_artifacts`."""
        return service.attempt_files.list_artifacts(
            service.attempt_files.job_folder(self.home, self._rights.seen_job(id))
        )

    def job_artifact(self, id: int, path: str) -> Iterator[bytes]:
        """See `Verbs.job_artifact`."""
        return service.attempt_files.read_artifact(
            service.attempt_files.job_folder(self.home, self._rights.seen_job(id)), path
        )

    def stop_job(self, id: int, *, key: str | None = None) -> types.Job:
        """See `Verbs.stop_job`."""
        self._rights.commanded_job(id)
        return service.job_verbs.stop(self._desk(key), id)

    def retry_job(self, id: int, *, key: str | None = None) -> types.Job:
        """See `Verbs.retry_job`."""
        self._rights.commanded_job(id)
        return service.job_verbs.retry(self._desk(key), id)

    def _desk(self, key: str | None) -> service.job_verbs.Desk:
        return service.job_verbs.Desk(self.store, self.home, self.caller, key)
