"""What a scheduler has free, less what has been given away and was not handed to it yet; and whose turn it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic

from tunewell.controller.fair import Claimant, Ledger, Order, Waiting
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import AttemptKey, Resources, WorkKey


class Room:
    """The free part of one scheduler, for all who start something on it."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Give away nothing yet."""
        self._scheduler = scheduler
        self._given: dict[WorkKey, Resources] = {}
        #: What those wait for who found no room in this round.
        self.awaited: set[Resources] = set()
        self._capacity: Capacity | None = None
        #: Needs → how many attempts with these fit where nothing else runs.
        self._slots: dict[Resources, int] = {}
        #: What is free less what is given away, and that less what others wait for; None: it is to be worked out.
        #: Kept up to date start by start, as a step may start thousands.
        self._unclaimed: Capacity | None = None
        self._free: Capacity | None = None

    def refresh(self) -> None:
        """Begin another round: something may have ended, here or in another process."""
        self._capacity = self._unclaimed = None
        self._slots.clear()
        self.forget_awaited()

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit at once where nothing else runs."""
        if resources not in self._slots:
            self._slots[resources] = self._present().slots(resources)
        return self._slots[resources]

    def has(self, resources: Resources) -> bool:
        """Whether an attempt that needs `resources` can be started now. If not, others leave it what it waits for."""
        if resources in self.awaited:
            return False
        if self.fits(resources):
            return True
        self.awaited.add(resources)
        self._free = self._left().less(resources)
        return False

    def fits(self, resources: Resources) -> bool:
        """Whether an attempt that needs `resources` finds room beside what others wait for."""
        return self._left().fits(resources)

    def forget_awaited(self) -> None:
        """Leave nothing free for anybody any more."""
        self.awaited.clear()
        self._free = None

    def take(self, key: WorkKey, resources: Resources) -> None:
        """Give resources to an attempt that is about to start."""
        if self._unclaimed is not None:
            self._unclaimed = self._unclaimed.less(resources)
        self._given[key] = resources
        self._free = None

    def give_back(self, key: WorkKey) -> None:
        """Take them back: the attempt is not started, or from now on counted by the scheduler."""
        if self._given.pop(key, None) is not None:
            self._capacity = self._unclaimed = self._free = None

    def leave(self, owner: str | int) -> None:
        """Take back all that was given to an experiment or job: what it was about to start, it does not start now."""
        for key in list(self._given):
            if owner == (key.experiment if isinstance(key, AttemptKey) else key.job):
                self.give_back(key)

    def _left(self) -> Capacity:
        if self._unclaimed is None:
            self._unclaimed = self._present().less(*self._given.values())
        if self._free is None:
            self._free = self._unclaimed.less(*self.awaited)
        return self._free

    def _present(self) -> Capacity:
        if self._capacity is None:
            self._capacity = self._scheduler.capacity()
        return self._capacity


class Turn(Enum):
    """What became of somebody's turn to start something."""

    STARTED = "started"
    #: There is nothing to start now.
    NOTHING = "nothing"
    #: There is, but it finds no room.
    NO_ROOM = "no room"
    #: There is, but a limit of its user's or its own keeps it back, whatever room there is.
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class _Queue:
    """What is the same for all who wait together: if it lets one of them start, it may let any."""

    user: str
    #: Of one with a limit of its own.
    group: str
    needs: Resources
    turn: Turn


class Turns(Generic[Waiting]):
    """Whose turn it is on one scheduler.

    All who want to start something do so one attempt at a time, each time the one whose turn it is by `fair`. Whoever
    finds no room waits, and those behind leave free what it waits for: so small needs never keep large ones waiting for
    ever, and what nobody waits for is still used. Whoever is kept back by a limit waits, too, and keeps nobody.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Begin with nobody waiting; `ledger` knows who uses what."""
        self._ledger = ledger
        #: Those who wait, with the number at which they began to.
        self._queues: dict[_Queue, dict[Waiting, int]] = {}
        self._tickets = itertools.count()

    @property
    def waits(self) -> bool:
        """Whether anybody waits for room."""
        return any(queue.turn is Turn.NO_ROOM for queue in self._queues)

    def take(self, claimants: Collection[Waiting], start: Callable[[Waiting], Turn], room: Room) -> None:
        """Give the claimants, and those who wait, their turns, in which `start` starts the next attempt of one."""
        self._drop_changed()
        for one in claimants:
            self._ledger.note(one)
        fresh = {one: next(self._tickets) for one in claimants if not self._waits(one)}
        users = {queue.user for queue in self._queues}
        for one in fresh:
            if one.party.user not in users:
                self._ledger.arrive(one.party)
        if self._is_stuck(room):
            # Those who wait need not be asked, as long as what they wait for is left free.
            alone = not self._queues
            for queue in self._queues:
                if queue.turn is Turn.NO_ROOM:
                    room.has(queue.needs)
            self._pass(fresh, start, room)
            room.forget_awaited()
            if alone or self._is_stuck(room):
                return
            fresh = {}
        waiting = {one: ticket for some in self._queues.values() for one, ticket in some.items()}
        # Those of whom it is known what they would say as long as there is no room for them.
        told = {one for queue, some in self._queues.items() if queue.turn is Turn.NO_ROOM for one in some}
        self._queues.clear()
        self._pass({**waiting, **fresh}, start, room, told)

    def _drop_changed(self) -> None:
        """Have those ask again who need something else by now than what they wait for."""
        for queue, waiting in list(self._queues.items()):
            for one in [one for one in waiting if one.needs != queue.needs]:
                del waiting[one]
            if not waiting:
                del self._queues[queue]

    def _pass(
        self,
        tickets: dict[Waiting, int],
        start: Callable[[Waiting], Turn],
        room: Room,
        told: Collection[Waiting] = frozenset(),
    ) -> None:
        """Give each its turns, until it starts nothing more; whoever is kept back waits from then on."""
        order, told = Order(self._ledger, tickets.items()), set(told)
        while (first := order.next()) is not None:
            one = first
            turn = Turn.NO_ROOM if one in told and one.needs in room.awaited else self._turn(one, start)
            if turn is Turn.STARTED:
                told.discard(one)
                tickets[one] = next(self._tickets)
                order.again(one, tickets[one])
            elif turn is not Turn.NOTHING and one.needs is not None:
                self._queues.setdefault(_queue(one, one.needs, turn), {})[one] = tickets[one]

    def _waits(self, one: Waiting) -> bool:
        return any(one in waiting for waiting in self._queues.values())

    def _is_stuck(self, room: Room) -> bool:
        """Whether nobody who waits can go on."""
        return not any(self._may_go_on(queue, waiting, room) for queue, waiting in self._queues.items())

    def _may_go_on(self, queue: _Queue, waiting: Iterable[Waiting], room: Room) -> bool:
        """Whether one of a queue may start now, for all that is known before anything is left to others."""
        return room.fits(queue.needs) and self._ledger.refusal(next(iter(waiting)).party, queue.needs) is None

    def _turn(self, one: Waiting, start: Callable[[Waiting], Turn]) -> Turn:
        """Let somebody start an attempt, if it may."""
        needs = one.needs
        turn = start(one)
        if turn is Turn.STARTED and needs is not None:
            self._ledger.note(one)
            self._ledger.give(one.party, needs)
        return turn

    def drop(self, one: Waiting) -> None:
        """Let somebody wait no more, who is here no more."""
        self._ledger.forget(one)
        for queue, waiting in list(self._queues.items()):
            waiting.pop(one, None)
            if not waiting:
                del self._queues[queue]


def _queue(one: Claimant, needs: Resources, turn: Turn) -> _Queue:
    party = one.party
    return _Queue(party.user, party.group if party.max_gpus is not None else "", needs, turn)
