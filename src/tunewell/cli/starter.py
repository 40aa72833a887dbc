"""A first spec for pictures, a program or a file of another tool, to be read, changed and searched with."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.cli.converting.conversion import SUFFIXES, convert
from tunewell.cli.converting.source import in_a_line
from tunewell.cli.printed import printed_metrics
from tunewell.service.findings import check_spec
from tunewell.spec.errors import ArgumentError, DataError, UserError, listed, shown
from tunewell.spec.experiment import guess_goal

#: Built-in tasks, those first that ask most of their data: what the first one can train is most likely meant.
TASKS_IN_ORDER = ("instance-segmentation", "object-detection", "image-classification", "multilabel-classification")
#: Options of programs that are no hyperparameters.
_NOT_SEARCHED = ("seed", "num_workers", "workers", "gpu", "gpus", "port", "rank", "local_rank", "epochs", "verbose")
#: Words that are no strings in YAML.
_YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", ".inf", ".nan")


@dataclass(frozen=True, slots=True)
class Starter:
    """A spec as text."""

    #: What the search may be called.
    name: str
    #: What is searched over, for people.
    about: str
    text: str
    #: What a file of another tool says, and the spec does not, or in another way.
    notes: tuple[str, ...] = ()


def starter_for(path: Path, folder: Path) -> Starter:
    """Return a spec for what lies at a path, to lie in a folder.

    Raises:
        ArgumentError: there is nothing, or a spec.
        DataError: it is a folder that no built-in task can read, or a file that can't be read.
        UserError: what the built-in tasks need is not installed.
        SpecError, SpecErrors: it is a file of another tool, and wrong.
    """
    if not path.exists():
        remedy = "Name a folder of pictures, a program, or a file of NNI or Katib"
        raise ArgumentError("path", f"there is no file or folder {shown(str(path))}", remedy, str(path))
    if path.suffix.lower() in SUFFIXES and path.is_file():
        made = convert(path, folder)
        return Starter(made.name, f"the space of {path} ({made.tool})", made.text, made.notes)
    place = os.path.relpath(path.resolve(), folder.resolve())
    return _for_data(path, place) if path.is_dir() or path.suffix == ".csv" else _for_program(path, place)


def _name(path: Path) -> str:
    return path.resolve().stem or "search"


# Data ------------------------------------------------------------------------------------------------------


def _for_data(path: Path, place: str) -> Starter:
    able, errors = [], dict[str, UserError]()
    for task in TASKS_IN_ORDER:
        try:
            checked = check_spec({"name": "starter", "task": task, "data": str(path)})
        except UserError as error:
            errors[task] = error
        else:
            able.append((task, checked))
    if not able:
        why = errors["image-classification"]
        if why.kind == "library-missing":  # which says nothing of the data
            raise why
        raise DataError(
            f"no built-in task can read it; image-classification says: {why}",
            field=str(path),
            remedy="The pages 'Pictures' and 'Objects in pictures' have the layouts; or name your own program",
        )
    (task, checked), *others = able
    also = f"  # or {', '.join(other for other, _ in others)}, which can read this data, too" if others else ""
    lines = [
        f"# A search over {task}. `tunewell check` says what follows from it, `tunewell search` runs it.",
        f"task: {task}{also}",
        f"data: {_yaml(place)}",
        f"network: {checked.network}  # the default; `tunewell tasks {task}` lists all",
        "objective:",
        f"  metric: {checked.objective.metric}",
        f"  goal: {checked.objective.goal}",
        f"max_trials: {checked.max_trials}",
        "max_duration: 8h",
        "# parameters:  # what is searched has good defaults; here it can be narrowed, widened or fixed",
        *(f"#   {name}" for name in _examples([parameter.name for parameter in checked.parameters])),
    ]
    return Starter(_name(path), f"{task} on {path}", "\n".join(lines) + "\n")


def _examples(names: list[str]) -> Iterator[str]:
    if "learning_rate" in names:
        yield "learning_rate: {low: 1e-4, high: 1e-2, log: true}"
    if "image_size" in names:
        yield "image_size: 224"


# Programs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Option:
    """An option of a program that may be a hyperparameter."""

    flag: str
    name: str
    #: Range or choices, as a declaration in YAML.
    domain: str
    #: What the program takes if the option is not given; None: that is not known.
    default: Any = None

    @property
    def with_default(self) -> str:
        """The declaration with its default."""
        fields = f"{{choices: {self.domain}" if self.domain.startswith("[") else self.domain.removesuffix("}")
        return f"{fields}, default: {json.dumps(self.default)}}}"


def _for_program(path: Path, place: str) -> Starter:
    is_python = path.suffix == ".py"
    tree = _code(path) if is_python else ast.Module([], [])
    options, has_defaults = list(_options(tree)), False
    program = ["python", place] if is_python else [place if "/" in place else f"./{place}"]
    if options:
        ranges = "# Ranges are guessed from the defaults of the program's options: make them yours."
        if has_defaults := all(one.default is not None for one in options):
            ranges += " Trial 1 has the defaults."
        arguments = [part for one in options for part in (one.flag, f"{{{one.name}}}")]
    else:
        ranges = "# Name what is searched, and hand it to the program: {learning_rate} stands for the trial's value."
        options = [_Option("--learning-rate", "learning_rate", "{low: 1e-4, high: 1e-1, log: true}")]
        arguments = ["--learning-rate", "{learning_rate}"]
    command = ", ".join(map(_yaml, [*program, *arguments]))
    lines = [
        f"# A search over {in_a_line(path.name)}. "
        "`tunewell check` says what follows from it, `tunewell search` runs it.",
        f"command: [{command}]",
        "objective:",
        *_objective(printed_metrics(tree)),
        ranges,
        "parameters:",
        *(f"  {one.name}: {one.with_default if has_defaults else one.domain}" for one in options),
        "max_trials: 30",
        "max_duration: 8h",
        "# early_stopping: halving  # where the program reports after each epoch: `step=3 accuracy=0.91`",
    ]
    return Starter(_name(path), f"the program {path}", "\n".join(lines) + "\n")


def _code(path: Path) -> ast.Module:
    """Return the code of a Python program; one that can't be read tells nothing."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _objective(metrics: list[str]) -> Iterator[str]:
    """Yield the lines of the objective: the first of the metrics that the program prints, if that is known."""
    if not metrics:
        yield "  metric: accuracy  # write what your program prints, as in `accuracy=0.93`; or what it reports with"
        yield "                    # tunewell.report(accuracy=0.93)"
        yield "  goal: maximize"
        return
    name, *others = metrics
    more = f", like {listed(others, 5)}" if others else ""
    yield f"  metric: {_yaml(name)}  # printed or reported by the program{more}"
    yield f"  goal: {guess_goal(name)}"


def _options(tree: ast.Module) -> Iterator[_Option]:
    """Yield the numeric options and choices that a Python program declares with argparse."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
            flags = [value for value in map(_literal, call.args) if isinstance(value, str) and value.startswith("--")]
            given = {one.arg: _literal(one.value) for one in call.keywords if one.arg}
            if any(one.arg == "type" and ast.unparse(one.value) == "float" for one in call.keywords):
                given["default"] = _as_float(given.get("default"))
            if flags and (domain := _domain(given)) is not None:
                name = str(given.get("dest") or flags[0].lstrip("-").replace("-", "_"))
                if name.isidentifier() and name not in _NOT_SEARCHED:
                    default, choices = given.get("default"), given.get("choices")
                    is_known = default is not None and (not choices or default in choices)
                    yield _Option(flags[0], name, domain, default if is_known else None)


def _domain(given: dict[str, Any]) -> str | None:
    """Return the declaration of an option by its choices or its default; None: it tells nothing."""
    choices, default = given.get("choices"), given.get("default")
    if isinstance(choices, list | tuple) and len(choices) > 1:
        return json.dumps(list(choices))
    if isinstance(default, bool) or not isinstance(default, int | float) or default <= 0:
        return None
    if isinstance(default, int):
        return f"{{low: {max(1, default // 4)}, high: {default * 4}, log: true, type: int}}"
    if default < 0.1 or default >= 10:
        return f"{{low: {default / 10:g}, high: {default * 10:g}, log: true}}"
    return f"{{low: 0.0, high: {1.0 if default < 1 else default * 2:g}}}"


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal; None: it is something else."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def _yaml(text: str) -> str:
    """Return text as a YAML string, without quotes where it needs none."""
    is_plain = re.fullmatch(r"[A-Za-z./_][\w./-]*", text, re.ASCII) and text.lower() not in _YAML_WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
