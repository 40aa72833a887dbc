"""Writes `docs/spec.md` from the models, the tasks and the tables of states and causes.

.venv/bin/python docs/generate_spec.py
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tunewell.spec.differences import BUDGET_FIELDS, LABEL_FIELDS
from tunewell.spec.experiment import Algorithm, ExperimentSpec, Objective, TrialResources
from tunewell.spec.quantities import format_duration
from tunewell.spec.states import (
    DETERMINISTIC_CAUSES,
    LOST_CAUSES,
    PROGRAM_CAUSES,
    Cause,
    Cut,
    ExperimentState,
    JobState,
    TrialState,
)
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.command import RESERVED
from tunewell.tasks.vision.task import EARLY_STOPPING

_WIDTH = 120
#: A paragraph, or an item of a list with the lines that go on from it.
_BLOCK = re.compile(r"^(?P<mark>(?:- )?)(?![|#\n])\S.*(?:\n(?!- |[|#\n]).+)*", re.MULTILINE)
PAGE = Path(__file__).parent / "spec.md"

INTRODUCTION = """\
# The spec

A spec says what is trained, what is optimised and what is searched. `tunewell check SPEC.yaml` says whether it is
right, and starts nothing; of a wrong one, it lists all errors at once that don't follow from one another (with
`--json`, as parts: field, value, what is wrong, remedy). Specs are YAML 1.2 (`1e-5` is a number, `yes` and `on` are
texts) or JSON.

```yaml
# pictures, with a built-in task
task: image-classification
data: ./signs
network: efficientnet-lite0
objective: {metric: accuracy, target: 0.95}
max_trials: 20
```

```yaml
# any program
command: [python, train.py, --lr, "{learning_rate}", --momentum, "{momentum}", --out, "{output_dir}"]
objective: {metric: f1, goal: maximize}
parameters:
  learning_rate: {low: 1e-5, high: 1e-1, log: true}
  layers: {low: 1, high: 5}
  optimizer: [sgd, adamw]
  momentum: {low: 0.5, high: 0.99, when: {optimizer: sgd}, default: 0.9}
max_trials: 50
max_duration: 8h
```

`tunewell.search(function, parameters, metric=…, goal=…, …)` takes the same fields as keywords.
"""

QUANTITIES = """\
A **duration** is a text such as `24h`, `1h30m` or `90s` (units d, h, m, s, in this order), or a number of seconds. A
**size** is a text such as `500M` or `8G` (K, M, G, T; K is 1024 bytes), or a number of bytes. A **share** is a number
above 0 and up to 1, or a percentage such as `50%`. A field without a value (`null`) counts as left out.
"""

PARAMETERS = """\
## Parameters

| declaration | meaning |
|---|---|
| `{low: 1e-5, high: 1e-1, log: true}` | a float, both ends included, searched on a log scale |
| `{low: 1, high: 5}` | an integer, because all numbers are written as whole ones |
| `{low: 1, high: 5, type: float}` | a float all the same (`type: integer` says the opposite) |
| `{low: 0, high: 1, step: 0.1}` | a float in steps, counted from `low`; integers may have steps, too |
| `[sgd, adamw]` or `{choices: [sgd, adamw]}` | one of these, without order: texts, numbers, true, false, null |
| `{ordinal: [32, 64, 128]}` | one of these, in this order |
| `5` or `adamw` | a constant (null: `[null]`) |

A spec has 50,000 values, 1000 parameters and a megabyte at most. A Python function gets null as `None`; in CSV files it
is `null` (an empty cell of an active parameter that may be null is read as null, too).

Every mapping may have two more fields:

- `default:` the value in the default configuration, which is the first trial (if all parameters have one).
- `when: {optimizer: sgd}` or `when: {optimizer: [sgd, rmsprop], layers: 2}`: the parameter is active only while all the
  named parents are active and have (one of) the values. Otherwise the trial does not get it. Parents need single
  values: choices, integers or steps.

For a built-in task, `parameters` overrides the network's own space: what a declaration leaves out (range, scale,
default, condition) stays as it is, `learning_rate: {high: 0.01}` just lowers the upper end. A default that an override
excludes moves to the nearest value; parameters that can never become active are dropped.

Names have letters, digits, `_`, `-` and `.`, a letter or `_` first. For a command, no two may differ just in capitals
or in `_`, `-` and `.`, and these names are taken:
"""

COMMANDS = """\
## Commands

A command is a list of program and arguments, or one text that is split into them. No shell is involved;
`[bash, -c, "…"]` runs one. `{name}` in an argument is replaced by a parameter's value or one of these:
"""

COMMAND_RULES = """\
Only a name in single braces is a placeholder: other braces, as in JSON, stay as they are, and `{{name}}` is the text
`{name}`. Floats are written so that they read back exactly, the others as `true`, `false` and `null`. An argument with
a parameter that is not active is dropped, together with an option in front of it whose value it is
(`--momentum {momentum}`). In YAML, arguments with braces need quotes.

## What a trial finds

The trial runs in `working_directory`. In its environment are:
"""

METRICS = """\
## How a trial reports

- a **metric line** on standard output, by this rule: `name=number` or `name: number`, several in a line, such as
  `epoch 3/10: loss=0.31, val/accuracy=0.91` or `{"step": 3, "accuracy": 0.91}`. A name is a word, in which `.`, `/`,
  `-` and `@` may occur, and `:number` as in `mAP@0.5:0.95 = 0.3`; the objective's name may be any text. A number may
  stand in quotes, alone in brackets or in the call that Python prints (`np.float64(0.91)`,
  `tensor(0.91, device='cuda:0')`). A percentage is a share: `91%` is 0.91, and so is, as the objective, `9100/10000`. A
  number that goes on as something else (`12:30`, `3/10`, `1,024`, `0,91`, `12ms`) does not count. A whole number after
  `step`, or else after `epoch` (`step=3`, `epoch: 3`, `Epoch [3/10]`), is the step. Of several values for one name in a
  line the first counts; colours are ignored; of a progress bar the last text counts. The first 10,000 characters of a
  line are read, and 10,000 names. `metric_pattern` replaces the rule: a regular expression with the groups `name` and
  `value`, and `step` if it likes. `tunewell check SPEC.yaml --line "…"` tries it.
- `tunewell report accuracy=0.9 step=3` on a shell.
- `tunewell.report(accuracy=0.9, step=3)` in Python.
- a line `{"step": 3, "metrics": {"accuracy": 0.9}}` appended to `$TUNEWELL_TRIAL_FOLDER/reports.jsonl`.

Metric lines count until the program reports in one of the other ways. A report without a step has the last one + 1.
The value of a trial is what it reported last; built-in tasks report, after each epoch, what the best one so far has
reached, whose model they keep. Where steps start again (fine-tuning that counts its epochs from 1 again,
another fold), they are counted on: step 1 after step 5 is step 6. Of several values at one and the same step the last
counts. NaN or an infinity as the objective ends the trial with the cause `non_finite`.

What is left out, or counted in another way, is noted, with the line: see `tunewell show EXPERIMENT TRIAL`, or the
report. That is a line that names the objective without a value that can be read, a line of `reports.jsonl` that is no
report (a line of more than 1 MiB is none), steps of the objective that start again or repeat, and metric lines beyond
the bounds above. However many metric lines are printed at once, all of them count. On a full disk a program that prints
or reports waits until there is room, which its limits on time leave out.
"""

ENVIRONMENT = {
    "TUNEWELL_PARAMETERS": "JSON file with the trial's parameters, active ones only",
    "TUNEWELL_PARAMETER_…": "commands: each parameter's value, its name in capitals and with `_` for all but letters "
    "and digits: `TUNEWELL_PARAMETER_LEARNING_RATE`",
    "TUNEWELL_EXPERIMENT": "name of the experiment",
    "TUNEWELL_TRIAL": "number of the trial",
    "TUNEWELL_ATTEMPT": "number of the attempt at the trial",
    "TUNEWELL_TRIAL_FOLDER": "the attempt's own folder",
    "TUNEWELL_OUTPUT_DIR": "folder for whatever is to be kept of the trial, such as models",
    "TUNEWELL_CHECKPOINT_DIR": "folder of the trial's checkpoint; it holds the one to go on from, if there is any",
    "TUNEWELL_METRIC": "name of the objective metric",
    "TUNEWELL_GOAL": "`maximize` or `minimize`",
    "TUNEWELL_TARGET": "the target, if there is one",
    "TUNEWELL_SAMPLING": "share of the training data to use",
    "TUNEWELL_FIDELITY": "share of the full training that the trial gets",
    "TUNEWELL_SEED": "seed of the search; another one where the best trials are trained again (`tunewell repeat`)",
    "TUNEWELL_REPORT_URL": "commands, under `tunewell serve`: where the attempt reports over the network",
    "TUNEWELL_REPORT_TOKEN": "its token for that, as `Authorization: Bearer …`",
    "OMP_NUM_THREADS": "the trial's share of the cores, unless it is set already; so are the like of it "
    "that numeric libraries look at",
    "CUDA_VISIBLE_DEVICES": "the trial's GPUs, where the machine has any",
}

EXPERIMENT_STATES = {
    ExperimentState.CREATED: "recorded, not yet started",
    ExperimentState.RUNNING: "trials run or are about to",
    ExperimentState.PAUSED: "by `tunewell pause` or Ctrl-C; `tunewell resume`, or the same command, goes on",
    ExperimentState.STOPPING: "running trials are being ended",
    ExperimentState.COMPLETED: "all trials have ended, or nothing is left to try",
    ExperimentState.TARGET_REACHED: "a report reached `objective.target`",
    ExperimentState.CONVERGED: "`max_trials_without_improvement` trials in a row brought no better value, or "
    "`stop_when_converged` found no gain left",
    ExperimentState.STOPPED: "stopped by hand",
    ExperimentState.TIMED_OUT: "`max_duration` has passed",
    ExperimentState.FAILED: "more trials failed than `max_failed_trials` allows, no trial has a result, or the search "
    "could not go on, which its detail explains",
}

TRIAL_STATES = {
    TrialState.WAITING: "to be started, for the first time or again",
    TrialState.RUNNING: "being trained",
    TrialState.SUCCEEDED: "ended well, with a value",
    TrialState.STOPPED: "ended because the search did, or by hand; it may have a value",
    TrialState.PRUNED: "ended early, as not worth going on",
    TrialState.FAILED: "ended badly; the cause says how",
}

JOB_STATES = {
    JobState.WAITING: "to be started, for the first time or again",
    JobState.RUNNING: "under way; its progress is on record",
    JobState.SUCCEEDED: "ended well, with a result",
    JobState.FAILED: "ended badly; the cause says how",
    JobState.STOPPED: "stopped by hand",
}

CAUSES = {
    Cause.GPU_OOM: "the GPU's memory did not suffice",
    Cause.HOST_OOM: "the memory did not suffice, or `resources.memory` was exceeded",
    Cause.GPU_ERROR: "the GPU itself failed, as with memory errors that can't be corrected",
    Cause.NON_FINITE: "the objective was NaN or infinite",
    Cause.NO_METRIC: "the program ended well but never reported the objective",
    Cause.TIMEOUT: "`max_trial_duration` has passed",
    Cause.SILENT: "nothing was printed or reported for `max_trial_silence`",
    Cause.CRASHED: "the program ended with an error",
    Cause.KILLED: "something else killed the program",
    Cause.NODE_LOST: "the machine, its disk or the supervisor went away",
    Cause.DISK_FULL: "the disk was full, or the quota used up",
    Cause.INVALID_PARAMETERS: "the program said that these parameters can't be trained",
    Cause.DATA_ERROR: "the data could not be read",
}

CUTS = {
    Cut.MAX_DURATION: "`max_duration` of the search had passed",
    Cut.MAX_TRIAL_DURATION: "its `max_trial_duration` had passed; it failed, with the cause `timeout`",
    Cut.EARLY_STOPPING: "it was pruned, as not worth going on",
    Cut.FIDELITY: "it was given a part of the training, and has done that",
    Cut.BY_HAND: "it, or the search, was stopped by hand",
    Cut.TARGET: "it, or another trial, reached `objective.target`",
    Cut.SEARCH_ENDED: "the search ended for another reason",
}

EXIT_CODES = {
    "0": "the search ended with a result (any other command: done)",
    "1": "the search failed (its state is `failed`, even if some trials have a result), or ended without a result; so "
    "for every command that runs a search: `search`, `resume`, `retry`, `demo`",
    "2": "the input was wrong; the message says what, and how to fix it",
    "130": "Ctrl-C, or the search was paused; the same command goes on",
}

# Where a required field is filled in by something else than the user.
_DEFAULTS = {
    (ExperimentSpec, "name"): "the file's name, other characters as `-`",
    (ExperimentSpec, "objective"): "required; built-in tasks: their first metric",
    (ExperimentSpec, "early_stopping"): f"`{EARLY_STOPPING}` for built-in tasks, else `off`",
    (Objective, "goal"): "guessed",
}

# Annotation in the models → what a user calls it.
_TYPES = {
    "Description": "text",
    "Project": "text",
    "Tags": "list of texts, or a text",
    "Text": "text",
    "Name": "text",
    "Pattern": "text",
    "Goal": "`maximize` or `minimize`",
    "Lease": "duration",
    "Scheduler": "`local`, `ray` or `workers`",
    "EarlyStoppingRule": "`halving`, `median`, `promotion`, `data-promotion` or `off`",
    "Finalists": "`sample` or `full`",
    "Visibility": "`team` or `private`",
    "Number": "number",
    "Count": "whole number from 1",
    "CountFromZero": "whole number from 0",
    "CountOrShare": "whole number or share",
    "Cores": "number from 0",
    "Gpus": "whole number, or a part of 1",
    "Share": "share",
    "Size": "size",
    "Duration": "duration",
    "Flag": "`true` or `false`",
    "Path": "path",
    "Arguments": "list of texts, or a text",
    "Declarations": "mapping",
    "tuple[Declarations, ...]": "list of mappings",
    "Names": "list of names, or a name",
    "Variables": "mapping of texts",
    "Labels": "mapping of texts",
    "Amounts": "mapping of numbers",
    "Objective": "[objective](#objective), or a metric's name",
    "Algorithm": "[algorithm](#algorithm), or its name",
    "TrialResources": "[resources](#resources)",
}


def page() -> str:
    """Return the whole page."""
    sections = [
        INTRODUCTION,
        "## Fields\n\n" + fields_table(ExperimentSpec) + "\n" + QUANTITIES,
        "### objective\n\n" + fields_table(Objective),
        "### algorithm\n\nFurther fields are the algorithm's own options, such as `{name: bayesian, …}`; "
        "[Algorithms](algorithms.md) lists them.\n\n" + fields_table(Algorithm),
        "### resources\n\n" + fields_table(TrialResources),
        "### Changing a spec\n\nThe same command with the same spec continues an experiment. These fields may change "
        "in between: "
        + ", ".join(f"`{name}`" for name in sorted(BUDGET_FIELDS | LABEL_FIELDS))
        + ". `tunewell set` changes them while it "
        "runs. Any other change needs another name, or `--new`.\n",
        PARAMETERS.rstrip() + " " + ", ".join(f"`{name}`" for name in RESERVED) + ".\n",
        COMMANDS + "\n" + table(("placeholder", "meaning"), ((f"`{{{n}}}`", text) for n, text in RESERVED.items())),
        COMMAND_RULES + "\n" + table(("variable", "meaning"), ((f"`{n}`", text) for n, text in ENVIRONMENT.items())),
        METRICS,
        states_section(),
        tasks_section(),
    ]
    return filled("\n".join(section.rstrip() + "\n" for section in sections))


def filled(text: str) -> str:
    """Return a page on which paragraphs and list items with a line above 120 characters are broken again.

    Tables and code stay as they are.
    """
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _BLOCK.sub(_filled_block, part) for part in parts)


def _filled_block(block: re.Match[str]) -> str:
    text = block[0]
    if all(len(line) <= _WIDTH for line in text.split("\n")):
        return text
    indent = " " * len(block["mark"])
    one_line = " ".join(line.strip() for line in text[len(block["mark"]) :].split("\n"))
    whole_code = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), one_line)
    lines = textwrap.wrap(
        whole_code,
        _WIDTH,
        initial_indent=block["mark"],
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


def states_section() -> str:
    """Return states, causes and exit codes."""
    return "\n".join(
        (
            "## States\n\nof an experiment:\n",
            table(("state", "meaning"), ((f"`{state}`", EXPERIMENT_STATES[state]) for state in ExperimentState)),
            "of a trial:\n",
            table(("state", "meaning"), ((f"`{state}`", TRIAL_STATES[state]) for state in TrialState)),
            "of a job (`tunewell jobs`):\n",
            table(("state", "meaning"), ((f"`{state}`", JOB_STATES[state]) for state in JobState)),
            "## Causes of failure\n",
            table(
                ("cause", "meaning", "what follows"),
                ((f"`{cause}`", CAUSES[cause], consequence(cause)) for cause in Cause),
            ),
            "`tunewell retry EXPERIMENT --cause CAUSE` runs failed trials again.\n",
            "## Trainings that were cut off\n",
            textwrap.fill(
                "A trial of a built-in task has the `epochs` that it has done and the `planned_epochs` of a full "
                "training; `cut_by` says, as far as that is known, what ended it before.",
                _WIDTH,
            )
            + "\n",
            table(("`cut_by`", "meaning"), ((f"`{cut}`", CUTS[cut]) for cut in Cut)),
            "## Exit codes\n",
            table(("code", "meaning"), EXIT_CODES.items()),
        )
    )


def consequence(cause: Cause) -> str:
    """Return what the search makes of a cause."""
    if cause in LOST_CAUSES:
        return "tried again, `max_attempts` in a row"
    assert cause in DETERMINISTIC_CAUSES | PROGRAM_CAUSES
    away = "the search keeps away from such parameters"
    return away if cause in DETERMINISTIC_CAUSES else f"{away}, unless it looks like chance"


def tasks_section() -> str:
    """Return the built-in tasks and their metrics."""
    rows = ((f"`{name}`", _metrics(task_for({"task": name}))) for name in TASKS)
    return (
        "## Built-in tasks\n\nThe first metric is the objective where a spec names none. "
        "[Networks](networks.md) has the networks of each task, and their parameters.\n\n"
        + table(("task", "metrics"), rows)
    )


def _metrics(task: Any) -> str:
    needs = {metric: f"; needs {what}" for metric, what in task.needs_of_metrics.items()}
    return ", ".join(f"`{metric}` ({goal}{needs.get(metric, '')})" for metric, goal in task.metrics.items())


def fields_table(model: type[BaseModel]) -> str:
    """Return the fields of a model."""
    rows = []
    for name, field in model.model_fields.items():
        kind = _TYPES[model.__annotations__[name].removesuffix(" | None")]
        default = _DEFAULTS.get((model, name)) or _default(field.get_default(call_default_factory=True))
        rows.append((f"`{name}`", kind, default, field.description or ""))
    return table(("field", "type", "default", "meaning"), rows)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Algorithm):
        value = value.name
    if isinstance(value, timedelta):
        value = format_duration(value)
    return f"`{value}`" if isinstance(value, str | int | float) else "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
