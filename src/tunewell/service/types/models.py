"""Models that were published: under names, in versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.service.types.base import JsonObject, Moment, Wire
from tunewell.service.types.experiments import Objective
from tunewell.spec.names import Visibility


class TrainingData(Wire):
    """The data that a model was trained on."""

    #: The data set in full, or the folder's own name; None: that is not known, or not to be seen.
    name: str | None
    #: Checksum of what it held, in hexadecimal; data of different content have different ones. None: it is not known.
    content: str | None


class ModelVersion(Wire):
    """A version of a model, with what was known of it when it was published."""

    #: Full name of the model.
    model: str
    number: int
    #: Whether it is the one that is used where none is named.
    is_current: bool
    task: str
    network: str
    classes: tuple[str, ...]
    #: Those that it was trained with.
    parameters: Mapping[str, Any]
    objective: Objective
    #: The objective on the validation data, of the trial; None: it was not measured. A model that was retrained has
    #: learned from these data, so this is the figure of the trial whose parameters it has, not its own.
    value: float | None
    #: By how much that is better than with the default parameters; None: these were not tried, or are these. Of the
    #: trial, too.
    gain: float | None
    #: Metrics of this very model on the validation data; empty where it was trained on them, too.
    validation: Mapping[str, float]
    #: Metrics of this very model on the test data; empty where it was not measured.
    test: Mapping[str, float]
    #: What it was trained and measured on, for people.
    training: str
    data: TrainingData
    #: The experiment in full; None: the caller may not see it. Whether it is there, and in no bin.
    experiment: str | None
    experiment_is_there: bool
    #: Number of the trial that gave the parameters.
    trial: int
    #: Whether it was trained on all data afterwards; else it is the trial's own.
    retrained: bool
    publisher: str
    note: str
    #: Checksum over all of its files, in hexadecimal.
    sha256: str
    size_bytes: int
    files: int
    created_at: Moment


class Model(Wire):
    """A model under a name."""

    #: In full; see `tunewell.service.verbs`.
    name: str
    owner: str
    visibility: Visibility
    #: The version that is used where none is named.
    current: ModelVersion
    #: Number of the version that was published last, even if that was deleted since.
    latest: int
    created_at: Moment
    #: When it was put into the bin.
    deleted_at: Moment | None
    #: Grows whenever something about it changes.
    version: int


class Picture(Wire):
    """A picture that a model is asked about."""

    #: What answers and errors call it.
    name: str
    content: bytes


class Predictions(Wire):
    """What a version of a model says of pictures."""

    #: Full name of the model, and number of its version.
    model: str
    version: int
    #: An object a picture, in their order: `file`, and what the task says, as the file of a job `predict` has it.
    predictions: tuple[JsonObject, ...]
    #: How long the model itself took.
    seconds: float
