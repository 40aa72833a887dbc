"""What a scheduler has free, less what has been given away and was not handed to it yet; and whose turn it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from enum import Enum
from typing import Generic, Protocol, TypeVar

from tunewell.schedulers.contract import Scheduler
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import AttemptKey, Resources, WorkKey


class Claimant(Protocol):
    """Somebody who wants to start attempts."""

    #: What its next attempt takes; None while that is not known.
    needs: Resources | None

    def __hash__(self) -> int: ...


Waiting = TypeVar("Waiting", bound=Claimant)


class Room:
    """The free part of one scheduler, for all who start something on it."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Give away nothing yet."""
        self._scheduler = scheduler
        self._given: dict[WorkKey, Resources] = {}
        #: What those wait for who found no room in this round.
        self.awaited: set[Resources] = set()
        self._capacity: Capacity | None = None
        self._free: Capacity | None = None

    def refresh(self) -> None:
        """Begin another round: something may have ended, here or in another process."""
        self.awaited.clear()
        self._capacity = self._free = None

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit at once where nothing else runs."""
        return self._present().slots(resources)

    def has(self, resources: Resources) -> bool:
        """Whether an attempt that needs `resources` can be started now. If not, others leave it what it waits for."""
        if resources in self.awaited:
            return False
        if self._free is None:
            self._free = self._present()
            for taken in [*self._given.values(), *self.awaited]:
                self._free = self._free.less(taken)
        if self._free.free(resources) > 0:
            return True
        self.awaited.add(resources)
        self._free = self._free.less(resources)
        return False

    def take(self, key: WorkKey, resources: Resources) -> None:
        """Give resources to an attempt that is about to start."""
        self._given[key] = resources
        self._free = None

    def give_back(self, key: WorkKey) -> None:
        """Take them back: the attempt is not started, or from now on counted by the scheduler."""
        if self._given.pop(key, None) is not None:
            self._capacity = self._free = None

    def leave(self, owner: str | int) -> None:
        """Take back all that was given to an experiment or job: what it was about to start, it does not start now."""
        for key in list(self._given):
            if owner == (key.experiment if isinstance(key, AttemptKey) else key.job):
                self.give_back(key)

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


class Turns(Generic[Waiting]):
    """Whose turn it is on one scheduler.

    All who want to start something do so in turn, one attempt each. Whoever finds no room waits in a queue with those
    who need the same, and the others leave free what it waits for: so small needs never keep large ones waiting for
    ever, and what nobody waits for is still used.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        #: What is needed → those who wait for it, with when they began to.
        self._queues: dict[Resources, dict[Waiting, int]] = {}
        self._tickets = itertools.count()

    @property
    def waits(self) -> bool:
        """Whether anybody waits for room."""
        return bool(self._queues)

    def take(self, claimants: Collection[Waiting], start: Callable[[Waiting], Turn], room: Room) -> None:
        """Give those who wait, and then the claimants, their turns, in which `start` starts the next attempt of one."""
        willing: list[Waiting] = []
        while (first := self._longest_waiting(room)) is not None:
            turn = start(first)
            if turn is not Turn.NO_ROOM:
                self.drop(first)
            if turn is Turn.STARTED:
                willing.append(first)
        willing += [one for one in claimants if not self._waits(one) and one not in willing]
        while willing:
            willing = [one for one in willing if self._take_turn(one, start, room)]

    def _longest_waiting(self, room: Room) -> Waiting | None:
        """Return who has waited longest, of those whose turn may bring something in this round."""
        heads = [next(iter(queue.items())) for needs, queue in self._queues.items() if needs not in room.awaited]
        return min(heads, key=lambda head: head[1])[0] if heads else None

    def _take_turn(self, one: Waiting, start: Callable[[Waiting], Turn], room: Room) -> bool:
        """Let somebody start, or wait; say whether another turn is wanted."""
        turn = Turn.NO_ROOM if one.needs in room.awaited else start(one)
        if turn is Turn.NO_ROOM and one.needs is not None:
            self._queues.setdefault(one.needs, {})[one] = next(self._tickets)
        return turn is Turn.STARTED

    def _waits(self, one: Waiting) -> bool:
        return any(one in queue for queue in self._queues.values())

    def drop(self, one: Waiting) -> None:
        """Let somebody wait no more."""
        for needs, queue in list(self._queues.items()):
            queue.pop(one, None)
            if not queue:
                del self._queues[needs]
