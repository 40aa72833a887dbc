"""Whose turn it is: weighted max-min fairness over what is used now, first between users, then between the experiments
of each.

The share of a user is its dominant one (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, section 4.1): the
largest part of cores, GPUs or memory that all its attempts have together, divided by its weight; that of an experiment
among those of its user likewise. Who has the smallest share comes first. Where shares are equal, as where a single
attempt fills the machine, what each was given before decides: each start moves a user's clock on by the share of that
attempt, and the clock that is behind comes first (start-time fair queueing: Goyal et al., SIGCOMM 1996, section 2). So
weights count there as well, and nobody is passed over for ever.

Plain data in, an order out: no clock, no input or output.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import count
from tunewell.spec.format import size
from tunewell.spec.launch import Resources
from tunewell.spec.quota import STORED, Quota
from tunewell.spec.waits import Reason

#: How far a clock moves at least with a start: what takes nothing has its turn, too.
_LEAST_SHARE = 1e-6
#: Rounding errors that are forgiven where amounts are added up and compared.
_SLACK = 1e-9
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Party:
    """For whom something is started."""

    user: str
    #: What the user's share is divided among: an experiment with its jobs, or a job without one.
    group: str
    #: The group's share of what its user gets, in proportion to those of the user's other groups.
    weight: float = 1.0
    #: Most GPUs that the group may use at once; None: no limit.
    max_gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a user may have."""

    #: The user's share of what there is, in proportion to those of others.
    weight: float = 1.0
    quota: Quota = field(default_factory=Quota)
    #: What was used in this month, in seconds times cores and GPUs, and of the disk, in bytes.
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    disk_bytes: int = 0


@dataclass(slots=True)
class Use:
    """What attempts take together."""

    attempts: int = 0
    cpus: float = 0.0
    gpus: float = 0
    memory_bytes: int = 0

    def add(self, resources: Resources, attempts: int) -> None:
        """Add so many attempts that take `resources` each, or take them off."""
        self.attempts += attempts
        self.cpus = self.cpus + attempts * resources.cpus if self.attempts else 0.0
        self.gpus += attempts * resources.gpus
        self.memory_bytes += attempts * (resources.memory_bytes or 0)


class Claimant(Protocol):
    """Somebody who wants to start attempts."""

    @property
    def party(self) -> Party:
        """For whom."""

    @property
    def needs(self) -> Resources | None:
        """What each attempt takes; None while that is not known."""

    @property
    def held(self) -> int:
        """How many attempts run, or are about to."""

    def __hash__(self) -> int: ...


Waiting = TypeVar("Waiting", bound=Claimant)


@dataclass(slots=True)
class _Account:
    """What a user, or a group, uses and was given."""

    use: Use = field(default_factory=Use)
    #: Shares by weight that were given to it so far, from where the others stood when it came.
    clock: float = 0.0
    #: Of a user: where the clock stood of its group that was given something last.
    now: float = 0.0


class Ledger:
    """Who uses what, and what each may have."""

    def __init__(self, total: Capacity) -> None:
        """Begin with nobody; shares are parts of what the machines in `total` have."""
        self.resize(total)
        #: What users may have, and what they use where this ledger does not see it.
        self.terms: dict[str, Terms] = {}
        self.elsewhere: Mapping[str, Use] = {}
        self._users: defaultdict[str, _Account] = defaultdict(_Account)
        self._groups: defaultdict[tuple[str, str], _Account] = defaultdict(_Account)
        #: What is known of each claimant.
        self._noted: dict[object, tuple[Party, Resources, int]] = {}
        #: Where the clock stood of whoever was given something last.
        self._now = 0.0

    def resize(self, total: Capacity) -> None:
        """Take note of what the machines have from now on: nodes of a cluster come and go."""
        self._total = (
            float(total.cpus),
            float(len(total.gpus)),
            float(sum(node.memory_bytes for node in total.nodes)),
        )

    # What is used -----------------------------------------------------------------------------------------

    def note(self, one: Claimant) -> None:
        """Take note of what somebody uses now."""
        known = self._noted.get(one)
        needs, held = one.needs, one.held
        if known is not None:
            if known == (one.party, needs, held):
                return
            self._add(*known[:2], -known[2])
        if needs is None or not held:
            self._noted.pop(one, None)
            return
        self._noted[one] = (one.party, needs, held)
        self._add(one.party, needs, held)

    def forget(self, one: Claimant) -> None:
        """Take off what somebody used who is here no more."""
        known = self._noted.pop(one, None)
        if known is not None:
            self._add(*known[:2], -known[2])
        group = (one.party.user, one.party.group)
        if group in self._groups and not self._groups[group].use.attempts:
            del self._groups[group]

    def spend(self, user: str, cpu_seconds: float, gpu_seconds: float) -> None:
        """Take note of what an attempt has used that has ended, before it is on record."""
        terms = self.terms.get(user)
        if terms is not None:
            spent = (terms.cpu_seconds + cpu_seconds, terms.gpu_seconds + gpu_seconds)
            self.terms[user] = replace(terms, cpu_seconds=spent[0], gpu_seconds=spent[1])

    def _add(self, party: Party, needs: Resources, attempts: int) -> None:
        self._users[party.user].use.add(needs, attempts)
        self._groups[party.user, party.group].use.add(needs, attempts)

    def used(self, user: str) -> Use:
        """Return what a user uses now, everywhere."""
        here, elsewhere = self._users[user].use, self.elsewhere.get(user)
        if elsewhere is None:
            return here
        return Use(
            here.attempts + elsewhere.attempts,
            here.cpus + elsewhere.cpus,
            here.gpus + elsewhere.gpus,
            here.memory_bytes + elsewhere.memory_bytes,
        )

    # Whose turn it is -------------------------------------------------------------------------------------

    def standing(self, party: Party) -> tuple[float, float, float, float]:
        """Return what the order goes by, lowest first: share and clock of the user, then those of the group."""
        user, group = self._users[party.user], self._groups[party.user, party.group]
        weight = self._weight(party.user)
        return (
            round(self._share(self.used(party.user)) / weight, _DIGITS),
            user.clock,
            round(self._share(group.use) / party.weight, _DIGITS),
            group.clock,
        )

    def arrive(self, party: Party) -> None:
        """Let somebody who has wanted nothing for a while begin where the others stand, and claim no arrears."""
        user, group = self._users[party.user], self._groups[party.user, party.group]
        user.clock = max(user.clock, self._now)
        group.clock = max(group.clock, user.now)

    def give(self, party: Party, needs: Resources) -> None:
        """Take note that somebody was given an attempt's worth."""
        share = max(_LEAST_SHARE, self._share(Use(1, needs.cpus, needs.gpus, needs.memory_bytes or 0)))
        user, group = self._users[party.user], self._groups[party.user, party.group]
        self._now, user.now = max(self._now, user.clock), max(user.now, group.clock)
        user.clock += share / self._weight(party.user)
        group.clock += share / party.weight

    def _weight(self, user: str) -> float:
        terms = self.terms.get(user)
        return 1.0 if terms is None else terms.weight

    def _share(self, use: Use) -> float:
        cpus, gpus, memory_bytes = self._total
        return max(
            use.cpus / cpus if cpus else 0.0,
            use.gpus / gpus if gpus else 0.0,
            use.memory_bytes / memory_bytes if memory_bytes else 0.0,
        )

    # What is allowed --------------------------------------------------------------------------------------

    def refusal(self, party: Party, needs: Resources) -> Reason | None:
        """Return which limit keeps somebody from one more attempt, whatever room there is; None: none does."""
        if party.max_gpus is not None and needs.gpus:
            used = self._groups[party.user, party.group].use.gpus
            if used + needs.gpus > party.max_gpus:
                return Reason("max_gpus", f"The search may use {count(party.max_gpus, 'GPU')} at once.", "gpus")
        terms = self.terms.get(party.user)
        if terms is None:
            return None
        return _over_quota(party.user, terms, self.used(party.user), needs)


def _over_quota(user: str, terms: Terms, used: Use, needs: Resources) -> Reason | None:
    quota = terms.quota
    at_once: tuple[tuple[str, float | None, float, float, str], ...] = (
        ("running", quota.running, used.attempts, 1, "trial"),
        ("gpus", quota.gpus, used.gpus, needs.gpus, "GPU"),
        ("cpus", quota.cpus, used.cpus, needs.cpus, "core"),
    )
    for what, limit, now, more, noun in at_once:
        if limit is not None and more and now + more > limit + _SLACK:
            also = ", jobs counted" if what == "running" else ""
            return Reason("user_quota", f"{user} may have {count(limit, noun)} at once{also}.", what)
    in_a_month: tuple[tuple[str, float | None, float, float, str], ...] = (
        ("gpu_hours", quota.gpu_hours, terms.gpu_seconds, needs.gpus, "GPU-hour"),
        ("cpu_hours", quota.cpu_hours, terms.cpu_seconds, needs.cpus, "CPU-hour"),
    )
    for what, limit, spent, more, noun in in_a_month:
        if limit is not None and more and spent >= limit * 3600:
            return Reason("monthly_quota", f"{user} has used up this month's {count(limit, noun)}.", what)
    if quota.disk_bytes is not None and terms.disk_bytes >= quota.disk_bytes:
        taken, most = size(terms.disk_bytes), size(quota.disk_bytes)
        detail = (
            f"{user} takes up {taken} of the disk and may have {most}. Remove for good what is not needed of {STORED}."
        )
        return Reason("disk", detail, "disk_bytes")
    return None


class Order(Generic[Waiting]):
    """Those who want to start something, each in turn; standings change with what each is given."""

    def __init__(self, ledger: Ledger, claimants: Iterable[tuple[Waiting, int]]) -> None:
        """Take who wants something, each with a number by which those who are equal follow one another."""
        self._ledger = ledger
        self._again = itertools.count()
        self._heap = [(ledger.standing(one.party), number, next(self._again), one) for one, number in claimants]
        heapq.heapify(self._heap)

    def next(self) -> Waiting | None:
        """Return whose turn it is, and take it off; None: nobody is left."""
        while self._heap:
            standing, number, _, one = heapq.heappop(self._heap)
            now = self._ledger.standing(one.party)
            if now <= standing:  # within a round, what is given only makes shares larger
                return one
            heapq.heappush(self._heap, (now, number, next(self._again), one))
        return None

    def again(self, one: Waiting, number: int) -> None:
        """Let somebody have another turn later."""
        heapq.heappush(self._heap, (self._ledger.standing(one.party), number, next(self._again), one))
