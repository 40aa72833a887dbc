"""GPUs that fail again and again are left out for a while."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tunewell.schedulers.device_errors import REST_SECONDS, DeviceErrors
from tunewell.spec.launch import Exit
from tunewell.spec.states import Cause

BAD, GOOD = Exit(Cause.GPU_ERROR, "the GPU is lost"), Exit()


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = 100.0


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def errors(clock: Clock) -> DeviceErrors:
    """What is known of GPUs: nothing."""
    return DeviceErrors(lambda: clock.now)


def test_the_second_error_in_a_row_counts(errors: DeviceErrors) -> None:
    """One error may be chance; the second one in a row has its GPU left out, and the end says so."""
    assert errors.take(["0"], BAD) == BAD
    assert errors.left_out() == frozenset()
    assert errors.take(["0", "1"], BAD).notes == ("Left out for 15 minutes after errors in a row: GPU 0.",)
    assert errors.left_out() == {"0"}


def test_a_good_end_between_them(errors: DeviceErrors) -> None:
    """What succeeds on a GPU shows that it works; what fails for another reason shows nothing."""
    for end in (BAD, GOOD, BAD, Exit(Cause.CRASHED, "ValueError")):
        assert errors.take(["0"], end) == end
    assert errors.left_out() == frozenset()
    errors.take(["0"], BAD)
    assert errors.left_out() == {"0"}


def test_after_a_while_it_is_tried_again(errors: DeviceErrors, clock: Clock) -> None:
    """When its time is over one more error is enough, and a good end makes it as good as new."""
    for _ in range(2):
        errors.take(["0"], BAD)
    clock.now += REST_SECONDS
    assert errors.left_out() == frozenset()
    errors.take(["0"], BAD)
    assert errors.left_out() == {"0"}
    clock.now += REST_SECONDS
    errors.take(["0"], GOOD)
    assert errors.take(["0"], BAD) == BAD


def test_without_gpus(errors: DeviceErrors) -> None:
    """A program that was given no GPU, and finds one faulty all the same, has nothing left out."""
    for _ in range(3):
        assert errors.take([], BAD) == BAD
    assert errors.left_out() == frozenset()
