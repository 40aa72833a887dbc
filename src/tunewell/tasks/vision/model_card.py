"""The model card: what a model is, what it learned from, how good it is, how to use it and how to get it again.

After Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993, as far as a machine can know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from tunewell.spec.format import within
from tunewell.spec.standing import choice_text
from tunewell.tasks.data_view import DataSummary

#: Classes that are listed one by one.
_LISTED = 50
#: Split of the data → what it is called.
_SPLITS = {"val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Search:
    """The search that a model comes from."""

    experiment: str
    #: A spec that begins the same search, as YAML.
    spec: str
    #: The objective.
    metric: str
    #: The trial whose parameters the model has.
    trial: int
    #: Number of trials in all.
    trials: int
    #: Whether the model was trained again with these parameters, on training and validation data; else it is the
    #: trial's own.
    retrained: bool
    #: Share of the training data that the trial had.
    sampling: float
    #: Whether the trial is that of the default parameters.
    is_default: bool
    #: How far the trial's training came, and why no further; empty if it was in full.
    training: str
    #: Row → objective of this trial and of the default parameters; None where there is none.
    objective: Mapping[str, Sequence[float | None]]
    #: Row → intervals of 95 % of these; None where there is none.
    intervals: Mapping[str, Sequence[Sequence[float] | None]] = field(default_factory=dict)

    def ends(self, row: str, place: int) -> Sequence[float] | None:
        """Return the interval of a value of `objective`."""
        return self.intervals[row][place] if row in self.intervals else None


def model_card(
    config: Mapping[str, Any],
    usage: str,
    onnx: Mapping[str, Any],
    data: DataSummary | None,
    notes: Sequence[str],
    search: Search | None,
    figures: Mapping[str, Mapping[str, float]],
) -> str:
    """Return the card as Markdown.

    Args:
        config: content of `model.json`.
        usage: Python that uses the ONNX file on `picture.jpg`.
        onnx: facts about the ONNX file: `opset`, `inputs`, `outputs`, `preprocessing`, `batch`, `checked`.
        data: the data set, where it is still to be had.
        notes: what is known of the data and of the weights that the training began with.
        search: where the model comes from, if that is known.
        figures: `val` and `test`, as far as they are known → metrics of this very model.
    """
    parts = [
        f"# {search.experiment if search else config['network']}",
        f"`{config['network']}` for {config['task'].replace('-', ' ')}, classes: {len(config['classes'])}. "
        f"Trained with Tunewell {version('tunewell')}.",
        _files(),
        f"## Use\n\n```sh\ntunewell predict . PICTURES\n```\n\nWithout Tunewell, with ONNX Runtime:\n\n"
        f"```python\n{usage.strip()}\n```",
        _onnx(onnx),
        _quality(config, search, figures),
        _data(data, config),
        _training(config, [note for note in notes if not data or note not in data.notes]),
        _again(config, search),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _files() -> str:
    rows = [
        ["`model.onnx`", "the model with its normalisation, for ONNX Runtime and its like"],
        ["`weights.safetensors`", "the weights, for PyTorch and `tunewell predict`"],
        ["`model.json`", "network, classes, size of the input, thresholds, parameters, metrics, versions"],
    ]
    return _table(["file", "what it is"], rows)


def _onnx(onnx: Mapping[str, Any]) -> str:
    shapes = [
        [f"`{name}`", way, " × ".join(map(str, shape))]
        for way, tensors in (("in", onnx["inputs"]), ("out", onnx["outputs"]))
        for name, shape in tensors.items()
    ]
    return (
        f"## ONNX\n\n{_table(['tensor', '', 'shape'], shapes)}\n\n"
        f"Opset {onnx['opset']}; {onnx['batch']}. Input: {onnx['preprocessing']}. {onnx['checked']}"
    )


def _quality(config: Mapping[str, Any], search: Search | None, figures: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["## Quality"]
    if config["note"]:
        lines.append(config["note"])
    own_trial = search if search is not None and not search.retrained else None
    if own_trial is not None:
        lines.append(_origin(own_trial))
    if figures:
        lines.append(_figures(config, own_trial, figures))
    if search is not None and search.retrained:
        lines.append(_origin(search))
        heads = [search.metric, "that trial", *(() if search.is_default else ("default parameters",))]
        rows = [
            [name, *(_within(value, search.ends(name, place)) for place, value in enumerate(values[: len(heads) - 1]))]
            for name, values in search.objective.items()
        ]
        lines.append(_table(heads, rows))
    if search is not None and any(ends is not None for row in search.intervals.values() for ends in row):
        lines.append(f"In parentheses: 95 % intervals, by resampling the pictures. {choice_text(search.trials)}")
    thresholds = config.get("thresholds")
    if thresholds:
        rows = [[name, _number(value)] for name, value in zip(config["classes"], thresholds, strict=True)]
        lines += ["A label is given from this probability on:", _table(["label", "threshold"], rows)]
    if "score_threshold" in config:
        lines.append(f"Objects with a score of {_number(config['score_threshold'])} or more are reported.")
    return "\n\n".join(lines)


def _origin(search: Search) -> str:
    whose = "The search found its parameters" if search.retrained else "It is the model of a search"
    share = "train" if search.sampling == 1 else f"{search.sampling:.0%} of train"
    trained = "The trial was trained" if search.retrained else "It was trained"
    default = ", the one with the default parameters" if search.is_default else ""
    cut = f" It was not trained in full: {search.training}." if search.training else ""
    return f"{whose}: trial {search.trial} of {search.trials}{default}. {trained} on {share} and measured on val.{cut}"


def _figures(config: Mapping[str, Any], search: Search | None, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Return the metrics of the model on each split; below the objective, what the default parameters reach.

    `search` is the one that the model is a trial of, if it is.
    """
    names = dict.fromkeys(name.removeprefix("test_") for name in config["metrics"])
    rows = []
    for name in names or dict.fromkeys(name for of in figures.values() for name in of):
        values = {_SPLITS[split]: of.get(name) for split, of in figures.items()}
        if search is None or name != search.metric:
            rows.append([name, *map(_number, values.values())])
            continue
        rows.append([name, *(_within(value, search.ends(row, 0)) for row, value in values.items())])
        default = {row: search.objective.get(row, (None, None))[1] for row in values}
        if not search.is_default and any(value is not None for value in default.values()):
            told = [_within(value, search.ends(row, 1)) for row, value in default.items()]
            rows.append([f"{name}, default parameters", *told])
    return _table(["metric", *(_SPLITS[split] for split in figures)], rows)


def _data(data: DataSummary | None, config: Mapping[str, Any]) -> str:
    if data is None:
        return "## Data\n\nClasses: " + ", ".join(config["classes"]) + "."
    rows = [["pictures", *map(str, data.items.values())]]
    kind = "" if data.counted == "picture" else f" ({data.counted}s)"
    listed = list(data.counts.items())[:_LISTED]
    rows += [[name + kind, *map(str, counts)] for name, counts in listed]
    left = len(data.counts) - len(listed)
    more = f"\n\n… and {left} more classes." if left else ""
    notes = "".join(f"\n- {note}" for note in data.notes)
    return f"## Data\n\n`{data.place}`\n\n{_table(['', *data.items], rows)}{more}" + (f"\n{notes}" if notes else "")


def _training(config: Mapping[str, Any], notes: Sequence[str]) -> str:
    rows = [[f"`{name}`", _number(value)] for name, value in config["parameters"].items()]
    table = [_table(["parameter", "value"], rows)] if rows else []
    return "\n\n".join(["## Training", *notes, *table]) if notes or table else ""


def _again(config: Mapping[str, Any], search: Search | None) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in config["versions"].items())
    if search is None:
        return f"## Versions\n\n{versions}."
    retrain = f"tunewell retrain {search.experiment} --trial {search.trial}\n" if search.retrained else ""
    return (
        f"## Reproduce\n\nWith the same data, the spec below as `spec.yaml`, and {versions}:\n\n"
        f"```sh\ntunewell search spec.yaml\n{retrain}```\n\n```yaml\n{search.spec.rstrip()}\n```\n\n"
        "Other hardware, and another order in which trials that run at once end, can lead elsewhere."
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _within(value: float | None, ends: Sequence[float] | None) -> str:
    return _number(value) if ends is None else within(value, (ends[0], ends[1]))


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()  # as in a spec
    return f"{value:.4g}" if isinstance(value, float) else str(value)
