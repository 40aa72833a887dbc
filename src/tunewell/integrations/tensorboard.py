"""TensorBoard: a copy of a search, with a run for each trial, for its scalars and its table of hyperparameters."""

from __future__ import annotations

from pathlib import Path

from tunewell.integrations.mirror import Mirror, MirroredTrial
from tunewell.integrations.required import required

_event = required("tensorboard.compat.proto.event_pb2", "tensorboard")
_summary = required("tensorboard.compat.proto.summary_pb2", "tensorboard")
_writer = required("tensorboard.summary.writer.event_file_writer", "tensorboard")
_hparams = required("tensorboard.plugins.hparams.summary_v2", "tensorboard")


class TensorBoardMirror(Mirror):
    """Writes a folder `trial-NUMBER` for each trial: hyperparameters, the scalar `value`, and what was reported."""

    def __init__(self, folder: str | Path) -> None:
        """Write under that folder: what `tensorboard --logdir` is given."""
        super().__init__()
        self._folder = Path(folder)

    def _write(self, trial: MirroredTrial) -> None:
        name = f"trial-{trial.number:04d}"
        # TensorBoard knows numbers, texts and truth values.
        plain = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in trial.parameters.items()
        }
        writer = _writer.EventFileWriter(str(self._folder / name))
        try:
            writer.add_event(_event.Event(summary=_hparams.hparams_pb(plain, trial_id=name)))
            value = {} if trial.value is None else {"value": [(0, trial.value)]}
            for tag, points in {**trial.curves, **value}.items():
                for step, number in points:
                    scalar = _summary.Summary(value=[_summary.Summary.Value(tag=tag, simple_value=number)])
                    writer.add_event(_event.Event(step=step, summary=scalar))
        finally:
            writer.close()
