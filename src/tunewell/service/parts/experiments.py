"""Verbs on experiments as a whole, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tunewell import service
from tunewell.home.cluster import read_cluster
from tunewell.service import following, lists, types, verbs, wire
from tunewell.service.idempotency import Asked, repeatable, settled
from tunewell.service.parts.part import Part
from tunewell.service.storage.calling import errors_call, named_in
from tunewell.service.types import EVERY_TRIAL, JsonObject, Page, TrialFilter
from tunewell.spec.experiment import needs_its_program
from tunewell.spec.names import ExperimentOrder
from tunewell.spec.secrets import without_password
from tunewell.spec.states import Cause, ExperimentState

if TYPE_CHECKING:
    from tunewell.service.importing import ImportedTrial
    from tunewell.service.submission import Plan


class ExperimentsPart(Part):
    """See `tunewell.service.verbs.Verbs`."""

    # Submitting -------------------------------------------------------------------------------------------

    def check(
        self, spec: Mapping[str, Any], *, line: str | None = None, measure: bool = False, page: Path | None = None
    ) -> types.Checked:
        """See `Verbs.check`; beside that, it writes a page about the data to `page`."""
        self._rights.check_local("page", page)
        submitted = self._submitted(spec)
        with errors_call(self.home, submitted.get("dataset")):
            checked = service.findings.check_spec(
                submitted,
                line,
                page,
                self.store,
                self._rights.seen_by,
                measures=measure,
                claims=self.home.claims,
                cluster=read_cluster(self.home.folder),
            )
        dataset = submitted.get("dataset")
        findings = tuple(named_in(self.home, dataset, line) for line in checked.findings)
        why = named_in(self.home, dataset, checked.not_estimated)
        return checked.model_copy(update={"findings": findings, "not_estimated": why})

    def create(
        self, spec: Mapping[str, Any], *, new: verbs.Fresh = "never", key: str | None = None
    ) -> types.Submission:
        """See `Verbs.create`."""
        spec = self._with_program(self._submitted(spec))
        asked = Asked("create", self.caller, key, {"spec": dict(spec), "new": new})
        with errors_call(self.home, spec.get("dataset")):
            return service.submission.create(self.store, self.home, spec, new, asked)

    def update(
        self, name: str, changes: Mapping[str, Any], *, revision: int | None = None, key: str | None = None
    ) -> types.Experiment:
        """See `Verbs.update`."""
        name = self._rights.commanded(name)
        asked = Asked("update", self.caller, key, {"name": name, "changes": dict(changes), "revision": revision})
        service.steering.change(self.store, self.home, name, changes, asked, revision)
        return wire.experiment(self.home, self.store.experiment(name))

    def clone(self, name: str, changes: Mapping[str, Any] | None = None) -> types.Clone:
        """See `Verbs.clone`."""
        name = self._rights.seen(name)
        return service.cloning.clone(self.store, self.home, name, changes or {}, self.caller)

    def delete(self, name: str, *, key: str | None = None) -> None:
        """See `Verbs.delete`."""
        asked = Asked("delete", self.caller, key, {"name": self._rights.full_name(name)})
        settled(
            self.store,
            asked,
            lambda: service.recycling.delete(self.store, self.home, self._rights.commanded(name), asked),
        )

    def restore(self, name: str, *, key: str | None = None) -> types.Experiment:
        """See `Verbs.restore`."""
        asked = Asked("restore", self.caller, key, {"name": self._rights.full_name(name)})

        def act() -> JsonObject:
            return service.recycling.restore(self.store, self.home, self._rights.commanded(name, deleted=True), asked)

        return types.Experiment.model_validate(settled(self.store, asked, act))

    def purge(self, name: str, *, key: str | None = None) -> None:
        """See `Verbs.purge`."""
        asked = Asked("purge", self.caller, key, {"name": self._rights.full_name(name)})

        def act() -> JsonObject:
            return service.recycling.purge(self.store, self.home, self._rights.commanded(name, deleted=True), asked)

        settled(self.store, asked, act)

    def import_table(
        self, spec: Mapping[str, Any], table: bytes, origin: str, *, key: str | None = None
    ) -> types.Submission:
        """See `Verbs.import_table`."""
        spec = self._submitted(spec)
        asked = Asked("import_table", self.caller, key, {"spec": dict(spec), "table": table.hex(), "origin": origin})

        def read(plan: Plan) -> list[ImportedTrial]:
            return service.import_table.read_table(table, origin, plan.space, plan.spec.objective.metric)

        return service.importing.import_trials(self.store, spec, read, origin, asked)

    def import_study(
        self, spec: Mapping[str, Any], storage: str, study: str | None = None, *, key: str | None = None
    ) -> types.Submission:
        """See `Verbs.import_study`."""
        self._rights.check_code("storage")
        spec = self._submitted(spec)
        asked = Asked("import_study", self.caller, key, {"spec": dict(spec), "storage": storage, "study": study})

        def read(plan: Plan) -> list[ImportedTrial]:
            return service.import_study.read_study(storage, study, plan.space, plan.spec.objective)

        return service.importing.import_trials(self.store, spec, read, without_password(storage), asked)

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
        """See `Verbs.experiments`."""
        chosen = lists.Chosen(states, search, owner, project, tags, deleted, sort, self._rights.seen_by)
        return lists.experiments(self.store, self.home, chosen, cursor, limit)

    def experiment(self, name: str) -> types.Experiment:
        """See `Verbs.experiment`."""
        name = self._rights.seen(name)
        return wire.experiment(self.home, self.store.experiment(name))

    def compare(self, names: Sequence[str]) -> types.ExperimentComparison:
        """See `Verbs.compare`."""
        return service.comparing_searches.compare(
            cast(verbs.Verbs, self), self.store, self.shared.tables, self.caller.name, names
        )

    def result(self, name: str) -> types.SearchResult:
        """See `Verbs.result`."""
        name = self._rights.seen(name)
        return service.results.search_result(self.store, self.home, name)

    def top(self, name: str, number: int = verbs.TOP) -> tuple[types.TrialResult, ...]:
        """See `Verbs.top`."""
        name = self._rights.seen(name)
        return service.results.best_trials(self.store, name, number)

    def overview(self, name: str, recent: int = 30) -> types.Overview:
        """See `Verbs.overview`."""
        name = self._rights.seen(name)
        return service.overview.overview(self.store, self.home, name, self.shared.tables.of(name), recent)

    def export(
        self, name: str, format: verbs.ExportFormat = "json", *, filter: TrialFilter = EVERY_TRIAL
    ) -> Iterator[str]:
        """See `Verbs.export`."""
        name = self._rights.seen(name)
        numbers = service.selection.numbers(self.shared.tables.of(name), filter)
        if format == "csv":
            return service.export.export_csv(self.store, name, numbers)
        return service.export.export_json(self.store, self.home, name, numbers)

    def report(self, name: str) -> str:
        """See `Verbs.report`."""
        name = self._rights.seen(name)
        return service.views.render_report(self.store, self.home, name)

    def write_report(self, name: str, *, key: str | None = None) -> types.ReportFile:
        """See `Verbs.write_report`."""
        name = self._rights.commanded(name)
        asked = Asked("write_report", self.caller, key, {"name": name})
        answer = repeatable(
            self.store, asked, lambda: service.views.write_report(self.store, self.home, name).to_json()
        )
        return types.ReportFile.model_validate(answer)

    def chart(
        self,
        name: str,
        chart: verbs.ChartName = "history",
        *,
        of: Sequence[str] = (),
        filter: TrialFilter = EVERY_TRIAL,
    ) -> types.Chart:
        """See `Verbs.chart`."""
        return self.shared.drawings.draw(self._rights.seen(name), chart, of, filter)

    def importances(self, name: str) -> tuple[types.ParameterImportance, ...]:
        """See `Verbs.importances`."""
        return self.shared.drawings.importances(self._rights.seen(name))

    def events(
        self, name: str, after: int = 0, limit: int = verbs.MOST, *, trial: int | None = None
    ) -> tuple[types.Event, ...]:
        """See `Verbs.events`."""
        name = self._rights.seen(name)
        if trial is not None:
            self.store.trial(name, trial)
        found = self.store.events(name, after, lists.checked_limit(limit), trial, self._rights.seen_by)
        return tuple(map(wire.event, found))

    def watch(self, name: str, after: int = 0) -> Iterator[types.Event]:
        """See `Verbs.watch`."""
        return following.watch(cast(verbs.Verbs, self), self._rights.seen(name), after)

    def stop(self, name: str, *, key: str | None = None) -> None:
        """See `Verbs.stop`.

        A search that was interrupted has no controller: then its trials that live on are ended here, and it is stopped.
        (If a program alone has its function, it is stopped when this runs next, and so is a single trial.) For a caller
        from elsewhere nothing is run here: the request waits for a controller.
        """
        name = self._rights.commanded(name)
        service.commands.stop(self.store, name, Asked("stop", self.caller, key, {"name": name}))
        row = self.store.experiment(name)
        alone = self.caller.local and not row.state.final and not self._is_owned(name)
        if alone and not needs_its_program(row.spec):
            service.running.run_experiment(self.store, self.home, name)

    def _is_owned(self, name: str) -> bool:
        """Whether there is a controller that a request to an experiment reaches."""
        return self.home.is_served or self.home.is_running(name)

    def pause(self, name: str, *, key: str | None = None) -> None:
        """See `Verbs.pause`."""
        name = self._rights.commanded(name)
        service.commands.pause(self.store, name, Asked("pause", self.caller, key, {"name": name}))

    def resume(self, name: str, *, key: str | None = None) -> None:
        """See `Verbs.resume`."""
        name = self._rights.commanded(name)
        service.commands.resume(self.store, name, Asked("resume", self.caller, key, {"name": name}))

    def retry(
        self,
        name: str,
        trials: Sequence[int] = (),
        cause: Cause | None = None,
        *,
        key: str | None = None,
    ) -> tuple[int, ...]:
        """See `Verbs.retry`. A running controller takes them up at once, else the next run of the experiment does."""
        name = self._rights.commanded(name)
        asked = Asked("retry", self.caller, key, {"name": name, "trials": list(trials), "cause": cause})
        return service.commands.retry(self.store, name, trials, cause, asked)
