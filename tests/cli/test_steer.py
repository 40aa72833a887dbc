"""Changing experiments from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Run
from tunewell.cli.summary import serve_text


def test_an_experiment_from_its_change_to_its_end(run: Run, write: Callable[..., Path]) -> None:
    """A larger budget and one's own configuration are on record at once; what has ended goes into the bin and away."""
    assert run("search", write(max_trials=2)).code == 0
    done = run(
        "set", "quick", "--max-trials", 4, "--max-failed-trials", "50%", "--tag", "a", "--tag", "b", "--weight", 2,
        "--private", "--description", "first try",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.startswith("Experiment 'quick' is changed: max_trials, max_failed_trials, description, tags")
    assert (
        "Go on: the command that began it, or tunewell serve, with this budget." in done.out
        and "paused" in run("list").out
    )
    wrong = run("set", "quick", "--weight", 0)
    assert wrong.code == 2 and "weight: 0.0 is not possible. Give a number above 0" in wrong.err
    assert "tries this next: x=5" in run("add", "quick", "x=5").out
    assert run("search", write(max_trials=4, max_failed_trials="50%"), "--json").json["trials"]["succeeded"] == 4
    ended = run("add", "quick", "x=0.5")
    assert ended.code == 2 and "has ended already" in ended.err
    assert "quick" in run("list", "--tag", "b", "--state", "completed", "--owner", "owner", "--search", "qui").out
    assert "There is none of these." in run("list", "--tag", "c").out
    assert "Take it out again: tunewell restore quick" in run("delete", "quick").out
    assert "quick" not in run("list").out and [one["name"] for one in run("list", "--bin", "--json").json] == ["quick"]
    assert "it is in the bin. Take it out again: tunewell restore quick" in run("show", "quick").err
    assert run("restore", "quick").code == 0 == run("delete", "quick").code == run("delete", "quick", "--for-good").code
    gone = run("restore", "quick")
    assert gone.code == 2 and "There is no experiment 'quick' in the bin" in gone.err


def test_what_is_no_change(run: Run) -> None:
    """A command that says nothing, or a value without a name, is refused before anything is looked for."""
    nothing, nameless = run("set", "quick"), run("add", "quick", "0.5")
    assert nothing.code == 2 and "Give an option" in nothing.err
    assert nameless.code == 2 and "Write NAME=VALUE" in nameless.err


def test_a_home_elsewhere_is_named() -> None:
    """What serves a home that was restored says which one; that of the folder needs no name."""
    assert serve_text(Path("restored")) == "tunewell serve --home restored"
    assert serve_text(Path(".tunewell").absolute()) == "tunewell serve"
