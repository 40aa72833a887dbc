"""The reference of the commands is made of the code."""

from __future__ import annotations

from docs.generate_cli import PAGE, page

from tunewell.cli.app import COMMANDS


def test_the_reference_is_up_to_date() -> None:
    """`docs/cli.md` is what the generator writes; if not, run `.venv/bin/python -m docs.generate_cli`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_command_is_in_the_reference() -> None:
    """Each command and each command of a group has its section, and options are told with their values."""
    text = page()
    assert [name for name in COMMANDS if f"\n## tunewell {name}\n" not in text] == []
    assert "\n### tunewell database copy\n\n```text\ntunewell database copy [OPTIONS] FROM TO\n```\n" in text
    assert "\ntunewell retry [OPTIONS] EXPERIMENT [TRIAL]…\n" in text
    assert "| `-f, --follow` | Go on until the trial has ended. |" in text
    assert "| `--workers NUMBER` | Processes that answer requests. Default: `1`. |" in text
    assert "| `--limit NUMBER` | List so many. Default: `20`. From 1 to 1000. |" in text


def test_shared_options_are_explained_once() -> None:
    """Options of many commands have a table of their own, with the variables that they can be given in."""
    text = page()
    assert text.count("Variable: `TUNEWELL_HOME`") == 1 == text.count("Variable: `TUNEWELL_SERVER`")
    assert "Also `--home`, `--database`, `--server`, `--json`: see [above](#options-of-many-commands)." in text
