"""Weights & Biases: a copy of a search, with a run for each trial."""

from __future__ import annotations

from pathlib import Path

from tunewell.integrations.mirror import Mirror, MirroredTrial
from tunewell.integrations.required import required

_wandb = required("wandb", "wandb")


class WandbMirror(Mirror):
    """Writes runs on this machine alone, into a folder `wandb`; `wandb sync` sends them when that is wanted."""

    def __init__(self, project: str, folder: str | Path = ".", group: str | None = None) -> None:
        """Write runs of a project, and of a group in it, under a folder."""
        super().__init__()
        self._project, self._folder, self._group = project, Path(folder), group

    def _write(self, trial: MirroredTrial) -> None:
        run = _wandb.init(
            mode="offline",
            project=self._project,
            group=self._group,
            dir=str(self._folder),
            name=f"trial-{trial.number:04d}",
            config=dict(trial.parameters),
            tags=[trial.state],
            reinit="create_new",
            settings=_wandb.Settings(console="off", silent=True),
        )
        try:
            steps: dict[int, dict[str, float]] = {}
            for name, points in trial.curves.items():
                for step, value in points:
                    steps.setdefault(step, {})[name] = value
            for step in sorted(steps):
                run.log(steps[step], step=step)
            if trial.value is not None:
                run.summary["value"] = trial.value
        finally:
            run.finish(exit_code=1 if trial.state == "failed" else 0)
