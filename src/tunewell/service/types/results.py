"""What a search has brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tunewell.service.types.base import JsonObject, Wire
from tunewell.service.types.experiments import Experiment, Objective
from tunewell.service.types.trials import Trial, TrialResult
from tunewell.spec.states import Cause, ExperimentState, TrialState


class Finalist(Wire):
    """One of the best trials of a search on a sample, trained on all data."""

    #: Number of the trial.
    number: int
    #: Its objective on the sample, and on all data; None if that training failed.
    sample_value: float
    value: float | None
    #: Where what the training left lies; None if it failed.
    folder: str | None = None
    #: Why it failed.
    detail: str = ""


class Advice(Wire):
    """What is to be changed in a spec, since what it says has kept trials from their end."""

    #: Of the spec.
    field: str
    #: What to give it instead.
    value: str
    #: One sentence for people: why, and what to give.
    detail: str


class Repeated(Wire):
    """One of the best trials, trained again with other seeds."""

    #: Number of the trial.
    number: int
    #: Seed → objective that it has reached.
    values: Mapping[int, float]
    #: Mean of these values, and their standard deviation, of which two are the least; None: there are none.
    mean: float | None
    deviation: float | None
    #: Seed → why the training failed.
    failed: Mapping[int, str]
    #: How many trainings have not ended.
    unfinished: int


class Failures(Wire):
    """The trials of a search that failed for the same cause."""

    cause: Cause
    #: How many.
    trials: int
    #: The first of them, and how it ended: one line for people.
    number: int
    detail: str


#: Ends of an interval.
Interval = tuple[float, float]


class Uncertainty(Wire):
    """How far chance moves what the best trials have reached, by a bootstrap over the items that they were measured on.

    It is about the models that the trials have now: see `Finalist`. Intervals are of 95 %; a trial is not named where
    nothing tells its interval.
    """

    #: How many validation items the trials were compared on, and what an item is, such as `picture`.
    items: int
    unit: str
    #: Trial number → interval of its objective on the validation data, and on the test data.
    intervals: Mapping[int, Interval]
    test_intervals: Mapping[int, Interval]
    #: Trial number → interval of what it has more, or less, than the default trial on the same items.
    gains: Mapping[int, Interval]
    test_gains: Mapping[int, Interval]
    #: The trials that were compared with the one that ranks first.
    compared: tuple[int, ...]
    #: Those of them that can't be told apart from it.
    ties: tuple[int, ...]
    #: Whether all of these, and the first, were trained in full.
    in_full: bool


class SearchResult(Wire):
    """What a search has brought so far: what `--json` prints."""

    experiment: str
    #: What people group experiments by, find them by and say of them; empty: nothing.
    project: str
    tags: tuple[str, ...]
    description: str
    state: ExperimentState
    stop_rule: str | None
    detail: str
    objective: Objective
    best: TrialResult | None
    #: The trial that trained the default configuration in full, if it has a value.
    default: TrialResult | None
    #: The best trials, best first; at most five.
    top: tuple[TrialResult, ...]
    #: How many trials are in each state.
    trials: Mapping[TrialState, int]
    elapsed_seconds: float
    notes: tuple[str, ...]
    #: Why trials failed, the most frequent cause first.
    failures: tuple[Failures, ...] = ()
    #: How much more time to give, where time limits have cut trials off.
    advice: tuple[Advice, ...] = ()
    #: Trial number → objective on the test data, of the best trials and the default one, where it was measured.
    test: Mapping[int, float] = Field(default_factory=dict)
    #: How far chance moves what the best trials have reached; None: they were not evaluated, or nothing tells it.
    uncertainty: Uncertainty | None = None
    #: The best trials of a search on a sample, trained on all data, best first.
    finalists: tuple[Finalist, ...] = ()
    #: The best trials that were trained again with other seeds, the best mean first.
    repeats: tuple[Repeated, ...] = ()
    #: Rank correlation of the finalists' values on the sample and on all data; None for fewer than three.
    rank_agreement: float | None = None
    #: The best trial's command, to be run by hand in the spec's working directory; empty: there is none.
    command: tuple[str, ...] = ()

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the default configuration; None: one of them has no value."""
        if self.best is None or self.default is None:
            return None
        return self.objective.gain(self.best.value, self.default.value)

    def is_beside_default(self, number: int) -> bool:
        """Whether the models of a trial and of the default one have learned from as much of the data.

        Only then does it say something what one of them reaches more than the other on the test data.
        """
        on_all_data = {one.number for one in self.finalists if one.value is not None}
        return self.default is not None and (number in on_all_data) == (self.default.number in on_all_data)


class Evaluation(Wire):
    """The detailed evaluation of one trial."""

    number: int
    #: Figures of each split, and what charts are drawn from; they depend on the task.
    figures: JsonObject
    #: Split → figure → interval of 95 %, for those that have one.
    intervals: Mapping[str, Mapping[str, Interval]] = Field(default_factory=dict)


#: `best`: the best trial's; `retrained`: trained on all data afterwards.
TrainedModelKind = Literal["best", "retrained"]


class TrainedModel(Wire):
    """A trained model of an experiment."""

    experiment: str
    #: `best`: the best trial's; `retrained`: trained on all data afterwards.
    kind: TrainedModelKind
    #: Where it lies.
    folder: str


class Latest(Wire):
    """The objective of a running trial so far."""

    step: int
    value: float


class Overview(Wire):
    """A search at one moment, small enough to be read several times a second."""

    experiment: Experiment
    result: SearchResult
    #: Cause → how many trials failed for it, the most frequent first.
    failures: Mapping[Cause, int]
    #: How many trials end in an hour that the search runs, by those that ended last; None: none has.
    trials_per_hour: float | None
    #: Estimate of how long it takes until all trials are made or the longest duration is over, by what the running ones
    #: have left and the pace; None: nothing is known, or it does not run.
    remaining_seconds: float | None
    #: Running and waiting trials by number, 100 at most.
    unfinished: tuple[Trial, ...]
    #: The trials whose ends were recorded last, the latest first.
    ended: tuple[Trial, ...]
    #: The place of each of them among all ends on record: it grows from end to end, whatever clocks say.
    ended_places: tuple[int, ...]
    #: Number of a running trial → its objective so far.
    latest: Mapping[int, Latest]

    @property
    def ended_count(self) -> int:
        """How many trials have ended."""
        return sum(count for state, count in self.result.trials.items() if state.final)


class ParameterImportance(Wire):
    """How much a parameter decides whether a trial is among the best."""

    parameter: str
    #: Its share of what all parameters decide, each alone, with the ends of an interval of 90 %.
    share: float
    low: float
    high: float


class Chart(Wire):
    """A chart of an experiment."""

    title: str
    #: What it shows and how to read it. Without a drawing: why there is none.
    caption: str
    #: An `svg` element for a page that has the style sheet of charts.
    svg: str | None
