"""What the rows of a database say of the files in its home: which are needed, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewell.home.home import INPUTS
from tunewell.spec.launch import AttemptKey, JobKey
from tunewell.spec.states import OPEN_JOB_STATES, JobState, TrialState

Row = Mapping[str, Any]
#: What such folders are called, as uploads are.
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Recorded:
    """What was found in the rows so far, which are read table by table, in the order in which they refer to others."""

    #: Id of an experiment → its name and identity.
    experiments: dict[int, tuple[str, str]] = field(default_factory=dict)
    #: Experiment and trial → attempt → identity.
    attempts: dict[tuple[int, int], dict[int, str]] = field(default_factory=dict)
    #: Number of a job → attempt → identity.
    jobs: dict[int, dict[int, str]] = field(default_factory=dict)
    #: The attempts that run, with their identities.
    running: dict[AttemptKey | JobKey, str] = field(default_factory=dict)
    #: Contents of data sets, of code, and of published models.
    datasets: set[str] = field(default_factory=set)
    code: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    #: Ids of the uploads that are whole.
    uploads: set[str] = field(default_factory=set)
    #: Names of the folders with pictures that were sent and are to be predicted yet.
    inputs: set[str] = field(default_factory=set)

    def note(self, table: str, row: Row) -> None:
        """Take note of a row."""
        match table:
            case "experiment":
                self.experiments[row["id"]] = row["name"], row["identity"]
            case "trial":
                if row["state"] == TrialState.RUNNING and row["identity"]:
                    name, _ = self.experiments[row["experiment_id"]]
                    self.running[AttemptKey(name, row["number"], row["attempt"])] = row["identity"]
            case "job":
                self._note_job(row)
            case "event":
                self._note_event(row)
            case "dataset":
                if not row["folder"]:
                    self.datasets.add(row["sha256"])
            case "code":
                self.code.add(row["sha256"])
            case "model_version":
                self.models.add(row["sha256"])
            case "upload":
                if row["finished_at"] is not None:
                    self.uploads.add(row["id"])

    def _note_job(self, row: Row) -> None:
        if row["state"] == JobState.RUNNING and row["identity"]:
            self.running[JobKey(row["id"], row["attempt"])] = row["identity"]
        name = sent_inputs(row)
        if name is not None and row["state"] in OPEN_JOB_STATES:
            self.inputs.add(name)

    def _note_event(self, row: Row) -> None:
        if row["kind"] != "started" or row["attempt"] is None:
            return
        identity = (row["data"] or {}).get("identity", "")
        if row["job"] is not None:
            self.jobs.setdefault(row["job"], {})[row["attempt"]] = identity
        elif row["experiment_id"] is not None:
            self.attempts.setdefault((row["experiment_id"], row["trial"]), {})[row["attempt"]] = identity


def sent_inputs(job: Row) -> str | None:
    """Return the name of the folder, among those of the home, whose pictures a job is to predict; None: it has none."""
    directory = Path(str(job["arguments"].get("directory", "")))
    is_ours = directory.parent.name == INPUTS and _ID.fullmatch(directory.name)
    return directory.name if job["kind"] == "predict" and is_ours else None
