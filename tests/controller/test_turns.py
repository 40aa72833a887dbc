"""Whose turn it is to start something, and what room there is for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.controller.fair import Ledger, Order, Party, Terms, Use
from tunewell.controller.room import Room, Turn, Turns
from tunewell.spec import capacity
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.launch import JobKey, Resources
from tunewell.spec.quota import Quota


class Machine:
    """A scheduler that knows how much of its cores and GPUs is taken, and by what."""

    def __init__(self, cpus: int, gpus: int = 0) -> None:
        """Have so many cores and GPUs."""
        self.cpus = cpus
        self.gpus = tuple(Gpu(str(number)) for number in range(gpus))
        self.running: dict[JobKey, tuple[Wanting, Resources]] = {}

    def capacity(self) -> Capacity:
        """Return what is there and what is free."""
        free = self.cpus - sum(resources.cpus for _, resources in self.running.values())
        used = sum(resources.gpus for _, resources in self.running.values())
        free_gpus = tuple(gpu.device for gpu in self.gpus[used:])
        return Capacity((Node("here", self.cpus, 0, self.gpus, free, 0, free_gpus),))


@dataclass(eq=False)
class Wanting:
    """Somebody who has something to start, until there is nothing left to do."""

    party: Party
    needs: Resources
    machine: Machine
    #: How many attempts it still wants to make; None: it never has enough.
    left: int | None = None
    started: int = 0

    @property
    def held(self) -> int:
        """How many of its attempts run."""
        return sum(one is self for one, _ in self.machine.running.values())


@dataclass
class Play:
    """A machine, and who wants something of it."""

    machine: Machine
    ledger: Ledger = field(init=False)
    claimants: list[Wanting] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with an empty machine."""
        self.ledger = Ledger(self.machine.capacity())
        self.room = Room(self.machine)  # type: ignore[arg-type]
        self.turns = Turns[Wanting](self.ledger)
        self.keys = iter(range(10**9))

    def add(self, name: str, needs: Resources, left: int | None = None, **party: object) -> Wanting:
        """Let `USER/GROUP` want something."""
        user, _, group = name.partition("/")
        one = Wanting(Party(user, group or user, **party), needs, self.machine, left)  # type: ignore[arg-type]
        self.claimants.append(one)
        return one

    def start(self, one: Wanting) -> Turn:
        """Start an attempt of somebody, if there is anything to start, and it may."""
        if one.left == 0:
            return Turn.NOTHING
        if self.ledger.refusal(one.party, one.needs):
            return Turn.LIMITED
        if not self.room.has(one.needs):
            return Turn.NO_ROOM
        key = JobKey(next(self.keys), 1)
        self.room.take(key, one.needs)
        self.machine.running[key] = (one, one.needs)
        self.room.give_back(key)
        one.started += 1
        one.left = None if one.left is None else one.left - 1
        return Turn.STARTED

    def round(self, claimants: Sequence[Wanting] | None = None) -> None:
        """Let everybody start what may be started."""
        self.room.refresh()
        self.turns.take(self.claimants if claimants is None else claimants, self.start, self.room)
        capacity = self.machine.capacity()
        assert capacity.nodes[0].free_cpus >= -1e-9, "more runs than fits"

    def end(self, place: int = 0) -> Wanting:
        """End an attempt, the oldest by default, and return whose it was."""
        keys = list(self.machine.running)
        return self.machine.running.pop(keys[place % len(keys)])[0]


CORES = st.sampled_from([0.5, 1, 2, 3, 4])
WEIGHTS = st.sampled_from([0.5, 1.0, 2.0, 5.0])


@given(st.dictionaries(st.sampled_from([f"{u}/{g}" for u in "abcd" for g in "xy"]), CORES, min_size=1))
def test_nobody_starves(needs: dict[str, float]) -> None:
    """Whoever fits on the machine gets turns, however small the needs of the others are, and whosever they are."""
    play = Play(Machine(4))
    for name, cores in needs.items():
        play.add(name, Resources(cpus=cores))
    for _ in range(100 * len(needs)):
        play.round()
        play.end()
    assert all(one.started > 3 for one in play.claimants), [(one.party, one.started) for one in play.claimants]


@given(
    st.lists(WEIGHTS, min_size=1, max_size=5),
    st.integers(1, 12),
    st.lists(st.integers(0, 100), min_size=40, max_size=80),
)
def test_shares_are_those_of_the_weights(weights: list[float], slots: int, ends: list[int]) -> None:
    """Where all want more than there is, each user has within one slot of what its weight gives it, once some ended."""
    play = Play(Machine(slots))
    for number, weight in enumerate(weights):
        play.add(f"user{number}", Resources(cpus=1))
        play.ledger.terms = {**play.ledger.terms, f"user{number}": Terms(weight)}
    for place in ends:
        play.round()
        play.end(place)
    play.round()
    for one, weight in zip(play.claimants, weights, strict=True):
        others = [other for other in play.claimants if other.held > 1 and other is not one]
        share = one.held / weight
        assert all(
            share + 1 / weight >= (other.held - 1) / play.ledger.terms[other.party.user].weight - 1e-9
            for other in others
        ), [other.held for other in play.claimants]
    assert sum(one.held for one in play.claimants) == slots


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=2, max_size=4))
def test_weights_count_on_a_single_slot(weights: list[float]) -> None:
    """Where one attempt fills the machine, users have their turns in proportion to their weights."""
    play = Play(Machine(1))
    for number, weight in enumerate(weights):
        play.add(f"user{number}", Resources(cpus=1))
        play.ledger.terms = {**play.ledger.terms, f"user{number}": Terms(weight)}
    rounds = round(10 * sum(weights))
    for _ in range(rounds):
        play.round()
        play.end()
    for one, weight in zip(play.claimants, weights, strict=True):
        assert abs(one.started - 10 * weight) <= 2, [other.started for other in play.claimants]


def test_a_user_with_many_experiments_gets_no_more() -> None:
    """Slots are shared between users first, then between the experiments of each, by their weights."""
    play = Play(Machine(8))
    single = play.add("ada/one", Resources(cpus=1))
    heavy = play.add("bob/heavy", Resources(cpus=1), weight=3.0)
    light = play.add("bob/light", Resources(cpus=1))
    play.round()
    assert (single.held, heavy.held, light.held) == (4, 3, 1)


@given(st.lists(st.tuples(CORES, st.integers(0, 6)), min_size=1, max_size=6), st.lists(st.integers(0, 9), max_size=30))
def test_nothing_is_idle_that_somebody_could_use(wants: list[tuple[float, int]], ends: list[int]) -> None:
    """What is free is either too little for anybody who wants more, or left to somebody who waits for more of it."""
    play = Play(Machine(4))
    for number, (cores, left) in enumerate(wants):
        play.add(f"user{number}", Resources(cpus=cores), left)
    for place in ends:
        play.round()
        free = play.machine.capacity()
        hungry = [one for one in play.claimants if one.left]
        if len({one.needs for one in hungry}) == 1:
            assert not free.free(hungry[0].needs)
        assert not hungry or not all(free.free(one.needs) for one in hungry)
        if play.machine.running:
            play.end(place)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), CORES, st.integers(0, 2)), min_size=1, max_size=8),
    st.dictionaries(
        st.sampled_from("abc"),
        st.fixed_dictionaries(
            {}, optional={"running": st.integers(0, 3), "cpus": st.integers(0, 5), "gpus": st.integers(0, 3)}
        ),
    ),
    st.lists(st.integers(0, 9), max_size=30),
)
def test_quotas_are_kept(
    wants: list[tuple[str, float, int]], quotas: Mapping[str, Mapping[str, int]], ends: list[int]
) -> None:
    """No user ever has more than may be, and what others leave is used all the same."""
    play = Play(Machine(12, gpus=4))
    play.ledger.terms = {user: Terms(quota=Quota(**limits)) for user, limits in quotas.items()}
    for number, (user, cores, gpus) in enumerate(wants):
        play.add(f"{user}/{number}", Resources(cpus=cores, gpus=gpus))
    for place in ends:
        play.round()
        for user, limits in quotas.items():
            used = play.ledger.used(user)
            assert used.attempts <= limits.get("running", 99)
            assert used.cpus <= limits.get("cpus", 99) + 1e-9
            assert used.gpus <= limits.get("gpus", 99)
        capacity = play.machine.capacity()
        able = [one for one in play.claimants if not play.ledger.refusal(one.party, one.needs)]
        assert not able or not all(capacity.free(one.needs) for one in able), "somebody could go on"
        if play.machine.running:
            play.end(place)


@given(CORES, st.integers(1, 5))
def test_one_user_alone_gets_everything(cores: float, experiments: int) -> None:
    """Whoever is alone has the whole machine, whatever its weight."""
    play = Play(Machine(4))
    play.ledger.terms = {"ada": Terms(weight=0.01)}
    for number in range(experiments):
        play.add(f"ada/{number}", Resources(cpus=cores))
    play.round()
    assert sum(one.held for one in play.claimants) == int(4 / cores)


def test_experiments_of_one_quota_take_turns() -> None:
    """Where a quota lets one attempt run, each experiment of its user has its turns."""
    play = Play(Machine(4))
    play.ledger.terms = {"ada": Terms(quota=Quota(running=1))}
    both = [play.add("ada/x", Resources(cpus=1)), play.add("ada/y", Resources(cpus=1))]
    for _ in range(10):
        play.round()
        ended = play.end()
        play.round([ended])
    assert abs(both[0].started - both[1].started) <= 1


def test_what_is_used_elsewhere_counts() -> None:
    """A user who has much elsewhere is behind one who has nothing, and its quota is used up there as well."""
    play = Play(Machine(2))
    play.ledger.elsewhere = {"ada": Use(2, 2.0)}
    ada, bob = play.add("ada", Resources(cpus=1)), play.add("bob", Resources(cpus=1))
    play.round()
    assert (ada.held, bob.held) == (0, 2)
    play.end()
    play.ledger.terms = {"ada": Terms(quota=Quota(running=2))}
    play.claimants.remove(bob)
    play.turns.drop(bob)
    play.round()
    assert ada.held == 0


def test_limits_say_which_one_it_is() -> None:
    """A refusal has a stable code and says what is used up; what takes none of it is not refused."""
    ledger = Ledger(Machine(4, gpus=4).capacity())
    ada, gpu, cpu = Party("ada", "e"), Resources(cpus=1, gpus=1), Resources(cpus=1)
    cases: list[tuple[Terms, Resources, tuple[str, str] | None]] = [
        (Terms(), gpu, None),
        (Terms(quota=Quota(gpus=0)), gpu, ("user_quota", "gpus")),
        (Terms(quota=Quota(gpus=0)), cpu, None),
        (Terms(quota=Quota(running=0)), cpu, ("user_quota", "running")),
        (Terms(quota=Quota(cpus=0.5)), cpu, ("user_quota", "cpus")),
        (Terms(quota=Quota(gpu_hours=1), gpu_seconds=3599), gpu, None),
        (Terms(quota=Quota(gpu_hours=1), gpu_seconds=3600), gpu, ("monthly_quota", "gpu_hours")),
        (Terms(quota=Quota(gpu_hours=1), gpu_seconds=3600), cpu, None),
        (Terms(quota=Quota(cpu_hours=1), cpu_seconds=3600), cpu, ("monthly_quota", "cpu_hours")),
        (Terms(quota=Quota(disk_bytes=100), disk_bytes=99), cpu, None),
        (Terms(quota=Quota(disk_bytes=100), disk_bytes=100), cpu, ("disk", "disk_bytes")),
    ]
    for terms, needs, expected in cases:
        ledger.terms = {"ada": terms}
        reason = ledger.refusal(ada, needs)
        assert (reason and (reason.code, reason.what)) == expected
    ledger.terms = {"ada": Terms(quota=Quota(running=1))}
    ledger.elsewhere = {"ada": Use(1, 1.0, 0, 0)}
    reason = ledger.refusal(ada, cpu)
    assert reason is not None and reason.detail == "ada may have 1 trial at once, jobs counted."
    ledger.terms = {}
    reason = ledger.refusal(Party("ada", "e", max_gpus=1), Resources(cpus=1, gpus=2))
    assert reason is not None and reason.code == "max_gpus"


def test_max_gpus_counts_all_of_a_search() -> None:
    """A search never has more GPUs than it may, its jobs with its trials; others have what it leaves."""
    play = Play(Machine(8, gpus=4))
    trials = play.add("ada/e", Resources(cpus=1, gpus=1), max_gpus=2)
    job = play.add("ada/e", Resources(cpus=1, gpus=1), max_gpus=2)
    other = play.add("ada/f", Resources(cpus=1, gpus=1))
    play.round()
    assert trials.held + job.held == 2 and other.held == 2


def test_what_is_waited_for_is_left_free() -> None:
    """While one waits for more than is free, those that need the same leave it alone, and the others start."""
    machine = Machine(4)
    room = Room(machine)  # type: ignore[arg-type]
    machine.running[JobKey(1, 1)] = (Wanting(Party("a", "a"), Resources(), machine), Resources(cpus=2))
    room.refresh()
    assert not room.has(Resources(cpus=3))
    assert not room.has(Resources(cpus=1)), "two cores are free, and all of them awaited"
    room.refresh()
    assert not room.has(Resources(cpus=1, gpus=1))
    assert room.has(Resources(cpus=1)), "one of the two cores is not awaited"
    assert room.has(Resources(cpus=0)), "what takes no core takes none away"


def test_what_is_given_away_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thousandth start of a step costs what the first one does: nothing that is known is worked out again."""
    room, looks = Room(Machine(1000)), 0  # type: ignore[arg-type]

    def fit(resources: Resources, node: Node, amounts: object) -> int:
        del amounts
        nonlocal looks
        looks += 1
        return int(node.free_cpus // resources.cpus)

    monkeypatch.setattr(capacity, "_fit", fit)
    for number in range(1000):
        assert room.has(Resources(cpus=1))
        room.take(JobKey(number, 1), Resources(cpus=1))
    assert not room.has(Resources(cpus=1))
    assert looks <= 3 * 1000


def asked(play: Play, answer: Turn, *rounds: Sequence[Wanting]) -> Callable[[], list[str]]:
    """Have rounds played in which everybody gives the same answer; return what says who was asked."""
    names: list[str] = []

    def start(one: Wanting) -> Turn:
        names.append(one.party.user)
        return answer

    for claimants in rounds:
        play.room.refresh()
        play.turns.take(claimants, start, play.room)
    return lambda: names


def test_who_has_nothing_to_start_waits_for_nothing() -> None:
    """Those that had nothing to start are not asked again until they want to."""
    play = Play(Machine(1))
    both = [play.add("a", Resources()), play.add("b", Resources())]
    assert asked(play, Turn.NOTHING, both, [])() == ["a", "b"]


def test_who_is_dropped_waits_no_more() -> None:
    """Somebody who was let go of gets no turn, however long he has waited."""
    play = Play(Machine(1))
    one = play.add("a", Resources(cpus=1))
    assert asked(play, Turn.NO_ROOM, [one])() == ["a"]
    play.turns.drop(one)
    assert asked(play, Turn.NO_ROOM, [])() == []


def test_order_is_that_of_the_next_slots() -> None:
    """The order in which turns come takes account of what each turn before gives."""
    play = Play(Machine(4))
    ones = [play.add(name, Resources(cpus=1)) for name in ("ada/x", "ada/y", "bob/z")]
    order = Order(play.ledger, [(one, number) for number, one in enumerate(ones)])
    found = []
    while (one := order.next()) is not None:
        found.append(one.party.group)
        play.ledger.give(one.party, one.needs)
    assert found == ["x", "z", "y"]
    assert Counter(found) == Counter("xyz")
