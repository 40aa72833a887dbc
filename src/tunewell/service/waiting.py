"""What waits, and why: made from what is on record, so that whoever asks needs no controller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunewell.controller.experiment_run import party_of
from tunewell.controller.fair import Ledger, Order, Party, Terms
from tunewell.controller.job_run import owner_of_job
from tunewell.home.cluster import read_cluster
from tunewell.home.home import Home
from tunewell.schedulers import hardware
from tunewell.service import wire
from tunewell.service.rights import Rights
from tunewell.service.types import Queue, QueueEntry, WaitsFor
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import count, listed
from tunewell.spec.launch import Resources
from tunewell.spec.states import JobState, TrialState
from tunewell.store.queries.visible import EVERYBODY
from tunewell.store.rows import ExperimentRow, JobRow
from tunewell.store.store import Store

#: Of how many it is said that they run.
_MOST_HOLDERS = 5


@dataclass(eq=False, slots=True)
class _Open:
    """An experiment or job that has not ended."""

    party: Party
    needs: Resources | None
    #: How many of its attempts run.
    held: int
    experiment: str | None
    job: int | None
    #: Of which kind the job is.
    kind: str | None
    #: Of an experiment: its weight.
    weight: float | None
    #: None: nothing keeps it.
    waits_for: WaitsFor | None


def queue(store: Store, home: Home, rights: Rights) -> Queue:
    """Return what has something to start and does not: those who wait for room in the order of their turns."""
    experiments, jobs = store.open_experiments(), store.open_jobs()
    parties = {row.name: party_of(row) for row in experiments}
    served = home.is_served
    open_ = [
        *(_of_experiment(home, row, parties[row.name]) for row in experiments if row.deleted_at is None),
        *(_of_job(home, row, jobs, _party(store, row, parties), served) for row in jobs),
    ]
    holders = [(one, _held_text(one)) for one in open_ if one.held]
    cluster = read_cluster(home.folder)
    ledger = Ledger(Capacity((*hardware.machine().nodes, *(cluster.capacity.nodes if cluster is not None else ()))))
    ledger.terms = {row.name: Terms(row.weight) for row in store.users()}
    for one in open_:
        ledger.note(one)
    waiting = [one for one in open_ if one.waits_for is not None]
    ordered = list(_in_turn(ledger, [one for one in waiting if one.waits_for and one.waits_for.code == "no_room"]))
    places = {one: number for number, one in enumerate(ordered, start=1)}
    others = [one for one in waiting if one not in places]

    def holding(one: _Open) -> str:
        """Return what holds what somebody waits for; empty where that is said already, or nothing does."""
        code = one.waits_for.code if one.waits_for is not None else ""
        if code not in ("no_room", "user_quota"):
            return ""
        texts = (
            text if _is_seen(rights, other) else "what others keep private"
            for other, text in holders
            if code == "no_room" or other.party.user == one.party.user
        )
        return listed(list(dict.fromkeys(texts)), _MOST_HOLDERS)

    seen = [one for one in (*ordered, *others) if _is_seen(rights, one)]
    return Queue(waiting=len(ordered), entries=tuple(_entry(one, places.get(one), holding(one)) for one in seen))


def _of_experiment(home: Home, row: ExperimentRow, party: Party) -> _Open:
    running = home.is_running(row.name)
    waits_for = wire.experiment_waits(home, row, running)
    return _Open(party, _resources(row), row.counts[TrialState.RUNNING], row.name, None, None, row.weight, waits_for)


def _of_job(home: Home, row: JobRow, jobs: list[JobRow], party: Party, served: bool) -> _Open:
    running = row.state is JobState.RUNNING
    waits_for = None if running else wire.job_waits(row, {job.id for job in jobs}, served)
    return _Open(party, _resources(row), int(running), row.experiment, row.id, row.kind, None, waits_for)


def _resources(row: ExperimentRow | JobRow) -> Resources | None:
    return None if row.resources is None else Resources.from_json(row.resources)


def _party(store: Store, job: JobRow, known: dict[str, Party]) -> Party:
    if job.experiment is None:
        return Party(owner_of_job(job), f"job {job.id}")
    if job.experiment not in known:
        known[job.experiment] = party_of(store.experiment(job.experiment))
    return known[job.experiment]


def _in_turn(ledger: Ledger, waiting: Iterable[_Open]) -> Iterable[_Open]:
    """Yield those who wait for room in the order in which their turns come, each with what it is given then."""
    since = {one: one.waits_for.since for one in waiting if one.waits_for and one.waits_for.since}
    oldest_first = sorted(since, key=lambda one: since[one])
    order = Order(ledger, [(one, number) for number, one in enumerate(oldest_first)])
    while (one := order.next()) is not None:
        yield one
        one.held += 1
        ledger.note(one)


def _is_seen(rights: Rights, one: _Open) -> bool:
    if one.experiment is None:
        return rights.seen_by in (EVERYBODY, one.party.user)
    return rights.sees(one.experiment)


def _held_text(one: _Open) -> str:
    """Return what of somebody runs, for people: `2 trials of first`, `1 report job of first`."""
    of = f" of {one.experiment}" if one.experiment is not None else ""
    return count(one.held, "trial" if one.kind is None else f"{one.kind} job") + of


def _entry(one: _Open, place: int | None, holding: str) -> QueueEntry:
    assert one.waits_for is not None
    detail = one.waits_for.detail + (f" Running: {holding}." if holding else "")
    running = one.held if place is None else one.held - 1  # what it is given next was added
    return QueueEntry(
        experiment=one.experiment,
        job=one.job,
        owner=one.party.user,
        place=place,
        running=running,
        weight=one.weight,
        waits_for=one.waits_for.model_copy(update={"detail": detail}),
    )
