"""Searches side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.service.types.base import Wire
from tunewell.service.types.experiments import Experiment
from tunewell.service.types.results import ParameterImportance
from tunewell.spec.states import Cut


class Progress(Wire):
    """A trial that was the best until then."""

    trial: int
    #: For how long the search had been running when it ended; None: that is not known.
    elapsed_seconds: float | None
    value: float


class ComparedData(Wire):
    """What a search learns from."""

    #: Name of the data set, or the path that the spec has.
    name: str
    #: Checksum of the content; None: the service does not keep it, so it may have changed.
    sha256: str | None
    #: What an item is, such as `picture`, and split → their number, as the last check found; empty: nothing is known.
    unit: str = ""
    items: Mapping[str, int]


class ComparedExperiment(Wire):
    """One of the searches that are compared."""

    experiment: Experiment
    #: Those of the best trial; empty: there is none.
    best_parameters: Mapping[str, Any]
    #: How far the training of the best trial came, and why no further; empty: to its end, as far as that is known.
    best_training: str
    #: What has cut it off.
    best_cut_by: Cut | None
    #: The most important first; empty: there are too few trials to tell.
    importances: tuple[ParameterImportance, ...]
    #: None: it has no data that Tunewell knows of.
    data: ComparedData | None
    #: The best value so far, where it changed, in the order of the trials, and of their ends; of very many, some.
    progress: tuple[Progress, ...]
    progress_over_time: tuple[Progress, ...]
    #: Number of the last trial that has ended; 0: none has.
    last_trial: int


class ComparedField(Wire):
    """What each of the searches has of one thing, in their order."""

    #: Dotted path of a field, or name of a parameter.
    name: str
    #: None: it has none.
    values: tuple[Any, ...]
    #: Whether they are not all the same.
    differs: bool


class ExperimentComparison(Wire):
    """Searches side by side, in the order in which they were named."""

    experiments: tuple[ComparedExperiment, ...]
    #: Whether they optimise the same metric towards the same goal: else neither values nor gains can be compared.
    comparable: bool
    #: Sentences for people on what can't be compared, and what makes a comparison unfair.
    notes: tuple[str, ...]
    #: The fields of their specs, but for name and parameters.
    fields: tuple[ComparedField, ...]
    #: The parameters that they search, for people: `1e-05 … 0.1 (log), default 0.001`.
    space: tuple[ComparedField, ...]
    #: The parameters of their best trials.
    best: tuple[ComparedField, ...]
