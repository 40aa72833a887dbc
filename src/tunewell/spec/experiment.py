"""The experiment spec: what a user asks for. Every field has a default or is asked for by name."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tunewell.spec.errors import SpecError, shown
from tunewell.spec.labels import description_text, project_name, tag_names
from tunewell.spec.names import Visibility, is_name
from tunewell.spec.problems import Problems
from tunewell.spec.quantities import Cores, CountOrShare, Duration, Flag, Gpus, Number, Share, Size, WholeNumber
from tunewell.spec.rules import KINDS, WORKERS, check_rules
from tunewell.spec.space import is_number
from tunewell.spec.text import check_extent, check_text
from tunewell.spec.validation import gather_errors

Goal = Literal["maximize", "minimize"]
Finalists = Literal["sample", "full"]
Scheduler = Literal["local", "ray", "workers"]
EarlyStoppingRule = Literal["off", "median", "halving", "promotion", "data-promotion"]
#: Rules under which trials train a part first, and only the best go on.
PROMOTIONS: tuple[EarlyStoppingRule, ...] = ("promotion", "data-promotion")

#: Environment variables with which users set up Tunewell; all others that begin with TUNEWELL_ say what a trial is.
SETTINGS = ("TUNEWELL_HOME", "TUNEWELL_DATABASE", "TUNEWELL_OFFLINE", "TUNEWELL_SERVER", "TUNEWELL_TOKEN")

# Words in the names of metrics; digits behind them don't count (`mAP50`).
_MAXIMIZED = re.compile(
    "acc|accuracy|ap|auc|auprc|auroc|bleu|correlation|dice|f|fscore|iou|kappa|map|mcc|miou|ndcg|pearson|precision|"
    "psnr|r|recall|rewards?|roc|rouge|score|sensitivity|spearman|specificity|ssim"
)
_MINIMIZED = re.compile(
    "brier|cer|costs?|duration|eer|err|errors?|fid|latency|logloss|loss|losses|mae|mape|mse|msle|nll|perplexity|ppl|"
    "regret|rmse|rmsle|time|wer"
)


def guess_goal(metric: str) -> Goal | None:
    """Return the goal that a metric's name implies (`val_acc`, `mAP50`, `RMSE`), None if it implies none or both."""
    words = [word.lower() for word in re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z][a-z])", metric)]
    maximized = any(_MAXIMIZED.fullmatch(word) for word in words)
    minimized = any(_MINIMIZED.fullmatch(word) for word in words)
    if maximized == minimized:
        return None
    return "maximize" if maximized else "minimize"


def plain(value: Any) -> Any:
    """Return `value` as JSON would give it back: lists for tuples, plain numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    numpy = sys.modules.get("numpy")  # who has such a number has imported it
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def _plain_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"the name {shown(name)} is not a text", "Put it in quotes")
    return plain(value)


def _argument(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) or is_number(value):
        return str(value)
    if isinstance(value, Mapping) and len(value) == 1:
        remedy = f'Put placeholders in quotes: "{{{next(iter(value))}}}"'
    else:
        remedy = "Put it in quotes"
    raise ValueError(f"{shown(value)} is not a text", remedy)


def _secret(value: Any) -> str:
    try:
        return _argument(value)
    except ValueError:
        raise ValueError("it is not a text", "Put the value in quotes") from None


def _arguments(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError:
            raise ValueError(f"{shown(value)} has a quote that is not closed", "Write it as a list") from None
    if isinstance(value, list | tuple) and not value:
        raise ValueError("it is empty", "Name a program and its arguments")
    return value


def _variables(value: Any) -> Any:
    if isinstance(value, Mapping):
        for name in value:
            if name == "" or "=" in str(name):
                start = "".join(str(name).partition("=")[:2])  # what follows may be a secret
                raise ValueError(
                    f"{shown(start)} begins no name for a variable", "Write `NAME: value`, without '=' in NAME"
                )
            if str(name).startswith("TUNEWELL_") and name not in SETTINGS:
                raise ValueError(f"{shown(name)} is a variable that Tunewell sets itself", "Take another name")
    return _plain_mapping(value)


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError(
            f"{shown(value)} is no name for an experiment",
            "Use letters, digits, '_', '-' and '.', a letter or digit first, 100 at most",
        )
    return value


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groupindex
    except (re.error, OverflowError) as error:
        raise ValueError(f"{shown(value)} is no regular expression ({error})", "Fix it, or drop it") from None
    except RecursionError:
        raise ValueError(f"{shown(value)} is nested too deeply", "Write it flatter") from None
    for group, example in (("name", r"(?P<name>\w+)"), ("value", r"(?P<value>[-+.\deE]+)")):
        if group not in groups:
            raise ValueError(f"{shown(value)} has no group `{group}`", f"Write {example} in it")
    return value


def _lease(value: timedelta) -> timedelta:
    if value < timedelta(seconds=5):
        raise ValueError(f"{value.total_seconds():g} s is too short for a worker to be heard from", "Give 5s or more")
    return value


Argument = Annotated[str, BeforeValidator(_argument)]
Lease = Annotated[Duration, AfterValidator(_lease)]
Arguments = Annotated[tuple[Argument, ...], BeforeValidator(_arguments)]
Declarations = Annotated[dict[str, Any], BeforeValidator(_plain_mapping)]
Variables = Annotated[dict[str, Annotated[str, BeforeValidator(_secret)]], BeforeValidator(_variables)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Project = Annotated[str, BeforeValidator(project_name)]
Tags = Annotated[tuple[str, ...], BeforeValidator(tag_names)]
Description = Annotated[str, BeforeValidator(description_text)]
Name = Annotated[Text, AfterValidator(_name)]
Pattern = Annotated[Text, AfterValidator(_pattern)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_names)]
Count = Annotated[WholeNumber, Field(ge=1)]
CountFromZero = Annotated[WholeNumber, Field(ge=0)]
Labels = Annotated[dict[Text, Text], BeforeValidator(_plain_mapping)]
Amounts = Annotated[dict[Text, Annotated[Number, Field(gt=0)]], BeforeValidator(_plain_mapping)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(_Model):
    """What is optimised."""

    metric: Text = Field(description="Name of the metric, as the trials report it.")
    goal: Goal = Field(
        description="Guessed from common names (accuracy: maximize, loss: minimize, …); required otherwise."
    )
    target: Number | None = Field(default=None, description="The search stops as soon as a report reaches this value.")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"metric": data}
        if not isinstance(data, Mapping):
            raise ValueError(f"{shown(data)} is not the name of a metric", "Write it like `objective: accuracy`")
        metric = data.get("metric")
        if "goal" not in data and isinstance(metric, str) and guess_goal(metric):
            return {**data, "goal": guess_goal(metric)}
        return data

    def reached(self, value: float) -> bool:
        """Whether `value` is as good as the target."""
        if self.target is None:
            return False
        return value >= self.target if self.goal == "maximize" else value <= self.target

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return value > other if self.goal == "maximize" else value < other


class Algorithm(_Model):
    """How the search proposes hyperparameters. Further fields are the algorithm's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Text = Field(
        default="auto",
        description="`bayesian`, `tpe`, `cmaes`, `pshe2`, `evolutionary`, `random`, `grid` or `auto`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"name": data}
        if not isinstance(data, Mapping):
            raise ValueError(f"{shown(data)} is not the name of an algorithm", "Write `algorithm: bayesian`")
        return _plain_mapping(data)

    @property
    def options(self) -> dict[str, Any]:
        """The algorithm's own options."""
        return dict(self.model_extra or {})


class TrialResources(_Model):
    """What one trial gets."""

    cpus: Cores | None = Field(
        default=None,
        description="Cores; by default all cores are divided among the trials that run at once. Trials that mostly "
        "wait may take a fraction, such as 0.25, or 0, which needs `max_concurrency`; they get one thread.",
    )
    gpus: Gpus | None = Field(
        default=None,
        description="Whole GPUs, or, with `scheduler: ray`, a part of one, such as 0.5; by default 1 where a machine "
        "that has all else has one, else 0.",
    )
    gpu_type: Text | None = Field(
        default=None,
        description="With `scheduler: ray`: the type of its GPUs, as the cluster names it, such as H100; default: any.",
    )
    memory: Size | None = Field(
        default=None,
        description="Largest memory of a trial with all its processes, such as 8G, and no more trials at once than "
        "the machine has such memory for; default: no limit.",
    )
    labels: Labels = Field(
        default_factory=dict, description="With `scheduler: ray`: labels that the node must have, with their values."
    )
    custom: Amounts = Field(
        default_factory=dict,
        description="With `scheduler: ray`: amounts of resources that nodes offer under names of their own, such as "
        "`{licence: 1}`.",
    )


def needs_its_program(spec: Mapping[str, Any]) -> bool:
    """Whether a recorded spec searches over a Python function that only the program which made it has.

    One that was sent to a service has come as `code`.
    """
    return bool(spec.get("function")) and spec.get("code") is None


class ExperimentSpec(_Model):
    """One hyperparameter search."""

    name: Name = Field(description="Unique in its home; default: the spec file's name.")
    task: Text | None = Field(
        default=None,
        description="A built-in task, such as image-classification. Exactly one of `task` and `command`; "
        "`scheduler: workers` needs neither.",
    )
    command: Arguments | None = Field(
        default=None,
        description="Program and arguments, with placeholders such as {learning_rate} and {output_dir}; no shell. "
        "With `scheduler: workers`, what `tunewell worker` runs that is given no other command.",
    )
    function: Text | None = Field(
        default=None, description="Set by `tunewell.search` for a Python function; not for spec files."
    )
    function_code: Text | None = Field(
        default=None,
        description="Set by `tunewell.search`: a checksum of the function's code, by which a change is seen; not for "
        "spec files.",
    )
    data: Path | None = Field(
        default=None,
        description="Built-in tasks: folder of the data set, relative to the spec file, or `dataset:NAME` for one of a "
        "service.",
    )
    dataset: Text | None = Field(
        default=None, description="Set by a service, for `data: dataset:NAME`: name and content; not for spec files."
    )
    network: Text | None = Field(
        default=None, description="Built-in tasks: the network; default: the task's first choice."
    )
    weights: Text = Field(
        default="auto",
        description="Built-in tasks: `auto` (pretrained where they can be had), `none` (from scratch) or a file.",
    )
    objective: Objective = Field(description="Metric to optimise; a plain name will do. Built-in tasks have a default.")
    algorithm: Algorithm = Field(
        default_factory=Algorithm, description="Name of the search algorithm, or name with options."
    )
    early_stopping: EarlyStoppingRule = Field(
        default="off",
        description="How training is saved on trials that promise little; commands and functions must ask for it. By "
        "ending them, judged by what they report at each step: `halving` (only the best third goes on at a ninth and a "
        "third of the training) or `median`; not before 5 full trainings have ended, and not where early values say "
        "little about final ones. By promotion: each configuration trains a 27th first, and only the best third goes "
        "on to a ninth, a third, all of the training (`promotion`, from its checkpoint) or the data "
        "(`data-promotion`); each part is a trial. With `off`, every trial trains to its end.",
    )
    parameters: Declarations = Field(
        default_factory=dict,
        description="The search space; for built-in tasks: overrides of the network's default space.",
    )
    initial: tuple[Declarations, ...] = Field(
        default=(), description="Configurations to try first, after the default one."
    )
    warm_start: Names = Field(
        default=(),
        description="Experiments in the same home whose trials help this search, such as one on similar data; their "
        "spaces need some parameters of the same name. What they know at submission counts.",
    )
    parameters_from: Text | None = Field(
        default=None,
        description="An experiment in the same home: nothing is searched, a single trial trains with the parameters of "
        "its best trial, as they are when this is submitted. A command need not repeat its `parameters`.",
    )
    scheduler: Scheduler = Field(
        default="local",
        description="Who starts trials: `local`, the machine of the search; `ray`, the Ray cluster that the "
        "service or the command was given with `--ray`; or `workers`, people's own programs elsewhere, which ask a "
        "service for configurations and tell it what came of them. It can't be changed later.",
    )
    worker_lease: Lease = Field(
        default=timedelta(seconds=60),
        description="With `scheduler: workers`: how long a worker need not be heard from before its trial is lost and "
        "somebody else gets it, at least 5s.",
    )
    max_trials: Count | None = Field(
        default=None,
        description="Number of trials; default: 20, 60 where trainings are promoted, all points of a grid.",
    )
    max_concurrency: Count | None = Field(
        default=None, description="Most trials at once; default: as many as there are slots."
    )
    max_gpus: Count | None = Field(
        default=None, description="Most GPUs that the whole search uses at once; default: as many as it may have."
    )
    max_duration: Duration = Field(
        default=timedelta(hours=24),
        description="Longest time that the search is at work, such as 90m or 24h, from its first trial on. What it "
        "prepares before, pauses, what follows its last trial, and time in which none of its trials runs because they "
        "wait for room, their turn or workers do not count.",
    )
    max_failed_trials: CountOrShare = Field(
        default=0.5,
        description="Failures allowed: a count (5), or a share of the trials so far, those that run included (0.5 or "
        "50%), looked at from 10 ended trials on, from 5 if all have failed.",
    )
    max_trials_without_improvement: Count | None = Field(
        default=None,
        description="The search stops when so many ended trials in a row brought no better value.",
    )
    stop_when_converged: Flag = Field(
        default=False,
        description="Whether the search stops when it has converged: at least 30 trials (4 a parameter) have ended, "
        "the last 25 (3 a parameter) brought no gain worth speaking of, and the algorithm's model gives further gains "
        "less than 1%; for algorithms without such a model: when the last 50, and half of all, brought none.",
    )
    max_trial_duration: Duration | None = Field(
        default=None,
        description="Longest time of a trial, from the start of its program; what goes on after a pause, or is tried "
        "again, has it anew. Default: no limit.",
    )
    max_trial_silence: Duration | None = Field(
        default=None, description="Longest time a trial may print and report nothing; default: no limit."
    )
    max_attempts: Count = Field(
        default=3,
        description="Tries in a row for a trial that is lost through no fault of its own; one that got further than "
        "all before it is the first again. At most 100 in all, or this if it is more.",
    )
    resumable: Flag | None = Field(
        default=None,
        description="Commands and functions: whether a trial goes on from what lies in its checkpoint folder, and "
        "trains as far as its fidelity says; default: whether the command has {checkpoint_dir} and {fidelity}.",
    )
    sampling: Share = Field(default=1.0, description="Share of the training data to search on, such as 0.5 or 50%.")
    finalists: Finalists = Field(
        default="sample",
        description="With `sampling`: `full` trains the five best trials on all training data when the search has "
        "ended; what they reach there decides which one is the best.",
    )
    project: Project | None = Field(
        default=None, description="What experiments are grouped by, at most 100 characters; it can be changed later."
    )
    tags: Tags = Field(
        default=(),
        description="Words that experiments are found by, such as `[baseline, small]`: at most 20, of at most 50 "
        "characters each. They can be changed later.",
    )
    description: Description | None = Field(
        default=None,
        description="What it is about, or what was learned, in at most 10,000 characters; it can be changed later.",
    )
    visibility: Visibility = Field(
        default="team",
        description="Who sees it: `team`, every user of a service; `private`, its owner and administrators. It can be "
        "changed later.",
    )
    seed: CountFromZero = Field(default=0, description="Source of all randomness of the search.")
    resources: TrialResources = Field(default_factory=TrialResources, description="What one trial gets.")
    metric_pattern: Pattern | None = Field(
        default=None,
        description="Commands: regular expression with the groups `name` and `value` that replaces the rule for "
        "metric lines.",
    )
    environment: Variables = Field(
        default_factory=dict,
        repr=False,
        description="Commands: additional environment variables. Their values are recorded, but not shown anywhere.",
    )
    code: Text | None = Field(
        default=None,
        description="Commands: id of a program that a service was sent; they run in a folder with its files, which "
        "can't be written.",
    )
    working_directory: Path | None = Field(
        default=None, description="Commands: where they run; default: the spec file's folder."
    )


#: Stand in for fields without a default where these are missing or wrong, so that the others can be checked.
_STAND_INS = {"name": "search", "objective": {"metric": "objective", "goal": "maximize"}}


def parse_spec(data: Any) -> ExperimentSpec:
    """Return the validated spec; a field without a value (null) counts as left out.

    Raises:
        SpecError: a field is wrong; the error names it, its value and the remedy.
        SpecErrors: several are wrong; it holds their errors.
    """
    problems = Problems()
    spec = gather_spec(data, problems)
    problems.raise_any()
    return spec


def gather_spec(data: Any, problems: Problems) -> ExperimentSpec:
    """Add what is wrong with `data`, and return the spec as far as it is right: what is wrong counts as left out.

    Raises:
        SpecError: it is no mapping, or too large, so that no field is looked at.
    """
    if not isinstance(data, Mapping):
        raise SpecError("spec", f"{shown(data)} is not a mapping", "Write `field: value` lines")
    check_extent("spec", data)
    fields: dict[str, Any] = {}
    for name, value in data.items():
        with problems.gathering():
            if not isinstance(name, str):
                raise SpecError("spec", f"{shown(name)} is not the name of a field", "Write `field: value` lines")
            check_text("spec", name)
            check_text(name, value)
            if value is not None:
                fields[name] = value
    if fields.get("scheduler") != WORKERS and not any(fields.get(kind) for kind in KINDS):
        problems.suspect("objective")  # it need not be missing: built-in tasks have a default
    spec = _validated(fields, problems)
    check_rules(spec, problems)
    return spec


def _validated(fields: Mapping[str, Any], problems: Problems) -> ExperimentSpec:
    try:
        return ExperimentSpec.model_validate(fields)
    except ValidationError as error:
        gather_errors(error, ExperimentSpec, problems)
        wrong = {item["loc"][0] for item in error.errors()}
        right = {name: value for name, value in fields.items() if name not in wrong}
        return ExperimentSpec.model_validate({**_STAND_INS, **right})
