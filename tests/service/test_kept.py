"""What is kept in memory is worked out once, and is bounded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tunewell.service.kept import Kept


@dataclass(frozen=True)
class Block:
    """Some memory."""

    bytes: int


def test_those_asked_for_last_stay() -> None:
    """Others go when it becomes too much; the last one stays, however large."""
    kept: Kept[str, Block] = Kept(10)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda known: known or Block(5))
    assert kept.bytes == 10
    made = [kept.get(key, lambda known: known or Block(0)).bytes for key in ("a", "c", "b")]
    assert made == [5, 5, 0]
    kept.get("d", lambda known: Block(100))
    assert kept.bytes == 100


def test_what_is_kept_can_be_renewed() -> None:
    """Who renews gets what is kept; where that fails, it stays."""
    kept: Kept[str, Block] = Kept(100)
    assert kept.get("a", lambda known: Block(1 if known is None else 0)).bytes == 1

    def fail(known: Block | None) -> Block:
        raise ValueError

    with pytest.raises(ValueError):
        kept.get("a", fail)
    assert kept.get("a", lambda known: Block(0 if known is None else known.bytes + 1)).bytes == 2


def test_nothing_is_worked_out_twice_at_once() -> None:
    """Who asks for what is being worked out waits for it; who asks for something else does not."""
    kept: Kept[str, Block] = Kept(100)
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slowly(known: Block | None) -> Block:
        if known is None:
            begun.set()
            assert go_on.wait(60)
            made.append(1)
        return known or Block(1)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(kept.get, "a", slowly) for _ in range(3)]
        assert begun.wait(60)
        assert kept.get("b", lambda known: Block(2)).bytes == 2
        go_on.set()
        assert {id(one.result()) for one in asked} == {id(asked[0].result())}
    assert made == [1]
