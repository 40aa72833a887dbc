"""MLflow: a copy of a search, with a run for each trial."""

from __future__ import annotations

from tunewell.integrations.mirror import Mirror, MirroredTrial
from tunewell.integrations.required import required

_mlflow = required("mlflow", "mlflow")

#: What MLflow calls how a run has ended.
_STATUS = {"succeeded": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


class MLflowMirror(Mirror):
    """Writes an experiment with a run for each trial: parameters, the metric `value`, and the tag `tunewell.state`."""

    def __init__(self, experiment: str, tracking_uri: str | None = None) -> None:
        """Write to that experiment, which is made if there is none; see MLflow for its tracking URI and default."""
        super().__init__()
        self._client = _mlflow.MlflowClient(tracking_uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else self._client.create_experiment(experiment)

    def _write(self, trial: MirroredTrial) -> None:
        tags = {"tunewell.trial": str(trial.number), "tunewell.state": trial.state}
        run = self._client.create_run(self._experiment, run_name=f"trial {trial.number}", tags=tags).info.run_id
        for name, value in trial.parameters.items():
            self._client.log_param(run, name, value)
        for name, points in trial.curves.items():
            for step, value in points:
                self._client.log_metric(run, name, value, step=step)
        if trial.value is not None:
            self._client.log_metric(run, "value", trial.value)
        self._client.set_terminated(run, _STATUS.get(trial.state, "KILLED"))
