"""Asking for jobs: each is on record before anything of it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewell.home.cluster import read_cluster
from tunewell.home.home import Home
from tunewell.service import wire
from tunewell.service.idempotency import Asked, once
from tunewell.service.models.answering import checked
from tunewell.service.models.tasks import task_of_model
from tunewell.service.on_record import chosen, find_model, is_experiment, model_version
from tunewell.service.repeats import made_by
from tunewell.service.rights import Rights, caller_of
from tunewell.service.submission import make_plan
from tunewell.service.types import Caller, Job, JobKind, JsonObject
from tunewell.service.warm_start import with_space
from tunewell.spec.errors import ArgumentError, ConflictError, NotFoundError
from tunewell.spec.names import MODEL, parse_model
from tunewell.spec.rules import WORKERS
from tunewell.spec.secrets import passwords
from tunewell.spec.states import OPEN_JOB_STATES, JobState
from tunewell.store.rows import JobEnd, JobRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction
from tunewell.tasks.contract import AS_TRAINED
from tunewell.tasks.vision.task_file import pixels_of

#: Of how many pictures that were sent a small one is kept beside what was predicted.
_PREVIEWS = 12
#: Most other seeds that a trial is trained with.
_MOST_SEEDS = 100
#: Kinds of jobs that read decoded pictures, or bring about such as do.
_ON_DECODED = ("evaluate", "retrain", "finalists", "repeats")
_RETRIED = (JobState.FAILED, JobState.STOPPED)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a caller asks for a job."""

    store: Store
    home: Home
    caller: Caller
    key: str | None

    def order(
        self,
        verb: str,
        kind: JobKind,
        experiment: str | None,
        arguments: JsonObject,
        settled: Callable[[], JsonObject] = dict,
    ) -> Job:
        """Record a job that waits; where the caller has asked for the same before, and it has not ended, return that.

        A key is the better way to say what is the same: with one, nothing else is compared. Arguments that only this
        moment settles come from `settled`.
        """
        asked = Asked(verb, self.caller, self.key, {"experiment": experiment, **arguments})

        def act(tx: Transaction) -> JsonObject:
            if experiment is not None:
                self.store.experiment(experiment)
            settled_arguments = {**arguments, **settled()}
            known = None if self.key is not None else self._find_open(tx, kind, experiment, settled_arguments)
            job = known or self._add(tx, kind, experiment, settled_arguments)
            _check_there(self.store, self.caller, settled_arguments)
            return {"job": job}

        return wire.job(self.home, self.store.job(once(self.store, asked, act)["job"]))

    def _add(self, tx: Transaction, kind: JobKind, experiment: str | None, arguments: JsonObject) -> int:
        """Add a job; where it is done on other machines and reads what the cache has lost, that is prepared before."""
        before = None
        if experiment is not None and kind in _ON_DECODED and self._lacks_pictures(experiment):
            before = tx.add_job("prepare", experiment, {}, self.caller.name)
        return tx.add_job(kind, experiment, arguments, self.caller.name, before)

    def _lacks_pictures(self, experiment: str) -> bool:
        found = self.store.experiment(experiment)
        if found.spec.get("scheduler") != "ray":  # here they are decoded by whoever needs them
            return False
        return not all(folder.is_dir() for folder in pixels_of(self.home.experiment(found.name)))

    def _find_open(self, tx: Transaction, kind: JobKind, experiment: str | None, arguments: JsonObject) -> int | None:
        known = tx.job_arguments(kind, experiment, OPEN_JOB_STATES)
        same = (id for id, others in known.items() if others == arguments)
        return next((id for id in same if self.store.job(id).caller == self.caller.name), None)

    def command(self, verb: str, id: int, act: Callable[[Transaction, JobRow], None]) -> Job:
        """Do something with a job."""

        def do(tx: Transaction) -> JsonObject:
            act(tx, self.store.job(id))
            return {}

        once(self.store, Asked(verb, self.caller, self.key, {"job": id}), do)
        return wire.job(self.home, self.store.job(id))


def check_data(desk: Desk, spec: Mapping[str, Any]) -> Job:
    """Ask for a look at all of a spec's data."""
    plan = make_plan(with_space(desk.store, spec), cluster=read_cluster(desk.home.folder))
    if plan.spec.task is None:
        raise ArgumentError("task", "only built-in tasks know their data", "Name a `task`")
    return desk.order("check_data", "check", None, {"spec": plan.spec.model_dump(mode="json"), "view": True})


def probe(desk: Desk, name: str) -> Job:
    """Ask for a first look at what a trial costs."""
    _check_trains_here(desk, name)
    return desk.order("probe", "probe", name, {})


def import_in_background(
    desk: Desk, spec: Mapping[str, Any], table: Path | None, storage: str | None, study: str | None
) -> Job:
    """Ask for an import."""
    if (table is None) == (storage is None):
        raise ArgumentError("table", "it takes a table or a storage", "Name one of the two")
    if storage is not None and passwords(storage):
        raise ArgumentError("storage", "its URL holds a password, which a job would show", "Import it at once")
    make_plan(with_space(desk.store, spec), cluster=read_cluster(desk.home.folder))
    place = str(table.absolute()) if table is not None else None
    arguments = {"spec": dict(spec), "table": place, "storage": storage, "study": study}
    return desk.order("import_in_background", "import", None, arguments)


def train_finalists(desk: Desk, name: str) -> Job:
    """Ask for the training of the best trials of a search on a sample on all data."""
    _check_trains_here(desk, name)
    return desk.order("train_finalists", "finalists", name, {})


def repeat_finalists(desk: Desk, name: str, seeds: int) -> Job:
    """Ask for the training of the best trials with so many other seeds."""
    if not 1 <= seeds <= _MOST_SEEDS:
        raise ArgumentError("seeds", f"it is {seeds}", f"Give a number from 1 to {_MOST_SEEDS}")
    _check_trains_here(desk, name)
    if desk.store.experiment(name).spec.get("function") is not None:
        raise ConflictError(
            f"'{name}' is over a Python function, which only the program that has it can call",
            remedy="Call it with the parameters of the best trials and seeds of your own",
        )
    return desk.order("repeat_finalists", "repeats", name, {"seeds": seeds})


def evaluate(desk: Desk, name: str) -> Job:
    """Ask for the detailed evaluation of the best trials."""
    return desk.order("evaluate", "evaluate", name, {})


def evaluate_model(desk: Desk, model: str, data: str, dataset: str, trial: int | None, split: str | None) -> Job:
    """Ask for a model to be measured on other data; for `data` and `dataset` see `resolving.data_to_measure`."""
    experiment, _ = _found(desk, model, trial)
    arguments = {"model": model, "data": data, "dataset": dataset, "trial": trial, "split": split}
    return desk.order("evaluate_model", "evaluate-model", experiment, arguments)


def retrain(desk: Desk, name: str, trial: int | None, output: Path | None) -> Job:
    """Ask for a training on all data; the trial that is the best now stays the one that is meant."""
    _check_trains_here(desk, name)
    arguments = {"trial": trial, "output": str(output.absolute()) if output else None}

    def settled() -> JsonObject:
        return {"trial": chosen(desk.store, desk.store.experiment(name), trial).number}

    return desk.order("retrain", "retrain", name, arguments, settled)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model is to be asked; see `Verbs.predict`."""

    model: str
    trial: int | None
    inputs: Sequence[Path]
    output: Path | None
    drawn: Path | None
    #: A folder with pictures, instead of `inputs`.
    sent: Path | None
    threshold: float | None
    probabilities: bool


def predict(desk: Desk, wanted: Prediction) -> Job:
    """Ask for predictions."""
    model, sent = wanted.model, wanted.sent
    experiment, folder = _found(desk, model, wanted.trial)
    answering = AS_TRAINED
    if wanted.threshold is not None or wanted.probabilities:
        answering = checked(task_of_model(folder), wanted.threshold, wanted.probabilities)
    arguments: JsonObject = {
        "model": model,
        "trial": wanted.trial,
        "inputs": [str(path) for path in wanted.inputs] if sent is None else ["."],
        "directory": str(Path.cwd() if sent is None else sent),
        "output": _place(wanted.output),
        "drawn": _place(wanted.drawn),
        "answering": asdict(answering),
    }
    if sent is not None:
        arguments["previews"] = _PREVIEWS
    return desk.order("predict", "predict", experiment, arguments)


def export_model(desk: Desk, model: str, output: Path | None, trial: int | None) -> Job:
    """Ask for a folder to hand over."""
    arguments = {"model": model, "output": str(output.absolute()) if output is not None else None, "trial": trial}
    experiment, _ = _found(desk, model, trial)
    return desk.order("export_model", "export-model", experiment, arguments)


def stop(desk: Desk, id: int) -> Job:
    """Stop a job, or have it stopped; raise `ConflictError` if it has ended."""

    def act(tx: Transaction, row: JobRow) -> None:
        if row.state.final:
            raise ConflictError(f"Job {id} has ended already (it is {row.state})")
        if row.state is JobState.WAITING:
            tx.end_waiting_job(id, JobEnd(JobState.STOPPED, detail="It was stopped before it began."))
        else:
            tx.add_request(None, "stop_job", job=id)

    return desk.command("stop_job", id, act)


def retry(desk: Desk, id: int) -> Job:
    """Let a job wait again; raise `ConflictError` if it has neither failed nor been stopped.

    Who asked for it must still see what it is to use, or else a `NotFoundError` is raised.
    """

    def act(tx: Transaction, row: JobRow) -> None:
        if row.state not in _RETRIED:
            raise ConflictError(f"Job {id} is {row.state}: only failed and stopped ones are retried")
        if row.kind == "repeat" and (other := made_by(tx, row)) is not None:
            raise ConflictError(
                f"Job {id} need not be retried: job {other} is the same training, asked for after it", kind="made-again"
            )
        tx.retry_job(id)
        if _used(row.arguments) != ("", ""):
            _check_there(desk.store, caller_of(desk.store, row.caller), row.arguments)

    return desk.command("retry_job", id, act)


def _check_trains_here(desk: Desk, name: str) -> None:
    """Raise `ConflictError` for a search whose trainings are done elsewhere, by workers."""
    if desk.store.experiment(name).spec.get("scheduler") == WORKERS:
        raise ConflictError(
            f"the trials of '{name}' are trained by workers, and nothing of it can be trained here",
            remedy="Train with the parameters of the best trial where the workers are",
            kind="trained-by-workers",
        )


def _used(arguments: JsonObject) -> tuple[str, str]:
    """Return the published model and the data set that a job is to use, as its arguments name them; empty: none."""
    model = str(arguments.get("model"))
    return model if model.startswith(MODEL) else "", arguments.get("dataset") or ""


def _check_there(store: Store, caller: Caller, arguments: JsonObject) -> None:
    """Raise `NotFoundError` if a published model or data set that a job is to use is gone, or hidden from its caller.

    Within the transaction that has the job wait: whoever deletes these, looks for jobs in one before or after it.
    """
    rights, (model, dataset) = Rights(store, caller), _used(arguments)
    if model:
        name, number = parse_model(model)
        row = rights.find_model(name)
        if row is None:
            raise NotFoundError(f"There is no model '{name}' any more", field="model")
        model_version(store, row, number)
    if dataset:
        name, _, sha256 = dataset.partition("@")
        found = rights.find_dataset(name)
        if found is None or found.sha256 != sha256:
            raise NotFoundError(f"There is no data set '{name}' any more", field="data")


def _found(desk: Desk, model: str, trial: int | None = None) -> tuple[str | None, Path]:
    """Return the experiment that a model is of, None where it is none's, and its folder; see `find_model`."""
    folder = find_model(desk.store, desk.home, model, trial)
    return model if is_experiment(model) else None, folder


def _place(path: Path | None) -> str | None:
    return None if path is None else str(path)
