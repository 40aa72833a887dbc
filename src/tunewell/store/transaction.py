"""Changes that become true together: transitions with their events, reports, and what belongs to them."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from tunewell.spec.states import ExperimentState
from tunewell.store.rows import HomeRow
from tunewell.store.tables import experiment, home
from tunewell.store.writes.experiments import ExperimentWrites
from tunewell.store.writes.jobs import JobWrites
from tunewell.store.writes.models import ModelWrites
from tunewell.store.writes.notifications import NotificationWrites
from tunewell.store.writes.people import PeopleWrites
from tunewell.store.writes.requests import RequestWrites
from tunewell.store.writes.storage import StorageWrites
from tunewell.store.writes.trials import TrialWrites
from tunewell.store.writes.upkeep import UpkeepWrites


class Transaction(
    ExperimentWrites,
    TrialWrites,
    JobWrites,
    RequestWrites,
    PeopleWrites,
    StorageWrites,
    ModelWrites,
    NotificationWrites,
    UpkeepWrites,
):
    """Changes that become true together when the `with` block of `Store.transaction` ends well, or not at all.

    Every method takes effect in the order of the calls. One that finds its starting point no longer true raises
    `TransitionRefused` and changes nothing; the transaction can go on after that. `now` is in seconds since the
    epoch and defaults to this moment. An unknown experiment or job raises `NotFoundError`.

    A transaction survives the loss of power. In a file, one of reports, progress and elapsed time alone survives the
    death of the process.
    """

    def let_go_on(self, name: str, now: float | None = None) -> None:
        """Have an experiment that has ended run again; what was asked of it before is dealt with. Others stay so."""
        this = experiment.c.id == self._find(name).id
        state = ExperimentState(self._execute(select(experiment.c.state).where(this)).scalar_one())
        if state.final:
            self.close_requests(name, now)
            self.set_experiment_state(name, state, ExperimentState.RUNNING, now=now)

    def set_home(self, row: HomeRow) -> None:
        """Replace the home whose folders belong to the database."""
        self._execute(delete(home))
        self._execute(insert(home).values(identity=row.identity, folder=row.folder))
