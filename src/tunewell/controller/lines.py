"""Where trials and jobs of a controller run: its schedulers, each with its room, and whose turn it is there."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.controller.cluster_watch import ClusterWatch
from tunewell.controller.experiment_run import ExperimentRun
from tunewell.controller.fair import Ledger
from tunewell.controller.job_run import JobRun
from tunewell.controller.room import Room, Turns
from tunewell.controller.surroundings import Place, Surroundings
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.contract import Scheduler
from tunewell.schedulers.workers import WorkersScheduler
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import UserError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.names import cluster_called
from tunewell.spec.rules import RAY, WORKERS
from tunewell.spec.waits import NO_ROOM, NO_WORKERS, Reason
from tunewell.store.rows import ExperimentRow, JobRow

Run = ExperimentRun | JobRun


@dataclass(frozen=True, slots=True)
class Line:
    """One scheduler, and whose turn it is there."""

    place: Place
    turns: Turns[Run]

    @classmethod
    def at(cls, scheduler: Scheduler, ledger: Ledger, no_room: Reason = NO_ROOM) -> Line:
        """Return a line in which nobody stands; `no_room` is why one waits."""
        return cls(Place(scheduler, Room(scheduler), ledger, no_room), Turns(ledger))


class Lines:
    """All lines of a controller."""

    def __init__(
        self,
        surroundings: Surroundings,
        ledger: Ledger,
        scheduler: Scheduler,
        inline: Scheduler | None,
        cluster: SchedulerApart | None,
    ) -> None:
        """Begin with one for each of the schedulers; see `Controller`."""
        self._surroundings, self._ledger = surroundings, ledger
        self._inline = Line.at(inline, ledger) if inline is not None else None
        self._cluster = cluster
        self._at_cluster = Line.at(cluster, ledger) if cluster is not None else None
        home = surroundings.home.folder
        self._cluster_watch = ClusterWatch(home, cluster, surroundings.clock) if cluster is not None else None
        #: That of this machine.
        self.here = Line.at(scheduler, ledger)
        #: The experiments that workers train have a line each: their workers are nobody else's.
        self._of_workers: dict[str, Line] = {}

    def all(self, has_jobs: bool) -> list[Line]:
        """Return those in which anybody may stand."""
        if self._inline is None:
            cluster = [self._at_cluster] if self._at_cluster is not None else []
            return [self.here, *cluster, *self._of_workers.values()]
        return [self._inline, self.here] if has_jobs else [self._inline]

    def of_experiment(self, row: ExperimentRow) -> Line:
        """Return the line of an experiment that is about to be taken over: a new one for its own workers.

        Raises:
            UserError: it is for a cluster that can't be used.
        """
        if row.spec.get("scheduler") == RAY:
            return self._of_cluster(f"experiment '{row.name}'")
        if row.spec.get("scheduler") != WORKERS:
            return self._inline or self.here
        lease = parse_spec(row.spec).worker_lease.total_seconds()
        scheduler = WorkersScheduler(self._surroundings.home.experiment(row.name), lease_seconds=lease)
        return Line.at(scheduler, self._ledger, NO_WORKERS)

    def of_job(self, job: JobRow) -> Line:
        """Return the line of a job: that of its search, where what it does can be done on other machines.

        Raises:
            UserError: it is for a cluster that can't be used.
        """
        if self._cluster is None or job.experiment is None or job.kind not in self._surroundings.on_nodes:
            return self.here  # all that it reads lies in the home
        if self._surroundings.store.experiment(job.experiment).spec.get("scheduler") != RAY:
            return self.here
        return self._of_cluster(f"job {job.id}")

    def keep(self, run: ExperimentRun, line: Line) -> None:
        """Keep the line of an experiment that was taken over, if it is its own."""
        if run.is_for_workers:
            self._of_workers[run.name] = line

    def leave(self, run: Run) -> None:
        """Take out of all lines what is owned no more, and close its own."""
        for line in self.all(has_jobs=True):
            line.turns.drop(run)
        if isinstance(run, ExperimentRun) and run.name in self._of_workers:
            self._of_workers.pop(run.name).place.scheduler.close()

    def forget(self) -> None:
        """Let go of the lines of workers as they are."""
        self._of_workers.clear()

    def away(self) -> tuple[Scheduler, str] | None:
        """Return the scheduler of a cluster that went away, and why it can't be used; None if none did."""
        if self._cluster is None or not self._cluster.problem or not (problem := self._cluster_problem()):
            return None
        return self._cluster, problem

    def look_at_cluster(self) -> None:
        """Put on record what the cluster has; shares are parts of all there is."""
        if self._cluster_watch is not None and (capacity := self._cluster_watch.look()) is not None:
            self._ledger.resize(Capacity((*self.here.place.scheduler.capacity().nodes, *capacity.nodes)))

    def _of_cluster(self, what: str) -> Line:
        if self._cluster is None or self._at_cluster is None:
            raise UserError(
                f"{what} is for a Ray cluster, and this controller has none",
                remedy="Start it with the address of one",
                kind="no-cluster",
                problem="it is for a Ray cluster, and the controller was started without one",
            )
        if problem := self._cluster_problem():
            raise UserError(
                f"{what} has to wait: {problem}",
                remedy="See to the cluster; it goes on by itself",
                kind="no-cluster",
                problem=problem,
            )
        return self._at_cluster

    def _cluster_problem(self) -> str:
        """Return why the cluster can't be used; empty if it can be, or there is none."""
        if self._cluster is None or self._cluster.capacity().nodes:
            return ""
        why = self._cluster.problem or "it has not answered yet"
        return f"{cluster_called(self._cluster.address)} can't be used: {why}"


def no_cluster(problem: str) -> Reason:
    """Return why something waits for a cluster."""
    return Reason("no_cluster", f"{problem[0].upper()}{problem[1:]}.")
