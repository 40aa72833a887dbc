"""The verbs of the product, carried out in this process on the experiments of one home."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunewell import service
from tunewell.home.cluster import forget_cluster
from tunewell.home.home import Home
from tunewell.service import lists, types, verbs
from tunewell.service.gate import Gate
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.parts.experiments import ExperimentsPart
from tunewell.service.parts.jobs import JobsPart
from tunewell.service.parts.models import ModelsPart
from tunewell.service.parts.notifications import NotificationsPart
from tunewell.service.parts.people import PeoplePart
from tunewell.service.parts.storage import StoragePart
from tunewell.service.parts.trials import TrialsPart
from tunewell.service.parts.upkeep import UpkeepPart
from tunewell.service.parts.workers import WorkersPart
from tunewell.service.runs import ALONE, PLAIN, Function, Given, Leave, OnStep, Serving, Tell
from tunewell.service.shared import Shared
from tunewell.service.types import OWNER, Caller
from tunewell.service.upkeep.usage import Usage
from tunewell.serving.once import Once
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import DEFAULT_HOME
from tunewell.spec.rules import RAY
from tunewell.store.store import Store

if TYPE_CHECKING:
    from tunewell.schedulers.apart import SchedulerApart
    from tunewell.service.working import WaitingRoom

#: What a home is opened for: to read it, to write it, too, or to make it first if there is none.
Access = Literal["read", "write", "make"]


class Service(
    ExperimentsPart,
    TrialsPart,
    JobsPart,
    PeoplePart,
    StoragePart,
    ModelsPart,
    NotificationsPart,
    WorkersPart,
    UpkeepPart,
):
    """All verbs on the experiments of one home; see `Verbs`. Use it as a context manager, or `close` it.

    They are those of the person whose home it is; `as_caller` gives those of others.

    Beside the verbs it runs experiments and jobs in this process: `submit` and `run`, also for searches over Python
    functions, and `carry_out`.
    """

    def __init__(self, home: Path = DEFAULT_HOME, database: str | None = None, access: Access = "make") -> None:
        """Open the home and its database; `access` says what for.

        Raises:
            ConflictError: it is opened to be written, and the database belongs to another home.
            DataError: one of them can't be read, or not be written.
            NotFoundError: there is none, and none is to be made.
        """
        place = Home(home)
        with ExitStack() as stack:
            if access == "make" and not database:
                place.create()
            self.store = stack.enter_context(Store(database or place.database_url, create=access == "make"))
            self.home = Home(home, self.store)
            if access != "read":  # before anything is recorded; not before the database has proved to be usable
                self.home.settle()
            stack.pop_all()
        self.caller = OWNER
        self.gate = Gate(self.store)
        self.shared = Shared(self.store)
        self.asks = Once(self.home.models)
        self.disk_usage = Usage()
        self.allows_functions = False
        self.outgoing = Outgoing()
        #: The Ray cluster that this process has joined.
        self.cluster: SchedulerApart | None = None
        self.uses_cluster = False

    def as_caller(self, caller: Caller) -> Service:
        """Return the verbs of another caller, on the same home; only this one closes it."""
        other = copy.copy(self)
        other.caller = caller
        return other

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, and leave the cluster."""
        if self.cluster is not None:
            self.cluster.close()
            forget_cluster(self.home.folder)
        self.store.close()

    def hurry(self) -> None:
        """Have less patience with a database server that is silent or gone; see `Store.hurry`."""
        self.store.hurry()

    def attempt_of(self, credential: str) -> AttemptKey | None:
        """Return the attempt whose credential it is, which may have ended; None: nobody's."""
        return service.credentials.verify(self.store, self.home, credential)

    def waiting_room(self, name: str) -> WaitingRoom:
        """Return what is to be known of an experiment, named in full, while its workers wait."""
        return service.working.WaitingRoom(self.store, self.home, name)

    # In this process --------------------------------------------------------------------------------------

    def join_cluster(self, address: str, *, wait: bool = True) -> None:
        """Have what this process runs use a Ray cluster, where it is for one; see `cluster.join_cluster`."""
        self.cluster, self.uses_cluster = service.cluster.join_cluster(self.home, address, wait=wait), True

    def submit(
        self, spec: Mapping[str, Any], function: Function | None = None, new: verbs.Fresh = "never"
    ) -> types.Submission:
        """Create or continue the experiment that a spec describes, perhaps over a Python function; see `create`."""
        submitted = self._with_program(self._submitted(spec, calls_here=function is not None))
        if function is not None and submitted.get("scheduler") == RAY:  # other machines can't call the one given here
            submitted, function = service.storage.own_programs.with_function(self._place, submitted, function), None
        return service.submission.submit(self.store, self.home, submitted, function, new)

    def run(
        self,
        name: str,
        given: Given = PLAIN,
        *,
        on_step: OnStep = lambda situation: None,
        tell: Tell = lambda sentence: None,
    ) -> bool:
        """Run a recorded experiment, and the jobs that follow it, here; see `running.run_experiment`."""
        return service.running.run_experiment(self.store, self.home, name, given, on_step, tell, self.cluster)

    def check_idle(self, name: str) -> None:
        """Raise `ConflictError` if another process runs this one experiment now."""
        if not self.home.is_served:
            with self.home.lock(name):
                pass

    def run_follow_up(self, name: str, on_step: OnStep = lambda situation: None) -> bool:
        """Run the jobs that follow a search which has ended; see `running.run_follow_up`."""
        return service.running.run_follow_up(self.store, self.home, name, on_step, self.cluster)

    def run_all(
        self,
        stop: threading.Event,
        on_step: OnStep = lambda situation: None,
        tell: Tell = lambda sentence: None,
        serving: Serving = ALONE,
    ) -> None:
        """Run everything that is on record in the home, until `stop` is set; see `running.run_all`."""
        service.running.run_all(self.store, self.home, stop, on_step, tell, serving, self.cluster)

    @property
    def address(self) -> str | None:
        """Where people find the service of this home; None: none runs on this machine."""
        return self.home.address

    def readiness(self) -> types.Readiness:
        """Return whether the database can be read and a controller runs what is on record; raises nothing."""
        return service.watching.readiness(self.store, self.home)

    def figures(self) -> types.Figures:
        """Return how much there is of everything, whoever it belongs to."""
        return service.watching.figures(self.store)

    def first_link(self) -> types.SignInLink | None:
        """Return a link that signs the person in whose home it is; None: somebody has signed in before."""
        return None if self.store.has_sign_in() else self.sign_in_link(OWNER.name)

    def carry_out(self, id: int, tell: Tell = lambda line: None, leave: Leave | None = None) -> types.Job:
        """Do here what a job is to do; return it as it has ended. `tell` is told in lines what it is doing.

        Raises:
            KeyboardInterrupt: it was interrupted, and waits, or goes on if `leave` said so.
        """
        return service.carrying_out.carry_out(self.store, self.home, id, tell, leave, self.cluster)

    # The service ------------------------------------------------------------------------------------------

    def tasks(self) -> tuple[types.Task, ...]:
        """See `Verbs.tasks`."""
        return service.networks.list_tasks()

    def network(self, name: str) -> types.Network:
        """See `Verbs.network`."""
        return service.networks.find_network(name)

    def algorithms(self) -> tuple[types.Algorithm, ...]:
        """See `Verbs.algorithms`."""
        return service.algorithms.list_algorithms()

    def version(self) -> int:
        """See `Verbs.version`."""
        return self.store.version()

    def changes(self, after: int = 0) -> types.Changes:
        """See `Verbs.changes`."""
        return lists.changes(self.store, after, self._rights.seen_by)

    def queue(self) -> types.Queue:
        """See `Verbs.queue`."""
        return service.waiting.queue(self.store, self.home, self._rights)

    def about(self) -> types.About:
        """See `Verbs.about`."""
        return service.about.about(self.store.kind, self.allows_functions)

    def resources(self) -> types.Capacity:
        """See `Verbs.resources`."""
        return service.machines.capacity(self.store, self.home, self._rights)
