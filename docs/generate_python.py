"""Writes `docs/python.md` from the signatures and docstrings of what programs may import.

.venv/bin/python -m docs.generate_python
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.generate_spec import filled, table

import tunewell
from tunewell.client import Client
from tunewell.service.types import ExperimentSummary, Trial, TrialResult
from tunewell.tuners import create
from tunewell.tuners.ask_and_tell import Told
from tunewell.tuners.contract import Suggestion

PAGE = Path(__file__).parent / "python.md"
_INTEGRATIONS = Path(tunewell.__file__).parent / "integrations"
#: Modules that the others share.
_SHARED = ("__init__", "mirror", "required")
#: A signature that is longer has a line for each argument.
_LINE = 100
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):\n((?:^(?: {4}.*)?\n?)+)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}([\w*]+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
_HEADS = {"Args": "", "Returns": "Returns: ", "Raises": "Raises ", "Yields": "Yields: "}

INTRODUCTION = """\
# Python reference

What a program may import from `tunewell`, with the arguments of each name. [Python functions](functions.md) shows how
to use it. What is not on this page may change at any time. All of it has types, so that mypy and editors know the
arguments.

A mistake in a call raises a `UserError` (`tunewell.spec.errors`), which names field, value and remedy. All other errors
that are named here are kinds of it, but for those that Python has itself. Some types have names:

| name | what it is |
|---|---|
| `Goal` | `"maximize"` or `"minimize"` |
| `AlgorithmName`, `EarlyStoppingRule` | a name on the page [Algorithms](algorithms.md) |
| `SchedulerName` | `"auto"`, `"inline"`, `"local"` or `"ray"` |
| `Duration` | a number of seconds, a text such as `"90m"`, or a `timedelta` |
| `Visibility` | `"team"` or `"private"` |
| `OnTrial` | a function that takes a trial, and gives back nothing |
| `Declaration` | what declares a parameter, as a mapping of a [spec](spec.md#parameters) does |
| `When` | a mapping of parameters to the value, or the list of values, that each must have |
| `Configuration`, `JsonObject` | a mapping of names to values |
| `Moment` | a `datetime` with its zone |
"""

#: Heading → what is told first, and the names of `tunewell` below it: together they are all public names.
SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Searching": ("", ("search", "load", "experiments", "Result")),
    "Parameters": (
        "What a parameter may be. `when` makes it one that is there only while others have certain values, such as "
        '`when={"optimizer": "sgd"}`. `default` is its value in the first trial.',
        ("uniform", "loguniform", "integer", "choice", "ordinal"),
    ),
    "Inside a trial": (
        "For training code, be it a program or a function. Outside of a trial these functions do no harm, so that the "
        "code can be run by hand.",
        (
            "report",
            "parameters",
            "checkpoint_dir",
            "output_dir",
            "fidelity",
            "sampling",
            "fail",
            "Pruned",
            "Trial",
        ),
    ),
    "Ask and tell": ("", ("AskAndTell",)),
    "A server": ("", ("Client", "AsyncClient")),
}
#: Class → what it has, which its own words leave out.
ATTRIBUTES: Mapping[type, str] = {
    tunewell.Result: "`.name` is the name of the experiment.",
    tunewell.Trial: "`.number` is its number, `.parameters` its hyperparameters by name. `.fidelity` is the share of "
    "the full training that it gets, and `.sampling` the share of the training data; both in (0, 1].",
}
#: What the above give back: its name → its type.
ANSWERS: Mapping[str, type] = {
    "TrialResult": TrialResult,
    "Trial of a callback": Trial,
    "ExperimentSummary": ExperimentSummary,
    "Suggestion": Suggestion,
    "Told": Told,
}


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for heading, (text, names) in SECTIONS.items():
        parts += [f"## {heading}\n", text, *(_described(getattr(tunewell, name), f"tunewell.{name}") for name in names)]
        if heading == "Ask and tell":
            parts += [
                _described(create, "tunewell.tuners.create"),
                "The tuner has `ask()`, which gives a `Suggestion`, and `tell(outcome)`, which takes "
                "`suggestion.outcome(value)` or `suggestion.failure(cause)`.",
            ]
    parts += ["### Methods of a client\n", _verbs()]
    parts += ["## What is given back\n", *(_fields(name, kind) for name, kind in ANSWERS.items())]
    parts += ["## Other libraries\n", "[Other libraries](integrations.md) shows how each is used.", *_integrations()]
    return filled("\n".join(part.rstrip() + "\n" for part in parts if part))


def _described(value: Any, name: str) -> str:
    """Return the section of a function, or of a class with its public methods."""
    parts = [f"### {name}\n"]
    if not inspect.isclass(value):
        return "\n".join([*parts, _code(name, _definition(value)), _text(inspect.getdoc(value))])
    is_client = name.endswith("Client")
    is_made_by_users = value in (tunewell.AskAndTell, tunewell.AsyncClient, tunewell.Client)
    if is_made_by_users:
        parts.append(_code(name, _definition(value.__init__)))
    parts.append(_text(inspect.getdoc(value)))
    if is_made_by_users and value.__init__.__doc__:
        parts.append(_text(inspect.getdoc(value.__init__)))
    if value in ATTRIBUTES:
        parts.append(ATTRIBUTES[value] + "\n")
    own = [] if is_client else [one for one in vars(value).items() if not one[0].startswith("_")]
    for method, what in own:
        if isinstance(what, property):
            parts.append(f"`.{method}`: {_text(inspect.getdoc(what)).strip()}\n")
        elif inspect.isfunction(what) and inspect.getdoc(what):
            parts += [_code(f".{method}", _definition(what)), _text(inspect.getdoc(what))]
    return "\n".join(parts)


def _definition(function: Any) -> ast.FunctionDef:
    found = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def _code(name: str, definition: ast.FunctionDef) -> str:
    """Return a signature: in a line, or a line for each argument."""
    arguments = list(_arguments(definition.args))
    back = (
        "" if definition.returns is None or definition.name == "__init__" else f" -> {_annotation(definition.returns)}"
    )
    line = f"{name}({', '.join(arguments)}){back}"
    if len(line) > _LINE:
        line = "\n".join((f"{name}(", *(f"    {argument}," for argument in arguments), f"){back}"))
    return f"```py\n{line}\n```\n"


def _arguments(given: ast.arguments) -> Iterator[str]:
    """Give each argument as it is written, `self` left out."""
    positional = [*given.posonlyargs, *given.args]
    without = len(positional) - len(given.defaults)
    for place, argument in enumerate(positional):
        if argument.arg != "self":
            yield _argument(argument, given.defaults[place - without] if place >= without else None)
        if given.posonlyargs and place == len(given.posonlyargs) - 1:
            yield "/"
    if given.vararg is not None:
        yield f"*{_argument(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, default)
    if given.kwarg is not None:
        yield f"**{_argument(given.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = "" if argument.annotation is None else f": {_annotation(argument.annotation)}"
    if default is None:
        return argument.arg + kind
    value = ast.unparse(default).replace("NO_DEFAULT", "...")
    return f"{argument.arg}{kind} = {value}" if kind else f"{argument.arg}={value}"


def _annotation(annotation: ast.expr) -> str:
    return re.sub(r"\b(?:verbs|types)\.", "", ast.unparse(annotation)).strip("'")


def _text(docstring: str | None) -> str:
    """Return a docstring in Markdown: its arguments as a list."""

    def section(found: re.Match[str]) -> str:
        head, body = found[1], found[2]
        entries = _ENTRY.findall(body)
        if not entries or head in ("Returns", "Yields"):
            return _HEADS[head] + " ".join(body.split()) + "\n\n"
        if head == "Raises":
            return "".join(f"Raises `{name}`: {' '.join(text.split())}\n\n" for name, text in entries)
        return "\n".join(f"- `{name}`: {' '.join(text.split())}" for name, text in entries) + "\n\n"

    said = (docstring or "").replace("`docs/spec.md`", "[the spec](spec.md)")
    return _SECTION.sub(section, said + "\n").rstrip() + "\n"


def _verbs() -> str:
    """Return the methods of a client, each with its arguments and its first sentence."""
    rows = []
    for name, method in sorted(inspect.getmembers(Client, inspect.isfunction)):
        if name.startswith("_"):
            continue
        names = [re.sub(r"[:=].*", "", argument).strip() for argument in _arguments(_definition(method).args)]
        said = (inspect.getdoc(method) or "").partition("\n\n")[0]
        rows.append((f"`{name}({', '.join(names)})`", " ".join(said.split())))
    story = "[A service for a team](service.md#a-search-from-its-start-to-its-end)"
    methods = table(("method", "what it does"), rows)
    return f"Each is a verb of the service; {story} tells what they do together.\n\n{methods}"


def _fields(name: str, kind: type) -> str:
    """Return the fields of a type, with the comments that stand above them."""
    lines = textwrap.dedent(inspect.getsource(kind)).split("\n")
    rows, said = [], list[str]()
    for line in lines:
        if comment := re.fullmatch(r" {4}#: (.*)", line):
            said.append(comment[1])
        elif field := re.fullmatch(r" {4}(\w+): ([^=]+?)(?: = .*)?", line):
            rows.append((f"`{field[1]}`", f"`{field[2]}`", " ".join(said)))
            said = []
        elif line.startswith("    def "):
            break
    return f"### {name}\n\n{_text(inspect.getdoc(kind))}\n{table(('field', 'type', 'meaning'), rows)}"


def integrations() -> list[str]:
    """Return the names of the modules for other libraries."""
    return sorted(file.stem for file in _INTEGRATIONS.glob("*.py") if file.stem not in _SHARED)


def _integrations() -> Iterator[str]:
    """Give a section a module; they are read and not imported, since few people have all libraries."""
    for name in integrations():
        tree = ast.parse((_INTEGRATIONS / f"{name}.py").read_text(encoding="utf-8"))
        yield f"### tunewell.integrations.{name}\n\n{_text(ast.get_docstring(tree))}"
        for one in tree.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                yield f"{_code(one.name, one)}\n{_text(ast.get_docstring(one))}"
            elif isinstance(one, ast.ClassDef) and not one.name.startswith("_"):
                made = next((part for part in one.body if getattr(part, "name", "") == "__init__"), None)
                code = _code(one.name, made) if isinstance(made, ast.FunctionDef) else f"```py\n{one.name}()\n```\n"
                also = ast.get_docstring(made) if isinstance(made, ast.FunctionDef) else None
                yield "\n".join(part for part in (code, _text(ast.get_docstring(one)), also and _text(also)) if part)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
