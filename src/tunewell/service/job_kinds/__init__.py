"""What each kind of job runs and what it leaves: one module a room, one class a kind."""

from __future__ import annotations

from collections.abc import Mapping

from tunewell.controller.job_kinds import JobKind
from tunewell.service.job_kinds.data import Check, Prepare
from tunewell.service.job_kinds.evaluation import Evaluate
from tunewell.service.job_kinds.models import ExportModel, Predict
from tunewell.service.job_kinds.other_data import EvaluateModel
from tunewell.service.job_kinds.pages import Import, Report
from tunewell.service.job_kinds.repeating import Repeat, Repeats
from tunewell.service.job_kinds.training import Finalist, Finalists, Probe, Retrain

#: Those that run where the trials of their search do: all that they read is among the inputs of their launches.
#:
#: The others stay on the machine of the controller. `prepare`, `check`, `predict` and `evaluate-model` read files of
#: the user, which may be any number and lie anywhere, once; `export-model` compares on some of these, and needs no GPU;
#: `report` and `import` need the database.
ON_NODES: frozenset[str] = frozenset({"probe", "finalist", "repeat", "evaluate", "retrain"})

KINDS: Mapping[str, JobKind] = {
    "check": Check(),
    "probe": Probe(),
    "prepare": Prepare(),
    "finalists": Finalists(),
    "finalist": Finalist(),
    "repeats": Repeats(),
    "repeat": Repeat(),
    "evaluate": Evaluate(),
    "evaluate-model": EvaluateModel(),
    "retrain": Retrain(),
    "predict": Predict(),
    "export-model": ExportModel(),
    "report": Report(),
    "import": Import(),
}
