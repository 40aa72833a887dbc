"""Slow calls out of the loop: order, answers, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.schedulers.bench import wait_until
from tunewell.controller.background import Background


def deliver_until(background: Background, holds: Callable[[], bool]) -> None:
    """Deliver answers until something holds."""

    def look() -> bool:
        background.deliver()
        return holds()

    wait_until(look)


def test_calls_of_an_owner_keep_their_order() -> None:
    """The calls of one owner are made, and answered, one after the other."""
    background, got = Background(), []
    owner = background.owner("a", lambda error: None)
    for number in range(200):
        owner.make(lambda number=number: number, got.append)  # type: ignore[misc]
    deliver_until(background, lambda: len(got) == 200)
    assert got == list(range(200))
    assert background.outstanding == 0


def test_one_owner_does_not_wait_for_another() -> None:
    """A call that takes long holds up no other owner's, and no delivery."""
    background, got, gate = Background(), [], threading.Event()
    slow, fast = (background.owner(name, lambda error: None) for name in ("slow", "fast"))
    slow.make(lambda: gate.wait(60), lambda _: got.append("slow"))
    fast.make(lambda: None, lambda _: got.append("fast"))
    deliver_until(background, lambda: got == ["fast"])
    gate.set()
    deliver_until(background, lambda: got == ["fast", "slow"])


def test_an_error_goes_to_its_owner() -> None:
    """What a call raises, or what follows from it, is told to its owner, and the next call is made."""
    background, errors, got = Background(), [], []

    def fail(answer: object = None) -> None:
        raise ValueError("broken")

    owner = background.owner("a", errors.append)
    owner.make(fail, got.append)
    owner.make(lambda: 1, fail)
    owner.make(lambda: 2, got.append)
    deliver_until(background, lambda: got == [2])
    assert [str(error) for error in errors] == ["broken", "broken"]


def test_a_closed_owner_gets_no_answers() -> None:
    """Nothing follows from the calls of an owner that was closed."""
    background, got, gate = Background(), [], threading.Event()
    owner = background.owner("a", lambda error: got.append("error"))
    owner.make(lambda: gate.wait(60), lambda _: got.append("answer"))
    owner.close()
    gate.set()
    deliver_until(background, lambda: background.outstanding == 0)
    assert got == []


def test_answers_name_their_owners() -> None:
    """A delivery tells whose calls were answered."""
    background = Background()
    background.owner("a", lambda error: None).make(lambda: None, lambda _: None)
    names: set[object] = set()
    wait_until(lambda: bool(names.update(background.deliver()) or names))
    assert names == {"a"}


def test_a_call_that_never_ends_is_not_waited_for_once_its_owner_is_closed() -> None:
    """A tuner that hangs does not keep the loop in short waits for good; its late answer counts nothing down."""
    background, gate, got = Background(), threading.Event(), []
    hanging, other = (background.owner(name, lambda error: None) for name in ("hanging", "other"))
    hanging.make(lambda: gate.wait(60), got.append)
    assert background.outstanding == 1
    hanging.close()
    assert background.outstanding == 0
    gate.set()
    other.make(lambda: 2, got.append)
    deliver_until(background, lambda: got == [2])
    assert background.outstanding == 0
