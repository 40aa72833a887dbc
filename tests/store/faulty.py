"""A store that fails on order, for the suites of those who work with one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, cast

from tunewell.store import Store, Transaction
from tunewell.store.dialect import Busy, StoreError


class Fault(Enum):
    """What can happen to a call or a transaction."""

    #: Nothing is done, and an error says so, as on a full disk.
    ERROR = "error"
    #: Nothing is done, because another process holds the database.
    TIME_OUT = "time-out"
    #: All is done, and an error says the opposite: the answer was lost.
    DONE_THEN_ERROR = "done, then error"
    #: All is done, later.
    DELAY = "delay"


class Faults:
    """Which of the calls fail: each that `plan` names by its number (the first is 1), and others at random."""

    def __init__(
        self,
        plan: Mapping[int, Fault] | None = None,
        rates: Mapping[Fault, float] | None = None,
        seed: int = 0,
        on: Collection[str] | None = None,
        delay: Callable[[], object] = lambda: None,
    ) -> None:
        """Take what is to fail.

        Args:
            plan: number of a call → what happens to it.
            rates: what happens → how often, as a share of all calls that the plan does not name.
            seed: of the random numbers; the same seed and calls give the same faults.
            on: names of the methods that are counted and may fail; None: all, `transaction` among them.
            delay: called where a call is delayed; it can wait for something, or let time go by on a test's clock.
        """
        self.plan = dict(plan or {})
        self.rates = dict(rates or {})
        self.delay = delay
        #: How many calls there were, and how often each fault happened. Set `active` to False to have none.
        self.calls = 0
        self.happened: Counter[Fault] = Counter()
        self.active = True
        self._on = on
        self._random = random.Random(seed)

    def next(self, method: str) -> Fault | None:
        """Count a call, and return what happens to it."""
        if not self.active or (self._on is not None and method not in self._on):
            return None
        self.calls += 1
        drawn = self._random.random()
        fault = self.plan.get(self.calls)
        if fault is None:
            for kind, rate in self.rates.items():
                if drawn < rate:
                    fault = kind
                    break
                drawn -= rate
        if fault is not None:
            self.happened[fault] += 1
        return fault


class _Faulty:
    """Has all that a store has; what fails is decided call by call."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name == "close":
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            with self._fault(name):
                answer = found(*arguments, **named)
                # What is read a page at a time fails in the place of the call, not at some page.
                return iter(list(answer)) if isinstance(answer, Iterator) else answer

        return call

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give a transaction that fails before its block, or in the place of its commit or of the answer to it."""
        fault = self._faults.next("transaction")
        if fault is Fault.TIME_OUT:
            raise self._busy()
        if fault is Fault.DELAY:
            self._faults.delay()
        with self._store.transaction() as transaction:
            yield transaction
            if fault is Fault.ERROR:
                raise self._error()
        if fault is Fault.DONE_THEN_ERROR:
            raise self._error()

    def __enter__(self) -> Store:
        return cast(Store, self)

    def __exit__(self, *_: object) -> None:
        self._store.close()

    @contextmanager
    def _fault(self, method: str) -> Iterator[None]:
        fault = self._faults.next(method)
        if fault is Fault.TIME_OUT:
            raise self._busy()
        if fault is Fault.ERROR:
            raise self._error()
        if fault is Fault.DELAY:
            self._faults.delay()
        yield
        if fault is Fault.DONE_THEN_ERROR:
            raise self._error()

    def _busy(self) -> Busy:
        return Busy("another process has been writing for too long", field=self._store.place, remedy="Try again")

    def _error(self) -> StoreError:
        return StoreError("the disk can't be read or written", field=self._store.place)


def faulty(store: Store, faults: Faults) -> Store:
    """Return a store that is `store` but for the faults."""
    return cast(Store, _Faulty(store, faults))
