"""Jobs that work on what is on record: the report of a search, and trials from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Conclusion, Context, Part
from tunewell.service.job_kinds.parts import LIGHT, entry_part, result_of
from tunewell.service.rights import caller_of
from tunewell.service.views import save_report
from tunewell.spec.secrets import PRIVATE_VARIABLES
from tunewell.trial.files import read_json, write_json

_ENTRIES = "tunewell.service.job_kinds.pages"
#: Tells the job's process which database to open.
_DATABASE = "TUNEWELL_DATABASE"


class Report:
    """Writes the HTML report of an experiment."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the writing."""
        return [_part(context, "write_report", {"experiment": context.job.experiment})]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Put it into the experiment's folder, in the place of an earlier one."""
        home, name = context.home, context.job.experiment
        assert name is not None
        home.claim(name)
        document = (folders[-1] / "artifacts" / "report.html").read_text(encoding="utf-8")
        report = save_report(document, home.experiment(name) / "report.html")
        return Conclusion({"report": str(report)})


class Import:
    """Records trials from a table or an Optuna study as a finished experiment; see `Service.import_trials`."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the reading and recording."""
        return [_part(context, "import_trials", {**context.job.arguments, "caller": context.job.caller})]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the experiment's name."""
        del context
        return Conclusion(result_of(folders[-1]))


def _part(context: Context, entry: str, arguments: dict[str, object]) -> Part:
    given = {**arguments, "home": str(context.home.folder)}
    own = {name: os.environ[name] for name in PRIVATE_VARIABLES if name in os.environ}
    return entry_part(f"{_ENTRIES}:{entry}", LIGHT, given, private={**own, _DATABASE: context.store.url})


def write_report(folder: Path) -> None:
    """Write the report that `job.json` in `folder` names."""
    from tunewell.service.service import Service  # which offers this job

    asked = _asked(folder)
    with Service(Path(asked["home"]), _database(), access="read") as service:
        save_report(service.report(asked["experiment"]), folder / "artifacts" / "report.html")


def import_trials(folder: Path) -> None:
    """Record the trials that `job.json` in `folder` names."""
    from tunewell.service.service import Service

    asked = _asked(folder)
    with Service(Path(asked["home"]), _database(), access="write") as opened:
        service = opened.as_caller(caller_of(opened.store, asked["caller"]))
        if asked.get("storage"):
            made = service.import_study(asked["spec"], asked["storage"], asked.get("study"))
        else:
            table = Path(asked["table"])
            made = service.import_table(asked["spec"], table.read_bytes(), asked["table"])
    write_json(folder / "result.json", {"experiment": made.name})


def _asked(folder: Path) -> dict[str, Any]:
    return read_json(folder / "job.json") or {}


def _database() -> str | None:
    return os.environ.get(_DATABASE)
