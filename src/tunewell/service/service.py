"""The verbs of the product, for every front: console, REST, CLI and Python alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from tunewell.controller.controller import Controller
from tunewell.home.home import Home
from tunewell.reports.view import ExperimentView
from tunewell.service import importing, models, views
from tunewell.service.export import export_experiment, export_trial
from tunewell.service.finalists import Finalist, train_finalists
from tunewell.service.import_study import read_study
from tunewell.service.import_table import read_table
from tunewell.service.jobs import OnReport
from tunewell.service.results import SearchResult, TrialResult, best_trials, search_result
from tunewell.service.running import run_experiment
from tunewell.service.snapshots import Snapshot, snapshot
from tunewell.service.submission import Fresh, Function, Plan, Submission, check_searched, make_plan, submit
from tunewell.service.training import lineage
from tunewell.service.warm_start import with_space
from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.secrets import without_password
from tunewell.spec.states import Cause, TrialState
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tasks.contract import OnProgress

DEFAULT_HOME = Path(".tunewell")
#: What a home is opened for: to read it, to write it, too, or to make it first if there is none.
Access = Literal["read", "write", "make"]


class Service:
    """All verbs on the experiments of one home. Use it as a context manager, or `close` it."""

    def __init__(self, home: Path = DEFAULT_HOME, database: str | None = None, access: Access = "make") -> None:
        """Open the home and its database; `access` says what for.

        Raises:
            DataError: one of them can't be read, or not be written.
            NotFoundError: there is none, and none is to be made.
        """
        place = Home(home)
        with ExitStack() as stack:
            if access == "make":
                place.create()
            self.store = stack.enter_context(Store(database or place.database_url, create=access == "make"))
            if access == "write":
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

    # Searching --------------------------------------------------------------------------------------------

    def submit(self, raw: Mapping[str, Any], function: Function | None = None, new: Fresh = "never") -> Submission:
        """Create or continue the experiment that a spec describes; see `submission.submit`."""
        return submit(self.store, self.home, raw, function, new)

    def plan(self, raw: Mapping[str, Any]) -> Plan:
        """Check a spec, start and record nothing; see `submission.make_plan`."""
        return make_plan(with_space(self.store, raw))

    def import_table(self, raw: Mapping[str, Any], path: Path) -> str:
        """Record the trials in a CSV file as a finished experiment, which a spec describes; return its name.

        Raises:
            UserError: spec or trials are wrong, or the name is taken; nothing was recorded.
        """
        plan = make_plan(raw)
        trials = read_table(path, plan.space, plan.spec.objective.metric)
        importing.record(self.store, plan, trials, str(path))
        return plan.spec.name

    def import_study(self, raw: Mapping[str, Any], storage: str, study: str | None = None) -> str:
        """Record the trials of an Optuna study (default: the only one of its storage); as `import_table` does."""
        plan = make_plan(raw)
        trials = read_study(storage, study, plan.space, plan.spec.objective)
        importing.record(self.store, plan, trials, without_password(storage))
        return plan.spec.name

    def run(
        self,
        name: str,
        *,
        function: Function | None = None,
        inline: bool = False,
        progress: OnProgress = lambda what, done, total: None,
        on_step: Callable[[Controller], None] = lambda controller: None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> bool:
        """Run a recorded experiment here; return whether it ended (False: it was interrupted)."""
        return run_experiment(
            self.store, self.home, name, function=function, inline=inline, progress=progress, on_step=on_step, tell=tell
        )

    def result(self, name: str) -> SearchResult:
        """Return what an experiment has brought so far."""
        return search_result(self.store, self.home, name)

    def top(self, name: str, number: int) -> list[TrialResult]:
        """Return the best `number` trials of an experiment, best first."""
        return best_trials(self.store, name, number)

    # Looking ----------------------------------------------------------------------------------------------

    def experiments(self) -> list[ExperimentRow]:
        """Return the newest experiments (100 at most)."""
        return self.store.experiments()

    def experiment(self, name: str) -> ExperimentRow:
        """Return an experiment; raises `NotFoundError`."""
        return self.store.experiment(name)

    def check_idle(self, name: str) -> None:
        """Raise `ConflictError` if another process runs the experiment now."""
        with self.home.lock(name):
            pass

    def is_running(self, name: str) -> bool:
        """Whether a controller runs the experiment now."""
        return self.home.is_running(name)

    def trial(self, name: str, number: int) -> TrialRow:
        """Return a trial; raises `NotFoundError`."""
        self.store.experiment(name)
        return self.store.trial(name, number)

    def lineage(self, name: str, number: int) -> list[TrialRow]:
        """Return the trials whose checkpoints led to a trial, the first one first, and the trial itself."""
        return lineage(self.store, name, self.trial(name, number))

    def log_file(self, name: str, number: int, attempt: int | None = None) -> Path:
        """Return the path of a trial's output (default: of its latest attempt); it may not exist yet.

        Raises:
            NotFoundError: no such experiment, trial or attempt, or the trial has not been started.
        """
        trial = self.trial(name, number)
        chosen = trial.attempt if attempt is None else attempt
        identities = {known.attempt: known.identity for known in self.store.attempts(name, number)}
        if chosen not in identities:
            tried = f"it has been tried {trial.attempt} times" if trial.attempt else "it has not been started yet"
            raise NotFoundError(f"Trial {number} of '{name}' has no attempt {attempt or 1}: {tried}")
        return self.home.attempt(AttemptKey(name, number, chosen), identities[chosen]) / "output.log"

    def export(self, name: str) -> dict[str, Any]:
        """Return the experiment with all of its trials as JSON-able data."""
        return export_experiment(self.store, self.home, name)

    def export_trials(self, name: str, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return trials as `export` does, at most `limit` of them, beginning after number `after`."""
        rows = itertools.islice(self.store.iterate_trials(name, after), limit)
        return [export_trial(self.store, name, row) for row in rows]

    def snapshot(self, name: str, recent: int = 30) -> Snapshot:
        """Return the experiment as it is now, with its `recent` last trials."""
        return snapshot(self.store, self.home, name, recent)

    # Commanding -------------------------------------------------------------------------------------------

    def stop(self, name: str, trial: int | None = None, key: str | None = None) -> None:
        """Have an experiment, or one of its trials, stopped by its controller.

        A search that was interrupted has none: then its trials that live on are ended here, and it is stopped.
        (One over a Python function is stopped when its program runs next, and so is a single trial.)

        Raises:
            ConflictError: the experiment, or the trial, has ended.
        """
        row = self.store.experiment(name)
        if row.state.final:
            raise ConflictError(f"Experiment '{name}' has ended already (it is {row.state})")
        if trial is not None and self.store.trial(name, trial).state.final:
            raise ConflictError(f"Trial {trial} of '{name}' has ended already")
        self.store.request(name, "stop" if trial is None else "stop_trial", trial=trial, key=key)
        if trial is None and not self.is_running(name) and not row.spec.get("function"):
            self.run(name)

    def retry(
        self, name: str, numbers: Sequence[int] = (), cause: Cause | None = None, key: str | None = None
    ) -> list[int]:
        """Have failed trials run again: those named, those of a cause, or all; return their numbers.

        A running controller takes them up at once, else the next run of the experiment does.

        Raises:
            ConflictError: a named trial has not failed, or none has.
        """
        check_searched(self.store.experiment(name))
        chosen = list(dict.fromkeys(numbers))
        for number in chosen:
            state = self.store.trial(name, number).state
            if state not in (TrialState.FAILED, TrialState.STOPPED):
                raise ConflictError(f"Trial {number} of '{name}' is {state}: only failed and stopped ones are retried")
        if not chosen:
            chosen = [trial.number for trial in self._failed(name, cause)]
        if not chosen:
            which = f" with cause {cause}" if cause else ""
            raise ConflictError(f"Experiment '{name}' has no failed trial{which}")
        self.store.request(name, "retry", key=key, data={"trials": chosen})
        return chosen

    def _failed(self, name: str, cause: Cause | None) -> Iterator[TrialRow]:
        after = 0
        while page := self.store.trials(name, states=(TrialState.FAILED,), cause=cause, after=after):
            yield from page
            after = page[-1].number

    # After the search -------------------------------------------------------------------------------------

    def train_finalists(
        self, name: str, on_step: Callable[[int, int, int], None] = lambda trial, done, total: None
    ) -> list[Finalist]:
        """Train the five best trials of a search on a sample on all data; see `finalists.train_finalists`."""
        return train_finalists(self.store, self.home, name, on_step)

    def evaluate(self, name: str) -> dict[int, Any]:
        """Evaluate the five best trials in detail; empty for tasks that have no evaluation."""
        return models.evaluate(self.store, self.home, name)

    def view(self, name: str) -> ExperimentView:
        """Return everything that reports and charts are made of."""
        return views.experiment_view(self.store, self.home, name)

    def report(self, name: str, path: Path | None = None) -> Path:
        """Write the HTML report (default: into the experiment's folder); return its path."""
        return views.write_report(self.store, self.home, name, path)

    def retrain(
        self,
        name: str,
        trial: int | None = None,
        output: Path | None = None,
        on_report: OnReport = lambda report: None,
    ) -> tuple[Path, dict[str, float]]:
        """Train on all data with a trial's parameters (default: the best); see `models.retrain`."""
        return models.retrain(self.store, self.home, name, trial, output, on_report)

    def predict(
        self, model: str, inputs: Sequence[Path], output: Path | None = None, drawn: Path | None = None
    ) -> list[dict[str, Any]]:
        """Use a model (experiment name or model folder) on pictures; see `models.predict`."""
        return models.predict(self.store, self.home, model, inputs, output, drawn)

    def export_model(self, model: str, output: Path) -> dict[str, Any]:
        """Write a folder to hand over of a model (experiment name or model folder); see `models.export_model`."""
        return models.export_model(self.store, self.home, model, output)

    def find_model(self, model: str) -> Path:
        """Return the folder of the model that `predict` and `export_model` use."""
        return models.find_model(self.store, self.home, model)[0]

    def retrained_model(self, name: str) -> Path | None:
        """Return the folder of the model that was trained on all data, None if there is none."""
        return models.retrained_model(self.store, self.home, name)

    def best_model(self, name: str) -> Path | None:
        """Return the folder of the best trial's model, None if there is none."""
        return models.best_model(self.store, self.home, self.store.experiment(name))
