"""Ray Tune's population-based training at its defaults, on what the built-in picture task trains; see `evolution.py`.

Needs Ray Tune, which is no part of the development environment: `pip install 'ray[tune]'`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining


class Member(tune.Trainable):
    """Trains a network of the built-in task, an epoch a step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take up what the task has prepared, with these hyperparameters."""
        from tunewell.tasks.image_classification.data import Manifest
        from tunewell.tasks.vision.device import configure_torch
        from tunewell.tasks.vision.task_file import Prepared

        configure_torch()
        self._prepared = Prepared.load(Path(config["task_file"]))
        self._manifest = Manifest.load(Path(self._prepared.manifest))
        self._build(config)

    def step(self) -> dict[str, float]:
        """Train an epoch; return accuracy on validation and test pictures."""
        from tunewell.tasks.image_classification.metrics import measure
        from tunewell.tasks.image_classification.train import training_positions

        chosen = training_positions(self._manifest, self._prepared.sampling, self._prepared.seed)
        self._learner.train_epoch(self._pictures, chosen)
        found = {}
        for split in ("val", "test"):
            positions = np.asarray(self._manifest.splits[split])
            logits = self._learner.logits(self._pictures, positions)
            found[split] = measure(logits, self._pictures.labels[positions])["accuracy"]
        return found

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the learner's state."""
        torch.save(self._learner.state(), Path(checkpoint_dir) / "state.pt")

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from a state, which another member may have left."""
        self._learner.load_state(torch.load(Path(checkpoint_dir) / "state.pt", weights_only=True))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take other hyperparameters."""
        self._build(new_config)
        return True

    def _build(self, config: dict[str, Any]) -> None:
        from tunewell.tasks.image_classification.learner import labelled_pictures
        from tunewell.tasks.image_classification.train import create_learner

        configuration = {name: value for name, value in config.items() if name != "task_file"}
        configuration["horizontal_flip"] = bool(config["horizontal_flip"])
        self._learner = create_learner(self._prepared, self._manifest, configuration)
        self._pictures = labelled_pictures(self._prepared, self._manifest, self._learner.image_size)


def mutations(space: Any) -> dict[str, Any]:
    """Return the search space in Ray Tune's terms; fixed parameters are left out."""
    found: dict[str, Any] = {}
    for parameter in space:
        if parameter.size == 1:
            continue
        if parameter.size is not None:
            found[parameter.name] = list(parameter.values(parameter.size))
        else:
            draw = tune.loguniform if parameter.log else tune.uniform
            found[parameter.name] = draw(parameter.low, parameter.high)
    return found


def run(spec: dict[str, Any], seed: int, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Run one search; return validation and test accuracy of its best member at its end, and the seconds."""
    from tunewell.service.submission import make_plan

    plan = make_plan({**spec, "algorithm": "random"})
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "experiment"
        plan.task.prepare(plan.spec, plan.space, experiment, Path(folder) / "cache", lambda what, done, total: None)
        space = mutations(plan.space)
        # Ray's workers outlive a search, and with them their environment.
        fixed: dict[str, Any] = {"task_file": str(experiment / "task.json")}
        fixed |= {parameter.name: parameter.values(1)[0] for parameter in plan.space if parameter.size == 1}
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=1, hyperparam_mutations=space
        )
        tuner = tune.Tuner(
            tune.with_resources(Member, {"cpu": 1}),
            param_space={**fixed, **{n: tune.choice(s) if isinstance(s, list) else s for n, s in space.items()}},
            tune_config=tune.TuneConfig(
                metric="val", mode="max", num_samples=arguments.members, scheduler=scheduler, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                stop={"training_iteration": arguments.epochs}, storage_path=str(Path(folder) / "ray"), verbose=0
            ),
        )
        random.seed(seed)
        np.random.seed(seed)  # Ray Tune draws from both
        best = tuner.fit().get_best_result(scope="last")
    return best.metrics["val"], best.metrics["test"], time.monotonic() - started
