"""The reference of Python is made of the code."""

from __future__ import annotations

from inspect import getmembers, isfunction

from docs.generate_python import PAGE, SECTIONS, integrations, page

import tunewell
from tunewell.client import Client


def test_the_reference_is_up_to_date() -> None:
    """`docs/python.md` is what the generator writes; if not, run `.venv/bin/python -m docs.generate_python`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_public_name_is_in_the_reference() -> None:
    """Each public name of the package has its section, and so has each module for another library."""
    named = [name for _, names in SECTIONS.values() for name in names]
    assert sorted(named) == sorted(tunewell.__all__)
    text = page()
    assert all(f"\n### tunewell.{name}\n" in text for name in named)
    assert len(integrations()) > 8
    assert all(f"\n### tunewell.integrations.{name}\n" in text for name in integrations())


def test_every_method_of_a_client_is_in_the_reference() -> None:
    """Each method that a client has is listed with its arguments."""
    text = page()
    methods = [name for name, _ in getmembers(Client, isfunction) if not name.startswith("_")]
    assert [name for name in methods if f"\n| `{name}(" not in text] == []


def test_arguments_are_told() -> None:
    """A signature has a line an argument, and what each one is stands below it."""
    text = page()
    assert "\ntunewell.search(\n    function: Callable[..., Any],\n" in text
    assert "\n- `max_trials`: number of trials; default: 20, all points of a grid.\n" in text
    assert "\nRaises `KeyboardInterrupt`: the search is paused; the same call goes on.\n" in text
