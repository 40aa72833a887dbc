"""Models that are measured on data which were labelled anew: the data sets there are, and what was measured so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.evaluations import OTHER_DATA, SplitReport, amounts, chance_text, side_by_side, split_report
from tunewell.service.types import DataSet, Job
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import NotFoundError

#: Data sets that are offered, and measurements that are listed.
_DATASETS, _LISTED = 200, 5


@dataclass(frozen=True, slots=True)
class Measured:
    """What can be measured on, and the last measurements of a model that the caller sees."""

    datasets: Sequence[str]
    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a job has measured, beside the figures that the model came with."""

    titles: Sequence[str]
    #: Measure → its value in each column, with its interval.
    measures: Mapping[str, Sequence[str]]
    #: What these intervals are; may be empty.
    chance: str
    #: How many pictures of which splits.
    amount: str
    report: SplitReport


def measured_of(verbs: Verbs, task: str | None, *, experiment: str | None = None, model: str | None = None) -> Measured:
    """Return what there is for the models of an experiment, or for a published model, as the caller names them.

    Data sets come first that were read as the models' task, and those last that were read as another one.
    """
    found = verbs.datasets(limit=_DATASETS).items
    datasets = [one.name for one in sorted(found, key=lambda one: _strangeness(one, task))]
    jobs = verbs.jobs(experiment=experiment, model=model, kind="evaluate-model", limit=_LISTED).items
    return Measured(datasets, jobs)


def _strangeness(data: DataSet, task: str | None) -> int:
    read_as = data.suggested_task or data.job_task
    return 1 if read_as is None else 0 if read_as == task else 2


def measurement_of(verbs: Verbs, job: Job) -> Measurement | None:
    """Return what a job has measured; None if it has not, or what it left is gone."""
    if job.kind != "evaluate-model" or not job.result:
        return None
    try:
        measured: dict[str, Any] = json.loads(b"".join(verbs.job_artifact(job.id, job.result["evaluation"])))
    except (NotFoundError, ValueError):
        return None
    report = split_report(OTHER_DATA, measured)
    titles, measures = side_by_side(job.result["figures"], job.result["intervals"])
    splits = job.result["splits"]
    chance = chance_text(splits, job.result["intervals"], report.unit)
    return Measurement(titles, measures, chance, amounts(splits, report.unit), report)
