"""Every block of the documentation is run, but for those that are named with the reason."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.docs.pages import DOCS, LINES_NOT_RUN, NOT_RUN, ROOT, Block, all_blocks
from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import parse_spec
from tunewell.spec.files import parse_spec as parse_yaml

PAGES = (*(file.name for file in sorted(ROOT.glob("*.md"))), *(file.name for file in sorted(DOCS.glob("*.md"))))
#: Pages whose blocks are run, each by a test of that module.
RUN_BY = {
    "integrations.md": "tests.integrations.test_page",
    **dict.fromkeys(
        (
            "README.md",
            "coming_from.md",
            "commands.md",
            "console.md",
            "datasets.md",
            "functions.md",
            "index.md",
            "models.md",
            "notifications.md",
            "objects.md",
            "operations.md",
            "postgresql.md",
            "searches.md",
            "service.md",
            "workers.md",
        ),
        "tests.docs.test_blocks",
    ),
}
#: Written by a generator, which `tests/cli/test_reference.py` compares: lines of usage with names in place of values.
GENERATED = "cli.md"
_COMMAND = re.compile(r"^(?:sudo |\./dev |tunewell |curl |docker |pip |python |useradd )", re.MULTILINE)
#: Files of other tools, which a page has `tunewell init` read.
_FOREIGN = ("config.yml", "experiment.yaml")


def is_run(block: Block) -> bool:
    """Whether a block is one to be run: a program, or commands in whatever language."""
    return block.language in ("sh", "python", "sql") or _COMMAND.search(block.text) is not None


FOUND = [block for name in PAGES if name != GENERATED for block in all_blocks(name)]


def test_each_block_is_run_or_named() -> None:
    """A block that no test runs is named with the reason, so that a new one is not forgotten."""
    left = [block for block in FOUND if is_run(block) and block.why_not is None]
    forgotten = [
        f"{block.page}: {block.text.splitlines()[0]}"
        for block in left
        if block.page not in RUN_BY or not (block.file or block.language in ("sh", "python", "sql"))
    ]
    assert not forgotten
    assert {block.page for block in left} == set(RUN_BY)


@pytest.mark.parametrize("name", RUN_BY)
def test_the_tests_that_run_pages_are_there(name: str) -> None:
    """The module that is said to run a page names it."""
    assert f'"{name}"' in inspect.getsource(importlib.import_module(RUN_BY[name]))


def test_what_is_not_run_is_there() -> None:
    """No block is named, and no line, that is not in the documentation any more."""
    for name, heads in NOT_RUN.items():
        for head in heads:
            assert any(block.text.startswith(head) for block in all_blocks(name)), head
    for name, heads in LINES_NOT_RUN.items():
        for head in heads:
            assert any(f"\n{head}" in f"\n{block.text}" for block in all_blocks(name)), head


@pytest.mark.parametrize(
    "block",
    [one for one in FOUND if one.language == "yaml" and one.why_not is None and one.file not in _FOREIGN],
    ids=lambda block: f"{block.page}-{block.text.splitlines()[0]}",
)
def test_specs_are_right(block: Block) -> None:
    """A spec has the fields that it may have; a part of one is right beside the others."""
    fields = parse_yaml(block.text, "yaml", block.page)
    missing = {} if "command" in fields or "scheduler" in fields else {"task": "image-classification", "data": "signs"}
    spec = parse_spec({"name": "a", "objective": "accuracy", **missing, **fields})
    parse_space(spec.parameters)
