"""What `prepare` leaves in the experiment's folder for its trials and jobs: `task.json` and `manifest.json`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunewell.spec.errors import DataError
from tunewell.trial.files import read_json, write_json

#: Environment variable of trials and jobs: path of the experiment's `task.json`.
TASK_FILE_VARIABLE = "TUNEWELL_TASK_FILE"
#: What the file is called.
TASK_FILE = "task.json"


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
    #: Digest of what is in the pictures; see `content`.
    content: str = ""
    #: Epochs of a training on all data, where those of trials follow from the size of a sample; None: the same.
    epochs_on_all: int | None = None

    def parameters_at(self, parameters: Mapping[str, Any], sampling: float) -> dict[str, Any]:
        """Return the parameters of a trial for a training on this share of the data: with epochs that suit it."""
        if self.epochs_on_all is None or sampling == self.sampling:
            return dict(parameters)
        return {**parameters, "epochs": self.epochs_on_all}

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all, whatever happens afterwards.

        All files that it names are in the home: their paths go by the file's own folder, so that the home can be moved.
        """
        write_json(path, asdict(self._with_paths(lambda file: os.path.relpath(file, path.parent))), durable=True)

    @classmethod
    def load(cls, path: Path) -> Prepared:
        """Return what `save` wrote; raise `DataError` if the file is missing or damaged."""
        fields = read_fields(path)
        fields |= {name: tuple(fields[name]) for name in ("notes", "advice")}
        fields["pixels"] = {int(size): folder for size, folder in fields["pixels"].items()}
        return cls(**fields)._with_paths(lambda file: os.path.normpath(path.parent / file))

    def _with_paths(self, change: Callable[[str], str]) -> Prepared:
        return replace(
            self,
            weights=change(self.weights) if self.weights else None,
            manifest=change(self.manifest),
            pixels={size: change(folder) for size, folder in self.pixels.items()},
        )


def read_fields(path: Path) -> dict[str, Any]:
    """Return the content of a file that `prepare` wrote.

    Raises:
        DataError: it is missing or damaged. Writing it again from the data set of today would mix results of two.
    """
    fields = read_json(path)
    if fields is None:
        raise DataError(
            "this record of the data that the experiment began with is missing or damaged",
            field=str(path),
            remedy="Restore it, or start over",
            kind="record-damaged",
        )
    return fields


def inputs_of(folder: Path, sizes: Collection[int]) -> tuple[Path, ...]:
    """Return the files and folders that training at these image sizes reads of the experiment in a folder.

    Where the record is missing or damaged it is the only one: whoever trains says so.
    """
    record = folder / TASK_FILE
    try:
        prepared = Prepared.load(record)
    except DataError:
        return (record,)
    pixels = [prepared.pixels[size] for size in sorted(sizes) if size in prepared.pixels]
    weights = [prepared.weights] if prepared.weights is not None else []
    return (record, *map(Path, [prepared.manifest, *weights, *pixels]))


def pixels_of(folder: Path) -> set[Path]:
    """Return the folders of decoded pictures that the experiment in a folder uses; none, if it is over no pictures."""
    pixels = (read_json(folder / TASK_FILE) or {}).get("pixels", {})
    return {Path(os.path.normpath(folder / path)) for path in pixels.values()}
