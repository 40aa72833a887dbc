"""The form of a new search: from its fields to a spec, and back.

Fields are texts by name, as a browser sends them. Whatever a spec holds that no field can express stays as it is in one
field, `more`, as YAML; so a spec that was read into a form comes out of it as it was.

==================  =======================================================================
``task``            a built-in task, or `command`
``scheduler``       of a command: `workers`, or empty for the machines of the service
``mode``            `search`, `hand` (train once with values of one's own), or `existing`: …
``use``             … `best` (train once as an earlier search's best trial did) or `warm` (search with what some know)
``range.NAME.…``    a parameter of a network: what is left empty stays as the network has it
``row.N.…``         a parameter of a command; `from`: the name in the command for which the row was added by itself
``option.NAME``     an option of the algorithm
``more``            all else, as YAML; it counts more than the other fields
==================  =======================================================================
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.console.values import listing, scalar, scalars, written
from tunewell.spec.declaration import PARAMETER_NAME, parse_parameter
from tunewell.spec.errors import SpecError, UserError
from tunewell.spec.files import parse_spec, to_yaml
from tunewell.spec.rules import WORKERS

Fields = Mapping[str, str]

#: In place of a built-in task: one's own command.
COMMAND = "command"
SEARCH, HAND, EXISTING = "search", "hand", "existing"
BEST, WARM = "best", "warm"
#: How a parameter is searched; empty: as the network has it.
KINDS = ("number", "log", "whole", "whole-log", "values", "fixed")
_NUMERIC = KINDS[:4]
#: Field → place in the spec, of those that are texts and of those that are any values; a switch is true or left out.
_TEXTS = {
    "name": "name",
    "project": "project",
    "description": "description",
    "metric": "objective.metric",
    "goal": "objective.goal",
}
_OF_TASKS = {"data": "data", "network": "network", "weights": "weights"}
_LIMITS = {
    "max_duration": "max_duration",
    "max_trial_duration": "max_trial_duration",
    "sampling": "sampling",
    "gpus": "resources.gpus",
    "gpu_type": "resources.gpu_type",
    "cpus": "resources.cpus",
    "memory": "resources.memory",
}
#: Those of searches alone.
_LIMITS_OF_SEARCHES = {
    "max_trials": "max_trials",
    "target": "objective.target",
    "max_failed_trials": "max_failed_trials",
    "max_concurrency": "max_concurrency",
    "max_gpus": "max_gpus",
    "max_trials_without_improvement": "max_trials_without_improvement",
    "early_stopping": "early_stopping",
    "finalists": "finalists",
}
#: Those of the machines of the service.
OF_MACHINES = ("code", "cpus", "gpus", "gpu_type", "memory", "max_gpus", "finalists")
_SWITCHES = {"stop_when_converged": "stop_when_converged"}
#: Fields that are not shown where nothing is searched; the rule for trials that do badly is hidden with the algorithm.
OF_SEARCHES = ({*_LIMITS_OF_SEARCHES} | {*_SWITCHES}) - {"early_stopping"}
#: What a command may have in braces besides its parameters.
RESERVED = (
    "output_dir",
    "checkpoint_dir",
    "trial_folder",
    "parameters_file",
    "trial",
    "attempt",
    "experiment",
    "sampling",
    "fidelity",
)
#: A row as it begins.
ROW = {"name": "", "kind": "number", "low": "", "high": "", "values": "", "value": "", "default": ""}
#: What tells how a parameter is searched, or what it is.
_DOMAIN = ("low", "high", "values", "value", "default")
_EVERYWHERE = {**_TEXTS, **_OF_TASKS, **_LIMITS, **_LIMITS_OF_SEARCHES, **_SWITCHES}
#: Fields of a spec that hold fields, some of which may stand in `more`.
_NESTED = ("objective", "resources", "algorithm", "parameters")
# `{{name}}` is the text `{name}`.
_PLACEHOLDER = re.compile(rf"\{{\{{{PARAMETER_NAME.pattern}\}}\}}|\{{({PARAMETER_NAME.pattern})\}}")
_ROW = re.compile(r"row\.([0-9]{1,4})\.name")
_RANGE = re.compile(r"range\.(.+)\.(kind|low|high|values|value|default)")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the fields of a form say."""

    #: As `create` takes it.
    spec: dict[str, Any]
    #: What is wrong with `more`, if it can't be read.
    problem: UserError | None = None


# From fields to a spec ------------------------------------------------------------------------------------


def spec_of(fields: Fields) -> Draft:
    """Return what the fields say. Whether it makes sense is not looked at."""
    spec: dict[str, Any] = {}
    task, mode = fields.get("task", ""), mode_of(fields)
    _put(spec, fields, _TEXTS, str)
    if tags := names_in(fields.get("tags", "")):
        spec["tags"] = tags
    if task == COMMAND:
        command = _command(fields.get("command", ""))
        if by_workers(fields):
            spec["scheduler"] = WORKERS
        if command or not by_workers(fields):
            spec["command"] = command
        if code := fields.get("code", ""):
            spec["code"] = code
    elif task:
        spec["task"] = task
        _put(spec, fields, _OF_TASKS, str)
    parameters = _parameters(fields, mode)
    if parameters:
        spec["parameters"] = parameters
    _put(spec, fields, _LIMITS, scalar)
    if mode == HAND:
        spec["max_trials"] = 1
    elif mode == BEST:
        spec["parameters_from"] = fields.get("best_of", "")
    else:
        _put_search(spec, fields)
        if mode == WARM:
            spec["warm_start"] = names_in(fields.get("warm_start", ""))
    try:
        more = parse_spec(fields["more"], "yaml", "more") if fields.get("more", "").strip() else {}
    except SpecError as error:
        return Draft(spec, error)
    return Draft(_merged(spec, more))


def by_workers(fields: Fields) -> bool:
    """Whether the trials are to be trained elsewhere, by workers."""
    return fields.get("task") == COMMAND and fields.get("scheduler") == WORKERS


def mode_of(fields: Fields) -> str:
    """Return how the hyperparameters are found: `search`, `hand`, `best` or `warm`."""
    mode = fields.get("mode") or SEARCH
    return (fields.get("use") or BEST) if mode == EXISTING else mode


def rows_of(fields: Fields) -> list[str]:
    """Return what the names of the fields of each parameter of a command begin with: `row.0.` …"""
    numbers = (match[1] for match in map(_ROW.fullmatch, fields) if match is not None)
    return [f"row.{number}." for number in sorted(numbers, key=int)]


def with_rows(fields: Fields, kept: Fields) -> dict[str, str]:
    """Return fields with a row for each parameter that the command names in braces.

    A row that was added so goes again when the command no longer names it and nobody has filled it in.

    Args:
        fields: of the form.
        kept: fields of rows that are not shown.
    """
    found, named = dict(fields), placeholders_of(fields)
    for start in rows_of(fields):
        came = fields.get(f"{start}from", "")
        parts = {part: fields.get(start + part, "") or kept.get(start + part, "") for part in _DOMAIN}
        is_new = fields.get(f"{start}kind", "") in ("", ROW["kind"]) and not any(parts.values())
        if came and came == fields[f"{start}name"] and came not in named and is_new:
            found = {name: text for name, text in found.items() if not name.startswith(start)}
    known = {found[f"{start}name"].strip() for start in rows_of(found)}
    for name in named:
        if name not in known:
            start = next_row(found)
            found |= {start + part: text for part, text in ROW.items()} | {f"{start}name": name, f"{start}from": name}
    return found


def placeholders_of(fields: Fields) -> list[str]:
    """Return the parameters that the command names, in order."""
    if fields.get("task") != COMMAND:
        return []
    names = (match[1] for match in _PLACEHOLDER.finditer(fields.get("command", "")))
    return list(dict.fromkeys(name for name in names if name and name not in RESERVED))


def next_row(fields: Fields) -> str:
    """Return what the names of the fields of a further row begin with."""
    numbers = (int(start.split(".")[1]) for start in rows_of(fields))
    return f"row.{max(numbers, default=-1) + 1}."


def undeclared_rows(fields: Fields) -> dict[str, str]:
    """Return the parameters of a command for which no range or value is given, and their rows."""
    if fields.get("task") != COMMAND or mode_of(fields) == BEST:
        return {}
    rows = {fields[f"{start}name"].strip(): start for start in rows_of(fields)}
    return {name: start for name, start in rows.items() if name and _declaration(fields, start, mode_of(fields)) == {}}


def parts_shown(kind: str, by_hand: bool, has_values: bool | None) -> tuple[str, ...]:
    """Return the parts of a parameter that are shown for it.

    Args:
        kind: how it is searched; empty: as the network has it.
        by_hand: whether it is given a value instead.
        has_values: whether the network has a list of values for it; None: that is not known.
    """
    if by_hand:
        return ("value",)
    if kind == "fixed":
        return ("kind", "value")
    if kind == "values" or (has_values and not kind):
        return ("kind", "values", "default")
    if has_values is None and not kind:
        return ("kind", *_DOMAIN)
    return ("kind", "low", "high", "default")


def ranges_of(fields: Fields) -> dict[str, str]:
    """Return the parameters of a network that some field is about, and what the names of their fields begin with."""
    names = (match[1] for match in map(_RANGE.fullmatch, fields) if match is not None)
    return {name: f"range.{name}." for name in names}


def _put(spec: dict[str, Any], fields: Fields, places: Mapping[str, str], read: Any) -> None:
    for field, place in places.items():
        text = fields.get(field, "").strip()
        if text:
            outer, _, inner = place.partition(".")
            if inner:
                spec.setdefault(outer, {})[inner] = read(text)
            else:
                spec[outer] = read(text)


def _put_search(spec: dict[str, Any], fields: Fields) -> None:
    _put(spec, fields, _LIMITS_OF_SEARCHES, scalar)
    _put(spec, fields, _SWITCHES, scalar)
    name = fields.get("algorithm", "")
    if name:
        chosen = {
            field.removeprefix("option."): scalar(text)
            for field, text in fields.items()
            if field.startswith("option.") and text.strip()
        }
        spec["algorithm"] = {"name": name, **chosen} if chosen else name


def _command(text: str) -> Any:
    try:
        return shlex.split(text)
    except ValueError:  # whoever checks the spec says that a quote is not closed
        return text


def _parameters(fields: Fields, mode: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if fields.get("task") != COMMAND:
        starts = ranges_of(fields)
    else:
        starts = {fields[f"{start}name"].strip(): start for start in rows_of(fields)}
    for name, start in starts.items():
        declaration = _declaration(fields, start, mode) if name else {}
        if declaration != {}:
            found[name] = declaration
    return found


def _declaration(fields: Fields, start: str, mode: str) -> Any:
    """Return how a parameter is declared; an empty mapping: it is not."""

    def text(part: str) -> str:
        return fields.get(start + part, "").strip()

    kind = text("kind")
    if mode in (HAND, BEST) or kind == "fixed":
        given = text("value") if mode != BEST else ""
        return scalar(given) if given else {}
    declaration: dict[str, Any] = {}
    if kind != "values":
        declaration |= {end: scalar(text(end)) for end in ("low", "high") if text(end)}
        if declaration and kind in _NUMERIC:
            declaration |= _scale(kind, declaration)
    if kind not in _NUMERIC and text("values"):
        declaration["choices"] = scalars(text("values"))
    if text("default"):
        declaration["default"] = scalar(text("default"))
    if list(declaration) != ["choices"]:
        return declaration
    is_one = not kind and len(declaration["choices"]) == 1 and declaration["choices"] != [None]
    return declaration["choices"][0] if is_one else declaration["choices"]


def _scale(kind: str, ends: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells that numbers are real or whole, where their ends do not, and how they are searched."""
    are_whole = all(type(end) is int for end in ends.values())
    scale: dict[str, Any] = {}
    if are_whole and kind in ("number", "log"):
        scale["type"] = "float"
    elif not are_whole and kind in ("whole", "whole-log"):
        scale["type"] = "integer"
    return scale | ({"log": True} if kind.endswith("log") else {})


def names_in(text: str) -> list[str]:
    """Return the names in a list that commas part."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _merged(spec: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**spec, **more}
    for field in _NESTED:
        if isinstance(more.get(field), Mapping) and field in spec:
            merged[field] = {**_as_mapping(field, spec[field]), **more[field]}
    return merged


def _as_mapping(field: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {"metric" if field == "objective" else "name": value}


# From a spec to fields ------------------------------------------------------------------------------------


def fields_of(spec: Mapping[str, Any], goals: Mapping[str, str]) -> dict[str, str]:
    """Return fields that say what a spec says.

    Args:
        spec: as a spec file has it.
        goals: metric → goal, of built-in tasks: such a goal need not be said.
    """
    given = {field: value for field, value in spec.items() if value is not None}
    objective = given.get("objective")
    if (
        given.get("task")
        and isinstance(objective, Mapping)
        and objective.get("goal") == goals.get(str(objective.get("metric")))
    ):
        given["objective"] = {name: value for name, value in objective.items() if name != "goal"}
    is_command = given.get("command") or given.get("scheduler") == WORKERS
    fields = {"task": COMMAND if is_command else str(given.get("task", "")), **_modes(given)}
    if given.get("scheduler") == WORKERS:
        fields["scheduler"] = WORKERS
    for field, place in _EVERYWHERE.items():
        outer, _, inner = place.partition(".")
        value = _as_mapping(outer, given[outer]).get(inner) if inner and outer in given else given.get(place)
        if isinstance(value, str | int | float):
            fields[field] = str(value) if field in _TEXTS or field in _OF_TASKS else written(value)
    fields |= _algorithm_fields(given.get("algorithm"))
    tags = given.get("tags")
    if isinstance(tags, list | tuple) and all(isinstance(one, str) for one in tags):
        fields["tags"] = ", ".join(tags)
    if isinstance(given.get("command"), list | tuple) and all(isinstance(one, str) for one in given["command"]):
        fields["command"] = shlex.join(given["command"])
    if isinstance(given.get("code"), str):
        fields["code"] = given["code"]
    parameters = given.get("parameters")
    if isinstance(parameters, Mapping):
        fields |= _parameter_fields(parameters, fields)
    return _with_rest(given, fields)


def _modes(spec: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(spec.get("parameters_from"), str):
        return {"mode": EXISTING, "use": BEST, "best_of": spec["parameters_from"]}
    warm = spec.get("warm_start")
    if warm:
        return {"mode": EXISTING, "use": WARM, "warm_start": ", ".join([warm] if isinstance(warm, str) else warm)}
    parameters = spec.get("parameters", {})
    is_hand = spec.get("max_trials") == 1 and "algorithm" not in spec and isinstance(parameters, Mapping)
    are_fixed = is_hand and not any(isinstance(one, Mapping | list | tuple) for one in parameters.values())
    return {"mode": HAND if are_fixed else SEARCH}


def _algorithm_fields(algorithm: Any) -> dict[str, str]:
    if isinstance(algorithm, str):
        return {"algorithm": algorithm}
    if not isinstance(algorithm, Mapping):
        return {}
    options = {f"option.{name}": written(value) for name, value in algorithm.items() if name != "name"}
    return {"algorithm": str(algorithm.get("name", "")), **options}


def _parameter_fields(parameters: Mapping[str, Any], fields: Fields) -> dict[str, str]:
    is_command, mode = fields["task"] == COMMAND, mode_of(fields)
    found: dict[str, str] = {}
    for number, (name, declaration) in enumerate(parameters.items()):
        start = f"row.{number}." if is_command else f"range.{name}."
        parts = _parts(declaration)
        row = {start + part: text for part, text in ({"name": name} | parts if is_command else parts).items()}
        if _says(_declaration(row, start, mode), name, declaration, is_command):
            found |= row
    return found


def _parts(declaration: Any) -> dict[str, str]:
    """Return the fields that come closest to a declaration."""
    if isinstance(declaration, list | tuple):
        return {"kind": "values", "values": listing(declaration)}
    if not isinstance(declaration, Mapping):
        return {"kind": "fixed", "value": written(declaration)}
    parts = {end: written(declaration[end]) for end in ("low", "high", "default") if end in declaration}
    if "choices" in declaration:
        return parts | {"kind": "values", "values": listing(declaration["choices"])}
    if "low" not in declaration or "high" not in declaration:
        return parts
    are_whole = all(type(declaration[end]) is int for end in ("low", "high"))
    is_whole = declaration.get("type", "integer" if are_whole else "float") == "integer"
    scale = "-log" if declaration.get("log") else ""
    return parts | {"kind": f"whole{scale}" if is_whole else "log" if scale else "number"}


def _says(made: Any, name: str, declaration: Any, whole: bool) -> bool:
    """Whether a declaration says the same as another; `whole`: they are no overrides, but declare a parameter."""
    if _same(made, declaration):
        return True
    try:
        return whole and made != {} and parse_parameter(name, made) == parse_parameter(name, declaration)
    except UserError:
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON: 1 is neither true nor 1.0."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except (TypeError, ValueError):
        return False


def _with_rest(spec: Mapping[str, Any], fields: dict[str, str]) -> dict[str, str]:
    """Return fields with all that they do not say in `more`."""
    made = spec_of(fields).spec
    rest: dict[str, Any] = {}
    for field, value in spec.items():
        if _same(made.get(field), value):
            continue
        rest[field] = value
        if field in _NESTED and isinstance(value, str | Mapping):
            rest[field] = _unsaid(_as_mapping(field, value), _as_mapping(field, made.get(field, {})), field)
    rest = {field: value for field, value in rest.items() if value != {}}
    return fields | ({"more": to_yaml(rest)} if rest else {})


def _unsaid(wanted: Mapping[str, Any], told: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return what is not told; a parameter that has fields is told by them, in other words perhaps."""
    is_told = {name for name in told if field == "parameters" or _same(told[name], wanted.get(name))}
    return {name: value for name, value in wanted.items() if name not in is_told}


# Errors ---------------------------------------------------------------------------------------------------


def field_of(error: UserError, fields: Fields) -> str:
    """Return which field of the form an error is about; empty: none."""
    place = error.field
    known = {place: field for field, place in _EVERYWHERE.items()}
    outer, _, inner = place.partition(".")
    if place == "more" or (fields.get("more") and outer in _fields_in_more(fields)):
        return "more"
    if place in known:
        return known[place]
    if outer == "algorithm":
        return f"option.{inner}" if inner else "algorithm"
    if outer in ("command", "code", "task", "scheduler"):
        return outer
    if outer == "objective":
        return "metric"
    if outer == "parameters_from":
        return "best_of"
    if outer in ("warm_start", "tags"):
        return outer
    if place == "parameters":
        return "parameters"
    if outer == "parameters" and inner:
        return _field_of_parameter(inner, fields)
    if error.kind == "bad-data" and fields.get("task") != COMMAND:
        return "data"
    return ""


def _fields_in_more(fields: Fields) -> Sequence[str]:
    try:
        return list(parse_spec(fields["more"], "yaml", "more"))
    except SpecError:
        return []


def _field_of_parameter(place: str, fields: Fields) -> str:
    parts = {"choices": "values", "ordinal": "values", "type": "kind", "log": "kind", "step": "kind"}
    for name, start in _starts(fields):
        if place == name or place.startswith(f"{name}."):
            part = place.removeprefix(name).removeprefix(".").partition(".")[0]
            field = start + parts.get(part, part)
            return field if part and field in fields else first_part(fields, start)
    return ""


def first_part(fields: Fields, start: str) -> str:
    """Return the field of a parameter that stands for its domain."""
    kind = fields.get(f"{start}kind", "")
    part = {"fixed": "value", "values": "values"}.get(kind, "low")
    return f"{start}value" if mode_of(fields) == HAND else start + part


def _starts(fields: Fields) -> Iterator[tuple[str, str]]:
    if fields.get("task") != COMMAND:
        yield from ranges_of(fields).items()
    else:
        yield from ((fields[f"{start}name"].strip(), start) for start in rows_of(fields))
