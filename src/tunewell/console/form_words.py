"""What the form of a new search calls its fields, and how errors of a spec read there.

The planner words its errors for whoever writes a spec as YAML; at the form they name its labels, and say what can be
done in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunewell.spec.errors import UserError, sentence

#: Field → its label, as the templates show it and errors name it; in the order of the form.
LABELS = {
    "task": "Task",
    "scheduler": "Where it is trained",
    "code": "Program",
    "command": "Start command",
    "data": "Data set",
    "network": "Network",
    "weights": "Starting weights",
    "best_of": "Earlier search",
    "warm_start": "Earlier searches",
    "algorithm": "Algorithm",
    "early_stopping": "Trials that do badly",
    "parameters": "Parameters",
    "metric": "Metric",
    "goal": "Better is",
    "target": "Target",
    "max_trials": "Trials",
    "max_duration": "Longest time",
    "max_concurrency": "Trials at once",
    "sampling": "Share of the training data",
    "finalists": "After a search on a share",
    "max_failed_trials": "Failed trials allowed",
    "max_trials_without_improvement": "Trials without progress",
    "stop_when_converged": "When no more progress is likely",
    "max_trial_duration": "Longest time of a trial",
    "gpus": "GPUs per trial",
    "gpu_type": "Type of GPU",
    "max_gpus": "GPUs in all",
    "cpus": "CPU cores per trial",
    "memory": "Memory per trial",
    "more": "More fields",
    "name": "Name",
    "project": "Project",
    "tags": "Tags",
    "description": "Description",
}
#: Names of a spec that a remedy may tell, where the form has a field of another name.
_PLACES = {
    "objective.target": "target",
    "objective.metric": "metric",
    "objective": "metric",
    "objective.goal": "goal",
    "parameters_from": "best_of",
    "resources.gpus": "gpus",
    "resources.gpu_type": "gpu_type",
    "resources.cpus": "cpus",
    "resources.memory": "memory",
}
_ON_WHAT = [
    (re.compile(r"^(.+) is a text, not (a .+)$", re.DOTALL), r"\1 is not \2"),
    (re.compile(r"^(.+) is above high = (.+)$"), r"\1 is above the upper end, \2"),
    (re.compile(r"^(.+) is not whole, but the type is integer$"), r"\1 is not a whole number"),
    (re.compile(r"^(.+) is too large for an integer$"), r"\1 is too large for a whole number"),
    (re.compile(r"^(.+) is no share above 0 and up to 1$", re.DOTALL), r"\1 is no share between 0% and 100%"),
    (re.compile(r"^(.+) needs a folder to lie in$", re.DOTALL), r"there is no folder with \1"),
    (re.compile(r"^'full' repeats trainings on all data$"), "the search has all data already"),
    (re.compile(r"^it is for searches, and `parameters_from` asks for a single trial$"), "only one trial is trained"),
]
_ON_REMEDY = [
    (", without quotes", ""),
    (" low above 0, or write `log: false`", " lower end above 0, or choose a kind without log scale"),
    ("Add `type: float`, or narrow the range", "Search it as a number instead of a whole number, or narrow the range"),
    ("Give both `low` and `high`", "Give both ends"),
    ("Give `low` and `high`, or `choices`", "Give both ends, or a list of values"),
    ("Give `low` and `high`, or a list of choices", "Give both ends, or a list of values"),
    ("Choices are finite numbers, texts, true, false and null", "Give numbers or words"),
    ("Write it as [a, b, c]", "Write the values with commas between them: a, b, c"),
    ("Write 0.5 or 50%", "Write 50% or 0.5"),
    ("Give `sampling`, such as 0.25", "Give a “Share of the training data”, such as 25%"),
    ("Say `goal: maximize` or `goal: minimize`; the metric's name does not tell", "Choose higher or lower"),
    ("Leave the field out to have its default", "Leave it empty for the default"),
    ("Write something, or leave the field out", "Write something, or leave it empty"),
    ("Send the folder as `code`, or name the `working_directory`", "Choose the folder of your program above"),
    ("Declare the parameters as they are declared there", "Give its parameters the same ranges or values"),
    ("Give a longer step, or take another algorithm", "Give a list of values, or choose another algorithm"),
    ("Give `max_concurrency`", "Fill in “Trials at once”"),
    (", or see `resumable` in the spec reference", ", or add `resumable: true` under “More fields”"),
]
_QUOTED = re.compile(r"`([^`]+)`")
#: What begins a sentence that stands alone; anything else may be a name.
_SMALL_WORD = re.compile(r"(it|there|an?|the|no|they|only|exactly|trials)\b")


def worded(error: UserError, options: Mapping[str, str]) -> str:
    """Return an error in the words of the form.

    Args:
        error: that stands at a field.
        options: option of the algorithm → its label.
    """
    what, remedy = error.what, error.remedy
    if error.field == "objective.goal" and what == "it is missing":
        what = "the name of the metric does not tell whether higher or lower is better"
    for pattern, text in _ON_WHAT:
        what = pattern.sub(text, what)
    for told, text in _ON_REMEDY:
        remedy = remedy.replace(told, text)
    text = sentence("", _named(what, options), _named(remedy, options))
    return text[0].upper() + text[1:] if _SMALL_WORD.match(text) else text


def place_of(field: str) -> int:
    """Return where a field stands in the form, among others."""
    beginning = field.partition(".")[0] if "." in field else ""
    name = {"option": "algorithm", "range": "parameters", "row": "parameters"}.get(beginning, field)
    return list(LABELS).index(name) if name in LABELS else -1


def option_label(name: str) -> str:
    """Return what people call an option of an algorithm."""
    return name.replace("_", " ").capitalize()


def _named(text: str, options: Mapping[str, str]) -> str:
    """Return a text in which fields have their labels."""

    def label(name: str) -> str | None:
        return options.get(name) or LABELS.get(_PLACES.get(name, name))

    def of_quoted(match: re.Match[str]) -> str:
        found = label(match[1])
        return match[1] if found is None else f"“{found}”"

    for name, called in options.items():
        if "_" in name:  # such a word is no other
            text = re.sub(rf"(?<![`\w]){re.escape(name)}(?![`\w])", f"“{called}”", text)
    return _QUOTED.sub(of_quoted, text)
