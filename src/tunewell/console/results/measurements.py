"""Models that are measured on data which were labelled anew: the data sets there are, and what was measured so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.evaluations import OTHER_DATA, SplitReport, amounts, side_by_side, split_report
from tunewell.service.types import Job
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
    #: Measure → its value in each column.
    measures: Mapping[str, Sequence[float | None]]
    #: How many pictures of which splits.
    amount: str
    report: SplitReport


def measured_of(verbs: Verbs, *, experiment: str | None = None, model: str | None = None) -> Measured:
    """Return what there is for the models of an experiment, or for a published model, as the caller names them."""
    datasets = [one.name for one in verbs.datasets(limit=_DATASETS).items]
    return Measured(
        datasets, verbs.jobs(experiment=experiment, model=model, kind="evaluate-model", limit=_LISTED).items
    )


def measurement_of(verbs: Verbs, job: Job) -> Measurement | None:
    """Return what a job has measured; None if it has not, or what it left is gone."""
    if job.kind != "evaluate-model" or not job.result:
        return None
    try:
        measured: dict[str, Any] = json.loads(b"".join(verbs.job_artifact(job.id, job.result["evaluation"])))
    except (NotFoundError, ValueError):
        return None
    report = split_report(OTHER_DATA, measured)
    titles, measures = side_by_side(measured, job.result["figures"])
    return Measurement(titles, measures, amounts(job.result["splits"], report.unit), report)
