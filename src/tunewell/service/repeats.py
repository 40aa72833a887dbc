"""The best trials, trained again with other seeds: which trainings there are to be, and what they have reached.

They are jobs `repeat`, whose arguments say what is repeated (see `repeated`): a training counts as long as the trial is
the same attempt, on the same share of the data.
"""

from __future__ import annotations

import json
from statistics import fmean, stdev
from typing import Any

from tunewell.service.on_record import ranked, trained_by
from tunewell.service.types import JsonObject, Repeated
from tunewell.spec.experiment import PROMOTIONS
from tunewell.spec.states import OPEN_JOB_STATES, JobState
from tunewell.store.rows import ExperimentRow, JobRow, TrialRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

#: States of the trainings that need not be made again.
MADE = (*OPEN_JOB_STATES, JobState.SUCCEEDED)
#: How many of the best trials are repeated.
_BEST = 5


def to_repeat(store: Store, row: ExperimentRow, seeds: int) -> list[JsonObject]:
    """Return the arguments of the trainings with so many seeds, the ones after the search's, that are missing."""
    known = [job.arguments for job in store.jobs(row.name, "repeat", MADE)]
    seed = int(row.spec["seed"])
    wanted = [
        {**what, "seed": seed + number}
        for number in range(1, seeds + 1)
        for what in (_what(store, row, trial) for trial in _to_train(store, row))
    ]
    return [arguments for arguments in wanted if arguments not in known]


def repeats_of(store: Store, row: ExperimentRow) -> tuple[Repeated, ...]:
    """Return what the repeated trials have reached, the best mean first, those without any value last."""
    jobs: dict[int, list[JobRow]] = {}
    for job in _jobs(store, row):
        jobs.setdefault(job.arguments["trial"], []).append(job)
    if not jobs:
        return ()
    current = {number: _what(store, row, store.trial(row.name, number)) for number in jobs}
    found = [
        _repeated(number, [job for job in own if {**current[number], "seed": job.arguments["seed"]} == job.arguments])
        for number, own in jobs.items()
    ]
    sign = -1.0 if row.goal == "maximize" else 1.0
    told = [one for one in found if one.values or one.failed or one.unfinished]
    return tuple(sorted(told, key=lambda one: (one.mean is None, sign * (one.mean or 0.0), one.number)))


def made_by(tx: Transaction, job: JobRow) -> int | None:
    """Return the id of another job that makes, or has made, the training of a job; None: there is none."""
    known = tx.job_arguments("repeat", job.experiment, MADE)
    return next((other for other, arguments in known.items() if other != job.id and arguments == job.arguments), None)


def _to_train(store: Store, row: ExperimentRow) -> list[TrialRow]:
    """Return the best trials, of those that would be the same training the first: a part of one, and what came of it.

    With promotions each is trained in full; else what goes on from another trial is a training of its own.
    """
    found: dict[str, TrialRow] = {}
    for trial in ranked(store, row)[:_BEST]:
        is_own = trial.resume_from is not None and row.spec["early_stopping"] not in PROMOTIONS
        found.setdefault(json.dumps([trial.number if is_own else None, trial.parameters], sort_keys=True), trial)
    return list(found.values())


def _what(store: Store, row: ExperimentRow, trial: TrialRow) -> dict[str, Any]:
    """Return what is repeated of a trial: its last attempt, or its training on all data."""
    on_all = trial.number in trained_by(store, row.name)
    sampling = 1.0 if on_all else float(row.spec["sampling"])
    return {"trial": trial.number, "identity": trial.identity, "sampling": sampling}


def _jobs(store: Store, row: ExperimentRow) -> list[JobRow]:
    return sorted(store.jobs(row.name, "repeat"), key=lambda job: job.id)


def _repeated(number: int, jobs: list[JobRow]) -> Repeated:
    done = [job for job in jobs if job.state is JobState.SUCCEEDED and job.result]
    values = {job.arguments["seed"]: float((job.result or {})["value"]) for job in done}
    reached = list(values.values())
    return Repeated(
        number=number,
        values=values,
        mean=fmean(reached) if reached else None,
        deviation=stdev(reached) if len(reached) > 1 else None,
        failed={
            job.arguments["seed"]: job.detail
            for job in jobs
            if job.state in (JobState.FAILED, JobState.STOPPED) and job.arguments["seed"] not in values
        },
        unfinished=sum(not job.state.final for job in jobs),
    )
