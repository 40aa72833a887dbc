"""How many attempts fit on machines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.capacity import NO_LIMIT, Capacity, Gpu, Node
from tunewell.spec.launch import Resources

GIB = 1 << 30
GPUS = tuple(Gpu(str(index), "card", 8 * GIB) for index in range(3))
NODE = Node("here", 8, 16 * GIB, GPUS, free_cpus=2.5, free_memory_bytes=5 * GIB, free_gpus=("2",))
BARE = Node("there", 4, 4 * GIB, (), free_cpus=4, free_memory_bytes=4 * GIB, free_gpus=())


@pytest.mark.parametrize(
    ("resources", "slots", "free"),
    [
        (Resources(cpus=1), 8, 2),
        (Resources(cpus=3), 2, 0),
        (Resources(cpus=9), 0, 0),
        (Resources(cpus=0.1), 80, 25),
        (Resources(cpus=0.3), 26, 8),
        (Resources(cpus=1.5), 5, 1),
        (Resources(cpus=0), NO_LIMIT, NO_LIMIT),
        (Resources(cpus=0, gpus=1), 3, 1),
        (Resources(cpus=1, gpus=2), 1, 0),
        (Resources(cpus=4, gpus=1), 2, 0),
        (Resources(cpus=1, gpus=4), 0, 0),
        (Resources(cpus=1, memory_bytes=5 * GIB), 3, 1),
        (Resources(cpus=0, memory_bytes=6 * GIB), 2, 0),
        (Resources(cpus=0, memory_bytes=17 * GIB), 0, 0),
    ],
)
def test_what_fits_on_one_machine(resources: Resources, slots: int, free: int) -> None:
    """As many attempts fit as cores, GPUs and memory all allow."""
    assert (Capacity((NODE,)).slots(resources), Capacity((NODE,)).free(resources)) == (slots, free)


def test_parts_of_gpus_do_not_add_up() -> None:
    """An attempt has its part of one GPU: what two others have left is no room for it, however much that is together.

    It is where least is free that suffices, so that whole GPUs stay free for those who need them.
    """
    node = replace(NODE, free_cpus=8, free_gpus=("0", "1"))
    part = Resources(cpus=0, gpus=0.4)
    left = [Capacity((node,)).less(*[part] * number) for number in range(6)]
    assert [one.free(part) for one in left] == [4, 3, 2, 1, 0, 0]
    assert [one.free(Resources(cpus=0, gpus=1)) for one in left] == [2, 1, 1, 0, 0, 0]
    assert left[4].nodes[0].free_gpu_parts == (0.2, 0.2)
    assert left[1].less(Resources(cpus=0, gpus=0.6)).nodes[0] == replace(left[1].nodes[0], free_gpu_parts=())
    third = Resources(cpus=0, gpus=1 / 3)
    assert not Capacity((replace(node, free_gpus=("0",)),)).less(third, third, third).nodes[0].free_gpu_parts


def test_an_attempt_lies_on_one_machine() -> None:
    """What is left on two machines does not add up to room for one attempt."""
    capacity = Capacity((NODE, BARE))
    assert (capacity.cpus, capacity.gpus) == (12, GPUS)
    assert (capacity.slots(Resources(cpus=5)), capacity.slots(Resources(cpus=4))) == (1, 3)
    assert (capacity.free(Resources(cpus=5)), capacity.free(Resources(cpus=2))) == (0, 3)


def test_one_more_attempt_takes_its_part() -> None:
    """What an attempt needs is taken from the first machine where it fits, and from no other."""
    need = Resources(cpus=2, gpus=1, memory_bytes=4 * GIB)
    left = Capacity((BARE, NODE)).less(need)
    assert left.nodes == (BARE, replace(NODE, free_cpus=0.5, free_memory_bytes=GIB, free_gpus=()))
    assert left.less(need).free(Resources(cpus=0.1)) == left.free(Resources(cpus=0.1)) - 20
    assert left.less(need).free(need) == 0
    assert left.slots(need) == Capacity((BARE, NODE)).slots(need)


def test_more_taken_than_there_is() -> None:
    """Where more is taken than there is, as when cores were taken away, nothing is free."""
    assert Capacity((replace(NODE, free_cpus=-2.0, free_memory_bytes=-1),)).free(Resources(cpus=1)) == 0


@given(st.integers(1, 64), st.integers(1, 20))
def test_fractions_of_cores_add_up(cpus: int, parts: int) -> None:
    """So many equal parts of a core fit on it, whatever their rounding."""
    node = Node("n", cpus, 0, (), cpus, 0, ())
    assert Capacity((node,)).slots(Resources(cpus=1 / parts)) == cpus * parts
