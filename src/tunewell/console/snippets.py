"""A spec as people take it elsewhere: as a file, as a command, as a program."""

from __future__ import annotations

import pprint
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from tunewell.spec.files import to_yaml

_WIDTH = 88


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to start the same search."""

    #: A word, by which it is known in the page.
    kind: str
    title: str
    text: str


def worker_command(server: str, name: str, spec: Mapping[str, Any], parameters: Iterable[str]) -> str:
    """Return what starts a worker of a search, on the server at an address; it takes the token of `tunewell login`."""
    command = f"tunewell worker {server} {name}"
    if spec.get("command"):
        return command
    return f"{command} -- python train.py {' '.join(quote(f'{{{one}}}') for one in parameters)}"


def snippets(spec: Mapping[str, Any], server: str) -> tuple[Snippet, ...]:
    """Return how the search of a spec is started without a browser, on the server at an address."""
    file = str(spec.get("name", "search")).rpartition("/")[2] + ".yaml"
    command = f"# {file} holds the YAML\ntunewell search {file} --server {server}\n"
    written = pprint.pformat(dict(spec), width=_WIDTH, sort_dicts=False)
    program = (
        f"from tunewell.client import Client\n\nspec = {written}\n"
        f'with Client("{server}") as client:  # with the token of `tunewell login`\n    client.create(spec)\n'
    )
    return (
        Snippet("yaml", "YAML", to_yaml(spec)),
        Snippet("command", "Command line", command),
        Snippet("python", "Python", program),
    )
