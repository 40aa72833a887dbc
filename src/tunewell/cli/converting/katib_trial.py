"""What a trial of Katib runs: the command, environment and resources of its main container."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunewell.cli.converting.source import Notes, Source, as_text
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.space import is_number

_REFERENCE = re.compile(r"\$\{trialParameters\.(.+?)\}")
_VARIABLE = re.compile(r"\$\$|\$\(([A-Za-z_.-][\w.-]*)\)")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGT]|[KMGT]i)?")
_UNITS = {"k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_UNITS |= {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_TRIAL_NAME = "{experiment}-{trial}"


def program_of(template: Source, names: Mapping[str, str], notes: Notes) -> dict[str, Any]:
    """Return the fields of a spec that say what a trial runs; `names`: parameter in the file → parameter here.

    Raises:
        SpecError: there is no such command in the file, or it refers to a parameter that is not there.
    """
    if template.has("configMap"):
        remedy = "Put that template into the file, as `trialSpec`"
        raise SpecError(template.place("configMap"), "the template lies elsewhere, and can't be read", remedy)
    template.ignore("retain", "primaryPodLabels", "successCondition", "failureCondition")
    values = {str(one.take("name", str)): _placeholder(one, names) for one in template.each("trialParameters")}
    container = _container(template, template.take("primaryContainerName", str))
    words = [*_words(container, "command"), *_words(container, "args")]
    if not container.has("command"):
        problem, remedy = "there is none, and what the image runs can't be seen", "Write the image's entrypoint there"
        raise SpecError(container.place("command"), problem, remedy)
    prefix, environment = _environment(container, values, template)
    command = [_filled(_with_variables(word, environment, container), values, template) for word in words]
    if image := container.take("image", str):
        container.note("image", f"{image} is not used; the program and what it needs must be on this machine")
    if folder := container.take("workingDir", str):
        container.note("workingDir", f"{folder} is a folder of the image; the command runs in the folder of the spec")
    container.ignore("name", "imagePullPolicy")
    resources = _resources(container.inside("resources"), notes)
    container.end()
    return {"command": [*prefix, *command], "environment": environment, "resources": resources}


def _words(container: Source, name: str) -> list[str]:
    """Return the arguments in a field, numbers as texts."""
    words = container.take(name, list) or []
    return [_argument(word, f"{container.place(name)}[{place}]") for place, word in enumerate(words)]


def _argument(value: Any, where: str) -> str:
    if isinstance(value, str) or is_number(value):
        return str(value)
    raise SpecError(where, "it is not a text", "Write a text, in quotes")


def _placeholder(parameter: Source, names: Mapping[str, str]) -> str:
    """Return what stands for a parameter of a template in a command."""
    reference, where = parameter.take("reference", str) or "", parameter.place("reference")
    parameter.ignore("name", "description")
    parameter.end()
    if reference in names:
        return f"{{{names[reference]}}}"
    if reference == "${trialSpec.Name}":
        return _TRIAL_NAME
    if reference.startswith("${trialSpec."):
        parameter.notes.add(where, f"{reference} has no counterpart; it stands in the command as it is")
        return as_text(reference)
    raise SpecError(where, f"{shown(reference)} is no parameter", nearest(reference, names), reference)


def _filled(text: str, values: Mapping[str, str], template: Source) -> str:
    """Return an argument whose references to parameters are placeholders, and which has no others."""
    parts, end = [], 0
    for match in _REFERENCE.finditer(text):
        if match[1] not in values:
            place = template.place("trialParameters")
            raise SpecError(place, f"{match[1]} is not there", nearest(match[1], values), match[1])
        value = values[match[1]]
        in_braces = text[: match.start()].endswith("{") and text[match.end() :].startswith("}")
        if in_braces and value.startswith("{") and value != _TRIAL_NAME:
            problem = f"{match[0]} stands right between braces, which makes a text of it"
            raise SpecError(template.place("trialSpec"), problem, "Put a space between", match[0])
        parts += [as_text(text[end : match.start()]), value]
        end = match.end()
    return "".join([*parts, as_text(text[end:])])


def _with_variables(text: str, environment: Mapping[str, str], container: Source) -> str:
    """Return an argument in which `$(NAME)` is replaced, as Kubernetes would."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if match[1] not in environment:
            container.note("args", f"{match[0]} stands as it is, as `env` gives it no value")
        return environment.get(match[1], match[0])

    return _VARIABLE.sub(value, text)


def _environment(container: Source, values: Mapping[str, str], template: Source) -> tuple[list[str], dict[str, str]]:
    """Return what stands before the command to give it variables that differ from trial to trial, and the others."""
    changing, constant = [], {}
    for variable in container.each("env"):
        name, value = variable.take("name", str), variable.take("value", object)
        variable.ignore("valueFrom")
        variable.end()
        if name is None or not _VARIABLE_NAME.fullmatch(name):
            remedy = "Give letters, digits and underscores"
            raise SpecError(variable.place("name"), f"{shown(name)} is no name of a variable", remedy, name)
        if variable.has("valueFrom"):
            variable.notes.add(variable.place("valueFrom"), f"{name} comes from the cluster and is left out")
            continue
        text = "" if value is None else _argument(value, variable.place("value"))
        if _REFERENCE.search(text):
            changing.append(f"{name}={_filled(text, values, template)}")
        else:
            constant[name] = text
    return (["env", *changing] if changing else []), constant


# Finding the container -------------------------------------------------------------------------------------


def _container(template: Source, name: str | None) -> Source:
    """Return the container of this name in whatever kind of resource a trial is; without a name, the only one."""
    resource = template.inside("trialSpec")
    resource.ignore("apiVersion", "kind", "metadata")
    pods = list(_pods(template.take("trialSpec", dict) or {}, ()))
    for path in pods:
        pod = resource
        for part in path:
            pod = pod.inside(part)
            pod.ignore("metadata")
        pod.ignore("restartPolicy")
        containers = pod.each("containers")
        chosen = [one for one in containers if name in (None, one.take("name", str))]
        if not chosen:
            continue
        for one in containers:
            if one is not chosen[0]:
                one.notes.add(one.place("name"), "no other container is started, and it is left out")
        return chosen[0]
    what = "there is no container" if name is None else f"there is no container {shown(name)}"
    raise SpecError(template.place("trialSpec"), what, "Name the one that trains as `primaryContainerName`")


def _pods(resource: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each part of a resource that has containers."""
    if isinstance(resource.get("containers"), list):
        yield path
    for name, part in resource.items():
        if isinstance(part, Mapping):
            yield from _pods(part, (*path, str(name)))


# Resources -------------------------------------------------------------------------------------------------


def _resources(resources: Source, notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("requests", "limits"):  # the latter count
        amounts = resources.take(kind, dict) or {}
        for name, amount in amounts.items():
            where = f"{resources.place(kind)}.{name}"
            if name == "cpu":
                found["cpus"] = _quantity(amount, where)
            elif name == "memory":
                found["memory"] = _size(_whole(amount, where))
            elif str(name).endswith("/gpu"):
                found["gpus"] = _whole(amount, where)
            else:
                notes.add(where, "has no counterpart and is left out")
    return found


def _quantity(amount: Any, where: str) -> float:
    match = _QUANTITY.fullmatch(str(amount))
    if match is None:
        raise SpecError(where, f"{shown(amount)} is no quantity", "Write it like 2, 500m or 4Gi", amount)
    number = float(match[1]) * (0.001 if match[2] == "m" else _UNITS.get(match[2] or "", 1))
    if not math.isfinite(number):
        raise SpecError(where, f"{shown(amount)} is too much", "Write it like 2, 500m or 4Gi", amount)
    return int(number) if number == int(number) else number


def _whole(amount: Any, where: str) -> int:
    number = _quantity(amount, where)
    if number != int(number):
        raise SpecError(where, f"{shown(amount)} is no whole number", "Write it like 2 or 4Gi", amount)
    return int(number)


def _size(amount: int) -> str | int:
    """Return a number of bytes as a spec has it: `4G`, `512M`, or as it is."""
    fitting = (unit for unit in ("G", "M") if amount and amount % _UNITS[f"{unit}i"] == 0)
    unit = next(fitting, None)
    return amount if unit is None else f"{amount // _UNITS[f'{unit}i']}{unit}"
