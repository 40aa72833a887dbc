"""Verbs on single trials, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunewell import service
from tunewell.service import lists, types, verbs, wire
from tunewell.service.idempotency import Asked
from tunewell.service.parts.part import Part
from tunewell.service.types import EVERY_TRIAL, Page, TrialFilter
from tunewell.spec.declaration import parse_space
from tunewell.spec.launch import AttemptKey


class TrialsPart(Part):
    """See `tunewell.service.verbs.Verbs`."""

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
        """See `Verbs.trials`."""
        name = self._rights.seen(name)
        return lists.trials(self.store, name, self.shared.tables.of(name), filter, sort, cursor, limit)

    def trial(self, name: str, number: int) -> types.TrialDetails:
        """See `Verbs.trial`."""
        # Commands that list and stop should not wait for what algorithms import.
        from tunewell.tuners.catalogue import leans_on

        name = self._rights.seen(name)
        row, experiment = self.store.trial(name, number), self.store.experiment(name)
        return types.TrialDetails(
            **dict(wire.trial(row)),
            reason=service.origins.reason(
                row.origin,
                experiment.algorithm,
                row.resume_from is not None,
                leans_on(experiment.algorithm["name"], experiment.algorithm["options"], parse_space(experiment.space)),
            ),
            beside_default=service.comparing.compared(self.store, experiment, row, experiment.default_trial),
            beside_best=service.comparing.compared(self.store, experiment, row, experiment.best_trial),
            attempt_list=tuple(map(wire.attempt, self.store.attempts(name, number))),
            lineage=tuple(part.number for part in service.results.lineage(self.store, name, row)),
            log=service.attempt_files.log_of(self.store, self.home, name, row),
            worker=service.working.worker_of(self.home, name, row),
        )

    def export_trials(
        self, name: str, *, filter: TrialFilter = EVERY_TRIAL, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.ExportedTrial]:
        """See `Verbs.export_trials`."""
        name = self._rights.seen(name)
        return lists.exported_trials(self.store, name, self.shared.tables.of(name), filter, cursor, limit)

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
        """See `Verbs.reports`."""
        name = self._rights.seen(name)
        return lists.reports(self.store, name, number, attempt, after, points, limit)

    def add_reports(
        self,
        name: str,
        number: int,
        attempt: int,
        reports: Sequence[types.GivenReport],
        *,
        key: str | None = None,
    ) -> types.Taken:
        """See `Verbs.add_reports`."""
        about = AttemptKey(self._rights.commanded(name), number, attempt)
        return service.remote_reports.take(self.store, self.home, about, reports, key)

    def log(
        self, name: str, number: int, *, attempt: int | None = None, offset: int = 0, limit: int = verbs.LOG_BYTES
    ) -> types.LogPart:
        """See `Verbs.log`."""
        name = self._rights.seen(name)
        row = self.store.trial(name, number)  # before its log is read: what is printed before its end is in there
        folder = service.attempt_files.attempt_folder(self.store, self.home, name, row, attempt)
        ended = row.state.final or (attempt is not None and attempt < row.attempt)
        return service.attempt_files.read_log(folder / service.attempt_files.LOG_FILE, offset, limit, ended)

    def artifacts(self, name: str, number: int, *, attempt: int | None = None) -> tuple[types.Artifact, ...]:
        """See `Verbs.artifacts`."""
        name = self._rights.seen(name)
        row = self.store.trial(name, number)
        return service.attempt_files.list_artifacts(
            service.attempt_files.attempt_folder(self.store, self.home, name, row, attempt)
        )

    def artifact(self, name: str, number: int, path: str, *, attempt: int | None = None) -> Iterator[bytes]:
        """See `Verbs.artifact`."""
        name = self._rights.seen(name)
        row = self.store.trial(name, number)
        folder = service.attempt_files.attempt_folder(self.store, self.home, name, row, attempt)
        return service.attempt_files.read_artifact(folder, path)

    def add_trial(self, name: str, parameters: Mapping[str, Any], *, key: str | None = None) -> types.OwnConfiguration:
        """See `Verbs.add_trial`."""
        name = self._rights.commanded(name)
        asked = Asked("add_trial", self.caller, key, {"name": name, "parameters": dict(parameters)})
        return service.steering.add_trial(self.store, name, parameters, asked)

    def stop_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        """See `Verbs.stop_trial`."""
        name = self._rights.commanded(name)
        asked = Asked("stop_trial", self.caller, key, {"name": name, "number": number})
        service.commands.stop_trial(self.store, name, number, asked)

    def retry_trial(self, name: str, number: int, *, key: str | None = None) -> None:
        """See `Verbs.retry_trial`."""
        name = self._rights.commanded(name)
        asked = Asked("retry_trial", self.caller, key, {"name": name, "number": number})
        service.commands.retry(self.store, name, [number], None, asked)
