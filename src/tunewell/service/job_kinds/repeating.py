"""Jobs that train the best trials again with other seeds: how much of a value is luck?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunewell.controller.job_kinds import Conclusion, Context, NewJob, Part
from tunewell.service.job_kinds.parts import experiment_of, recorded_of
from tunewell.service.job_kinds.training import reached, trainings
from tunewell.service.repeats import MADE, to_repeat


class Repeats:
    """Has the best trials trained with so many other seeds (`seeds`), those trainings that have not been yet."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return nothing: the trainings are jobs of their own."""
        del context
        return []

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the trainings that are missing."""
        del folders
        missing = to_repeat(context.store, experiment_of(context), context.job.arguments["seeds"])
        jobs = [NewJob("repeat", arguments, unless=MADE) for arguments in missing]
        return Conclusion({"trainings": len(jobs)}, jobs=jobs)


class Repeat:
    """Trains a trial (`trial`) with another seed (`seed`), on as much of the data as it had (`sampling`).

    What it has reached is the result of the job: the trial, the tuner's history and the model stay as they are.
    """

    def parts(self, context: Context) -> Sequence[Part]:
        """Return a part for each part of the training."""
        asked = context.job.arguments
        trial = context.store.trial(experiment_of(context).name, asked["trial"])
        return trainings(context, recorded_of(context), trial, seed=asked["seed"], sampling=asked["sampling"])

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return what the training reached."""
        return Conclusion({"value": reached(recorded_of(context), folders[-1])})
