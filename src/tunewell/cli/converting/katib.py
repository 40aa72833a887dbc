"""Experiments of Katib, `kubeflow.org/v1beta1`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.cli.converting.katib_trial import program_of
from tunewell.cli.converting.source import Notes, Source, check_distinct, parameter_name
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.labels import LONGEST_TAG, MOST_TAGS

VERSION = "kubeflow.org/v1beta1"
#: Algorithm of Katib → algorithm.
_ALGORITHMS: Mapping[str, Any] = {
    "random": "random",
    "grid": "grid",
    "bayesianoptimization": "bayesian",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "cmaes": "cmaes",
    "sobol": {"name": "random", "sequence": "sobol"},
    "pbt": "evolutionary",
}
_NETWORK_SEARCH = ("enas", "darts")
_GROUP = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]|\((?!\?)")


def is_katib(data: Mapping[str, Any]) -> bool:
    """Whether a file seems to be something of Katib's."""
    return str(data.get("apiVersion", "")).startswith("kubeflow.org/") and data.get("kind") == "Experiment"


def from_katib(data: Mapping[str, Any], file: Path, notes: Notes) -> tuple[str, dict[str, Any]]:
    """Return what the search is called, and the fields of a spec.

    Raises:
        SpecError: a field is wrong, or says something that a spec can't say.
    """
    source = Source(data, notes)
    if (version := source.take("apiVersion", str)) != VERSION:
        raise SpecError("apiVersion", f"{shown(version)} is not known", f"Give an Experiment of {VERSION}", version)
    spec, metadata = source.inside("spec"), source.inside("metadata")
    name = metadata.take("name", str) or file.stem
    source.ignore("kind", "status")
    if spec.has("nasConfig"):
        raise SpecError("spec.nasConfig", "a search for networks can't be taken over", "Search for hyperparameters")
    names: dict[str, str] = {}
    for one in _names(spec):
        where = f"spec.parameters.{one}"
        check_distinct(where, one, names)
        name_here = parameter_name(one, where, notes)
        check_distinct(where, name_here, names.values())
        names[one] = name_here
    fields = {
        **program_of(spec.inside("trialTemplate"), names, notes),
        **_objective(spec.inside("objective")),
        **_algorithm(spec.inside("algorithm")),
        "early_stopping": _early_stopping(spec.inside("earlyStopping")),
        "parameters": {names[str(one.take("name", str))]: _declaration(one) for one in spec.each("parameters")},
        "max_trials": spec.take("maxTrialCount", int),
        "max_concurrency": spec.take("parallelTrialCount", int),
        "max_failed_trials": spec.take("maxFailedTrialCount", int),
        "metric_pattern": _metric_pattern(spec.inside("metricsCollectorSpec")),
        "project": metadata.take("namespace", str),
        "tags": _tags(metadata),
    }
    if fields["max_trials"] is None:
        spec.note("maxTrialCount", "there is none; here it is 20 trials, unless the algorithm says otherwise")
    source.end()
    return name, fields


def _tags(metadata: Source) -> list[str] | None:
    """Return the labels as tags such as `team=vision`, those that are not too long or too many."""
    labels = metadata.take("labels", dict) or {}
    tags = [f"{name}={value}" if value not in (None, "") else str(name) for name, value in labels.items()]
    short = [tag for tag in tags if len(tag) <= LONGEST_TAG][:MOST_TAGS]
    for tag in tags:
        if tag not in short:
            metadata.note("labels", f"{tag} is left out: {MOST_TAGS} tags at most, of {LONGEST_TAG} characters")
    return short or None


def _names(spec: Source) -> list[str]:
    found = [one.take("name", str) for one in spec.each("parameters")]
    if not found or None in found:
        raise SpecError("spec.parameters", "there are none, or one has no name", "Name what is searched")
    return [str(name) for name in found]


def _objective(objective: Source) -> dict[str, Any]:
    metric, goal = objective.take("objectiveMetricName", str), objective.take("type", str)
    if metric is None:
        raise SpecError(objective.place("objectiveMetricName"), "there is none", "Name the metric")
    if goal not in ("maximize", "minimize"):
        raise SpecError(objective.place("type"), f"{shown(goal)} is no goal", "Give maximize or minimize", goal)
    objective.ignore("additionalMetricNames")  # all that a trial prints is recorded
    rules = {}
    for one in objective.each("metricStrategies"):
        rules[one.take("name", str)] = one.take("value", str)
        one.end()
    rule = rules.get(metric) or {"maximize": "max", "minimize": "min"}[goal]
    if rule != "latest":
        text = f"Katib takes a trial's {rule}; here the value that it prints last counts"
        objective.note("metricStrategies", text)
    target = objective.take("goal", object)
    number = None if target is None else _number(target, objective.place("goal"))
    return {"objective": {"metric": metric, "goal": goal, "target": number}}


def _algorithm(algorithm: Source) -> dict[str, Any]:
    name = algorithm.take("algorithmName", str) or ""
    if name in _NETWORK_SEARCH:
        place = algorithm.place("algorithmName")
        raise SpecError(place, f"{name} searches for networks", "Take an algorithm for hyperparameters", name)
    found = _ALGORITHMS.get(name)
    if name == "hyperband":
        text = "its budgets are not carried over; the default algorithm searches, `early_stopping: halving` is like it"
        algorithm.note("algorithmName", text)
    elif found is None:
        other = f"{name} is not built in" if name else "there is none"
        algorithm.note("algorithmName", f"{other}; the default algorithm searches")
    if name == "pbt":
        text = "checkpoints are in $TUNEWELL_CHECKPOINT_DIR; a program that goes on there is `resumable`"
        algorithm.note("algorithmName", text)
    settings = _settings(algorithm)
    seed = settings.get("random_state", "")
    if seed.isdecimal():
        del settings["random_state"]
    for setting, value in settings.items():
        algorithm.note("algorithmSettings", f"{setting}={value} has no counterpart and is left out")
    return {"algorithm": found, "seed": int(seed) if seed.isdecimal() else None}


def _early_stopping(rule: Source) -> str | None:
    name = rule.take("algorithmName", str)
    for setting, value in _settings(rule).items():
        rule.note("algorithmSettings", f"{setting}={value} has no counterpart and is left out")
    if name not in (None, "medianstop"):
        rule.note("algorithmName", f"{name} is not built in; `early_stopping: halving` may serve")
    return "median" if name == "medianstop" else None


def _settings(source: Source) -> dict[str, str]:
    found = {}
    for one in source.each("algorithmSettings"):
        found[str(one.take("name", str))] = str(one.take("value", object))
        one.end()
    return found


# Parameters ------------------------------------------------------------------------------------------------


def _declaration(parameter: Source) -> dict[str, Any]:
    kind, space = parameter.take("parameterType", str), parameter.inside("feasibleSpace")
    where = parameter.place("feasibleSpace")
    if kind in ("categorical", "discrete"):
        values = space.take("list", list) or []
        if not values or not all(isinstance(value, str | int | float) for value in values):
            raise SpecError(f"{where}.list", f"{shown(values)} is no list of values", "Give texts or numbers", values)
        declaration: dict[str, Any] = {"choices": list(dict.fromkeys(values))}
        if kind == "discrete":
            declaration = {"ordinal": sorted({_number(value, f"{where}.list") for value in values})}
    elif kind in ("double", "int"):
        declaration = _range(space, kind == "int")
    else:
        known = ("categorical", "discrete", "double", "int")
        raise SpecError(parameter.place("parameterType"), f"{shown(kind)} is no type", nearest(str(kind), known), kind)
    parameter.end()
    return declaration


def _range(space: Source, is_whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for end, name in (("low", "min"), ("high", "max"), ("step", "step")):
        given = space.take(name, object)
        if given is not None:
            number = _number(given, space.place(name), is_whole)
            found[end] = number if is_whole else float(number)
        elif name != "step":
            raise SpecError(space.place(name), "it is missing", "Give both `min` and `max`")
    distribution = space.take("distribution", str) or "uniform"
    if distribution not in ("uniform", "logUniform", "normal", "logNormal"):
        space.note("distribution", f"{distribution} is not known; the range is searched evenly")
    if distribution in ("normal", "logNormal"):
        space.note("distribution", f"{distribution} is not built in; the whole range is searched alike")
    if distribution in ("logUniform", "logNormal"):
        if found["low"] <= 0:
            raise SpecError(space.place("min"), f"a log scale can't reach {found['low']}", "Give a min above 0")
        if found.pop("step", 1 if is_whole else None) not in (None, 1):
            space.note("step", "it is left out, as a range on a log scale has no steps")
        found["log"] = True
    return found


def _number(value: Any, where: str, is_whole: bool = False) -> int | float:
    """Return a number, which Katib writes as a text."""
    text = str(value).strip()
    try:
        if is_whole or re.fullmatch(r"[-+]?\d+", text):
            return int(text)
        return float(text)
    except ValueError:
        wanted = "a whole number" if is_whole else "a number"
        raise SpecError(where, f"{shown(value)} is not {wanted}", f"Give {wanted}", value) from None


# Metrics ---------------------------------------------------------------------------------------------------


def _metric_pattern(collector: Source) -> str | None:
    """Return the pattern of metric lines; None: the usual one, which reads `name=value`."""
    kind = collector.inside("collector").take("kind", str) or "StdOut"
    source = collector.inside("source")
    formats = source.inside("filter").take("metricsFormat", list) or []
    if kind == "File":
        path = source.inside("fileSystemPath")
        path.ignore("kind", "format")
        text = f"metrics count that the program prints, not those in {path.take('path', str) or 'a file'}"
        collector.note("collector.kind", text)
    elif kind != "StdOut":
        collector.note(
            "collector.kind", f"{kind} is not read; the program prints `name=value` or calls `tunewell report`"
        )
    if len(formats) == 1 and (pattern := _named(str(formats[0]))) is not None:
        return pattern
    if formats:
        source.note("filter.metricsFormat", "it can't be one pattern; lines such as `name=value` are read")
    return None


def _named(pattern: str) -> str | None:
    """Return a pattern whose first two groups are called `name` and `value`; None: it is none for Python."""
    names = iter(("(?P<name>", "(?P<value>"))
    named = _GROUP.sub(lambda match: next(names, "(") if match[0] == "(" else match[0], pattern)
    try:
        return named if {"name", "value"} <= set(re.compile(named).groupindex) else None
    except re.error:
        return None
