"""A GPU with room for few pictures a step. Trials see it if their fork server has imported `on_small_gpu`."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import torch

#: Pictures of a step that fit.
ROOM = 8
MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB."


def install(trial: ModuleType) -> None:
    """Have the probe of larger steps, by which a trial on a GPU begins, run out of memory."""
    create_learner = trial.create_learner

    def create(*arguments: Any) -> Any:
        learner = create_learner(*arguments)
        if learner.hyperparameters.batch_size > ROOM:
            learner.device, learner.probe = SimpleNamespace(type="cuda"), exhaust
        return learner

    trial.create_learner = create  # type: ignore[attr-defined]


def exhaust(*arguments: object) -> NoReturn:
    """Fail as PyTorch does."""
    raise torch.cuda.OutOfMemoryError(f"{MESSAGE}\nmore lines")
