"""What a page about a new search shows: what its fields say, what is wrong with it, and what would follow from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tunewell.console import forms
from tunewell.console.form_words import LABELS, option_label, place_of, worded
from tunewell.console.forms import COMMAND, HAND, SEARCH, WARM, Fields
from tunewell.console.kept import ALGORITHM, KEPT, NETWORK, TASK, Kept, show, turn
from tunewell.console.values import listing, written
from tunewell.service.types import Checked, Parameter
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import ConflictError, NotFoundError, SpecError, UserError
from tunewell.spec.files import experiment_name
from tunewell.spec.format import roughly
from tunewell.spec.names import DATASET, called_by, full_name, is_name, own_name

#: Field → what people call it who are to fill it in.
_CALLED = {
    "task": "the task",
    "data": "the data set",
    "command": "the start command",
    "metric": "the metric",
    "goal": "whether higher or lower is better",
    "best_of": "an earlier search",
    "warm_start": "at least one earlier search",
    "parameters": "a parameter to search",
}
#: How a finding begins that is an advice.
_ADVICE = "Advice: "
#: Fields of a spec that its parameters follow from, where nobody has changed any.
_BASIS = ("task", "data", "network", "weights")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field of the form."""

    #: Empty: with none in particular.
    field: str
    #: What people call what it is about.
    label: str
    #: What is wrong, and what to do about it; with the field of the spec where the form has none.
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """What is still to be said."""

    field: str
    #: What people call it: `the data set`.
    called: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a form says, and what follows from it."""

    fields: Fields
    #: What was filled in and is not shown.
    kept: Kept
    #: With a name, if people have given none.
    spec: Mapping[str, Any]
    #: The name that the search gets where people give none.
    suggested: str
    #: None: something is wrong, or still to be said.
    checked: Checked | None
    problems: Sequence[Problem]
    missing: Sequence[Missing]
    #: The network that is trained, and the parameters as they are where nobody has changed any.
    network: str
    parameters: Sequence[Parameter]
    #: What was found in the data, a line each.
    findings: Sequence[str]

    def problems_of(self, field: str) -> list[Problem]:
        """Return what is wrong with a field."""
        return [problem for problem in self.problems if problem.field == field]

    def has_problems(self, *beginnings: str) -> bool:
        """Whether something is wrong with fields that begin so."""
        return any(problem.field.startswith(beginnings) for problem in self.problems)

    @property
    def duration(self) -> str:
        """How long it may take, as exact as one can say; empty: nothing tells."""
        estimate = self.checked.estimate if self.checked is not None else None
        return "" if estimate is None or estimate.seconds is None else roughly(estimate.seconds)

    @property
    def limits(self) -> list[str]:
        """Sentences on limits that are too short, which are called as the form does."""
        estimate = self.checked.estimate if self.checked is not None else None
        return [as_labelled(warning) for warning in (estimate.warnings if estimate is not None else ())]

    @property
    def told(self) -> str:
        """What is known of how long it takes, in the words of the form; empty: nothing."""
        estimate = self.checked.estimate if self.checked is not None else None
        return "" if estimate is None else as_labelled(estimate.told)

    @property
    def advice(self) -> str:
        """What is advised about the share of the data; empty: nothing."""
        told = (line.removeprefix(_ADVICE) for line in self.findings if line.startswith(_ADVICE))
        return next(told, "")


@dataclass(frozen=True, slots=True)
class _Basis:
    """What follows from task, data and network alone."""

    checked: Checked | None
    network: str
    parameters: Sequence[Parameter]
    spec: Mapping[str, Any]


def look(
    verbs: Verbs,
    owner: str,
    fields: Fields,
    *,
    strict: bool,
    is_new: bool = True,
    also: Sequence[UserError] = (),
    measure: bool = False,
) -> Look:
    """Return what the fields of a form say, and what follows from it.

    Args:
        verbs: those of whoever fills it in.
        owner: whoever that is.
        fields: of the form.
        strict: whether what is still empty is a mistake by now.
        is_new: whether an experiment of the name that was given is a mistake, and another is suggested; else it is the
            one that was asked for before, perhaps by the same button.
        also: what is wrong besides.
        measure: whether it is measured how long a trial takes, where nothing tells.
    """
    kept = Kept.read(fields.get(KEPT, ""))
    fields = _as_called(owner, {name: text for name, text in fields.items() if name != KEPT})
    is_other_task = kept.at.get(TASK, fields.get("task", "")) != fields.get("task", "")
    fields, kept = _at_task(verbs, fields, kept)
    basis = _basis(verbs, fields)
    at_network = basis.network or ("" if is_other_task else kept.at.get(NETWORK, ""))
    fields, kept = turn(fields, kept, NETWORK, at_network, lambda name, text: bool(at_network))
    fields = forms.with_rows(fields, kept.of("row."))
    fields, kept = show(fields, kept, _shown_with(basis.parameters), lambda name: name.endswith(".kind"))
    fields = _completed(fields, basis.parameters)
    draft = forms.spec_of(fields)
    suggested = (not is_new and fields.get("suggested")) or _suggested_name(verbs, owner, draft.spec, basis.network)
    spec = {"name": suggested, **draft.spec}
    errors = [*also, *([] if draft.problem is None else [draft.problem])]
    checked, undeclared = None, _undeclared(fields, draft.spec)
    try:
        if is_new and isinstance(spec["name"], str) and "name" in draft.spec:
            _check_is_new(verbs, spec["name"])
        is_known = basis.checked is not None and spec == {"name": suggested, **basis.spec} and not measure
        checked = basis.checked if is_known else verbs.check(_with_stand_ins(spec, undeclared, fields), measure=measure)
    except UserError as error:
        errors += error.parts
    problems, missing = _sorted(errors, fields, strict, _options(verbs, fields))
    missing = _unsaid(fields, draft.spec, missing)
    missing += [Missing(field, called) for field, called in undeclared.values()]
    if strict:
        problems += [Problem(one.field, label_of(one.field, fields), _is_missing(one.called)) for one in missing]
        missing = []
    problems += _row_problems(fields)
    problems.sort(key=lambda problem: place_of(problem.field))
    found = checked or basis.checked
    return Look(
        fields=fields,
        kept=kept,
        spec=spec,
        suggested=suggested,
        checked=checked if not problems and not missing else None,
        problems=problems,
        missing=missing,
        network=basis.network,
        parameters=basis.parameters,
        findings=found.findings if found is not None else (),
    )


def _as_called(owner: str, fields: Fields) -> dict[str, str]:
    """Return fields in which what has an owner is called in one way."""
    called = dict(fields)
    data = fields.get("data", "").removeprefix(DATASET)
    if is_name(data):  # a path on the machine can't be named from elsewhere
        called["data"] = DATASET + _called(owner, data)
    for field in ("best_of", "warm_start"):
        called[field] = ", ".join(_called(owner, name) for name in forms.names_in(fields.get(field, "")))
    return called


def _at_task(verbs: Verbs, fields: Fields, kept: Kept) -> tuple[dict[str, str], Kept]:
    """Return fields and what is kept, as task and algorithm have them; what another task has, too, is taken along."""
    task = fields.get("task", "")
    known = {one.name: one for one in verbs.tasks()}.get(task)
    fits = {"network": known.networks, "metric": known.metrics, "weights": ("auto", "none")} if known else {}
    found, kept = turn(fields, kept, TASK, task, lambda name, text: text in fits.get(name, ()))
    return turn(found, kept, ALGORITHM, fields.get("algorithm") or "auto", lambda name, text: False)


def _shown_with(parameters: Sequence[Parameter]) -> Callable[[str, Fields], bool]:
    """Return what tells whether a field is shown among others, for a network with these parameters."""
    have_values = {one.name: "choices" in one.declaration or "ordinal" in one.declaration for one in parameters}

    def is_shown(name: str, fields: Fields) -> bool:
        mode = forms.mode_of(fields)
        if name in forms.OF_SEARCHES:
            return mode in (SEARCH, WARM) and not (name in forms.OF_MACHINES and forms.by_workers(fields))
        if name in forms.OF_MACHINES:
            return not forms.by_workers(fields)
        start, _, part = name.rpartition(".")
        kind = fields.get(f"{start}.kind", "")
        if name.startswith("range."):
            return part in forms.parts_shown(kind, mode == HAND, have_values.get(start.removeprefix("range.")))
        if name.startswith("row.") and part not in ("name", "from", "kind"):
            return part in forms.parts_shown(kind or forms.ROW["kind"], mode == HAND, False)
        return True

    return is_shown


def _unsaid(fields: Fields, spec: Mapping[str, Any], missing: Sequence[Missing]) -> list[Missing]:
    """Return what else is missing, too: the planner asks for one after the other, and for no earlier searches."""
    lacks = []
    if fields.get("task") == COMMAND:
        objective = spec.get("objective", {})
        if not spec.get("command") and not forms.by_workers(fields):
            lacks.append(Missing("command", _CALLED["command"]))
        if not objective or (isinstance(objective, Mapping) and not objective.get("metric")):
            lacks.append(Missing("metric", _CALLED["metric"]))
    if forms.mode_of(fields) == WARM and not spec.get("warm_start"):
        lacks.append(Missing("warm_start", _CALLED["warm_start"]))
    return list(dict.fromkeys([*lacks, *missing]))


def _undeclared(fields: Fields, spec: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return parameters of a command that lack a range or value, the field for it, and what people call that."""
    by_hand, said = forms.mode_of(fields) == HAND, spec.get("parameters", {})
    return {
        name: (forms.first_part(fields, start), f"{'a value' if by_hand else 'a range'} for {name}")
        for name, start in forms.undeclared_rows(fields).items()
        if name not in said
    }


def _with_stand_ins(spec: Mapping[str, Any], names: Iterable[str], fields: Fields) -> Mapping[str, Any]:
    """Return the spec with some declaration for parameters that lack one, so that all else can be checked."""
    stand_in: Any = 0 if forms.mode_of(fields) == HAND else {"low": 0.0, "high": 1.0}
    own = spec.get("parameters", {})
    missing = dict.fromkeys(names, stand_in)
    return {**spec, "parameters": {**missing, **own}} if missing and isinstance(own, Mapping) else spec


def _options(verbs: Verbs, fields: Fields) -> dict[str, str]:
    """Return the options of the algorithm and their labels."""
    named = fields.get("algorithm") or "auto"
    return {
        option.name: option_label(option.name)
        for one in verbs.algorithms()
        if one.name == named
        for option in one.options
    }


def as_labelled(text: str) -> str:
    """Return a text in which limits on time are called as the form calls them."""
    for field in ("max_trial_duration", "max_duration"):
        text = text.replace(field, f"“{LABELS[field]}”")
    return text


def _called(owner: str, name: str) -> str:
    return called_by(owner, full_name(owner, name)) if is_name(name) else name


def _basis(verbs: Verbs, fields: Fields) -> _Basis:
    spec = forms.spec_of({**fields, "more": ""}).spec
    if "task" not in spec:
        return _Basis(None, "", (), spec)
    basis = {field: spec[field] for field in _BASIS if field in spec}
    resources = {name: spec["resources"][name] for name in ("gpus", "gpu_type") if name in spec.get("resources", {})}
    if resources:
        basis["resources"] = resources
    named = str(basis.get("network", ""))
    try:
        checked = verbs.check({"name": "search", **basis})
    except UserError:
        try:
            return _Basis(None, named, verbs.network(named).parameters if named else (), basis)
        except NotFoundError:
            return _Basis(None, "", (), basis)
    sources = {parameter.name: parameter.source for parameter in verbs.network(checked.network).parameters}
    told = (one.model_copy(update={"source": sources.get(one.name, "")}) for one in checked.parameters)
    return _Basis(checked, checked.network, tuple(told), basis)


def _completed(fields: Fields, parameters: Sequence[Parameter]) -> dict[str, str]:
    """Return fields without those of parameters that the network lacks, and with values where their kind needs some."""
    completed = dict(fields)
    if not parameters:
        return completed
    known = {parameter.name: parameter for parameter in parameters}
    for name, start in forms.ranges_of(fields).items():
        if name not in known:
            completed = {field: text for field, text in completed.items() if not field.startswith(start)}
            continue
        for part, text in _own_values(known[name].declaration, fields.get(f"{start}kind", "")).items():
            completed[start + part] = completed.get(start + part, "").strip() or text
    return completed


def _own_values(declaration: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return what a kind that people have chosen begins with: what the network has."""
    choices = declaration.get("choices", declaration.get("ordinal"))
    default = declaration.get("default", declaration.get("low", choices[0] if choices else None))
    if kind == "fixed":
        return {"value": written(default)}
    if kind == "values":
        return {"values": listing(choices if choices is not None else [default])}
    if kind in ("number", "log", "whole", "whole-log") and "low" in declaration:
        return {end: written(declaration[end]) for end in ("low", "high")}
    return {}


def _check_is_new(verbs: Verbs, name: str) -> None:
    try:
        verbs.experiment(name)
    except UserError:  # what is wrong with the name itself, the check says
        return
    raise SpecError("name", f"there is an experiment '{name}' already", "Take another name")


def _suggested_name(verbs: Verbs, owner: str, spec: Mapping[str, Any], network: str) -> str:
    """Return a name that no experiment of the owner's has, in the bin neither."""
    words = [own_name(str(spec.get("data", "")).removeprefix(DATASET)), network]
    command = spec.get("command")
    if isinstance(command, list):
        texts = [one for one in command[:5] if isinstance(one, str)]
        scripts = [one for one in texts if PurePosixPath(one).suffix and not one.startswith("-")]
        words = [PurePosixPath(one).stem for one in (scripts or texts)[:1]]
    name = experiment_name("-".join(word for word in words if word))[:90]
    taken = {
        own_name(one.name)
        for deleted in (False, True)
        for one in verbs.experiments(search=name, owner=owner, deleted=deleted, limit=MOST).items
    }
    return next(one for one in _numbered(name) if one not in taken)


def _numbered(name: str) -> Iterator[str]:
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))


def _sorted(
    errors: Sequence[UserError], fields: Fields, strict: bool, options: Mapping[str, str]
) -> tuple[list[Problem], list[Missing]]:
    """Return what is wrong, and what is still to be said."""
    problems, missing = [], []
    for error in errors:
        field = forms.field_of(error, fields)
        may_lack = field in _CALLED or field.startswith("row.")
        is_empty = may_lack and not fields.get(field, "").strip()
        if is_empty and not isinstance(error, ConflictError):
            missing.append(Missing(field, _CALLED.get(field) or f"the range of {label_of(field, fields)}"))
        elif field == "more":
            problems.append(Problem(field, label_of(field, fields), str(error)))
        else:
            where = "" if field else f"{error.field}: "
            problems.append(Problem(field, label_of(field, fields), where + worded(error, options)))
    return problems, list(dict.fromkeys(missing))


def _is_missing(called: str) -> str:
    return f"{called[0].upper()}{called[1:]} is missing."


def _row_problems(fields: Fields) -> Iterator[Problem]:
    """Yield what is wrong with the names of a command's parameters, which no spec can hold."""
    seen: set[str] = set()
    rows = forms.rows_of(fields) if fields.get("task") == forms.COMMAND else []
    for start in rows:
        name = fields[f"{start}name"].strip()
        parts = ("low", "high", "values", "value", "default")
        if not name and any(fields.get(start + part, "").strip() for part in parts):
            yield Problem(f"{start}name", "a parameter", "The name of the parameter is missing.")
        elif name and name in seen:
            yield Problem(f"{start}name", name, f"There is a parameter '{name}' already.")
        seen.add(name)


def label_of(field: str, fields: Fields) -> str:
    """Return what people call a field: a parameter by its name."""
    start, _, part = field.rpartition(".")
    if field.startswith("range."):
        return start.removeprefix("range.")
    if field.startswith("row."):
        return fields.get(f"{start}.name", "").strip() or "a parameter"
    return LABELS.get(field) or option_label(part)
