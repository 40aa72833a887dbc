"""How long a trial takes here, measured by a few steps of one, in a process of its own that leaves nothing.

It holds what a trial would of the machine (`measuring_process`): where that is taken, nothing is measured.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tunewell.schedulers.child import trial_environment
from tunewell.service import measuring_process
from tunewell.service.measuring_process import ORDER
from tunewell.service.submission import Plan
from tunewell.spec.errors import UserError
from tunewell.spec.launch import JobKey, Launch, Resources
from tunewell.spec.secrets import without_private
from tunewell.spec.space import Configuration
from tunewell.trial.files import FAILURE, read_json, write_json

#: How long steps are measured, and how long all of it may take, from the start of the process.
STEPS_SECONDS, LONGEST_SECONDS = 8.0, 40.0
#: How much longer the process lives at most, whatever becomes of who started it.
_SPARE_SECONDS = 5.0
#: One is measured at a time: two side by side would measure each other.
_alone = threading.Lock()


@dataclass(frozen=True, slots=True)
class Measured:
    """How long the parts of a training take, in seconds."""

    epochs: int
    #: Of an epoch.
    steps: int
    step_seconds: float
    #: After an epoch.
    validation_seconds: float
    #: In the first epoch, besides.
    once_seconds: float = 0.0
    #: To go through all items before the search, once; see `Task.passes`.
    pass_seconds: float = 0.0

    @property
    def epoch_seconds(self) -> float:
        """How long an epoch takes."""
        return self.steps * self.step_seconds + self.validation_seconds

    @property
    def seconds(self) -> float:
        """How long a training takes in full."""
        return self.once_seconds + self.epochs * self.epoch_seconds


#: How long what was measured is told again, and how much of it is kept.
_KEPT_SECONDS, _MOST_KEPT = 600.0, 50
#: What was measured → when, on the monotonic clock, and what came out.
_kept: dict[str, tuple[float, Measured]] = {}


def known(plan: Plan, resources: Resources) -> Measured | None:
    """Return what `measure` has found in this process for such a training lately; None: nothing."""
    found = _kept.get(_key(plan, resources))
    return found[1] if found is not None and time.monotonic() - found[0] < _KEPT_SECONDS else None


def measure(plan: Plan, resources: Resources, claims: Path | None) -> Measured:
    """Measure a training with the default configuration, as a trial would be run with these resources.

    Args:
        plan: the search whose trial it is.
        resources: what it occupies of this machine meanwhile.
        claims: file in which it is counted what is taken of this machine; None: there is none.

    Raises:
        UserError: it can't be measured; says why.
    """
    entry = plan.task.jobs.get("measure")
    if entry is None:
        raise UserError("what a trial does, only its program knows")
    if (found := known(plan, resources)) is not None:
        return found
    with _turn(), TemporaryDirectory(prefix="tunewell-measure-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        spec = plan.spec.model_dump(mode="json")
        write_json(folder / "job.json", {"spec": spec, "seconds": STEPS_SECONDS})
        write_json(folder / "parameters.json", dict(_configuration(plan)))
        _run(folder, entry, resources, claims)
        result, failure = read_json(folder / "result.json"), read_json(folder / FAILURE)
        if result is not None:
            measured = Measured(**result)
            while len(_kept) >= _MOST_KEPT:
                _kept.pop(next(iter(_kept)), None)
            _kept[_key(plan, resources)] = time.monotonic(), measured
            return measured
        why = str(failure["detail"]) if failure is not None else "the attempt ended without a result"
        raise UserError(why.removesuffix("."))


def _configuration(plan: Plan) -> Configuration:
    """Return the configuration that is measured."""
    return plan.space.default() or plan.space.sample(np.random.default_rng(plan.spec.seed))


def _key(plan: Plan, resources: Resources) -> str:
    """Return what a measurement depends on."""
    spec = plan.spec
    about = [spec.task, spec.network, str(spec.data), spec.weights, spec.sampling, spec.seed]
    return json.dumps([about, _configuration(plan), resources.to_json()], default=str)


@contextmanager
def _turn() -> Iterator[None]:
    if not _alone.acquire(blocking=False):  # who waits would keep a thread from others
        raise UserError("another measurement is running, ask again")
    try:
        yield
    finally:
        _alone.release()


def _run(folder: Path, entry: str, resources: Resources, claims: Path | None) -> None:
    """Run the entry to its end, for the longest time at most; it and whatever it has started are gone then."""
    launch = Launch(JobKey(0, 1), folder, entry=entry, resources=resources)
    place = str(claims) if claims is not None else None
    write_json(folder / ORDER, {"entry": entry, "resources": resources.to_json(), "claims": place})
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", measuring_process.__name__, str(folder), str(LONGEST_SECONDS + _SPARE_SECONDS)],
        env=trial_environment(launch, without_private(os.environ)),
        stdin=subprocess.PIPE,  # its end tells that this process is gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        what = "a few steps, with all that comes before them,"
        raise UserError(f"{what} took longer than {LONGEST_SECONDS:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
