"""The best epoch of a training: the one whose model a trial leaves, and whose metrics it reports.

What counts is the objective on the validation data. Of equally good epochs the later one is taken, for its learning
rate is the lower. Beside a checkpoint lies what the best epoch left, so that the best is kept by whoever goes on from
there: another attempt after a crash, or a trial that was promoted. With other hyperparameters, as in population-based
training, the best begins anew: what the parent reached says nothing of them.

::

    checkpoint/checkpoint.pt    its `best` says which epoch
    checkpoint/best-7/          the output folder as epoch 7 left it
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.spec.errors import DataError
from tunewell.spec.experiment import Goal, Objective
from tunewell.trial import output_dir


@dataclass(frozen=True, slots=True)
class Validated:
    """What the network of an epoch is worth on the validation data."""

    metrics: Mapping[str, float]
    #: Epoch, what the model is for people → writes the model, and what else belongs to these metrics, into the trial's
    #: output folder.
    save: Callable[[int, str], None]


def objective_of_trial() -> Objective | None:
    """Return what the trial that this process is, is judged by; None where nobody says it."""
    metric, target = os.environ.get("TUNEWELL_METRIC"), os.environ.get("TUNEWELL_TARGET")
    if not metric:
        return None
    goal: Goal = "maximize" if os.environ.get("TUNEWELL_GOAL") == "maximize" else "minimize"
    return Objective(metric=metric, goal=goal, target=float(target) if target else None)


def reaches_target(objective: Objective, metrics: Mapping[str, float]) -> bool:
    """Whether the search ends with these metrics."""
    value = metrics.get(objective.metric)
    return value is not None and objective.reached(value)


def _as_good(objective: Objective, metrics: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether metrics are no worse than others. What is missing, or no finite number, counts: it fails a trial."""
    value, other = (one.get(objective.metric, math.nan) for one in (metrics, others))
    return not math.isfinite(value) or not math.isfinite(other) or not objective.better(other, value)


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far."""

    epoch: int
    metrics: Mapping[str, float]


def note_of(epoch: int, epochs: int) -> str:
    """Return which epoch of a training a model is of, for people."""
    return f"Epoch {epoch} of {epochs} was the best on val."


def better(best: Best | None, epoch: int, validated: Validated, objective: Objective | None, epochs: int) -> Best:
    """Return the best epoch, now that another one has been validated; if it is that one, its model is saved.

    Without an objective the latest epoch is the best. `epochs` are those of a full training.
    """
    if best is not None and objective is not None and not _as_good(objective, validated.metrics, best.metrics):
        return best
    validated.save(epoch, note_of(epoch, epochs))
    return Best(epoch, validated.metrics)


def keep(checkpoint: Path, best: Best, of: Mapping[str, Any]) -> dict[str, Any]:
    """Put what the best epoch left beside a checkpoint that is about to be written; return what is to stand in it.

    Args:
        checkpoint: the folder.
        best: the best epoch.
        of: what has trained it: with anything else the best begins anew.
    """
    kept = _kept(checkpoint, best.epoch)
    if not kept.exists():
        beside = kept.with_suffix(".part")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(output_dir(), beside, ignore=shutil.ignore_patterns(".*", "*.part"))
        beside.rename(kept)
    metrics = {name: float(value) for name, value in best.metrics.items()}
    return {"epoch": best.epoch, "metrics": metrics, "of": dict(of)}


def tidy(checkpoint: Path, best: Best | None) -> None:
    """Remove what other best epochs left than the one that the checkpoint names; None: it names none.

    Before a training goes on this is needed, too: an attempt that died with its checkpoint half written has left the
    files of an epoch that this one may train to slightly other numbers.
    """
    for folder in checkpoint.glob("best-*"):
        if best is None or folder != _kept(checkpoint, best.epoch):
            shutil.rmtree(folder, ignore_errors=True)


def restored(checkpoint: Path, state: Mapping[str, Any], of: Mapping[str, Any]) -> Best | None:
    """Put what the best epoch left back into the output folder; return that epoch, None if `of` has not trained it.

    Raises:
        DataError: the files are gone.
    """
    if state["of"] != dict(of):
        return None
    best = Best(state["epoch"], state["metrics"])
    kept = _kept(checkpoint, best.epoch)
    if not kept.is_dir():
        raise DataError("the best model so far of this training is missing", field=str(kept))
    shutil.copytree(kept, output_dir(), dirs_exist_ok=True)
    return best


def _kept(checkpoint: Path, epoch: int) -> Path:
    return checkpoint / f"best-{epoch}"
