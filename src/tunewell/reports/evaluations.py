"""Detailed evaluations of trials, arranged for the report. Whatever a task leaves out is left out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.charts import Chart, calibration, confusion_matrix, precision_recall
from tunewell.reports.view import ExperimentView, TrialView
from tunewell.spec import format
from tunewell.spec.errors import count
from tunewell.spec.standing import LEAST_ITEMS
from tunewell.tasks.evaluation import figures

SPLIT_TITLES = {"val": "Validation", "test": "Test"}
#: What data that were labelled anew are called beside these.
OTHER_DATA = "New data"
#: Most classes in the table; of more, those with the least F1 are shown.
CLASS_ROWS = 30
_ABBREVIATIONS = {"f1": "F1", "auroc": "AUROC", "map": "mAP", "map50": "mAP50", "map75": "mAP75", "iou": "IoU"}
_PICTURES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/webp;base64,")


@dataclass(frozen=True, slots=True)
class SplitReport:
    """How good one model is on one split of the data."""

    title: str
    count: int | None
    #: What an item of the data is, such as `picture`.
    unit: str
    #: What is to be known of the model, such as the epoch that it is of; may be empty.
    note: str
    #: Confusion matrix, if there is one.
    matrix: Chart | None
    #: Precision over recall, calibration: what there is.
    curves: Sequence[Chart]
    #: name, precision, recall, f1, support of each class, and perhaps ap and score_threshold.
    classes: Sequence[Mapping[str, Any]]
    #: What `support` counts.
    support_of: str
    #: Number of classes that the table leaves out.
    classes_left_out: int
    #: true, predicted, count of each pair.
    pairs: Sequence[Mapping[str, Any]]
    #: What stands for `true` in a mistake where nothing is; None for tasks that find no objects.
    nothing: str | None
    #: path, true, predicted, probability, and perhaps thumbnail (None: its picture is gone) of each mistake.
    mistakes: Sequence[Mapping[str, Any]]
    #: path, picture of pictures with what was found drawn beside what is there.
    pictures: Sequence[Mapping[str, Any]]

    @property
    def charts(self) -> Sequence[Chart]:
        """Matrix and curves."""
        return [*([self.matrix] if self.matrix is not None else ()), *self.curves]

    @property
    def has_thresholds(self) -> bool:
        """Whether classes have a threshold of their own."""
        return any("score_threshold" in row for row in self.classes)

    @property
    def has_average_precision(self) -> bool:
        """Whether classes have an average precision."""
        return any("ap" in row for row in self.classes)


@dataclass(frozen=True, slots=True)
class TrialReport:
    """How good the model of one trial is."""

    trial: TrialView
    splits: Sequence[SplitReport]
    #: Measure → its value on each of `splits`, formatted.
    measures: Mapping[str, Sequence[str]]


def evaluation_reports(view: ExperimentView) -> list[TrialReport]:
    """Return the evaluations of the best trials, the best first."""
    measured = [number for number in view.top if any(view.evaluations.get(number, {}).values())]
    return [_trial_report(view.trial(number), view.evaluations[number]) for number in measured]


def measure_on(view: ExperimentView, trial_number: int, split: str) -> float | None:
    """Return the objective metric of a trial's model on a split; None if it was not measured."""
    return measure_in(view.evaluations.get(trial_number, {}), split, view.metric)


def measure_in(evaluation: Mapping[str, Mapping[str, Any] | None], split: str, metric: str) -> float | None:
    """Return a metric of an evaluated model on a split; None if it was not measured."""
    measured = evaluation.get(split)
    return figures(measured).get(metric) if measured else None


def _trial_report(trial: TrialView, evaluation: Mapping[str, Mapping[str, Any] | None]) -> TrialReport:
    present = {split: measured for split in SPLIT_TITLES if (measured := evaluation.get(split))}
    reports = [split_report(split, measured) for split, measured in present.items()]
    return TrialReport(trial, reports, measure_texts(list(present.values())))


def measures_of(splits: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return each measure, as people call it, with its value on each split; None where it was not measured."""
    scalars = [figures(measured) for measured in splits]
    # The fullest split sets the order: another one may lack some, such as large objects.
    names = dict.fromkeys(name for measured in sorted(scalars, key=len, reverse=True) for name in measured)
    return {measure_title(name): [measured.get(name) for measured in scalars] for name in names}


def measure_texts(splits: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return each measure, as people call it, with its value and interval on each split."""
    ends = [
        {measure_title(name): (low, high) for name, (low, high) in (measured.get("intervals") or {}).items()}
        for measured in splits
    ]
    return {
        name: [format.within(value, of_split.get(name)) for value, of_split in zip(values, ends, strict=True)]
        for name, values in measures_of(splits).items()
    }


def side_by_side(
    known: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, Sequence[float]]]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the titles of columns, and each measure with its value and interval in each.

    Both arguments have those on the new data (`new`), and on validation (`val`) and test data where they are known.
    """
    titles = {"new": OTHER_DATA, **SPLIT_TITLES}
    present = [split for split in titles if known.get(split)]
    texts = measure_texts([{**known[split], "intervals": intervals.get(split, {})} for split in present])
    return [titles[split] for split in present], texts


def chance_text(splits: Mapping[str, int], intervals: Mapping[str, Mapping[str, Sequence[float]]], unit: str) -> str:
    """Return what intervals on new data are, and whether they mean little; empty where there is nothing to say."""
    items = sum(splits.values())
    told = f"In parentheses: 95 % intervals, by resampling the {unit}s." if any(intervals.values()) else ""
    few = f"From {count(items, unit)}, figures mean little." if items < LEAST_ITEMS else ""
    return f"{told} {few}".strip()


def amounts(splits: Mapping[str, int], unit: str) -> str:
    """Return how many items were measured, and of which splits: `60 pictures of test`."""
    if set(splits) == {"all"}:
        return count(splits["all"], unit)
    if len(splits) == 1:
        ((split, amount),) = splits.items()
        return f"{count(amount, unit)} of {split}"
    parts = ", ".join(f"{amount} of {split}" for split, amount in splits.items())
    return f"{count(sum(splits.values()), unit)} ({parts})"


def measure_title(name: str) -> str:
    """Return a measure's name for people: `macro_f1` → `macro F1`."""
    return " ".join(_ABBREVIATIONS.get(word, word) for word in name.split("_"))


def split_report(split: str, measured: Mapping[str, Any]) -> SplitReport:
    """Return what was measured on a split, or on what is called so, arranged."""
    unit = str(measured.get("unit", "item"))
    classes = list(measured.get("classes") or ())
    weakest = sorted(classes, key=lambda row: row["f1"] if row["f1"] is not None else -1.0)[:CLASS_ROWS]
    return SplitReport(
        title=SPLIT_TITLES.get(split, split),
        count=measured.get("count"),
        unit=unit,
        note=str(measured.get("note", "")),
        matrix=_matrix(measured),
        curves=_curves(measured),
        classes=classes if len(classes) <= CLASS_ROWS else weakest,
        support_of=str(measured.get("support_of", f"{unit}s")),
        classes_left_out=max(len(classes) - CLASS_ROWS, 0),
        pairs=list(measured.get("confused_pairs") or ()),
        nothing=_nothing(measured),
        mistakes=[_mistake(mistake) for mistake in measured.get("worst_mistakes") or ()],
        pictures=[item for item in measured.get("pictures") or () if is_embedded(item.get("picture"))],
    )


def confusion_classes(measured: Mapping[str, Any]) -> list[str]:
    """Return the names of rows and columns; tasks that find objects have one of each for the background."""
    names = measured.get("confusion_classes") or [row["name"] for row in measured.get("classes") or ()]
    return [str(name) for name in names]


def _matrix(measured: Mapping[str, Any]) -> Chart | None:
    matrix, names = measured.get("confusion_matrix"), confusion_classes(measured)
    return confusion_matrix(matrix, names) if matrix and names else None


def _curves(measured: Mapping[str, Any]) -> list[Chart]:
    found = []
    if curves := measured.get("precision_recall"):
        found.append(precision_recall(curves))
    if bins := measured.get("calibration"):
        found.append(calibration(bins))
    return found


def _nothing(measured: Mapping[str, Any]) -> str | None:
    names = measured.get("confusion_classes")
    return str(names[-1]) if names else None


def _mistake(mistake: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the mistake without its thumbnail if that is anything but an embedded picture."""
    if "thumbnail" not in mistake or is_embedded(mistake["thumbnail"]):
        return mistake
    return {**mistake, "thumbnail": None}


def is_embedded(picture: Any) -> bool:
    """Whether something is a picture as a `data:` URI, and nothing else."""
    return isinstance(picture, str) and picture.startswith(_PICTURES)
