"""Writes `docs/cli.md` from the commands.

.venv/bin/python -m docs.generate_cli
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from docs.generate_spec import EXIT_CODES, filled, table

from tunewell.cli.app import app

PAGE = Path(__file__).parent / "cli.md"
#: Options of so many commands and more are explained once.
_COMMON = 5
#: What help calls the type of a value → what the page calls it.
_TYPES = {"str": "TEXT", "Path": "PATH", "path": "PATH", "int": "NUMBER", "float": "NUMBER"}
#: What stands in brackets behind the help of an option.
_EXTRA = re.compile(r"^(?P<text>.*?)(?:  \[(?P<extra>[^\]]*)\])?$", re.DOTALL)
_BOUNDS = re.compile(r"(?:(?P<low>[\d.]+)<=)?x(?:<=(?P<high>[\d.]+)|>=(?P<least>[\d.]+))?")

INTRODUCTION = """\
# Commands and options

Every command explains itself: `tunewell COMMAND --help` says what is on this page. Options may stand before or behind
the arguments. In the lines of usage, what is in square brackets may be left out, and `…` may be repeated.
`tunewell --version` prints the version, and `tunewell --install-completion` has your shell complete commands and
options; `--show-completion` prints what that would install.

Commands work on a **home**, the folder that holds the record of searches, their trials and files. It is `.tunewell` in
the current folder unless you name another one. With `--server`, commands ask a [service](service.md) instead.
"""

Option = tuple[str, str]


def page() -> str:
    """Return the whole page."""
    root = typer.main.get_command(app)
    commands = list(_commands(root, typer.Context(root, info_name="tunewell")))
    counts = Counter(option for context, _ in commands for option in _options(context))
    common = {option for option, count in counts.items() if count >= _COMMON}
    sections = [
        INTRODUCTION,
        "## Options of many commands\n\n" + table(("option", "meaning"), [row for row in counts if row in common]),
        "## Exit codes\n\n" + table(("code", "meaning"), ((f"`{code}`", text) for code, text in EXIT_CODES.items())),
        *(_section(context, is_group, common) for context, is_group in commands),
    ]
    return filled("\n".join(section.rstrip() + "\n" for section in sections))


def _commands(command: Any, context: typer.Context) -> Iterator[tuple[typer.Context, bool]]:
    """Give each command below a group in the order of its help, and whether it is a group itself."""
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        below = typer.Context(one, info_name=name, parent=context)
        is_group = hasattr(one, "list_commands")
        yield below, is_group
        if is_group:
            yield from _commands(one, below)


def _section(context: typer.Context, is_group: bool, common: set[Option]) -> str:
    command: Any = context.command
    depth = "##" if context.parent is not None and context.parent.parent is None else "###"
    parts = [f"{depth} {context.command_path}\n"]
    if not is_group:
        parts.append(f"```text\n{_usage(context)}\n```\n")
    parts.append(" ".join(command.help.split()))
    if is_group:
        return "\n".join(parts)
    options = _options(context)
    arguments = [_row(one, context) for one in command.params if one.param_type_name == "argument"]
    own = [option for option in options if option not in common]
    parts += [
        "\n" + table((head, "meaning"), rows).rstrip()
        for head, rows in (("argument", arguments), ("option", own))
        if rows
    ]
    if shared := [option[0] for option in options if option in common]:
        names = ", ".join(re.sub(r" [^`]*`$", "`", name) for name in shared)
        parts.append(f"\n{'Also' if own else 'Options:'} {names}: see [above](#options-of-many-commands).")
    return "\n".join(parts)


def _usage(context: typer.Context) -> str:
    """Return a line that shows the arguments; those that may be left out stand in brackets."""
    words = [context.command_path, "[OPTIONS]"]
    for one in context.command.params:
        if one.param_type_name == "argument":
            name = _argument_name(one)
            name = f"({name})" if one.required and " | " in name else name if one.required else f"[{name}]"
            repeats = one.nargs == -1 or (one.metavar or "").endswith("...")
            words.append(name + ("…" if repeats else ""))
    return " ".join(words)


def _argument_name(argument: Any) -> str:
    name: str = (argument.metavar or argument.name.upper()).removesuffix("...").strip()
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _options(context: typer.Context) -> list[Option]:
    return [_row(one, context) for one in context.command.params if one.param_type_name == "option"]


def _row(parameter: Any, context: typer.Context) -> Option:
    """Return how a parameter is written, and what it means."""
    record = parameter.get_help_record(context)
    match = _EXTRA.match(record[1])
    assert match is not None
    extra = [text for text in (match["extra"] or "").split("; ") if text and text != "required"]
    meaning = " ".join([*match["text"].split(), *map(_sentence, extra)])
    if parameter.param_type_name == "argument":
        return f"`{_argument_name(parameter)}`", meaning
    names = ", ".join(sorted(parameter.opts, key=len)) + "".join(f" / {name}" for name in parameter.secondary_opts)
    return f"`{names}{'' if parameter.is_flag else ' ' + _type(parameter, context)}`", meaning


def _type(option: Any, context: typer.Context) -> str:
    if option.metavar:
        return str(option.metavar)
    label = option.display_type(context).strip("<>").removesuffix(" range")
    if (listed := re.fullmatch(r"list\[(.*)\]", label)) is not None:
        label = listed[1]
    return _TYPES.get(label, label)


def _sentence(extra: str) -> str:
    """Return as a sentence what help has in brackets: a default, a variable or the bounds of a number."""
    what, colon, value = extra.partition(": ")
    if colon:
        return f"{'Variable' if what == 'env var' else what.capitalize()}: `{value}`."
    bounds = _BOUNDS.fullmatch(extra)
    assert bounds is not None, extra
    if bounds["least"]:
        return f"At least {bounds['least']}."
    return f"From {bounds['low']} to {bounds['high']}."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
