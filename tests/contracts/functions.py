"""Python functions to search over."""

from __future__ import annotations

from tunewell.trial import Trial


def trains(trial: Trial, rate: float) -> None:
    """Train for two epochs, from the checkpoint if there is one."""
    state = trial.checkpoint_dir / "epoch"
    epoch = int(state.read_text()) if state.exists() else 0
    while epoch < round(2 * trial.fidelity):
        epoch += 1
        state.write_text(str(epoch))
        trial.report(step=epoch, accuracy=rate * epoch)


def trains_something_else(speed: float) -> float:
    """Return a value."""
    return speed
