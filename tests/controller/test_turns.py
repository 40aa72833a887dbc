"""Whose turn it is to start something, and what room there is for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tunewell.controller.room import Room, Turn, Turns
from tunewell.spec.capacity import Capacity, Node
from tunewell.spec.launch import JobKey, Resources


class Machine:
    """A scheduler that knows how much of its cores is taken, and by what."""

    def __init__(self, cpus: int) -> None:
        """Have so many cores."""
        self.cpus = cpus
        self.running: dict[JobKey, tuple[str, Resources]] = {}

    def capacity(self) -> Capacity:
        """Return what is there and what is free."""
        free = self.cpus - sum(resources.cpus for _, resources in self.running.values())
        return Capacity((Node("here", self.cpus, 0, (), free, 0, ()),))


@dataclass(frozen=True)
class Wanting:
    """Somebody who always has something to start."""

    name: str
    needs: Resources


def play(cpus: int, needs: dict[str, float], rounds: int) -> Counter[str]:
    """Let claimants start what they can, end the oldest attempt after each round, and count who started how often."""
    machine = Machine(cpus)
    room, turns, started = Room(machine), Turns[Wanting](), Counter[str]()  # type: ignore[arg-type]
    claimants = [Wanting(name, Resources(cpus=cores)) for name, cores in needs.items()]

    def start(one: Wanting) -> Turn:
        if not room.has(one.needs):
            return Turn.NO_ROOM
        key = JobKey(sum(started.values()), 1)
        room.take(key, one.needs)
        machine.running[key] = (one.name, one.needs)
        room.give_back(key)
        started[one.name] += 1
        return Turn.STARTED

    for _ in range(rounds):
        room.refresh()
        turns.take(claimants, start, room)
        assert sum(resources.cpus for _, resources in machine.running.values()) <= cpus + 1e-9
        machine.running.pop(next(iter(machine.running)))
    return started


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.5, 1, 2, 3, 4]), min_size=1))
def test_nobody_starves(needs: dict[str, float]) -> None:
    """Whoever fits on the machine gets its turns, however small the needs of the others are."""
    started = play(4, needs, rounds=60 * len(needs))
    assert all(started[name] > 5 for name in needs)


def test_equal_needs_get_equal_shares() -> None:
    """Claimants with the same needs start equally often."""
    started = play(2, dict.fromkeys("abc", 1.0), rounds=90)
    assert max(started.values()) - min(started.values()) <= 1


def test_what_is_waited_for_is_left_free() -> None:
    """While one waits for more than is free, those that need the same leave it alone, and the others start."""
    machine = Machine(4)
    room = Room(machine)  # type: ignore[arg-type]
    machine.running[JobKey(1, 1)] = ("long", Resources(cpus=2))
    room.refresh()
    assert not room.has(Resources(cpus=3))
    assert not room.has(Resources(cpus=1)), "two cores are free, and all of them awaited"
    room.refresh()
    assert not room.has(Resources(cpus=1, gpus=1))
    assert room.has(Resources(cpus=1)), "one of the two cores is not awaited"
    assert room.has(Resources(cpus=0)), "what takes no core takes none away"


def test_who_has_nothing_to_start_waits_for_nothing() -> None:
    """Those that had nothing to start are not asked again until they want to."""
    room, turns = Room(Machine(1)), Turns[Wanting]()  # type: ignore[arg-type]
    claimants = [Wanting("a", Resources()), Wanting("b", Resources())]
    asked: list[str] = []

    def start(one: Wanting) -> Turn:
        asked.append(one.name)
        return Turn.NOTHING

    turns.take(claimants, start, room)
    turns.take([], start, room)
    assert asked == ["a", "b"]


def test_who_is_dropped_waits_no_more() -> None:
    """Somebody who was let go of gets no turn, however long he has waited."""
    room, turns = Room(Machine(1)), Turns[Wanting]()  # type: ignore[arg-type]
    one = Wanting("a", Resources(cpus=1))
    turns.take([one], lambda one: Turn.NO_ROOM, room)
    turns.drop(one)
    asked: list[str] = []
    turns.take([], lambda one: asked.append(one.name) or Turn.NOTHING, room)  # type: ignore[func-returns-value]
    assert asked == []
