"""One job: what it is about, how far it is, what it found out, printed and left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller, JobId
from tunewell.api.settings import BASE
from tunewell.console.causes import remedy, sentence
from tunewell.console.output import NO_FILES, Log, files_at
from tunewell.console.page import Page, root, show
from tunewell.console.results.measurements import measurement_of
from tunewell.service.types import Job, JobKind, JsonObject
from tunewell.service.verbs import Verbs
from tunewell.spec.format import scalar, shortened

router = APIRouter()

PARTS = ("job-head", "job-figures", "job-evaluation", "job-log", "job-files")
#: Kind → what people call it.
NAMES: Mapping[JobKind, str] = {
    "check": "Look at the data",
    "probe": "Probe of a trial",
    "prepare": "Preparation of the data",
    "finalists": "Choice of finalists",
    "finalist": "Training on all data",
    "repeats": "Choice of trials to train again",
    "repeat": "Training with another seed",
    "evaluate": "Detailed evaluation",
    "evaluate-model": "Evaluation on other data",
    "retrain": "Training on all data",
    "predict": "Prediction",
    "export-model": "Export of the model",
    "report": "Report",
    "import": "Import of trials",
}
assert set(NAMES) == set(get_args(JobKind))
#: What of a measurement is shown otherwise.
_SHOWN = ("figures", "intervals", "splits", "unreadable", "evaluation", "page")
#: Characters of a value that is shown.
_LONGEST = 400


@router.get("/jobs/{id}")
def job(request: Request, verbs: AsCaller, id: JobId) -> Response:
    """Return the page of a job."""
    this = verbs.job(id)
    address = f"{root(request)}{BASE}/jobs/{id}"
    measurement = measurement_of(verbs, this)
    shown = _SHOWN if measurement else ()
    told = {name: value for name, value in (this.result or {}).items() if value is not None and name not in shown}
    context = {
        "this": this,
        "name": NAMES[this.kind],
        "result": _facts(told),
        "measurement": measurement,
        "log": _log(verbs, this, address) if this.attempt else None,
        "files": files_at(verbs.job_artifacts(id), f"{address}/artifacts") if this.attempt else NO_FILES,
        "sentence": sentence,
        "remedy": remedy,
    }
    return show(request, Page("job.html.j2", f"{NAMES[this.kind]}, job {id}", PARTS, context, follows=(f"job:{id}",)))


def _log(verbs: Verbs, this: Job, address: str) -> Log:
    return Log(
        id=f"log-{this.attempt}",
        address=f"{address}/log",
        file=f"job-{this.id}-{this.kind}.log",
        read=lambda offset, limit: verbs.job_log(this.id, offset=offset, limit=limit),
    )


def _facts(known: JsonObject) -> list[tuple[str, str]]:
    """Return what was found out as names and values; what lies within is named with what it lies in."""
    found = []
    for name, value in known.items():
        if isinstance(value, dict):
            found += [(f"{name}: {inner}", told) for inner, told in _facts(value)]
        else:
            found.append((name, shortened(_told(value), _LONGEST)))
    return found


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else scalar(value, 4)
