"""One attempt, as the code that trains sees it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

#: Causes that a trial may give for its failure: one of the first four keeps the search away from its parameters, the
#: others do so where they come again.
CAUSES = ("gpu_oom", "host_oom", "non_finite", "invalid_parameters", "data_error", "crashed")
#: Exit code of a process that ends because the controller has asked it to.
ASKED_TO_END = 3
# Not the trial's own, which could not be pickled then. A signal handler may report in the midst of a report.
_reporting = RLock()


class Pruned(Exception):
    """The controller has asked this attempt to end. Let it pass; save nothing but what must be saved."""


def raise_pruned(signum: int, frame: object) -> NoReturn:
    """Raise `Pruned`: what a function's process does when it gets SIGTERM."""
    del signum, frame
    raise Pruned("asked to end")


class Failed(SystemExit):
    """The trial declared itself failed. Where nobody catches it the process exits with code 1."""

    def __init__(self, cause: str, detail: str) -> None:
        """`cause` is one of `CAUSES`, `detail` one line for people."""
        super().__init__(1)
        self.cause = cause
        self.detail = detail


class Trial:
    """What training code is given. Subclasses say where reports go and where folders lie."""

    def __init__(
        self, number: int, parameters: Mapping[str, Any], fidelity: float = 1.0, sampling: float = 1.0
    ) -> None:
        #: The trial's number in its experiment.
        self.number = number
        #: Hyperparameters by name, active ones only.
        self.parameters = parameters
        #: Share of the full training that this trial gets, in (0, 1].
        self.fidelity = fidelity
        #: Share of the training data that the search uses, in (0, 1].
        self.sampling = sampling

    def report(self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **named: Any) -> None:
        """Report metrics of one step, by name or as a mapping: `report(accuracy=0.9)`, `report({"val/acc": 0.9})`.

        Args:
            metrics: metric name → number. Anything that `float()` takes and that is no text is a number;
                NaN and infinities are passed on as they are.
            step: a whole number, such as the epoch; default: 1, then the last one + 1.
            named: further metrics.

        Raises:
            TypeError: a metric or the step is no number, or there is no metric.
            Pruned: the controller has asked this attempt to end.
        """
        self.record({**(metrics or {}), **named}, step)
        if self.should_stop:
            raise Pruned(f"trial {self.number} was asked to end")

    def record(self, metrics: Mapping[str, Any], step: int | None = None, note: str = "") -> None:
        """Report metrics of one step without looking whether to end; raise TypeError as `report` does.

        Threads report in turn: no two of them get the same step. `note` is a sentence for people about the report.
        """
        if not metrics:
            raise TypeError("a report needs at least one metric, such as report(accuracy=0.9)")
        numbers = {_name(name): _number(name, value) for name, value in metrics.items()}
        given = None if step is None else _step(step)
        with _reporting:
            self._send(self._last_step() + 1 if given is None else given, numbers, note)

    def fail(self, cause: str, message: str) -> NoReturn:
        """End this trial as failed.

        Args:
            cause: one of `CAUSES`.
            message: one line for people.

        Raises:
            Failed: always (a `SystemExit` with code 1).
            ValueError: there is no such cause.
        """
        if cause not in CAUSES:
            raise ValueError(f"{cause!r} is no cause of a failure; use one of {', '.join(CAUSES)}")
        self._note_failure(cause, message)
        raise Failed(cause, message)

    @property
    def should_stop(self) -> bool:
        """Whether the controller has asked this attempt to end."""
        return False

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of the checkpoint, made on first use; it holds the one to go on from, if there is any."""
        raise NotImplementedError

    @property
    def output_dir(self) -> Path:
        """Folder for whatever is to be kept, made on first use."""
        raise NotImplementedError

    def _last_step(self) -> int:
        raise NotImplementedError

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        raise NotImplementedError

    def _note_failure(self, cause: str, message: str) -> None:
        """Put the failure where the one who runs this trial finds it."""


def made(*parts: str | Path) -> Path:
    """Return the folder that the parts of its path name, having made it."""
    from pathlib import Path  # a quarter of what `import tunewell` would cost, and often not needed

    folder = Path(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a metric's name is text, not {name!r}")
    return name


def is_number(value: object) -> bool:
    """Whether a value can be reported: `float` takes it, and it is no text."""
    try:
        _number("", value)
    except TypeError:
        return False
    return True


def _number(name: object, value: object) -> float:
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            pass
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    raise TypeError(f"metric {name!r} is no number but {type(value).__name__}: {shown}") from None


def _step(step: object) -> int:
    try:
        return operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"a step is a whole number, not {step!r}") from None
