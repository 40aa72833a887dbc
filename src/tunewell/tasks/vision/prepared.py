"""What `prepare` leaves in the experiment's folder for its trials and jobs: `task.json` and `manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

#: Environment variable of trials and jobs: path of the experiment's `task.json`.
TASK_FILE_VARIABLE = "TUNEWELL_TASK_FILE"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The part of an experiment that all of its trials share."""

    network: str
    #: Safetensors file with pretrained weights; None: from scratch.
    weights: str | None
    #: File of the data set as the task describes it, broken pictures left out.
    manifest: str
    #: Digest of the data set that this was made from.
    fingerprint: str
    #: Image size → folder of the decoded pictures; see `cache`.
    pixels: Mapping[int, str]
    #: The experiment's seed.
    seed: int
    #: Share of the training pictures that trials learn from.
    sampling: float
    #: What is to be known of the data and the weights, a sentence each.
    notes: tuple[str, ...]
    #: What the user could do better, a sentence each.
    advice: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(asdict(self), indent=1))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Prepared:
        """Return what `save` wrote."""
        fields = json.loads(path.read_text())
        fields |= {name: tuple(fields[name]) for name in ("notes", "advice")}
        fields["pixels"] = {int(size): folder for size, folder in fields["pixels"].items()}
        return cls(**fields)
